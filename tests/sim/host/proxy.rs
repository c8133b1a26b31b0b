//! One Envoy process: worker threads and the main thread, a VM on each.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use serde_json::Value;

use super::request::Request;
use super::vm::Vm;
use super::world::{CRITICAL, LogLine, Options, World};

/// A running Envoy with the filter.
#[derive(Clone)]
pub struct Proxy {
    pub(super) inner: Rc<Inner>,
}

pub(super) struct Inner {
    pub world: Rc<RefCell<World>>,
    configuration: Rc<Vec<u8>>,
    /// The workers, then the main thread.
    pub vms: RefCell<Vec<Rc<Vm>>>,
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
        let fatal = log.iter().find(|line| line.level == CRITICAL);
        assert!(fatal.is_none(), "a VM died: {}", fatal.map_or("", |line| &line.text));
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

/// Every cluster that the configuration names.
fn clusters(configuration: &Value) -> BTreeSet<String> {
    let origins = configuration["origins"].as_object().into_iter().flat_map(|map| map.values());
    let named = ["engine", "mirror"].map(|key| &configuration[key]["cluster"]);
    origins.chain(named).filter_map(Value::as_str).map(str::to_owned).collect()
}
