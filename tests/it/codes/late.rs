//! Every code of the Graph API, in a `failed` status of an answer that WhatsApp had accepted.

use std::collections::BTreeMap;

use parlante_sandbox::{MetaOptions, Options, Request};
use serde_json::Value;

use super::meeting::{Place, words};
use super::runs::{hang_up, place};
use super::{Case, GRAPH, Means, Step, cases, echo};
use crate::support::innocent::persons_got_no_errors;
use crate::support::{Process, World, a_phone};

/// A Meta that tells no status by itself, and a server that looks at a paused channel again only at SIGHUP.
fn world() -> World {
    let tests = Options::for_tests();
    World::with(Options { meta: MetaOptions { statuses: false, ..tests.meta }, ..tests })
        .set("HEALTH_PROBE_S", "3600")
}

/// Each code once: a status has neither an HTTP status nor a subcode, by which an answer's may mean something else.
fn codes(cases: &[Case]) -> BTreeMap<u32, &Case> {
    let mut codes = BTreeMap::new();
    for case in cases {
        let code = case.code.as_ref().expect("every case has a code").parse().unwrap();
        codes.entry(code).or_insert(case);
    }
    codes
}

/// Somebody whose answer was accepted.
struct Answered {
    phone: String,
    words: String,
    id: String,
}

impl Answered {
    fn new(world: &World, index: usize) -> Self {
        let (phone, words) = (a_phone(), words(index));
        let id = world.sandbox.meta.deliver(Step::Send.message(&phone, &words));
        Self { phone, words, id }
    }

    /// The sends of the answer.
    fn sends(&self, world: &World) -> Vec<Request> {
        let answer = echo(&self.words);
        let is_answer = |send: &&Request| send.text.as_ref() == Some(&answer);
        world.sandbox.meta.look(|records| records.sends_to(&self.phone).filter(is_answer).cloned().collect())
    }

    /// Its answer has failed after all.
    async fn fails(&self, place: &Place<'_>, code: u32) {
        place.log.wait_for("task_completed", &self.id).await;
        let sends = self.sends(place.world);
        assert_eq!(sends.len(), 1);
        let tag = sends[0].tag.as_ref().expect("every send has a tag");
        place.world.sandbox.meta.status(tag, "failed", Some(code)).unwrap();
    }
}

/// The line tells of a status: its code is all that is known.
fn is_told_in(line: &Value, code: u32) {
    let told = (line["level"].as_str(), line["error_code"].as_str(), line["provider_code"].as_str());
    assert_eq!(told, (Some("ERROR"), Some(code.to_string().as_str()), None), "{line:#}");
}

#[actix_rt::test]
async fn every_code_of_a_late_failure_has_its_fate() {
    let cases = cases(GRAPH);
    let codes = codes(&cases);
    // Two of them stand there twice: 1 with two statuses, 100 with and without its subcode.
    assert_eq!(codes.len(), cases.len() - 2);
    let (pausing, others) = codes.into_iter().partition(|(_, case)| case.outcome.pauses());
    are_dead_letters(&others).await;
    go_again(&pausing).await;
}

/// No second send; the message turns from done to dead. A media reason too, since the answer was a text.
async fn are_dead_letters(codes: &BTreeMap<u32, &Case>) {
    let world = world();
    let server = world.start().await;
    let place = place(&world, &server);
    let people: Vec<(u32, Answered)> =
        codes.keys().enumerate().map(|(index, code)| (*code, Answered::new(&world, index))).collect();
    for (code, person) in &people {
        person.fails(&place, *code).await;
    }
    let next: Vec<String> = people
        .iter()
        .map(|(_, person)| world.sandbox.meta.deliver(Step::Send.message(&person.phone, "e poi?")))
        .collect();
    for ((code, person), next) in people.iter().zip(&next) {
        is_told_in(&place.log.wait_for("message_dead_lettered", &person.id).await, *code);
        place.log.wait_for("task_completed", next).await;
        assert_eq!(place.got(&person.phone), [echo(&person.words), echo("e poi?")], "{code}");
        assert_eq!(place.ends(&person.id), [1, 0, 1], "{code}");
        let row = place.trace(&person.id).await;
        assert_eq!((&row["state"], &row["reason"]), (&"dead".into(), &code.to_string().into()), "{code}");
    }
    assert_eq!(server.log.events("channel_paused"), [] as [Value; 0]);
    persons_got_no_errors(&world);
}

/// The channel is paused, and that answer is sent again after it.
async fn go_again(codes: &BTreeMap<u32, &Case>) {
    let world = world();
    let server = world.start().await;
    let mut pauses = 0;
    for (index, (code, case)) in codes.iter().enumerate() {
        pauses = goes_again(&world, &server, (*code, case), index, pauses).await;
    }
    persons_got_no_errors(&world);
}

/// How many pauses there were after it.
async fn goes_again(
    world: &World,
    server: &Process,
    (code, case): (u32, &Case),
    index: usize,
    pauses: usize,
) -> usize {
    let (place, script) = (place(world, server), Step::Send.script(world));
    let person = Answered::new(world, index);
    person.fails(&place, code).await;
    let is_changed = async |event: &str, count| server.log.wait_count(event, count, |_| true).await;
    is_changed("channel_paused", pauses + 1).await;
    is_told_in(&server.log.events("channel_paused")[pauses], code);
    place.until(&person.id, |row| row["state"] == "open").await;
    // As in an answer: for a token the health call probes, for anything else the real call.
    let by_health = case.outcome == Means::PauseCredential;
    let refused = usize::from(by_health);
    script.aim(echo(&person.words), Step::Send.route(), refused, case.fault());
    let rule = (!by_health).then(|| script.always(Step::Send.health(), case.fault()));
    hang_up(world, server, Step::Send).await;
    if by_health {
        is_changed("channel_paused", pauses + 2).await;
        hang_up(world, server, Step::Send).await;
    }
    let pauses = pauses + 1 + refused;
    is_changed("channel_resumed", pauses).await;
    place.until(&person.id, |row| row["state"] == "done").await;
    rule.into_iter().for_each(|rule| script.remove(rule));
    let next = world.sandbox.meta.deliver(Step::Send.message(&person.phone, "e poi?"));
    place.log.wait_for("task_completed", &next).await;
    // The stand-in counts the first one too, since it had accepted it.
    let got = [echo(&person.words), echo(&person.words), echo("e poi?")];
    assert_eq!(place.got(&person.phone), got, "{code}");
    let sends = person.sends(world);
    assert_eq!(sends.len(), 2 + refused, "{code}: once more, when the channel worked");
    assert!(sends.iter().all(|send| send.tag == sends[0].tag), "{code}: one tag for all");
    assert_eq!(place.ends(&person.id), [1, 0, 0], "{code}: told once");
    assert_eq!(server.log.events("channel_paused").len(), pauses, "{code}");
    pauses
}
