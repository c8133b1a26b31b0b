//! Request bodies: most pass as they are, those of rewritten routes are held until their end.

use crate::auth::Denial;
use crate::tasks::shorthand::{Scanner, Verdict};
use crate::tasks::{RewriteKind, Rewritten, rewrite};

use super::{Body, Flow, Next, State, Steps};

/// What happens to the request body.
pub(super) enum BodyPlan {
    /// Forwarded chunk by chunk, and copied within bounds.
    Raw,
    /// Held whole, then rewritten. While it is held, the host's window shows all of it.
    Held {
        kind: RewriteKind,
        /// Looks for the shorthand; none where the body is always rewritten.
        scanner: Option<Box<Scanner>>,
        /// Bytes seen so far.
        seen: usize,
    },
}

impl BodyPlan {
    pub(super) fn task() -> Self {
        Self::Held { kind: RewriteKind::Task, scanner: None, seen: 0 }
    }

    pub(super) fn shorthand() -> Self {
        let scanner = Some(Box::new(Scanner::new()));
        Self::Held { kind: RewriteKind::Shorthand, scanner, seen: 0 }
    }
}

impl Flow {
    /// A part of the request body came; `len` is the size of the host's window.
    pub fn request_body(
        &mut self,
        len: usize,
        end_of_stream: bool,
        body: &mut dyn Body,
        steps: &mut dyn Steps,
    ) -> Next {
        if !matches!(self.state, State::Forwarded) {
            return Next::Pause;
        }
        let limit = self.gateway.config().max_rewrite_body;
        let BodyPlan::Held { scanner, seen, .. } = &mut self.body else {
            self.copy_request(len, body);
            return Next::Continue;
        };
        let new = len.saturating_sub(*seen);
        let released = match scanner {
            Some(scanner) if new > 0 => scanner.feed(&body.read(*seen, new)) == Verdict::Release,
            _ => false,
        };
        *seen = len;
        if released {
            return self.release(len, body);
        }
        if len > limit {
            return match scanner.as_ref().map(|scanner| scanner.at_limit()) {
                Some(Ok(())) => self.release(len, body),
                Some(Err(denial)) => self.refuse_body(&denial, steps),
                None => self.refuse_body(&Denial::BodyTooLarge, steps),
            };
        }
        if end_of_stream { self.end_of_request(body, steps) } else { Next::Pause }
    }

    /// The request is complete: a held body is rewritten and goes.
    pub(super) fn end_of_request(&mut self, body: &mut dyn Body, steps: &mut dyn Steps) -> Next {
        let BodyPlan::Held { kind, seen, .. } = self.body else { return Next::Continue };
        let held = body.read(0, seen);
        self.body = BodyPlan::Raw;
        match rewrite(kind, &held, self.gateway.config().engine.model.as_deref()) {
            Ok(Rewritten::Untouched) => self.release(seen, body),
            Ok(Rewritten::Body(rewritten)) => {
                if let Some(recording) = &mut self.recording {
                    recording.capture.request_chunk(seen, &[]);
                    recording.capture.replace_request(&rewritten);
                }
                steps.replace_request_body(seen, &rewritten);
                Next::Continue
            }
            Err(denial) => {
                if let Some(recording) = &mut self.recording {
                    let room = recording.capture.request_room();
                    recording.capture.request_chunk(seen, held.get(..room).unwrap_or(&held));
                }
                self.refuse_body(&denial, steps)
            }
        }
    }

    /// A body that cannot be used makes no task.
    fn refuse_body(&mut self, denial: &Denial, steps: &mut dyn Steps) -> Next {
        self.task = None;
        self.deny(denial, steps)
    }

    fn release(&mut self, len: usize, body: &mut dyn Body) -> Next {
        self.body = BodyPlan::Raw;
        self.copy_request(len, body);
        Next::Continue
    }

    fn copy_request(&mut self, len: usize, body: &mut dyn Body) {
        if let Some(recording) = &mut self.recording
            && len > 0
        {
            let room = recording.capture.request_room().min(len);
            let copied = if room > 0 { body.read(0, room) } else { Vec::new() };
            recording.capture.request_chunk(len, &copied);
        }
    }
}
