//! Why the store did not do what was asked.

/// Why an operation of the store did not happen. Nothing of it has happened then, with one exception:
/// [`Outage::TimedOut`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The store cannot do it now. It goes on by itself when the cause is gone.
    #[error("the store is not available ({outage}): {detail}")]
    Unavailable {
        /// The cause.
        outage: Outage,
        /// What the backend says, for the log.
        detail: String,
    },
    /// What is stored cannot be read.
    #[error("the store is damaged: {detail}; restore the file from a backup")]
    Corrupt {
        /// What is wrong, for the log.
        detail: String,
    },
    /// The file belongs to another program.
    #[error("the file is not a store of this program: {detail}")]
    Foreign {
        /// How one sees that.
        detail: String,
    },
    /// The file was written by a newer version of this program.
    #[error(
        "the store has schema version {found}, and this program knows {known} at most: run the newer program, or restore \
         a backup from before its update"
    )]
    NewerSchema {
        /// The file's version.
        found: u32,
        /// The newest one that is known here.
        known: u32,
    },
    /// This kind of store cannot do it at all.
    #[error("this kind of store has no {0}")]
    NotSupported(&'static str),
    /// A defect of the gateway: the backend refused a statement as wrong.
    #[error("the store refused an operation: {detail}")]
    Bug {
        /// What the backend says, for the log.
        detail: String,
    },
}

/// Why a store is not available.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outage {
    /// No room on the disk.
    DiskFull,
    /// File or disk cannot be written to.
    ReadOnly,
    /// Another process holds the file for longer than one waits.
    Locked,
    /// So many operations wait already that one more would only make it worse.
    QueueFull,
    /// No answer in time. The operation may still happen; whoever tries again must be prepared for that.
    TimedOut,
    /// The file cannot be opened, read or written.
    Io,
    /// The store was closed.
    Closed,
}

impl Outage {
    /// The word for logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Outage::DiskFull => "disk_full",
            Outage::ReadOnly => "read_only",
            Outage::Locked => "locked",
            Outage::QueueFull => "queue_full",
            Outage::TimedOut => "timed_out",
            Outage::Io => "io",
            Outage::Closed => "closed",
        }
    }
}

impl std::fmt::Display for Outage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl StoreError {
    /// May the same operation succeed later, without anybody repairing the store?
    pub fn is_transient(&self) -> bool {
        match self {
            StoreError::Unavailable { outage, .. } => match outage {
                Outage::DiskFull
                | Outage::ReadOnly
                | Outage::Locked
                | Outage::QueueFull
                | Outage::TimedOut
                | Outage::Io => true,
                Outage::Closed => false,
            },
            StoreError::Corrupt { .. }
            | StoreError::Foreign { .. }
            | StoreError::NewerSchema { .. }
            | StoreError::NotSupported(_)
            | StoreError::Bug { .. } => false,
        }
    }

    /// Not available, because of `outage`.
    pub(super) fn unavailable(outage: Outage, detail: impl Into<String>) -> StoreError {
        StoreError::Unavailable {
            outage,
            detail: detail.into(),
        }
    }

    /// Damaged: `detail` says where.
    pub(super) fn corrupt(detail: impl Into<String>) -> StoreError {
        StoreError::Corrupt {
            detail: detail.into(),
        }
    }
}
