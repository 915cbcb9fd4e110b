//! The switches of the drawer: faults that last until they are switched off, as they show on the wire.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::elevenlabs::ElevenLabs;
use crate::meta::Meta;
use crate::openai::OpenAi;
use crate::script::{Fault, Route, RuleId, Script};
use crate::shared::Shared;

/// How much later a slow model answers: long enough to be felt, short of the 15 s after which the server would ask
/// again.
const SLOWNESS: Duration = Duration::from_secs(6);

/// One fault that can be switched on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Switch {
    /// OpenAI answers chats 503.
    ModelDown,
    /// OpenAI's chats begin six seconds late.
    ModelSlow,
    /// OpenAI answers chats and transcriptions 429 `insufficient_quota`.
    OpenaiQuota,
    /// ElevenLabs closes every connection without an answer.
    ElevenlabsCut,
    /// ElevenLabs has no characters left: 401 `quota_exceeded`.
    ElevenlabsQuota,
    /// WhatsApp refuses everything but webhooks with 401 and code 190.
    WhatsappToken,
}

impl Switch {
    pub(super) const ALL: [Self; 6] = [
        Self::ModelDown,
        Self::ModelSlow,
        Self::OpenaiQuota,
        Self::ElevenlabsCut,
        Self::ElevenlabsQuota,
        Self::WhatsappToken,
    ];
}

/// All switches, and how to undo those that are on.
#[derive(Clone, Debug)]
pub(super) struct Switches {
    meta: Meta,
    openai: OpenAi,
    elevenlabs: ElevenLabs,
    on: Shared<BTreeMap<Switch, Undo>>,
}

#[derive(Debug)]
enum Undo {
    Rules(Script, Vec<RuleId>),
    /// The characters that ElevenLabs had left.
    Characters(u64),
}

impl Switches {
    pub(super) fn new(meta: Meta, openai: OpenAi, elevenlabs: ElevenLabs) -> Self {
        Self { meta, openai, elevenlabs, on: Shared::new(BTreeMap::new()) }
    }

    /// Switches a fault on or off; nothing happens if it is so already.
    pub(super) fn set(&self, switch: Switch, on: bool) {
        self.on.change(|switched| match (on, switched.contains_key(&switch)) {
            (true, false) => {
                switched.insert(switch, self.begin(switch));
            }
            (false, true) => {
                if let Some(undo) = switched.remove(&switch) {
                    self.end(undo);
                }
            }
            _ => {}
        });
    }

    fn begin(&self, switch: Switch) -> Undo {
        use Route::{
            Chat, Download, Media, Models, Number, PhoneNumbers, Read, Send, Speak, SubscribedApps,
            Subscription, Token, Transcribe, Upload, Voices,
        };
        let rules = |script: &Script, faults: &[(Route, Fault)]| {
            let rules = faults.iter().map(|(route, fault)| script.always(*route, fault.clone()));
            Undo::Rules(script.clone(), rules.collect())
        };
        match switch {
            Switch::ModelDown => rules(self.openai.script(), &[(Chat, Fault::status(503))]),
            Switch::ModelSlow => rules(self.openai.script(), &[(Chat, Fault::Latency(SLOWNESS))]),
            Switch::OpenaiQuota => {
                let fault = || Fault::code("insufficient_quota");
                rules(self.openai.script(), &[(Chat, fault()), (Transcribe, fault())])
            }
            Switch::ElevenlabsCut => {
                let routes = [Speak, Subscription, Models, Voices];
                rules(self.elevenlabs.script(), &routes.map(|route| (route, Fault::close())))
            }
            Switch::ElevenlabsQuota => {
                let left = self.elevenlabs.characters_left();
                self.elevenlabs.set_characters_left(0);
                Undo::Characters(left)
            }
            Switch::WhatsappToken => {
                let graph = [Send, Read, Number, Token, PhoneNumbers, SubscribedApps, Upload, Media];
                let refused = graph.map(|route| (route, Fault::code(190)));
                // The host of downloads says 404 whatever is wrong.
                let download = (Download, Fault::status(404).with_body("Not Found"));
                rules(self.meta.script(), &[refused.as_slice(), &[download]].concat())
            }
        }
    }

    fn end(&self, undo: Undo) {
        match undo {
            Undo::Rules(script, rules) => rules.into_iter().for_each(|rule| script.remove(rule)),
            Undo::Characters(left) => self.elevenlabs.set_characters_left(left),
        }
    }
}
