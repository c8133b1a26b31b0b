//! `/readyz`: probes the engine and the mirror-service when somebody asks.

use std::cell::RefCell;
use std::rc::Weak;
use std::time::Duration;

use crate::flow::Flow;
use crate::gateway::Gateway;

use super::calls;

/// What is probed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Engine,
    Mirror,
}

const TIMEOUT: Duration = Duration::from_secs(1);

/// How long an answer is good for, so that asking often costs the upstreams nothing.
const GOOD_FOR_MS: u64 = 1_000;

/// A stream that waits: its context id and its flow.
pub(super) type Asker = (u32, Weak<RefCell<Flow>>);

/// State of the probes on this worker.
#[derive(Default)]
pub(super) struct Readiness {
    waiting: Vec<Asker>,
    pending: usize,
    missing: Vec<String>,
    probed_at: Option<u64>,
}

impl Readiness {
    pub(super) fn wait(&mut self, context: u32, flow: Weak<RefCell<Flow>>) {
        self.waiting.push((context, flow));
    }

    /// Starts the probes that a waiting request needs; gives what was dispatched.
    pub(super) fn start(&mut self, now: u64, gateway: &Gateway) -> Vec<(u32, Target)> {
        let fresh = self.probed_at.is_some_and(|at| now.wrapping_sub(at) < GOOD_FOR_MS);
        if self.waiting.is_empty() || self.pending > 0 || fresh {
            return Vec::new();
        }
        self.missing.clear();
        self.probed_at = Some(now);
        let config = gateway.config();
        let engine = (Target::Engine, &config.engine.cluster, &config.engine.authority, "/");
        let mirror = config
            .mirror
            .as_ref()
            .map(|mirror| (Target::Mirror, &mirror.cluster, &mirror.authority, "/healthz"));
        let mut dispatched = Vec::new();
        for (target, cluster, authority, path) in std::iter::once(engine).chain(mirror) {
            match calls::get(cluster, "http", authority, path, TIMEOUT) {
                Ok(token) => dispatched.push((token, target)),
                Err(_) => self.missing.push(not_answering(target)),
            }
        }
        self.pending = dispatched.len();
        dispatched
    }

    /// A probe ended. Any answer of the engine but Envoy's own 503 and 504 shows that it lives.
    pub(super) fn probed(&mut self, target: Target, status: Option<u16>) {
        self.pending = self.pending.saturating_sub(1);
        let alive = match (target, status) {
            (_, None) => false,
            (Target::Engine, Some(status)) => !matches!(status, 502..=504),
            (Target::Mirror, Some(status)) => status == 200,
        };
        if !alive {
            self.missing.push(not_answering(target));
        }
    }

    /// The requests that can be answered now, and what they are told besides the keys.
    pub(super) fn settled(&mut self) -> Option<(Vec<Asker>, Vec<String>)> {
        (self.pending == 0 && self.probed_at.is_some() && !self.waiting.is_empty())
            .then(|| (std::mem::take(&mut self.waiting), self.missing.clone()))
    }
}

fn not_answering(target: Target) -> String {
    match target {
        Target::Engine => "engine: does not answer".to_owned(),
        Target::Mirror => "mirror: does not answer".to_owned(),
    }
}
