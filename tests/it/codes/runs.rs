//! Many refusals through one server: those that leave its channels alone all at once, those that pause one after the
//! other.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use super::meeting::{Met, Place};
use super::{Case, Means, Step};
use crate::support::innocent::persons_got_no_errors;
use crate::support::{Process, TestClock, TestFaults, World};

/// How long a message is held for the first time.
const FIRST_HOLD: Duration = Duration::from_secs(5);

/// Nothing here opens a circuit, and only SIGHUP has a paused channel looked at again.
pub(super) fn world() -> World {
    ["WHATSAPP", "OPENAI", "ELEVENLABS"]
        .iter()
        .fold(World::new(), |world, provider| world.set(&format!("{provider}_CIRCUIT_FAILURES"), "1000"))
        .set("HEALTH_PROBE_S", "3600")
}

pub(super) fn place<'a>(world: &'a World, server: &Process) -> Place<'a> {
    Place { world, log: server.log.clone(), base: server.url("") }
}

/// As many people as refusals meet one each; then each of them is answered as ever, and the channel is as it was.
/// What `/stats` says of the provider in the end.
pub(super) async fn all_at_once(step: Step, cases: &[&Case]) -> Value {
    let world = world();
    let server = world.start().await;
    let place = place(&world, &server);
    let people = all_meet(&place, step, cases).await;
    let next: Vec<String> = people
        .iter()
        .map(|person| world.sandbox.meta.deliver(step.message(&person.phone, "e poi?")))
        .collect();
    for (person, next) in people.iter().zip(&next) {
        place.log.wait_for("task_completed", next).await;
        assert_eq!(place.got(&person.phone).last(), Some(&step.answer("e poi?")), "{}", person.case.name);
        assert_eq!(
            person.calls(&place),
            person.case.outcome.attempts(),
            "{}: nothing more",
            person.case.name
        );
    }
    assert_eq!(server.log.events("channel_paused"), [] as [Value; 0]);
    persons_got_no_errors(&world);
    is_as_ever(&place, step, cases).await
}

/// As [`all_at_once`], for what WhatsApp may take at another try: after three attempts a message is held, and five
/// seconds later its answer goes out.
pub(super) async fn all_held(cases: &[&Case]) -> Value {
    let (world, clock, step) = (world(), TestClock::default(), Step::Send);
    let server = world.start_in_process(&clock, &TestFaults::default()).await;
    let place = Place { world: &world, log: server.log.clone(), base: server.url("") };
    let people = all_meet(&place, step, cases).await;
    for person in &people {
        assert_eq!(place.trace(&person.id).await["holds"], 1, "{}", person.case.name);
    }
    clock.advance(FIRST_HOLD);
    for person in &people {
        let name = &person.case.name;
        place.log.wait_for("task_completed", &person.id).await;
        assert_eq!(place.got(&person.phone), [step.answer(&person.words)], "{name}");
        assert_eq!(person.calls(&place), person.case.outcome.attempts() + 1, "{name}");
        assert_eq!(place.ends(&person.id), [1, 0, 0], "{name}");
    }
    persons_got_no_errors(&world);
    is_as_ever(&place, step, cases).await
}

/// Each meets one of the refusals, and everything is as it has to be.
async fn all_meet<'a>(place: &Place<'_>, step: Step, cases: &[&'a Case]) -> Vec<Met<'a>> {
    let people = cases.iter().enumerate();
    let people: Vec<Met<'_>> =
        people.map(|(index, case)| Met::new(place, step, case, index, case.outcome.attempts())).collect();
    for person in &people {
        person.comes_to_its_fate(place).await;
    }
    for person in &people {
        person.is_as_it_has_to_be(place).await;
    }
    people
}

/// The channel is neither paused nor its circuit open, and every attempt was counted; what `/stats` says.
async fn is_as_ever(place: &Place<'_>, step: Step, cases: &[&Case]) -> Value {
    let provider = place.provider(step).await;
    assert_eq!((&provider["circuit"], &provider["paused"]), (&"closed".into(), &false.into()));
    let retries: usize = cases.iter().map(|case| case.outcome.attempts() - 1).sum();
    assert_eq!((&provider["failures"], &provider["retries"]), (&cases.len().into(), &retries.into()));
    provider
}

/// One person after the other meets a refusal that pauses the channel; each pause ends in its own way. What `/stats`
/// says of the provider in the end.
pub(super) async fn one_by_one(step: Step, cases: &[&Case]) -> Value {
    let world = world();
    let server = world.start().await;
    for (index, case) in cases.iter().enumerate() {
        Pause { place: place(&world, &server), server: &server, step, case, before: changes(&server) }
            .begins_and_ends(index)
            .await;
    }
    persons_got_no_errors(&world);
    place(&world, &server).provider(step).await
}

/// How often a channel was paused and resumed so far.
fn changes(server: &Process) -> usize {
    let [paused, resumed] = ["channel_paused", "channel_resumed"].map(|event| server.log.events(event).len());
    assert_eq!(paused, resumed);
    paused
}

/// One refusal that pauses a channel.
struct Pause<'a> {
    place: Place<'a>,
    server: &'a Process,
    step: Step,
    case: &'a Case,
    /// Pauses before it.
    before: usize,
}

