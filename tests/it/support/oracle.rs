//! Was anything lost, doubled, out of order, or said that nobody asked for? Judged by what the stand-ins saw, never by
//! the product's own books.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use parlante_sandbox::{Call, Delivery, Fault, Outcome, Records, Route};

use super::{World, persona_text};

/// Characters of a text, WhatsApp's limit.
const TEXT_CHARS_MAX: usize = 4096;
/// What the echoing model puts before the words.
const ECHO: &str = "echo: ";
/// What shows that an answer was spoken.
const SPOKEN: &str = "[voice] ";

/// One message, as Meta saw it.
pub(crate) struct Message {
    pub(crate) person: String,
    /// The words that answer it.
    pub(crate) echo: String,
    pub(crate) id: String,
}

impl Message {
    /// The texts that answer it: one, or its two paragraphs if that is too long for WhatsApp.
    fn parts(&self) -> Vec<&str> {
        let long = self.echo.chars().count() > TEXT_CHARS_MAX;
        self.echo.split(if long { "\n\n" } else { "\0" }).collect()
    }

    fn words(&self) -> &str {
        let said = self.echo.strip_prefix(SPOKEN).unwrap_or(&self.echo);
        said.strip_prefix(ECHO).unwrap_or(said)
    }

    fn is_spoken(&self) -> bool {
        self.echo.starts_with(SPOKEN)
    }
}

/// What else there is to know of a run.
#[derive(Default)]
pub(crate) struct Besides<'a> {
    /// Messages of people who had ten open ones: no answer, but one notice to each of these people.
    pub(crate) refused: &'a [Message],
    /// What the model was asked: a message that it failed may get the apology.
    pub(crate) chats: &'a [Call],
}

/// What went wrong.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Acknowledged messages without their whole answer, and notices that were not given.
    pub(crate) lost: usize,
    /// Texts that a person got more than once, the surplus.
    pub(crate) doubled: usize,
    /// Pairs of one person's messages, surely accepted in this order and not answered in it; parts in the wrong order.
    pub(crate) out_of_order: usize,
    /// Texts that nobody asked for.
    pub(crate) strange: usize,
}

impl Verdict {
    pub(crate) fn add(&mut self, other: &Self) {
        self.lost += other.lost;
        self.doubled += other.doubled;
        self.out_of_order += other.out_of_order;
        self.strange += other.strange;
    }
}

/// Looks for the messages and their answers in the records of Meta's stand-in.
pub(crate) fn oracle(records: &Records, messages: &[Message]) -> Verdict {
    oracle_with(records, messages, &Besides::default())
}

pub(crate) fn oracle_with(records: &Records, messages: &[Message], besides: &Besides) -> Verdict {
    let mut people: BTreeMap<&str, Vec<(&Message, Seen)>> = BTreeMap::new();
    for message in messages {
        people.entry(&message.person).or_default().push((message, seen(records, &message.id)));
    }
    let mut verdict = Verdict::default();
    for (person, messages) in people {
        verdict.add(&judge(records, person, &messages, besides));
    }
    verdict
}

/// How often the model was asked in vain: for each message, the questions beyond the first that it was not itself to
/// blame for. The largest number for one message, and the sum.
pub(crate) fn repeats(chats: &[Call], messages: &[Message]) -> (usize, usize) {
    let paid = |message: &&Message| {
        let of_it = chats.iter().filter(|call| call.last_user.as_deref() == Some(message.words()));
        of_it.filter(|call| !failed(call)).count().saturating_sub(1)
    };
    let repeats: Vec<_> = messages.iter().map(|message| paid(&message)).collect();
    (repeats.iter().copied().max().unwrap_or_default(), repeats.iter().sum())
}

/// What was paid for in vain to hear voice notes and to answer by voice, or done in vain: the calls beyond one for each
/// message that is answered so.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct VoiceRepeats {
    pub(crate) heard: usize,
    pub(crate) spoken: usize,
    pub(crate) uploaded: usize,
}

impl VoiceRepeats {
    pub(crate) fn of(world: &World, messages: &[Message]) -> Self {
        let notes = messages.iter().filter(|message| message.is_spoken()).count();
        let beyond = |calls: usize| calls.saturating_sub(notes);
        let heard =
            |calls: &parlante_sandbox::Calls| calls.transcriptions().filter(|call| !failed(call)).count();
        let spoken = |speeches: &parlante_sandbox::Speeches| {
            speeches.speeches().filter(|speech| !is_failure(speech.fault.as_ref())).count()
        };
        let uploaded = |records: &Records| {
            let uploads = records.media().filter(|request| request.route == Some(Route::Upload));
            uploads.filter(|upload| !is_failure(upload.fault.as_ref())).count()
        };
        Self {
            heard: beyond(world.sandbox.openai.look(heard)),
            spoken: beyond(world.sandbox.elevenlabs.look(spoken)),
            uploaded: beyond(world.sandbox.meta.look(uploaded)),
        }
    }

    pub(crate) fn most(self) -> usize {
        self.heard.max(self.spoken).max(self.uploaded)
    }
}

/// By the script's will.
fn failed(call: &Call) -> bool {
    is_failure(call.fault.as_ref())
}

fn is_failure(fault: Option<&Fault>) -> bool {
    fault.is_some_and(|fault| !matches!(fault, Fault::Latency(_) | Fault::Gate(_)))
}

