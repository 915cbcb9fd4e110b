//! A request for speech: whether it is right, and the audio.

use bytes::Bytes;
use serde_json::Value;

use super::errors::ApiError;
use crate::audio;
use crate::options::ElevenLabsOptions;
use crate::script::AudioFault;

/// Characters that a model takes in one request, by the beginning of its name; others take 10 000.
const CHARS_MAX: [(&str, usize); 4] = [
    ("eleven_v3", 5_000),
    ("eleven_flash_v2_5", 40_000),
    ("eleven_turbo_v2_5", 40_000),
    ("eleven_flash_v2", 30_000),
];

/// The settings of a voice, and the range of each.
const SETTINGS: [(&str, f64, f64); 4] =
    [("stability", 0.0, 1.0), ("similarity_boost", 0.0, 1.0), ("style", 0.0, 1.0), ("speed", 0.7, 1.2)];

/// Used if the request does not name them.
const MODEL: &str = "eleven_multilingual_v2";
const FORMAT: &str = "mp3_44100_128";

/// The audio that is too large for a voice note of WhatsApp, which ends at 512 KB.
const HUGE_BYTES: usize = 600_000;

/// A request that is right in itself.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    pub(super) text: String,
    container: Container,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Container {
    OggOpus,
    Mp3,
}

impl Wish {
    /// Reads a request as ElevenLabs would.
    ///
    /// # Errors
    /// The error that ElevenLabs would answer.
    pub(super) fn read(
        options: &ElevenLabsOptions,
        voice: &str,
        body: &Value,
        format: Option<&str>,
    ) -> Result<Self, ApiError> {
        if !options.voices.iter().any(|known| known == voice) {
            let message = format!("A voice with the voice_id {voice} was not found.");
            return Err(ApiError::of("voice_not_found").with_message(message).with_param("voice_id"));
        }
        if !body.is_object() {
            return Err(ApiError::of("malformed_json"));
        }
        let text = match body.get("text") {
            Some(Value::String(text)) => text.clone(),
            None => return Err(ApiError::shape("text", "missing", "Field required")),
            Some(_) => return Err(ApiError::shape("text", "string_type", "Input should be a valid string")),
        };
        if text.trim().is_empty() {
            return Err(ApiError::of("empty_text").with_param("text"));
        }
        let model = body.get("model_id").and_then(Value::as_str).unwrap_or(MODEL);
        if !options.models.iter().any(|known| known == model) {
            let message = format!("The model {model} does not exist or cannot speak.");
            return Err(ApiError::of("unsupported_model").with_message(message).with_param("model_id"));
        }
        if text.chars().count() > chars_max(model) {
            return Err(ApiError::of("text_too_long").with_param("text"));
        }
        settings(body.get("voice_settings"))?;
        Ok(Self { text, container: container(format.unwrap_or(FORMAT))? })
    }

    /// Characters, which is what ElevenLabs counts.
    pub(super) fn cost(&self) -> u64 {
        self.text.chars().count() as u64
    }

    /// The audio, wrong in this way if in any.
    pub(super) fn audio(&self, fault: Option<AudioFault>) -> Bytes {
        match fault {
            None if self.container == Container::Mp3 => audio::mp3(),
            None => audio::say(&self.text),
            Some(AudioFault::Stereo) => audio::stereo(&self.text),
            Some(AudioFault::Truncated) => audio::truncated(&self.text),
            Some(AudioFault::Mp3) => audio::mp3(),
            Some(AudioFault::Empty) => Bytes::new(),
            Some(AudioFault::Huge) => audio::of_size(HUGE_BYTES, &self.text),
            Some(AudioFault::RawOpus) => audio::raw(&self.text),
        }
    }
}

pub(super) fn chars_max(model: &str) -> usize {
    CHARS_MAX.iter().find(|(start, _)| model.starts_with(start)).map_or(10_000, |(_, count)| *count)
}

