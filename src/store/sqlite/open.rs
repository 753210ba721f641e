//! Opening the file: refused when it is somebody else's, newer or damaged; ready within a second or so whatever its size.

use std::fs::OpenOptions;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};

use super::migrate;
use crate::store::error::{Outage, StoreError};

/// How long a file is looked over for damage before work begins. Small files are seen whole; of large ones what fits, and
/// `check` sees the rest.
const CHECK_TIME: Duration = Duration::from_millis(500);

/// Steps of SQLite's machine between two looks at the clock.
const CHECK_STEPS: i32 = 10_000;

/// Statements that a connection keeps prepared: more than there are.
const STATEMENTS: usize = 256;

/// Settings of a store in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// How long one waits for another process that holds the file.
    pub busy: Duration,
    /// How long an operation may take before its caller is told that it may or may not happen. More than `busy`.
    pub deadline: Duration,
    /// Operations that may wait, for writing and for reading each.
    pub queue: usize,
    /// The largest the file may grow, in pages of 4 KiB; for tests of a full disk.
    pub most_pages: Option<u32>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            busy: Duration::from_secs(2),
            deadline: Duration::from_secs(10),
            queue: 4_096,
            most_pages: None,
        }
    }
}

/// Pages in the write-ahead log, as of the last commit.
#[derive(Debug, Clone, Default)]
pub(super) struct Pages(Arc<AtomicU32>);

impl Pages {
    pub(super) fn get(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn reset(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

/// Opens the file for writing; makes it if it is not there.
///
/// # Errors
/// [`StoreError`], which says why the file cannot be used.
pub(super) fn for_writing(path: &Path, settings: &Settings, pages: &Pages) -> Result<Connection, StoreError> {
    make(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(settings.busy)?;
    migrate::recognise(&connection)?;
    prepare(&connection)?;
    write_ahead(&connection, settings.busy)?;
    // The commit is on the disk before it is answered; with a write-ahead log that is one fsync.
    connection.pragma_update(None, "synchronous", "FULL")?;
    // After a burst the log is cut to this size.
    connection.pragma_update(None, "journal_size_limit", 64 << 20)?;
    // What is deleted is overwritten where that costs no more writing: password hashes do not linger.
    connection.pragma_update(None, "secure_delete", "FAST")?;
    if let Some(most) = settings.most_pages {
        connection.pragma_update(None, "max_page_count", most)?;
    }
    migrate::migrate(&mut connection)?;
    look_over(&mut connection)?;
    let counted = pages.clone();
    // Takes the place of SQLite's own checkpoints, which would hold up the answers to a commit.
    connection.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, pages: i32| {
        counted
            .0
            .store(u32::try_from(pages).unwrap_or(0), Ordering::Relaxed);
        Ok(())
    }))?;
    Ok(connection)
}

/// Opens the file for reading; it is there, with the right schema.
///
/// # Errors
/// [`StoreError`], when it cannot be opened.
pub(super) fn for_reading(path: &Path, settings: &Settings) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(settings.busy)?;
    prepare(&connection)?;
    Ok(connection)
}

/// The file, readable by its owner alone; SQLite gives the same rights to the files beside it.
fn make(path: &Path) -> Result<(), StoreError> {
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    let failed = match made {
        Ok(_) => return Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => None,
        Err(error) => Some(error),
    };
    if let Some(error) = failed {
        let outage = match error.kind() {
            std::io::ErrorKind::StorageFull => Outage::DiskFull,
            std::io::ErrorKind::ReadOnlyFilesystem | std::io::ErrorKind::PermissionDenied => Outage::ReadOnly,
            _ => Outage::Io,
        };
        return Err(StoreError::unavailable(
            outage,
            format!("{}: {error}", path.display()),
        ));
    }
    if let Ok(metadata) = path.metadata()
        && metadata.permissions().mode() & 0o077 != 0
    {
        tracing::warn!(
            path = %path.display(),
            "others may read the store's file; `chmod 600` keeps names and password hashes to its owner"
        );
    }
    Ok(())
}

fn prepare(connection: &Connection) -> Result<(), StoreError> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // 16 MiB of pages for each connection.
    connection.pragma_update(None, "cache_size", -16_384)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "trusted_schema", "OFF")?;
    // A damaged page is noticed when it is read.
    connection.pragma_update(None, "cell_size_check", "ON")?;
    Ok(())
}

/// Turns the write-ahead log on. Two processes that start at once may meet here, and SQLite does not wait by itself.
fn write_ahead(connection: &Connection, patience: Duration) -> Result<(), StoreError> {
    let begun = Instant::now();
    loop {
        let mode =
            connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0));
        match mode.map_err(StoreError::from) {
            Ok(mode) if mode == "wal" => return Ok(()),
            Ok(mode) => {
                return Err(StoreError::unavailable(
                    Outage::Io,
                    format!("the file system allows no write-ahead log (journal mode {mode})"),
                ));
            }
            Err(
                error @ StoreError::Unavailable {
                    outage: Outage::Locked,
                    ..
                },
            ) if begun.elapsed() >= patience => return Err(error),
            Err(StoreError::Unavailable {
                outage: Outage::Locked,
                ..
            }) => std::thread::sleep(Duration::from_millis(10)),
            Err(error) => return Err(error),
        }
    }
}

/// Looks for damage, for no longer than [`CHECK_TIME`].
fn look_over(connection: &mut Connection) -> Result<(), StoreError> {
    let begun = Instant::now();
    connection.progress_handler(CHECK_STEPS, Some(move || begun.elapsed() >= CHECK_TIME))?;
    let seen = sound(connection, "PRAGMA quick_check(1)");
    connection.progress_handler(0, None::<fn() -> bool>)?;
    match seen {
        Err(StoreError::Unavailable {
            outage: Outage::TimedOut,
            ..
        }) => Ok(()),
        other => other,
    }
}

/// Runs one of SQLite's own checks.
///
/// # Errors
/// [`StoreError::Corrupt`] with what it found.
pub(super) fn sound(connection: &Connection, check: &str) -> Result<(), StoreError> {
    let found: String = connection.query_row(check, [], |row| row.get(0))?;
    if found == "ok" {
        Ok(())
    } else {
        Err(StoreError::corrupt(found))
    }
}
