//! From request headers to a decision, and the edits that follow from it.

use std::rc::Rc;

use crate::auth::denial::Dialect;
use crate::auth::{Authenticator, Denial, HostVerifier, Identity, UnixMillis, Verdict};
use crate::config::Mode;
use crate::headers::{self, RequestHead, is_own};
use crate::routes::{Route, rule_for, without_query};
use crate::session::trace::trace;
use crate::session::trace_session;

use super::body::BodyPlan;
use super::recording::{Caller, Recording};
use super::{Flow, Headers, Moment, Next, State, Steps, Waiting, cors};

impl Flow {
    /// The request's headers came.
    pub fn request_headers(
        &mut self,
        headers: Headers,
        end_of_stream: bool,
        moment: Moment,
        host: &dyn HostVerifier,
        steps: &mut dyn Steps,
    ) -> Next {
        self.started = moment.now;
        let waiting = Waiting { headers, end_of_stream, moment };
        self.decide(waiting, moment.now, host, steps)
    }

    /// Decides a request, or keeps it until its issuer's keys are there.
    pub(super) fn decide(
        &mut self,
        request: Waiting,
        now: u64,
        host: &dyn HostVerifier,
        steps: &mut dyn Steps,
    ) -> Next {
        let head = RequestHead::read(&request.headers);
        let Ok(path) = std::str::from_utf8(head.path).map(without_query) else {
            strip_foreign(&head, Mode::Require, steps);
            return self.deny(&Denial::InvalidRequest("the path is not text"), steps);
        };
        let gateway = Rc::clone(&self.gateway);
        let config = gateway.config();
        self.dialect = Dialect::of(path);
        self.route = Route::of(head.method, path, config.engine.model.is_some());
        self.cors = cors::allowed_origin(&head, &config.cors_origins);
        if self.sid.is_empty() {
            let [a, b, c, d, ..] = request.moment.random;
            self.sid = trace_session(head.trace_session, [a, b, c, d]);
        }
        let rule = rule_for(&config.rules, head.method, path);
        let mode = rule.and_then(|rule| rule.mode).unwrap_or(config.mode);
        // First of all, so that not even a refusal or the log carries a client's claim.
        strip_foreign(&head, mode, steps);
        if cors::is_preflight(&head) {
            return match self.cors {
                Some(_) => self.answer(cors::preflight(&head), steps),
                None => self.deny(&Denial::Forbidden, steps),
            };
        }
        if let Route::Public(document) = self.route {
            return self.public(document, &head, path, steps);
        }
        let caller = match mode {
            Mode::Passthrough => Caller::default(),
            Mode::Trusted => match trusted(&head) {
                Some(caller) => caller,
                None => return self.deny(&Denial::MissingToken, steps),
            },
            Mode::Require => {
                let token = match Authenticator::bearer(&head.authorization) {
                    Ok(token) => token,
                    Err(denial) => return self.deny(&denial, steps),
                };
                let verdict = gateway.auth.borrow_mut().authenticate(token, UnixMillis(now), host);
                match verdict {
                    Verdict::Accepted(identity) => {
                        let scopes = rule.and_then(|rule| rule.scopes.as_deref());
                        let granted = gateway.auth.borrow().authorize(&identity, scopes);
                        let caller = self.caller(&identity, &head);
                        if let Err(denial) = granted {
                            self.record(&head, path, caller, &request.moment);
                            return self.deny(&denial, steps);
                        }
                        caller
                    }
                    Verdict::Denied(denial) => return self.deny(&denial, steps),
                    Verdict::Pending => {
                        self.state = State::AwaitingKeys(Box::new(request));
                        return Next::AwaitKeys;
                    }
                }
            }
        };
        self.forward(&request, &head, path, caller, steps)
    }

    fn caller(&self, identity: &Identity, head: &RequestHead<'_>) -> Caller {
        let agent = (!head.user_agent.is_empty()).then_some(head.user_agent);
        let key = self.gateway.session_key();
        let session = key.id(identity.issuer(), identity.subject(), agent);
        Caller {
            user: Some(identity.user().to_owned()),
            issuer: Some(identity.issuer().to_owned()),
            agent: identity.agent().map(str::to_owned),
            session: Some(session.as_str().to_owned()),
            scopes: (self.route == Route::Memory).then(|| identity.scope()),
        }
    }

    /// Everything is decided: stamps the request and lets it go.
    fn forward(
        &mut self,
        request: &Waiting,
        head: &RequestHead<'_>,
        path: &str,
        caller: Caller,
        steps: &mut dyn Steps,
    ) -> Next {
        let gateway = Rc::clone(&self.gateway);
        if self.route == Route::Memory && gateway.config().mirror.is_none() {
            return self.deny(&Denial::NotFound, steps);
        }
        if head.trace_session != Some(self.sid.as_bytes()) {
            steps.set_request(headers::TRACE_SESSION, self.sid.as_bytes());
        }
        stamp(&caller, steps);
        let authorization = if self.route.is_engine() {
            if head.origin.is_some() {
                steps.remove_request("origin");
            }
            gateway.engine_authorization()
        } else {
            gateway.mirror_authorization()
        };
        match authorization {
            Some(value) => steps.set_request("authorization", value),
            None if head.authorization.is_empty() => {}
            None => steps.remove_request("authorization"),
        }
        let trace_id = self.trace(request, head, steps);
        self.record(head, path, caller, &request.moment);
        if let Some(recording) = &mut self.recording {
            recording.trace_id = Some(trace_id);
        }
        self.state = State::Forwarded;
        self.plan_body(request, head, steps)
    }

