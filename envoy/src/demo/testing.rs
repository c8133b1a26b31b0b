//! What the tests of this crate's issuer, engine and login share.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::issuer::{Clock, Config, Issuer, Keys};

/// A client that follows no redirects and uses no proxy.
pub(crate) fn client() -> reqwest::Client {
    super::loopback_client(Duration::from_secs(60)).unwrap()
}

/// One key for all tests: making one costs a second.
pub(crate) fn keys() -> Keys {
    static KEYS: OnceLock<Keys> = OnceLock::new();
    KEYS.get_or_init(|| Keys::generate().unwrap()).clone()
}

/// A clock that moves only when it is told to.
#[derive(Clone)]
pub(crate) struct HandClock(Arc<AtomicU64>);

impl HandClock {
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicU64::new(1_800_000_000_000)))
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.0.fetch_add(u64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }

    pub(crate) fn now(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::SeqCst))
    }

    pub(crate) fn shared(&self) -> Clock {
        let clock = self.clone();
        Arc::new(move || clock.now())
    }
}

pub(crate) async fn issuer(clock: &HandClock) -> Issuer {
    issuer_with(clock, |_| ()).await
}

pub(crate) async fn issuer_with(clock: &HandClock, change: impl FnOnce(&mut Config)) -> Issuer {
    let mut config = Config { clock: clock.shared(), keys: Some(keys()), ..Config::default() };
    change(&mut config);
    Issuer::start(config).await.unwrap()
}
