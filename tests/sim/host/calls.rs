//! Callouts in the test's hands.

use std::rc::Rc;

use super::callout::{Answer, Call, CallState};
use super::headers::Headers;
use super::proxy::Proxy;

/// A callout that waits for the test to answer it. Not answering it is an answer too: its time
/// limit ends it.
#[derive(Clone)]
pub struct Callout {
    proxy: Proxy,
    index: usize,
    /// What was sent.
    pub call: Call,
}

impl Proxy {
    /// Lets a peer answer every callout to a cluster, also those that wait already.
    pub fn serve(&self, cluster: &str, server: impl Fn(&Call) -> Answer + 'static) {
        self.inner.world.borrow_mut().servers.insert(cluster.to_owned(), Rc::new(server));
        self.settle();
    }

    /// Callouts to a cluster that wait, oldest first.
    pub fn callouts(&self, cluster: &str) -> Vec<Callout> {
        let world = self.inner.world.borrow();
        let waiting = |call: &Call| call.state == CallState::Pending && call.cluster == cluster;
        let calls = world.waiting_calls().filter(|(_, call)| waiting(call));
        calls
            .map(|(index, call)| Callout { proxy: self.clone(), index, call: call.clone() })
            .collect()
    }

    /// The only callout to a cluster that waits.
    pub fn callout(&self, cluster: &str) -> Callout {
        let mut waiting = self.callouts(cluster);
        assert_eq!(waiting.len(), 1, "one callout to {cluster} waits");
        waiting.remove(0)
    }

    /// Every callout ever made to a cluster, cancelled ones left out.
    pub fn history(&self, cluster: &str) -> Vec<Call> {
        let world = self.inner.world.borrow();
        let made = |call: &&Call| call.cluster == cluster && call.state != CallState::Cancelled;
        world.calls.iter().filter(made).cloned().collect()
    }
}

impl Callout {
    /// The peer answers.
    pub fn respond(&self, status: u16, headers: Headers, body: impl Into<Vec<u8>>) {
        self.answer(Answer::Respond { status, headers, body: body.into() });
    }

    /// The answer breaks off: the filter sees no headers at all.
    pub fn fail(&self) {
        self.answer(Answer::Break);
    }

    /// The time limit passes now.
    pub fn time_out(&self) {
        self.answer(Answer::TimeOut);
    }

    /// Any answer.
    pub fn answer(&self, answer: Answer) {
        self.proxy.answer(self.index, answer);
        self.proxy.settle();
    }
}
