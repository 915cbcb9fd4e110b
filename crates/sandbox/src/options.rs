//! What a sandbox is started with. Every default works as it is.

use std::time::Duration;

/// Everything about one sandbox.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The stand-in of Meta.
    pub meta: MetaOptions,
    /// The stand-in of OpenAI.
    pub openai: OpenAiOptions,
    /// The stand-in of ElevenLabs.
    pub elevenlabs: ElevenLabsOptions,
    /// The phone page, if there is to be one.
    pub page: Option<PageOptions>,
    /// No artificial latency: answers and statuses come at once instead of at a human pace.
    pub fast: bool,
}

impl Options {
    /// For tests: nothing is slow, answers are echoes, redelivery follows within milliseconds, no page.
    pub fn for_tests() -> Self {
        let meta = MetaOptions { redelivery: vec![Duration::from_millis(50)], ..MetaOptions::default() };
        let openai = OpenAiOptions { voice: Answers::Echo, ..OpenAiOptions::default() };
        Self { meta, openai, fast: true, ..Self::default() }
    }
}

/// Who the business is to Meta, and how Meta behaves.
#[derive(Clone, Debug)]
pub struct MetaOptions {
    /// The key of the webhook signatures.
    pub app_secret: String,
    /// The word that the webhook must know in the handshake.
    pub verify_token: String,
    /// The bearer token that sends must carry.
    pub access_token: String,
    /// Digits; the app that the token was made for.
    pub app_id: String,
    /// Digits; the id in the path of sends and in the metadata of webhooks.
    pub phone_number_id: String,
    /// Digits without `+`.
    pub display_phone_number: String,
    /// Digits; the `id` of each webhook entry.
    pub business_account_id: String,
    /// The waits before the second, third, … delivery of a webhook that was not answered 200; the last repeats.
    pub redelivery: Vec<Duration>,
    /// Where to listen on 127.0.0.1; a free port if not given.
    pub port: Option<u16>,
    /// Webhooks are pure ASCII, with `\uXXXX` for the rest, as Meta sends them; else raw UTF-8.
    pub escaped_unicode: bool,
    /// Webhooks have `\/` instead of `/`.
    pub escaped_slashes: bool,
    /// Each accepted send is followed by its `sent`, `delivered` and `read` status.
    pub statuses: bool,
    /// Voice notes are played once they are read: a `played` status follows.
    pub plays: bool,
    /// The wait before each of these statuses; none if the sandbox is `fast`.
    pub status_delay: Duration,
    /// The webhook of a sound has its URL, as since the end of 2025; else it must be looked up.
    pub media_urls: bool,
    /// Webhook requests under way at once. 64 is what a busy number sees; 1 makes deliveries strictly sequential.
    pub in_flight: usize,
}

impl Default for MetaOptions {
    fn default() -> Self {
        Self {
            app_secret: "sandbox-app-secret".into(),
            verify_token: "sandbox-verify-token".into(),
            access_token: "sandbox-access-token".into(),
            app_id: "600500400300201".into(),
            phone_number_id: "700800900100201".into(),
            display_phone_number: "15550001111".into(),
            business_account_id: "900100200300401".into(),
            redelivery: [500, 1_000, 2_000, 4_000, 8_000, 15_000, 30_000, 60_000]
                .map(Duration::from_millis)
                .to_vec(),
            port: None,
            escaped_unicode: true,
            escaped_slashes: false,
            statuses: true,
            plays: true,
            status_delay: Duration::from_millis(700),
            media_urls: true,
            in_flight: 64,
        }
    }
}

/// What the account at OpenAI may do, and who answers.
#[derive(Clone, Debug)]
pub struct OpenAiOptions {
    /// The bearer token that calls must carry.
    pub api_key: String,
    /// The chat models that exist.
    pub models: Vec<String>,
    /// The transcription models that exist.
    pub transcription_models: Vec<String>,
    /// Who answers.
    pub voice: Answers,
    /// Where to listen on 127.0.0.1; a free port if not given.
    pub port: Option<u16>,
}

impl Default for OpenAiOptions {
    fn default() -> Self {
        Self {
            api_key: "sandbox-openai-key".into(),
            models: ["gpt-5.4-mini", "gpt-5.4", "gpt-5.4-nano", "gpt-4o-mini"].map(String::from).to_vec(),
            transcription_models: ["gpt-4o-mini-transcribe", "gpt-4o-transcribe", "whisper-1"]
                .map(String::from)
                .to_vec(),
            voice: Answers::Joe,
            port: None,
        }
    }
}

/// Who answers in the place of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    /// The built-in persona, which remembers what its history tells it.
    Joe,
    /// `echo: ` and the last message of the user.
    Echo,
}

/// What the account at ElevenLabs may do.
#[derive(Clone, Debug)]
pub struct ElevenLabsOptions {
    /// The key that requests must carry in `xi-api-key`.
    pub api_key: String,
    /// The ids of the voices that exist. They all speak as Joe.
    pub voices: Vec<String>,
    /// The models that exist.
    pub models: Vec<String>,
    /// How many characters may be spoken before the quota is used up.
    pub characters_limit: u64,
    /// Errors come in the envelope of old, `{"detail": {"status", "message"}}`.
    pub legacy_errors: bool,
    /// Where to listen on 127.0.0.1; a free port if not given.
    pub port: Option<u16>,
}

impl Default for ElevenLabsOptions {
    fn default() -> Self {
        let models = ["eleven_flash_v2_5", "eleven_turbo_v2_5", "eleven_multilingual_v2", "eleven_v3"];
        Self {
            api_key: "sandbox-elevenlabs-key".into(),
            voices: vec!["sandboxVoiceOfJoe001".into()],
            models: models.map(String::from).to_vec(),
            characters_limit: 1_000_000,
            legacy_errors: false,
            port: None,
        }
    }
}

/// The phone page.
#[derive(Clone, Debug, Default)]
pub struct PageOptions {
    /// Where to listen on 127.0.0.1; a free port if not given.
    pub port: Option<u16>,
}
