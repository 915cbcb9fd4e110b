//! What we have ElevenLabs speak (`POST /v1/text-to-speech/{voice_id}`), and what its answers mean.

mod refusal;

pub use refusal::{CODES, accepts_key, classify};

use derive_more::Display;
use serde_json::json;

use crate::graph::VOICE_BYTES_MAX;
use crate::json::{Fields, objects};
use crate::path::segment;

/// The sound that is asked for: Opus at 48 kHz, which comes in an Ogg file as WhatsApp's voice notes want it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display)]
pub enum Format {
    /// 64 kbit/s, as good as speech gets.
    #[display("opus_48000_64")]
    Kbps64,
    /// 32 kbit/s, still good, for what would be too large otherwise.
    #[display("opus_48000_32")]
    Kbps32,
}

impl Format {
    fn bytes_per_second(self) -> usize {
        match self {
            Self::Kbps64 => 64_000 / 8,
            Self::Kbps32 => 32_000 / 8,
        }
    }
}

/// Speech has some 15 characters a second. Reckoned with fewer, so that a slow voice still fits.
const CHARACTERS_PER_SECOND: usize = 12;

/// The best format in which a text of so many characters stays a voice note ([`VOICE_BYTES_MAX`]): up to 768
/// characters the better one, up to 1,536 the smaller. `None`: the text is too long to be spoken.
#[must_use]
pub fn format_for(characters: usize) -> Option<Format> {
    let fits =
        |format: &Format| characters <= VOICE_BYTES_MAX / format.bytes_per_second() * CHARACTERS_PER_SECOND;
    [Format::Kbps64, Format::Kbps32].into_iter().find(fits)
}

/// A request for speech.
#[derive(Clone, PartialEq, Eq)]
pub struct Speech {
    /// What follows the base URL, with a `/` in front.
    pub path_and_query: String,
    /// JSON.
    pub body: Vec<u8>,
}

impl std::fmt::Debug for Speech {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Speech({}, {} bytes)", self.path_and_query, self.body.len())
    }
}

/// Asks for `text` in a voice. The answer is the sound itself.
///
/// The language is left to be recognised: some models refuse to be told.
#[must_use]
pub fn speech(voice_id: &str, model: &str, text: &str, format: Format) -> Speech {
    Speech {
        path_and_query: format!("/v1/text-to-speech/{}?output_format={format}", segment(voice_id)),
        body: json!({"text": text, "model_id": model}).to_string().into_bytes(),
    }
}

/// Where the account's state is asked for (`GET`), which costs nothing.
pub const SUBSCRIPTION_PATH: &str = "/v1/user/subscription";

/// How much of its characters the account has used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subscription {
    /// Characters spoken in this period.
    pub used: u64,
    /// Characters that the period has.
    pub limit: u64,
    /// The account goes on beyond its limit, and pays for it.
    pub extends: bool,
}

impl Subscription {
    /// Characters that may still be spoken before the limit.
    #[must_use]
    pub fn left(self) -> u64 {
        self.limit.saturating_sub(self.used)
    }
}

/// The answer to [`SUBSCRIPTION_PATH`]. `None`: it is not one.
#[must_use]
pub fn read_subscription(body: &[u8]) -> Option<Subscription> {
    let body = Fields::from_bytes(body)?;
    Some(Subscription {
        used: body.count("character_count")?,
        limit: body.count("character_limit")?,
        extends: body.is_true("can_extend_character_limit")
            && body.is_true("allowed_to_extend_character_limit"),
    })
}

/// Where one voice is asked for (`GET`), which costs nothing: 200 if the key may use it.
#[must_use]
pub fn voice_path(voice_id: &str) -> String {
    format!("/v1/voices/{}", segment(voice_id))
}

/// The id of the voice, from the answer to [`voice_path`]. `None`: it is not one.
#[must_use]
pub fn read_voice(body: &[u8]) -> Option<String> {
    Fields::from_bytes(body)?.id("voice_id")
}

/// Where the models are asked for (`GET`), which costs nothing.
pub const MODELS_PATH: &str = "/v1/models";

/// The ids of the models, from the answer to [`MODELS_PATH`]. `None`: it is not a list of them.
#[must_use]
pub fn read_models(body: &[u8]) -> Option<Vec<String>> {
    Some(objects(body)?.filter_map(|model| model.id("model_id")).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn a_text_is_asked_for_in_a_voice() {
        let asked = speech("21m00Tcm4TlvDq8ikWAM", "eleven_flash_v2_5", "ciao \"tu\"", Format::Kbps64);
        assert_eq!(
            asked.path_and_query,
            "/v1/text-to-speech/21m00Tcm4TlvDq8ikWAM?output_format=opus_48000_64"
        );
        let body: Value = serde_json::from_slice(&asked.body).unwrap();
        assert_eq!(body, json!({"text": "ciao \"tu\"", "model_id": "eleven_flash_v2_5"}));
    }

    #[test]
    fn a_voice_cannot_leave_its_segment() {
        let asked = speech("../../v1/user?x=#é", "m", "t", Format::Kbps32);
        let path =
            "/v1/text-to-speech/%2E%2E%2F%2E%2E%2Fv1%2Fuser%3Fx%3D%23%C3%A9?output_format=opus_48000_32";
        assert_eq!(asked.path_and_query, path);
    }

    #[test]
    fn the_format_keeps_the_note_small() {
        for (characters, format) in [
            (0, Some(Format::Kbps64)),
            (768, Some(Format::Kbps64)),
            (769, Some(Format::Kbps32)),
            (1536, Some(Format::Kbps32)),
            (1537, None),
            (usize::MAX, None),
        ] {
            assert_eq!(format_for(characters), format, "{characters}");
        }
    }

    #[test]
    fn the_state_of_the_account() {
        let body = br#"{"tier":"starter","character_count":41203,"character_limit":60000,"status":"active"}"#;
        let read = Subscription { used: 41_203, limit: 60_000, extends: false };
        assert_eq!((read_subscription(body), read.left()), (Some(read), 18_797));
        let body = br#"{"character_count":9,"character_limit":5,"can_extend_character_limit":true,
            "allowed_to_extend_character_limit":true}"#;
        let read = Subscription { used: 9, limit: 5, extends: true };
        assert_eq!((read_subscription(body), read.left()), (Some(read), 0));
        for body in [
            &b""[..],
            b"{}",
            b"[]",
            br#"{"character_count":1}"#,
            br#"{"character_count":-1,"character_limit":2}"#,
        ] {
            assert_eq!(read_subscription(body), None);
        }
    }

    #[test]
    fn a_voice_and_the_models() {
        assert_eq!(voice_path("../x"), "/v1/voices/%2E%2E%2Fx");
        assert_eq!(read_voice(br#"{"voice_id":"v1","name":"Joe"}"#).as_deref(), Some("v1"));
        assert_eq!(read_voice(br#"{"detail":{"status":"voice_not_found"}}"#), None);
        let models = br#"[{"model_id":"eleven_v3"},{"name":"?"},7,{"model_id":"eleven_flash_v2_5"}]"#;
        assert_eq!(read_models(models).unwrap(), ["eleven_v3", "eleven_flash_v2_5"]);
        assert_eq!(read_models(br#"{"detail":"no"}"#), None);
    }

    #[test]
    fn nothing_that_is_spoken_is_shown() {
        assert!(!format!("{:?}", speech("v", "m", "segreto", Format::Kbps64)).contains("segreto"));
    }
}
