//! Waiting for what is true sooner or later. The deadlines are generous: machines are slow, and
//! a passing test never meets them.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use attach_gateway::envoy_binary::{FindOptions, find};
use tokio::runtime::Runtime;
use tokio::sync::OnceCell;

/// The longest wait for one condition.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// Between two looks at a condition.
const PAUSE: Duration = Duration::from_millis(20);

/// One runtime for all tests, so that what they share outlives the test that made it.
static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap());

/// Runs a test; one that hangs fails. The first may have to install Envoy, for which it has all
/// the time that the network takes.
pub(crate) fn run<T>(test: impl Future<Output = T>) -> T {
    static ENVOY: OnceCell<()> = OnceCell::const_new();
    RUNTIME.block_on(async {
        let install = async || {
            let configured = std::env::var_os("ATTACH_ENVOY").map(Into::into);
            find(&FindOptions::from_environment(configured)).await.map(drop)
        };
        ENVOY.get_or_try_init(install).await.expect("an Envoy");
        tokio::time::timeout(3 * DEADLINE, test).await.expect("the test hangs")
    })
}

/// Waits until the probe gives something.
pub(crate) async fn until<T>(what: &str, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = probe().await {
            return found;
        }
        assert!(start.elapsed() < DEADLINE, "still not: {what}");
        tokio::time::sleep(PAUSE).await;
    }
}

/// What has to come, within the deadline.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.unwrap_or_else(|_| panic!("did not come: {what}"))
}

/// A name that no other test of this run uses.
pub(crate) fn unique(stem: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("{stem}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}
