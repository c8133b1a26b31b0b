#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod habits;
mod scripted;

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::*;
use crate::demo::issuer::Issuer;
use crate::demo::issuer::visitor::{Press, visit};
use crate::demo::testing::{self, HandClock};

/// Somebody in front of the terminal, in a world where waiting takes no time: acts during
/// the given pause between two polls.
struct Person {
    clock: HandClock,
    acts: Option<(usize, Press<'static>)>,
    pauses: Mutex<Vec<Duration>>,
    shown: Mutex<Option<Code>>,
    notes: Mutex<Vec<String>>,
    codes: AtomicUsize,
}

impl Person {
    fn new(clock: &HandClock, acts: Option<(usize, Press<'static>)>) -> Self {
        Self {
            clock: clock.clone(),
            acts,
            pauses: Mutex::default(),
            shown: Mutex::default(),
            notes: Mutex::default(),
            codes: AtomicUsize::new(0),
        }
    }

    fn pauses(&self) -> Vec<u64> {
        self.pauses.lock().unwrap().iter().map(Duration::as_secs).collect()
    }

    fn notes(&self) -> String {
        self.notes.lock().unwrap().join("\n")
    }

    fn codes(&self) -> usize {
        self.codes.load(Ordering::SeqCst)
    }

    async fn signs_in(&self, options: &Options) -> Result<Outcome, Error> {
        let client = testing::client();
        Login { client: &client, options, timer: self, prompt: self }.run().await
    }
}

impl Timer for Person {
    fn now(&self) -> Duration {
        self.clock.now()
    }

    async fn sleep(&self, duration: Duration) {
        let pause = {
            let mut pauses = self.pauses.lock().unwrap();
            pauses.push(duration);
            pauses.len()
        };
        let complete = self.shown.lock().unwrap().clone().and_then(|code| code.complete);
        if let Some((when, press)) = self.acts
            && when == pause
        {
            visit(&testing::client(), &complete.unwrap(), press).await.unwrap();
        }
        self.clock.advance(duration);
    }
}

impl Prompt for Person {
    fn show(&self, code: &Code) {
        self.codes.fetch_add(1, Ordering::SeqCst);
        *self.shown.lock().unwrap() = Some(code.clone());
    }

