//! Looks for marks in whatever was told, also in pieces and in other spellings.
//!
//! A mark is a word that stands nowhere else. Any eight characters in a row of it count, so that a text that was cut is
//! found too; of a number all digits but the country's, since shorter runs of digits occur by chance. Spellings: as it is,
//! in upper or lower case, `\u` escapes of JSON, percent escapes, hex, and base64 at each of its three alignments.

use std::collections::BTreeMap;

/// Characters of a mark that are looked for together.
const PIECE: usize = 8;
/// The same for digits: a national number.
const DIGITS: usize = 10;
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

pub(super) struct Search {
    /// By their first three bytes.
    spellings: BTreeMap<[u8; 3], Vec<Spelling>>,
    /// Which two bytes a spelling begins with.
    begins: Vec<bool>,
}

/// One way to write a piece of a mark.
struct Spelling {
    /// In lower case.
    bytes: Vec<u8>,
    how: &'static str,
    mark: String,
}

impl Search {
    /// Looks for these marks, each with what it is.
    pub(super) fn of<'a>(marks: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let mut search = Self { spellings: BTreeMap::new(), begins: vec![false; 1 << 16] };
        for (what, mark) in marks {
            for (how, spelling) in pieces(mark).iter().flat_map(|piece| spellings(piece)) {
                let (bytes, mark) = (spelling.to_lowercase().into_bytes(), format!("{what}, {mark}"));
                search.add(Spelling { bytes, how, mark });
            }
        }
        search
    }

    fn add(&mut self, spelling: Spelling) {
        let begin = [spelling.bytes[0], spelling.bytes[1], spelling.bytes[2]];
        self.begins[usize::from(begin[0]) << 8 | usize::from(begin[1])] = true;
        self.spellings.entry(begin).or_default().push(spelling);
    }

    /// Every mark that is found, with what stands around it; once for each mark.
    pub(super) fn hits(&self, text: &str) -> Vec<String> {
        let text = text.to_lowercase();
        let bytes = text.as_bytes();
        let mut hits = BTreeMap::new();
        for at in 0..bytes.len().saturating_sub(2) {
            if !self.begins[usize::from(bytes[at]) << 8 | usize::from(bytes[at + 1])] {
                continue;
            }
            let Some(spellings) = self.spellings.get(&bytes[at..at + 3]) else { continue };
            for found in spellings.iter().filter(|spelling| bytes[at..].starts_with(&spelling.bytes)) {
                let around =
                    text.floor_char_boundary(at.saturating_sub(60))..text.ceil_char_boundary(at + 60);
                hits.entry(&found.mark).or_insert_with(|| format!("{}: …{}…", found.how, &text[around]));
            }
        }
        hits.into_iter().map(|(mark, where_and_how)| format!("{mark}, {where_and_how}")).collect()
    }
}

/// All pieces of a mark that are long enough to be no accident.
fn pieces(mark: &str) -> Vec<String> {
    let letters: Vec<char> = mark.chars().collect();
    let is_number = letters.iter().all(char::is_ascii_digit);
    let long = if is_number { DIGITS } else { PIECE };
    assert!(letters.len() >= long, "{mark} is too short to be found in pieces");
    letters.windows(long).map(|piece| piece.iter().collect()).collect()
}

fn spellings(piece: &str) -> Vec<(&'static str, String)> {
    let bytes = piece.as_bytes();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let json: String = piece
        .encode_utf16()
        .map(|unit| match u8::try_from(unit) {
            Ok(byte) if byte.is_ascii() => char::from(byte).to_string(),
            _ => format!("\\u{unit:04x}"),
        })
        .collect();
    let escaped = |is_plain: fn(u8) -> bool| -> String {
        let escape =
            |&byte: &u8| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02x}") };
        bytes.iter().map(escape).collect()
    };
    let mut all = vec![
        ("as it is", piece.to_owned()),
        ("in JSON", json),
        ("in a URL", escaped(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))),
        ("in a URL, letters too", escaped(|_| false)),
        ("in hex", hex),
    ];
    for before in 0..3 {
        let base64 = base64(&[&[0; 2][..before], bytes].concat());
        // Only the characters all of whose six bits are the piece's.
        let (first, end) = ((8 * before).div_ceil(6), 8 * (before + bytes.len()) / 6);
        let core = base64[first..end].to_owned();
        all.push(("in base64", core.replace('+', "-").replace('/', "_")));
        all.push(("in base64", core));
    }
    all.dedup();
    all
}

fn base64(bytes: &[u8]) -> String {
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let bits = three.iter().fold(0, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for letter in 0..=three.len() {
            text.push(char::from(BASE64[(bits >> (18 - 6 * letter) & 63) as usize]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORD: &str = "Pèrlàquòkka";
    const NUMBER: &str = "393471829365";

    fn finds(text: &str) -> bool {
        let search = Search::of([("a word", WORD), ("a number", NUMBER)].into_iter());
        !search.hits(text).is_empty()
    }

    #[test]
    fn a_mark_is_found_in_every_spelling_and_in_pieces() {
        let urlsafe = |text: &str| base64(text.as_bytes()).replace('+', "-").replace('/', "_");
        for told in [
            format!(r#"{{"reason":"no answer to {WORD}"}}"#),
            WORD.to_uppercase(),
            WORD.chars().take(8).collect(),
            WORD.chars().skip(3).collect(),
            r"P\u00e8rl\u00e0qu\u00f2kka".to_owned(),
            r"P\u00E8rl\u00E0qu\u00F2kka".to_owned(),
            "?q=P%C3%A8rl%C3%A0qu%C3%B2kka".to_owned(),
            "%50%c3%a8%72%6c%c3%a0%71%75%c3%b2%6b%6b%61".to_owned(),
            "50c3a8726cc3a07175c3b26b6b61".to_owned(),
            "50C3A8726CC3A07175C3B26B6B61".to_owned(),
            base64(WORD.as_bytes()),
            base64(format!("x{WORD}y").as_bytes()),
            base64(format!("xx{WORD}yy").as_bytes()),
            urlsafe(&format!("xxx{WORD}")),
            format!("to +{NUMBER}"),
            "user=%2B393471829365".to_owned(),
            "3471829365".to_owned(),
            base64(b"tel:+393471829365"),
            base64(b"te:+393471829365"),
            base64(b"t:+393471829365"),
        ] {
            assert!(finds(&told), "not found in {told}");
        }
    }

    #[test]
    fn what_is_masked_or_another_is_not_found() {
        for told in ["393******365", "39347182", "Pèrlà quòkka", "perlaquokka", "392471829365", ""] {
            assert!(!finds(told), "found in {told}");
        }
    }

    #[test]
    fn base64_is_base64() {
        for (text, coded) in [("", ""), ("M", "TQ"), ("Ma", "TWE"), ("Man", "TWFu"), ("Many", "TWFueQ")] {
            assert_eq!(base64(text.as_bytes()), coded);
        }
    }
}
