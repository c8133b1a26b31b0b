//! Finds an Envoy that can run the filter, or installs one.
//!
//! In this order: `ATTACH_ENVOY`, `envoy` on `PATH`, the launcher's cache, an installation
//! into that cache.

mod install;
#[cfg(test)]
mod tests;
mod version;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

pub use install::InstallError;
pub use version::Version;

/// The version that the launcher installs when it finds none.
pub const PINNED: &str = "1.40.0";

/// The oldest version that the filter and the bootstrap are tested with.
pub const OLDEST: Version = Version { major: 1, minor: 36, patch: 0 };

/// A program that said that it is Envoy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvoyBinary {
    /// Where it is.
    pub path: PathBuf,
    /// What it said.
    pub version: Version,
}

/// Where to look.
#[derive(Clone, Debug, Default)]
pub struct FindOptions {
    /// `ATTACH_ENVOY`.
    pub configured: Option<PathBuf>,
    /// `PATH`.
    pub search: Option<OsString>,
    /// The directory for installed Envoys; none if there is no HOME.
    pub cache: Option<PathBuf>,
    /// Install if nothing was found.
    pub install: bool,
}

/// Why there is no Envoy.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// A program that is there but cannot be used.
    #[error("{origin}: {} {problem}", path.display())]
    Unusable {
        /// The setting or place it came from.
        origin: &'static str,
        /// The program.
        path: PathBuf,
        /// What was seen and what to do.
        problem: String,
    },
    /// None is there, and installing was not asked for.
    #[error("no Envoy was found: set ATTACH_ENVOY, or put `envoy` on PATH")]
    Missing,
    /// None is there, and there is no place to install one.
    #[error(
        "no Envoy was found, and there is neither XDG_CACHE_HOME nor HOME to install one under: set ATTACH_ENVOY or HOME"
    )]
    NoCache,
    /// None is there, and installing one failed.
    #[error("no Envoy was found, and installing {PINNED} failed: {0}")]
    Install(#[from] InstallError),
}

impl FindOptions {
    /// This process's `PATH` and cache directory; installs if need be.
    #[must_use]
    pub fn from_environment(configured: Option<PathBuf>) -> Self {
        let directory = |name: &str| std::env::var_os(name).map(PathBuf::from);
        // XDG Base Directory Specification: relative paths in these variables are ignored.
        let cache = directory("XDG_CACHE_HOME")
            .filter(|path| path.is_absolute())
            .or_else(|| Some(directory("HOME").filter(|path| path.is_absolute())?.join(".cache")));
        Self {
            configured,
            search: std::env::var_os("PATH"),
            cache: cache.map(|cache| cache.join("attach-gateway")),
            install: true,
        }
    }
}

/// Finds Envoy, installing it if `options` say so.
///
/// # Errors
/// A program that was named or comes first on `PATH` but cannot be used is an error, never
/// skipped: whoever put it there would not know what runs.
pub async fn find(options: &FindOptions) -> Result<EnvoyBinary, FindError> {
    if let Some(path) = &options.configured {
        return examine("ATTACH_ENVOY", path).await;
    }
    if let Some(path) = on_path(options.search.as_ref()) {
        return examine("PATH", &path).await;
    }
    let Some(cache) = &options.cache else {
        return Err(if options.install { FindError::NoCache } else { FindError::Missing });
    };
    let cached = cache.join(format!("envoy-{PINNED}")).join("envoy");
    if !cached.is_file() {
        if !options.install {
            return Err(FindError::Missing);
        }
        install::install(cache, &cached).await?;
    }
    examine("the launcher's cache", &cached).await
}

fn on_path(search: Option<&OsString>) -> Option<PathBuf> {
    std::env::split_paths(search?).map(|dir| dir.join("envoy")).find(|path| is_program(path))
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

async fn examine(origin: &'static str, path: &Path) -> Result<EnvoyBinary, FindError> {
    // Children are started through a wrapper, from another working directory perhaps.
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let unusable = |problem| FindError::Unusable { origin, path: path.clone(), problem };
    let version = version::ask(&path).await.map_err(|error| unusable(error.to_string()))?;
    if version < OLDEST {
        let way_out = match origin {
            "PATH" => {
                "name a newer one with ATTACH_ENVOY, or take it off PATH to let the launcher install its own"
            }
            _ => "set ATTACH_ENVOY to a newer one, or unset it to let the launcher install its own",
        };
        let oldest = format!("{}.{}", OLDEST.major, OLDEST.minor);
        return Err(unusable(format!(
            "is version {version}, {oldest} or newer is needed; {way_out}"
        )));
    }
    Ok(EnvoyBinary { path, version })
}
