//! The few words in which every call to a provider ends, and what the headers of a refusal ask for.

use std::time::Duration;

use derive_more::Display;
use parlante_domain::turn::ErrorCode;

use crate::date;

/// How a call ended that brought nothing, for whoever made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Display)]
#[display(rename_all = "snake_case")]
pub enum Outcome {
    /// It surely did not happen, and another try may succeed.
    Retry,
    /// Another try may succeed, but this one may have happened: look for it before repeating what is visible.
    RetryUnsure,
    /// Nobody can say whether it happened. No refusal means this: it is for calls that got no answer.
    Unknown,
    /// Another try would fail alike; it concerns this message only.
    GiveUp,
    /// Every message would fail alike until an operator acts; it concerns the whole channel.
    #[display("pause_{_0}")]
    Pause(Cause),
}

/// Why a channel is paused, which decides how one finds out that it works again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Display)]
#[display(rename_all = "snake_case")]
pub enum Cause {
    /// The key or token is not accepted: any call can tell, so the one that costs nothing does.
    Credential,
    /// Quota, payment, permission, a locked account, the model: only the real call can tell.
    Account,
}

/// A provider's codes, each with its meaning.
pub type Codes = &'static [(&'static str, Outcome)];

/// The meaning of `code`, if the table has it.
pub(crate) fn look_up(codes: Codes, code: &str) -> Option<Outcome> {
    codes.iter().find(|(known, _)| *known == code).map(|(_, outcome)| *outcome)
}

/// A provider's answer that is not the one we wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What to do about it; never [`Outcome::Unknown`].
    pub outcome: Outcome,
    /// The HTTP status of the answer; 200 for an answer that began well and then turned into an error.
    pub status: u16,
    /// The provider's own code: at most 64 letters, digits, `_`, `-`, `.` and `+`, so that it may be logged.
    pub provider_code: Option<String>,
    /// The code stands in the provider's table, or there is none. Others are worth counting: a table may be old.
    pub is_known: bool,
    /// The shortest wait that the provider asks for.
    pub retry_after: Option<Duration>,
    /// The provider asks not to be asked again (`x-should-retry: false`), whatever the outcome says.
    pub stop: bool,
}

impl Refusal {
    /// What the failure is called in logs and in the ledger: the HTTP status, and the provider's own code beside it.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        ErrorCode::status(self.status).with_provider(self.provider_code.as_deref())
    }
}

/// What the headers of an answer say about another try.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RetryHints {
    /// The shortest wait; from `retry-after-ms`, else from `Retry-After`.
    pub retry_after: Option<Duration>,
    /// `x-should-retry: false`.
    pub stop: bool,
}

/// Reads the hints; `get` finds a header by its lower-case name.
///
/// `Retry-After` (RFC 9110, 10.2.3) is a number of seconds, or a date, which is compared with the answer's own
/// `Date`, so that no clock of ours takes part; without one it counts as absent. `retry-after-ms` and
/// `x-should-retry` are what OpenAI's own clients heed.
pub fn retry_hints(get: impl Fn(&str) -> Option<String>) -> RetryHints {
    let number = |name: &str, unit_s: f64| {
        let value: f64 = get(name)?.trim().parse().ok()?;
        Duration::try_from_secs_f64(value * unit_s).ok()
    };
    let until = || {
        let seconds = |name| date::unix_seconds(get(name)?.trim());
        // A date that has passed asks for no wait.
        Some(Duration::from_secs(seconds("retry-after")?.saturating_sub(seconds("date")?)))
    };
    RetryHints {
        retry_after: number("retry-after-ms", 0.001).or_else(|| number("retry-after", 1.0)).or_else(until),
        stop: get("x-should-retry").is_some_and(|value| value.trim().eq_ignore_ascii_case("false")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hints(headers: &[(&str, &str)]) -> RetryHints {
        retry_hints(|name| headers.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn the_wait_is_read_in_seconds_or_milliseconds() {
        assert_eq!(hints(&[("retry-after", "7")]).retry_after, Some(Duration::from_secs(7)));
        assert_eq!(hints(&[("retry-after", " 0 ")]).retry_after, Some(Duration::ZERO));
        let both = hints(&[("retry-after", "1"), ("retry-after-ms", "800")]);
        assert_eq!(both.retry_after, Some(Duration::from_millis(800)));
    }

    #[test]
    fn a_date_is_a_wait_from_the_answers_own_date() {
        let wait = |until, date| hints(&[("retry-after", until), ("date", date)]).retry_after;
        let now = "Wed, 21 Oct 2026 07:28:00 GMT";
        assert_eq!(wait("Wed, 21 Oct 2026 07:28:09 GMT", now), Some(Duration::from_secs(9)));
        assert_eq!(wait("Tue, 20 Oct 2026 07:28:00 GMT", now), Some(Duration::ZERO));
        assert_eq!(wait("7", now), Some(Duration::from_secs(7)));
        assert_eq!(wait("soon", now), None);
        assert_eq!(wait(now, "today"), None);
    }

    #[test]
    fn what_is_not_a_wait_counts_as_absent() {
        for value in ["", "soon", "-1", "NaN", "inf", "1e300", "Wed, 21 Oct 2026 07:28:00 GMT"] {
            assert_eq!(hints(&[("retry-after", value)]).retry_after, None, "{value}");
        }
        assert_eq!(hints(&[]), RetryHints::default());
    }

    #[test]
    fn a_provider_can_ask_not_to_be_asked_again() {
        assert!(hints(&[("x-should-retry", "false")]).stop);
        assert!(!hints(&[("x-should-retry", "true")]).stop);
    }

    #[test]
    fn a_refusal_is_called_by_its_status() {
        let refusal = Refusal {
            outcome: Outcome::Retry,
            status: 503,
            provider_code: None,
            is_known: true,
            retry_after: None,
            stop: false,
        };
        assert_eq!(refusal.code().as_str(), "503");
    }

    #[test]
    fn every_outcome_has_one_word() {
        let words = [
            (Outcome::RetryUnsure, "retry_unsure"),
            (Outcome::Pause(Cause::Credential), "pause_credential"),
            (Outcome::Pause(Cause::Account), "pause_account"),
        ];
        for (outcome, word) in words {
            assert_eq!(outcome.to_string(), word);
        }
    }
}
