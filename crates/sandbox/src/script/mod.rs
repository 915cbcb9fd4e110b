//! The script of a stand-in: which of the coming requests go wrong, and how.
//!
//! Written by tests through [`Script`], or over HTTP by `POST /__script`. A request meets at most one rule: the
//! oldest that matches, first among those for the next requests, then the shares, then those for all.

mod fault;
mod order;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use actix_rt::time::sleep;
use serde::Deserialize;

pub use fault::{AudioFault, Fault, Refusal};
pub(crate) use order::obey;

use crate::shared::Shared;

/// The kinds of request that a rule can aim at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Route {
    /// Meta: a message to a person.
    Send,
    /// Meta: a read receipt, with or without typing indicator.
    Read,
    /// Meta: the business number's own record.
    Number,
    /// Meta: what is known of the token.
    Token,
    /// Meta: the numbers of the account.
    PhoneNumbers,
    /// Meta: the apps that get the account's webhooks.
    SubscribedApps,
    /// Meta: a file is uploaded, to be sent later.
    Upload,
    /// Meta: where a file is, or its deletion.
    Media,
    /// Meta: a file's bytes.
    Download,
    /// OpenAI: a chat completion.
    Chat,
    /// OpenAI: speech turned into text.
    Transcribe,
    /// OpenAI and ElevenLabs: the models.
    Models,
    /// ElevenLabs: text turned into speech, whole or streamed.
    Speak,
    /// ElevenLabs: all voices, or one.
    Voices,
    /// ElevenLabs: what the account has used and may use.
    Subscription,
}

/// For which of the matching requests a rule holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum When {
    /// The next so many.
    Next(usize),
    /// This part of them (0 to 1), drawn from a generator with this seed, so that a run can be repeated.
    Share(f64, u64),
    /// All.
    Always,
}

/// One line of a script.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// The kind of request.
    pub route: Route,
    /// Only requests whose body contains this text: a phone number, a word of the message.
    pub containing: Option<String>,
    /// For which of them.
    pub when: When,
    /// What goes wrong.
    pub fault: Fault,
}

/// Names a rule, to take it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleId(u64);

/// The script of one stand-in. Cheap to clone; every clone writes the same script.
#[derive(Clone, Debug)]
pub struct Script {
    state: Shared<State>,
}

#[derive(Debug, Default)]
struct State {
    rules: Vec<(RuleId, Rule)>,
    written: u64,
    gates: BTreeMap<String, Gate>,
}

#[derive(Debug, Default)]
struct Gate {
    open: bool,
    standing: usize,
}

impl Script {
    pub(crate) fn new() -> Self {
        Self { state: Shared::new(State::default()) }
    }

    /// The next `count` requests on `route` meet `fault`.
    pub fn next(&self, route: Route, count: usize, fault: Fault) -> RuleId {
        self.add(Rule { route, containing: None, when: When::Next(count), fault })
    }

    /// A `share` (0 to 1) of the requests on `route` meets `fault`; the same seed draws the same requests.
    pub fn share(&self, route: Route, share: f64, seed: u64, fault: Fault) -> RuleId {
        self.add(Rule { route, containing: None, when: When::Share(share, seed), fault })
    }

    /// Every request on `route` meets `fault`.
    pub fn always(&self, route: Route, fault: Fault) -> RuleId {
        self.add(Rule { route, containing: None, when: When::Always, fault })
    }

    /// The next `count` requests on `route` whose body contains `containing` meet `fault`.
    pub fn aim(&self, containing: impl Into<String>, route: Route, count: usize, fault: Fault) -> RuleId {
        self.add(Rule { route, containing: Some(containing.into()), when: When::Next(count), fault })
    }

    /// Adds any rule.
    pub fn add(&self, rule: Rule) -> RuleId {
        self.state.change(|state| {
            state.written += 1;
            let id = RuleId(state.written);
            state.rules.push((id, rule));
            id
        })
    }

    /// Takes one rule back.
    pub fn remove(&self, id: RuleId) {
        self.state.change(|state| state.rules.retain(|(other, _)| *other != id));
    }

