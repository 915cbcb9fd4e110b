//! What may be read anew while the server runs (SIGHUP): the persona and the secrets. All or nothing: if anything of
//! it cannot be used, all that was before stays.

use std::sync::Arc;

use derive_more::{Display, Error, From};
use parlante_actors::call::Credentials;
use parlante_actors::system::Live;
use parlante_wire::signature::Secrets;

use crate::persona::{self, PersonaError};
use crate::settings::{Secret, Settings, SettingsError};

/// Nothing was changed.
#[derive(Debug, Display, Error, From)]
pub(crate) enum ReloadError {
    /// The settings cannot be read any more.
    #[display("{_0}")]
    Settings(SettingsError),
    /// The persona's file cannot be used.
    Persona(PersonaError),
    /// Webhooks were verified until now, and would not be any more.
    #[display("WHATSAPP_APP_SECRET is not set any more; without it webhooks would be believed unsigned")]
    Unverified,
}

impl ReloadError {
    /// What it is called in the log.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Settings(_) => "settings",
            Self::Persona(_) => "persona",
            Self::Unverified => "app_secret",
        }
    }
}

/// What the actors take from the settings and may take anew.
///
/// # Errors
/// If the persona cannot be used.
pub(crate) fn live(settings: &Settings) -> Result<Live, PersonaError> {
    let fallback = settings.openai.fallback.as_ref();
    Ok(Live {
        persona: Arc::new(persona::load(settings.persona.file.as_deref())?),
        credentials: Arc::new(Credentials {
            whatsapp: text(settings.whatsapp.access_token.as_ref()),
            openai: text(settings.openai.api_key.as_ref()),
            openai_fallback: text(fallback.map(|fallback| &fallback.api_key)),
            elevenlabs: text(settings.elevenlabs.api_key.as_ref()),
        }),
    })
}

/// Any of these may have signed a webhook; `None`: the check is skipped.
pub(crate) fn app_secrets(settings: &Settings) -> Option<Arc<Secrets>> {
    let secrets = &settings.whatsapp.app_secrets;
    (!secrets.is_empty()).then(|| Arc::new(Secrets::new(secrets.iter().map(Secret::expose))))
}

fn text(secret: Option<&Secret>) -> String {
    secret.map(|secret| secret.expose().to_owned()).unwrap_or_default()
}
