//! The subcommand: settings in, token to stdout, everything else to stderr.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use super::{Login, Options, Prompt as _, Stderr, SystemTimer};
use crate::{http, settings};

/// Longest wait for one answer of the issuer.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Sign in and print a token.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Args {
    /// Keep the refresh token (file mode 0600), so that next time nobody is asked
    #[arg(long)]
    pub remember: bool,
    /// Forget what --remember kept for this issuer and client, and do nothing else
    #[arg(long, conflicts_with = "remember")]
    pub forget: bool,
}

/// Signs in with the settings of this process; prints the token alone to stdout.
///
/// 0: done; 2: the settings cannot work; 1: anything else.
pub async fn run(args: Args) -> ExitCode {
    let settings = match settings::login_from_environment() {
        Ok(settings) => settings,
        Err(faults) => return failed(ExitCode::from(2), &faults.to_string()),
    };
    let client = match http::client(settings.ca_file.as_deref(), TIMEOUT) {
        Ok(client) => client,
        Err(error) => return failed(ExitCode::from(2), &format!("OIDC_CA_FILE: {error}")),
    };
    let options = Options {
        issuer: settings.issuer,
        client_id: settings.client_id,
        client_secret: settings.client_secret,
        scopes: settings.scopes,
        audience: settings.audiences.into_iter().next(),
        cache: cache_dir(|name| std::env::var_os(name)),
        remember: args.remember,
    };
    let timer = SystemTimer::start();
    let login = Login { client: &client, options: &options, timer: &timer, prompt: &Stderr };
    if args.forget {
        return match login.forget() {
            Ok(true) => said("Forgotten."),
            Ok(false) => said("Nothing was remembered for this issuer and client."),
            Err(error) => failed(ExitCode::FAILURE, &format!("cannot forget: {error}")),
        };
    }
    match login.run().await {
        Ok(outcome) => match writeln!(std::io::stdout(), "{}", outcome.token()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => failed(ExitCode::FAILURE, &format!("cannot print the token: {error}")),
        },
        Err(error) => failed(error.exit_code(), &error.to_string()),
    }
}

fn said(text: &str) -> ExitCode {
    Stderr.note(text);
    ExitCode::SUCCESS
}

fn failed(code: ExitCode, text: &str) -> ExitCode {
    Stderr.note(&format!("attach-gateway login: {text}"));
    code
}

/// `login` in the data directory of this user, whatever gateway runs elsewhere.
fn cache_dir(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    // XDG Base Directory Specification: relative paths are ignored.
    let state = || set("XDG_STATE_HOME").filter(|path| path.is_absolute());
    let home = || Some(set("HOME")?.join(".local/state"));
    let data = set("ATTACH_DATA_DIR")
        .or_else(|| state().or_else(home).map(|state| state.join("attach-gateway")));
    Some(data?.join("login"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::type_complexity)] // tables

    use std::path::Path;

    use super::*;

    #[test]
    fn sign_ins_are_remembered_in_the_users_own_directory() {
        let rows: [(&[(&str, &str)], Option<&str>); 5] = [
            (&[("HOME", "/h")], Some("/h/.local/state/attach-gateway/login")),
            (&[("HOME", "/h"), ("XDG_STATE_HOME", "/s")], Some("/s/attach-gateway/login")),
            (
                &[("HOME", "/h"), ("XDG_STATE_HOME", "s")],
                Some("/h/.local/state/attach-gateway/login"),
            ),
            (&[("HOME", "/h"), ("ATTACH_DATA_DIR", "/d")], Some("/d/login")),
            (&[], None),
        ];
        for (vars, expected) in rows {
            let variable = |name: &str| {
                vars.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into())
            };
            assert_eq!(cache_dir(variable).as_deref(), expected.map(Path::new), "{vars:?}");
        }
    }
}
