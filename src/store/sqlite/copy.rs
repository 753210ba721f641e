//! A copy of the store while it is in use.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::open::{self, Settings};
use crate::store::error::{Outage, StoreError};

/// Copies the store to `to`, all pages as of one moment. Written beside `to` and renamed when it is complete and on the disk, so
/// that no half copy is ever taken for a whole one.
///
/// # Errors
/// [`StoreError::Unavailable`], when `to` exists or cannot be written.
pub(super) fn backup(from: &Path, to: &Path, settings: &Settings) -> Result<(), StoreError> {
    let failed = |error: std::io::Error| {
        let outage = match error.kind() {
            std::io::ErrorKind::StorageFull => Outage::DiskFull,
            std::io::ErrorKind::ReadOnlyFilesystem | std::io::ErrorKind::PermissionDenied => Outage::ReadOnly,
            _ => Outage::Io,
        };
        StoreError::unavailable(outage, format!("{}: {error}", to.display()))
    };
    if to.symlink_metadata().is_ok() {
        return Err(failed(std::io::Error::from(std::io::ErrorKind::AlreadyExists)));
    }
    let part = part_of(to);
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&part)
        .map_err(failed)?;
    let copied = pages(from, &part, settings)
        .and_then(|()| file.sync_all().map_err(failed))
        .and_then(|()| std::fs::rename(&part, to).map_err(failed))
        .and_then(|()| sync_folder(to).map_err(failed));
    if copied.is_err() {
        // Best effort: it may be the disk that failed.
        drop(std::fs::remove_file(&part));
    }
    copied
}

fn pages(from: &Path, to: &Path, settings: &Settings) -> Result<(), StoreError> {
    let source = open::for_reading(from, settings)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut copy = Connection::open_with_flags(to, flags)?;
    // All pages in one step: in several, every commit of the writer would start it anew. Writers go on meanwhile, into the
    // write-ahead log.
    let begun = Instant::now();
    let backup = Backup::new(&source, &mut copy)?;
    loop {
        match backup.step(-1)? {
            StepResult::Done => return Ok(()),
            StepResult::Busy | StepResult::Locked if begun.elapsed() >= settings.busy => {
                return Err(StoreError::unavailable(Outage::Locked, "the store is locked"));
            }
            _ => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}

fn part_of(to: &Path) -> PathBuf {
    let mut name = to.as_os_str().to_owned();
    name.push(format!(".{}.part", std::process::id()));
    PathBuf::from(name)
}

fn sync_folder(of: &Path) -> std::io::Result<()> {
    let folder = match of.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    };
    File::open(folder)?.sync_all()
}