impl Pause<'_> {
    async fn begins_and_ends(&self, index: usize) {
        let (waits, script) = (!self.step.is_spoken(), self.step.script(self.place.world));
        // CONTRACT, pause: for key or token the health call probes, for anything else the real call. So in the one case
        // the real call goes on failing, in the other the health call.
        let by_health = self.case.outcome == Means::PauseCredential;
        let times = if waits && by_health { 2 } else { 1 };
        let rule = (!by_health).then(|| script.always(self.step.health(), self.case.fault()));
        let person = Met::new(&self.place, self.step, self.case, index, times);
        person.comes_to_its_fate(&self.place).await;
        person.is_as_it_has_to_be(&self.place).await;
        self.is_told("channel_paused", "ERROR", 1).await;
        assert_eq!(self.place.provider(self.step).await["paused"], true, "{}", self.case.name);
        self.hang_up().await;
        if waits {
            self.goes_on_by_itself(&person, times).await;
        } else {
            self.goes_on_with_the_next(&person, by_health).await;
        }
        rule.into_iter().for_each(|rule| script.remove(rule));
        let provider = self.place.provider(self.step).await;
        assert_eq!((&provider["circuit"], &provider["paused"]), (&"closed".into(), &false.into()));
        assert_eq!(changes(self.server), self.before + times, "{}", self.case.name);
    }

    /// The message that waited is answered.
    async fn goes_on_by_itself(&self, person: &Met<'_>, times: usize) {
        for nth in 1..times {
            self.is_told("channel_resumed", "INFO", nth).await;
            self.is_told("channel_paused", "ERROR", nth + 1).await;
            self.hang_up().await;
        }
        self.is_told("channel_resumed", "INFO", times).await;
        self.place.log.wait_for("task_completed", &person.id).await;
        let name = &self.case.name;
        assert_eq!(self.place.got(&person.phone), [self.step.answer(&person.words)], "{name}");
        assert_eq!(person.calls(&self.place), times + 1, "{name}: nothing was tried in vain");
        assert_eq!(self.place.ends(&person.id), [1, 0, 0], "{name}");
        assert_eq!(self.place.trace(&person.id).await["state"], "done", "{name}");
    }

    /// Nobody waited: by the health call, or by the next turn.
    async fn goes_on_with_the_next(&self, person: &Met<'_>, by_health: bool) {
        if by_health {
            self.is_told("channel_resumed", "INFO", 1).await;
        }
        let next = self.place.world.sandbox.meta.deliver(self.step.message(&person.phone, "e poi?"));
        self.place.log.wait_for("task_completed", &next).await;
        let (name, got) = (&self.case.name, self.place.got(&person.phone));
        assert_eq!(got.last(), Some(&self.step.answer("e poi?")), "{name}");
        assert_eq!((got.len(), person.calls(&self.place)), (2, 1), "{name}: nothing was tried in vain");
        self.is_told("channel_resumed", "INFO", 1).await;
    }

    /// The `nth` line of this event since the pause began.
    async fn is_told(&self, event: &str, level: &str, nth: usize) {
        let nth = self.before + nth;
        self.server.log.wait_count(event, nth, |_| true).await;
        let line = self.server.log.events(event)[nth - 1].clone();
        assert_eq!(
            (&line["level"], &line["service"]),
            (&level.into(), &self.step.service().into()),
            "{line}"
        );
        self.case.is_told_in(&line);
    }

    async fn hang_up(&self) {
        hang_up(self.place.world, self.server, self.step).await;
    }
}

/// SIGHUP; returns when the channel of a step has been told to look again.
pub(super) async fn hang_up(world: &World, server: &Process, step: Step) {
    let before = step.health_calls(world);
    server.signal(Signal::HUP);
    step.wait_health_calls(world, before + 1).await;
}
