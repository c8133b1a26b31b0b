//! One exchange with the engine through the gateway, and when its parts arrived.

use std::time::{Duration, Instant};

use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{RequestBuilder, StatusCode};
use serde_json::Value;

use super::Fault;
use super::report::Saw;

/// Shown of an answer.
const EXCERPT: usize = 120;

/// An answer and the times since the request at which its parts came.
pub(super) struct Exchange {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
    arrivals: Vec<Duration>,
}

impl Exchange {
    /// Sends, and reads the answer as it comes.
    pub(super) async fn of(request: RequestBuilder) -> Result<Self, Fault> {
        let started = Instant::now();
        let mut response = request.send().await.map_err(|e| fault(&e))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let (mut body, mut arrivals) = (Vec::new(), Vec::new());
        while let Some(chunk) = response.chunk().await.map_err(|e| fault(&e))? {
            arrivals.push(started.elapsed());
            body.extend_from_slice(&chunk);
        }
        let body = String::from_utf8_lossy(&body).into_owned();
        Ok(Self { status, headers, body, arrivals })
    }

    /// Shows status, media type and, for more than one, the times of the parts.
    pub(super) fn show(&self, saw: &mut Saw) {
        let media = self.headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok());
        saw.line(format!("{} {}", self.status, media.unwrap_or_default()));
        if self.arrivals.len() > 1 {
            let stamps = stamps(&self.arrivals);
            saw.line(format!("{} parts, at {stamps} s", self.arrivals.len()));
        }
    }

    /// The answer's text, whatever the dialect; the error's, if it is one.
    pub(super) fn text(&self) -> String {
        let text: String = self.pieces().filter_map(|piece| text_of(&piece)).collect();
        if text.is_empty() { excerpt(self.body.trim()) } else { excerpt(text.trim()) }
    }

    fn pieces(&self) -> impl Iterator<Item = Value> + '_ {
        let lines = self.body.lines().map(|line| line.strip_prefix("data: ").unwrap_or(line));
        lines.filter_map(|line| serde_json::from_str(line).ok())
    }

    /// How long the engine says that it wrote, where it says so (Ollama's `eval_duration`).
    fn written_in(&self) -> Option<Duration> {
        let last = self.pieces().last()?;
        last.get("eval_duration")?.as_u64().map(Duration::from_nanos)
    }

    /// Whether the parts came as they were made.
    pub(super) fn check_streamed(&self) -> Result<(), Fault> {
        judge(&self.arrivals, self.written_in())
    }
}

/// Half of the time in which the engine wrote must be seen between the first part and the
/// last. Where it does not say, a twentieth of the whole time: loading a model can take most
/// of it, but what is held back until the end comes at once.
fn judge(arrivals: &[Duration], written: Option<Duration>) -> Result<(), Fault> {
    let (Some(first), Some(last)) = (arrivals.first(), arrivals.last()) else {
        return Err("the answer is empty".to_owned());
    };
    if arrivals.len() < 3 {
        return Err(format!("it came in {} parts, so it was held back", arrivals.len()));
    }
    let spread = last.saturating_sub(*first);
    let least = written.map_or_else(|| last.mul_f64(0.05), |written| written.mul_f64(0.5));
    if spread < least {
        let (spread, least) = (spread.as_millis(), least.as_millis());
        return Err(format!("it came within {spread} ms, {least} ms at least were expected"));
    }
    Ok(())
}

/// The first few and the last, in seconds.
fn stamps(arrivals: &[Duration]) -> String {
    let text = |at: &Duration| format!("{:.3}", at.as_secs_f64());
    match arrivals {
        [first @ .., last] if first.len() > 7 => {
            let first: Vec<_> = first.iter().take(6).map(text).collect();
            format!("{} ... {}", first.join(" "), text(last))
        }
        all => all.iter().map(text).collect::<Vec<_>>().join(" "),
    }
}

fn text_of(piece: &Value) -> Option<String> {
    let paths = [
        "/message/content",
        "/response",
        "/choices/0/delta/content",
        "/choices/0/message/content",
        "/error/message",
        "/error",
    ];
    let found = paths.iter().find_map(|path| piece.pointer(path)?.as_str());
    found.map(str::to_owned)
}

pub(super) fn excerpt(text: &str) -> String {
    let mut short: String = text.chars().filter(|c| !c.is_control()).take(EXCERPT).collect();
    if text.chars().count() > EXCERPT {
        short.push_str(" ...");
    }
    short
}

/// What went wrong, without the address, which every step has shown already.
pub(super) fn fault(error: &reqwest::Error) -> Fault {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    if error.is_timeout() { "no answer in time".to_owned() } else { cause.to_string() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_stream_that_was_held_back_is_told_from_one_that_was_not() {
        // (arrivals in ms, ms in which the engine wrote, streamed)
        let rows: [(&[u64], Option<u64>, bool); 10] = [
            (&[10, 50, 90, 130], Some(120), true),
            (&[10, 50, 70], Some(120), true),
            (&[130, 131, 132], Some(120), false),
            (&[130], Some(120), false),
            (&[60, 130], Some(120), false),
            (&[], None, false),
            (&[5000, 5100, 5300], None, true),
            (&[5000, 5001, 5002], None, false),
            (&[1, 2, 3], None, true),
            (&[1, 2, 3], Some(0), true),
        ];
        for (arrivals, written, streamed) in rows {
            let arrivals: Vec<_> = arrivals.iter().copied().map(Duration::from_millis).collect();
            let verdict = judge(&arrivals, written.map(Duration::from_millis));
            assert_eq!(verdict.is_ok(), streamed, "{arrivals:?} {written:?}: {verdict:?}");
        }
    }

    #[test]
    fn the_text_is_read_in_every_dialect() {
        let rows = [
            ("{\"message\":{\"content\":\"a \"}}\n{\"message\":{\"content\":\"b\"}}\n", "a b"),
            ("{\"response\":\"a\"}\n", "a"),
            ("data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\ndata: [DONE]\n\n", "a"),
            ("{\"error\":{\"message\":\"no\"}}", "no"),
            ("{\"error\":\"no\"}", "no"),
            ("<html>", "<html>"),
        ];
        for (body, text) in rows {
            let exchange = Exchange {
                status: StatusCode::OK,
                headers: HeaderMap::new(),
                body: body.to_owned(),
                arrivals: Vec::new(),
            };
            assert_eq!(exchange.text(), text, "{body}");
        }
    }

    #[test]
    fn many_stamps_are_shortened() {
        let at = |n: u64| (0..n).map(|i| Duration::from_millis(i * 40)).collect::<Vec<_>>();
        assert_eq!(stamps(&at(3)), "0.000 0.040 0.080");
        assert_eq!(stamps(&at(40)), "0.000 0.040 0.080 0.120 0.160 0.200 ... 1.560");
    }
}
