//! What we have heard for us (`POST /audio/transcriptions`), and what was heard.

use crate::json::{Fields, cut};
use crate::multipart::{File, Multipart, form};
use crate::sound::Sound;

use super::Usage;

/// The longest transcript that is kept, in bytes. A voice note of an hour has some 60,000 characters.
const TEXT_BYTES_MAX: usize = 64 * 1024;

/// What somebody said.
#[derive(Clone, PartialEq, Eq)]
pub struct Transcript {
    /// The words; empty if there were none.
    pub text: String,
    /// What it cost, where it is reckoned in tokens.
    pub usage: Option<Usage>,
}

impl std::fmt::Debug for Transcript {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Transcript({} characters, {:?})", self.text.chars().count(), self.usage)
    }
}

/// Asks for the words of a voice note; its bytes go out as they came.
///
/// The file is called after what it is, for the name's ending decides what OpenAI takes it for: `.opus` or `.oga`
/// is refused, whatever is in it.
#[must_use]
pub fn transcription(model: &str, audio: &[u8], sound: Sound) -> Multipart {
    let file = File { name: sound.file_name(), mime: sound.mime(), bytes: audio };
    form(&[("model", model), ("response_format", "json")], &file)
}

/// The answer to [`transcription`]. `None`: it is not one, or not whole.
#[must_use]
pub fn read_transcript(body: &[u8]) -> Option<Transcript> {
    let body = Fields::from_bytes(body)?;
    let tokens = |usage: Fields<'_>| {
        Some(Usage {
            prompt_tokens: usage.count("input_tokens")?,
            completion_tokens: usage.count("output_tokens")?,
            cached_tokens: 0,
        })
    };
    Some(Transcript {
        text: cut(body.text("text")?, TEXT_BYTES_MAX),
        usage: body.object("usage").and_then(tokens),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::multipart::tests::parts;

    #[test]
    fn the_request_is_a_form_with_the_bytes_as_they_came() {
        let audio = b"OggS\0\r\n--\r\n";
        let named = |name: &str| format!("Content-Disposition: form-data; name=\"{name}\"");
        for (sound, file) in [
            (Sound::Ogg, "; filename=\"voice.ogg\"\r\nContent-Type: audio/ogg"),
            (Sound::Mp3, "; filename=\"voice.mp3\"\r\nContent-Type: audio/mpeg"),
            (Sound::Mp4, "; filename=\"voice.m4a\"\r\nContent-Type: audio/mp4"),
            (Sound::Wav, "; filename=\"voice.wav\"\r\nContent-Type: audio/wav"),
            (Sound::Flac, "; filename=\"voice.flac\"\r\nContent-Type: audio/flac"),
            (Sound::Webm, "; filename=\"voice.webm\"\r\nContent-Type: audio/webm"),
        ] {
            let expected = [
                (named("model"), b"gpt-4o-mini-transcribe".to_vec()),
                (named("response_format"), b"json".to_vec()),
                (named("file") + file, audio.to_vec()),
            ];
            assert_eq!(parts(&transcription("gpt-4o-mini-transcribe", audio, sound)), expected);
        }
    }

    #[test]
    fn words_and_tokens() {
        let body = br#"{"text":"dale, nos vemos","usage":{"type":"tokens","input_tokens":44,"input_token_details":{"audio_tokens":34},"output_tokens":9,"total_tokens":53}}"#;
        let heard = read_transcript(body).unwrap();
        let usage = Usage { prompt_tokens: 44, completion_tokens: 9, cached_tokens: 0 };
        assert_eq!(heard, Transcript { text: "dale, nos vemos".into(), usage: Some(usage) });
    }

    #[test]
    fn nothing_said_and_nothing_reckoned() {
        let heard = read_transcript(br#"{"text":"","usage":{"type":"duration","seconds":4}}"#).unwrap();
        assert_eq!(heard, Transcript { text: String::new(), usage: None });
    }

    #[test]
    fn what_is_not_a_whole_answer() {
        let whole = br#"{"text":"dale","usage":{"type":"duration","seconds":4}}"#;
        for end in 0..whole.len() {
            assert_eq!(read_transcript(&whole[..end]), None, "{end}");
        }
        for body in [&b"{}"[..], b"[]", b"dale", br#"{"text":null}"#, br#"{"text":["x"]}"#] {
            assert_eq!(read_transcript(body), None);
        }
    }

    #[test]
    fn nothing_that_was_said_is_shown() {
        let heard = Transcript { text: "segreto".into(), usage: None };
        assert_eq!(format!("{heard:?}"), "Transcript(7 characters, None)");
    }
}
