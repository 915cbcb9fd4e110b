//! People who write as long as they are answered, at seeded random.

use std::time::Duration;

use parlante_sandbox::{Inbound, PATIENCE, Records, Sandbox};

use super::oracle::Message;
use super::{a_phone, persona_text};

/// Open messages of one person at most: well below ten, where they would be refused.
const OPEN_MAX: usize = 7;
/// Sends after which people write again.
const WAVE: usize = 4;

/// SplitMix64 (Steele, Lea and Flood, 2014): the same seed gives the same run, as far as threads allow.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn of(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// People who write as long as they are answered.
pub(crate) struct Load {
    people: Vec<String>,
    pub(crate) messages: Vec<Message>,
    pub(crate) dice: Dice,
    /// Messages that may still be written.
    pub(crate) allowance: usize,
}

impl Load {
    pub(crate) fn new(people: usize, seed: u64) -> Self {
        let people = (0..people).map(|_| a_phone()).collect();
        Self { people, messages: Vec::new(), dice: Dice::of(seed), allowance: usize::MAX }
    }

    /// Everybody who has few open messages writes one to three more: one webhook each or one for all, some of it
    /// delivered twice at once.
    fn write(&mut self, sandbox: &Sandbox) {
        let (mut batch, apology) = (Vec::new(), persona_text("apology"));
        for person in self.people.clone() {
            let texts = sandbox.meta.answers_to(&person);
            let of_them = self.messages.iter().filter(|message| message.person == person);
            let written = of_them.clone().count();
            let open = of_them.filter(|message| !texts.contains(&message.echo)).count();
            let apologies = texts.iter().filter(|text| **text == apology).count();
            let room = OPEN_MAX.saturating_sub(open.saturating_sub(apologies));
            let more = room.min(1 + usize::try_from(self.dice.below(3)).expect("small"));
            batch.extend((0..more).map(|at| (person.clone(), format!("{person} wrote {}", written + at))));
        }
        batch.truncate(self.allowance);
        self.allowance -= batch.len();
        if batch.is_empty() {
            return;
        }
        let inbound = |(person, words): &(String, String)| Inbound::text(person, words);
        let ids = match self.dice.below(4) {
            0 => batch.iter().map(|one| sandbox.meta.deliver_times(inbound(one), 2)).collect(),
            1 => batch.iter().map(|one| sandbox.meta.deliver(inbound(one))).collect(),
            _ => sandbox.meta.deliver_batch(batch.iter().map(inbound).collect()),
        };
        let message = |((person, words), id)| Message { person, echo: format!("echo: {words}"), id };
        self.messages.extend(batch.into_iter().zip(ids).map(message));
    }

    /// Keeps writing, wave after wave, until the server has sent something and `life` has passed since then.
    pub(crate) async fn write_for(&mut self, life: Duration, sandbox: &Sandbox) {
        let sends = || sandbox.meta.look(|records| records.sends().count());
        let beyond = |count| move |records: &Records| (records.sends().count() > count).then_some(());
        let before = sends();
        self.write(sandbox);
        sandbox.meta.wait(beyond(before), PATIENCE).await.expect("the server works");
        let waves = async {
            loop {
                self.write(sandbox);
                let _ = sandbox.meta.wait(beyond(sends() + WAVE), PATIENCE).await;
            }
        };
        let _ = tokio::time::timeout(life, waves).await;
    }

    /// Waits until every message has its answer.
    pub(crate) async fn drained(&self, sandbox: &Sandbox) {
        sandbox.meta.wait_settled().await.expect("every webhook is acknowledged");
        let answered = |records: &Records| {
            let texts: Vec<_> = self.people.iter().map(|person| records.answers_to(person)).collect();
            self.messages
                .iter()
                .all(|message| texts.iter().flatten().any(|text| *text == message.echo))
                .then_some(())
        };
        // Whoever is not answered by then is counted as lost.
        let _ = sandbox.meta.wait(answered, 2 * PATIENCE).await;
    }
}
