//! SHA-256 in the two spellings that the wire has.

use ring::digest::{SHA256, digest};

use crate::ids::base64;

/// Lower-case hex, as in Meta's media lookup.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    digest(&SHA256, bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Base64, as in Meta's webhooks.
pub(crate) fn sha256_base64(bytes: &[u8]) -> String {
    base64(digest(&SHA256, bytes).as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_are_of_the_same_hash() {
        // Of no bytes, as everybody knows it.
        assert_eq!(sha256_hex(b""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(sha256_base64(b""), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    }
}
