//! `multipart/form-data` (RFC 7578), as uploads of files come in.

use std::collections::BTreeMap;

use bytes::Bytes;

/// A form with at most one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Form {
    /// The fields that are no files.
    pub(crate) fields: BTreeMap<String, String>,
    /// The file in the field `file`.
    pub(crate) file: Option<File>,
}

/// A file in a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct File {
    /// The name that the client gives it; empty if it gives none.
    pub(crate) name: String,
    /// The part's own content type; empty if it has none.
    pub(crate) kind: String,
    pub(crate) bytes: Bytes,
}

impl Form {
    /// Reads a body under its `content-type` header; none if it is no well-formed multipart form.
    pub(crate) fn read(headers: &[(String, String)], body: &Bytes) -> Option<Self> {
        let (_, kind) = headers.iter().find(|(name, _)| name == "content-type")?;
        let boundary = parameter(kind.strip_prefix("multipart/form-data")?, "boundary")?;
        let delimiter = format!("--{boundary}");
        let mut form = Self::default();
        let mut start = find(body, delimiter.as_bytes(), 0)? + delimiter.len();
        let delimiter = format!("\r\n{delimiter}");
        loop {
            if body.get(start..start + 2)? == b"--" {
                return Some(form);
            }
            let end = find(body, delimiter.as_bytes(), start)?;
            form.take(&body.slice(start..end))?;
            start = end + delimiter.len();
        }
    }

    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }

    fn take(&mut self, part: &Bytes) -> Option<()> {
        let blank = find(part, b"\r\n\r\n", 0)?;
        let (head, content) = (std::str::from_utf8(&part[..blank]).ok()?, part.slice(blank + 4..));
        let header = |wanted: &str| {
            head.split("\r\n")
                .filter_map(|line| line.split_once(':'))
                .find_map(|(name, value)| name.eq_ignore_ascii_case(wanted).then_some(value.trim()))
        };
        let disposition = header("content-disposition")?;
        let name = parameter(disposition, "name")?;
        if name == "file" {
            let file_name = parameter(disposition, "filename").unwrap_or_default();
            let kind = header("content-type").unwrap_or_default().to_owned();
            self.file = Some(File { name: file_name, kind, bytes: content });
        } else {
            self.fields.insert(name, String::from_utf8_lossy(&content).into_owned());
        }
        Some(())
    }
}

/// The value of `; name=value` or `; name="value"`.
fn parameter(header: &str, name: &str) -> Option<String> {
    header.split(';').find_map(|part| {
        let (key, value) = part.trim().split_once('=')?;
        (key == name).then(|| value.trim_matches('"').to_owned())
    })
}

fn find(bytes: &[u8], wanted: &[u8], from: usize) -> Option<usize> {
    let window = bytes.get(from..)?;
    // A search for the first byte first: a file has millions of places at which nothing begins.
    let mut place = 0;
    while let Some(step) = window.get(place..)?.iter().position(|byte| Some(byte) == wanted.first()) {
        place += step;
        if window[place..].starts_with(wanted) {
            return Some(from + place);
        }
        place += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(kind: &str, body: &str) -> Option<Form> {
        let headers = [("content-type".to_owned(), kind.to_owned())];
        Form::read(&headers, &Bytes::copy_from_slice(body.as_bytes()))
    }

    const BODY: &str = "--b0\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n--b0\r\n\
        content-disposition: form-data; name=\"file\"; filename=\"voice.ogg\"\r\nContent-Type: audio/ogg\r\n\r\n\
        a\r\n--b\r\n\r\n--b0--\r\n";

    #[test]
    fn fields_and_file_are_found_with_name_and_type() {
        for kind in ["multipart/form-data; boundary=b0", "multipart/form-data; boundary=\"b0\""] {
            let form = read(kind, BODY).unwrap();
            assert_eq!(form.field("model"), Some("whisper-1"));
            let bytes = Bytes::from_static(b"a\r\n--b\r\n");
            let file = File { name: "voice.ogg".into(), kind: "audio/ogg".into(), bytes };
            assert_eq!(form.file, Some(file));
        }
    }

    #[test]
    fn what_is_no_form_is_none() {
        assert_eq!(read("application/json", BODY), None);
        assert_eq!(read("multipart/form-data", BODY), None);
        assert_eq!(read("multipart/form-data; boundary=other", BODY), None);
        assert_eq!(read("multipart/form-data; boundary=b0", &BODY[..BODY.len() - 6]), None);
    }
}
