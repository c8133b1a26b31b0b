//! One loopback HTTP server of the demo: bound before anybody is told its address,
//! stopped when its handle goes.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// How long open connections may take to finish once the server is told to stop.
const GRACE: Duration = Duration::from_secs(1);

/// A running server. Dropping it stops it too, without waiting.
pub(crate) struct Server {
    addr: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Server {
    /// Binds `listen` (port 0 takes a free one) and serves what `app` makes of the address.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub(crate) async fn start(
        listen: SocketAddr,
        app: impl FnOnce(SocketAddr) -> Router,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let addr = listener.local_addr()?;
        let app = app(addr);
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            // An error of the channel is the dropped handle: stop as well.
            let signal = async move { drop(stopped.await) };
            if let Err(error) = axum::serve(listener, app).with_graceful_shutdown(signal).await {
                tracing::warn!(%error, "a demo server ended");
            }
        });
        Ok(Self { addr, stop, task })
    }

    /// Where it listens.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Stops it, waiting a moment for running exchanges.
    pub(crate) async fn stop(self) {
        let Self { stop, mut task, .. } = self;
        drop(stop);
        if tokio::time::timeout(GRACE, &mut task).await.is_err() {
            task.abort();
        }
    }
}
