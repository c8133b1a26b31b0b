//! Housekeeping from time to time.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::app::App;

/// How often. An event outlives its retention by this much at most.
const EVERY: Duration = Duration::from_secs(30);

/// Tidies outbox and store until `stop` turns true.
pub(super) async fn run(app: Arc<App>, mut stop: watch::Receiver<bool>) {
    loop {
        let now = app.clock.now();
        if let Some(outbox) = &app.outbox
            && let Err(refusal) = outbox.tidy(now).await
        {
            tracing::warn!(%refusal, "the outbox could not be tidied");
        }
        if let Err(fault) = app.store.tidy(now).await {
            tracing::warn!(%fault, "the store could not be tidied");
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}
