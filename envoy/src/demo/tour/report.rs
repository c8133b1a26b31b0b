//! The tour's report: each step, what it saw, and whether it held.

use std::io::{self, Write};
use std::time::Instant;

use super::Fault;

/// Lines that a step has to show.
#[derive(Default)]
pub(super) struct Saw(Vec<String>);

impl Saw {
    /// One more line.
    pub(super) fn line(&mut self, line: impl Into<String>) {
        self.0.push(line.into());
    }
}

/// Writes the report as it comes.
pub(super) struct Report<W> {
    out: W,
    steps: u32,
    held: u32,
    skipped: u32,
}

impl<W: Write> Report<W> {
    pub(super) fn new(out: W) -> Self {
        Self { out, steps: 0, held: 0, skipped: 0 }
    }

    /// Plays one step.
    pub(super) async fn step(
        &mut self,
        name: &str,
        play: impl AsyncFnOnce(&mut Saw) -> Result<(), Fault>,
    ) -> io::Result<()> {
        self.steps = self.steps.saturating_add(1);
        writeln!(self.out, "{}. {name}", self.steps)?;
        self.out.flush()?;
        let mut saw = Saw::default();
        let started = Instant::now();
        let verdict = play(&mut saw).await;
        let took = started.elapsed().as_secs_f64();
        for line in saw.0 {
            writeln!(self.out, "     {line}")?;
        }
        match verdict {
            Ok(()) => {
                self.held = self.held.saturating_add(1);
                writeln!(self.out, "   held ({took:.2} s)\n")?;
            }
            Err(fault) => writeln!(self.out, "   FAILED: {fault}\n")?,
        }
        self.out.flush()
    }

    /// Says why a step makes no sense here.
    pub(super) fn skip(&mut self, name: &str, why: &str) -> io::Result<()> {
        self.skipped = self.skipped.saturating_add(1);
        writeln!(self.out, "-  {name}\n   skipped: {why}\n")
    }

    /// Sums up. `true`: every step held.
    pub(super) fn end(mut self) -> io::Result<bool> {
        let all = self.held == self.steps;
        let skipped = match self.skipped {
            0 => String::new(),
            n => format!(", {n} skipped"),
        };
        let verdict = if all { "Every step held" } else { "NOT every step held" };
        writeln!(self.out, "{verdict}: {} of {}{skipped}.", self.held, self.steps)?;
        self.out.flush()?;
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[tokio::test]
    async fn one_step_that_fails_fails_the_tour_and_not_the_other_steps() {
        let mut out = Vec::new();
        let mut report = Report::new(&mut out);
        report
            .step("good", async |saw: &mut Saw| {
                saw.line("200");
                Ok(())
            })
            .await
            .unwrap();
        report.step("bad", async |_: &mut Saw| Err("404".to_owned())).await.unwrap();
        report.skip("moot", "nothing there").unwrap();
        report.step("good again", async |_: &mut Saw| Ok(())).await.unwrap();
        assert!(!report.end().unwrap());
        let text = String::from_utf8(out).unwrap();
        for part in
            ["1. good\n     200\n   held", "2. bad\n   FAILED: 404", "3. good again\n   held"]
        {
            assert!(text.contains(part), "{text}");
        }
        assert!(text.ends_with("NOT every step held: 2 of 3, 1 skipped.\n"), "{text}");
    }
}
