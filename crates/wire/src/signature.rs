//! Is this body really Meta's? `X-Hub-Signature-256` is the HMAC-SHA256 of the body, byte for byte as it was
//! received, under the app secret. It holds no time and no nonce: a replay verifies, deduplication deals with
//! it.

use ring::hmac;

const PREFIX: &str = "sha256=";
const BYTES: usize = 32;

/// A well-formed value of the header; whether it is the right one only [`Secrets::verify`] can tell.
#[derive(Clone, Copy)]
pub struct Signature([u8; BYTES]);

impl Signature {
    /// Reads `sha256=` and 64 hex digits of either case; `None` for anything else.
    #[must_use]
    pub fn parse(header: &str) -> Option<Self> {
        let digits = header.strip_prefix(PREFIX)?.as_bytes();
        if digits.len() != 2 * BYTES {
            return None;
        }
        let mut bytes = [0; BYTES];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = pair.iter().try_fold(0, |value, digit| Some(value << 4 | nibble(*digit)?))?;
        }
        Some(Self(bytes))
    }
}

fn nibble(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

impl std::fmt::Debug for Signature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signature")
    }
}

/// The app secrets that are accepted now: one, or several during a rotation.
#[derive(Clone)]
pub struct Secrets(Vec<hmac::Key>);

impl Secrets {
    /// From the secrets as Meta shows them. An empty one is left out, for anybody could sign with it.
    pub fn new<'a>(secrets: impl Iterator<Item = &'a str>) -> Self {
        let keys = secrets.filter(|secret| !secret.is_empty());
        Self(keys.map(|secret| hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes())).collect())
    }

    /// Whether `signature` was made over exactly these bytes with one of the secrets. The comparison takes
    /// the same time wherever the two differ. Without any secret nothing verifies.
    #[must_use]
    pub fn verify(&self, signature: &Signature, body: &[u8]) -> bool {
        self.0.iter().any(|key| hmac::verify(key, body, &signature.0).is_ok())
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secrets({})", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = br#"{"object":"whatsapp_business_account","entry":[]}"#;
    const HEX: &str = "dec6a680679a968e7e0319355b23599cbfc54502c0784668e9618baa0c633756";
    const SPACED: &[u8] = br#"{"object": "whatsapp_business_account", "entry": []}"#;
    const SPACED_HEX: &str = "56cbbaf4961c6cfdae48b7f116c047e5eb513d2c931baae63a2bc1afd26f803a";

    fn secrets(list: &[&str]) -> Secrets {
        Secrets::new(list.iter().copied())
    }

    fn signature(hex: &str) -> Signature {
        Signature::parse(&format!("sha256={hex}")).unwrap()
    }

    #[test]
    fn the_signature_is_over_the_exact_bytes() {
        let secrets = secrets(&["test_app_secret"]);
        assert!(secrets.verify(&signature(HEX), BODY));
        assert!(secrets.verify(&signature(SPACED_HEX), SPACED));
        assert!(!secrets.verify(&signature(HEX), SPACED));
        assert!(!secrets.verify(&signature(SPACED_HEX), BODY));
    }

    #[test]
    fn hex_digits_may_be_of_either_case() {
        assert!(secrets(&["test_app_secret"]).verify(&signature(&HEX.to_uppercase()), BODY));
    }

    #[test]
    fn any_of_the_secrets_will_do_during_a_rotation() {
        assert!(secrets(&["the old one", "test_app_secret"]).verify(&signature(HEX), BODY));
        assert!(!secrets(&["the old one"]).verify(&signature(HEX), BODY));
    }

    #[test]
    fn without_a_secret_nothing_verifies() {
        let of_the_empty_key = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, b""), BODY);
        let signature = Signature(of_the_empty_key.as_ref().try_into().unwrap());
        assert!(!secrets(&[""]).verify(&signature, BODY));
        assert!(!secrets(&[]).verify(&signature, BODY));
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let secrets = secrets(&["test_app_secret"]);
        for bit in 0..8 * BYTES {
            let mut wrong = signature(HEX);
            wrong.0[bit / 8] ^= 1 << (bit % 8);
            assert!(!secrets.verify(&wrong, BODY), "bit {bit}");
        }
    }

    #[test]
    fn a_header_of_any_other_shape_is_not_a_signature() {
        let long = format!("sha256={HEX}0");
        let spaced = format!("sha256={HEX} ");
        let not_hex = format!("sha256={}g", &HEX[1..]);
        let wide = format!("sha256={}é", &HEX[2..]);
        let bare = HEX.to_owned();
        let sha1 = format!("sha1={}", &HEX[24..]);
        let short = format!("sha256={}", &HEX[1..]);
        let shouted = format!("SHA256={HEX}");
        for header in ["", "sha256=", &long, &spaced, &not_hex, &wide, &bare, &sha1, &short, &shouted] {
            assert!(Signature::parse(header).is_none(), "{header}");
        }
    }

    #[test]
    fn debug_output_shows_no_secret() {
        let shown = format!("{:?} {:?}", secrets(&["test_app_secret"]), signature(HEX));
        assert_eq!(shown, "Secrets(1) Signature");
    }
}
