//! The voices of the sandbox: Joe's usual lines, spoken once and shipped; babble of fitting length for the rest.
//!
//! How the files were made stands in `voices/README.md`.

use bytes::Bytes;

use super::{ogg, opus};
use crate::brain;

/// What Joe often says, as he says it. Which line a file holds stands in its tags.
const LINES: [&[u8]; 36] = [
    include_bytes!("../../voices/it-01.ogg"),
    include_bytes!("../../voices/it-02.ogg"),
    include_bytes!("../../voices/it-03.ogg"),
    include_bytes!("../../voices/it-04.ogg"),
    include_bytes!("../../voices/it-05.ogg"),
    include_bytes!("../../voices/it-06.ogg"),
    include_bytes!("../../voices/it-07.ogg"),
    include_bytes!("../../voices/it-08.ogg"),
    include_bytes!("../../voices/it-09.ogg"),
    include_bytes!("../../voices/it-10.ogg"),
    include_bytes!("../../voices/it-11.ogg"),
    include_bytes!("../../voices/it-12.ogg"),
    include_bytes!("../../voices/it-13.ogg"),
    include_bytes!("../../voices/it-14.ogg"),
    include_bytes!("../../voices/it-15.ogg"),
    include_bytes!("../../voices/it-16.ogg"),
    include_bytes!("../../voices/it-17.ogg"),
    include_bytes!("../../voices/it-18.ogg"),
    include_bytes!("../../voices/it-19.ogg"),
    include_bytes!("../../voices/it-20.ogg"),
    include_bytes!("../../voices/it-21.ogg"),
    include_bytes!("../../voices/it-22.ogg"),
    include_bytes!("../../voices/it-23.ogg"),
    include_bytes!("../../voices/en-01.ogg"),
    include_bytes!("../../voices/en-02.ogg"),
    include_bytes!("../../voices/en-03.ogg"),
    include_bytes!("../../voices/en-04.ogg"),
    include_bytes!("../../voices/en-05.ogg"),
    include_bytes!("../../voices/en-06.ogg"),
    include_bytes!("../../voices/en-07.ogg"),
    include_bytes!("../../voices/en-08.ogg"),
    include_bytes!("../../voices/en-09.ogg"),
    include_bytes!("../../voices/en-10.ogg"),
    include_bytes!("../../voices/en-11.ogg"),
    include_bytes!("../../voices/en-12.ogg"),
    include_bytes!("../../voices/en-13.ogg"),
];

const ITALIAN_BABBLE: &[u8] = include_bytes!("../../voices/it-babble.ogg");
const ENGLISH_BABBLE: &[u8] = include_bytes!("../../voices/en-babble.ogg");
const NOTE: &[u8] = include_bytes!("../../voices/it-note.ogg");
const SILENCE: &[u8] = include_bytes!("../../voices/silence.ogg");
const STEREO: &[u8] = include_bytes!("../../voices/stereo.ogg");
const MP3: &[u8] = include_bytes!("../../voices/sample.mp3");

/// How fast people speak: characters of text in a second.
const CHARS_PER_SECOND: usize = 15;

/// The babble's packets play 20 ms each.
const PACKETS_PER_SECOND: usize = 50;

/// The shortest babble: half a second, about what a "yes" takes.
const PACKETS_MIN: usize = 25;

/// `text` as a voice note with `text` in its tags: Joe's own recording if it is one of his usual lines, else babble
/// that is as long as the text would take.
#[must_use]
pub fn say(text: &str) -> Bytes {
    let spoken = folded(text);
    let line = LINES.iter().find(|line| super::words(line).is_some_and(|words| folded(&words) == spoken));
    match line {
        Some(line) => {
            let recording = ogg::read(line);
            rewritten(&recording.packets, Some(text), recording.granule)
        }
        None => {
            let count = text.chars().count() * PACKETS_PER_SECOND / CHARS_PER_SECOND;
            babble(text, count.max(PACKETS_MIN))
        }
    }
}

/// A person's voice note of some three seconds, in Italian, with its words in its tags.
#[must_use]
pub fn note() -> Bytes {
    Bytes::from_static(NOTE)
}

/// A voice note of three seconds of silence, without words in its tags: whoever transcribes it invents some.
#[must_use]
pub fn silence() -> Bytes {
    Bytes::from_static(SILENCE)
}

/// An MP3 of two seconds.
#[must_use]
pub fn mp3() -> Bytes {
    Bytes::from_static(MP3)
}

