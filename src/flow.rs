//! One request as a state machine: events in, steps out.
//!
//! The host edge calls one method per Envoy callback; a method emits [`Steps`] and says whether
//! the stream goes on. Nothing here names the host, reads a clock or draws randomness.

use std::rc::Rc;

use crate::auth::denial::{Dialect, Reply};
use crate::auth::{Denial, HostVerifier};
use crate::gateway::Gateway;
use crate::routes::Route;

mod body;
mod cors;
mod public;
mod recording;
mod request;
mod response;
#[cfg(test)]
mod tests;

use body::BodyPlan;
pub use recording::Ending;
use recording::Recording;
pub use response::Answer;

/// What a flow asks of the host. Edits are made in the order of the calls.
pub trait Steps {
    /// Sets a request header; every other value of the name goes.
    fn set_request(&mut self, name: &str, value: &[u8]);
    /// Removes a request header.
    fn remove_request(&mut self, name: &str);
    /// Removes a request trailer.
    fn remove_trailer(&mut self, name: &str);
    /// Sets a response header.
    fn set_response(&mut self, name: &str, value: &[u8]);
    /// Replaces the first `len` bytes of the buffered request body: all of it.
    fn replace_request_body(&mut self, len: usize, body: &[u8]);
    /// Answers the request; nothing goes to an upstream any more.
    fn reply(&mut self, reply: &Reply);
}

/// A window on the body bytes that the host holds now.
pub trait Body {
    /// Up to `len` bytes from `start`; fewer where there are no more.
    fn read(&mut self, start: usize, len: usize) -> Vec<u8>;
}

/// What the stream does after a callback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It goes on.
    Continue,
    /// It stays until a later callback lets it go, or an answer has been given.
    Pause,
    /// It stays until [`Flow::keys_changed`] or [`Flow::give_up`] decides.
    AwaitKeys,
    /// It stays until [`Flow::readiness`] answers.
    AwaitReadiness,
}

/// Randomness that a request may need, drawn by the host.
pub const RANDOM_BYTES: usize = 54;

/// When a request came, and randomness of its own.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Unix milliseconds.
    pub now: u64,
    /// Bytes of a cryptographic generator.
    pub random: [u8; RANDOM_BYTES],
}

/// Header pairs as the host gives them; names in lower case as Envoy writes them.
pub type Headers = Vec<(String, Vec<u8>)>;

/// One request and its answer.
pub struct Flow {
    gateway: Rc<Gateway>,
    state: State,
    started: u64,
    route: Route,
    dialect: Dialect,
    sid: String,
    task: Option<String>,
    cors: Option<String>,
    body: BodyPlan,
    recording: Option<Box<Recording>>,
}

enum State {
    /// Headers have not come yet.
    New,
    /// The keys of the token's issuer are being fetched.
    AwaitingKeys(Box<Waiting>),
    /// Readiness is being probed.
    AwaitingReadiness,
    /// On its way to an upstream.
    Forwarded,
    /// We answered; only the log is left.
    Answered,
}

struct Waiting {
    headers: Headers,
    end_of_stream: bool,
    moment: Moment,
}

impl Flow {
    /// A flow that waits for its request headers.
    #[must_use]
    pub fn new(gateway: Rc<Gateway>) -> Self {
        Self {
            gateway,
            state: State::New,
            started: 0,
            route: Route::Engine,
            dialect: Dialect::Plain,
            sid: String::new(),
            task: None,
            cors: None,
            body: BodyPlan::Raw,
            recording: None,
        }
    }

    /// A key set came or changed: decides a request that waits for it.
    pub fn keys_changed(
        &mut self,
        now: u64,
        host: &dyn HostVerifier,
        steps: &mut dyn Steps,
    ) -> Next {
        match std::mem::replace(&mut self.state, State::Answered) {
            State::AwaitingKeys(waiting) => self.decide(*waiting, now, host, steps),
            other => {
                self.state = other;
                Next::Pause
            }
        }
    }

    /// Keys did not come in time: refuses a request that waits for them.
    pub fn give_up(&mut self, steps: &mut dyn Steps) {
        if matches!(self.state, State::AwaitingKeys(_)) {
            self.deny(&Denial::KeysUnavailable, steps);
        }
    }

    /// Whether the exchange is copied for the mirror.
    #[must_use]
    pub fn records(&self) -> bool {
        self.recording.is_some()
    }

    fn deny(&mut self, denial: &Denial, steps: &mut dyn Steps) -> Next {
        let reply = denial.reply(self.dialect, self.gateway.metadata());
        self.answer(reply, steps)
    }

    fn answer(&mut self, mut reply: Reply, steps: &mut dyn Steps) -> Next {
        self.state = State::Answered;
        if !self.sid.is_empty() {
            reply.headers.push((crate::headers::TRACE_SESSION, self.sid.clone()));
        }
        if let Some(task) = &self.task {
            reply.headers.push((crate::headers::TASK, task.clone()));
        }
        if let Some(origin) = &self.cors {
            reply.headers.extend(cors::response_headers(origin));
        }
        if let Some(recording) = &mut self.recording {
            recording.answered(reply.status, &reply.body);
        }
        steps.reply(&reply);
        Next::Pause
    }
}
