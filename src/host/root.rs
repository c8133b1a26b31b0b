//! The root context: configuration, the tick, and the answers to callouts.

use std::rc::Rc;
use std::time::Duration;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::ContextType;

use crate::auth::{Fetch, FetchOutcome, UnixMillis};
use crate::config::{Config, Mode};
use crate::gateway::Gateway;
use crate::mirror::queue::Outcome;

use super::calls::{self, Call, CallAnswer};
use super::http::Http;
use super::shared::{EnvoySharedData, Shared};

/// How often keys, waiting requests and batches are looked after.
const TICK: Duration = Duration::from_millis(25);

/// Largest key set or discovery document that is looked at, and one byte more to tell.
const MAX_KEY_DOCUMENT: usize = (1 << 20) + 1;

/// One for each VM and configuration.
pub(super) struct Root {
    id: u32,
    shared: Option<Rc<Shared>>,
}

impl Root {
    pub(super) fn new(id: u32) -> Self {
        Self { id, shared: None }
    }

    fn configure(&mut self) -> bool {
        let text = self.get_plugin_configuration().unwrap_or_default();
        let worker = u64::from_le_bytes(super::random());
        let gateway = Config::parse(&text).and_then(|config| Gateway::new(config, worker));
        match gateway {
            Ok(gateway) => {
                warn_of_weak_modes(gateway.config());
                self.shared = Some(Rc::new(Shared::new(self.id, gateway)));
                self.set_tick_period(TICK);
                true
            }
            Err(faults) => {
                for fault in faults {
                    log::error!("attach configuration: {fault}");
                }
                false
            }
        }
    }
}

impl Context for Root {
    fn on_http_call_response(
        &mut self,
        token: u32,
        num_headers: usize,
        body_size: usize,
        _num_trailers: usize,
    ) {
        let Some(shared) = &self.shared else { return };
        let call = shared.calls.borrow_mut().remove(&token);
        let answer = CallAnswer::read(num_headers, body_size);
        let now = super::now();
        match call {
            Some(Call::Keys(id)) => {
                let body = answer.as_ref().map(|answer| answer.body(MAX_KEY_DOCUMENT));
                let outcome = match (&answer, &body) {
                    (Some(answer), Some(body)) => FetchOutcome::Response {
                        status: answer.status,
                        cache_control: answer.header("cache-control"),
                        body,
                    },
                    _ => FetchOutcome::Failed,
                };
                let more = shared.gateway.auth.borrow_mut().fetched(
                    id,
                    outcome,
                    UnixMillis(now),
                    &mut EnvoySharedData,
                );
                fetch_all(shared, more, now);
                shared.resume_waiting(now);
            }
            Some(Call::Batch(id)) => {
                let retry_after = answer.as_ref().and_then(|answer| answer.header("retry-after"));
                let status = answer.as_ref().map(|answer| answer.status);
                settle(shared, id, Outcome::of_status(status, retry_after), now);
                send_batches(shared, now);
            }
            Some(Call::Probe(target)) => {
                shared.readiness.borrow_mut().probed(target, answer.map(|answer| answer.status));
                shared.answer_readiness(now);
            }
            None => {}
        }
    }
}

impl RootContext for Root {
    fn on_configure(&mut self, _size: usize) -> bool {
        self.configure()
    }

    fn on_tick(&mut self) {
        let Some(shared) = &self.shared else { return };
        let now = super::now();
        let fetches = shared.gateway.auth.borrow_mut().poll(UnixMillis(now), &mut EnvoySharedData);
        fetch_all(shared, fetches, now);
        shared.resume_waiting(now);
        send_batches(shared, now);
        let probes = shared.readiness.borrow_mut().start(now, &shared.gateway);
        let mut calls = shared.calls.borrow_mut();
        calls.extend(probes.into_iter().map(|(token, target)| (token, Call::Probe(target))));
        drop(calls);
        shared.answer_readiness(now);
    }

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        let shared = self.shared.as_ref()?;
        Some(Box::new(Http::new(id, Rc::clone(shared))))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

/// Sends every fetch; one that cannot leave has failed, which may ask for another.
fn fetch_all(shared: &Shared, fetches: Vec<Fetch>, now: u64) {
    let mut fetches = fetches;
    while let Some(fetch) = fetches.pop() {
        let Fetch { id, cluster, scheme, authority, path, timeout } = fetch;
        match calls::get(&cluster, scheme.as_str(), &authority, &path, timeout) {
            Ok(token) => {
                shared.calls.borrow_mut().insert(token, Call::Keys(id));
            }
            Err(_) => fetches.extend(shared.gateway.auth.borrow_mut().fetched(
                id,
                FetchOutcome::Failed,
                UnixMillis(now),
                &mut EnvoySharedData,
            )),
        }
    }
}

fn send_batches(shared: &Shared, now: u64) {
    let Some(mirror) = &shared.gateway.config().mirror else { return };
    let authorization =
        shared.gateway.mirror_authorization().and_then(|value| std::str::from_utf8(value).ok());
    loop {
        let mut queue = shared.queue.borrow_mut();
        let Some(batch) = queue.poll(now) else { return };
        let id = batch.id;
        let dispatched = calls::post_batch(mirror, authorization, batch.body);
        drop(queue);
        match dispatched {
            Ok(token) => {
                shared.calls.borrow_mut().insert(token, Call::Batch(id));
            }
            Err(_) => settle(shared, id, Outcome::Retry { after_ms: None }, now),
        }
    }
}

fn settle(shared: &Shared, batch: u64, outcome: Outcome, now: u64) {
    let counts = shared.queue.borrow_mut().settled(batch, outcome, now);
    shared.metrics.add(&counts);
}

fn warn_of_weak_modes(config: &Config) {
    let mut weak = Vec::new();
    if config.mode != Mode::Require {
        weak.push(("every path", config.mode));
    }
    for rule in &config.rules {
        if let Some(mode) = rule.mode
            && mode != Mode::Require
        {
            weak.push((rule.path.as_str(), mode));
        }
    }
    for (path, mode) in weak {
        log::warn!("attach: {path} is open: mode {mode:?} asks for no token");
    }
}
