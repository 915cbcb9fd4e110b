//! The providers that Parlante calls.

use derive_more::Display;

/// A provider, as it is called in logs, settings, `/stats` and the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Display)]
#[display(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the providers' own names")]
pub enum Service {
    WhatsApp,
    OpenAi,
    ElevenLabs,
}

impl Service {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::WhatsApp, Self::OpenAi, Self::ElevenLabs];
}
