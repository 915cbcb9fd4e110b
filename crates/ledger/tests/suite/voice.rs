//! Voice notes: what was heard, what is spoken, and the way back to text.

use std::time::Duration;

use parlante_domain::turn::ErrorCode;
use parlante_domain::{
    Address, Content, Inbound, Item, Kind, MediaId, Medium, MessageId, PersonId, Service, Status,
};
use parlante_ledger::{
    AUDIO_BYTES_MAX, Audio, Ending, Finished, Held, PartState, Recorded, Replay, Reply, Row, Settle, Step,
    StepOutcome, StepState, Traced, Usage, Verdict, Wake,
};

use super::items::{both, bsuid, phone, status_of, text};
use super::world::{
    DONE, HOUR, LOCKED, RECONCILE, SECOND, UNPLAYABLE, World, answered, failure, persona, postponed, refused,
    reply, sent, settled, spoken, unknown,
};

const ANNA: &str = "393200000001";
const SOUND: &[u8] = b"OggS\0 a greeting";

fn heard(words: &str) -> Settle {
    let usage = Some(Usage { prompt_tokens: 9, completion_tokens: 3 });
    settled(Step::Transcribe, StepOutcome::Heard { words: words.into(), usage })
}

fn said() -> Settle {
    settled(Step::Speak, StepOutcome::Spoken(Audio::new(SOUND.to_vec()).unwrap()))
}

fn uploaded() -> Settle {
    settled(Step::Upload, StepOutcome::Uploaded("media.1".into()))
}

fn failed(step: Step) -> Settle {
    settled(step, StepOutcome::Failed(ErrorCode::status(422)))
}

fn audio(world: &World, row: &Row) -> Option<Vec<u8>> {
    world.wait(world.ledger.audio(row.seq))
}

fn fall_back(world: &World, row: &Row) -> Recorded {
    world.wait(world.ledger.fall_back(row.seq, world.now))
}

/// A voice note of Anna's.
fn note(world: &World) -> (PersonId, Row) {
    let person = world.arrive_known(&phone(ANNA), &["before"]);
    world.serve(person);
    let written = text("v1", &phone(ANNA), world.now);
    let note = Inbound { kind: Kind::Voice, content: Content::Sound("wa.77".into()), ..written };
    world.accept(vec![Item::Message(note)]);
    (person, world.head(person))
}

/// Its answer is about to be spoken.
fn speaking(world: &World, answer: Reply) -> (PersonId, Row) {
    let (person, row) = note(world);
    world.begin(&row, Step::Transcribe);
    world.advance(row.seq, heard("ciao"), None, Some(Step::Complete));
    world.advance(row.seq, answered(), Some(answer), Some(Step::Speak));
    (person, row)
}

/// Its answer is on its way as a voice note.
fn sending(world: &World, answer: Reply) -> (PersonId, Row) {
    let (person, row) = speaking(world, answer);
    world.advance(row.seq, said(), None, Some(Step::Upload));
    world.advance(row.seq, uploaded(), None, Some(Step::Send(0)));
    (person, row)
}

fn steps(world: &World) -> Vec<(Step, StepState)> {
    let Traced::Kept(trace) = world.wait(world.ledger.trace("v1".into())) else { unreachable!() };
    trace.message.steps.iter().map(|step| (step.step, step.state)).collect()
}

fn voice_failed() -> Verdict {
    let user = Address::Phone(ANNA.into());
    Verdict::VoiceFailed { message_id: "v1".into(), user, code: ErrorCode::recorded(UNPLAYABLE) }
}

/// Nothing is left of the voice note, and the same words go as text under a new number.
fn is_text_again(world: &World, person: PersonId, parts: &[&str]) {
    let head = world.head(person);
    assert_eq!(head.reply, Some(reply(parts)));
    assert_eq!((head.has_audio, &head.media, audio(world, &head)), (false, &None, None));
    let first = u32::try_from(parts.len()).unwrap();
    assert_eq!((head.first_part, head.parts_sent, &head.next_part), (first, 0, &PartState::Fresh));
}

// ---- a turn

