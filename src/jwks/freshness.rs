//! How long keys are good for, and how long to wait before the next fetch. All in milliseconds.

use hmac_sha256::Hash as Sha256;

/// Keys are taken as fresh for at least this long, whatever the issuer says.
pub const FLOOR: u64 = 60_000;
/// Keys are taken as fresh for this long if the issuer does not say.
pub const DEFAULT: u64 = 300_000;
/// Keys are taken as fresh for at most this long: it bounds how long a revoked key lives.
pub const CEILING: u64 = 3_600_000;
/// Keys that could not be refreshed are used for this long after they were fetched.
pub const MAX_STALE: u64 = 24 * 3_600_000;
/// Shortest time between two fetches that are made because of tokens whose key is not known.
pub const COOLDOWN: u64 = 10_000;
/// How long a worker may take for one fetch before the others think that it died. Longer than
/// the time-out of a fetch.
pub const LEASE: u64 = 15_000;
/// The first wait after a failure; it doubles with each further one.
const BACKOFF: u64 = 1_000;
/// Longest wait while the issuer's keys are in hand.
pub const BACKOFF_CAP: u64 = 60_000;
/// Longest wait while there are none, and every request of the issuer's users fails.
pub const BACKOFF_CAP_WITHOUT_KEYS: u64 = 5_000;
/// Workers see the clock at slightly different moments, and it is slewed now and then.
pub const SLACK: u64 = 5_000;

/// Whether `time` is still ahead of `now`, if it was set to at most `span` from then on. A time
/// that is further ahead than that was set before the clock was put back; waiting for it could
/// take for ever.
#[must_use]
pub fn is_ahead(time: u64, now: u64, span: u64) -> bool {
    time > now && time.saturating_sub(now) <= span.saturating_add(SLACK)
}

/// How long an answer is fresh: `max-age` (RFC 9111 section 5.2.2.1) between [`FLOOR`] and
/// [`CEILING`]; the floor for `no-store` and `no-cache`.
#[must_use]
pub fn lifetime(cache_control: Option<&[u8]>) -> u64 {
    let text = cache_control.and_then(|value| std::str::from_utf8(value).ok()).unwrap_or_default();
    let mut max_age = None;
    for directive in text.split(',').map(str::trim) {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        if name.eq_ignore_ascii_case("no-store") || name.eq_ignore_ascii_case("no-cache") {
            return FLOOR;
        }
        if name.eq_ignore_ascii_case("max-age") {
            // The smallest of several; one that is no number counts as expired
            // (RFC 9111 section 4.2.1).
            let seconds = seconds(value.trim_matches('"'));
            max_age = Some(max_age.map_or(seconds, |other: u64| other.min(seconds)));
        }
    }
    max_age.map_or(DEFAULT, |seconds| seconds.saturating_mul(1000).clamp(FLOOR, CEILING))
}

fn seconds(digits: &str) -> u64 {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return 0;
    }
    // Too many digits for the type is the longest time there is (RFC 9111 section 1.2.2).
    digits.parse().unwrap_or(u64::MAX)
}

/// When keys are refreshed: between 80 and 90 % of the time for which they are fresh, so that
/// they are there before they are needed, and the proxies of one issuer do not all come at once.
#[must_use]
pub fn refresh_at(published: u64, fresh_until: u64, jitter: u64) -> u64 {
    let lifetime = fresh_until.saturating_sub(published).clamp(FLOOR, CEILING);
    let ahead = part(lifetime, 80, 100).saturating_add(part(lifetime, 10, jitter));
    published.saturating_add(ahead)
}

/// The wait after `failures` failures in a row: exponential, capped, and between 75 and 100 %
/// of that by chance.
#[must_use]
pub fn backoff(failures: u64, has_keys: bool, jitter: u64) -> u64 {
    let cap = if has_keys { BACKOFF_CAP } else { BACKOFF_CAP_WITHOUT_KEYS };
    let doublings = u32::try_from(failures.saturating_sub(1)).unwrap_or(u32::MAX).min(16);
    let wait = BACKOFF.saturating_mul(1 << doublings).min(cap);
    part(wait, 75, 100).saturating_add(part(wait, 25, jitter))
}

/// `percent` of `whole`, of that `share` percent.
fn part(whole: u64, percent: u64, share: u64) -> u64 {
    whole.saturating_mul(percent).saturating_mul(share) / 10_000
}

/// A number from 0 to 100 that differs between workers and attempts, without being random.
#[must_use]
pub fn jitter(worker: u64, attempt: u64) -> u64 {
    let mut hash = Sha256::new();
    hash.update(worker.to_le_bytes());
    hash.update(attempt.to_le_bytes());
    let digest = hash.finalize();
    digest.first_chunk::<8>().map_or(0, |bytes| u64::from_le_bytes(*bytes) % 101)
}