    fn note(&self, text: &str) {
        self.notes.lock().unwrap().push(text.to_owned());
    }
}

fn options(issuer: &str) -> Options {
    Options {
        issuer: issuer.to_owned(),
        client_id: "attach-cli".to_owned(),
        client_secret: None,
        scopes: vec!["chat:run".to_owned()],
        audience: None,
        cache: None,
        remember: false,
    }
}

fn remembering(issuer: &Issuer, dir: &Path) -> Options {
    Options { cache: Some(dir.to_owned()), remember: true, ..options(issuer.url()) }
}

fn claims(outcome: &Outcome) -> Value {
    use base64::Engine as _;
    let payload = outcome.token().split('.').nth(1).unwrap();
    let engine = base64::engine::general_purpose::URL_SAFE_NO_PAD;
    serde_json::from_slice(&engine.decode(payload).unwrap()).unwrap()
}

const ALICE: Press<'static> = Press::SignIn("alice");

#[tokio::test]
async fn somebody_signs_in() {
    let clock = HandClock::new();
    let issuer = testing::issuer(&clock).await;
    let person = Person::new(&clock, Some((3, ALICE)));
    let outcome = person.signs_in(&options(issuer.url())).await.unwrap();
    let claims = claims(&outcome);
    assert_eq!((&claims["sub"], &claims["aud"]), (&json!("alice"), &json!("attach")));
    assert_eq!(claims["scope"], "openid chat:run");
    assert_eq!(person.pauses(), [2, 2, 2]);
    assert_eq!(person.notes(), "");
    let code = person.shown.lock().unwrap().clone().unwrap();
    assert_eq!(code.address, format!("{}/device", issuer.url()));
}

#[tokio::test]
async fn the_audience_and_a_secret_go_along() {
    let clock = HandClock::new();
    let issuer = testing::issuer_with(&clock, |config| {
        config.clients.insert("web".to_owned(), Some("s&:é".to_owned()));
    })
    .await;
    let person = Person::new(&clock, Some((1, ALICE)));
    let options = Options {
        client_id: "web".to_owned(),
        client_secret: Some(Secret("s&:é".to_owned())),
        audience: Some("https://api.example.com".to_owned()),
        ..options(issuer.url())
    };
    let claims = claims(&person.signs_in(&options).await.unwrap());
    assert_eq!(claims["aud"], "https://api.example.com");
    assert_eq!(claims["client_id"], "web");
}

#[tokio::test]
async fn refusals_say_what_to_do() {
    let clock = HandClock::new();
    let issuer =
        testing::issuer_with(&clock, |config| config.code_lifetime = Duration::from_secs(9)).await;
    let url = issuer.url().to_owned();
    let nowhere = "http://127.0.0.1:1".to_owned();
    let deny = Some((1, Press::Deny));
    let client = |id: &str| Options { client_id: id.to_owned(), ..options(&url) };
    let scope = |s: &str| Options { scopes: vec![s.to_owned()], ..options(&url) };
    let rows = [
        ("denied", options(&url), deny, "denied"),
        ("nobody came", options(&url), None, "expired"),
        ("unknown client", client("nobody"), None, "OIDC_CLIENT_ID"),
        ("unknown scope", scope("root"), None, "OIDC_SCOPES"),
        ("other spelling", options(&format!("{url}/")), None, "OIDC_ISSUER"),
        ("not an issuer", options(&format!("{url}/jwks")), None, "OIDC_ISSUER"),
        ("nobody there", options(&nowhere), None, "OIDC_ISSUER"),
        ("plain http", options("http://id.example.com"), None, "https"),
        ("not an address", options("id.example.com"), None, "OIDC_ISSUER"),
    ];
    for (name, options, acts, expected) in rows {
        let person = Person::new(&clock, acts);
        let text = person.signs_in(&options).await.unwrap_err().to_string();
        assert!(text.contains(expected), "{name}: {text}");
    }
    let person = Person::new(&clock, None);
    assert!(matches!(person.signs_in(&options(&url)).await, Err(Error::Expired)));
    assert_eq!(person.pauses(), [2, 2, 2, 2, 1], "gives up when the code is too old");
}

#[tokio::test]
async fn a_remembered_sign_in_asks_nobody() {
    let clock = HandClock::new();
    let issuer = testing::issuer(&clock).await;
    let dir = tempfile::tempdir().unwrap();
    let options = remembering(&issuer, dir.path());
    let first = Person::new(&clock, Some((1, ALICE)));
    first.signs_in(&options).await.unwrap();
    assert_eq!(first.codes(), 1);
    // Twice, because the token rotates; and without --remember, which uses what is there.
    for remember in [true, true, false, true] {
        let later = Person::new(&clock, None);
        let options = Options { remember, ..options.clone() };
        let outcome = later.signs_in(&options).await.unwrap();
        assert_eq!((claims(&outcome)["sub"].as_str(), later.codes()), (Some("alice"), 0));
    }
}

#[tokio::test]
async fn what_no_longer_works_is_asked_anew() {
    let clock = HandClock::new();
    let dir = tempfile::tempdir().unwrap();
    let port = {
        let issuer = testing::issuer(&clock).await;
        let options = remembering(&issuer, dir.path());
        Person::new(&clock, Some((1, ALICE))).signs_in(&options).await.unwrap();
        let addr = issuer.addr();
        issuer.stop().await;
        addr
    };
    // The same issuer, which has lost its memory.
    let issuer = testing::issuer_with(&clock, |config| config.listen = port).await;
    let options = remembering(&issuer, dir.path());
    let person = Person::new(&clock, Some((1, Press::SignIn("bob"))));
    let outcome = person.signs_in(&options).await.unwrap();
    assert_eq!((claims(&outcome)["sub"].as_str(), person.codes()), (Some("bob"), 1));
    assert!(person.notes().contains("invalid_grant"), "{}", person.notes());

    // Another scope or audience than the remembered one starts anew, too.
    let other = Options { audience: Some("other".to_owned()), ..options.clone() };
    let person = Person::new(&clock, Some((1, ALICE)));
    let outcome = person.signs_in(&other).await.unwrap();
    assert_eq!((claims(&outcome)["aud"].as_str(), person.codes()), (Some("other"), 1));

    let client = testing::client();
    let login = Login { client: &client, options: &options, timer: &person, prompt: &person };
    assert!(login.forget().unwrap());
    assert!(!login.forget().unwrap());
}

#[tokio::test]
async fn nothing_is_written_without_being_asked_to() {
    let clock = HandClock::new();
    let issuer = testing::issuer(&clock).await;
    let dir = tempfile::tempdir().unwrap();
    let options = Options { remember: false, ..remembering(&issuer, dir.path()) };
    Person::new(&clock, Some((1, ALICE))).signs_in(&options).await.unwrap();
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn offline_access_is_asked_for_only_to_remember() {
    let scope = |remember, scopes: &[&str]| {
        let scopes = scopes.iter().map(|&s| s.to_owned()).collect();
        Options { remember, scopes, ..options("https://id.example.com") }.scope()
    };
    assert_eq!(scope(false, &["chat:run"]), "openid chat:run");
    assert_eq!(scope(true, &["chat:run", "openid"]), "openid offline_access chat:run");
    assert_eq!(scope(false, &[]), "openid");
}
