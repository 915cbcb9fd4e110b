//! A form with a file, as providers take uploads (`multipart/form-data`, RFC 7578): whole, so that its length is known.

use ring::digest::{Context, SHA256};

/// What to post.
#[derive(Clone, PartialEq, Eq)]
pub struct Multipart {
    /// The value of the `Content-Type` header.
    pub content_type: String,
    /// The body, to be sent with its `Content-Length`.
    pub body: Vec<u8>,
}

impl std::fmt::Debug for Multipart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Multipart({} bytes)", self.body.len())
    }
}

/// The file of a form.
pub(crate) struct File<'a> {
    pub(crate) name: &'a str,
    pub(crate) mime: &'a str,
    pub(crate) bytes: &'a [u8],
}

/// A form of plain `fields`, and then a field `file`. Names, file name and type are ours and need no quoting.
pub(crate) fn form(fields: &[(&str, &str)], file: &File<'_>) -> Multipart {
    let boundary = boundary(fields, file.bytes);
    let mut body = Vec::with_capacity(file.bytes.len() + 1024);
    let disposition = format!("--{boundary}\r\nContent-Disposition: form-data; name=");
    for (name, value) in fields {
        body.extend_from_slice(format!("{disposition}\"{name}\"\r\n\r\n{value}\r\n").as_bytes());
    }
    let File { name, mime, bytes } = file;
    let head = format!("{disposition}\"file\"; filename=\"{name}\"\r\nContent-Type: {mime}\r\n\r\n");
    body.extend_from_slice(head.as_bytes());
    body.extend_from_slice(bytes);
    body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    Multipart { content_type: format!("multipart/form-data; boundary={boundary}"), body }
}

/// A line that does not occur in the content. It is made from the content's hash: neither chance nor a sender of
/// files can then have put it there, and the same form is always the same bytes.
fn boundary(fields: &[(&str, &str)], file: &[u8]) -> String {
    let mut hash = Context::new(&SHA256);
    hash.update(file);
    for (_, value) in fields {
        hash.update(value.as_bytes());
    }
    loop {
        let digest = hash.clone().finish();
        let boundary: String = digest.as_ref()[..16].iter().map(|byte| format!("{byte:02x}")).collect();
        let mut contents = fields.iter().map(|(_, value)| value.as_bytes()).chain([file]);
        if !contents.any(|content| holds(content, &boundary)) {
            return boundary;
        }
        hash.update(b"again");
    }
}

fn holds(content: &[u8], boundary: &str) -> bool {
    content.windows(boundary.len()).any(|part| part == boundary.as_bytes())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The parts of a form as its receiver sees them: the lines of the head, and the content.
    pub(crate) fn parts(form: &Multipart) -> Vec<(String, Vec<u8>)> {
        let boundary = form.content_type.strip_prefix("multipart/form-data; boundary=").unwrap();
        let delimiter = format!("\r\n--{boundary}").into_bytes();
        let mut rest = [b"\r\n", &form.body[..]].concat();
        let mut parts = Vec::new();
        while let Some(at) = find(&rest, &delimiter) {
            parts.push(rest[..at].to_vec());
            rest.drain(..at + delimiter.len());
        }
        assert_eq!(rest, b"--\r\n", "the end");
        assert_eq!(parts.remove(0), b"", "nothing before the first part");
        let split = |part: Vec<u8>| {
            let end = find(&part, b"\r\n\r\n").unwrap();
            (String::from_utf8(part[2..end].to_vec()).unwrap(), part[end + 4..].to_vec())
        };
        parts.into_iter().map(split).collect()
    }

    fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
        bytes.windows(wanted.len()).position(|part| part == wanted)
    }

    #[test]
    fn a_form_comes_apart_again() {
        let bytes = b"a\r\n--b\r\n\0\xff\r\n";
        let form = form(&[("model", "m-1")], &File { name: "voice.ogg", mime: "audio/ogg", bytes });
        let file = "Content-Disposition: form-data; name=\"file\"; filename=\"voice.ogg\"\r\nContent-Type: audio/ogg";
        let expected = [
            ("Content-Disposition: form-data; name=\"model\"".to_owned(), b"m-1".to_vec()),
            (file.to_owned(), bytes.to_vec()),
        ];
        assert_eq!(parts(&form), expected);
    }

    #[test]
    fn the_boundary_is_not_in_the_content() {
        let first = boundary(&[], b"sound");
        assert_eq!(first, boundary(&[], b"sound"), "the same form is the same bytes");
        assert_ne!(first, boundary(&[("a", "b")], b"sound"));
        // A content that holds the boundary of another one.
        let holding = [b"sound", first.as_bytes()].concat();
        assert_ne!(boundary(&[], &holding), first);
        assert!(holds(&holding, &first) && !holds(b"sound", &first) && !holds(&holding[..36], &first));
    }
}
