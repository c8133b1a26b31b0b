//! One Envoy process: worker threads and the main thread, a VM on each.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use serde_json::Value;

use super::callout::{Answer, Call, CallState};
use super::exchange::invoke;
use super::reply::finish;
use super::request::Request;
use super::state::ROOT;
use super::vm::{Returned, Vm};
use super::world::{LogLine, Options, World};

/// More rounds than this without time passing: the filter calls out without end.
const MAX_ROUNDS: usize = 10_000;

/// A running Envoy with the filter.
#[derive(Clone)]
pub struct Proxy {
    pub(super) inner: Rc<Inner>,
}

pub(super) struct Inner {
    pub world: Rc<RefCell<World>>,
    configuration: Rc<Vec<u8>>,
    /// The workers, then the main thread.
    vms: RefCell<Vec<Rc<Vm>>>,
}

/// One worker thread.
#[derive(Clone)]
pub struct Worker {
    proxy: Proxy,
    thread: usize,
}

impl Proxy {
    /// Starts with the default options.
    pub fn new(configuration: &Value, workers: usize) -> Self {
        Self::with(Options::default(), configuration, workers).expect("the filter starts")
    }

    /// Starts, or says why the configuration is refused. The clusters that exist are those that
    /// the configuration names.
    pub fn with(options: Options, configuration: &Value, workers: usize) -> Result<Self, String> {
        let world = Rc::new(RefCell::new(World::new(options, clusters(configuration))));
        let configuration = Rc::new(configuration.to_string().into_bytes());
        // Envoy tries a configuration on a canary before any thread gets it.
        let canary = Vm::start(&world, workers, &configuration)?;
        world.borrow_mut().cancel_calls(workers);
        drop(canary);
        let main = Vm::start(&world, workers, &configuration)?;
        let mut vms = Vec::new();
        for thread in 0..workers {
            vms.push(Vm::start(&world, thread, &configuration)?);
        }
        vms.push(main);
        let proxy = Self { inner: Rc::new(Inner { world, configuration, vms: vms.into() }) };
        proxy.settle();
        Ok(proxy)
    }

    /// A worker thread.
    pub fn worker(&self, thread: usize) -> Worker {
        assert!(thread < self.workers(), "there are {} workers", self.workers());
        Worker { proxy: self.clone(), thread }
    }

    /// Number of workers.
    pub fn workers(&self) -> usize {
        self.inner.vms.borrow().len() - 1
    }

    /// Lets time pass: ticks, delayed answers and time limits happen when they are due.
    pub fn advance(&self, ms: u64) {
        let target = self.now_ms() + ms;
        while let Some(next) = self.next_event().filter(|next| *next <= target) {
            self.inner.world.borrow_mut().move_to(next);
            self.tick_due();
            self.answer_due();
            self.settle();
        }
        self.inner.world.borrow_mut().move_to(target);
    }

    /// Sets the wall clock forward or back; ticks and time limits do not notice.
    pub fn jump_wall_clock(&self, ms: i64) {
        let mut world = self.inner.world.borrow_mut();
        let jumped = i128::from(world.wall_ns) + i128::from(ms) * 1_000_000;
        world.wall_ns = u64::try_from(jumped).expect("a time after 1970");
    }

    /// The wall clock, Unix seconds.
    pub fn unix_seconds(&self) -> u64 {
        self.inner.world.borrow().wall_ns / 1_000_000_000
    }

    /// The monotonic clock.
    pub fn now_ms(&self) -> u64 {
        self.inner.world.borrow().now_ms
    }

    /// A metric; 0 if nobody defined it.
    pub fn metric(&self, name: &str) -> u64 {
        self.inner.world.borrow().metrics.get(name).unwrap_or(0)
    }

    /// Shared data, by key.
    pub fn shared_data(&self) -> BTreeMap<String, Vec<u8>> {
        self.inner.world.borrow().data.entries()
    }

