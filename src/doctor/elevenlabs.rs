//! ElevenLabs: the key, the characters left, the voice and the model. Without it answers are text, so nothing here is
//! required.

use parlante_wire::elevenlabs;

use super::ask::{Asker, Auth, Provider, Trouble, read};
use super::check::Check;
use crate::settings::ElevenLabs;

const KEY: &str = "elevenlabs_key";
const CHARACTERS: &str = "elevenlabs_characters";
const VOICE: &str = "elevenlabs_voice";
const MODEL: &str = "elevenlabs_model";

const BASE_URL: &str = "ELEVENLABS_BASE_URL";
const NO_VOICE: &str = "answers go out as text";

/// The checks of ElevenLabs.
pub(super) async fn check(asker: &Asker, settings: &ElevenLabs) -> Vec<Check> {
    let checks = match (&settings.api_key, &settings.voice_id) {
        (Some(key), Some(voice)) => {
            let account = Account { asker, base: settings.base_url.as_str(), key: key.expose() };
            account.check(voice, &settings.model).await
        }
        _ => {
            skipped(&[KEY, CHARACTERS, VOICE, MODEL], "ELEVENLABS_API_KEY or ELEVENLABS_VOICE_ID is not set")
        }
    };
    checks.into_iter().map(Check::optional).collect()
}

fn skipped(names: &[&'static str], why: &str) -> Vec<Check> {
    names.iter().map(|name| Check::skipped(name, why)).collect()
}

struct Account<'a> {
    asker: &'a Asker,
    base: &'a str,
    key: &'a str,
}

impl Account<'_> {
    async fn check(&self, voice: &str, model: &str) -> Vec<Check> {
        let (key, characters) = self.subscription().await;
        let mut checks = vec![key];
        match characters {
            Some(characters) => checks.push(characters),
            None => {
                let why = format!("not asked: {KEY} has failed");
                return checks.into_iter().chain(skipped(&[CHARACTERS, VOICE, MODEL], &why)).collect();
            }
        }
        let (voice, model) = tokio::join!(self.voice(voice), self.model(model));
        checks.extend([voice, model]);
        checks
    }

    async fn get<T>(&self, path: &str, body: impl FnOnce(&[u8]) -> Option<T>) -> Result<T, Trouble> {
        let url = format!("{}{path}", self.base);
        let answer = self.asker.get(Provider::ElevenLabs, &url, Auth::ElevenLabs(self.key)).await;
        read(answer, elevenlabs::classify, body)
    }

    /// The key, and the characters where the key is accepted. One that may only speak is accepted too.
    async fn subscription(&self) -> (Check, Option<Check>) {
        match self.get(elevenlabs::SUBSCRIPTION_PATH, elevenlabs::read_subscription).await {
            Ok(subscription) => (Check::ok(KEY, "accepted"), Some(left(subscription))),
            Err(trouble) if may_not_look(&trouble) => {
                let unknown = Check::skipped(CHARACTERS, "unknown: the key may not read it");
                (Check::ok(KEY, "accepted"), Some(unknown))
            }
            Err(trouble @ Trouble::Refused(_)) if trouble.is_credential() => {
                let mend =
                    "make a key at elevenlabs.io (Developers, API keys), and set ELEVENLABS_API_KEY to it";
                (Check::failed(KEY, trouble.to_string(), NO_VOICE, mend), None)
            }
            Err(trouble) => (trouble.fails(KEY, BASE_URL, NO_VOICE), None),
        }
    }

    async fn voice(&self, voice: &str) -> Check {
        match self.get(&elevenlabs::voice_path(voice), elevenlabs::read_voice).await {
            Ok(_) => Check::ok(VOICE, "it exists, and the key may use it"),
            Err(trouble) if may_not_look(&trouble) => {
                Check::skipped(VOICE, "unknown: the key may not read it")
            }
            Err(trouble) if is_wrong(&trouble) => Check::failed(
                VOICE,
                trouble.to_string(),
                NO_VOICE,
                "set ELEVENLABS_VOICE_ID to the id of a voice of this account (elevenlabs.io, Voices, Copy voice ID)",
            ),
            Err(trouble) => trouble.fails(VOICE, BASE_URL, NO_VOICE),
        }
    }

    async fn model(&self, model: &str) -> Check {
        match self.get(elevenlabs::MODELS_PATH, elevenlabs::read_models).await {
            Ok(models) if models.iter().any(|id| id == model) => {
                Check::ok(MODEL, format!("{model} is listed"))
            }
            Ok(_) => Check::failed(
                MODEL,
                format!("{model} is not listed"),
                NO_VOICE,
                "set ELEVENLABS_MODEL to a model that GET /v1/models lists, or take it out for the default",
            ),
            Err(trouble) if may_not_look(&trouble) => {
                Check::skipped(MODEL, "unknown: the key may not read it")
            }
            Err(trouble) => trouble.fails(MODEL, BASE_URL, NO_VOICE),
        }
    }
}

/// The key is right, but was made without the right to read this; it may speak all the same.
fn may_not_look(trouble: &Trouble) -> bool {
    trouble.has_code("missing_permissions") || trouble.has_code("insufficient_permissions")
}

/// What was asked for does not exist, or is not for this account.
fn is_wrong(trouble: &Trouble) -> bool {
    let codes = ["voice_not_found", "invalid_voice_id", "invalid_uid", "voice_access_denied"];
    codes.iter().any(|code| trouble.has_code(code)) || trouble.is_not_found()
}

fn left(subscription: elevenlabs::Subscription) -> Check {
    let limit = subscription.limit;
    match subscription.left() {
        0 if subscription.extends => {
            Check::ok(CHARACTERS, format!("none left of {limit}, and the account may go on beyond"))
        }
        0 => Check::failed(
            CHARACTERS,
            format!("none left of {limit}"),
            NO_VOICE,
            "wait for the next period, or take a larger plan at elevenlabs.io",
        ),
        left => Check::ok(CHARACTERS, format!("{left} left of {limit}")),
    }
}
