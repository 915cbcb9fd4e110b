//! The date of an HTTP header, in the one form that servers must send (RFC 9110, 5.6.7): `Wed, 21 Oct 2026 07:28:00 GMT`.

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Seconds since 1970. `None` for anything else than that form, and for dates before 1970.
///
/// The name of the day is not looked at, and a 31st of June counts as the 1st of July.
#[must_use]
pub fn unix_seconds(date: &str) -> Option<u64> {
    let mut words = date.split_once(", ")?.1.split(' ');
    let day = number(words.next()?, 1..=31)?;
    let month = words.next()?;
    let month = MONTHS.iter().position(|name| *name == month)? as u64;
    let year = number(words.next()?, 1970..=9999)?;
    let mut time = words.next()?.split(':');
    let hour = number(time.next()?, 0..=23)?;
    let minute = number(time.next()?, 0..=59)?;
    // A leap second may be told.
    let second = number(time.next()?, 0..=60)?;
    if (time.next(), words.next(), words.next()) != (None, Some("GMT"), None) {
        return None;
    }
    Some(((days(year, month) + day - 1) * 24 + hour) * 3600 + minute * 60 + second)
}

fn number(digits: &str, range: std::ops::RangeInclusive<u64>) -> Option<u64> {
    digits.parse().ok().filter(|number| range.contains(number))
}

/// Days from 1970 to the first of a month, which counts from 0. A year begins in March here, so that a leap day
/// is its last.
fn days(year: u64, month: u64) -> u64 {
    let year = if month < 2 { year - 1 } else { year };
    let from_march = (month + 10) % 12;
    let in_year = (from_march * 153 + 2) / 5;
    year * 365 + year / 4 - year / 100 + year / 400 + in_year - DAYS_TO_1970
}

/// From March of year 0 to 1970-01-01.
const DAYS_TO_1970: u64 = 719_468;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_dates() {
        let dates = [
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
            ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777),
            ("Tue, 29 Feb 2000 23:59:59 GMT", 951_868_799),
            ("Wed, 01 Mar 2000 00:00:00 GMT", 951_868_800),
            ("Tue, 01 Jan 2030 00:00:00 GMT", 1_893_456_000),
            ("Mon, 01 Mar 2100 00:00:00 GMT", 4_107_542_400),
        ];
        for (date, seconds) in dates {
            assert_eq!(unix_seconds(date), Some(seconds), "{date}");
        }
    }

    #[test]
    fn what_is_no_such_date() {
        let odd = [
            "",
            "7",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "Sun, 06 Nov 1994 08:49:37 CET",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Nov 1994 08:49 GMT",
            "Sun, 32 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1969 08:49:37 GMT",
            "Sun, 06 Nov 1994 24:49:37 GMT",
            "Sun, 06 nov 1994 08:49:37 GMT and more",
        ];
        for date in odd {
            assert_eq!(unix_seconds(date), None, "{date}");
        }
    }
}
