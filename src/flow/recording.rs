//! What is kept of an exchange for the mirror.

use crate::headers::RequestHead;
use crate::mirror::capture::{Capture, Exchange, kind_of};
use crate::mirror::wire::Outcome;
use crate::session::uuid::uuid_v7;

use super::{Flow, Moment, State};

/// Who called, as stamped.
#[derive(Debug, Default)]
pub(super) struct Caller {
    pub(super) user: Option<String>,
    pub(super) issuer: Option<String>,
    pub(super) agent: Option<String>,
    pub(super) session: Option<String>,
    /// Granted scopes; for the mirror-service only.
    pub(super) scopes: Option<String>,
}

/// How the host says that a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The client left, or reset the stream.
    Downstream,
    /// Anything else.
    Other,
}

/// One exchange, while it lasts.
pub(super) struct Recording {
    pub(super) capture: Capture,
    pub(super) trace_id: Option<String>,
    pub(super) complete: bool,
    exchange: Exchange,
}

impl Recording {
    pub(super) fn new(
        capture_bytes: usize,
        head: &RequestHead<'_>,
        path: &str,
        caller: Caller,
        moment: &Moment,
    ) -> Self {
        let mut random = [0; 10];
        for (to, from) in random.iter_mut().zip(moment.random.iter().skip(28)) {
            *to = *from;
        }
        let exchange = Exchange {
            id: uuid_v7(moment.now, random),
            time_ms: moment.now,
            kind: kind_of(path),
            user: caller.user,
            issuer: caller.issuer,
            agent: caller.agent,
            session: caller.session,
            method: String::from_utf8_lossy(head.method).into_owned(),
            path: path.to_owned(),
            request_type: head.content_type.map(text),
            request_encoding: head.content_encoding.map(text),
            ..Exchange::default()
        };
        Self { capture: Capture::new(capture_bytes), trace_id: None, complete: false, exchange }
    }

    pub(super) fn response_headers(
        &mut self,
        elapsed: u64,
        status: u16,
        content_type: Option<&[u8]>,
        content_encoding: Option<&[u8]>,
    ) {
        self.capture.response_headers(elapsed);
        self.exchange.status = status;
        self.exchange.response_type = content_type.map(text);
        self.exchange.response_encoding = content_encoding.map(text);
    }

    /// We answered in the upstream's place.
    pub(super) fn answered(&mut self, status: u16, body: &[u8]) {
        self.exchange.status = status;
        self.exchange.response_type = Some("application/json".to_owned());
        self.exchange.response_encoding = None;
        self.capture.response_chunk(0, body.len(), body);
        self.complete = true;
    }
}

impl Flow {
    /// The stream is over. Gives the finished record, encoded for the wire, if there is one.
    pub fn finished(&mut self, now: u64, ending: impl FnOnce() -> Ending) -> Option<Vec<u8>> {
        let recording = self.recording.take()?;
        let Recording { capture, trace_id, complete, mut exchange } = *recording;
        exchange.outcome = match complete {
            true => Outcome::Complete,
            false if ending() == Ending::Downstream => Outcome::Aborted,
            false => Outcome::Cut,
        };
        exchange.sid = std::mem::take(&mut self.sid);
        exchange.task = self.task.take();
        exchange.trace_id = trace_id;
        exchange.duration_ms = now.saturating_sub(self.started);
        self.state = State::Answered;
        let mut record = Vec::new();
        capture.encode(exchange, &mut record);
        Some(record)
    }
}

fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value).into_owned()
}
