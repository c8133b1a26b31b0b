//! The answer: marked with the session, watched for faults of the engine, copied within bounds.

use crate::auth::Denial;
use crate::headers;

use super::{Body, Flow, Headers, Next, State, Steps, cors};

/// What the host tells of an answer when its headers come.
pub trait Answer {
    /// The response headers.
    fn headers(&self) -> Headers;
    /// `response.code_details`: who made this answer, and why.
    fn code_details(&self) -> Vec<u8>;
}

/// Envoy's own word for an answer that an upstream gave.
const VIA_UPSTREAM: &[u8] = b"via_upstream";

impl Flow {
    /// The answer's headers came, from an upstream or from Envoy itself.
    pub fn response_headers(
        &mut self,
        now: u64,
        answer: &dyn Answer,
        steps: &mut dyn Steps,
    ) -> Next {
        if !matches!(self.state, State::Forwarded) {
            return Next::Continue;
        }
        let headers = answer.headers();
        let value =
            |name: &str| headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_slice());
        let status = value(":status").and_then(parse_status).unwrap_or(0);
        if let Some(recording) = &mut self.recording {
            recording.response_headers(
                now.saturating_sub(self.started),
                status,
                value("content-type"),
                value("content-encoding"),
            );
        }
        if matches!(status, 408 | 413 | 500..=599)
            && let Some(denial) = self.fault(status, &answer.code_details())
        {
            return self.deny(&denial, steps);
        }
        steps.set_response(headers::TRACE_SESSION, self.sid.as_bytes());
        if let Some(task) = &self.task {
            steps.set_response(headers::TASK, task.as_bytes());
        }
        if let Some(origin) = &self.cors {
            for (name, value) in cors::response_headers(origin) {
                steps.set_response(name, value.as_bytes());
            }
        }
        Next::Continue
    }

    /// What an answer that Envoy made in place of the upstream means.
    fn fault(&self, status: u16, details: &[u8]) -> Option<Denial> {
        if details.is_empty() || details == VIA_UPSTREAM {
            return None;
        }
        let timed_out = details.windows(7).any(|part| part == b"timeout");
        Some(match status {
            413 => Denial::BodyTooLarge,
            500.. if !self.route.is_engine() => Denial::MemoryUnavailable,
            408 | 504 => Denial::EngineTimeout,
            _ if timed_out && !details.windows(18).any(|part| part == b"connection_timeout") => {
                Denial::EngineTimeout
            }
            _ => Denial::EngineUnavailable,
        })
    }

    /// A part of the answer's body came; it goes on at once.
    pub fn response_body(
        &mut self,
        now: u64,
        len: usize,
        end_of_stream: bool,
        body: &mut dyn Body,
    ) {
        if !matches!(self.state, State::Forwarded) {
            return;
        }
        let elapsed = now.saturating_sub(self.started);
        let Some(recording) = &mut self.recording else { return };
        if len > 0 {
            let room = recording.capture.response_room().min(len);
            let copied = if room > 0 { body.read(0, room) } else { Vec::new() };
            recording.capture.response_chunk(elapsed, len, &copied);
        }
        recording.complete |= end_of_stream;
    }

    /// The answer ended without a body, or with trailers.
    pub fn response_complete(&mut self) {
        if let Some(recording) = &mut self.recording {
            recording.complete = true;
        }
    }
}

fn parse_status(value: &[u8]) -> Option<u16> {
    std::str::from_utf8(value).ok()?.parse().ok()
}