    /// W3C Trace Context: an invalid `traceparent` is replaced, and its `tracestate` goes.
    fn trace(&self, request: &Waiting, head: &RequestHead<'_>, steps: &mut dyn Steps) -> String {
        let mut random = [0; 24];
        for (to, from) in random.iter_mut().zip(request.moment.random.iter().skip(4)) {
            *to = *from;
        }
        let trace = trace(head.traceparent, random);
        if !trace.kept {
            steps.set_request("traceparent", trace.header.as_bytes());
            if head.has_tracestate {
                steps.remove_request("tracestate");
            }
        }
        trace.trace_id
    }

    fn record(&mut self, head: &RequestHead<'_>, path: &str, caller: Caller, moment: &Moment) {
        let Some(mirror) = &self.gateway.config().mirror else { return };
        if self.route.is_engine() {
            self.recording =
                Some(Box::new(Recording::new(mirror.capture_bytes, head, path, caller, moment)));
        }
    }

    fn plan_body(
        &mut self,
        request: &Waiting,
        head: &RequestHead<'_>,
        steps: &mut dyn Steps,
    ) -> Next {
        let limit = self.gateway.config().max_rewrite_body;
        self.body = match self.route {
            Route::TaskSend => {
                if request.end_of_stream {
                    return self.deny(&Denial::InvalidBody("the body is empty"), steps);
                }
                if head
                    .content_length
                    .is_some_and(|len| usize::try_from(len).is_ok_and(|len| len > limit))
                {
                    return self.deny(&Denial::BodyTooLarge, steps);
                }
                self.task = Some(task_id(&request.moment));
                BodyPlan::task()
            }
            Route::Shorthand if !request.end_of_stream => BodyPlan::shorthand(),
            _ => return Next::Continue,
        };
        // A body of another length under the old content-length would let its tail be read as
        // the next request on the upstream connection.
        steps.remove_request("content-length");
        if head.content_type != Some(b"application/json") {
            steps.set_request("content-type", b"application/json");
        }
        Next::Continue
    }

    /// Trailers came: no upstream sees our own names there either, and a body that was held
    /// back ends here.
    pub fn request_trailers(
        &mut self,
        trailers: &[(String, Vec<u8>)],
        body: &mut dyn super::Body,
        steps: &mut dyn Steps,
    ) -> Next {
        if !matches!(self.state, State::Forwarded) {
            return Next::Pause;
        }
        let mut removed: Vec<&str> = Vec::new();
        for (name, _) in trailers {
            if headers::is_foreign(name) && !removed.contains(&name.as_str()) {
                steps.remove_trailer(name);
                removed.push(name);
            }
        }
        self.end_of_request(body, steps)
    }
}

fn strip_foreign(head: &RequestHead<'_>, mode: Mode, steps: &mut dyn Steps) {
    for name in &head.foreign {
        let believed = mode == Mode::Trusted
            && matches!(*name, headers::USER | headers::ISSUER | headers::SESSION | headers::AGENT);
        if !(believed && is_own(name)) {
            steps.remove_request(name);
        }
    }
}

/// There is no third path: each identity header is set, or it is not there at all.
fn stamp(caller: &Caller, steps: &mut dyn Steps) {
    for (name, value) in [
        (headers::USER, &caller.user),
        (headers::ISSUER, &caller.issuer),
        (headers::SESSION, &caller.session),
        (headers::AGENT, &caller.agent),
        (headers::SCOPE, &caller.scopes),
    ] {
        if let Some(value) = value {
            steps.set_request(name, value.as_bytes());
        }
    }
}

/// The caller as the gateway before this one stamped it; none without a user.
fn trusted(head: &RequestHead<'_>) -> Option<Caller> {
    let text = |value: Option<&[u8]>| {
        value
            .and_then(|value| std::str::from_utf8(value).ok())
            .filter(|value| !value.is_empty() && value.bytes().all(|b| b.is_ascii_graphic()))
            .map(str::to_owned)
    };
    let stamped = &head.stamped;
    Some(Caller {
        user: Some(text(stamped.user)?),
        issuer: text(stamped.issuer),
        agent: text(stamped.agent),
        session: text(stamped.session),
        scopes: None,
    })
}

/// 128 bits, so that a task id can be neither guessed nor met twice.
fn task_id(moment: &Moment) -> String {
    moment.random.iter().skip(38).fold(String::with_capacity(32), |mut id, byte| {
        for nibble in [byte >> 4, byte & 15] {
            id.push(char::from_digit(nibble.into(), 16).unwrap_or('0'));
        }
        id
    })
}
