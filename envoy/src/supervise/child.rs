//! Children that do not outlive the launcher.
//!
//! Every child is started through `attach-gateway child`, which asks the kernel for a signal
//! when its parent dies and then becomes the child. So even `kill -9` of the launcher leaves
//! no Envoy behind that holds the port. (Setting this in the child between fork and exec
//! would need unsafe code.) The kernel watches the thread that forked; ours live as long as
//! the runtime.

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

/// What `attach-gateway child` is told.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The process whose death ends the child.
    #[arg(long)]
    parent: u32,
    /// The program to become, and its arguments.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
    program: Vec<OsString>,
}

/// Becomes the program; returns only if that fails.
///
/// # Errors
/// The program cannot be run, or the parent is gone already.
pub fn become_child(args: &Args) -> io::Error {
    if let Err(error) = die_with_parent(args.parent) {
        return error;
    }
    match args.program.split_first() {
        Some((program, rest)) => std::process::Command::new(program).args(rest).exec(),
        None => io::Error::from(io::ErrorKind::InvalidInput),
    }
}

#[cfg(target_os = "linux")]
fn die_with_parent(parent: u32) -> io::Result<()> {
    use rustix::process::{Signal, getppid, set_parent_process_death_signal};
    set_parent_process_death_signal(Some(Signal::TERM))?;
    // It may have died before the kernel was asked.
    let now = getppid().map(|pid| pid.as_raw_nonzero().get());
    if now.and_then(|pid| u32::try_from(pid).ok()) == Some(parent) {
        Ok(())
    } else {
        Err(io::Error::other("the launcher is gone"))
    }
}

#[cfg(not(target_os = "linux"))]
fn die_with_parent(_: u32) -> io::Result<()> {
    Ok(())
}

/// A program of ours: how it is started every time.
#[derive(Clone, PartialEq)]
pub(crate) struct Program {
    /// The launcher's own program, which becomes the child.
    pub launcher: PathBuf,
    pub program: PathBuf,
    pub args: Vec<OsString>,
    /// Replaces the settings in the inherited environment.
    pub environment: Vec<(&'static str, OsString)>,
    /// Where its output goes; to the launcher's own if none.
    pub log: Option<PathBuf>,
    /// Removed before every start: Envoy does not replace a socket that a killed one left.
    pub stale: Option<PathBuf>,
}

/// Its environment holds secrets.
impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program").field("program", &self.program).finish_non_exhaustive()
    }
}

impl Program {
    /// Starts it once.
    pub(crate) fn spawn(&self) -> io::Result<tokio::process::Child> {
        if let Some(stale) = &self.stale {
            let _ = std::fs::remove_file(stale);
        }
        let mut command = Command::new(&self.launcher);
        command.arg("child").arg("--parent").arg(std::process::id().to_string()).arg("--");
        command.arg(&self.program).args(&self.args).stdin(Stdio::null()).kill_on_drop(true);
        // Ctrl-C goes to the whole foreground group; children must drain, not die of it.
        command.process_group(0);
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(crate::settings::is_of_our_families) {
                command.env_remove(name);
            }
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        if let Some(log) = &self.log {
            command.stdout(append(log)?).stderr(append(log)?);
        }
        command.spawn()
    }
}

fn append(path: &Path) -> io::Result<File> {
    File::options().create(true).append(true).open(path)
}
