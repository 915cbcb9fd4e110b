//! JSON as Meta writes it: pure ASCII, every other character as `\uXXXX`.

use std::fmt::Write;

/// Rewrites JSON text so that it means the same in other bytes.
///
/// With `unicode`, each character beyond ASCII becomes `\uXXXX` in lower-case hex (a pair of them beyond the
/// basic plane), as Meta sends bodies. With `slashes`, `/` becomes `\/`, as older bodies have it. Both characters occur
/// in JSON inside strings only, so the text need not be parsed.
pub fn escape(json: &str, unicode: bool, slashes: bool) -> String {
    let mut escaped = String::with_capacity(json.len());
    for letter in json.chars() {
        if letter == '/' && slashes {
            escaped.push_str("\\/");
        } else if !letter.is_ascii() && unicode {
            for unit in letter.encode_utf16(&mut [0; 2]) {
                // Writing to a String cannot fail.
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        } else {
            escaped.push(letter);
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accents_and_emoji_become_ascii_and_mean_the_same() {
        let json = r#"{"body":"perché 😂 / 日本"}"#;
        let escaped = escape(json, true, true);
        assert_eq!(escaped, r#"{"body":"perch\u00e9 \ud83d\ude02 \/ \u65e5\u672c"}"#);
        let (plain, again): (serde_json::Value, serde_json::Value) =
            (serde_json::from_str(json).unwrap(), serde_json::from_str(&escaped).unwrap());
        assert_eq!(plain, again);
    }

    #[test]
    fn raw_stays_raw() {
        let json = r#"{"body":"perché /"}"#;
        assert_eq!(escape(json, false, false), json);
    }
}
