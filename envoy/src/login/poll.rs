//! When to ask the token endpoint again, and when to stop (RFC 8628 section 3.5). Time comes
//! from outside, as a duration since any fixed moment.

use std::time::Duration;

/// Interval of an issuer that names none (RFC 8628 section 3.2), and what `slow_down` adds.
const FIVE_SECONDS: Duration = Duration::from_secs(5);
/// An issuer that says 0 is not asked in a tight loop.
const SHORTEST: Duration = Duration::from_secs(1);
/// Longest pause after failures to reach the issuer, unless its own interval is longer.
const LONGEST: Duration = Duration::from_secs(60);
/// Device codes without a lifetime, which the RFC requires, are tried this long.
const LIFETIME: Duration = Duration::from_secs(600);

/// What the token endpoint said to one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer<T> {
    /// Tokens.
    Granted(T),
    /// An OAuth error: the `error` member, whatever the status was. Dex sends
    /// `authorization_pending` with 401 where the RFC has 400.
    Error(String),
    /// No answer, or one that says "later": time-out, refused connection, 429, 5xx.
    Unreachable,
}

/// Why polling ended without a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The person pressed "deny".
    Denied,
    /// Nobody decided in time.
    Expired,
    /// Any other OAuth error.
    Refused(String),
}

/// One sign-in that waits for a person.
#[derive(Debug)]
pub(super) struct Poll {
    interval: Duration,
    failures: u32,
    next: Duration,
    deadline: Duration,
}

impl Poll {
    /// Starts at `now`, when the issuer answered with this lifetime and interval.
    pub(super) fn new(
        now: Duration,
        lifetime: Option<Duration>,
        interval: Option<Duration>,
    ) -> Self {
        let interval = interval.unwrap_or(FIVE_SECONDS).max(SHORTEST);
        Self {
            interval,
            failures: 0,
            next: now.saturating_add(interval),
            deadline: now.saturating_add(lifetime.unwrap_or(LIFETIME)),
        }
    }

    /// How long to wait before the next request.
    ///
    /// # Errors
    /// [`End::Expired`] once the code is too old.
    pub(super) fn wait(&self, now: Duration) -> Result<Duration, End> {
        if now >= self.deadline {
            return Err(End::Expired);
        }
        Ok(self.next.min(self.deadline).saturating_sub(now))
    }

    /// Takes an answer that came at `now`: the tokens, or nothing yet.
    ///
    /// # Errors
    /// The reason to stop.
    pub(super) fn answered<T>(
        &mut self,
        now: Duration,
        answer: Answer<T>,
    ) -> Result<Option<T>, End> {
        let mut pause = self.interval;
        match answer {
            Answer::Granted(tokens) => return Ok(Some(tokens)),
            Answer::Unreachable => {
                self.failures = self.failures.saturating_add(1);
                pause = self.backed_off();
            }
            Answer::Error(code) => {
                self.failures = 0;
                match code.as_str() {
                    "authorization_pending" => {}
                    "slow_down" => {
                        self.interval = self.interval.saturating_add(FIVE_SECONDS);
                        pause = self.interval;
                    }
                    "access_denied" => return Err(End::Denied),
                    "expired_token" => return Err(End::Expired),
                    _ => return Err(End::Refused(code)),
                }
            }
        }
        self.next = now.saturating_add(pause);
        Ok(None)
    }

    /// Doubles with every failure in a row.
    fn backed_off(&self) -> Duration {
        let factor = 2_u32.saturating_pow(self.failures);
        self.interval.saturating_mul(factor).min(LONGEST.max(self.interval))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn error(code: &str) -> Answer<&'static str> {
        Answer::Error(code.to_owned())
    }

    /// Answers each request at once; gives the pauses and what came in the end.
    fn run(
        poll: &mut Poll,
        answers: Vec<Answer<&'static str>>,
    ) -> (Vec<u64>, Option<Result<&'static str, End>>) {
        let mut now = Duration::ZERO;
        let mut pauses = Vec::new();
        for answer in answers {
            let pause = match poll.wait(now) {
                Ok(pause) => pause,
                Err(end) => return (pauses, Some(Err(end))),
            };
            pauses.push(pause.as_secs());
            now = now.saturating_add(pause);
            match poll.answered(now, answer) {
                Ok(None) => {}
                Ok(Some(tokens)) => return (pauses, Some(Ok(tokens))),
                Err(end) => return (pauses, Some(Err(end))),
            }
        }
        (pauses, None)
    }

    #[test]
    fn pauses_and_endings() {
        let pending = || error("authorization_pending");
        let slow = || error("slow_down");
        let granted = || Answer::Granted("tokens");
        let away = || Answer::Unreachable;
        let refused = |code: &str| Some(Err(End::Refused(code.to_owned())));
        let rows = [
            ("granted at once", vec![granted()], vec![2], Some(Ok("tokens"))),
            (
                "pending keeps the interval",
                vec![pending(), pending(), granted()],
                vec![2, 2, 2],
                Some(Ok("tokens")),
            ),
            (
                "slow_down adds five for good",
                vec![slow(), pending(), slow(), granted()],
                vec![2, 7, 7, 12],
                Some(Ok("tokens")),
            ),
            ("denied", vec![pending(), error("access_denied")], vec![2, 2], Some(Err(End::Denied))),
            (
                "expired at the issuer",
                vec![error("expired_token")],
                vec![2],
                Some(Err(End::Expired)),
            ),
            ("anything else", vec![error("invalid_grant")], vec![2], refused("invalid_grant")),
            (
                "failures double",
                vec![away(), away(), away(), granted()],
                vec![2, 4, 8, 16],
                Some(Ok("tokens")),
            ),
            (
                "an answer ends the back-off",
                vec![away(), away(), pending(), granted()],
                vec![2, 4, 8, 2],
                Some(Ok("tokens")),
            ),
            ("failures never end it alone", vec![away(), away()], vec![2, 4], None),
        ];
        for (name, answers, pauses, end) in rows {
            let mut poll = Poll::new(Duration::ZERO, Some(seconds(600)), Some(seconds(2)));
            assert_eq!(run(&mut poll, answers), (pauses, end), "{name}");
        }
    }

    #[test]
    fn back_off_has_a_ceiling() {
        for (interval, ceiling) in [(2, 60), (90, 90)] {
            let mut poll =
                Poll::new(Duration::ZERO, Some(seconds(10_000)), Some(seconds(interval)));
            let (pauses, _) = run(&mut poll, vec![Answer::Unreachable; 50]);
            assert_eq!(pauses.last(), Some(&ceiling));
        }
    }

    #[test]
    fn an_old_code_is_given_up() {
        let mut poll = Poll::new(Duration::ZERO, Some(seconds(7)), Some(seconds(3)));
        let (pauses, end) = run(&mut poll, vec![error("authorization_pending"); 9]);
        assert_eq!((pauses, end), (vec![3, 3, 1], Some(Err(End::Expired))));
    }

    #[test]
    fn what_the_issuer_leaves_out_or_overdoes() {
        for (interval, first) in [(None, 5), (Some(0), 1), (Some(30), 30)] {
            let poll = Poll::new(Duration::ZERO, None, interval.map(seconds));
            assert_eq!(poll.wait(Duration::ZERO), Ok(seconds(first)), "{interval:?}");
        }
        let poll = Poll::new(seconds(10), None, None);
        assert_eq!(poll.wait(seconds(609)), Ok(Duration::ZERO));
        assert_eq!(poll.wait(seconds(610)), Err(End::Expired));
    }
}