    /// Takes all rules back and opens all gates. What already hangs stays so.
    pub fn clear(&self) {
        self.state.change(|state| {
            state.rules.clear();
            state.gates.values_mut().for_each(|gate| gate.open = true);
        });
    }

    /// Opens a gate: whoever stands there goes on, and whoever comes later goes through.
    pub fn open(&self, gate: &str) {
        self.state.change(|state| state.gates.entry(gate.into()).or_default().open = true);
    }

    /// Closes a gate again, for whoever comes from now on.
    pub fn shut(&self, gate: &str) {
        self.state.change(|state| state.gates.entry(gate.into()).or_default().open = false);
    }

    /// How many requests stand at a gate.
    pub fn standing_at(&self, gate: &str) -> usize {
        self.state.read(|state| state.standing_at(gate))
    }

    /// Waits until at least `count` requests stand at a gate.
    ///
    /// # Errors
    /// After `timeout`, with the number that stood there.
    pub async fn wait_at_gate(&self, gate: &str, count: usize, timeout: Duration) -> Result<(), String> {
        let enough = |state: &State| (state.standing_at(gate) >= count).then_some(());
        let seen = |state: &State| format!("{} of {count} stand at gate {gate:?}", state.standing_at(gate));
        self.state.wait(enough, timeout, seen).await
    }

    /// Finds the rule that a request meets and sits out its latency or gate. What comes back is what is left to do.
    pub(crate) async fn meet(&self, route: Route, body: &str) -> Option<Fault> {
        let fault = self.state.change(|state| state.draw(route, body))?;
        match &fault {
            Fault::Latency(wait) => sleep(*wait).await,
            Fault::Gate(name) => self.pass(name).await,
            _ => {}
        }
        Some(fault)
    }

    async fn pass(&self, name: &str) {
        let _standing = Standing::at(&self.state, name);
        let opened = |state: &State| state.gates.get(name).is_some_and(|gate| gate.open).then_some(());
        // A gate is there for a test to open; a day outlasts any test.
        let _ = self.state.wait(opened, Duration::from_secs(86_400), |_| String::new()).await;
    }
}

/// A request at a gate; it leaves by going through, or because its client has hung up.
struct Standing<'a> {
    state: &'a Shared<State>,
    gate: &'a str,
}

impl<'a> Standing<'a> {
    fn at(state: &'a Shared<State>, gate: &'a str) -> Self {
        state.change(|state| state.gates.entry(gate.into()).or_default().standing += 1);
        Self { state, gate }
    }
}

impl Drop for Standing<'_> {
    fn drop(&mut self) {
        self.state.change(|state| state.gates.entry(self.gate.into()).or_default().standing -= 1);
    }
}

impl State {
    fn standing_at(&self, gate: &str) -> usize {
        self.gates.get(gate).map_or(0, |gate| gate.standing)
    }

    fn draw(&mut self, route: Route, body: &str) -> Option<Fault> {
        let aims = |rule: &Rule| {
            rule.route == route && rule.containing.as_ref().is_none_or(|text| body.contains(text.as_str()))
        };
        for rank in 0..3 {
            for (_, rule) in self.rules.iter_mut().filter(|(_, rule)| rule.when.rank() == rank && aims(rule))
            {
                if rule.when.strikes() {
                    return Some(rule.fault.clone());
                }
            }
        }
        None
    }
}

impl When {
    fn rank(self) -> u8 {
        match self {
            Self::Next(_) => 0,
            Self::Share(..) => 1,
            Self::Always => 2,
        }
    }

    /// Whether the rule holds for the request at hand; moves on to the next request.
    fn strikes(&mut self) -> bool {
        match self {
            Self::Next(0) => false,
            Self::Next(left) => {
                *left -= 1;
                true
            }
            Self::Share(share, state) => draw_unit(state) < *share,
            Self::Always => true,
        }
    }
}

/// The next number in [0, 1) of the SplitMix64 generator (Steele, Lea and Flood, 2014).
pub(crate) fn draw_unit(state: &mut u64) -> f64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    // 53 bits are what an f64 holds exactly.
    (mixed >> 11) as f64 / (1_u64 << 53) as f64
}
