//! The data folder: made with mode 0700, and held by one process at a time.
//!
//! The lock is an advisory lock on the file `lock`, which the kernel releases however the process ends; the file
//! also names the holder's process id, for the message a second process prints. It never removes anything.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Why a data folder cannot be used. Nothing was changed but, perhaps, the folder created.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// Another process holds it.
    #[error("{folder} is in use by {}", holder(*pid))]
    InUse {
        /// The folder.
        folder: PathBuf,
        /// Its process id, if it wrote one.
        pid: Option<u32>,
    },
    /// The path is a file or something else.
    #[error("{folder} is not a folder")]
    NotAFolder {
        /// The path.
        folder: PathBuf,
    },
    /// It cannot be created, or its lock file cannot be written.
    #[error("{folder} is not writable for this user")]
    NotWritable {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}

/// A folder held by this process until dropped.
#[derive(Debug)]
pub(super) struct Held {
    _lock: File,
}

/// Creates the folder if absent and takes it.
pub(super) fn hold(folder: &Path) -> Result<Held, DirectoryError> {
    create(folder)?;
    let unwritable = |source| DirectoryError::NotWritable { folder: folder.to_owned(), source };
    let mut lock = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(folder.join("lock"))
        .map_err(unwritable)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(DirectoryError::InUse { folder: folder.to_owned(), pid: read_pid(&lock) });
        }
        Err(TryLockError::Error(source)) => return Err(unwritable(source)),
    }
    lock.set_len(0).and_then(|()| lock.rewind()).map_err(unwritable)?;
    writeln!(lock, "{}", std::process::id()).map_err(unwritable)?;
    Ok(Held { _lock: lock })
}

fn create(folder: &Path) -> Result<(), DirectoryError> {
    if folder.exists() && !folder.is_dir() {
        return Err(DirectoryError::NotAFolder { folder: folder.to_owned() });
    }
    let unwritable = |source| DirectoryError::NotWritable { folder: folder.to_owned(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(unwritable)?;
    // The folder's own name must survive a power cut too; a parent that cannot be opened is no reason to refuse.
    if let Some(parent) = folder.parent().and_then(|parent| File::open(parent).ok()) {
        parent.sync_all().map_err(unwritable)?;
    }
    Ok(())
}

fn read_pid(lock: &File) -> Option<u32> {
    // No process id has more digits than this.
    let mut text = String::new();
    lock.take(20).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_second_holder_is_told_folder_and_process() {
        let parent = tempfile::tempdir().expect("folder");
        let folder = parent.path().join("a/b");
        let held = hold(&folder).expect("free");
        assert_eq!(folder.metadata().expect("made").permissions().mode() & 0o777, 0o700);
        let message = hold(&folder).expect_err("held").to_string();
        assert_eq!(message, format!("{} is in use by process {}", folder.display(), std::process::id()));
        drop(held);
        hold(&folder).expect("free again");
    }

    #[test]
    fn a_file_in_its_place_is_named() {
        let file = tempfile::NamedTempFile::new().expect("file");
        let error = hold(file.path()).expect_err("a file");
        assert!(matches!(&error, DirectoryError::NotAFolder { folder } if folder == file.path()), "{error}");
    }
}