pub(crate) fn a_note_is_heard_answered_spoken_and_sent(world: &mut World) {
    let (person, row) = note(world);
    assert_eq!((row.kind, &row.content, &row.heard), (Kind::Voice, &Content::Sound("wa.77".into()), &None));
    world.begin(&row, Step::Transcribe);
    world.advance(row.seq, heard("ciao"), None, Some(Step::Complete));
    assert_eq!(world.head(person).heard.as_deref(), Some("ciao"));
    world.advance(row.seq, answered(), Some(spoken(&["a te"])), Some(Step::Speak));
    assert_eq!((world.head(person).has_audio, audio(world, &row)), (false, None));
    world.advance(row.seq, said(), None, Some(Step::Upload));
    assert_eq!((world.head(person).has_audio, audio(world, &row)), (true, Some(SOUND.to_vec())));
    world.advance(row.seq, uploaded(), None, Some(Step::Send(0)));
    let head = world.head(person);
    assert_eq!((head.media, head.reply), (Some(MediaId::from("media.1")), Some(spoken(&["a te"]))));
    let finished = world.finish(row.seq, Some(sent(row.seq, 0)), DONE);
    assert_eq!(
        finished,
        Finished { ending: Some(DONE), repeated: false, told: false, remaining: 0, attempts: 5 }
    );
    assert_eq!(world.history(person), [">before", "<re: before", ">ciao", "<a te"]);
    assert_eq!(audio(world, &row), None, "nobody needs it any more");
    let order = [Step::Transcribe, Step::Complete, Step::Speak, Step::Upload, Step::Send(0)];
    assert_eq!(steps(world), order.map(|step| (step, StepState::Done)));
    let Traced::Kept(trace) = world.wait(world.ledger.trace("v1".into())) else { unreachable!() };
    let usage = Usage { prompt_tokens: 9, completion_tokens: 3 };
    assert_eq!(trace.message.steps[0].usage, Some(usage), "hearing is paid for, too");
}

pub(crate) fn a_silent_note_is_heard_as_nothing(world: &mut World) {
    let (person, row) = note(world);
    world.begin(&row, Step::Transcribe);
    world.advance(row.seq, heard(""), Some(persona("I heard nothing")), Some(Step::Send(0)));
    assert_eq!(world.head(person).heard.as_deref(), Some(""));
    world.finish(row.seq, Some(sent(row.seq, 0)), DONE);
    assert_eq!(world.history(person), [">before", "<re: before"], "silence is not a line");
}

pub(crate) fn what_is_settled_is_never_paid_for_again(world: &mut World) {
    let (person, row) = note(world);
    let turn = [
        (Step::Transcribe, heard("ciao"), None),
        (Step::Complete, answered(), Some(spoken(&["a te"]))),
        (Step::Speak, said(), None),
        (Step::Upload, uploaded(), None),
    ];
    for (step, result, brought) in turn {
        // The process dies over the step, and once more when it is settled.
        world.begin(&world.head(person), step);
        assert_eq!(world.crash().reconciled, 1);
        assert_eq!(steps(world).last(), Some(&(step, StepState::Postponed)), "it may be made again, at once");
        world.begin(&world.head(person), step);
        world.advance(row.seq, result, brought, None);
        assert_eq!(world.crash().reconciled, 0);
    }
    let head = world.head(person);
    assert_eq!((head.heard.as_deref(), head.reply), (Some("ciao"), Some(spoken(&["a te"]))));
    assert_eq!((head.media, audio(world, &row)), (Some("media.1".into()), Some(SOUND.to_vec())));
}

pub(crate) fn a_voice_that_is_closed_is_waited_for(world: &mut World) {
    let (person, row) = speaking(world, spoken(&["a te"]));
    let closed = settled(Step::Speak, StepOutcome::Postponed(ErrorCode::CIRCUIT_OPEN));
    assert_eq!(world.hold_for(row.seq, Service::ElevenLabs, Some(closed)), Held::Waiting);
    assert_eq!(world.release(Service::ElevenLabs, 1), [Wake { person, seq: row.seq }]);
    assert_eq!((world.head(person).speak_failed, world.head(person).holds), (None, 0));
}

