//! Every row of `tests/data/corpus.json`: a token, and what must be said of it.

use attach_filter::auth::{Authenticator, FetchOutcome, HostVerifier, NoHost, UnixMillis, Verdict};
use attach_filter::config::Config;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

use crate::proxy::{Boring, Shared};

const CORPUS: &str = include_str!("../data/corpus.json");

#[derive(Deserialize)]
pub(crate) struct Corpus {
    pub(crate) now_ms: u64,
    config: serde_json::Value,
    pub(crate) key_sets: BTreeMap<String, String>,
    pub(crate) rows: Vec<Row>,
}

#[derive(Deserialize)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) token: String,
    pub(crate) verdict: String,
    pub(crate) now_ms: Option<u64>,
}

impl Corpus {
    pub(crate) fn read() -> Self {
        serde_json::from_str(CORPUS).unwrap()
    }

    /// With the keys of every issuer that has some.
    pub(crate) fn authenticator(&self) -> Authenticator {
        let config = Config::parse(self.config.to_string().as_bytes()).unwrap();
        let mut authenticator = Authenticator::new(&config, 1).unwrap();
        let now = UnixMillis(self.now_ms);
        let mut shared = Shared::default();
        assert!(authenticator.poll(now, &mut shared).is_empty());
        self.fetch(&mut authenticator, &mut shared);
        // Nor do tokens with unknown keys wait, once their issuers were asked again.
        for row in &self.rows {
            authenticator.authenticate(row.token.as_bytes(), now, &NoHost);
        }
        self.fetch(&mut authenticator, &mut shared);
        authenticator
    }

    fn fetch(&self, authenticator: &mut Authenticator, shared: &mut Shared) {
        let now = UnixMillis(self.now_ms);
        for fetch in authenticator.poll(now, shared) {
            let issuer = format!("https://{}", fetch.authority);
            let Some(keys) = self.key_sets.get(&issuer) else { continue };
            let body = keys.as_bytes();
            let answer = FetchOutcome::Response { status: 200, cache_control: None, body };
            assert!(authenticator.fetched(fetch.id, answer, now, shared).is_empty());
        }
    }
}

/// As the corpus writes it.
pub(crate) fn text(verdict: &Verdict) -> String {
    use attach_filter::auth::Denial;
    match verdict {
        Verdict::Accepted(id) => {
            format!(
                "accepted user={} agent={} scope={}",
                id.user(),
                id.agent().unwrap_or("-"),
                id.scope()
            )
        }
        Verdict::Denied(Denial::InvalidToken(why)) => format!("invalid_token: {why}"),
        Verdict::Denied(other) => format!("{other:?}"),
        Verdict::Pending => "pending".to_owned(),
    }
}

fn run(host: &dyn HostVerifier) {
    let corpus = Corpus::read();
    let mut authenticator = corpus.authenticator();
    let mut wrong = Vec::new();
    // Twice: what was verified is answered from memory the second time, and to the same effect.
    for pass in ["fresh", "remembered"] {
        for row in &corpus.rows {
            let now = UnixMillis(row.now_ms.unwrap_or(corpus.now_ms));
            let verdict = text(&authenticator.authenticate(row.token.as_bytes(), now, host));
            if verdict != row.verdict {
                let Row { name, verdict: wanted, .. } = row;
                wrong.push(format!("{pass}: {name}: {verdict} instead of {wanted}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), corpus.rows.len(), wrong.join("\n"));
}

#[test]
fn every_row_has_its_verdict_by_portable_code() {
    run(&NoHost);
}

#[test]
fn every_row_has_its_verdict_by_the_host() {
    run(&Boring);
}

#[test]
fn rows_have_names_of_their_own() {
    let corpus = Corpus::read();
    let names: BTreeSet<&str> = corpus.rows.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(names.len(), corpus.rows.len());
    assert!(corpus.rows.len() > 400);
}

#[test]
fn no_mutation_of_a_good_token_is_accepted() {
    let corpus = Corpus::read();
    let mut authenticator = corpus.authenticator();
    let now = UnixMillis(corpus.now_ms);
    let row = corpus.rows.iter().find(|row| row.name == "EdDSA").unwrap();
    for position in 0..row.token.len() {
        for bit in [0, 1, 5, 7] {
            let mut token = row.token.clone().into_bytes();
            token[position] ^= 1 << bit;
            let verdict = authenticator.authenticate(&token, now, &NoHost);
            assert!(
                matches!(verdict, Verdict::Denied(_)),
                "bit {bit} of byte {position}: {}",
                text(&verdict)
            );
        }
        let mut token = row.token.clone().into_bytes();
        token.truncate(position);
        let verdict = authenticator.authenticate(&token, now, &NoHost);
        assert!(matches!(verdict, Verdict::Denied(_)), "cut at {position}");
    }
}

#[test]
fn what_is_far_too_large_is_refused() {
    let mut authenticator = Corpus::read().authenticator();
    for token in [vec![b'.'; 1 << 20], vec![b'a'; 1 << 24]] {
        let verdict = authenticator.authenticate(&token, UnixMillis(0), &NoHost);
        assert_eq!(text(&verdict), "invalid_token: the token is too large");
    }
}

#[test]
fn descriptions_fit_into_a_challenge() {
    // RFC 6750 section 3: %x20-21 / %x23-5B / %x5D-7E.
    for invalid in attach_filter::jwt::Invalid::ALL {
        let text = invalid.description();
        assert!(text.bytes().all(|b| matches!(b, 0x20..=0x21 | 0x23..=0x5B | 0x5D..=0x7E)));
    }
}

/// Small changes to real tokens, the same ones in every run.
#[test]
fn nothing_that_is_damaged_is_accepted_and_nothing_traps() {
    let corpus = Corpus::read();
    let mut authenticator = corpus.authenticator();
    let now = UnixMillis(corpus.now_ms);
    let known: BTreeSet<&[u8]> = corpus.rows.iter().map(|row| row.token.as_bytes()).collect();
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = |below: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695);
        usize::try_from(random >> 33).unwrap() % below.max(1)
    };
    for _ in 0..40_000 {
        let mut token = corpus.rows[next(corpus.rows.len())].token.clone().into_bytes();
        if token.len() > 4096 {
            continue;
        }
        for _ in 0..=next(3) {
            let at = next(token.len());
            match next(5) {
                0 if !token.is_empty() => token[at] = u8::try_from(next(256)).unwrap(),
                1 => token.insert(at, b".A=\xff"[next(4)]),
                2 if !token.is_empty() => drop(token.remove(at)),
                3 => token.truncate(at),
                _ => {
                    let other = corpus.rows[next(corpus.rows.len())].token.as_bytes();
                    let cut = next(other.len());
                    token.truncate(at);
                    token.extend_from_slice(&other[cut..]);
                }
            }
        }
        if !known.contains(token.as_slice()) {
            let verdict = authenticator.authenticate(&token, now, &Boring);
            assert!(!matches!(verdict, Verdict::Accepted(_)), "{}", text(&verdict));
        }
    }
}
