//! Points in time, as values that are passed in.

use super::json::Json;

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixMillis(pub u64);

/// Tolerated difference between an issuer's clock and ours, milliseconds.
pub const LEEWAY_MS: i64 = 30_000;

/// A NumericDate (RFC 7519 section 2), kept in milliseconds. Fractions of a second count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NumericDate(i64);

impl NumericDate {
    /// Reads a JSON number of seconds; anything else is `None`. Dates beyond the range of `i64`
    /// milliseconds become its ends, so that no comparison with them can wrap.
    #[must_use]
    pub fn read(value: &Json<'_>) -> Option<Self> {
        match value {
            // A cast from f64 saturates.
            #[allow(clippy::cast_possible_truncation)]
            Json::Number(seconds) if seconds.is_finite() => Some(Self((seconds * 1000.0) as i64)),
            _ => None,
        }
    }

    /// Whether `now` is at or past this date, the leeway given in favour of the token.
    #[must_use]
    pub fn has_expired(self, now: UnixMillis) -> bool {
        signed(now) >= self.0.saturating_add(LEEWAY_MS)
    }

    /// Whether this date is still ahead of `now` by more than the leeway.
    #[must_use]
    pub fn is_ahead(self, now: UnixMillis) -> bool {
        self.0 > signed(now).saturating_add(LEEWAY_MS)
    }

    /// The date as a point in time; dates before 1970 are 1970.
    #[must_use]
    pub fn instant(self) -> UnixMillis {
        UnixMillis(u64::try_from(self.0).unwrap_or(0))
    }
}

fn signed(now: UnixMillis) -> i64 {
    i64::try_from(now.0).unwrap_or(i64::MAX)
}