/// Ogg Opus with two channels, of some three seconds, with `text` in its tags.
#[must_use]
pub fn stereo(text: &str) -> Bytes {
    let recording = ogg::read(STEREO);
    rewritten(&recording.packets, Some(text), recording.granule)
}

/// A voice note of at least so many bytes and little more (half a second), with `text` in its tags.
#[must_use]
pub fn of_size(bytes: usize, text: &str) -> Bytes {
    let one_second = babble(text, PACKETS_PER_SECOND * 60).len() / 60;
    let mut seconds = bytes / one_second.max(1);
    loop {
        let note = babble(text, seconds * PACKETS_PER_SECOND);
        if note.len() >= bytes {
            return note;
        }
        seconds += (bytes - note.len()) / one_second.max(1) + 1;
    }
}

/// The first part of what [`say`] says, ending in the middle of a page.
pub(crate) fn truncated(text: &str) -> Bytes {
    let whole = say(text);
    whole.slice(..whole.len() * 3 / 5)
}

/// The Opus packets of what [`say`] says, without any container.
pub(crate) fn raw(text: &str) -> Bytes {
    ogg::read(&say(text)).packets.iter().skip(2).flatten().copied().collect()
}

fn babble(text: &str, count: usize) -> Bytes {
    let recording = if brain::speaks_italian(text) { ITALIAN_BABBLE } else { ENGLISH_BABBLE };
    let packets = ogg::read(recording).packets;
    let (headers, sound) = packets.split_at(packets.len().min(2));
    let head = headers.first().map(Vec::as_slice).unwrap_or_default();
    let endless = sound.iter().cycle().map(Vec::as_slice).take(count);
    opus::file(head, Some(text), endless, None).into()
}

/// The same recording with other words in its tags.
pub(super) fn rewritten(packets: &[Vec<u8>], words: Option<&str>, end: u64) -> Bytes {
    let head = packets.first().map(Vec::as_slice).unwrap_or_default();
    opus::file(head, words, packets.iter().skip(2).map(Vec::as_slice), Some(end)).into()
}

/// A text reduced to what can be heard of it: its letters and digits, in words.
fn folded(text: &str) -> String {
    let letters = text.chars().map(|letter| if letter.is_alphanumeric() { letter } else { ' ' });
    let words: String = letters.flat_map(char::to_lowercase).collect();
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::inspect;
    use super::*;

    #[test]
    fn every_shipped_line_is_mono_and_is_found_by_its_words() {
        for line in LINES {
            let shipped = inspect(line).unwrap();
            let words = shipped.words.clone().unwrap();
            let said = inspect(&say(&words)).unwrap();
            assert_eq!(said, shipped, "{words}");
            assert_eq!(said.channels, 1);
            let chars = words.chars().count() as f64;
            assert!((8.0..25.0).contains(&(chars / said.duration.as_secs_f64())), "{said:?}");
        }
    }

    #[test]
    fn a_line_is_known_by_its_sound_and_keeps_the_words_asked_for() {
        let asked = "«eccoti qua»... che si dice";
        let said = inspect(&say(asked)).unwrap();
        assert_eq!(said.words.as_deref(), Some(asked));
        assert_eq!(said.duration, inspect(&say("Eccoti qua. Che si dice?")).unwrap().duration);
    }

    #[test]
    fn other_texts_last_as_long_as_it_takes_to_say_them() {
        let mut last = 0;
        for chars in [1, 30, 300, 3000] {
            let text = "blu ".repeat(chars / 4 + 1)[..chars].to_owned();
            let note = say(&text);
            let sound = inspect(&note).unwrap();
            let wanted = Duration::from_secs_f64((chars as f64 / 15.0).max(0.5));
            assert!(sound.duration.abs_diff(wanted) < Duration::from_millis(60), "{chars}: {sound:?}");
            assert_eq!((sound.channels, sound.words), (1, Some(text)));
            assert!(note.len() > last);
            last = note.len();
        }
    }

    #[test]
    fn sounds_of_a_size_are_whole_and_barely_larger() {
        for size in [600_000, 16_777_217] {
            let note = of_size(size, "lungo");
            assert!((size..size + 4_000).contains(&note.len()), "{}", note.len());
            assert_eq!(inspect(&note).unwrap().words.as_deref(), Some("lungo"));
        }
    }

    #[test]
    fn broken_speech_is_broken_in_the_way_it_says() {
        assert!(inspect(&truncated("ciao")).is_err() && truncated("ciao").starts_with(b"OggS"));
        assert!(!raw("ciao").is_empty() && !raw("ciao").starts_with(b"OggS"));
    }
}
