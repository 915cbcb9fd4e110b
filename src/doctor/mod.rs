//! What `parlante doctor` finds out: whether the path to each provider and back works, as it is set now.
//!
//! - [`ledger`]: can it be written?
//! - [`whatsapp`], [`openai`], [`elevenlabs`]: key, rights, quota, and what the settings name there.
//! - [`clock`]: does our time agree with theirs?
//! - [`webhook`]: does what Meta posts to the public address arrive here, signed with our secret?
//! - [`ask`]: one question over HTTP, with a deadline.
//!
//! It asks with a client of its own: a running server and its circuits do not notice. What nobody documents decides
//! nothing; it is called unknown. No finding holds a body that a provider has sent, nor an address with a secret in it.

mod ask;
mod check;
mod clock;
mod elevenlabs;
mod ledger;
mod openai;
mod webhook;
mod whatsapp;

use parlante_domain::{Clock, Persona};

pub(crate) use check::{Check, Status};
pub(crate) use webhook::LOOP_BODY;

use crate::real::SystemClock;
use crate::settings::Settings;
use ask::Asker;

/// Runs every check, those of different providers together. Takes as long as the slowest of them.
pub(crate) async fn examine(settings: &Settings, persona: &Persona) -> Vec<Check> {
    let asker = Asker::new(SystemClock);
    let now = SystemClock.now();
    let (ledger, whatsapp, openai, elevenlabs, webhook) = tokio::join!(
        ledger::check(&asker, settings),
        whatsapp::check(&asker, &settings.whatsapp, now),
        openai::check(&asker, &settings.openai),
        elevenlabs::check(&asker, &settings.elevenlabs),
        webhook::check(&asker, settings),
    );
    let mut checks = vec![valid(settings, persona), ledger, clock::check(&asker.dates())];
    checks.extend(whatsapp);
    checks.extend(openai);
    checks.extend(elevenlabs);
    checks.push(webhook);
    checks
}

/// The settings, which are valid, or this would not run.
fn valid(settings: &Settings, persona: &Persona) -> Check {
    let warnings: Vec<String> = settings.warnings().iter().map(ToString::to_string).collect();
    let found = format!("valid; the persona is {}", persona.name);
    let check = Check::ok("settings", found);
    if warnings.is_empty() {
        return check;
    }
    check.but(
        warnings.join("; "),
        "change what is not meant to be so; parlante check --show tells where each value came from",
    )
}
