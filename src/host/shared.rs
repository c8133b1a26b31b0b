//! What the root context and the streams of one VM share.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::{Rc, Weak};

use proxy_wasm::hostcalls;

use crate::auth::{CasMismatch, SharedData, UnixMillis};
use crate::flow::Flow;
use crate::gateway::Gateway;
use crate::mirror::queue::Queue;

use super::calls::Call;
use super::metrics::Metrics;
use super::readiness::Readiness;
use super::steps::HostSteps;
use super::verify::Host;

/// How long a request waits for keys before it is refused.
const KEY_WAIT_MS: u64 = 5_000;

/// Most requests of a worker that wait for keys; more are refused at once, so that an issuer
/// that is down cannot fill the memory.
const MAX_WAITING: usize = 1_024;

/// State of one VM.
pub(super) struct Shared {
    pub(super) root: u32,
    pub(super) gateway: Rc<Gateway>,
    pub(super) queue: RefCell<Queue>,
    pub(super) metrics: Metrics,
    pub(super) calls: RefCell<HashMap<u32, Call>>,
    pub(super) readiness: RefCell<Readiness>,
    waiting: RefCell<Vec<Waiter>>,
    generation: Cell<u64>,
}

struct Waiter {
    context: u32,
    flow: Weak<RefCell<Flow>>,
    deadline: u64,
}

impl Shared {
    pub(super) fn new(root: u32, gateway: Gateway) -> Self {
        let queue_bytes = gateway.config().mirror.as_ref().map_or(0, |mirror| mirror.queue_bytes);
        let generation = gateway.auth.borrow().generation();
        Self {
            root,
            generation: Cell::new(generation),
            gateway: Rc::new(gateway),
            queue: RefCell::new(Queue::new(queue_bytes)),
            metrics: Metrics::define(),
            calls: RefCell::default(),
            readiness: RefCell::default(),
            waiting: RefCell::default(),
        }
    }

    /// Keeps a stream until its issuer's keys come; `false` if too many wait already.
    pub(super) fn await_keys(&self, context: u32, flow: &Rc<RefCell<Flow>>, now: u64) -> bool {
        let mut waiting = self.waiting.borrow_mut();
        if waiting.len() >= MAX_WAITING {
            return false;
        }
        let deadline = now.saturating_add(KEY_WAIT_MS);
        waiting.push(Waiter { context, flow: Rc::downgrade(flow), deadline });
        true
    }

    /// Asks again for every waiting stream if keys changed, and refuses those that waited long
    /// enough. Called from the root context.
    pub(super) fn resume_waiting(&self, now: u64) {
        let generation = self.gateway.auth.borrow().generation();
        let changed = self.generation.replace(generation) != generation;
        let waiters = std::mem::take(&mut *self.waiting.borrow_mut());
        if waiters.is_empty() {
            return;
        }
        let mut still = Vec::new();
        for waiter in waiters {
            let Some(flow) = waiter.flow.upgrade() else { continue };
            let late = now >= waiter.deadline || waiter.deadline.saturating_sub(now) > KEY_WAIT_MS; // the clock jumped back
            if !changed && !late {
                still.push(waiter);
                continue;
            }
            if hostcalls::set_effective_context(waiter.context).is_err() {
                continue;
            }
            let mut flow = flow.borrow_mut();
            match flow.keys_changed(now, &Host, &mut HostSteps) {
                crate::flow::Next::AwaitKeys if late => flow.give_up(&mut HostSteps),
                crate::flow::Next::AwaitKeys => still.push(waiter),
                crate::flow::Next::Continue => {
                    let _ = hostcalls::resume_http_request();
                }
                crate::flow::Next::Pause | crate::flow::Next::AwaitReadiness => {}
            }
        }
        self.waiting.borrow_mut().extend(still);
        let _ = hostcalls::set_effective_context(self.root);
    }

    /// Answers `/readyz` where every probe has ended. Called from the root context.
    pub(super) fn answer_readiness(&self, now: u64) {
        let Some((waiting, probes)) = self.readiness.borrow_mut().settled() else { return };
        let mut missing: Vec<String> = {
            let auth = self.gateway.auth.borrow();
            auth.not_ready(UnixMillis(now))
                .iter()
                .map(|issuer| format!("keys of {}: {}", issuer.issuer, issuer.reason))
                .collect()
        };
        missing.extend(probes);
        for (context, flow) in waiting {
            let Some(flow) = flow.upgrade() else { continue };
            if hostcalls::set_effective_context(context).is_ok() {
                flow.borrow_mut().readiness(&missing, &mut HostSteps);
            }
        }
        let _ = hostcalls::set_effective_context(self.root);
    }
}

/// Envoy's shared data: one map for all workers.
pub(super) struct EnvoySharedData;

impl SharedData for EnvoySharedData {
    fn get(&self, key: &str) -> Option<(Vec<u8>, u32)> {
        match hostcalls::get_shared_data(key) {
            Ok((Some(value), Some(cas))) if !value.is_empty() => Some((value, cas)),
            _ => None,
        }
    }

    fn set(&mut self, key: &str, value: &[u8], cas: Option<u32>) -> Result<(), CasMismatch> {
        hostcalls::set_shared_data(key, Some(value), cas).map_err(|_| CasMismatch)
    }
}
