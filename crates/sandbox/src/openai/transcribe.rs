//! Transcription: what OpenAI takes as a recording, and what is heard in it.
//!
//! A file whose tags carry its words is heard word for word. Any other is heard as a test says, and else something is
//! made up: a model that gets silence or noise does not say so, it invents.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};

use super::errors::ApiError;
use super::records::Transcription;
use crate::audio;
use crate::digest::sha256_hex;
use crate::http::Reply;
use crate::multipart::{File, Form};
use crate::options::OpenAiOptions;

/// The largest file, OpenAI's limit.
const FILE_BYTES_MAX: usize = 26_214_400;

/// OpenAI takes the format from the end of the file's name, and these are the ends it knows.
const FORMATS: [&str; 9] = ["flac", "m4a", "mp3", "mp4", "mpeg", "mpga", "ogg", "wav", "webm"];

/// The shortest recording, OpenAI's limit.
const SECONDS_MIN: f64 = 0.1;

/// Hears files without words in their tags.
#[derive(Clone)]
pub(super) struct Ears(Arc<Listener>);

type Listener = dyn Fn(&[u8]) -> String + Send + Sync;

impl Ears {
    /// Ears that make something up, as real ones do: these two were in many a model's training.
    pub(super) fn inventive() -> Self {
        Self::hearing(|bytes| {
            let inventions = ["Thanks for watching!", "Sottotitoli creati dalla comunità Amara.org"];
            inventions[bytes.len() % 2].into()
        })
    }

    pub(super) fn hearing(hear: impl Fn(&[u8]) -> String + Send + Sync + 'static) -> Self {
        Self(Arc::new(hear))
    }

    fn hear(&self, bytes: &[u8]) -> String {
        audio::words(bytes).unwrap_or_else(|| (self.0)(bytes))
    }
}

impl fmt::Debug for Ears {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Ears")
    }
}

/// What is remembered of a form, right or wrong.
pub(super) fn record(form: &Form) -> Transcription {
    let file = form.file.as_ref();
    Transcription {
        file_name: file.map(|file| file.name.clone()).unwrap_or_default(),
        content_type: file.map(|file| file.kind.clone()).unwrap_or_default(),
        size: file.map_or(0, |file| file.bytes.len()),
        sha256: file.map(|file| sha256_hex(&file.bytes)).unwrap_or_default(),
        fields: form.fields.clone(),
    }
}

/// The form as a script can look into it: the fields, the file's name, and the words in the file.
pub(super) fn as_text(form: &Form) -> String {
    let fields = form.fields.iter().map(|(name, value)| format!("{name}={value}\n"));
    let file = form
        .file
        .as_ref()
        .map(|file| format!("{}\n{}\n", file.name, audio::words(&file.bytes).unwrap_or_default()));
    fields.chain(file).collect()
}

/// Judges a form as OpenAI would, and transcribes its file.
///
/// # Errors
/// The error that OpenAI would answer.
pub(super) fn transcribe(
    options: &OpenAiOptions,
    ears: &Ears,
    form: Option<&Form>,
) -> Result<Reply, ApiError> {
    let form = form.ok_or_else(|| ApiError::request("Could not parse multipart form"))?;
    let model = form.field("model").ok_or_else(|| ApiError::request("you must provide a model parameter"))?;
    if !options.transcription_models.iter().any(|known| known == model) {
        let message = format!("The model `{model}` does not exist or you do not have access to it.");
        return Err(ApiError::of("model_not_found").with_message(message));
    }
    let file = form.file.as_ref().ok_or_else(|| {
        let error = ApiError::request("Missing required parameter: 'file'.");
        error.with_param("file").with_code("missing_required_parameter")
    })?;
    let seconds = check(file)?;
    let format = form.field("response_format").unwrap_or("json");
    let text = ears.hear(&file.bytes);
    match (format, model == "whisper-1") {
        ("json", _) => Ok(Reply::json(200, &json!({"text": text, "usage": usage(model, &text, seconds)}))),
        ("text", true) => Ok(Reply::bytes(200, "text/plain; charset=utf-8", format!("{text}\n"))),
        ("verbose_json", true) => {
            let body = json!({"task": "transcribe", "language": "italian", "duration": seconds, "text": text,
                "segments": [], "usage": usage(model, &text, seconds)});
            Ok(Reply::json(200, &body))
        }
        _ => {
            let message = format!("response_format '{format}' is not compatible with model '{model}'.");
            Err(ApiError::of("unsupported_value").with_message(message).with_param("response_format"))
        }
    }
}

/// How many seconds a file plays, if it can be told; a good guess if not.
fn check(file: &File) -> Result<f64, ApiError> {
    if file.bytes.len() > FILE_BYTES_MAX {
        let message = format!(
            "413: Maximum content size limit ({FILE_BYTES_MAX}) exceeded ({} bytes read)",
            file.bytes.len()
        );
        return Err(ApiError::usual(413).with_message(message));
    }
    let extension = file.name.rsplit_once('.').map(|(_, extension)| extension.to_lowercase());
    if !extension.as_deref().is_some_and(|extension| FORMATS.contains(&extension)) {
        let message = format!("Unsupported file format {}", extension.unwrap_or_default());
        return Err(ApiError::of("unsupported_value").with_message(message).with_param("file"));
    }
    if extension.as_deref() == Some("ogg") && !file.bytes.starts_with(b"OggS") || file.bytes.is_empty() {
        let message = "Audio file might be corrupted or unsupported";
        return Err(ApiError::request(message).with_param("file").with_code("invalid_value"));
    }
    let seconds = match audio::inspect(&file.bytes) {
        Ok(sound) => sound.duration.as_secs_f64(),
        Err(_) => guessed_seconds(&file.bytes),
    };
    if seconds < SECONDS_MIN {
        let message = "Audio file is too short. Minimum audio length is 0.1 seconds.";
        return Err(ApiError::request(message).with_param("file").with_code("audio_too_short"));
    }
    Ok(seconds)
}

/// By the rate of a phone's voice notes, 16 kbit/s.
fn guessed_seconds(bytes: &Bytes) -> f64 {
    (bytes.len() as f64 / 2_000.0).max(SECONDS_MIN)
}

fn usage(model: &str, text: &str, seconds: f64) -> Value {
    if model == "whisper-1" {
        return json!({"type": "duration", "seconds": seconds.ceil()});
    }
    // Ten tokens a second of sound; four characters a token.
    let (heard, said) = ((seconds * 10.0).ceil() as u64, text.len().div_ceil(4) as u64);
    json!({"type": "tokens", "input_tokens": heard, "input_token_details": {"text_tokens": 0, "audio_tokens": heard},
        "output_tokens": said, "total_tokens": heard + said})
}
