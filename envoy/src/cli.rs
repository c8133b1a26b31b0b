//! The command line. Exit codes: 0 done, 2 bad usage or configuration, 1 anything else.

use std::fmt::Display;
use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use crate::envoy_binary::{self, FindOptions};
use crate::settings::{self, Faults, Settings};
use crate::supervise::{self, ChildArgs, End};
use crate::{check, demo, login, mirror, render};

/// Puts sign-in, identity and memory in front of a language model engine.
///
/// Settings are environment variables (OIDC_ISSUER, OIDC_AUD, ENGINE_URL, ...) or keys of the
/// YAML file that ATTACH_CONFIG names; `attach-gateway run --help` lists them.
#[derive(Debug, Parser)]
#[command(name = "attach-gateway", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Try it: a gateway with an identity provider and an engine of its own, until Ctrl-C
    Demo(demo::Args),
    /// Run the gateway in the foreground
    ///
    /// SIGTERM or Ctrl-C drains: running requests finish and what was captured is stored; a
    /// second one ends at once. SIGHUP reads the settings again.
    #[command(after_long_help = settings::help())]
    Run,
    /// Print the Envoy bootstrap that `run` would use, for an Envoy of your own
    Render(render::Args),
    /// Say line by line what is usable and what is not
    Check(check::Args),
    /// Sign in by the device flow and print the token
    Login(login::Args),
    /// Run the mirror-service alone
    Mirror(mirror::Args),
    /// Become another program that ends when the launcher does
    #[command(hide = true)]
    Child(ChildArgs),
}

/// Bad usage or configuration.
const EXIT_USAGE: u8 = 2;

/// Reads the command line and does what it says.
#[must_use]
pub fn main() -> ExitCode {
    match Cli::parse().command {
        // These two have no runtime of ours: one becomes another program, one has its own.
        Command::Child(args) => fail(supervise::become_child(&args)),
        Command::Mirror(args) => mirror::main(args),
        command => {
            start_logging();
            match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
                Ok(runtime) => runtime.block_on(dispatch(command)),
                Err(error) => fail(error),
            }
        }
    }
}

async fn dispatch(command: Command) -> ExitCode {
    match command {
        Command::Demo(args) => demo::run(args).await,
        Command::Login(args) => login::run(args).await,
        Command::Check(args) => check::run(&args).await,
        Command::Run => with_settings(run).await,
        Command::Render(args) => {
            with_settings(async |settings| render::run(&settings, &args)).await
        }
        Command::Child(_) | Command::Mirror(_) => ExitCode::FAILURE,
    }
}

async fn with_settings(then: impl AsyncFnOnce(Settings) -> ExitCode) -> ExitCode {
    match settings::from_environment() {
        Ok(settings) => then(settings).await,
        Err(faults) => misconfigured(&faults),
    }
}

async fn run(settings: Settings) -> ExitCode {
    // Secrets and sockets in the data directory are for this user alone, whatever the shell's
    // habits are.
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    let envoy =
        match envoy_binary::find(&FindOptions::from_environment(settings.envoy.clone())).await {
            Ok(envoy) => envoy,
            Err(error) => return fail(error),
        };
    let launcher = match std::env::current_exe() {
        Ok(launcher) => launcher,
        Err(error) => return fail(error),
    };
    match supervise::run(settings, envoy, launcher).await {
        Ok(End::Drained) => ExitCode::SUCCESS,
        Ok(End::Forced) => fail("ended at once by a second signal; running requests were cut"),
        Err(error) => fail(error),
    }
}

fn start_logging() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    // Standard output carries the access log, tokens of `login` and bootstraps of `render`.
    tracing_subscriber::fmt()
        .with_ansi(std::io::stderr().is_terminal())
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .init();
}

/// Every fault on its line; exit 2.
pub(crate) fn misconfigured(faults: &Faults) -> ExitCode {
    say(format_args!("{faults}"));
    ExitCode::from(EXIT_USAGE)
}

/// The error; exit 1.
pub(crate) fn fail(error: impl Display) -> ExitCode {
    say(format_args!("attach-gateway: {error}"));
    ExitCode::FAILURE
}

/// To people, on stderr. If nobody can read it, there is nobody to tell.
fn say(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }
}