fn judge(records: &Records, person: &str, messages: &[(&Message, Seen)], besides: &Besides) -> Verdict {
    let texts = records.answers_to(person);
    let refused = besides.refused.iter().any(|message| message.person == person);
    let notice = refused.then(|| persona_text("overflow"));
    let (apology, disclosure) = (persona_text("apology"), persona_text("disclosure"));
    let mut places: HashMap<&str, Vec<usize>> = HashMap::new();
    for (place, text) in texts.iter().enumerate().filter(|(_, text)| **text != apology) {
        places.entry(text).or_default().push(place);
    }
    let apologies: Vec<_> = (0..texts.len()).filter(|place| texts[*place] == apology).collect();
    let parts: BTreeSet<_> = messages.iter().flat_map(|(message, _)| message.parts()).collect();
    let known = |text: &str| text == disclosure || Some(text) == notice.as_deref() || parts.contains(text);
    let excused = excused(messages, &places, besides.chats);
    // From the first to the last part of its answer.
    let answered = |message: &Message| {
        let apology = excused.iter().position(|id| *id == message.id).and_then(|nth| apologies.get(nth));
        let parts: Option<Vec<_>> =
            message.parts().iter().map(|part| places.get(part).map(|at| at[0])).collect();
        parts.or_else(|| apology.map(|place| vec![*place]))
    };
    let unanswered =
        messages.iter().filter(|(message, seen)| seen.acknowledged.is_some() && answered(message).is_none());
    let unnoticed = notice.as_deref().is_some_and(|notice| !places.contains_key(notice));
    Verdict {
        lost: unanswered.count() + usize::from(unnoticed),
        doubled: places.values().map(|places| places.len() - 1).sum::<usize>()
            + apologies.len().saturating_sub(excused.len()),
        out_of_order: swapped(messages, answered),
        strange: places.keys().filter(|text| !known(text)).count(),
    }
}

/// The ids of messages that the model failed and that have no other answer, in the order in which it was given up.
fn excused<'a>(
    messages: &[(&'a Message, Seen)],
    places: &HashMap<&str, Vec<usize>>,
    chats: &[Call],
) -> Vec<&'a str> {
    let last_failure = |message: &Message| {
        let of_it = |call: &&Call| call.last_user.as_deref() == Some(message.words()) && failed(call);
        chats.iter().filter(of_it).map(|call| call.number).max()
    };
    let silent = |message: &Message| !message.parts().iter().any(|part| places.contains_key(part));
    let mut excused: Vec<_> = messages
        .iter()
        .filter(|(message, _)| silent(message))
        .filter_map(|(message, _)| Some((last_failure(message)?, message.id.as_str())))
        .collect();
    excused.sort_unstable();
    excused.into_iter().map(|(_, id)| id).collect()
}

fn swapped(messages: &[(&Message, Seen)], answered: impl Fn(&Message) -> Option<Vec<usize>>) -> usize {
    let places: Vec<_> = messages.iter().map(|(message, seen)| (answered(message), seen)).collect();
    let within =
        places.iter().filter(|(places, _)| places.as_ref().is_some_and(|places| !places.is_sorted()));
    let mut swapped = within.count();
    for (earlier, before) in &places {
        let later = places.iter().filter(|(_, after)| precedes(before, after));
        let is_swapped = |later: &Option<Vec<usize>>| {
            later
                .as_ref()
                .zip(earlier.as_ref())
                .is_some_and(|(later, earlier)| later.first() < earlier.last())
        };
        swapped += later.filter(|(later, _)| is_swapped(later)).count();
    }
    swapped
}

/// What the stand-in saw of a message.
struct Seen {
    /// Its place among the items of its webhook.
    place: usize,
    webhook: u64,
    first_posted: u64,
    acknowledged: Option<u64>,
}

/// Surely accepted before: the same webhook has it earlier, or the other was posted only after its 200.
fn precedes(before: &Seen, after: &Seen) -> bool {
    if before.webhook == after.webhook {
        return before.place < after.place;
    }
    before.acknowledged.is_some_and(|at| at < after.first_posted)
}

fn seen(records: &Records, id: &str) -> Seen {
    let mut first: Option<Seen> = None;
    for delivery in records.deliveries_of(id).filter(|delivery| delivery.status.is_none()) {
        let (posted, acknowledged) = times(delivery);
        let place = delivery.ids.iter().position(|other| other == id).expect("it is in there");
        let seen =
            first.get_or_insert(Seen { place, webhook: delivery.number, first_posted: posted, acknowledged });
        seen.first_posted = seen.first_posted.min(posted);
        seen.acknowledged = seen.acknowledged.into_iter().chain(acknowledged).min();
    }
    first.expect("it was delivered")
}

/// When a webhook was first posted, and when it was first answered 200.
fn times(delivery: &Delivery) -> (u64, Option<u64>) {
    let posted = delivery.attempts.iter().map(|attempt| attempt.at_ms).min().unwrap_or(u64::MAX);
    let taken = delivery.attempts.iter().filter(|attempt| attempt.answer == Ok(200));
    (posted, taken.map(|attempt| attempt.at_ms + attempt.took_ms).min())
}

/// Whether a call was cut off, by a kill: neither answered nor failed by the script.
pub(crate) fn cut_off(call: &Call) -> bool {
    call.outcome == Outcome::Broken && !failed(call)
}
