//! Where the service listens: a private Unix socket, or TCP.

use std::fs::{self, DirBuilder, Permissions};
use std::future::Future;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use axum::Router;
use tokio::net::{TcpListener, UnixListener, UnixStream};

use crate::settings::Listen;

use super::Error;

/// Longest path of a Unix socket on Linux, without the final NUL.
const LONGEST: usize = 107;

/// A bound listener.
#[derive(Debug)]
pub(super) enum Listener {
    Unix(UnixListener, PathBuf),
    Tcp(TcpListener),
}

// === impl Listener ===

impl Listener {
    pub(super) async fn bind(listen: &Listen) -> Result<Self, Error> {
        match listen {
            Listen::Unix(path) => {
                let socket = unix(path).await.map_err(|reason| Error::Listen {
                    address: format!("unix:{}", path.display()),
                    reason,
                })?;
                Ok(Self::Unix(socket, path.clone()))
            }
            Listen::Tcp(address) => TcpListener::bind(address)
                .await
                .map(Self::Tcp)
                .map_err(|reason| Error::Listen { address: address.clone(), reason }),
        }
    }

    pub(super) fn address(&self) -> String {
        match self {
            Self::Unix(_, path) => format!("unix:{}", path.display()),
            Self::Tcp(listener) => {
                listener.local_addr().map_or_else(|_| "?".into(), |address| address.to_string())
            }
        }
    }

    pub(super) async fn serve(
        self,
        routes: Router,
        graceful: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        match self {
            Self::Unix(socket, path) => {
                let served = axum::serve(socket, routes).with_graceful_shutdown(graceful).await;
                // Nobody listens any more; a file that stays is replaced at the next start.
                let _ = fs::remove_file(path);
                served
            }
            Self::Tcp(socket) => axum::serve(socket, routes).with_graceful_shutdown(graceful).await,
        }
    }
}

/// Binds in a directory of our own and moves the socket into place: it is private from its first
/// moment, and takes the place of a stale one without a gap.
async fn unix(path: &Path) -> io::Result<UnixListener> {
    let invalid = |text: &str| io::Error::new(io::ErrorKind::InvalidInput, text);
    let parent = path.parent().ok_or_else(|| invalid("the path has no directory"))?;
    DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
    match fs::symlink_metadata(path) {
        Ok(known) if !known.file_type().is_socket() => {
            return Err(invalid(
                "there is a file that is no socket; remove it or give another path",
            ));
        }
        Ok(_) if UnixStream::connect(path).await.is_ok() => {
            let text = "a running service listens there; stop it or give another path";
            return Err(io::Error::new(io::ErrorKind::AddrInUse, text));
        }
        _ => {}
    }
    let private = parent.join(format!(".m{}", std::process::id()));
    let hidden = private.join("s");
    if path.as_os_str().len().max(hidden.as_os_str().len()) > LONGEST {
        return Err(invalid(
            "the path is too long for a Unix socket (107 bytes); give a shorter one",
        ));
    }
    // Left over by a process that had our number.
    let _ = fs::remove_dir_all(&private);
    DirBuilder::new().mode(0o700).create(&private)?;
    let bound = bind_and_move(&hidden, path);
    let _ = fs::remove_dir_all(&private);
    bound
}

fn bind_and_move(hidden: &Path, path: &Path) -> io::Result<UnixListener> {
    let socket = UnixListener::bind(hidden)?;
    fs::set_permissions(hidden, Permissions::from_mode(0o600))?;
    fs::rename(hidden, path)?;
    Ok(socket)
}
