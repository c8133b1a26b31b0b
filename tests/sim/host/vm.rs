//! One VM: the instance of one thread.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use wasmtime::{Instance, Store, Val};

use super::module::filter;
use super::state::{CallAnswer, Deferred, HostState, ROOT};
use super::stream::StreamState;
use super::world::{CRITICAL, World};

/// How a callback ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Returned {
    /// With this value; 0 if it has none or the module does not export it.
    Value(u32),
    /// It asked for a local reply: its own value does not count.
    Stopped,
    /// The VM is dead, now or already before.
    Trapped,
}

/// One VM. A trap ends it for good.
pub struct Vm {
    store: RefCell<Store<HostState>>,
    instance: Instance,
    /// Monotonic time of its death.
    pub died_ms: Cell<Option<u64>>,
}

impl Vm {
    /// Starts a VM as Envoy does: initialize, root context, VM start, configuration.
    pub fn start(
        world: &Rc<RefCell<World>>,
        thread: usize,
        configuration: &Rc<Vec<u8>>,
    ) -> Result<Rc<Self>, String> {
        let filter = filter();
        let state = HostState::new(Rc::clone(world), thread, Rc::clone(configuration));
        let mut store = Store::new(&filter.engine, state);
        let instance = filter.ready.instantiate(&mut store).map_err(|e| format!("{e:#}"))?;
        let vm = Rc::new(Self { store: RefCell::new(store), instance, died_ms: Cell::new(None) });
        vm.call("_initialize", 0, &[]);
        vm.with(|state| state.ready = true);
        vm.call("proxy_on_context_create", ROOT, &[ROOT, 0]);
        if vm.call("proxy_on_vm_start", ROOT, &[ROOT, 0]) != Returned::Value(1) {
            return Err("on_vm_start refused".into());
        }
        vm.with(|state| state.configuring = true);
        let size = configuration.len() as u32;
        let configured = vm.call("proxy_on_configure", ROOT, &[ROOT, size]);
        vm.with(|state| state.configuring = false);
        match configured {
            Returned::Value(1) => Ok(vm),
            Returned::Trapped => Err("on_configure trapped".into()),
            _ => Err("on_configure refused the configuration".into()),
        }
    }

    /// The host's side.
    pub fn with<R>(&self, look: impl FnOnce(&mut HostState) -> R) -> R {
        look(self.store.borrow_mut().data_mut())
    }

    /// One stream.
    pub fn stream<R>(&self, id: u32, look: impl FnOnce(&mut StreamState) -> R) -> R {
        self.with(|state| look(state.streams.get_mut(&id).expect("the stream exists")))
    }

    /// Whether it is dead.
    pub fn is_dead(&self) -> bool {
        self.died_ms.get().is_some()
    }

    /// What the last callback asked for.
    pub fn take_deferred(&self) -> Vec<Deferred> {
        self.with(|state| std::mem::take(&mut state.deferred))
    }

    /// Hands the answer of a callout over for the time of its callback.
    pub fn set_answer(&self, answer: Option<CallAnswer>) {
        self.with(|state| state.answer = answer);
    }

    /// Runs an exported callback in a context.
    pub fn call(&self, export: &str, context: u32, arguments: &[u32]) -> Returned {
        if self.is_dead() {
            return Returned::Trapped;
        }
        let mut store = self.store.borrow_mut();
        let Some(function) = self.instance.get_func(&mut *store, export) else {
            return Returned::Value(0);
        };
        let state = store.data_mut();
        (state.current, state.effective, state.stop_next) = (context, 0, false);
        let arguments: Vec<Val> = arguments.iter().map(|word| Val::I32(*word as i32)).collect();
        let mut results = vec![Val::I32(0); function.ty(&*store).results().len()];
        let outcome = function.call(&mut *store, &arguments, &mut results);
        let state = store.data_mut();
        (state.current, state.effective) = (0, 0);
        if let Err(trap) = outcome {
            self.die(state, export, &format!("{trap:#}"));
            return Returned::Trapped;
        }
        if std::mem::take(&mut state.stop_next) {
            return Returned::Stopped;
        }
        match results.first() {
            Some(Val::I32(word)) => Returned::Value(*word as u32),
            _ => Returned::Value(0),
        }
    }

    fn die(&self, state: &mut HostState, export: &str, trap: &str) {
        state.deferred.clear();
        let mut world = state.world.borrow_mut();
        world.write_log(CRITICAL, &format!("{export} trapped: {trap}"));
        self.died_ms.set(Some(world.now_ms));
        world.cancel_calls(state.thread);
    }
}
