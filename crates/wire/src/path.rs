//! Paths of requests, from what an operator has written.

/// `text` as one segment of a path or one value of a query, whatever is in it.
pub(crate) fn segment(text: &str) -> String {
    let escape = |byte: u8| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~') {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    text.bytes().map(escape).collect()
}
