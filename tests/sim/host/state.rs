//! The host's side of one VM.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::guest::Status;
use super::headers::Headers;
use super::metrics::Kind;
use super::stream::{Direction, LocalReply, StreamState};
use super::world::World;

/// Id of the root context, in every VM.
pub const ROOT: u32 = 1;

/// What a host call asks for that happens after the callback has returned.
pub enum Deferred {
    /// `resume_http_request` or `resume_http_response`.
    Continue(u32, Direction),
    /// `send_http_response`.
    Reply(u32, LocalReply),
    /// `reset_http_request` or `reset_http_response`.
    Reset(u32),
}

/// The answer of a callout, while its callback runs.
#[derive(Clone, Debug, Default)]
pub struct CallAnswer {
    /// `None` when the call broke off: no header may be read then.
    pub headers: Option<Headers>,
    pub body: Vec<u8>,
    pub trailers: Option<Headers>,
}

/// The data of one VM's store.
pub struct HostState {
    pub world: Rc<RefCell<World>>,
    /// Index of its thread; the main thread is the last.
    pub thread: usize,
    pub configuration: Rc<Vec<u8>>,
    /// `_initialize` has returned.
    pub ready: bool,
    /// The plugin configuration may be read.
    pub configuring: bool,
    /// Context of the running callback.
    pub current: u32,
    /// Context set by `set_effective_context`; 0 for none.
    pub effective: u32,
    pub contexts: BTreeSet<u32>,
    pub streams: BTreeMap<u32, StreamState>,
    pub answer: Option<CallAnswer>,
    /// A local reply was asked for: the callback's own return value does not count.
    pub stop_next: bool,
    pub deferred: Vec<Deferred>,
    pub tick_period_ms: u64,
    /// Monotonic time of the next tick.
    pub tick_due_ms: Option<u64>,
    pub last_token: u32,
    /// Metric ids of this VM, by position.
    pub metric_ids: Vec<(Kind, String)>,
    last_context: u32,
}

impl HostState {
    /// The state of a VM that is not initialized yet.
    pub fn new(world: Rc<RefCell<World>>, thread: usize, configuration: Rc<Vec<u8>>) -> Self {
        Self {
            world,
            thread,
            configuration,
            ready: false,
            configuring: false,
            current: 0,
            effective: 0,
            contexts: BTreeSet::from([ROOT]),
            streams: BTreeMap::new(),
            answer: None,
            stop_next: false,
            deferred: Vec::new(),
            tick_period_ms: 0,
            tick_due_ms: None,
            last_token: 0,
            metric_ids: Vec::new(),
            last_context: ROOT,
        }
    }

    /// A new stream context.
    pub fn open_stream(&mut self) -> u32 {
        self.last_context += 1;
        let arrived_ns = self.world.borrow().wall_ns;
        self.contexts.insert(self.last_context);
        let stream = StreamState { arrived_ns, ..StreamState::default() };
        self.streams.insert(self.last_context, stream);
        self.last_context
    }

    /// The context that host calls speak of: the effective one while it lives.
    pub fn context(&self) -> u32 {
        if self.contexts.contains(&self.effective) { self.effective } else { self.current }
    }

    /// The stream that host calls speak of.
    pub fn stream(&mut self) -> Result<&mut StreamState, Status> {
        let id = self.context();
        self.streams.get_mut(&id).ok_or(Status::BadArgument)
    }

    /// Counts a metric id as Envoy does: the low bits are the kind.
    pub fn define_metric(&mut self, kind: Kind, name: &str) -> u32 {
        self.world.borrow_mut().metrics.define(name);
        self.metric_ids.push((kind, name.to_owned()));
        (self.metric_ids.len() as u32) << 2 | kind as u32
    }

    /// The metric of an id.
    pub fn metric(&self, id: u32) -> Result<(Kind, String), Status> {
        let index = (id as usize >> 2).checked_sub(1).ok_or(Status::NotFound)?;
        self.metric_ids.get(index).cloned().ok_or(Status::NotFound)
    }
}
