//! What a person sends as sound: a recording of the browser, a voice note as a file, or any other audio file.

use bytes::Bytes;

use crate::audio;
use crate::meta::Inbound;
use crate::multipart::Form;

/// The largest sound that WhatsApp takes.
const SOUND_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Characters of the words that a person says they said: twice what anybody says in a voice note of ten minutes.
pub(super) const WORDS_CHARS_MAX: usize = 20_000;

/// A sound, ready to be sent as what it is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Recording {
    /// Mono Ogg Opus.
    Voice(Bytes),
    /// Anything else that WhatsApp takes, with its type.
    File(Bytes, &'static str),
}

impl Recording {
    /// Reads the form of the page: a `file`, and in `words` perhaps what is said in it.
    ///
    /// # Errors
    /// The HTTP status, and the reason in words for the person.
    pub(super) fn read(form: Option<Form>) -> Result<Self, (u16, String)> {
        let form = form.ok_or((400, "a sound comes as multipart/form-data".to_owned()))?;
        let words = form.field("words").map(str::trim).filter(|words| !words.is_empty()).map(String::from);
        let bytes = form.file.map(|file| file.bytes).filter(|bytes| !bytes.is_empty());
        let bytes = bytes.ok_or((400, "the file is empty".to_owned()))?;
        if bytes.len() > SOUND_BYTES_MAX {
            return Err((413, "WhatsApp takes sounds of at most 16 MB".into()));
        }
        if words.as_ref().is_some_and(|words| words.chars().count() > WORDS_CHARS_MAX) {
            return Err((400, format!("the words have at most {WORDS_CHARS_MAX} characters")));
        }
        Self::sniff(bytes)
            .and_then(|recording| recording.with(words.as_deref()))
            .map_err(|reason| (400, reason))
    }

    /// Tells by the bytes what a file is: neither its name nor its type need be right.
    fn sniff(bytes: Bytes) -> Result<Self, String> {
        let ogg = if bytes.starts_with(b"\x1a\x45\xdf\xa3") { audio::from_webm(&bytes)? } else { bytes };
        match *ogg {
            [b'O', b'g', b'g', b'S', ..] => match audio::inspect(&ogg)?.channels {
                1 => Ok(Self::Voice(ogg)),
                // A phone records voice notes in mono, and only mono plays as one.
                _ => Ok(Self::File(ogg, "audio/ogg; codecs=opus")),
            },
            [b'I', b'D', b'3', ..] => Ok(Self::File(ogg, "audio/mpeg")),
            [_, _, _, _, b'f', b't', b'y', b'p', ..] => Ok(Self::File(ogg, "audio/mp4")),
            // An MPEG frame; its layer is 0 in AAC.
            [0xff, second, ..] if second & 0xf6 == 0xf0 => Ok(Self::File(ogg, "audio/aac")),
            [0xff, second, ..] if second & 0xe0 == 0xe0 => Ok(Self::File(ogg, "audio/mpeg")),
            _ => Err("not a sound that WhatsApp takes: Ogg Opus, MP3, M4A or AAC".into()),
        }
    }

    /// The same sound with these words in its tags. Only a voice note has a place for them.
    fn with(self, words: Option<&str>) -> Result<Self, String> {
        match (self, words) {
            (Self::Voice(bytes), Some(words)) => Ok(Self::Voice(audio::with_words(&bytes, words)?)),
            (Self::File(..), Some(_)) => {
                Err("words can ride in a voice note only, and this is an audio file".into())
            }
            (recording, None) => Ok(recording),
        }
    }

    /// As a message of this phone.
    pub(super) fn message(self, phone: &str) -> Inbound {
        match self {
            Self::Voice(bytes) => Inbound::voice(phone, bytes),
            Self::File(bytes, kind) => Inbound::audio(phone, bytes).mime(kind),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::multipart::File;

    fn read(bytes: &[u8], words: Option<&str>) -> Result<Recording, (u16, String)> {
        let file = File { name: "x".into(), kind: String::new(), bytes: Bytes::copy_from_slice(bytes) };
        let fields = words.map(|words| ("words".to_owned(), words.to_owned())).into_iter().collect();
        Recording::read(Some(Form { fields, file: Some(file) }))
    }

    #[test]
    fn a_browsers_recording_becomes_a_voice_note_with_the_words_that_were_typed() {
        let webm = include_bytes!("../../voices/recording.webm");
        let Recording::Voice(bare) = read(webm, Some("  ")).unwrap() else { panic!("not a voice note") };
        let Recording::Voice(spoken) = read(webm, Some(" ciao Joe ")).unwrap() else {
            panic!("not a voice note")
        };
        let (bare, spoken) = (audio::inspect(&bare).unwrap(), audio::inspect(&spoken).unwrap());
        assert_eq!((bare.words, spoken.words.as_deref()), (None, Some("ciao Joe")));
        assert_eq!((bare.duration, bare.packets), (spoken.duration, spoken.packets));
    }

    #[test]
    fn a_file_is_what_its_bytes_are() {
        let note = audio::note();
        assert_eq!(read(&note, None), Ok(Recording::Voice(note)));
        let mp3 = audio::mp3();
        assert_eq!(read(&mp3, None), Ok(Recording::File(mp3, "audio/mpeg")));
        let stereo = audio::stereo("ciao");
        assert_eq!(read(&stereo, None), Ok(Recording::File(stereo, "audio/ogg; codecs=opus")));
        let m4a = b"\0\0\0\x20ftypM4A \0\0\0\0";
        assert_eq!(read(m4a, None), Ok(Recording::File(Bytes::from_static(m4a), "audio/mp4")));
        let aac = b"\xff\xf1\x50\x80";
        assert_eq!(read(aac, None), Ok(Recording::File(Bytes::from_static(aac), "audio/aac")));
    }

    #[test]
    fn what_is_no_sound_or_cannot_hold_its_words_is_refused_with_the_reason() {
        let reason = |bytes: &[u8], words: Option<&str>| read(bytes, words).unwrap_err();
        assert!(reason(b"hello", None).1.contains("not a sound"));
        assert_eq!(reason(b"", None).0, 400);
        assert_eq!(reason(&vec![0; SOUND_BYTES_MAX + 1], None).0, 413);
        assert!(reason(&audio::note()[..900], None).1.contains("page"));
        assert!(reason(&audio::mp3(), Some("ciao")).1.contains("audio file"));
        assert_eq!(reason(&audio::note(), Some(&"a".repeat(WORDS_CHARS_MAX + 1))).0, 400);
        assert_eq!(Recording::read(None).unwrap_err().0, 400);
    }
}
