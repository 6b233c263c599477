//! The state folder of one cluster: what is in it, who may read it, and who works on it now.
//!
//! `cluster.json` is replaced atomically and written first, so that a folder without it was not made by kvctl. The
//! folder is its owner's alone; anything else is named and left as it is. One kvctl works on it at a time.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use infra::topology::{ClusterName, Draft, NodeName};
use kvnode::certificates::{WriteError, write_private};
use serde::{Deserialize, Serialize};

/// Form of `cluster.json`; raised when an older kvctl could misread it.
const VERSION: u32 = 1;
/// Largest `cluster.json` read: a hundred times what 192 nodes need.
const MAX_CLUSTER_FILE: u64 = 1024 * 1024;
/// Held by the kvctl that works on the cluster.
const LOCK: &str = "lock";
/// Written and removed to see whether that is possible.
const TRIAL: &str = ".writable";
/// What a kvctl that was killed may leave before there is a `cluster.json`: see `write_private` for the names.
const OWN_BEFORE_CLUSTER_FILE: [&str; 4] = [LOCK, TRIAL, "..writable.new", ".cluster.json.new"];

/// What `cluster.json` remembers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Saved {
    /// Form of the file.
    version: u32,
    /// What the cluster shall look like.
    pub draft: Draft,
    /// Whether the ring was formed: never done a second time.
    pub formed: bool,
    /// The daemon's program, if one was named.
    pub program: Option<PathBuf>,
}

impl Saved {
    /// A cluster that was just asked for.
    #[must_use]
    pub fn new(draft: Draft, program: Option<PathBuf>) -> Self {
        Self { version: VERSION, draft, formed: false, program }
    }
}

/// Why the state folder cannot be used. Nothing in it was changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried, for example `read`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Its reason.
        source: io::Error,
    },
    /// A file could not be replaced; the old one is in place.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// Others may read or write what only its owner should.
    #[error("{} is open to others (mode {mode:03o})", path.display())]
    Open {
        /// The file or folder.
        path: PathBuf,
        /// Its mode.
        mode: u32,
        /// The mode it should have.
        wanted: u32,
    },
    /// It is another user's.
    #[error("{} belongs to user {owner}, and this is user {user}", path.display())]
    OtherOwner {
        /// The file or folder.
        path: PathBuf,
        /// Its owner.
        owner: u32,
        /// Who asks.
        user: u32,
    },
    /// Something is there, but not what kvctl leaves behind.
    #[error("{}: {reason}", path.display())]
    HalfWritten {
        /// The file or folder.
        path: PathBuf,
        /// What is odd.
        reason: String,
    },
    /// Another kvctl works on this cluster.
    #[error("another kvctl{} works on cluster {cluster}", pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default())]
    Busy {
        /// The cluster.
        cluster: ClusterName,
        /// Who, if it said so.
        pid: Option<u32>,
    },
}

/// The folder of one cluster; it need not exist yet.
#[derive(Debug, Clone)]
pub struct Folder {
    cluster: ClusterName,
    root: PathBuf,
}

/// Held while this process works on a cluster.
#[derive(Debug)]
#[must_use = "the cluster is free again when this is dropped"]
pub struct Lock {
    _file: File,
}

impl Folder {
    /// The folder of a cluster below the state folder.
    #[must_use]
    pub fn new(state_dir: &Path, cluster: &ClusterName) -> Self {
        Self { cluster: cluster.clone(), root: state_dir.join(cluster.as_str()) }
    }

