//! The filter's counters; Envoy adds them up over workers.

use proxy_wasm::hostcalls;
use proxy_wasm::types::MetricType;

use crate::mirror::queue::Counts;

/// Ids of the metrics; absent where the host would not define one.
pub(super) struct Metrics {
    captured: Option<u32>,
    acknowledged: Option<u32>,
    dropped: Option<u32>,
    waiting: Option<u32>,
}

impl Metrics {
    pub(super) fn define() -> Self {
        let define = |kind, name| hostcalls::define_metric(kind, name).ok();
        Self {
            captured: define(MetricType::Counter, "attach_mirror_captured"),
            acknowledged: define(MetricType::Counter, "attach_mirror_acknowledged"),
            dropped: define(MetricType::Counter, "attach_mirror_dropped"),
            waiting: define(MetricType::Gauge, "attach_mirror_waiting"),
        }
    }

    pub(super) fn add(&self, counts: &Counts) {
        for (metric, by) in [
            (self.captured, counts.captured),
            (self.acknowledged, counts.acknowledged),
            (self.dropped, counts.dropped),
            (self.waiting, counts.waiting),
        ] {
            // A counter refuses zero.
            if let (Some(metric), true) = (metric, by != 0) {
                let _ = hostcalls::increment_metric(metric, by);
            }
        }
    }
}
