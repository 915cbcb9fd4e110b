//! JSON that others wrote: an object whose fields are read one by one, so that an odd one costs only itself.
//!
//! Providers send numbers where their pages say strings, add fields, and leave others out. A struct with
//! derived reading would refuse the whole object for any of that.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

/// Longest id that is believed. Meta's longest are some 140 bytes (a BSUID); the ledger keeps each for days.
const ID_BYTES_MAX: usize = 512;
/// Longest error code that is passed on; it goes into logs and metrics.
const CODE_BYTES_MAX: usize = 64;
/// Most digits of one: Meta's longest (2494100) has seven, a person's number has more, and so has a key.
const CODE_DIGITS_MAX: usize = 7;

/// The fields of one object, still as JSON. Of a name that occurs twice the last counts.
#[derive(Default)]
pub(crate) struct Fields<'a>(BTreeMap<String, &'a RawValue>);

impl<'a> Fields<'a> {
    /// `None` if `json` is not exactly one object.
    pub(crate) fn parse(json: &'a str) -> Option<Self> {
        serde_json::from_str(json).ok().map(Self)
    }

    /// As [`Fields::parse`], from bytes that have to be UTF-8.
    pub(crate) fn from_bytes(json: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(json).ok().map(Self)
    }

    fn raw(&self, name: &str) -> Option<&'a RawValue> {
        self.0.get(name).copied().filter(|raw| raw.get() != "null")
    }

    /// Whether the field is there and not null.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.raw(name).is_some()
    }

    /// A string, or a number as it is spelled.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.raw(name).and_then(text)
    }

    /// A text that can serve as an id: not empty, not endless.
    pub(crate) fn id(&self, name: &str) -> Option<String> {
        self.text(name).filter(|id| (1..=ID_BYTES_MAX).contains(&id.len()))
    }

    /// An error code that is safe to log: a short number or word, nothing that could hold a person's words or number, or
    /// a key.
    pub(crate) fn code(&self, name: &str) -> Option<String> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'+');
        let digits = |code: &str| code.bytes().filter(u8::is_ascii_digit).count();
        self.text(name).filter(|code| {
            let is_short = (1..=CODE_BYTES_MAX).contains(&code.len()) && digits(code) <= CODE_DIGITS_MAX;
            is_short && code.bytes().all(plain)
        })
    }

    /// A number that counts something.
    pub(crate) fn count(&self, name: &str) -> Option<u64> {
        self.text(name)?.parse().ok()
    }

    /// Whether the field is `true`.
    pub(crate) fn is_true(&self, name: &str) -> bool {
        self.raw(name).is_some_and(|raw| raw.get() == "true")
    }

    /// The fields of an object within this one.
    pub(crate) fn object(&self, name: &str) -> Option<Self> {
        Self::parse(self.raw(name)?.get())
    }

    /// The elements of an array within this object, each still as JSON.
    pub(crate) fn list(&self, name: &str) -> Option<Vec<&'a RawValue>> {
        serde_json::from_str(self.raw(name)?.get()).ok()
    }

    /// The elements of an array that are objects.
    pub(crate) fn objects(&self, name: &str) -> impl Iterator<Item = Self> + use<'a> {
        self.list(name).unwrap_or_default().into_iter().filter_map(|raw| Self::parse(raw.get()))
    }

    /// The strings and numbers of an array within this object; what else is in it is left out.
    pub(crate) fn texts(&self, name: &str) -> Option<Vec<String>> {
        Some(self.list(name)?.into_iter().filter_map(text).collect())
    }

    /// Every field with a short text for its value: strings and numbers as they are, the rest as JSON.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&str, String)> {
        self.0.iter().map(|(name, raw)| (name.as_str(), text(raw).unwrap_or_else(|| raw.get().to_owned())))
    }
}

/// The elements of an array that are objects. `None` if `json` is not exactly one array.
pub(crate) fn objects(json: &[u8]) -> Option<impl Iterator<Item = Fields<'_>>> {
    let elements: Vec<&RawValue> = serde_json::from_slice(json).ok()?;
    Some(elements.into_iter().filter_map(|raw| Fields::parse(raw.get())))
}

fn text(raw: &RawValue) -> Option<String> {
    match raw.get().bytes().next()? {
        b'"' => serde_json::from_str(raw.get()).ok(),
        b'-' | b'0'..=b'9' => Some(raw.get().to_owned()),
        _ => None,
    }
}

/// The longest beginning of `text` that is no longer than `bytes` and ends between two characters.
pub(crate) fn cut(mut text: String, bytes: usize) -> String {
    text.truncate(text.floor_char_boundary(bytes));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_odd_field_costs_only_itself() {
        let fields = Fields::parse(r#"{"a": 7, "b": {"c": 1e999}, "d": "x", "n": null, "d": "y"}"#).unwrap();
        assert_eq!(fields.text("a").as_deref(), Some("7"));
        assert_eq!(fields.text("b"), None);
        assert_eq!(fields.text("d").as_deref(), Some("y"), "the last of two counts");
        assert!(!fields.has("n") && !fields.has("absent") && fields.has("b"));
    }

    #[test]
    fn only_an_object_has_fields() {
        for json in ["", "[]", "7", "{", "{} {}", "null", "\"{}\""] {
            assert!(Fields::parse(json).is_none(), "{json}");
        }
    }

    #[test]
    fn a_code_is_short_and_plain() {
        let code = |json: &str| Fields::parse(json).unwrap().code("code");
        assert_eq!(code(r#"{"code": 131026}"#).as_deref(), Some("131026"));
        assert_eq!(code(r#"{"code": "insufficient_quota"}"#).as_deref(), Some("insufficient_quota"));
        assert_eq!(code(r#"{"code": "only_for_creator+"}"#).as_deref(), Some("only_for_creator+"));
        assert_eq!(code(r#"{"code": 2494100}"#).as_deref(), Some("2494100"));
        assert_eq!(code(r#"{"code": "call Lucia at +39 324"}"#), None);
        assert_eq!(code(r#"{"code": 393247722154}"#), None, "a person's number");
        assert_eq!(code(r#"{"code": "sk_5e8d3c9a1f7b2604d8e3c5a9f1b70264"}"#), None, "a key");
        assert_eq!(code(&format!(r#"{{"code": "{}"}}"#, "x".repeat(65))), None);
    }

    #[test]
    fn a_cut_never_splits_a_character() {
        assert_eq!(cut("caffè".into(), 5), "caff");
        assert_eq!(cut("caffè".into(), 6), "caffè");
    }
}
