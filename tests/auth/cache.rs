//! Tokens that were verified before.

use std::cell::Cell;

use attach_filter::auth::{Authenticator, HostVerifier, UnixMillis, Unsupported, Verdict};
use serde_json::{Value, json};

use crate::corpus::{Corpus, text};
use crate::mint::{self, ISSUER};
use crate::proxy::{Boring, Proxy, Reply};

/// A host that counts how often it is asked.
#[derive(Default)]
struct Counting(Cell<usize>);

impl HostVerifier for Counting {
    fn verify(
        &self,
        hash: &'static str,
        spki: &[u8],
        signature: &[u8],
        text: &[u8],
    ) -> Result<bool, Unsupported> {
        self.0.set(self.0.get() + 1);
        Boring.verify(hash, spki, signature, text)
    }
}

fn corpus_token(corpus: &Corpus, name: &str) -> Vec<u8> {
    corpus.rows.iter().find(|row| row.name == name).unwrap().token.clone().into_bytes()
}

#[test]
fn a_token_is_verified_once_and_its_times_every_time() {
    let corpus = Corpus::read();
    let mut authenticator = corpus.authenticator();
    let token = corpus_token(&corpus, "ES256");
    let host = Counting::default();
    let mut ask = |seconds: i64| {
        let now = UnixMillis(corpus.now_ms.checked_add_signed(seconds * 1000).unwrap());
        text(&authenticator.authenticate(&token, now, &host))
    };
    for _ in 0..100 {
        assert!(ask(0).starts_with("accepted"));
    }
    assert_eq!(host.0.get(), 0, "it was verified when the corpus was prepared");
    assert_eq!(ask(-100), "invalid_token: the token is not valid yet");
    assert!(ask(629).starts_with("accepted"));
    assert_eq!(ask(630), "invalid_token: the token has expired");
    assert_eq!(host.0.get(), 0);
    // An expired token is forgotten.
    assert!(ask(0).starts_with("accepted"));
    assert_eq!(host.0.get(), 1);
}

#[test]
fn a_token_that_differs_in_one_bit_is_another_token() {
    let corpus = Corpus::read();
    let mut authenticator = corpus.authenticator();
    let token = corpus_token(&corpus, "ES256");
    for position in 0..token.len() {
        let mut other = token.clone();
        other[position] ^= 1;
        let verdict = authenticator.authenticate(&other, UnixMillis(corpus.now_ms), &Boring);
        assert!(matches!(verdict, Verdict::Denied(_)), "byte {position}");
    }
}

#[test]
fn the_audience_is_looked_at_every_time() {
    let corpus = Corpus::read();
    let mut authenticator = corpus.authenticator();
    let token = corpus_token(&corpus, "ES256");
    let now = UnixMillis(corpus.now_ms);
    let mcp = ["https://gw.example.com/mcp/search".to_owned()];
    let refused = "invalid_token: the token audience is not accepted";
    for _ in 0..2 {
        assert!(text(&authenticator.authenticate(&token, now, &Boring)).starts_with("accepted"));
        assert_eq!(text(&authenticator.authenticate_for(&token, &mcp, now, &Boring)), refused);
        assert_eq!(text(&authenticator.authenticate_for(&token, &[], now, &Boring)), refused);
    }
    let row = corpus_token(&corpus, "aud others");
    for _ in 0..2 {
        assert_eq!(text(&authenticator.authenticate(&row, now, &Boring)), refused);
        let other = ["y".to_owned()];
        let verdict = authenticator.authenticate_for(&row, &other, now, &Boring);
        assert!(text(&verdict).starts_with("accepted"));
    }
}

fn secret_issuer() -> Authenticator {
    let secret = "A".repeat(43);
    let issuers = json!([{ "issuer": ISSUER, "audiences": ["attach"], "hmac_secret": secret }]);
    Authenticator::new(&mint::of(&issuers, &json!({})), 1).unwrap()
}

#[test]
fn memory_is_bounded_and_what_is_used_stays() {
    // 8 MiB hold about 4,000 tokens of this size; ten times as many pass through.
    let mut proxy = Proxy::new(&mint::config(&[ISSUER]), 1);
    let keys = mint::jwks(&[(1, "a")]);
    proxy.serve(mint::DISCOVERY, Reply::Ok(mint::discovery(ISSUER, mint::JWKS)));
    proxy.serve(mint::JWKS, Reply::Ok(keys));
    proxy.run(200);
    let make = |subject: &str| {
        mint::signed(
            1,
            "a",
            &json!({
                "iss": ISSUER, "sub": subject, "aud": "attach", "exp": 9_999_999_999_u64,
                "pad": "x".repeat(10_000)
            }),
        )
    };
    let hot = make("hot");
    assert!(matches!(proxy.ask(0, &hot), Verdict::Accepted(_)));
    let first = proxy.ask(0, &hot);
    for number in 0..3_000 {
        assert!(matches!(proxy.ask(0, &make(&number.to_string())), Verdict::Accepted(_)));
        if number % 100 == 0 {
            let Verdict::Accepted(hot) = proxy.ask(0, &hot) else { panic!("refused") };
            let Verdict::Accepted(first) = &first else { panic!("refused") };
            assert!(std::rc::Rc::ptr_eq(&hot, first), "forgotten after {number}");
        }
    }
    assert!(proxy.workers[0].remembered() <= 8 << 20);
    assert!(proxy.workers[0].remembered() > 3 << 20);
}

#[test]
fn invalid_tokens_leave_no_trace() {
    let corpus = Corpus::read();
    let mut authenticator = secret_issuer();
    for row in &corpus.rows {
        let _ =
            authenticator.authenticate(row.token.as_bytes(), UnixMillis(corpus.now_ms), &Boring);
    }
    assert_eq!(authenticator.remembered(), 0);
}

#[test]
fn scopes_are_those_of_the_rule_or_the_issuer() {
    let corpus = Corpus::read();
    let mut authenticator = corpus.authenticator();
    let token = corpus_token(&corpus, "scope: words");
    let verdict = authenticator.authenticate(&token, UnixMillis(corpus.now_ms), &Boring);
    let Verdict::Accepted(id) = verdict else { panic!("{}", text(&verdict)) };
    let list = |scopes: Value| serde_json::from_value::<Vec<String>>(scopes).unwrap();
    let cases = [
        (None, "ok"),
        (Some(json!([])), "ok"),
        (Some(json!(["mem:admin"])), "ok"),
        (Some(json!(["mem:admin", "chat:run"])), "ok"),
        (Some(json!(["chat:run2"])), "chat:run2"),
        (Some(json!(["chat"])), "chat"),
        (Some(json!(["chat:run", "x"])), "chat:run x"),
        (Some(json!(["chat:run mem:admin"])), "chat:run mem:admin"),
    ];
    for (scopes, wanted) in cases {
        let scopes = scopes.map(list);
        let said = match authenticator.authorize(&id, scopes.as_deref()) {
            Ok(()) => "ok".to_owned(),
            Err(attach_filter::auth::Denial::InsufficientScope(required)) => required,
            Err(other) => format!("{other:?}"),
        };
        assert_eq!(said, wanted, "{scopes:?}");
    }
    let token = corpus_token(&corpus, "scope: none");
    let verdict = authenticator.authenticate(&token, UnixMillis(corpus.now_ms), &Boring);
    let Verdict::Accepted(id) = verdict else { panic!("{}", text(&verdict)) };
    assert!(authenticator.authorize(&id, None).is_err());
    assert!(authenticator.authorize(&id, Some(&[])).is_ok());
}