fn settings(settings: Option<&Value>) -> Result<(), ApiError> {
    for (name, least, most) in SETTINGS {
        let value = settings.and_then(|settings| settings.get(name)?.as_f64());
        if value.is_some_and(|value| !(least..=most).contains(&value)) {
            let message = format!("{name} must be between {least} and {most}.");
            return Err(ApiError::of("invalid_voice_settings")
                .with_message(message)
                .with_param("voice_settings"));
        }
    }
    Ok(())
}

/// This stand-in speaks Ogg Opus and, for whoever forgets to ask for it, MP3. ElevenLabs also has PCM, WAV, A-law and
/// µ-law.
fn container(format: &str) -> Result<Container, ApiError> {
    match format.split('_').collect::<Vec<_>>().as_slice() {
        ["opus", "48000", "32" | "64" | "96" | "128" | "192"] => Ok(Container::OggOpus),
        ["mp3", "22050", "32"]
        | ["mp3", "24000", "48"]
        | ["mp3", "44100", "32" | "64" | "96" | "128" | "192"] => Ok(Container::Mp3),
        _ => Err(ApiError::of("invalid_output_format").with_param("output_format")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(body: &Value, format: Option<&str>) -> Result<Wish, ApiError> {
        Wish::read(&ElevenLabsOptions::default(), "sandboxVoiceOfJoe001", body, format)
    }

    #[test]
    fn opus_is_a_voice_note_that_grows_with_the_text() {
        let said = |text: &str| read(&json!({"text": text}), Some("opus_48000_32")).unwrap().audio(None);
        assert!(audio::is_voice_note(&said("ciao")));
        assert!(said(&"lungo ".repeat(50)).len() > said("ciao").len());
        assert_eq!(read(&json!({"text": "ciao"}), None).unwrap().audio(None), audio::mp3());
    }

    #[test]
    fn what_elevenlabs_refuses_is_refused_with_its_code() {
        let ciao = json!({"text": "ciao"});
        let long = json!({"text": "a".repeat(5_001), "model_id": "eleven_v3"});
        let cases = [
            (Value::Null, "opus_48000_32", 400, "malformed_json"),
            (json!({}), "opus_48000_32", 422, "unprocessable_entity"),
            (json!({"text": 7}), "opus_48000_32", 422, "unprocessable_entity"),
            (json!({"text": " \n"}), "opus_48000_32", 400, "empty_text"),
            (json!({"text": "a", "model_id": "m0"}), "opus_48000_32", 400, "unsupported_model"),
            (long, "opus_48000_32", 400, "text_too_long"),
            (
                json!({"text": "a", "voice_settings": {"speed": 2}}),
                "opus_48000_32",
                400,
                "invalid_voice_settings",
            ),
            (ciao.clone(), "opus_44100_32", 400, "invalid_output_format"),
            (ciao.clone(), "opus_48000_24", 400, "invalid_output_format"),
        ];
        for (body, format, status, code) in cases {
            let error = read(&body, Some(format)).unwrap_err();
            assert_eq!((error.status, error.code.as_str()), (status, code), "{body} {format}");
        }
        let error = Wish::read(&ElevenLabsOptions::default(), "nobody", &ciao, None).unwrap_err();
        assert_eq!((error.status, error.code.as_str()), (404, "voice_not_found"));
    }

    #[test]
    fn each_kind_of_wrong_audio_is_wrong_in_its_own_way() {
        let wish = read(&json!({"text": "ciao"}), Some("opus_48000_32")).unwrap();
        let huge = wish.audio(Some(AudioFault::Huge));
        assert!(huge.len() >= HUGE_BYTES && audio::is_voice_note(&huge));
        let wrong = [
            AudioFault::Stereo,
            AudioFault::Truncated,
            AudioFault::Mp3,
            AudioFault::Empty,
            AudioFault::RawOpus,
        ];
        for fault in wrong {
            assert!(!audio::is_voice_note(&wish.audio(Some(fault))), "{fault:?}");
        }
    }
}