    /// Clusters that have a folder here, by name.
    ///
    /// # Errors
    /// The state folder cannot be read; one that does not exist has none.
    pub fn all(state_dir: &Path) -> Result<Vec<Self>, Error> {
        let entries = match fs::read_dir(state_dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(Error::Io { action: "read", path: state_dir.to_owned(), source }),
        };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()?.parse().ok());
        let mut folders: Vec<Self> = names.map(|name: ClusterName| Self::new(state_dir, &name)).collect();
        folders.retain(|folder| folder.cluster_file().exists());
        folders.sort_by(|left, right| left.cluster.cmp(&right.cluster));
        Ok(folders)
    }

    /// Whose it is.
    #[must_use]
    pub fn cluster(&self) -> &ClusterName {
        &self.cluster
    }

    /// The folder itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What is remembered of the cluster.
    #[must_use]
    pub fn cluster_file(&self) -> PathBuf {
        self.root.join("cluster.json")
    }

    /// Folder of certificates and their keys.
    #[must_use]
    pub fn certificate_dir(&self) -> PathBuf {
        self.root.join("certs")
    }

    /// Hashes of the accepted tokens, for the nodes.
    #[must_use]
    pub fn tokens_file(&self) -> PathBuf {
        self.root.join("tokens")
    }

    /// The token that contexts use.
    #[must_use]
    pub fn admin_token_file(&self) -> PathBuf {
        self.root.join("admin.token")
    }

    /// Keys of gossip.
    #[must_use]
    pub fn keyring_file(&self) -> PathBuf {
        self.root.join("keyring")
    }

    /// A node's own folder.
    #[must_use]
    pub fn node_dir(&self, node: &NodeName) -> PathBuf {
        self.root.join(node.as_str())
    }

    /// A node's data.
    #[must_use]
    pub fn data_dir(&self, node: &NodeName) -> PathBuf {
        self.node_dir(node).join("data")
    }

    /// What a node says.
    #[must_use]
    pub fn log_file(&self, node: &NodeName) -> PathBuf {
        self.node_dir(node).join("log")
    }

    /// Which process a node is.
    #[must_use]
    pub fn process_file(&self, node: &NodeName) -> PathBuf {
        self.node_dir(node).join("process.json")
    }

    /// Makes a folder of the owner's alone, if it is missing.
    ///
    /// # Errors
    /// The system refused, or what is there is not the owner's alone.
    pub fn ensure_dir(path: &Path) -> Result<(), Error> {
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
        made.map_err(|source| Error::Io { action: "make the folder", path: path.to_owned(), source })?;
        check_private(path, 0o700)
    }

    /// Makes the folder, if it is missing, takes it for this process, and checks that it can be worked in.
    ///
    /// # Errors
    /// It cannot be made or written, is open to others, holds something that kvctl did not make, or another kvctl
    /// has it.
    pub fn prepare(&self) -> Result<Lock, Error> {
        Self::ensure_dir(&self.root)?;
        // Not even a lock is put beside what is somebody else's.
        self.refuse_strangers(false)?;
        let lock = self.lock()?;
        self.refuse_strangers(true)?;
        let trial = self.root.join(TRIAL);
        let written = write_private(&trial, b"");
        drop(fs::remove_file(&trial));
        written?;
        Ok(lock)
    }

    /// A folder without `cluster.json` is ours only if it holds nothing but what a first start leaves that did not
    /// come so far. Until the lock is held, one that has a lock file may be in the making and is not judged.
    fn refuse_strangers(&self, locked: bool) -> Result<(), Error> {
        if self.cluster_file().exists() {
            return Ok(());
        }
        let failed = |source| Error::Io { action: "read", path: self.root.clone(), source };
        let entries = fs::read_dir(&self.root).map_err(failed)?;
        let names: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.file_name())).collect();
        if !locked && names.iter().any(|name| name == LOCK) {
            return Ok(());
        }
        match names.iter().find(|name| !OWN_BEFORE_CLUSTER_FILE.iter().any(|own| *name == own)) {
            None => Ok(()),
            Some(name) => {
                let reason = format!("it holds {} but no cluster.json", name.to_string_lossy());
                Err(Error::HalfWritten { path: self.root.clone(), reason })
            }
        }
    }

    /// Reads what is remembered; none if the cluster was never asked for.
    ///
    /// # Errors
    /// The file cannot be read, is open to others, or is not what kvctl writes.
    pub fn load(&self) -> Result<Option<Saved>, Error> {
        let path = self.cluster_file();
        let Some(bytes) = read_bounded(&path, MAX_CLUSTER_FILE)? else { return Ok(None) };
        check_private(&self.root, 0o700)?;
        let odd = |reason: String| Error::HalfWritten { path: path.clone(), reason };
        let saved: Saved = serde_json::from_slice(&bytes).map_err(|error| odd(format!("cannot be read: {error}")))?;
        if saved.version != VERSION {
            return Err(odd(format!(
                "was written by another release (form {}, this one reads {VERSION})",
                saved.version
            )));
        }
        if saved.draft.cluster != self.cluster.as_str() {
            return Err(odd(format!("describes cluster {}", saved.draft.cluster)));
        }
        Ok(Some(saved))
    }

    /// Remembers the cluster.
    ///
    /// # Errors
    /// The file cannot be replaced; the old one is in place.
    pub fn save(&self, saved: &Saved) -> Result<(), Error> {
        let bytes = serde_json::to_vec_pretty(saved).expect("invariant: plain structs serialize");
        Ok(write_private(&self.cluster_file(), &bytes)?)
    }

    /// Takes the cluster for this process, until the lock is dropped or the process ends.
    ///
    /// # Errors
    /// Another kvctl has it.
    pub fn lock(&self) -> Result<Lock, Error> {
        let path = self.root.join(LOCK);
        let failed = |source| Error::Io { action: "lock", path: path.clone(), source };
        let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        let mut file = options.map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::Error(source)) => return Err(failed(source)),
            Err(fs::TryLockError::WouldBlock) => {
                let mut text = String::new();
                let pid = file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
                return Err(Error::Busy { cluster: self.cluster.clone(), pid });
            }
        }
        file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(failed)?;
        Ok(Lock { _file: file })
    }

    /// Removes the folder and everything in it. Cannot be undone; the caller has stopped every process in it.
    ///
    /// # Errors
    /// Something could not be removed; calling again goes on.
    pub fn remove(&self, _lock: &Lock) -> Result<(), Error> {
        let failed = |path: &Path, source| Error::Io { action: "remove", path: path.to_owned(), source };
        let entries = fs::read_dir(&self.root).map_err(|source| failed(&self.root, source))?;
        let folders = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_dir());
        // cluster.json goes last: without it the rest would be nobody's, and calling again would not go on.
        for path in folders {
            fs::remove_dir_all(&path).map_err(|source| failed(&path, source))?;
        }
        fs::remove_dir_all(&self.root).map_err(|source| failed(&self.root, source))
    }
}

