//! `demo --tour`: plays the main job over real HTTP and tells what it saw.

mod chat;
mod memory;
mod report;
mod steps;

use std::io::{self, Write};
use std::time::Duration;

use reqwest::Client;

use self::report::Report;
use super::guide::About;
use super::issuer::{Claims, Issuer};

/// Under which name the tour signs in.
const USER: &str = "tour-guide";
/// How long memory may take to show an exchange.
const MEMORY_PATIENCE: Duration = Duration::from_secs(5);
/// Time between two looks into memory.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// What the tour visits.
pub(super) struct Tour<'a> {
    pub(super) about: &'a About,
    pub(super) issuer: &'a Issuer,
    /// Follows no redirects, and waits as long as a slow engine needs.
    pub(super) client: &'a Client,
}

/// A step that did not hold, and why.
type Fault = String;

impl Tour<'_> {
    /// Plays every step, the later ones too if one fails. `true`: all held.
    ///
    /// # Errors
    /// Nobody takes the output.
    pub(super) async fn play(&self, out: impl Write) -> io::Result<bool> {
        let marker = marker();
        let mut report = Report::new(out);
        report
            .step("a request without a token is refused", async |saw| self.no_token(saw).await)
            .await?;
        report.step("a forged token is refused", async |saw| self.forged(saw).await).await?;
        let mut token = None;
        report
            .step("a person signs in by the device flow", async |saw| {
                token = Some(self.sign_in(saw).await?);
                Ok(())
            })
            .await?;
        // A failed sign-in is reported; what follows can be seen with a token made directly.
        let made = || self.issuer.token(&Claims::of(USER)).unwrap_or_default();
        let token = token.unwrap_or_else(made);
        report
            .step("a chat is streamed as it is made", async |saw| {
                self.chat(saw, &token, &marker).await
            })
            .await?;
        if self.has_tasks() {
            report.step("a task is answered", async |saw| self.task(saw, &token).await).await?;
        } else {
            report.skip("a task is answered", "this engine has no /api/chat, where tasks go")?;
        }
        report
            .step("the chat is found again in memory", async |saw| {
                self.memory(saw, &token, &marker).await
            })
            .await?;
        report
            .step("a client cannot say who it is", async |saw| self.spoof(saw, &token).await)
            .await?;
        report.end()
    }
}

/// A word that is in no other exchange, and that nothing takes for a secret.
fn marker() -> String {
    let mut rest = rand::random::<u32>();
    let mut word = String::from("lantern");
    for _ in 0..6 {
        let letter = u8::try_from(rest % 26).unwrap_or_default();
        word.push(char::from(b'a'.saturating_add(letter)));
        rest /= 26;
    }
    word
}
