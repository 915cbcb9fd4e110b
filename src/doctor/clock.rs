//! Does our time agree with the providers'?

use super::ask::{Dated, Provider};
use super::check::Check;

const CLOCK: &str = "clock";
/// What a clock that is kept by NTP never comes near. A `Date` is whole seconds and as old as the answer's way here.
const AHEAD_MAX_S: i64 = 60;

/// By the first answer that Meta gave; by another provider's if Meta gave none.
pub(super) fn check(dates: &[Dated]) -> Check {
    let theirs = dates.iter().filter(|dated| dated.provider != Provider::Own);
    let Some(Dated { provider, ahead_s }) = theirs.min_by_key(|dated| dated.provider) else {
        return Check::skipped(CLOCK, "unknown: no provider has told the time").optional();
    };
    let (apart, way) = (ahead_s.unsigned_abs(), if *ahead_s < 0 { "behind" } else { "ahead of" });
    if ahead_s.abs() <= AHEAD_MAX_S {
        return Check::ok(CLOCK, format!("within {apart} s of {provider}'s"));
    }
    Check::failed(
        CLOCK,
        format!("{apart} s {way} {provider}'s"),
        "messages are taken for older or newer than they are: some are refused as stale, and windows end at the wrong \
         time",
        "set the clock of this machine, and let NTP keep it (timedatectl set-ntp true)",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Status;

    fn status(dates: &[(Provider, i64)]) -> Status {
        let dates: Vec<_> = dates.iter().map(|&(provider, ahead_s)| Dated { provider, ahead_s }).collect();
        check(&dates).status
    }

    #[test]
    fn metas_clock_counts_before_the_others() {
        use Provider::{ElevenLabs, Meta, OpenAi, Own};
        assert_eq!(status(&[]), Status::Skipped);
        assert_eq!(status(&[(Own, 0)]), Status::Skipped, "our own server's clock proves nothing");
        assert_eq!(status(&[(OpenAi, 900), (Meta, 0)]), Status::Ok);
        assert_eq!(status(&[(OpenAi, 0), (Meta, 900)]), Status::Failed);
        assert_eq!(status(&[(ElevenLabs, -61)]), Status::Failed);
        assert_eq!(status(&[(ElevenLabs, -60)]), Status::Ok);
        assert_eq!(status(&[(ElevenLabs, 61)]), Status::Failed);
    }

    #[test]
    fn of_several_answers_of_meta_the_first_counts() {
        assert_eq!(status(&[(Provider::Meta, 900), (Provider::Meta, 0)]), Status::Failed);
    }

    #[test]
    fn a_clock_that_is_behind_is_called_so() {
        let found = check(&[Dated { provider: Provider::Meta, ahead_s: -90 }]).found;
        assert_eq!(found, "90 s behind Meta's");
    }
}
