//! Every row of `tests/data/corpus.json` against the built module: the verdicts are those of the
//! native verifier, with the host's signatures and with the filter's own.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::gateway::MIRROR;
use crate::host::{Answer, Options, Outcome, Proxy, Stream};

#[derive(Deserialize)]
struct Corpus {
    now_ms: u64,
    config: Value,
    key_sets: BTreeMap<String, String>,
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    name: String,
    token: String,
    verdict: String,
    now_ms: Option<u64>,
}

/// A route on which the granted scopes are stamped and none is asked for.
const PATH: &str = "/mem/events";

fn start(corpus: &Corpus, options: Options) -> Proxy {
    let mut configuration = corpus.config.clone();
    configuration["mirror"] = json!({"cluster": MIRROR, "authority": "mirror"});
    configuration["rules"] = json!([{"path": PATH, "scopes": []}]);
    let proxy = Proxy::with(options, &configuration, 1).expect("the filter starts");
    let ahead = corpus.now_ms - proxy.unix_seconds() * 1_000;
    proxy.jump_wall_clock(i64::try_from(ahead).unwrap());
    for (origin, cluster) in corpus.config["origins"].as_object().unwrap() {
        if let Some(keys) = corpus.key_sets.get(origin).cloned() {
            proxy.serve(cluster.as_str().unwrap(), move |_| Answer::json(keys.clone()));
        }
    }
    proxy.advance(1_000);
    // Tokens with unknown keys do not wait once their issuers were asked again.
    corpus.rows.iter().for_each(|row| drop(send(&proxy, &row.token)));
    proxy.advance(1_000);
    proxy.jump_wall_clock(-2_000);
    proxy
}

fn send(proxy: &Proxy, token: &str) -> Stream {
    proxy.worker(0).get(PATH).bearer(token).send()
}

/// As the corpus writes it.
fn verdict(stream: &Stream) -> String {
    match stream.outcome() {
        Outcome::Paused => "pending".to_owned(),
        Outcome::Forwarded(_) => {
            let header = |name: &str| stream.forwarded_header(name);
            let user = header("x-attach-user").unwrap_or_default();
            let agent = header("x-attach-agent").unwrap_or_else(|| "-".to_owned());
            let scope = header("x-attach-scope").unwrap_or_default();
            format!("accepted user={user} agent={agent} scope={scope}")
        }
        Outcome::LocalReply(reply) => {
            let body = reply.json();
            let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
            format!("{}: {}", text("code"), text("error"))
        }
    }
}

/// RFC 9110 section 11.2; anything else is refused before it is looked at.
fn is_token68(token: &str) -> bool {
    let unpadded = token.trim_end_matches('=');
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
    !unpadded.is_empty() && unpadded.bytes().all(allowed)
}

fn run(options: Options) {
    let corpus: Corpus = serde_json::from_str(include_str!("../data/corpus.json")).unwrap();
    let proxy = start(&corpus, options);
    let mut wrong = Vec::new();
    for row in &corpus.rows {
        let jump = row.now_ms.map_or(0, |now| now as i64 - corpus.now_ms as i64);
        proxy.jump_wall_clock(jump);
        let stream = send(&proxy, &row.token);
        proxy.jump_wall_clock(-jump);
        let got = verdict(&stream);
        let as_expected = if is_token68(&row.token) {
            got == row.verdict
        } else {
            is_token68(row.token.trim()) || stream.local_reply().status == 400
        };
        if !as_expected {
            wrong.push(format!("{}: {got} instead of {}", row.name, row.verdict));
        }
        proxy.assert_no_trap();
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), corpus.rows.len(), wrong.join("\n"));
    for row in corpus.rows.iter().filter(|row| row.token.len() > 20) {
        proxy.assert_not_logged(&row.token);
    }
}

#[test]
fn every_row_has_its_verdict_with_the_host_s_signatures() {
    run(Options::default());
}

#[test]
fn every_row_has_its_verdict_with_the_filter_s_own_signatures() {
    run(Options { verify_signature: false, ..Options::default() });
}
