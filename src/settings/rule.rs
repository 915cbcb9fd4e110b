//! What a single value must look like: checks on its text, and the words that ask for it.

use super::value::{BaseUrl, HostName, Network, Problem, parse_host};

/// The rule of one setting.
#[derive(Clone, Copy)]
pub(super) enum Rule {
    /// A whole number within bounds.
    Number { unit: &'static str, min: u64, max: u64 },
    /// One to ten such numbers: as many as there can be attempts.
    Numbers { unit: &'static str, min: u64, max: u64 },
    /// One of these words.
    Words(&'static [&'static str]),
    /// One value of a form.
    One(Form),
    /// At least `min` values of a form.
    Many { form: Form, min: usize },
}

/// A form that text can have.
#[derive(Clone, Copy)]
pub(super) struct Form {
    check: fn(&str) -> Result<(), Problem>,
    wants: &'static str,
}

/// Longest list of waits; the bound of `max_attempts`, beyond which a wait could never be used.
const WAITS_MAX: usize = 10;

impl Rule {
    /// Whether the value is a list, written with commas.
    pub(super) fn is_list(&self) -> bool {
        matches!(self, Self::Numbers { .. } | Self::Many { .. })
    }

    /// Checks a value; that of a list may be empty, any other is not.
    pub(super) fn check(&self, value: &str) -> Result<(), Problem> {
        match self {
            Self::Number { min, max, .. } => number(value, *min, *max),
            Self::Numbers { .. } if value.is_empty() => Err("is an empty list"),
            Self::Numbers { .. } if value.split(',').count() > WAITS_MAX => Err("has too many elements"),
            Self::Numbers { min, max, .. } => value.split(',').try_for_each(|one| number(one, *min, *max)),
            Self::Words(words) if words.contains(&value) => Ok(()),
            Self::Words(_) => Err("is none of the words allowed"),
            Self::One(form) => (form.check)(value),
            Self::Many { min: 0, .. } if value.is_empty() => Ok(()),
            Self::Many { form, .. } => value.split(',').try_for_each(|one| element(one).and_then(form.check)),
        }
    }

    /// What to write, as the object of "set it to".
    pub(super) fn wants(&self) -> String {
        match self {
            Self::Number { unit, min, max } => format!("a whole number from {min} to {max} ({unit})"),
            Self::Numbers { unit, min, max } => {
                format!("1 to {WAITS_MAX} whole numbers from {min} to {max} ({unit}), with commas")
            }
            Self::Words(words) => words.join(" or "),
            Self::One(form) => form.wants.to_owned(),
            Self::Many { form, .. } => format!("{}; several with commas", form.wants),
        }
    }
}

fn number(value: &str, min: u64, max: u64) -> Result<(), Problem> {
    if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("is not a whole number");
    }
    // Digits that do not fit into 64 bits are beyond every bound too.
    match value.parse::<u64>() {
        Ok(number) if (min..=max).contains(&number) => Ok(()),
        _ => Err("is out of range"),
    }
}

fn element(value: &str) -> Result<&str, Problem> {
    if value.is_empty() { Err("has an empty element") } else { Ok(value) }
}

/// Free text in one line: a model, a path.
pub(super) const TEXT: Form =
    Form { check: text, wants: "text without control characters or spaces at its ends" };
/// A secret that travels in an HTTP header.
pub(super) const TOKEN: Form = Form { check: token, wants: "the token alone, without spaces or line ends" };
/// An id of Meta's.
pub(super) const DIGITS: Form = Form { check: digits, wants: "the id from Meta's dashboard, digits only" };
/// An id that becomes part of a URL path.
pub(super) const IDENTIFIER: Form = Form { check: identifier, wants: "an id of letters, digits, - and _" };
/// A version of the Graph API.
pub(super) const VERSION: Form = Form { check: version, wants: "a version like v25.0" };
/// An address to listen on.
pub(super) const HOST: Form =
    Form { check: host, wants: "an IP address such as 127.0.0.1 or 0.0.0.0, or localhost" };
/// An address to which paths are appended.
pub(super) const URL: Form = Form {
    check: parsed::<BaseUrl>,
    wants: "an https:// or http:// address without user, query or fragment",
};
/// A host name.
pub(super) const HOST_NAME: Form =
    Form { check: parsed::<HostName>, wants: "a host name without scheme, port or path" };
/// An IP address or network.
pub(super) const NETWORK: Form =
    Form { check: parsed::<Network>, wants: "an IP address or a network such as 10.0.0.0/8" };
/// Which log lines are written.
pub(super) const FILTER: Form =
    Form { check: filter, wants: "a level (error, warn, info, debug, trace) or pairs like module=level" };

fn parsed<T: TryFrom<String, Error = Problem>>(value: &str) -> Result<(), Problem> {
    T::try_from(value.to_owned()).map(drop)
}

fn text(value: &str) -> Result<(), Problem> {
    if value.chars().any(char::is_control) {
        return Err("has a line end or another control character in it");
    }
    if value.trim() != value { Err("begins or ends with a space") } else { Ok(()) }
}

fn token(value: &str) -> Result<(), Problem> {
    let fits = value.bytes().all(|byte| byte.is_ascii_graphic());
    if fits { Ok(()) } else { Err("has a space, a line end or a character outside ASCII in it") }
}

fn digits(value: &str) -> Result<(), Problem> {
    // Meta's ids have 15 to 17 digits; twice as many are surely something else.
    let fits = value.len() <= 32 && value.bytes().all(|byte| byte.is_ascii_digit());
    if fits { Ok(()) } else { Err("is not an id of digits") }
}

fn identifier(value: &str) -> Result<(), Problem> {
    let fits = value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if fits { Ok(()) } else { Err("has characters that an id cannot have") }
}

fn version(value: &str) -> Result<(), Problem> {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    match value.strip_prefix('v').and_then(|rest| rest.split_once('.')) {
        Some((major, minor)) if is_number(major) && is_number(minor) => Ok(()),
        _ => Err("is not a version"),
    }
}

fn host(value: &str) -> Result<(), Problem> {
    parse_host(value).map(drop)
}

fn filter(value: &str) -> Result<(), Problem> {
    text(value)?;
    tracing_subscriber::EnvFilter::try_new(value).map(drop).map_err(|_| "is not a log filter")
}
