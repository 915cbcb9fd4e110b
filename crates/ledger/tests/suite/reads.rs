//! History, numbers, and the end of the engine.

use parlante_domain::policy::{Line, Speaker};
use parlante_domain::turn::ErrorCode;
use parlante_domain::{Address, Content, Inbound, Item, Kind, Medium, PersonId, Seq, Service};
use parlante_ledger::{
    Accept, Advance, Answer, Begin, Counts, Ending, Finish, Hold, LedgerError, Queue, Recover, Replay, Reply,
    Step, StepOutcome, Verdict, Which,
};

use super::items::{phone, text};
use super::world::{DONE, World, answered, failure, persona, reply, sent, settled};

const ANNA: &str = "393200000001";
const BRUNO: &str = "393200000002";

/// A line in a word: `>` the person, `<` the persona.
pub(crate) fn shown(line: &Line) -> String {
    let mark = if line.speaker == Speaker::Person { '>' } else { '<' };
    format!("{mark}{}", line.words)
}

pub(crate) fn the_history_is_cut_at_the_newest_lines(world: &mut World) {
    let person = world.arrive_known(&phone(ANNA), &["m1", "m2", "m3"]);
    world.serve_all(person);
    let newest = |limit| -> Vec<String> {
        world.wait(world.ledger.history(person, limit)).iter().map(shown).collect()
    };
    assert_eq!(newest(100), [">m1", "<re: m1", ">m2", "<re: m2", ">m3", "<re: m3"]);
    assert_eq!(newest(3), ["<re: m2", ">m3", "<re: m3"]);
    assert_eq!(newest(0), Vec::<String>::new());
    assert_eq!(world.history(PersonId(404)), Vec::<String>::new());
}

pub(crate) fn only_words_become_history(world: &mut World) {
    let anna = phone(ANNA);
    let person = world.arrive_known(&anna, &["m1"]);
    let code = ErrorCode::status(500);
    let row = world.head(person);
    world.begin(&row, Step::Complete);
    let gone = settled(Step::Complete, StepOutcome::Failed(ErrorCode::status(500)));
    let apology = Reply { failed: Some(failure(code.clone())), ..persona("sorry") };
    world.advance(row.seq, gone, Some(apology.clone()), Some(Step::Send(0)));
    assert_eq!(world.head(person).reply, Some(apology));
    world.finish(row.seq, Some(sent(row.seq, 0)), Ending::Done { failed: Some(code) });
    assert_eq!(world.history(person), [">m1"], "an apology is not what the model said");

    let sticker = Inbound { kind: Kind::Sticker, content: Content::Unclear, ..text("s1", &anna, world.now) };
    let note =
        Inbound { kind: Kind::Voice, content: Content::Sound("1234".into()), ..text("v1", &anna, world.now) };
    world.accept(vec![Item::Message(sticker), Item::Message(note)]);
    for (kind, content) in [(Kind::Sticker, Content::Unclear), (Kind::Voice, Content::Sound("1234".into()))] {
        let row = world.head(person);
        assert_eq!((row.kind, &row.content), (kind, &content));
        world.begin_saying(&row, persona("please write"));
        world.finish(row.seq, Some(sent(row.seq, 0)), DONE);
    }
    assert_eq!(world.history(person), [">m1"]);
}

pub(crate) fn counts_are_what_is_there_now(world: &mut World) {
    let anna = phone(ANNA);
    world.rules.backlog = 2;
    let person = world.arrive_known(&anna, &["a1", "a2"]);
    world.write(&anna, &["a3"]);
    world.arrive(&phone(BRUNO), &["b1"]);
    let numbers = || {
        let counts = world.counts();
        (counts.ids, counts.people, counts.dead, counts.refused)
    };
    assert_eq!(numbers(), (4, 2, 0, 1));
    world.serve(person);
    let row = world.send_first_part(person, reply(&["a"]));
    world.finish(row.seq, None, Ending::Dead(ErrorCode::UNCERTAIN));
    assert_eq!(numbers(), (4, 2, 1, 1), "a dead message is open no longer");
    world.serve(person);
    assert_eq!(numbers(), (4, 1, 1, 1));
}

