//! The demo's data directory: private, and gone with its handle.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// Longest directory in which the sockets still fit: an address of a Unix socket has at most
/// 107 bytes on Linux, 103 elsewhere.
const MAX_LEN: usize = 60;

/// A directory of mode 0700 that is removed when the value is dropped.
pub(super) struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// Makes it in the system's place for such things.
    ///
    /// # Errors
    /// It cannot be made.
    pub(super) fn make() -> io::Result<Self> {
        let name = format!("attach-demo-{:08x}", rand::random::<u32>());
        let mut path = std::env::temp_dir().join(&name);
        if path.as_os_str().len() > MAX_LEN {
            path = Path::new("/tmp").join(name);
        }
        // Not recursive: an existing directory, somebody else's perhaps, is an error.
        fs::DirBuilder::new().mode(0o700).create(&path).map_err(|error| {
            io::Error::new(error.kind(), format!("cannot make {}: {error}", path.display()))
        })?;
        Ok(Self { path })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "left behind");
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn it_is_private_and_leaves_nothing_behind() {
        let scratch = Scratch::make().unwrap();
        let path = scratch.path().to_owned();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        assert!(path.as_os_str().len() <= MAX_LEN);
        fs::write(path.join("file"), b"x").unwrap();
        drop(scratch);
        assert!(!path.exists());
    }
}