pub(crate) fn an_upload_that_is_not_taken_counts_as_a_hold(world: &mut World) {
    let (person, row) = speaking(world, spoken(&["a te"]));
    world.advance(row.seq, said(), None, Some(Step::Upload));
    let later = settled(Step::Upload, StepOutcome::Postponed(ErrorCode::status(503)));
    world.hold(row.seq, SECOND, Some(later));
    world.later(SECOND);
    assert_eq!(world.head(person).holds, 1);
    world.begin(&row, Step::Upload);
    world.advance(row.seq, uploaded(), None, Some(Step::Send(0)));
    assert_eq!(world.head(person).holds, 0);
}

pub(crate) fn an_answer_too_long_to_be_a_note_is_refused(_: &mut World) {
    assert_eq!(Audio::new(vec![0; AUDIO_BYTES_MAX]).unwrap().bytes().len(), AUDIO_BYTES_MAX);
    let refusal = Audio::new(vec![0; AUDIO_BYTES_MAX + 1]).unwrap_err();
    assert_eq!(refusal.bytes, AUDIO_BYTES_MAX + 1);
}

// ---- back to text

pub(crate) fn a_reply_that_cannot_be_spoken_goes_as_text(world: &mut World) {
    for step in [Step::Speak, Step::Upload] {
        let (person, row) = speaking(world, spoken(&["a te"]));
        if step == Step::Upload {
            world.advance(row.seq, said(), None, Some(step));
        }
        world.advance(row.seq, failed(step), None, None);
        world.crash();
        assert_eq!(
            world.head(person).speak_failed,
            Some(ErrorCode::status(422)),
            "whoever takes it up knows"
        );
        assert_eq!(fall_back(world, &row), Recorded::Yes);
        is_text_again(world, person, &["a te"]);
        assert_eq!(fall_back(world, &row), Recorded::Yes, "it is text already");
        is_text_again(world, person, &["a te"]);
        world.begin(&world.head(person), Step::Send(1));
        assert_eq!(world.finish(row.seq, Some(sent(row.seq, 1)), DONE).ending, Some(DONE));
        assert_eq!(fall_back(world, &row), Recorded::No);
        world.wait(world.ledger.forget(ANNA));
        world.later(200 * 24 * HOUR);
    }
}

pub(crate) fn a_note_that_was_refused_goes_as_text(world: &mut World) {
    let (person, row) = sending(world, spoken(&["a te"]));
    assert_eq!(fall_back(world, &row), Recorded::Yes);
    world.advance(row.seq, refused(0, UNPLAYABLE), None, None);
    world.hold(row.seq, Duration::ZERO, None);
    is_text_again(world, person, &["a te"]);
    assert_eq!(world.tell(row.seq, 0, Err(UNPLAYABLE)).verdicts, [Verdict::Unmatched]);
    world.begin(&world.head(person), Step::Send(1));
    assert_eq!(
        world.finish(row.seq, Some(sent(row.seq, 1)), DONE).ending,
        Some(DONE),
        "the note does not count"
    );
}

pub(crate) fn a_note_that_cannot_be_delivered_goes_as_text_once(world: &mut World) {
    let (person, row) = sending(world, spoken(&["a te"]));
    world.finish(row.seq, Some(sent(row.seq, 0)), DONE);
    let told = world.tell(row.seq, 0, Err(UNPLAYABLE));
    assert_eq!((told.verdicts, told.wakes), (vec![voice_failed()], vec![Wake { person, seq: row.seq }]));
    is_text_again(world, person, &["a te"]);
    for outcome in [Err(UNPLAYABLE), Ok(Status::Sent), Err(LOCKED)] {
        assert_eq!(world.tell(row.seq, 0, outcome).wakes, [], "told again, or late");
    }
    world.crash();
    is_text_again(world, person, &["a te"]);
    world.begin(&world.head(person), Step::Send(1));
    let finished = world.finish(row.seq, Some(sent(row.seq, 1)), DONE);
    assert_eq!((finished.ending, finished.told), (Some(DONE), true));
    assert_eq!(world.history(person), [">before", "<re: before", ">ciao", "<a te"], "said once");
    let told = world.tell(row.seq, 1, Err(UNPLAYABLE)).verdicts.remove(0);
    assert!(matches!(told, Verdict::Undone(_)), "a text has no other form: {told:?}");
}

