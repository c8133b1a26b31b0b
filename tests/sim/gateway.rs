//! A proxy with an issuer and a mirror-service, as most tests need it.

use std::cell::RefCell;
use std::rc::Rc;

use attach_filter::mirror::wire::{MAX_BATCH, Meta, Records};
use serde_json::{Value, json};

use crate::host::{Answer, Headers, Options, Passed, Proxy, Stream};
use crate::issuer::Issuer;
use crate::signing::base64url;

/// The cluster of the mirror-service.
pub const MIRROR: &str = "attach_mirror";

/// A configuration as the launcher writes it.
pub fn configuration(issuers: &[&Issuer]) -> Value {
    let origins: serde_json::Map<String, Value> =
        issuers.iter().map(|issuer| (issuer.url.clone(), json!(issuer.cluster))).collect();
    let entries: Vec<Value> = issuers
        .iter()
        .map(
            |issuer| json!({"issuer": issuer.url, "audiences": ["attach"], "scopes": ["chat:run"]}),
        )
        .collect();
    json!({
        "public_url": "http://gateway.test",
        "issuers": entries,
        "origins": origins,
        "session": {"secret": base64url([7; 32])},
        "engine": {"cluster": "attach_engine", "authority": "127.0.0.1:11434"},
        "mirror": {"cluster": MIRROR, "authority": "attach-mirror"},
    })
}

/// One exchange, as the mirror-service got it.
#[derive(Clone, Debug)]
pub struct Mirrored {
    pub meta: Meta,
    pub request: Vec<u8>,
    pub response: Vec<u8>,
}

/// A proxy, its issuer and its mirror-service.
pub struct Gateway {
    pub proxy: Proxy,
    pub issuer: Issuer,
    mirrored: Rc<RefCell<Vec<Mirrored>>>,
}

impl Gateway {
    /// One worker, keys fetched.
    pub fn new() -> Self {
        Self::with(1, |_| {})
    }

    /// Some workers and an edited configuration, keys fetched.
    pub fn with(workers: usize, edit: impl FnOnce(&mut Value)) -> Self {
        let gateway = Self::cold(Options::default(), workers, edit);
        gateway.serve();
        gateway.proxy.advance(1_000);
        gateway
    }

    /// No peer answers yet.
    pub fn cold(options: Options, workers: usize, edit: impl FnOnce(&mut Value)) -> Self {
        let issuer = Issuer::new("https://id.test", "attach_issuer_0");
        let mut configuration = configuration(&[&issuer]);
        edit(&mut configuration);
        let proxy = Proxy::with(options, &configuration, workers).expect("the filter starts");
        Self { proxy, issuer, mirrored: Rc::default() }
    }

    /// Starts issuer and mirror-service.
    pub fn serve(&self) {
        self.issuer.serve(&self.proxy);
        self.serve_mirror();
    }

    /// Starts the mirror-service: it takes every batch.
    pub fn serve_mirror(&self) {
        let mirrored = Rc::clone(&self.mirrored);
        self.proxy.serve(MIRROR, move |call| {
            if call.path() != "/ingest" {
                return Answer::status(200);
            }
            assert!(call.body.len() <= MAX_BATCH, "a batch of {} bytes", call.body.len());
            mirrored.borrow_mut().extend(records(&call.body));
            Answer::status(202)
        });
    }

    /// A token that is good now.
    pub fn token(&self) -> String {
        self.issuer.token(&self.proxy).sign()
    }

    /// A good chat request on the first worker, on its way to the engine.
    pub fn chat(&self, body: &str) -> Stream {
        let request = self.proxy.worker(0).post("/api/chat", body).bearer(&self.token());
        request.header("content-type", "application/json").send()
    }

    /// A whole good exchange.
    pub fn exchange(&self, prompt: &str) -> Passed {
        let stream = self.chat(&format!(r#"{{"messages":[{{"content":"{prompt}"}}]}}"#));
        let json = Headers::new([("content-type", "application/json")]);
        stream.respond(200, json, &[b"{\"message\":{\"content\":\"hello\"}}"]);
        stream.forwarded()
    }

    /// What the mirror-service has got.
    pub fn mirrored(&self) -> Vec<Mirrored> {
        self.mirrored.borrow().clone()
    }

    /// The counters `captured`, `acknowledged`, `waiting`, `dropped`, after checking their sum.
    pub fn counters(&self) -> [u64; 4] {
        let [captured, acknowledged, waiting, dropped] =
            ["captured", "acknowledged", "waiting", "dropped"]
                .map(|name| self.proxy.metric(&format!("attach_mirror_{name}")));
        assert_eq!(captured, acknowledged + waiting + dropped, "the counters add up");
        [captured, acknowledged, waiting, dropped]
    }
}

/// The records of a batch.
pub fn records(batch: &[u8]) -> Vec<Mirrored> {
    Records::new(batch)
        .map(|record| {
            let record = record.expect("a whole record");
            let (request, response) = (record.request.to_vec(), record.response.to_vec());
            Mirrored { meta: record.meta, request, response }
        })
        .collect()
}
