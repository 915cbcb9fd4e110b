//! `X-Hub-Signature-256`: the HMAC that Meta puts over the exact bytes of a webhook.

use ring::hmac;

/// How a webhook is signed; everything but `Right` is an attack or a mistake that the receiver must notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignatureMode {
    /// As Meta signs: with the app secret, over the bytes as sent.
    Right,
    /// As `Right`, in upper-case hex, which is equally valid.
    UpperCase,
    /// With another app secret, as during a rotation.
    Secret(String),
    /// Well formed, but over other bytes.
    Wrong,
    /// No header at all.
    Missing,
    /// This text as the header's value.
    Malformed(String),
}

impl SignatureMode {
    /// The header's value for `body`, if there is to be a header.
    pub(crate) fn header(&self, app_secret: &str, body: &[u8]) -> Option<String> {
        match self {
            Self::Right => Some(sign(app_secret, body)),
            Self::UpperCase => Some(sign(app_secret, body).replacen("sha256=", "", 1).to_uppercase())
                .map(|hex| format!("sha256={hex}")),
            Self::Secret(secret) => Some(sign(secret, body)),
            Self::Wrong => Some(sign(app_secret, &[body, b" "].concat())),
            Self::Missing => None,
            Self::Malformed(value) => Some(value.clone()),
        }
    }
}

/// `sha256=` and the HMAC-SHA256 of `body` in lower-case hex, keyed with the app secret's UTF-8 bytes.
pub fn sign(app_secret: &str, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, app_secret.as_bytes());
    let hex: String = hmac::sign(&key, body).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256={hex}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed with another implementation (OpenSSL), so that a mistake here cannot agree with itself.
    const VECTORS: [(&[u8], &str); 2] = [
        (
            br#"{"object":"whatsapp_business_account","entry":[]}"#,
            "sha256=dec6a680679a968e7e0319355b23599cbfc54502c0784668e9618baa0c633756",
        ),
        (
            br#"{"object": "whatsapp_business_account", "entry": []}"#,
            "sha256=56cbbaf4961c6cfdae48b7f116c047e5eb513d2c931baae63a2bc1afd26f803a",
        ),
    ];

    #[test]
    fn signatures_match_the_known_vectors() {
        for (body, expected) in VECTORS {
            assert_eq!(sign("test_app_secret", body), expected);
        }
    }

    #[test]
    fn each_mode_differs_in_the_way_it_says() {
        let (body, right) = VECTORS[0];
        let header = |mode: SignatureMode| mode.header("test_app_secret", body);
        assert_eq!(header(SignatureMode::Right).as_deref(), Some(right));
        assert_eq!(header(SignatureMode::UpperCase).unwrap().to_lowercase(), right);
        assert!(header(SignatureMode::UpperCase).unwrap().starts_with("sha256="));
        assert_ne!(header(SignatureMode::Wrong).unwrap(), right);
        assert_ne!(header(SignatureMode::Secret("other".into())).unwrap(), right);
        assert_eq!(header(SignatureMode::Missing), None);
        assert_eq!(header(SignatureMode::Malformed("sha1=00".into())).as_deref(), Some("sha1=00"));
    }
}
