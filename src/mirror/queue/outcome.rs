//! How a callout ended, and what that changes in the counters.

/// How the sending of a batch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// 202: stored.
    Accepted,
    /// 400 or 413: a record of the batch is at fault, or its size. Smaller batches may pass.
    Malformed,
    /// 415 or 422: can never be taken. Any other 4xx may be mended by the operator (a wrong token,
    /// a wrong address), so that its batch is kept.
    Rejected,
    /// Anything else, no answer and no callout included: later.
    Retry {
        /// What `Retry-After` asks for, ms.
        after_ms: Option<u64>,
    },
}

impl Outcome {
    /// The outcome that an answer's status and `Retry-After` (RFC 9110 section 10.2.3; seconds
    /// only, a date is not worth a calendar here) stand for; no status means no answer.
    ///
    /// Only 202 is an acknowledgement: a 200 comes from something that is not our mirror-service.
    #[must_use]
    pub fn of_status(status: Option<u16>, retry_after: Option<&[u8]>) -> Self {
        match status {
            Some(202) => Self::Accepted,
            Some(400 | 413) => Self::Malformed,
            Some(415 | 422) => Self::Rejected,
            _ => Self::Retry {
                after_ms: retry_after
                    .and_then(|value| std::str::from_utf8(value).ok())
                    .and_then(|text| text.trim().parse::<u64>().ok())
                    .map(|seconds| seconds.saturating_mul(1_000)),
            },
        }
    }
}

/// Records by what became of them, or a change of these numbers. At every moment
/// `captured = acknowledged + dropped + waiting`, of the sums and of each change. Signed, as
/// metrics are incremented.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Handed to the queue.
    pub captured: i64,
    /// Durable at the mirror-service.
    pub acknowledged: i64,
    /// Given up.
    pub dropped: i64,
    /// Kept here, under way or not.
    pub waiting: i64,
}

impl Counts {
    /// `records` that wait no longer.
    pub(super) fn gone(records: i64) -> Self {
        Self { waiting: records.saturating_neg(), ..Self::default() }
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            captured: self.captured.saturating_add(other.captured),
            acknowledged: self.acknowledged.saturating_add(other.acknowledged),
            dropped: self.dropped.saturating_add(other.dropped),
            waiting: self.waiting.saturating_add(other.waiting),
        }
    }
}
