//! The service from start to stop.

use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::sync::watch;

use crate::app::{App, router};
use crate::clock::Clock;
use crate::deliver::{Courier, Gate};
use crate::ingest::Intake;
use crate::outbox::Outbox;
use crate::redact::{BadPattern, Redactor};
use crate::settings::{Backend, Listen, Settings};
use crate::sqlite::Trouble;
use crate::stats::Stats;
use crate::store::{Embedded, Nowhere, Store};

mod data_dir;
mod listener;
mod tidy;

use listener::Listener;

/// How long requests in flight may take to end when the service stops.
const FINISH: Duration = Duration::from_secs(5);

/// How long the outbox may take to empty itself when the service stops. What is left is
/// delivered after the next start.
const FLUSH: Duration = Duration::from_secs(10);

/// Why the service does not start, or stops.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The data directory cannot be used.
    #[error(
        "ATTACH_DATA_DIR {path:?} cannot be used: {reason}; give a directory that this user may write"
    )]
    DataDir {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        reason: io::Error,
    },
    /// Another mirror-service works on the same data.
    #[error(
        "another mirror-service uses the data directory {0:?}: stop it, or give another ATTACH_DATA_DIR"
    )]
    InUse(PathBuf),
    /// It cannot listen.
    #[error("MIRROR_LISTEN {address} cannot be listened on: {reason}")]
    Listen {
        /// Where.
        address: String,
        /// Why not.
        reason: io::Error,
    },
    /// A TCP listener without a token.
    #[error(
        "MIRROR_TOKEN is not set; a TCP listener needs one, so that only the gateway can write"
    )]
    NoToken,
    /// An own redaction pattern is not usable.
    #[error("MEM_REDACT_PATTERNS: {0}")]
    Pattern(#[from] BadPattern),
    /// A database can be neither opened nor replaced.
    #[error("{path:?} cannot be opened: {reason}")]
    Database {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: Trouble,
    },
    /// The server broke off.
    #[error("the server failed: {0}")]
    Server(io::Error),
    /// Signals cannot be received.
    #[error("signals cannot be received: {0}")]
    Signals(io::Error),
}

// === impl Error ===

impl Error {
    /// Whether a setting is at fault.
    #[must_use]
    pub fn is_misuse(&self) -> bool {
        match self {
            Self::DataDir { .. }
            | Self::InUse(_)
            | Self::Listen { .. }
            | Self::NoToken
            | Self::Pattern(_) => true,
            Self::Database { .. } | Self::Server(_) | Self::Signals(_) => false,
        }
    }
}

/// Runs a mirror-service until `shutdown` completes; then it stops accepting, finishes what is
/// in flight and hands over what waits, as long as that takes no more than seconds.
///
/// # Errors
/// It cannot start, or its server breaks off.
pub async fn run(
    settings: Settings,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Error> {
    if matches!(settings.listen, Listen::Tcp(_)) && settings.token.is_none() {
        return Err(Error::NoToken);
    }
    let redactor = Arc::new(Redactor::new(&settings.redaction)?);
    let _lock = data_dir::prepare(&settings.data_dir)?;
    let listener = Listener::bind(&settings.listen).await?;
    let clock = Clock::system();
    let (app, courier) = assemble(&settings, redactor, clock.clone())?;
    tracing::info!(
        address = %listener.address(),
        backend = name(&settings.backend),
        "the mirror-service listens",
    );

    let (stop, stopped) = watch::channel(false);
    // Delivery goes on until the last request has ended.
    let (finish, finishing) = watch::channel(false);
    let delivery = courier.map(|courier| tokio::spawn(courier.run(finishing)));
    let tidying = tokio::spawn(tidy::run(Arc::clone(&app), stopped));
    let served = serve(Arc::clone(&app), listener, shutdown, &stop).await;

    tidying.abort();
    // Fails if the courier has gone, which is as well.
    let _ = finish.send(true);
    if let Some(mut delivery) = delivery
        && tokio::time::timeout(FLUSH, &mut delivery).await.is_err()
    {
        delivery.abort();
        let waiting = app.stats.outbox_waiting.get();
        tracing::warn!(waiting, "stopped; what waits is delivered after the next start");
    }
    tracing::info!("the mirror-service has stopped");
    served
}

fn name(backend: &Backend) -> &'static str {
    match backend {
        Backend::None => "none",
        Backend::Embedded => "embedded",
        Backend::Weaviate(_) => "weaviate",
    }
}

/// Everything but the listener.
pub(crate) fn assemble(
    settings: &Settings,
    redactor: Arc<Redactor>,
    clock: Clock,
) -> Result<(Arc<App>, Option<Courier>), Error> {
    let stats = Arc::new(Stats::default());
    let failed = |path: &Path, reason| Error::Database { path: path.to_owned(), reason };
    let store: Arc<dyn Store> = match &settings.backend {
        Backend::None => Arc::new(Nowhere),
        Backend::Embedded | Backend::Weaviate(_) => {
            let path = settings.data_dir.join("memory.db");
            let store =
                Embedded::open(path.clone(), settings.retention, clock.clone(), Arc::clone(&stats));
            stats.store_up.set(1);
            Arc::new(store.map_err(|reason| failed(&path, reason))?)
        }
    };
    let outbox = match &settings.backend {
        Backend::None => None,
        Backend::Embedded | Backend::Weaviate(_) => {
            let path = settings.data_dir.join("outbox.db");
            let most = settings.limits.outbox_bytes;
            let outbox = Outbox::open(path.clone(), most, clock.clone(), Arc::clone(&stats));
            Some(outbox.map_err(|reason| failed(&path, reason))?)
        }
    };
    let gate = Gate::default();
    let courier = outbox.clone().map(|outbox| Courier {
        outbox,
        store: Arc::clone(&store),
        stats: Arc::clone(&stats),
        gate: Arc::clone(&gate),
    });
    let places = settings.limits.batches;
    let app = App {
        intake: Intake::new(redactor, outbox.clone(), Arc::clone(&stats), places),
        outbox,
        store,
        stats,
        clock,
        gate,
        token: settings.token.clone(),
        limits: settings.limits,
        stopping: false.into(),
    };
    Ok((Arc::new(app), courier))
}

/// Serves until `shutdown`, then for a bounded time until the last request has ended.
async fn serve(
    app: Arc<App>,
    listener: Listener,
    shutdown: impl Future<Output = ()> + Send + 'static,
    stop: &watch::Sender<bool>,
) -> Result<(), Error> {
    let mut closing = stop.subscribe();
    let routes = router(Arc::clone(&app));
    let mut closed = stop.subscribe();
    let graceful = async move {
        // Whoever could say so has gone: that says it as well.
        let _ = closing.wait_for(|stop| *stop).await;
    };
    let serving = listener.serve(routes, graceful);
    let watch = async {
        shutdown.await;
        app.stopping.store(true, Relaxed);
        tracing::info!("stopping");
        let _ = stop.send(true);
        std::future::pending::<()>().await;
    };
    let deadline = async {
        let _ = closed.wait_for(|stop| *stop).await;
        tokio::time::sleep(FINISH).await;
    };
    tokio::select! {
        served = serving => served.map_err(Error::Server),
        () = watch => Ok(()),
        () = deadline => Ok(()),
    }
}
