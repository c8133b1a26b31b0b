//! Ends an Envoy without cutting a request or losing what it captured.

use std::time::Duration;

use tokio::time::{Instant, interval, sleep, timeout};

use super::envoy::Running;

/// How often Envoy is asked how far it is.
const POLL: Duration = Duration::from_millis(50);

/// A stream may take an hour; whoever cannot wait sends a second signal.
const LONGEST_STREAM: Duration = Duration::from_secs(3600);

/// Idle keep-alive connections get this long to be closed by their clients.
const IDLE_GRACE: Duration = Duration::from_secs(1);

/// Records that still wait when the mirror-service has taken none for this long are lost.
const MIRROR_PATIENCE: Duration = Duration::from_secs(10);

/// Ending takes milliseconds once nothing runs.
const END_PATIENCE: Duration = Duration::from_secs(10);

const REQUESTS: &str = "http.attach.downstream_rq_active";
const CONNECTIONS: &str = "http.attach.downstream_cx_active";
const WAITING: &str = "wasmcustom.attach_mirror_waiting";

/// Closes the listeners, waits for the streams and the mirror's queue, then ends Envoy.
pub(super) async fn drain(envoy: Running) {
    // From here on a crash is the end: a new one would open the listeners again.
    envoy.keeper.retire();
    tokio::select! {
        () = finish(&envoy) => {}
        () = envoy.keeper.gone() => tracing::error!("Envoy ended while it drained"),
    }
    envoy.keeper.terminate(END_PATIENCE).await;
}

async fn finish(envoy: &Running) {
    // A failed health check makes every answer carry `connection: close` (GOAWAY for HTTP/2),
    // so clients leave; then the listeners close, so none come. `/drain_listeners?graceful`
    // would accept new connections until its period is over.
    for path in ["/healthcheck/fail", "/drain_listeners"] {
        if let Err(error) = envoy.admin.post(path).await {
            tracing::warn!("Envoy cannot be asked to drain ({path}): {error}");
            return;
        }
    }
    wait_for_requests(envoy).await;
    let _ = timeout(IDLE_GRACE, until_zero(envoy, CONNECTIONS)).await;
    wait_for_mirror(envoy).await;
}

async fn wait_for_requests(envoy: &Running) {
    let started = Instant::now();
    let mut report = interval(Duration::from_secs(10));
    report.tick().await;
    let finished = until_zero(envoy, REQUESTS);
    tokio::pin!(finished);
    loop {
        tokio::select! {
            () = &mut finished => return,
            _ = report.tick() => {
                let running = count(envoy, REQUESTS).await.unwrap_or_default();
                tracing::info!("draining: {running} requests are still running");
                if started.elapsed() > LONGEST_STREAM {
                    tracing::warn!("draining took an hour: {running} requests are cut");
                    return;
                }
            }
        }
    }
}

/// A dead mirror-service must not keep the gateway from ending, a busy one may.
async fn wait_for_mirror(envoy: &Running) {
    let mut least = u64::MAX;
    let mut moved = Instant::now();
    while let Some(waiting) = count(envoy, WAITING).await.filter(|waiting| *waiting > 0) {
        if waiting < least {
            (least, moved) = (waiting, Instant::now());
        }
        if moved.elapsed() > MIRROR_PATIENCE {
            tracing::error!(
                "the mirror-service takes nothing: {waiting} captured exchanges are lost"
            );
            return;
        }
        sleep(POLL).await;
    }
}

async fn until_zero(envoy: &Running, stat: &str) {
    while count(envoy, stat).await.is_some_and(|count| count > 0) {
        sleep(POLL).await;
    }
}

/// The value of a stat; none if Envoy does not answer, and then there is nothing to wait for.
async fn count(envoy: &Running, stat: &str) -> Option<u64> {
    let regex = format!("^{}$", stat.replace('.', "\\."));
    envoy.admin.stats(&regex).await.ok().map(|stats| stats.get(stat))
}
