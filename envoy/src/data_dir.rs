//! The data directory: private to its user, one gateway at a time.

use std::fs::{self, File};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::{Path, PathBuf};

use attach_filter::config::{Secret, Session};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::FILTER_WASM;
use crate::settings::SessionSetting;

/// A data directory that is there and can be written.
#[derive(Clone, Debug)]
pub struct DataDir {
    path: PathBuf,
}

/// Held while a gateway runs; two on one directory would fight over sockets and store.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Why the data directory cannot be used.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the texts are the documentation
pub enum DataDirError {
    #[error("ATTACH_DATA_DIR: cannot {action} {} ({error}); make it writable for this user, or set another directory", path.display())]
    Io { action: &'static str, path: PathBuf, error: std::io::Error },
    #[error("ATTACH_DATA_DIR: {} is in use by another gateway{holder}; stop it, or set another directory", path.display())]
    InUse {
        path: PathBuf,
        /// ` (process 123)`, if it is known.
        holder: String,
    },
    #[error("ATTACH_DATA_DIR: {} is shorter than 32 bytes; remove it to get a new one (session ids change), or set ATTACH_SESSION_SECRET", path.display())]
    ShortSecret { path: PathBuf },
}

const SECRET: &str = "session.secret";
const FILTER: &str = "attach_filter.wasm";
const LOCK: &str = "gateway.lock";

impl DataDir {
    /// Makes the directory if need be, for this user only.
    ///
    /// # Errors
    /// It cannot be made or written.
    pub fn open(path: &Path) -> Result<Self, DataDirError> {
        let directory = Self { path: path.to_path_buf() };
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
        made.map_err(|error| directory.fault("create", path, error))?;
        directory.close_to_others();
        let probe = directory.path.join(".writable");
        let written = File::create(&probe).and_then(|_| fs::remove_file(&probe));
        written.map_err(|error| directory.fault("write to", path, error))?;
        Ok(directory)
    }

