//! A ledger with a past: messages that were answered, and people whose messages wait for better times.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use parlante::real::SystemClock;
use parlante_domain::ports::NoFaults;
use parlante_domain::{Clock, Content, CustomerReply, Inbound, Item, Kind, Millis, Sender};
use parlante_ledger::{
    Accept, Advance, Begin, Ending, Finish, Hold, Intent, Ledger, LedgerError, Reply, Settle, Sqlite, Step,
    StepOutcome, Usage, Wake,
};

use crate::providers::words;
use crate::rules::rules;

/// Messages that were answered.
pub(crate) const ANSWERED: usize = 50_000;
/// People who wrote them, in turn.
pub(crate) const PEOPLE: usize = 10_000;
/// Of these, who wait: ten times what `/stats` lists.
pub(crate) const WAITING: usize = 1000;
/// Messages of each that wait.
pub(crate) const WAITING_EACH: usize = 5;
/// Longer than any run: nobody takes these up.
const HELD: Duration = Duration::from_secs(3600);
/// Items of one webhook here, as many as one transaction takes; each from another person.
const WEBHOOK: usize = 1000;
/// Turns under way at once: enough that a commit is shared by many.
const TURNS: usize = 256;

/// Writes it all through the ledger's own contract.
///
/// # Errors
/// If it does not hold in the end what it should.
pub(crate) async fn fill(file: &Path) -> Result<(), Box<dyn Error>> {
    let (ledger, now) = (Sqlite::open(file, Arc::new(NoFaults))?, SystemClock.now());
    for first in (0..ANSWERED).step_by(WEBHOOK) {
        let wakes = accept(&ledger, first, now).await?;
        stream::iter(wakes)
            .map(|wake| answer(&ledger, wake, now))
            .buffer_unordered(TURNS)
            .try_collect::<Vec<_>>()
            .await?;
    }
    for round in 0..WAITING_EACH {
        let wakes = accept(&ledger, ANSWERED + round * PEOPLE, now).await?;
        for Wake { seq, .. } in wakes.into_iter().filter(|_| round == 0) {
            ledger.hold(Hold { seq, now, until: now + HELD, waits_for: None, settle: None }).await?;
        }
    }
    let counts = ledger.counts(0).await?;
    ledger.close().await?;
    let (ids, people) = (ANSWERED + WAITING * WAITING_EACH, WAITING);
    if (counts.ids, counts.people) == (ids as u64, people as u64) {
        Ok(())
    } else {
        Err(format!("of {ids} ids and {people} people it holds {} and {}", counts.ids, counts.people).into())
    }
}

/// One message of each of as many people.
async fn accept(ledger: &Sqlite, first: usize, now: Millis) -> Result<Vec<Wake>, LedgerError> {
    let items = (first..first + WEBHOOK)
        .map(|number| {
            // Not among those who write during the run.
            let phone = format!("39344{:07}", number % PEOPLE);
            Item::Message(Inbound {
                // In no order that an index could profit from, as Meta's.
                id: format!("wamid.HBgMMzk0{:016X}AA==", number.wrapping_mul(0x9e37_79b9_7f4a_7c15)).into(),
                number: "106550000".into(),
                sender: Sender { phone: Some(phone.as_str().into()), ..Sender::default() },
                sent_at: now,
                kind: Kind::Text,
                content: Content::Words(words(number)),
            })
        })
        .collect();
    Ok(ledger.accept(Accept { items, now, rules: rules() }).await?.wakes)
}

/// A turn as the conversation records it. A disclosure gets the same, which is more than it needs.
async fn answer(ledger: &Sqlite, Wake { person, seq }: Wake, now: Millis) -> Result<(), LedgerError> {
    let intent = |step| Some(Intent { step, deadline: now });
    let settle = |step, outcome| Settle { step, attempts: 1, outcome };
    let said = words(0);
    let reply = Reply {
        reply: CustomerReply::recorded(vec![said.clone()]),
        words: Some(said),
        is_voice: false,
        failed: None,
    };
    let asked = StepOutcome::Answered(Usage { prompt_tokens: 400, completion_tokens: 40 });
    let sent = StepOutcome::Accepted(format!("wamid.HBgMMzk0{seq:0>16}AA==").into());
    ledger.begin(Begin { seq, person, now, reply: None, intent: intent(Step::Complete) }).await?;
    let settled = settle(Step::Complete, asked);
    let advance = Advance { seq, now, settle: settled, reply: Some(reply), intent: intent(Step::Send(0)) };
    ledger.advance(advance).await?;
    let settled = Some(settle(Step::Send(0), sent));
    ledger.finish(Finish { seq, now, settle: settled, ending: Ending::Done { failed: None } }).await?;
    Ok(())
}
