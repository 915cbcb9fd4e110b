//! Bytes that are almost JSON text: half an emoji, half a character.
//!
//! A phone that cuts a text in the middle of an emoji sends one half of a surrogate pair, which Meta passes
//! on as an escape like `\ud83d`. No Rust string can hold it. It is replaced by U+FFFD, as a screen would
//! show it; so is a broken UTF-8 sequence. Everything else stays as it is, and the signature was checked
//! before, on the bytes as they came.

use std::borrow::Cow;

/// The length of `\uXXXX`.
const ESCAPE: usize = 6;

/// The body as text, without halves.
pub(super) fn mend(body: &[u8]) -> Cow<'_, str> {
    let text = String::from_utf8_lossy(body);
    let halves = halves(text.as_bytes());
    if halves.is_empty() {
        return text;
    }
    let mut mended = String::with_capacity(text.len());
    let mut done = 0;
    for at in halves {
        mended.push_str(&text[done..at]);
        mended.push_str("\\ufffd");
        done = at + ESCAPE;
    }
    mended.push_str(&text[done..]);
    Cow::Owned(mended)
}

/// Where the escapes of lone surrogates begin.
fn halves(text: &[u8]) -> Vec<usize> {
    let mut halves = Vec::new();
    let mut from = 0;
    while let Some(offset) = text.get(from..).and_then(|rest| rest.iter().position(|byte| *byte == b'\\')) {
        let at = from + offset;
        from = match (surrogate(text, at), surrogate(text, at + ESCAPE)) {
            (Some(Half::High), Some(Half::Low)) => at + 2 * ESCAPE,
            (Some(_), _) => {
                halves.push(at);
                at + ESCAPE
            }
            // Two characters are enough for any other escape: `\\` must not lend its second to a `u` after
            // it.
            (None, _) => at + 2,
        };
    }
    halves
}

enum Half {
    High,
    Low,
}

fn surrogate(text: &[u8], at: usize) -> Option<Half> {
    let digits = text.get(at..at + ESCAPE)?.strip_prefix(b"\\u")?;
    match u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()? {
        0xd800..=0xdbff => Some(Half::High),
        0xdc00..=0xdfff => Some(Half::Low),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mended(text: &str) -> String {
        mend(text.as_bytes()).into_owned()
    }

    #[test]
    fn halves_are_replaced_and_pairs_are_kept() {
        for text in [r"\ud83d", r"\uDE00", r"\udfff"] {
            assert_eq!(mended(text), r"\ufffd", "{text}");
        }
        assert_eq!(mended(r"a\ud83d\ud83d\ude00b\ude00c"), r"a\ufffd\ud83d\ude00b\ufffdc");
    }

    #[test]
    fn a_backslash_that_is_meant_is_no_escape() {
        assert_eq!(mended(r"\\ud83d"), r"\\ud83d");
        assert_eq!(mended(r"\\\ud83d"), r"\\\ufffd");
    }

    #[test]
    fn what_is_whole_is_not_even_copied() {
        for text in ["", r"\u00e8 \n \ud83d\ude00 è 😀", "\\", r"\u", r"\ud8", r"\u+d83"] {
            assert!(matches!(mend(text.as_bytes()), Cow::Borrowed(same) if same == text), "{text}");
        }
    }

    #[test]
    fn half_a_character_is_replaced_too() {
        assert_eq!(mend(b"\"caff\xc3\""), "\"caff\u{fffd}\"");
    }
}