    /// The log so far.
    pub fn log(&self) -> Vec<LogLine> {
        self.inner.world.borrow().log.clone()
    }

    /// Fails if a text stands in the log.
    pub fn assert_not_logged(&self, secret: &str) {
        let log = self.log();
        let found = log.iter().find(|line| line.text.contains(secret));
        assert!(found.is_none(), "logged: {:?}", found.map(|line| &line.text));
    }

    /// Fails if a VM has trapped.
    pub fn assert_no_trap(&self) {
        let log = self.log();
        let fatal: Vec<_> = log.iter().filter(|line| line.level == 5).collect();
        assert!(fatal.is_empty(), "the VM died: {fatal:#?}");
    }

    /// A cluster without endpoints, or with its circuit breaker open: calls fail at once.
    pub fn set_cluster_open(&self, cluster: &str, open: bool) {
        let mut world = self.inner.world.borrow_mut();
        if open {
            world.closed_clusters.remove(cluster);
        } else {
            world.closed_clusters.insert(cluster.to_owned());
        }
    }

    /// Kills the VM of a thread, as a trap would.
    pub fn kill(&self, thread: usize) {
        let vm = self.vm(thread);
        vm.died_ms.set(Some(self.now_ms()));
        self.inner.world.borrow_mut().cancel_calls(thread);
    }

    pub(super) fn vm(&self, thread: usize) -> Rc<Vm> {
        Rc::clone(&self.inner.vms.borrow()[thread])
    }

    /// The VM for a new request: a dead one is replaced once its time has come.
    pub(super) fn vm_for_request(&self, thread: usize) -> Rc<Vm> {
        let vm = self.vm(thread);
        let (now, pause) = {
            let world = self.inner.world.borrow();
            (world.now_ms, world.options.reload_after_ms)
        };
        let due = vm.died_ms.get().zip(pause).is_some_and(|(died, pause)| died + pause <= now);
        if !due {
            return vm;
        }
        let fresh = Vm::start(&self.inner.world, thread, &self.inner.configuration);
        let fresh = fresh.expect("the VM starts again");
        self.inner.vms.borrow_mut()[thread] = Rc::clone(&fresh);
        fresh
    }

    fn next_event(&self) -> Option<u64> {
        let ticks = self.inner.vms.borrow();
        let ticks = ticks.iter().filter(|vm| !vm.is_dead());
        let ticks = ticks.filter_map(|vm| vm.with(|state| state.tick_due_ms));
        let world = self.inner.world.borrow();
        let calls = world.calls.iter().filter_map(due_at);
        ticks.chain(calls).min()
    }

    fn tick_due(&self) {
        let now = self.now_ms();
        for thread in 0..=self.workers() {
            let vm = self.vm(thread);
            if vm.is_dead() || vm.with(|state| state.tick_due_ms.is_none_or(|due| due > now)) {
                continue;
            }
            invoke(&vm, "proxy_on_tick", ROOT, &[ROOT]);
            vm.with(|state| {
                let period = state.tick_period_ms;
                state.tick_due_ms = (period > 0).then(|| now + period);
            });
        }
    }

    fn answer_due(&self) {
        let now = self.now_ms();
        let due: Vec<usize> = {
            let world = self.inner.world.borrow();
            let all = world.calls.iter().enumerate();
            all.filter(|(_, call)| due_at(call).is_some_and(|at| at <= now)).map(|(i, _)| i).collect()
        };
        for index in due {
            let planned = self.inner.world.borrow_mut().calls[index].due.take();
            let answer = planned.filter(|(at, _)| *at <= now).map(|(_, answer)| answer);
            self.answer(index, answer.unwrap_or(Answer::TimeOut));
        }
    }

