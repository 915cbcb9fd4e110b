//! Identifiers in the shapes Meta and OpenAI use: opaque, random, unique over restarts.

use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};

/// Country codes by calling prefix, for the country part of a BSUID. Longest prefix first.
const COUNTRIES: [(&str, &str); 8] = [
    ("351", "PT"),
    ("33", "FR"),
    ("34", "ES"),
    ("39", "IT"),
    ("44", "GB"),
    ("49", "DE"),
    ("54", "AR"),
    ("1", "US"),
];

/// A message id as Meta makes them: `wamid.` and base64, so that `+`, `/` and `=` occur as they do in life.
pub(crate) fn wamid() -> String {
    format!("wamid.HBgM{}", base64(&random::<31>()))
}

/// `prefix` and 24 random letters and digits, for ids such as `chatcmpl-…`, `req_…` and Graph's trace ids.
pub(crate) fn opaque(prefix: &str) -> String {
    const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let tail = random::<24>().map(|byte| char::from(LETTERS[usize::from(byte) % LETTERS.len()]));
    let mut id = String::from(prefix);
    id.extend(tail);
    id
}

/// A number of 16 random digits, as the ids of media are.
pub(crate) fn digits() -> String {
    let tail = random::<15>().map(|byte| char::from(b'0' + byte % 10));
    std::iter::once('1').chain(tail).collect()
}

/// The business-scoped user id of a phone: always the same one for the same digits, and not to be read back.
pub fn bsuid_of(phone: &str) -> String {
    let country =
        COUNTRIES.iter().find(|(prefix, _)| phone.starts_with(prefix)).map_or("US", |(_, code)| code);
    let hash = digest(&SHA256, phone.as_bytes());
    let digits: String = hash.as_ref().iter().take(16).map(|byte| char::from(b'0' + byte % 10)).collect();
    format!("{country}.{digits}")
}

/// Random bytes of the operating system; zeros if it has none, which no supported system does.
fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    let _ = SystemRandom::new().fill(&mut bytes);
    bytes
}

/// Standard base64 with padding.
pub(crate) fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group =
            chunk.iter().fold(0_u32, |group, byte| group << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for position in 0..4 {
            let index = (group >> (18 - 6 * position)) & 63;
            text.push(if position <= chunk.len() { char::from(ALPHABET[index as usize]) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_the_standard_one() {
        let vectors = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
        ];
        for (plain, coded) in vectors {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
        assert_eq!(base64(&[0xfb, 0xff]), "+/8=");
    }

    #[test]
    fn a_phone_keeps_its_bsuid_and_no_two_phones_share_one() {
        assert_eq!(bsuid_of("393331110001"), bsuid_of("393331110001"));
        assert_ne!(bsuid_of("393331110001"), bsuid_of("393331110002"));
        assert!(bsuid_of("393331110001").starts_with("IT."));
        assert!(bsuid_of("15550002222").starts_with("US."));
    }

    #[test]
    fn message_ids_differ() {
        let first = wamid();
        assert!(first.starts_with("wamid.HBgM") && first != wamid(), "{first}");
    }
}
