//! Times and spans as people and machines read them.

use std::fmt;
use std::time::Duration;

use derive_more::From;
use parlante_domain::Millis;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

const DAY_MS: i64 = 86_400_000;

/// A point in time: RFC 3339, UTC, whole milliseconds (`2026-11-24T09:12:03.120Z`), in JSON and in print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, From)]
pub(crate) struct Time(pub(crate) Millis);

impl Time {
    /// Reads the one form that [`Time`] writes.
    fn parse(text: &str) -> Option<Self> {
        let fields: Vec<i64> = text
            .strip_suffix('Z')?
            .split(['-', 'T', ':', '.'])
            .map(|digits| digits.parse().ok())
            .collect::<Option<_>>()?;
        let [year, month, day, hour, minute, second, milli] = fields[..] else { return None };
        let seconds = ((days_from_civil(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
        Some(Self(Millis(seconds * 1000 + milli)))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, of_day) = (self.0.0.div_euclid(DAY_MS), self.0.0.rem_euclid(DAY_MS));
        let (year, month, day) = civil_from_days(days);
        let (hour, minute, second) = (of_day / 3_600_000, of_day / 60_000 % 60, of_day / 1000 % 60);
        let milli = of_day % 1000;
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not a time in UTC with milliseconds"))
    }
}

/// A span with three figures or so, in the unit that suits it: `312 ms`, `2.81 s`, `4 min 05 s`, `3 h 07 min`, `2 d 04 h`.
pub(crate) fn span(span: Duration) -> String {
    let (ms, s) = (span.as_millis(), span.as_secs());
    match s {
        0 => format!("{ms} ms"),
        1..60 => format!("{}.{:02} s", s, ms % 1000 / 10),
        60..3600 => format!("{} min {:02} s", s / 60, s % 60),
        3600..86_400 => format!("{} h {:02} min", s / 3600, s / 60 % 60),
        _ => format!("{} d {:02} h", s / 86_400, s / 3600 % 24),
    }
}

/// Days since 1970-01-01 of a date in the Gregorian calendar; years begin in March, so that the leap day is the last
/// (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The reverse of [`days_from_civil`]: year, month, day.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_reads_as_it_should_and_comes_back() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_795_511_523_120, "2026-11-24T09:12:03.120Z"),
            (4_107_542_399_999, "2100-02-28T23:59:59.999Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(Time(Millis(ms)).to_string(), text);
            assert_eq!(serde_json::from_str::<Time>(&format!("\"{text}\"")).unwrap(), Time(Millis(ms)));
        }
        assert!(serde_json::from_str::<Time>("\"2026-11-24\"").is_err());
    }

    #[test]
    fn every_day_of_four_centuries_comes_back() {
        for day in -80_000..80_000 {
            let (year, month, of_month) = civil_from_days(day);
            assert_eq!(days_from_civil(year, month, of_month), day);
        }
    }

    #[test]
    fn a_span_has_the_unit_that_suits_it() {
        for (ms, text) in [
            (0, "0 ms"),
            (999, "999 ms"),
            (1_000, "1.00 s"),
            (2_815, "2.81 s"),
            (59_999, "59.99 s"),
            (245_000, "4 min 05 s"),
            (11_220_000, "3 h 07 min"),
            (187_200_000, "2 d 04 h"),
        ] {
            assert_eq!(span(Duration::from_millis(ms)), text);
        }
    }
}
