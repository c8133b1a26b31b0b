//! `attach-gateway demo`: the whole product on loopback, with an issuer and an engine of its
//! own.

pub mod engine;
mod guide;
pub mod issuer;
mod plan;
mod probe;
mod scratch;
pub(crate) mod server;
mod stage;
#[cfg(test)]
pub(crate) mod testing;
mod tour;

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use reqwest::Client;
use tokio::signal::unix::{Signal, SignalKind, signal};

use self::issuer::Claims;
use self::stage::{Stage, StageError};
use self::tour::Tour;

/// Longest answer of an engine that the tour waits for.
const PATIENCE: Duration = Duration::from_secs(300);

/// Run the gateway with an issuer and, if you have none, an engine of its own.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Args {
    /// Play the main job, print each step with what it saw, and end
    #[arg(long)]
    pub tour: bool,
}

/// Runs the demo until Ctrl-C, or the tour until its end.
///
/// 0: ended as asked, and every step of a tour held; 2: a setting is wrong; 1: anything else.
pub async fn run(args: Args) -> ExitCode {
    match play(&args).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&error.to_string());
            match error {
                StageError::Settings(_) => ExitCode::from(2),
                _ => ExitCode::FAILURE,
            }
        }
    }
}

async fn play(args: &Args) -> Result<bool, StageError> {
    // From the first moment on, so that a start that is interrupted cleans up as well.
    let mut ends = Ends::listen()?;
    let client = loopback_client(PATIENCE).map_err(|e| StageError::Http(e.to_string()))?;
    let stage = tokio::select! {
        stage = Stage::set(std::env::vars_os(), &client, &say) => stage?,
        // Somebody who interrupts a start has what they wanted; a tour has not held.
        () = ends.next() => return Ok(!args.tour),
    };
    let done = if args.tour {
        let tour = Tour { about: &stage.about, issuer: &stage.issuer, client: &client };
        tokio::select! {
            held = visit(&tour) => held,
            () = ends.next() => Ok(false),
        }
    } else {
        let shown = show(&stage);
        if shown.is_ok() {
            ends.next().await;
            say("ending");
        }
        shown.map(|()| true)
    };
    // A second Ctrl-C is for those who will not wait: dropping the stage ends it at once.
    tokio::select! {
        () = stage.strike() => {}
        () = ends.next() => {}
    }
    Ok(done?)
}

async fn visit(tour: &Tour<'_>) -> io::Result<bool> {
    let mut out = io::stdout();
    writeln!(out, "\nA tour of Attach Gateway\n\n{}", tour.about.parts())?;
    tour.play(out).await
}

fn show(stage: &Stage) -> io::Result<()> {
    // Signing with a key that has signed before does not fail.
    let token = stage.issuer.token(&Claims::default()).map_err(io::Error::other)?;
    let mut out = io::stdout();
    write!(
        out,
        "\nAttach Gateway is running. Ctrl-C ends it and leaves nothing behind.\n\n{}\n\
         Paste these into another terminal:\n\n{}\n",
        stage.about.parts(),
        stage.about.commands(&token)
    )?;
    out.flush()
}

/// Progress goes to stderr; nobody is left to tell if that is gone.
fn say(text: &str) {
    let _ = writeln!(io::stderr(), "demo: {text}");
}

/// A client that follows no redirects and uses no proxy, whatever the environment says.
fn loopback_client(timeout: Duration) -> reqwest::Result<Client> {
    // The provider is chosen once a process; whoever came first may have chosen.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    builder.timeout(timeout).build()
}

/// The signals that end a demo.
struct Ends {
    interrupt: Signal,
    terminate: Signal,
}

impl Ends {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
