//! Server-sent events, from pieces of any size (WHATWG HTML, 9.2.6).
//!
//! Lines end with LF, CR or CRLF, also when the piece ends between the two; comments and the fields `id` and
//! `retry` are ignored; a byte order mark at the very beginning too.

use derive_more::{Display, Error};

/// One event.
#[derive(Clone, PartialEq, Eq)]
pub struct Event {
    /// The `event` field; empty when there was none.
    pub name: String,
    /// The `data` lines, joined by LF.
    pub data: String,
}

impl std::fmt::Debug for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Event({:?}, {} bytes)", self.name, self.data.len())
    }
}

/// An event is longer than the parser was told to expect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display, Error)]
#[display("an event is longer than {max} bytes")]
pub struct EventTooLong {
    max: usize,
}

/// Reads one stream. After an error it is of no further use.
pub struct Parser {
    max: usize,
    /// The line that is being read.
    line: Vec<u8>,
    /// The last byte was CR: an LF that follows ends no further line.
    after_cr: bool,
    /// The first line is over: no byte order mark can follow.
    begun: bool,
    name: String,
    data: Option<String>,
}

impl Parser {
    /// `max`: how many bytes one event may have, its unfinished line included.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self { max, line: Vec::new(), after_cr: false, begun: false, name: String::new(), data: None }
    }

    /// Takes the next piece and returns the events that it completes.
    ///
    /// # Errors
    /// [`EventTooLong`] when an event passes the bound.
    pub fn push(&mut self, piece: &[u8]) -> Result<Vec<Event>, EventTooLong> {
        let mut events = Vec::new();
        for byte in piece {
            match byte {
                b'\n' if self.after_cr => self.after_cr = false,
                b'\n' | b'\r' => {
                    self.after_cr = *byte == b'\r';
                    events.extend(self.end_line());
                }
                _ => {
                    self.after_cr = false;
                    self.line.push(*byte);
                    self.check()?;
                }
            }
        }
        Ok(events)
    }

    /// The event that the stream ended in, if it did not end with a blank line. Whether such an event is
    /// whole only its content can tell.
    #[must_use]
    pub fn finish(mut self) -> Option<Event> {
        self.end_line().or_else(|| self.dispatch())
    }

    fn check(&self) -> Result<(), EventTooLong> {
        let kept = self.line.len() + self.name.len() + self.data.as_ref().map_or(0, String::len);
        if kept > self.max { Err(EventTooLong { max: self.max }) } else { Ok(()) }
    }

    fn end_line(&mut self) -> Option<Event> {
        let line = std::mem::take(&mut self.line);
        let line = String::from_utf8_lossy(&line);
        let line = if self.begun { &*line } else { line.strip_prefix('\u{feff}').unwrap_or(&line) };
        self.begun = true;
        if line.is_empty() {
            return self.dispatch();
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.name),
            "data" => match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.data = Some(value.to_owned()),
            },
            _ => {}
        }
        None
    }

    fn dispatch(&mut self) -> Option<Event> {
        let name = std::mem::take(&mut self.name);
        self.data.take().map(|data| Event { name, data })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(pieces: &[&[u8]]) -> Vec<(String, String)> {
        let mut parser = Parser::new(1024);
        let mut events: Vec<Event> = pieces.iter().flat_map(|piece| parser.push(piece).unwrap()).collect();
        events.extend(parser.finish());
        events.into_iter().map(|event| (event.name, event.data)).collect()
    }

    fn event(name: &str, data: &str) -> (String, String) {
        (name.to_owned(), data.to_owned())
    }

    #[test]
    fn every_line_ending_will_do() {
        for end in ["\n", "\r", "\r\n"] {
            let text = ["data: one", "", "data: two", "", ""].join(end);
            assert_eq!(read(&[text.as_bytes()]), [event("", "one"), event("", "two")], "{end:?}");
        }
    }

    #[test]
    fn a_line_ending_may_be_cut_in_two() {
        assert_eq!(read(&[b"data: one\r", b"\ndata: more\r", b"\n\r", b"\n"]), [event("", "one\nmore")]);
    }

    #[test]
    fn comments_and_unknown_fields_are_ignored() {
        let text = b": keep-alive\n\nid: 7\nretry: 10\nevent: ping\ndata:x\n\n";
        assert_eq!(read(&[text]), [event("ping", "x")]);
    }

    #[test]
    fn data_lines_are_joined_and_only_one_space_is_cut() {
        assert_eq!(read(&[b"data:  a\ndata\ndata:b\n\n"]), [event("", " a\n\nb")]);
    }

    #[test]
    fn a_name_without_data_is_no_event_and_does_not_stick() {
        assert_eq!(read(&[b"event: lost\n\ndata: x\n\n"]), [event("", "x")]);
    }

    #[test]
    fn a_byte_order_mark_counts_only_at_the_beginning() {
        assert_eq!(read(&["\u{feff}data: x\n\n".as_bytes()]), [event("", "x")]);
        assert_eq!(read(&["data: x\n\u{feff}data: y\n\n".as_bytes()]), [event("", "x")]);
    }

    #[test]
    fn the_last_event_may_lack_its_blank_line() {
        assert_eq!(read(&[b"data: [DONE]"]), [event("", "[DONE]")]);
        assert_eq!(read(&[b"data: [DONE]\n"]), [event("", "[DONE]")]);
    }

    #[test]
    fn an_endless_event_is_refused() {
        assert!(Parser::new(16).push(&[b'x'; 17]).is_err());
        assert!(Parser::new(16).push(b"data:12345678901\ndata:12345678901").is_err());
        assert!(Parser::new(16).push(b"data: 1\n\ndata: 2\n\ndata: 3\n\n").is_ok());
    }

    proptest! {
        #[test]
        fn any_cutting_gives_the_same_events(
            text in "(data: ?|event:|:|\r|\n|\r\n|[a-z{}è😀]|\u{feff}){0,60}",
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        ) {
            let bytes = text.as_bytes();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]).collect();
            prop_assert_eq!(read(&pieces), read(&[bytes]));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut parser = Parser::new(64);
            if parser.push(&bytes).is_ok() {
                let _ = parser.finish();
            }
        }
    }
}