pub(crate) fn queues_are_listed_longest_first(world: &mut World) {
    world.arrive(&phone(ANNA), &["a1"]);
    let person = world.arrive_known(&phone(BRUNO), &["b1", "b2", "b3"]);
    world.arrive(&phone("393200000003"), &["c1"]);
    world.begin(&world.head(person), Step::Complete);
    let queue = |number: &str, waiting, processing| Queue {
        user: Address::Phone(number.into()),
        waiting,
        processing,
    };
    let expected = [queue(BRUNO, 2, true), queue(ANNA, 1, false), queue("393200000003", 1, false)];
    assert_eq!(world.counts().queues, expected);
    let some = |most| world.wait(world.ledger.counts(most));
    assert_eq!(some(2).queues, expected[..2]);
    assert_eq!(some(0), Counts { queues: vec![], ..world.counts() }, "all the rest is told all the same");
    world.serve_all(person);
    assert_eq!(world.counts().queues, expected[1..]);
}

pub(crate) fn closing_writes_what_was_queued(world: &mut World) {
    let anna = phone(ANNA);
    let item = |id: &str| world.text(&anna, id);
    let ids: Vec<String> = (1..=5).map(|n| format!("m{n}")).collect();
    let queued: Vec<_> = ids
        .iter()
        .map(|id| {
            let accept = Accept { items: vec![item(id)], now: world.now, rules: world.rules };
            world.ledger.accept(accept)
        })
        .collect();
    world.wait(world.ledger.close());
    for answer in queued {
        assert!(matches!(world.wait(answer).verdicts[..], [Verdict::Accepted { .. }]));
    }
    world.restart();
    for id in &ids {
        assert_eq!(world.verdict(&anna, id), Verdict::Duplicate);
    }
}

pub(crate) fn a_closed_ledger_answers_closed(world: &mut World) {
    let person = world.arrive(&phone(ANNA), &["m1"]);
    world.wait(world.ledger.close());
    let (now, seq, ledger) = (world.now, Seq(1), &world.ledger);
    fn closed<T: std::fmt::Debug>(world: &World, answer: Answer<T>) {
        assert_eq!(world.outcome(answer).unwrap_err(), LedgerError::Closed);
    }
    closed(world, ledger.accept(Accept { items: vec![], now, rules: world.rules }));
    closed(world, ledger.begin(Begin { seq, person, now, reply: None, intent: None }));
    closed(world, ledger.advance(Advance { seq, now, settle: answered(), reply: None, intent: None }));
    closed(world, ledger.finish(Finish { seq, now, settle: None, ending: DONE }));
    closed(world, ledger.hold(Hold { seq, now, until: now, waits_for: None, settle: None }));
    closed(world, ledger.panicked(seq));
    closed(world, ledger.recover(Recover { now, reconcile_until: now }));
    closed(world, ledger.head(person, now));
    closed(world, ledger.due(now, 1));
    closed(world, ledger.history(person, 1));
    closed(world, ledger.told_of(world.tag(seq, 0)));
    closed(world, ledger.release(Service::WhatsApp, now, 1));
    closed(world, ledger.audio(seq));
    closed(world, ledger.fall_back(seq, now));
    closed(world, ledger.prefer(person, Medium::Voice));
    closed(world, ledger.counts(0));
    closed(world, ledger.trace("m1".into()));
    closed(world, ledger.unanswered(Which::Dead, 1, None));
    closed(world, ledger.replay(Replay::AllDead, now));
    closed(world, ledger.forget(ANNA));
    closed(world, ledger.retain(now, super::keeping::KEEP, 1));
    closed(world, ledger.backup(std::path::Path::new("/nowhere/copy")));
    assert_eq!(world.outcome(ledger.close()), Ok(()), "closing twice is no error");
}
