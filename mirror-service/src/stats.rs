//! Counters of the mirror-service and their Prometheus text.
//!
//! Written by hand because the names are part of the interface and carry no `_total`, which
//! OpenMetrics libraries append to every counter.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Media type of the text exposition format, version 0.0.4.
pub const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// One number that only the code next to it changes.
#[derive(Debug, Default)]
pub struct Number(AtomicU64);

macro_rules! numbers {
    ($($(#[doc = $doc:literal])+ $field:ident: $kind:literal,)+) => {
        /// What happened since the start, and what waits now.
        #[derive(Debug, Default)]
        pub struct Stats {
            $($(#[doc = $doc])+ pub $field: Number,)+
        }

        impl Stats {
            /// The text exposition format.
            #[must_use]
            pub fn exposition(&self) -> String {
                let mut text = String::new();
                $(
                    let name = concat!("attach_", stringify!($field));
                    let help = [$($doc.trim()),+].join(" ");
                    // Writing to a String cannot fail.
                    let _ = write!(
                        text,
                        "# HELP {name} {help}\n# TYPE {name} {}\n{name} {}\n",
                        $kind,
                        self.$field.get(),
                    );
                )+
                text
            }
        }
    };
}

numbers! {
    /// Batches received by /ingest.
    ingest_batches: "counter",
    /// Records received in batches and logs received, before anything was decided about them.
    ingest_received: "counter",
    /// Records that were known already.
    ingest_duplicate: "counter",
    /// Records that could not be read.
    ingest_rejected: "counter",
    /// Batches answered 503 because the service was busy or could not store them.
    ingest_refused: "counter",
    /// Records of a session that its user erased, dropped.
    ingest_erased: "counter",
    /// Secrets replaced by their kind.
    redactions: "counter",
    /// Records that wait for the store.
    outbox_waiting: "gauge",
    /// Bytes that the outbox holds.
    outbox_bytes: "gauge",
    /// Failed writes of the outbox.
    outbox_errors: "counter",
    /// Databases that were unreadable and kept aside.
    databases_set_aside: "counter",
    /// Records that the store confirmed.
    store_stored: "counter",
    /// Records that the store had already: sent again after they had left the outbox.
    store_known: "counter",
    /// Records that the store refused for good, set aside.
    store_failed: "counter",
    /// Attempts to hand records to the store that will be repeated.
    store_retries: "counter",
    /// 1 if the last contact with the store succeeded.
    store_up: "gauge",
    /// Events that retention removed.
    store_expired: "counter",
    /// Events stored and not yet searchable.
    store_unindexed: "gauge",
}

// === impl Number ===

impl Number {
    /// Adds `n`.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Relaxed);
    }

    /// Sets a gauge.
    pub fn set(&self, n: u64) {
        self.0.store(n, Relaxed);
    }

    /// The value now.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A count as the counters keep it.
#[must_use]
pub fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_carry_no_suffix() {
        let stats = Stats::default();
        stats.store_stored.add(3);
        stats.outbox_waiting.set(2);
        let text = stats.exposition();
        assert!(text.contains("\n# TYPE attach_store_stored counter\nattach_store_stored 3\n"));
        assert!(text.contains("\n# TYPE attach_outbox_waiting gauge\nattach_outbox_waiting 2\n"));
        assert!(text.contains("\nattach_store_failed 0\n"));
        assert!(!text.contains("_total"));
    }
}
