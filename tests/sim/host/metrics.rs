//! Metrics: one value per name for the whole process; ids belong to one VM.

use std::collections::BTreeMap;

use super::guest::Status;

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    /// From the ABI's number.
    pub fn of(number: u32) -> Result<Self, Status> {
        match number {
            0 => Ok(Self::Counter),
            1 => Ok(Self::Gauge),
            2 => Ok(Self::Histogram),
            _ => Err(Status::BadArgument),
        }
    }
}

/// Every metric of the process.
#[derive(Default)]
pub struct Metrics(BTreeMap<String, u64>);

impl Metrics {
    /// Starts a metric at 0, or leaves a known one as it is.
    pub fn define(&mut self, name: &str) {
        self.0.entry(name.to_owned()).or_default();
    }

    /// The value; `None` if nobody defined it.
    pub fn get(&self, name: &str) -> Option<u64> {
        self.0.get(name).copied()
    }

    /// Adds an offset: a counter takes only what is above 0.
    pub fn increment(&mut self, kind: Kind, name: &str, offset: i64) -> Result<(), Status> {
        let value = self.0.get_mut(name).ok_or(Status::NotFound)?;
        match kind {
            Kind::Counter if offset > 0 => *value += offset.unsigned_abs(),
            Kind::Gauge => {
                *value = value
                    .checked_add_signed(offset)
                    .unwrap_or_else(|| panic!("gauge {name} falls below 0"));
            }
            Kind::Counter | Kind::Histogram => return Err(Status::BadArgument),
        }
        Ok(())
    }

    /// Sets a gauge; adds to a counter, as Envoy does.
    pub fn record(&mut self, kind: Kind, name: &str, number: u64) -> Result<(), Status> {
        let value = self.0.get_mut(name).ok_or(Status::NotFound)?;
        match kind {
            Kind::Counter => *value += number,
            Kind::Gauge | Kind::Histogram => *value = number,
        }
        Ok(())
    }
}
