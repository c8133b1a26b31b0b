//! Builds the filter for `wasm32-wasip1`, so that the launcher can embed it.
//!
//! `ATTACH_FILTER_WASM=<path>` embeds a ready-made file instead, for packagers.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

const TARGET: &str = "wasm32-wasip1";

fn main() -> ExitCode {
    match embed() {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            report(&format!("\nThe filter (attach_filter.wasm) could not be built.\n{problem}\n"));
            ExitCode::FAILURE
        }
    }
}

fn embed() -> Result<(), String> {
    let root = Path::new(&variable("CARGO_MANIFEST_DIR")?).join("..");
    for input in ["src", "Cargo.toml", "Cargo.lock", "rust-toolchain.toml"] {
        tell_cargo(&format!("rerun-if-changed={}", root.join(input).display()));
    }
    tell_cargo("rerun-if-changed=build.rs");
    tell_cargo("rerun-if-env-changed=ATTACH_FILTER_WASM");
    let out = PathBuf::from(variable("OUT_DIR")?);
    let wasm = match env::var_os("ATTACH_FILTER_WASM").filter(|path| !path.is_empty()) {
        Some(given) => {
            tell_cargo(&format!("rerun-if-changed={}", Path::new(&given).display()));
            PathBuf::from(given)
        }
        None => {
            have_standard_library(&root)?;
            build(&root, &target_directory(&out))?
        }
    };
    let bytes =
        fs::read(&wasm).map_err(|error| format!("cannot read {}: {error}", wasm.display()))?;
    let embedded = out.join("attach_filter.wasm");
    // An unchanged file is left alone, or everything that embeds it would be compiled again.
    if fs::read(&embedded).is_ok_and(|present| present == bytes) {
        return Ok(());
    }
    fs::write(&embedded, bytes)
        .map_err(|error| format!("cannot write {}: {error}", embedded.display()))
}

/// `rust-toolchain.toml` names the target, but a toolchain that is there already is not
/// completed by rustup.
fn have_standard_library(root: &Path) -> Result<(), String> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let asked = Command::new(&rustc)
        .args(["--print", "target-libdir", "--target", TARGET])
        .current_dir(root)
        .output();
    let asked =
        asked.map_err(|error| format!("cannot run {}: {error}", Path::new(&rustc).display()))?;
    let directory = String::from_utf8_lossy(&asked.stdout).trim().to_owned();
    if !directory.is_empty() && Path::new(&directory).is_dir() {
        return Ok(());
    }
    report(&format!("installing the Rust standard library for {TARGET}"));
    let way_out = format!(
        "Install it with `rustup target add {TARGET}`, or from your distribution, or set\n\
         ATTACH_FILTER_WASM to a ready-made attach_filter.wasm."
    );
    match Command::new("rustup").args(["target", "add", TARGET]).current_dir(root).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!(
            "The Rust standard library for {TARGET} is missing, and `rustup target add {TARGET}` failed ({status}).\n{way_out}"
        )),
        Err(error) => Err(format!(
            "The Rust standard library for {TARGET} is missing, and rustup cannot be run ({error}).\n{way_out}"
        )),
    }
}

fn build(root: &Path, target_directory: &Path) -> Result<PathBuf, String> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(["rustc", "--locked", "--profile", "filter", "--lib", "--target", TARGET])
        .args(["--crate-type", "cdylib", "--package", "attach-filter"])
        .arg("--manifest-path")
        .arg(root.join("Cargo.toml"))
        .current_dir(root);
    for (name, _) in env::vars_os() {
        if belongs_to_the_outer_build(&name) {
            command.env_remove(name);
        }
    }
    // Its own directory: the outer build holds the lock of the usual one.
    command.env("CARGO_TARGET_DIR", target_directory);
    match command.status() {
        Ok(status) if status.success() => {}
        Ok(status) => {
            return Err(format!(
                "cargo ended with {status}; its messages are above. Without network, run `cargo fetch --locked` once where there is one."
            ));
        }
        Err(error) => return Err(format!("cannot run cargo: {error}")),
    }
    Ok(target_directory.join(TARGET).join("filter").join("attach_filter.wasm"))
}

/// Flags, wrappers (clippy, coverage) and directories of the build that runs this script.
/// Settings for the network stay.
fn belongs_to_the_outer_build(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else { return false };
    name.ends_with("RUSTFLAGS")
        || name.starts_with("CARGO_PROFILE_")
        || matches!(
            name,
            "RUSTC"
                | "RUSTC_WORKSPACE_WRAPPER"
                | "RUSTC_LINKER"
                | "CARGO_BUILD_TARGET"
                | "CARGO_TARGET_DIR"
                | "CARGO_BUILD_BUILD_DIR"
        )
}

/// Shared by the outer build's profiles, so that the filter is built once for all of them.
fn target_directory(out: &Path) -> PathBuf {
    // Cargo marks the top of a target directory as a cache.
    let top = out.ancestors().filter(|path| path.join("CACHEDIR.TAG").is_file()).last();
    top.unwrap_or(out).join("attach-filter")
}

fn variable(name: &str) -> Result<String, String> {
    env::var(name).map_err(|error| format!("{name}: {error}; this script is run by cargo"))
}

#[allow(clippy::print_stdout)] // how a build script speaks to cargo
fn tell_cargo(line: &str) {
    println!("cargo::{line}");
}

#[allow(clippy::print_stderr)] // how a build script speaks to people
fn report(line: &str) {
    eprintln!("{line}");
}
