//! One stream: hands Envoy's callbacks to its flow.

use std::cell::RefCell;
use std::rc::Rc;

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, BufferType, MapType};

use crate::flow::{Ending, Flow, Moment, Next};

use super::shared::Shared;
use super::steps::{HostAnswer, HostSteps, Window, code_details};
use super::verify::Host;

pub(super) struct Http {
    id: u32,
    shared: Rc<Shared>,
    flow: Rc<RefCell<Flow>>,
}

impl Http {
    pub(super) fn new(id: u32, shared: Rc<Shared>) -> Self {
        let flow = Rc::new(RefCell::new(Flow::new(Rc::clone(&shared.gateway))));
        Self { id, shared, flow }
    }

    fn action(&self, next: Next, now: u64) -> Action {
        match next {
            Next::Continue => return Action::Continue,
            Next::Pause => {}
            Next::AwaitKeys => {
                if !self.shared.await_keys(self.id, &self.flow, now) {
                    self.flow.borrow_mut().give_up(&mut HostSteps);
                }
            }
            Next::AwaitReadiness => {
                let flow = Rc::downgrade(&self.flow);
                self.shared.readiness.borrow_mut().wait(self.id, flow);
            }
        }
        Action::Pause
    }
}

impl Context for Http {}

impl HttpContext for Http {
    fn on_http_request_headers(&mut self, _num_headers: usize, end_of_stream: bool) -> Action {
        let headers = self.get_http_request_headers_bytes();
        let moment = Moment { now: super::now(), random: super::random() };
        let next = self.flow.borrow_mut().request_headers(
            headers,
            end_of_stream,
            moment,
            &Host,
            &mut HostSteps,
        );
        self.action(next, moment.now)
    }

    fn on_http_request_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        let mut window = Window(BufferType::HttpRequestBody);
        let next =
            self.flow.borrow_mut().request_body(size, end_of_stream, &mut window, &mut HostSteps);
        if next == Next::Continue { Action::Continue } else { Action::Pause }
    }

    fn on_http_request_trailers(&mut self, _num_trailers: usize) -> Action {
        let trailers = hostcalls::get_map_bytes(MapType::HttpRequestTrailers).unwrap_or_default();
        let mut window = Window(BufferType::HttpRequestBody);
        let next = self.flow.borrow_mut().request_trailers(&trailers, &mut window, &mut HostSteps);
        if next == Next::Continue { Action::Continue } else { Action::Pause }
    }

    fn on_http_response_headers(&mut self, _num_headers: usize, end_of_stream: bool) -> Action {
        let mut flow = self.flow.borrow_mut();
        let next = flow.response_headers(super::now(), &HostAnswer, &mut HostSteps);
        if end_of_stream {
            flow.response_complete();
        }
        if next == Next::Continue { Action::Continue } else { Action::Pause }
    }

    fn on_http_response_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        let mut flow = self.flow.borrow_mut();
        if flow.records() {
            let mut window = Window(BufferType::HttpResponseBody);
            flow.response_body(super::now(), size, end_of_stream, &mut window);
        }
        Action::Continue
    }

    fn on_http_response_trailers(&mut self, _num_trailers: usize) -> Action {
        self.flow.borrow_mut().response_complete();
        Action::Continue
    }

    fn on_log(&mut self) {
        let now = super::now();
        if let Some(record) = self.flow.borrow_mut().finished(now, ending) {
            let counts = self.shared.queue.borrow_mut().push(&record, now);
            self.shared.metrics.add(&counts);
        }
    }
}

/// Envoy tells the cause of a broken stream in the details of its answer.
fn ending() -> Ending {
    let details = code_details();
    let contains = |word: &[u8]| details.windows(word.len()).any(|part| part == word);
    if contains(b"upstream") || contains(b"timeout") { Ending::Other } else { Ending::Downstream }
}
