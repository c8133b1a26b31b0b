//! Keeps one child running.

use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Child;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::child::Program;

/// How long to wait before the next start.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Backoff {
    /// The mirror-service is back soon every time, as records wait for it.
    Constant(Duration),
    /// Doubles from the first to the longest, and starts over once a child lived for a minute.
    Growing(Duration, Duration),
}

/// What the owner wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
enum Wish {
    /// Run for ever.
    Run,
    /// Run on, but do not start it again.
    Retire,
    /// End in order.
    Terminate,
    /// End now.
    Kill,
}

/// A child and the task that keeps it running. Dropping it kills the child.
#[derive(Debug)]
pub(crate) struct Keeper {
    name: &'static str,
    pid: Arc<AtomicU32>,
    wish: watch::Sender<Wish>,
    exits: watch::Receiver<Option<ExitStatus>>,
    task: JoinHandle<()>,
}

struct Keeping {
    name: &'static str,
    program: Program,
    backoff: Backoff,
    pid: Arc<AtomicU32>,
    wish: watch::Receiver<Wish>,
    exits: watch::Sender<Option<ExitStatus>>,
}

impl Keeper {
    /// Starts the child; an error is one of this first start.
    pub(crate) fn start(
        name: &'static str,
        program: Program,
        backoff: Backoff,
    ) -> std::io::Result<Self> {
        let child = program.spawn()?;
        let pid = Arc::new(AtomicU32::new(child.id().unwrap_or_default()));
        let (wish, wishes) = watch::channel(Wish::Run);
        let (exited, exits) = watch::channel(None);
        let keeping =
            Keeping { name, program, backoff, pid: Arc::clone(&pid), wish: wishes, exits: exited };
        Ok(Self { name, pid, wish, exits, task: tokio::spawn(keeping.keep(child)) })
    }

    /// The process, if it runs just now.
    pub(crate) fn pid(&self) -> Option<u32> {
        Some(self.pid.load(Ordering::Relaxed)).filter(|pid| *pid != 0)
    }

    /// Waits until the child has ended once since [`Keeper::start`].
    pub(crate) async fn ended(&self) -> Option<ExitStatus> {
        let mut exits = self.exits.clone();
        exits.wait_for(Option::is_some).await.ok().and_then(|status| *status)
    }

    /// Waits until it has ended for good.
    pub(crate) async fn gone(&self) {
        let mut exits = self.exits.clone();
        while exits.changed().await.is_ok() {}
    }

    /// From now on its end is final.
    pub(crate) fn retire(&self) {
        self.raise(Wish::Retire);
    }

    /// Asks it to end and waits for it; kills it if it takes longer than `patience`.
    pub(crate) async fn terminate(mut self, patience: Duration) {
        self.raise(Wish::Terminate);
        if tokio::time::timeout(patience, &mut self.task).await.is_err() {
            tracing::warn!(
                "{} did not end within {} s and is killed",
                self.name,
                patience.as_secs()
            );
            self.kill().await;
        }
    }

    /// Ends it at once.
    pub(crate) async fn kill(mut self) {
        self.raise(Wish::Kill);
        let _ = (&mut self.task).await;
    }

    fn raise(&self, wish: Wish) {
        self.wish.send_if_modified(|now| {
            let more = *now < wish;
            if more {
                *now = wish;
            }
            more
        });
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Keeping {
    async fn keep(mut self, mut child: Child) {
        let mut failures: u32 = 0;
        loop {
            let started = Instant::now();
            let status = self.watch(&mut child).await;
            self.pid.store(0, Ordering::Relaxed);
            self.exits.send_replace(status);
            if started.elapsed() > Duration::from_secs(60) {
                failures = 0;
            }
            loop {
                if *self.wish.borrow() != Wish::Run {
                    return;
                }
                let delay = self.backoff.delay(failures);
                failures = failures.saturating_add(1);
                let how =
                    status.map_or_else(|| "ended".to_owned(), |status| format!("ended ({status})"));
                tracing::error!(
                    "{} {how}; starting it again in {} ms",
                    self.name,
                    delay.as_millis()
                );
                tokio::select! {
                    () = sleep(delay) => {}
                    _ = self.wish.wait_for(|wish| *wish != Wish::Run) => return,
                }
                match self.program.spawn() {
                    Ok(next) => {
                        child = next;
                        break;
                    }
                    Err(error) => tracing::error!("{} cannot be started: {error}", self.name),
                }
            }
            self.pid.store(child.id().unwrap_or_default(), Ordering::Relaxed);
        }
    }

    /// Waits for the child's end, passing on what the owner wants.
    async fn watch(&mut self, child: &mut Child) -> Option<ExitStatus> {
        loop {
            let wish = tokio::select! {
                status = child.wait() => return status.ok(),
                changed = self.wish.changed() => match changed {
                    Ok(()) => *self.wish.borrow_and_update(),
                    Err(_) => Wish::Kill,
                },
            };
            match wish {
                Wish::Run | Wish::Retire => {}
                Wish::Terminate => terminate(child),
                Wish::Kill => {
                    let _ = child.start_kill();
                    return child.wait().await.ok();
                }
            }
        }
    }
}

fn terminate(child: &Child) {
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
    if let Some(pid) = pid {
        // It may have ended by itself; then `wait` says so.
        let _ = kill_process(pid, Signal::TERM);
    }
}

impl Backoff {
    fn delay(self, failures: u32) -> Duration {
        match self {
            Self::Constant(delay) => delay,
            Self::Growing(first, longest) => {
                first.saturating_mul(1_u32.checked_shl(failures).unwrap_or(u32::MAX)).min(longest)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[test]
    fn back_off_grows_to_its_longest_and_the_constant_one_does_not() {
        let growing = Backoff::Growing(Duration::from_millis(100), Duration::from_secs(10));
        let constant = Backoff::Constant(Duration::from_millis(300));
        for (failures, millis) in
            [(0, 100), (1, 200), (3, 800), (7, 10_000), (31, 10_000), (99, 10_000)]
        {
            assert_eq!(growing.delay(failures), Duration::from_millis(millis), "{failures}");
            assert_eq!(constant.delay(failures), Duration::from_millis(300));
        }
    }
}
