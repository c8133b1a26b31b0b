//! Callouts as the test sees them, and peers that answer them.

use super::headers::Headers;
use super::state::CallAnswer;

/// How far a callout is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallState {
    /// Waits for an answer.
    Pending,
    /// The codec refused it: only its time limit ends it.
    Unsendable,
    /// Answered, broken off or out of time.
    Done,
    /// Its VM is gone.
    Cancelled,
}

/// One callout.
#[derive(Clone, Debug)]
pub struct Call {
    /// Thread of the VM that made it.
    pub thread: usize,
    /// Its token in that VM.
    pub token: u32,
    pub cluster: String,
    pub headers: Headers,
    pub body: Vec<u8>,
    /// 0 for no limit.
    pub timeout_ms: u32,
    /// Monotonic time of its start.
    pub sent_ms: u64,
    pub state: CallState,
    /// A server has seen it.
    pub offered: bool,
    /// An answer on its way, and when it arrives.
    pub due: Option<(u64, Answer)>,
}

impl Call {
    /// When the host gives up on it.
    pub fn limit_ms(&self) -> Option<u64> {
        (self.timeout_ms > 0).then(|| self.sent_ms + u64::from(self.timeout_ms))
    }

    /// `:path`.
    pub fn path(&self) -> String {
        self.headers.text(":path").unwrap_or_default()
    }
}

/// What becomes of a callout.
#[derive(Clone, Debug)]
pub enum Answer {
    /// The peer answers.
    Respond { status: u16, headers: Headers, body: Vec<u8> },
    /// The connection is refused: Envoy makes up a 503.
    Refuse,
    /// The answer breaks off: no headers at all.
    Break,
    /// The time limit passed: Envoy makes up a 504.
    TimeOut,
    /// No answer; only the time limit ends it.
    Hang,
    /// Another answer, this many milliseconds later.
    After(u64, Box<Answer>),
}

impl Answer {
    /// A 200 with a JSON body.
    pub fn json(body: impl Into<Vec<u8>>) -> Self {
        let headers = Headers::new([("content-type", "application/json")]);
        Self::Respond { status: 200, headers, body: body.into() }
    }

    /// A status with a text.
    pub fn status(status: u16) -> Self {
        Self::Respond { status, headers: Headers::default(), body: Vec::new() }
    }

    /// What the filter gets to see; `None` for an answer that does not come.
    pub fn arrive(self) -> Option<CallAnswer> {
        let made_up = |status: &str, body: &str| CallAnswer {
            headers: Some(Headers::new([
                (":status", status),
                ("content-length", &body.len().to_string()),
                ("content-type", "text/plain"),
            ])),
            body: body.into(),
            trailers: None,
        };
        match self {
            Self::Respond { status, headers, body } => {
                let mut all = Headers::new([(":status", status.to_string())]);
                headers.iter().for_each(|(name, value)| all.add(name, value));
                Some(CallAnswer { headers: Some(all), body, trailers: None })
            }
            Self::Refuse => Some(made_up("503", "upstream connect error")),
            Self::TimeOut => Some(made_up("504", "upstream request timeout")),
            Self::Break => Some(CallAnswer::default()),
            Self::Hang | Self::After(..) => None,
        }
    }
}

/// A peer that answers by itself.
pub type Server = std::rc::Rc<dyn Fn(&Call) -> Answer>;
