//! `attach-gateway check`: one line a thing, with the fix where it is needed.

mod probes;
mod report;

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use crate::cli;
use crate::settings;

/// What `attach-gateway check` is told.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Add versions and the names of the settings, for a bug report; no secrets
    #[arg(long)]
    report: bool,
}

/// One thing: what is good about it, or what is wrong and what to do.
struct Line {
    thing: &'static str,
    outcome: Result<String, String>,
}

/// Checks everything and prints it.
pub(crate) async fn run(args: &Args) -> ExitCode {
    if args.report {
        print(&report::text());
    }
    let settings = match settings::from_environment() {
        Ok(settings) => settings,
        Err(faults) => {
            let outcome = Err(format!("{} to correct, listed on standard error", faults.0.len()));
            print(&Line { thing: "settings", outcome }.text());
            return cli::misconfigured(&faults);
        }
    };
    let lines = probes::all(&settings).await;
    for line in &lines {
        print(&line.text());
    }
    for warning in settings.warnings() {
        print(&format!("note  {warning}"));
    }
    if lines.iter().all(|line| line.outcome.is_ok()) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

impl Line {
    fn text(&self) -> String {
        let colour = std::io::stdout().is_terminal();
        let (mark, sgr, text) = match &self.outcome {
            Ok(text) => ("ok  ", "32", text),
            Err(text) => ("FAIL", "31", text),
        };
        let mark = if colour { format!("\x1b[{sgr}m{mark}\x1b[0m") } else { mark.to_owned() };
        format!("{mark}  {:<8}  {text}", self.thing)
    }
}

/// A reader that went away (`| head`) wants no more lines.
fn print(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
