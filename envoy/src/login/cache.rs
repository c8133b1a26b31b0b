//! The remembered refresh token: one file an issuer and client, readable by its owner only.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// What is remembered of a sign-in.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Remembered {
    pub(super) issuer: String,
    pub(super) client_id: String,
    /// What was asked for then; a sign-in that asks for something else starts anew.
    pub(super) scope: String,
    pub(super) audience: Option<String>,
    pub(super) refresh_token: String,
}

/// The file of one issuer and client.
pub(super) struct Cache {
    file: PathBuf,
}

impl Cache {
    pub(super) fn new(dir: &Path, issuer: &str, client_id: &str) -> Self {
        // The length keeps `a` + `bc` and `ab` + `c` apart.
        let key = format!("{}:{issuer}{client_id}", issuer.len());
        let digest = Sha256::digest(key.as_bytes());
        let name: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        Self { file: dir.join(format!("{name}.json")) }
    }

    /// Keeps others from using the same refresh token at the same time: issuers that rotate
    /// take the second use for theft. Released when the value is dropped.
    ///
    /// # Errors
    /// The directory cannot be made or written.
    pub(super) fn lock(&self) -> io::Result<File> {
        if let Some(dir) = self.file.parent() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        }
        let path = self.file.with_extension("lock");
        let mut options = OpenOptions::new();
        let lock = options.create(true).truncate(false).write(true).mode(0o600).open(path)?;
        lock.lock()?;
        Ok(lock)
    }

    /// What is remembered, if it is there, whole, and nobody else's to read.
    pub(super) fn load(&self) -> Option<Remembered> {
        let meta = fs::metadata(&self.file).ok()?;
        if meta.permissions().mode() & 0o077 != 0 {
            return None;
        }
        serde_json::from_slice(&fs::read(&self.file).ok()?).ok()
    }

    /// Replaces what is remembered; the file is whole at any moment.
    ///
    /// # Errors
    /// The directory or file cannot be made or written.
    pub(super) fn store(&self, remembered: &Remembered) -> io::Result<()> {
        if let Some(dir) = self.file.parent() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        }
        let fresh = self.file.with_extension(format!("new.{}", std::process::id()));
        // A leftover of a killed process: O_EXCL below makes sure that the mode is ours.
        let _ = fs::remove_file(&fresh);
        let mut options = OpenOptions::new();
        let mut file = options.create_new(true).write(true).mode(0o600).open(&fresh)?;
        let written = serde_json::to_vec(remembered)
            .map_err(io::Error::other)
            .and_then(|json| file.write_all(&json))
            .and_then(|()| file.sync_all())
            .and_then(|()| fs::rename(&fresh, &self.file));
        if written.is_err() {
            let _ = fs::remove_file(&fresh);
        }
        written
    }

    /// Forgets. `false`: nothing was remembered.
    ///
    /// # Errors
    /// The file is there and cannot be removed.
    pub(super) fn forget(&self) -> io::Result<bool> {
        match fs::remove_file(&self.file) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn remembered(token: &str) -> Remembered {
        Remembered {
            issuer: "https://id.example.com".to_owned(),
            client_id: "cli".to_owned(),
            scope: "openid".to_owned(),
            audience: None,
            refresh_token: token.to_owned(),
        }
    }

    #[test]
    fn it_is_private_whole_and_forgettable() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("state/login");
        let cache = Cache::new(&home, "https://id.example.com", "cli");
        assert!(cache.load().is_none());
        assert!(!cache.forget().unwrap());
        for token in ["one", "two"] {
            cache.store(&remembered(token)).unwrap();
            assert!(cache.load().unwrap() == remembered(token));
        }
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&cache.file), mode(&home)), (0o600, 0o700));
        assert_eq!(fs::read_dir(&home).unwrap().count(), 1, "no leftovers");
        assert!(cache.forget().unwrap());
        assert!(cache.load().is_none());
    }

    #[test]
    fn a_file_that_others_could_read_or_that_is_damaged_is_not_used() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::new(dir.path(), "https://id.example.com", "cli");
        cache.store(&remembered("one")).unwrap();
        fs::set_permissions(&cache.file, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(cache.load().is_none());
        fs::set_permissions(&cache.file, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(cache.load().is_some());
        fs::write(&cache.file, b"{").unwrap();
        assert!(cache.load().is_none());
    }

    #[test]
    fn each_issuer_and_client_has_a_file_of_its_own() {
        let file = |issuer, client| Cache::new(Path::new("x"), issuer, client).file;
        assert_ne!(file("https://a", "bc"), file("https://ab", "c"));
        assert_ne!(file("https://a", "b"), file("https://a", "c"));
        assert_eq!(file("https://a", "b"), file("https://a", "b"));
    }
}