    /// A directory that existed is made private if it is ours alone; the mode of somebody
    /// else's (`/tmp`, a mounted volume) is not touched. The files in it are private anyway.
    fn close_to_others(&self) {
        let Ok(meta) = fs::metadata(&self.path) else { return };
        if meta.mode() & 0o077 == 0 {
            return;
        }
        let used = [SECRET, FILTER, LOCK].iter().any(|name| self.path.join(name).exists());
        let empty = fs::read_dir(&self.path).is_ok_and(|mut entries| entries.next().is_none());
        let mine = meta.uid() == rustix::process::geteuid().as_raw();
        let private = fs::Permissions::from_mode(0o700);
        if !(mine && (used || empty) && fs::set_permissions(&self.path, private).is_ok()) {
            let mode = meta.mode() & 0o7777;
            tracing::warn!(
                "ATTACH_DATA_DIR: {} is open to other users (mode {mode:o}); give the gateway a directory of its own with mode 700",
                self.path.display()
            );
        }
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the mirror-service that we run listens.
    #[must_use]
    pub fn mirror_socket(&self) -> PathBuf {
        self.path.join("mirror.sock")
    }

    /// Envoy's admin interface; every Envoy of one gateway has its own.
    #[must_use]
    pub fn admin_socket(&self, generation: u32) -> PathBuf {
        match generation {
            0 => self.path.join("admin.sock"),
            more => self.path.join(format!("admin-{more}.sock")),
        }
    }

    /// Takes the directory for one running gateway.
    ///
    /// # Errors
    /// Another one has it.
    pub fn lock(&self) -> Result<Lock, DataDirError> {
        let path = self.path.join(LOCK);
        let fault = |error| self.fault("lock", &path, error);
        let opened = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path);
        let mut file = opened.map_err(fault)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::Error(error)) => return Err(fault(error)),
            Err(fs::TryLockError::WouldBlock) => {
                let mut text = String::new();
                let _ = file.read_to_string(&mut text);
                let holder = text.trim().parse::<u32>().map(|pid| format!(" (process {pid})"));
                let holder = holder.unwrap_or_default();
                return Err(DataDirError::InUse { path: self.path.clone(), holder });
            }
        }
        let named = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
        named.map_err(fault)?;
        Ok(Lock { _file: file })
    }

    /// How session ids are keyed: by the secret that was given, else by one that is made here
    /// once and kept.
    ///
    /// # Errors
    /// The secret cannot be read or kept.
    pub fn session(&self, setting: &SessionSetting) -> Result<Session, DataDirError> {
        let text = match setting {
            SessionSetting::Sha256 => return Ok(Session::Sha256),
            SessionSetting::Secret(Some(Secret(given))) => given.clone(),
            SessionSetting::Secret(None) => self.kept_secret()?,
        };
        // The filter takes secrets as base64url, so that any bytes fit its JSON.
        Ok(Session::Secret(Secret(URL_SAFE_NO_PAD.encode(text))))
    }

    fn kept_secret(&self) -> Result<String, DataDirError> {
        let path = self.path.join(SECRET);
        match fs::read_to_string(&path) {
            Ok(text) if text.trim_end().len() >= 32 => return Ok(text.trim_end().to_owned()),
            Ok(_) => return Err(DataDirError::ShortSecret { path }),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(self.fault("read", &path, error)),
        }
        let fresh = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
        // Of two that start at once the first one's secret stays: a link never replaces.
        let staged = self.staged(SECRET, fresh.as_bytes())?;
        let linked = fs::hard_link(&staged, &path);
        let _ = fs::remove_file(&staged);
        match linked {
            Ok(()) => Ok(fresh),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => self.kept_secret(),
            Err(error) => Err(self.fault("write", &path, error)),
        }
    }

    /// Writes the embedded filter where Envoy can read it.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn extract_filter(&self) -> Result<PathBuf, DataDirError> {
        let path = self.path.join(FILTER);
        if fs::read(&path).is_ok_and(|present| present == FILTER_WASM) {
            return Ok(path);
        }
        self.replace(FILTER, FILTER_WASM)
    }

    /// Writes a private file as a whole: readers see the old one or the new one.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn replace(&self, name: &str, content: &[u8]) -> Result<PathBuf, DataDirError> {
        let path = self.path.join(name);
        let staged = self.staged(name, content)?;
        fs::rename(&staged, &path).map_err(|error| self.fault("write", &path, error))?;
        Ok(path)
    }

    fn staged(&self, name: &str, content: &[u8]) -> Result<PathBuf, DataDirError> {
        let path = self.path.join(format!(".{name}.{:08x}", rand::random::<u32>()));
        let _ = fs::remove_file(&path);
        let file = File::options().write(true).create_new(true).mode(0o600).open(&path);
        let written = file.and_then(|mut file| file.write_all(content));
        written.map_err(|error| self.fault("write", &path, error))?;
        Ok(path)
    }

    /// Removes sockets that a killed gateway left; only while the lock is held.
    pub(crate) fn remove_stale_sockets(&self) {
        let Ok(entries) = fs::read_dir(&self.path) else { return };
        for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let envoys = name.starts_with("admin") && name.ends_with(".sock");
            let bootstraps = name.starts_with("envoy-") && name.ends_with(".json");
            if envoys || bootstraps {
                let _ = fs::remove_file(&path);
            }
        }
    }

    fn fault(&self, action: &'static str, path: &Path, error: std::io::Error) -> DataDirError {
        DataDirError::Io { action, path: path.to_path_buf(), error }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn the_directory_and_what_is_in_it_is_private() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b");
        let dir = DataDir::open(&path).unwrap();
        assert_eq!(mode(&path), 0o700);
        dir.session(&SessionSetting::Secret(None)).unwrap();
        assert_eq!(mode(&path.join(SECRET)), 0o600);
        let filter = dir.extract_filter().unwrap();
        assert_eq!(fs::read(&filter).unwrap(), FILTER_WASM);
        let names: Vec<_> =
            fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names.len(), 2, "nothing half-written stays: {names:?}");
    }

    #[test]
    fn only_a_directory_of_our_own_is_closed_to_others() {
        let parent = tempfile::tempdir().unwrap();
        for (name, file, expected) in
            [("empty", None, 0o700), ("ours", Some(SECRET), 0o700), ("theirs", Some("x"), 0o755)]
        {
            let path = parent.path().join(name);
            fs::create_dir(&path).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            if let Some(file) = file {
                fs::write(path.join(file), "x").unwrap();
            }
            DataDir::open(&path).unwrap();
            assert_eq!(mode(&path), expected, "{name}");
        }
    }

    #[test]
    fn the_secret_is_made_once_and_moves_to_the_setting_unchanged() {
        let parent = tempfile::tempdir().unwrap();
        let dir = DataDir::open(parent.path()).unwrap();
        let made = dir.session(&SessionSetting::Secret(None)).unwrap();
        assert_eq!(dir.session(&SessionSetting::Secret(None)).unwrap(), made);
        let text = fs::read_to_string(parent.path().join(SECRET)).unwrap();
        let given = SessionSetting::Secret(Some(Secret(text)));
        assert_eq!(dir.session(&given).unwrap(), made);
        assert_eq!(dir.session(&SessionSetting::Sha256).unwrap(), Session::Sha256);
    }

    #[test]
    fn a_damaged_secret_is_not_used_and_not_replaced() {
        let parent = tempfile::tempdir().unwrap();
        let dir = DataDir::open(parent.path()).unwrap();
        fs::write(parent.path().join(SECRET), "short\n").unwrap();
        let error = dir.session(&SessionSetting::Secret(None)).unwrap_err().to_string();
        assert!(
            error.contains("shorter than 32 bytes") && error.contains("ATTACH_SESSION_SECRET"),
            "{error}"
        );
    }

    #[test]
    fn a_second_gateway_is_refused_by_name() {
        let parent = tempfile::tempdir().unwrap();
        let dir = DataDir::open(parent.path()).unwrap();
        let lock = dir.lock().unwrap();
        let error = dir.lock().unwrap_err().to_string();
        let holder = format!("(process {})", std::process::id());
        assert!(error.contains("ATTACH_DATA_DIR") && error.contains(&holder), "{error}");
        drop(lock);
        dir.lock().unwrap();
    }

    #[test]
    fn a_place_that_cannot_be_a_directory_is_named() {
        let parent = tempfile::tempdir().unwrap();
        let file = parent.path().join("file");
        fs::write(&file, "").unwrap();
        for path in [file.clone(), file.join("below"), PathBuf::from("/proc/attach")] {
            let error = DataDir::open(&path).unwrap_err().to_string();
            assert!(error.starts_with("ATTACH_DATA_DIR: cannot create"), "{error}");
            assert!(error.contains(path.to_str().unwrap()), "{error}");
        }
    }
}