pub(crate) fn a_note_may_fail_before_our_own_result(world: &mut World) {
    let (person, row) = sending(world, spoken(&["a te"]));
    let told = world.tell(row.seq, 0, Err(UNPLAYABLE));
    assert_eq!((told.verdicts, told.wakes), (vec![voice_failed()], vec![]), "the row is in progress");
    let finished = world.finish(row.seq, Some(sent(row.seq, 0)), DONE);
    assert_eq!((finished.ending, finished.told, finished.remaining), (None, false, 1));
    is_text_again(world, person, &["a te"]);
}

pub(crate) fn a_note_that_is_held_goes_on_as_text(world: &mut World) {
    for late in [unknown(0), postponed(0)] {
        let (person, row) = sending(world, spoken(&["a te"]));
        world.hold(row.seq, HOUR, late);
        let told = world.tell(row.seq, 0, Err(UNPLAYABLE));
        assert_eq!((told.verdicts, told.wakes), (vec![voice_failed()], vec![Wake { person, seq: row.seq }]));
        is_text_again(world, person, &["a te"]);
        world.wait(world.ledger.forget(ANNA));
        world.later(200 * 24 * HOUR);
    }
}

pub(crate) fn a_part_of_the_former_reply_is_not_sent_any_more(world: &mut World) {
    let (person, row) = sending(world, spoken(&["a", "te"]));
    world.tell(row.seq, 0, Err(UNPLAYABLE));
    let next = world.try_advance(row.seq, sent(row.seq, 0), None, Some(Step::Send(1)));
    assert_eq!(next, Recorded::No);
    assert_eq!(world.try_begin(&row, Step::Send(1)), Recorded::No);
    is_text_again(world, person, &["a", "te"]);
    assert_eq!(steps(world).last(), Some(&(Step::Send(0), StepState::Failed)), "and no intent is left of it");
    world.begin(&world.head(person), Step::Send(2));
    world.advance(row.seq, sent(row.seq, 2), None, Some(Step::Send(3)));
    assert_eq!(world.finish(row.seq, Some(sent(row.seq, 3)), DONE).ending, Some(DONE));
}

pub(crate) fn only_the_note_itself_falls_back(world: &mut World) {
    let (person, row) = sending(world, spoken(&["a", "te"]));
    world.advance(row.seq, sent(row.seq, 0), None, Some(Step::Send(1)));
    world.tell(row.seq, 0, Ok(Status::Delivered));
    assert_eq!(world.tell(row.seq, 0, Err(UNPLAYABLE)).verdicts, [Verdict::Unmatched], "it is on the phone");
    assert_eq!(world.tell(row.seq, 1, Err(UNPLAYABLE)).verdicts, [Verdict::Settled]);
    assert_eq!(world.head(person).next_part, PartState::Failed(ErrorCode::recorded(UNPLAYABLE)));
}

pub(crate) fn a_note_goes_once_more_when_its_channel_was_at_fault(world: &mut World) {
    let (person, row) = sending(world, spoken(&["a te"]));
    world.finish(row.seq, Some(sent(row.seq, 0)), DONE);
    world.tell(row.seq, 0, Err(LOCKED));
    let head = world.head(person);
    assert_eq!(
        (head.reply, head.media),
        (Some(spoken(&["a te"])), Some("media.1".into())),
        "nothing is spoken twice"
    );
    world.begin(&row, Step::Send(0));
    let again = MessageId::from("wamid.again");
    let accepted = settled(Step::Send(0), StepOutcome::Accepted(again.clone()));
    world.finish(row.seq, Some(accepted), DONE);
    let told = world.accept(vec![status_of(world.tag(row.seq, 0), again, Err(UNPLAYABLE))]);
    assert_eq!(told.verdicts, [voice_failed()]);
    is_text_again(world, person, &["a te"]);
}

// ---- replay, retention

pub(crate) fn a_replay_keeps_what_was_heard_and_spoken(world: &mut World) {
    let (person, row) = sending(world, spoken(&["a te"]));
    world.finish(row.seq, Some(refused(0, "131026")), Ending::Dead(ErrorCode::recorded("131026")));
    assert_eq!(audio(world, &row), Some(SOUND.to_vec()));
    world.wait(world.ledger.replay(Replay::One("v1".into()), world.now));
    let head = world.head(person);
    assert_eq!((head.heard.as_deref(), head.reply), (Some("ciao"), Some(spoken(&["a te"]))));
    assert_eq!((head.media, head.has_audio), (Some("media.1".into()), true));
}

