//! What happens by itself: ticks, time limits, ends of streams, queue events, answers of peers.

use std::rc::Rc;

use super::callout::{Answer, Call, CallState};
use super::exchange::invoke;
use super::proxy::Proxy;
use super::reply::finish;
use super::state::ROOT;
use super::world::World;

/// More rounds than this without time passing: the filter calls out without end.
const MAX_ROUNDS: usize = 10_000;

impl Proxy {
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

    fn next_event(&self) -> Option<u64> {
        let ticks = self.inner.vms.borrow();
        let ticks = ticks.iter().filter(|vm| !vm.is_dead());
        let ticks = ticks.filter_map(|vm| vm.with(|state| state.tick_due_ms));
        let world = self.inner.world.borrow();
        let calls = world.waiting_calls().filter_map(|(_, call)| due_at(call));
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
            let all = world.waiting_calls();
            all.filter(|(_, call)| due_at(call).is_some_and(|at| at <= now))
                .map(|(i, _)| i)
                .collect()
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
            let asked = (call.thread, call.token);
            match answer {
                Answer::Hang => return,
                Answer::After(ms, later) => {
                    call.due = Some((now + ms, *later));
                    return;
                }
                _ if world.close_call(index, CallState::Done) => asked,
                _ => return,
            }
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
        invoke(&vm, "proxy_on_http_call_response", ROOT, &arguments);
        vm.set_answer(None);
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
                let live = state.contexts.iter().filter_map(|id| state.streams.get_key_value(id));
                live.filter(|(_, stream)| stream.is_over()).map(|(id, _)| *id).collect()
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
            let World { calls, open_calls, servers, .. } = &mut *world;
            open_calls.iter().find_map(|index| {
                let call = &mut calls[*index];
                let server = servers.get(&call.cluster)?;
                let new = call.state == CallState::Pending && !call.offered;
                new.then(|| {
                    call.offered = true;
                    (*index, call.clone(), Rc::clone(server))
                })
            })
        };
        let Some((index, call, server)) = offer else { return false };
        let answer = server(&call);
        self.answer(index, answer);
        true
    }
}

fn due_at(call: &Call) -> Option<u64> {
    let planned = call.due.as_ref().map(|(at, _)| *at);
    planned.into_iter().chain(call.limit_ms()).min()
}
