//! The wall clock of the stand-ins: the one place that reads it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970-01-01 UTC.
#[expect(
    clippy::disallowed_methods,
    reason = "a stand-in lives in real time: its timestamps are what the wire shows"
)]
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Seconds since 1970-01-01 UTC, the unit of Meta's timestamps and of OpenAI's `created`.
pub(crate) fn now_s() -> u64 {
    now_ms() / 1000
}