/// Reads a file that may be missing.
///
/// # Errors
/// It cannot be read or is longer than `most` bytes.
pub fn read_bounded(path: &Path, most: u64) -> Result<Option<Vec<u8>>, Error> {
    let failed = |source| Error::Io { action: "read", path: path.to_owned(), source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(failed(source)),
    };
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > most {
        return Err(Error::HalfWritten { path: path.to_owned(), reason: format!("is longer than {most} bytes") });
    }
    Ok(Some(bytes))
}

/// Whether a file or folder is its owner's alone; one that is missing is.
///
/// # Errors
/// It is another user's or open to others.
pub fn check_private(path: &Path, wanted: u32) -> Result<(), Error> {
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(Error::Io { action: "look at", path: path.to_owned(), source }),
    };
    let user = nix::unistd::geteuid().as_raw();
    if metadata.uid() != user {
        return Err(Error::OtherOwner { path: path.to_owned(), owner: metadata.uid(), user });
    }
    let mode = metadata.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(Error::Open { path: path.to_owned(), mode, wanted });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn folder(temporary: &tempfile::TempDir) -> Folder {
        Folder::new(temporary.path(), &"local".parse().expect("a name"))
    }

    #[test]
    fn what_is_saved_is_loaded() {
        let temporary = tempfile::tempdir().expect("a folder");
        let folder = folder(&temporary);
        drop(folder.prepare().expect("prepared"));
        assert_eq!(folder.load().expect("readable"), None);
        let saved = Saved::new(Draft::default(), Some("/opt/kvnode".into()));
        folder.save(&saved).expect("saved");
        assert_eq!(folder.load().expect("readable"), Some(saved));
        let names: Vec<_> = Folder::all(temporary.path()).expect("listed").into_iter().map(|one| one.cluster).collect();
        assert_eq!(names.iter().map(ClusterName::as_str).collect::<Vec<_>>(), ["local"]);
    }

    #[test]
    fn strange_folders_are_named_and_left_alone() {
        let temporary = tempfile::tempdir().expect("a folder");
        let folder = folder(&temporary);
        for own in OWN_BEFORE_CLUSTER_FILE {
            drop(folder.prepare().expect("prepared"));
            fs::write(folder.root().join(own), "").expect("written");
        }
        fs::write(folder.root().join("diary"), "dear").expect("written");
        let error = folder.prepare().expect_err("not ours").to_string();
        assert!(error.ends_with("local: it holds diary but no cluster.json"), "{error}");
        fs::write(folder.cluster_file(), "{").expect("written");
        assert!(matches!(folder.load(), Err(Error::HalfWritten { .. })));
        fs::set_permissions(folder.root(), fs::Permissions::from_mode(0o755)).expect("changed");
        assert!(matches!(folder.prepare(), Err(Error::Open { mode: 0o755, wanted: 0o700, .. })));
    }

    #[test]
    fn the_second_kvctl_is_told_of_the_first() {
        let temporary = tempfile::tempdir().expect("a folder");
        let folder = folder(&temporary);
        let lock = folder.prepare().expect("free");
        match folder.lock() {
            Err(Error::Busy { pid, .. }) => assert_eq!(pid, Some(std::process::id())),
            other => panic!("{other:?}"),
        }
        drop(lock);
        drop(folder.lock().expect("free again"));
    }
}