    /// Brings an answer to the VM that asked. A call that is over takes none, as in Envoy.
    pub(super) fn answer(&self, index: usize, answer: Answer) {
        let (thread, token) = {
            let mut world = self.inner.world.borrow_mut();
            let now = world.now_ms;
            let call = &mut world.calls[index];
            if !matches!(call.state, CallState::Pending | CallState::Unsendable) {
                return;
            }
            match answer {
                Answer::Hang => return,
                Answer::After(ms, later) => {
                    call.due = Some((now + ms, *later));
                    return;
                }
                _ => call.state = CallState::Done,
            }
            (call.thread, call.token)
        };
        let Some(answer) = answer.arrive() else { return };
        let vm = self.vm(thread);
        let sizes = [
            answer.headers.as_ref().map_or(0, |map| map.len() as u32),
            answer.body.len() as u32,
            answer.trailers.as_ref().map_or(0, |map| map.len() as u32),
        ];
        vm.set_answer(Some(answer));
        let arguments = [ROOT, token, sizes[0], sizes[1], sizes[2]];
        let returned = invoke(&vm, "proxy_on_http_call_response", ROOT, &arguments);
        vm.set_answer(None);
        debug_assert!(returned != Returned::Value(u32::MAX));
    }

    /// Lets everything happen that needs no time: ends of streams, queue events, quick answers.
    pub(super) fn settle(&self) {
        for _ in 0..MAX_ROUNDS {
            if !self.finish_streams() && !self.tell_consumers() && !self.offer_calls() {
                return;
            }
        }
        panic!("the filter calls out without end");
    }

    fn finish_streams(&self) -> bool {
        let mut finished = false;
        for thread in 0..self.workers() {
            let vm = self.vm(thread);
            let over: Vec<u32> = vm.with(|state| {
                let streams = state.streams.iter();
                streams.filter(|(_, s)| s.is_over() && !s.gone).map(|(id, _)| *id).collect()
            });
            finished |= !over.is_empty();
            over.into_iter().for_each(|id| finish(&vm, id));
        }
        finished
    }

    fn tell_consumers(&self) -> bool {
        let event = self.inner.world.borrow_mut().queues.events.pop_front();
        let Some((thread, queue)) = event else { return false };
        invoke(&self.vm(thread), "proxy_on_queue_ready", ROOT, &[ROOT, queue]);
        true
    }

    fn offer_calls(&self) -> bool {
        let offer = {
            let mut world = self.inner.world.borrow_mut();
            let World { calls, servers, .. } = &mut *world;
            let mut open = calls.iter_mut().enumerate();
            open.find_map(|(index, call)| {
                let server = servers.get(&call.cluster)?;
                let new = call.state == CallState::Pending && !call.offered;
                new.then(|| {
                    call.offered = true;
                    (index, call.clone(), Rc::clone(server))
                })
            })
        };
        let Some((index, call, server)) = offer else { return false };
        let answer = server(&call);
        self.answer(index, answer);
        true
    }
}

impl Worker {
    /// A new request.
    pub fn request(&self, method: &str, path: &str) -> Request {
        Request::new(self.proxy.clone(), self.thread, method, path)
    }

    /// A GET without a body.
    pub fn get(&self, path: &str) -> Request {
        self.request("GET", path)
    }

    /// A POST with a body.
    pub fn post(&self, path: &str, body: impl Into<Vec<u8>>) -> Request {
        self.request("POST", path).body(body)
    }
}

fn due_at(call: &Call) -> Option<u64> {
    if !matches!(call.state, CallState::Pending | CallState::Unsendable) {
        return None;
    }
    let planned = call.due.as_ref().map(|(at, _)| *at);
    planned.into_iter().chain(call.limit_ms()).min()
}

/// Every cluster that the configuration names.
fn clusters(configuration: &Value) -> BTreeSet<String> {
    let origins = configuration["origins"].as_object().into_iter().flat_map(|map| map.values());
    let named = ["engine", "mirror"].map(|key| &configuration[key]["cluster"]);
    origins.chain(named).filter_map(Value::as_str).map(str::to_owned).collect()
}
