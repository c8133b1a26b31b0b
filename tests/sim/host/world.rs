//! What the VMs of one Envoy process share: clock, data, metrics, log, callouts.

use std::collections::{BTreeMap, BTreeSet};

use super::callout::{Call, CallState, Server};
use super::metrics::Metrics;
use super::shared::{Queues, SharedData};

/// Unix milliseconds at which every simulation starts: 2026-01-01T00:00:00Z.
pub const START_MS: u64 = 1_767_225_600_000;

/// How the host is set up; the defaults are those of the rendered bootstrap.
#[derive(Clone)]
pub struct Options {
    /// `allow_on_headers_stop_iteration` of the plugin.
    pub stop_iteration: bool,
    /// Whether `verify_signature` is registered.
    pub verify_signature: bool,
    /// What a paused body may hold, in bytes, before the host gives up.
    pub buffer_limit: usize,
    /// Seed of `random_get`.
    pub seed: u64,
    /// Milliseconds from a trap to a new VM; `None` is FAIL_CLOSED.
    pub reload_after_ms: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            stop_iteration: false,
            verify_signature: true,
            buffer_limit: 1 << 20,
            seed: 1,
            reload_after_ms: Some(1_000),
        }
    }
}

/// The level at which the SDK's panic hook, and this host for a trap, write.
pub const CRITICAL: u32 = 5;

/// One line of the log.
#[derive(Clone, Debug)]
pub struct LogLine {
    /// 0 trace to 5 critical.
    pub level: u32,
    /// The text.
    pub text: String,
}

/// What all threads see.
pub struct World {
    pub options: Options,
    /// Wall clock, nanoseconds; a test may move it either way.
    pub wall_ns: u64,
    /// Monotonic clock, milliseconds: ticks and time limits go by it.
    pub now_ms: u64,
    pub data: SharedData,
    pub queues: Queues,
    pub metrics: Metrics,
    pub log: Vec<LogLine>,
    /// Every callout ever made, in order.
    pub calls: Vec<Call>,
    /// Those of them that wait, by position.
    pub open_calls: BTreeSet<usize>,
    /// Clusters that exist.
    pub clusters: BTreeSet<String>,
    /// Clusters that exist and take no call: no endpoint, or a circuit breaker is open.
    pub closed_clusters: BTreeSet<String>,
    /// Peers that answer by themselves, by cluster.
    pub servers: BTreeMap<String, Server>,
    random: u64,
}

impl World {
    /// A process that has just started.
    pub fn new(options: Options, clusters: BTreeSet<String>) -> Self {
        Self {
            random: options.seed,
            options,
            wall_ns: START_MS * 1_000_000,
            now_ms: 1_000_000,
            data: SharedData::default(),
            queues: Queues::default(),
            metrics: Metrics::default(),
            log: Vec::new(),
            calls: Vec::new(),
            open_calls: BTreeSet::new(),
            clusters,
            closed_clusters: BTreeSet::new(),
            servers: BTreeMap::new(),
        }
    }

    /// Moves both clocks forward to a monotonic time.
    pub fn move_to(&mut self, now_ms: u64) {
        let passed = now_ms.saturating_sub(self.now_ms);
        self.now_ms += passed;
        self.wall_ns += passed * 1_000_000;
    }

    /// The next 64 bits of a fixed sequence (SplitMix64).
    pub fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Writes a line of the log.
    pub fn write_log(&mut self, level: u32, text: &str) {
        self.log.push(LogLine { level, text: text.to_owned() });
    }

    /// A callout starts.
    pub fn open_call(&mut self, call: Call) {
        self.open_calls.insert(self.calls.len());
        self.calls.push(call);
    }

    /// A callout ends; `false` if it had ended before.
    pub fn close_call(&mut self, index: usize, state: CallState) -> bool {
        self.calls[index].state = state;
        self.open_calls.remove(&index)
    }

    /// The callouts that wait, oldest first.
    pub fn waiting_calls(&self) -> impl Iterator<Item = (usize, &Call)> {
        self.open_calls.iter().map(|index| (*index, &self.calls[*index]))
    }

    /// Ends the callouts of a VM that is gone.
    pub fn cancel_calls(&mut self, thread: usize) {
        let of_thread = self.waiting_calls().filter(|(_, call)| call.thread == thread);
        let indices: Vec<usize> = of_thread.map(|(index, _)| index).collect();
        for index in indices {
            self.close_call(index, CallState::Cancelled);
        }
    }
}