pub(crate) fn a_replay_tries_again_what_could_not_be_spoken(world: &mut World) {
    let (person, row) = speaking(world, spoken(&["a te"]));
    let code = ErrorCode::status(422);
    world.finish(row.seq, Some(failed(Step::Speak)), Ending::Dead(code.clone()));
    world.wait(world.ledger.replay(Replay::One("v1".into()), world.now));
    assert_eq!(world.head(person).speak_failed, None);
    world.begin(&world.head(person), Step::Speak);
    world.advance(row.seq, said(), None, Some(Step::Upload));
    assert!(world.head(person).has_audio);
}

pub(crate) fn a_replay_after_an_apology_speaks_anew(world: &mut World) {
    let (person, row) = speaking(world, spoken(&["a te"]));
    world.advance(row.seq, said(), None, Some(Step::Upload));
    world.advance(row.seq, uploaded(), None, None);
    let apology = Reply { failed: Some(failure(ErrorCode::PANIC)), ..persona("sorry") };
    world.begin_saying(&row, apology);
    world.finish(row.seq, Some(sent(row.seq, 0)), Ending::Dead(ErrorCode::PANIC));
    world.wait(world.ledger.replay(Replay::One("v1".into()), world.now));
    let head = world.head(person);
    assert_eq!((head.heard.as_deref(), &head.reply), (Some("ciao"), &None), "heard once, asked again");
    assert_eq!((head.has_audio, head.media), (false, None), "that was another answer");
    world.begin(&row, Step::Complete);
    world.advance(row.seq, answered(), Some(spoken(&["di nuovo"])), Some(Step::Speak));
    world.advance(row.seq, said(), None, Some(Step::Upload));
    assert!(world.head(person).has_audio);
}

pub(crate) fn an_unknown_note_is_reconciled_like_any_send(world: &mut World) {
    let (person, row) = sending(world, spoken(&["a te"]));
    assert_eq!(world.crash().reconciled, 1);
    assert_eq!(world.next(person), None, "its status may still come");
    world.later(RECONCILE);
    let head = world.head(person);
    assert_eq!((head.seq, head.next_part, head.media), (row.seq, PartState::Unknown, Some("media.1".into())));
}

// ---- wishes

pub(crate) fn a_wish_stays_until_the_next(world: &mut World) {
    let person = world.arrive_known(&phone(ANNA), &["m1"]);
    assert_eq!(world.head(person).wish, None);
    for wish in [Medium::Voice, Medium::Text] {
        world.wait(world.ledger.prefer(person, wish));
        world.crash();
        assert_eq!(world.head(person).wish, Some(wish));
    }
    world.wait(world.ledger.prefer(PersonId(404), Medium::Voice));
}

pub(crate) fn the_newer_of_two_wishes_is_kept(world: &mut World) {
    for (n, newer) in [(0, 0), (1, 1)] {
        let (number, id) = (format!("39320000003{n}"), format!("IT.{n}"));
        let people = [
            world.arrive_known(&phone(&number), &[&format!("p{n}")]),
            world.arrive_known(&bsuid(&id), &[&format!("b{n}")]),
        ];
        world.wait(world.ledger.prefer(people[1 - newer], Medium::Text));
        world.wait(world.ledger.prefer(people[newer], Medium::Voice));
        world.arrive(&both(&number, &id), &[&format!("x{n}")]);
        assert_eq!(world.head(people[0]).wish, Some(Medium::Voice));
        world.wait(world.ledger.prefer(people[1], Medium::Text));
        assert_eq!(world.head(people[0]).wish, Some(Medium::Text), "they are one person");
    }
}

pub(crate) fn a_forgotten_person_wishes_for_nothing(world: &mut World) {
    let (person, row) = speaking(world, spoken(&["a te"]));
    world.advance(row.seq, said(), None, None);
    world.wait(world.ledger.prefer(person, Medium::Voice));
    assert!(world.wait(world.ledger.forget(ANNA)).scrubbed);
    assert_eq!((audio(world, &row), fall_back(world, &row)), (None, Recorded::No));
    world.wait(world.ledger.prefer(person, Medium::Voice));
    let again = world.arrive_known(&phone(ANNA), &["m2"]);
    assert_eq!(world.head(again).wish, None);
}
