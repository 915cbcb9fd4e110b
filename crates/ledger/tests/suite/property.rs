//! Random webhooks, turns, waits and deaths; after each the engine must agree with the plain model in everything
//! that can be asked.
//!
//! A conversation is played as the real one behaves: it takes up its person's head, makes one step at a time, and
//! answers with whatever comes of it. Everything else (who writes, what WhatsApp tells, when a process dies) is
//! left to chance. `PROPTEST_CASES` sets how many runs are made.

use std::collections::BTreeMap;
use std::time::Duration;

use parlante_domain::turn::ErrorCode;
use parlante_domain::{Item, PersonId, Sender, Seq, Status, Tag};
use parlante_ledger::{
    Accept, AcceptRules, Advance, Begin, Ending, Finish, Held, Hold, PartState, Purpose, Recover, Reply, Row,
    Settle, Step, StepOutcome,
};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::TestRunner;

use super::Engine;
use super::items::{status, text};
use super::model::Model;
use super::world::{DONE, HOUR, RECONCILE, RULES, SECOND, World, answered, persona, reply, sent, settled};

/// A backlog that random messages overflow often.
const RUN_RULES: AcceptRules = AcceptRules { backlog: 2, ..RULES };

/// Runs unless `PROPTEST_CASES` says otherwise: about three seconds.
const CASES: u32 = 48;

#[derive(Debug, Clone)]
enum Command {
    /// A webhook.
    Accept(Vec<Incoming>),
    /// The conversation of a person takes up its head.
    TakeUp(Index),
    /// A call that is under way comes back.
    Return(Index, CallEnd),
    /// A conversation panics; its call is lost.
    Panic(Index),
    /// The conversation of a person gives its head back before it has begun with it.
    GiveBack(Index),
    Later(Duration),
    /// The process ends, in order or suddenly, and a new one starts.
    Restart {
        sudden: bool,
    },
}

#[derive(Debug, Clone)]
enum Incoming {
    Message { sender: Sender, id: u8, stale: bool },
    Status { send: Index, outcome: Option<Status>, foreign: bool },
}

/// What comes of a call.
#[derive(Debug, Clone, Copy)]
enum CallEnd {
    Well,
    Refused,
    Postponed,
    Unknown,
    Drained,
}

pub(crate) fn agrees_with_the_model(engine: impl Fn() -> Box<dyn Engine>) {
    let mut config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = CASES;
    }
    let commands = proptest::collection::vec(command(), 1..120);
    let result = TestRunner::new(config).run(&commands, |commands| {
        let mut run = Run::new(engine());
        for command in &commands {
            run.perform(command);
            run.agrees();
        }
        Ok(())
    });
    assert!(result.is_ok(), "{}", result.unwrap_err());
}

// ---- what may happen

fn command() -> impl Strategy<Value = Command> {
    let end = prop_oneof![
        6 => Just(CallEnd::Well),
        1 => Just(CallEnd::Refused),
        1 => Just(CallEnd::Postponed),
        2 => Just(CallEnd::Unknown),
        1 => Just(CallEnd::Drained),
    ];
    let wait = prop_oneof![Just(SECOND), Just(RECONCILE), Just(HOUR), Just(100 * HOUR)];
    prop_oneof![
        6 => proptest::collection::vec(incoming(), 1..4).prop_map(Command::Accept),
        8 => any::<Index>().prop_map(Command::TakeUp),
        10 => (any::<Index>(), end).prop_map(|(call, end)| Command::Return(call, end)),
        1 => any::<Index>().prop_map(Command::Panic),
        1 => any::<Index>().prop_map(Command::GiveBack),
        3 => wait.prop_map(Command::Later),
        1 => any::<bool>().prop_map(|sudden| Command::Restart { sudden }),
    ]
}

fn incoming() -> impl Strategy<Value = Incoming> {
    let message = (sender(), 0..120_u8, proptest::bool::weighted(0.1))
        .prop_map(|(sender, id, stale)| Incoming::Message { sender, id, stale });
    let outcome = prop_oneof![
        2 => Just(Some(Status::Sent)),
        2 => Just(Some(Status::Delivered)),
        1 => Just(Some(Status::Read)),
        2 => Just(None),
    ];
    let told = (any::<Index>(), outcome, proptest::bool::weighted(0.1))
        .prop_map(|(send, outcome, foreign)| Incoming::Status { send, outcome, foreign });
    prop_oneof![2 => message, 1 => told]
}

/// Someone of a few people, with one id or the other; with both they join, now and then in odd ways.
fn sender() -> impl Strategy<Value = Sender> {
    let phone = |n: u8| Some(format!("39320000000{n}").into());
    let bsuid = |n: u8| Some(format!("IT.{n}").into());
    prop_oneof![
        4 => (0..3_u8).prop_map(move |n| Sender { phone: phone(n), bsuid: None, name: None }),
        4 => (0..3_u8).prop_map(move |n| Sender { phone: None, bsuid: bsuid(n), name: None }),
        2 => (0..3_u8).prop_map(move |n| Sender { phone: phone(n), bsuid: bsuid(n), name: None }),
        1 => (0..3_u8, 0..3_u8)
            .prop_map(move |(p, b)| Sender { phone: phone(p), bsuid: bsuid(b), name: None }),
    ]
}

// ---- one run

struct Run {
    world: World,
    model: Model,
    /// The calls under way, each with the row that waits for it.
    calls: BTreeMap<Seq, Step>,
}

impl Run {
    fn new(engine: Box<dyn Engine>) -> Self {
        let mut world = World::new(engine);
        world.rules = RUN_RULES;
        Self { world, model: Model::default(), calls: BTreeMap::new() }
    }

    fn perform(&mut self, command: &Command) {
        match command {
            Command::Accept(incoming) => self.accept(incoming),
            Command::TakeUp(person) => self.take_up(*person),
            Command::Return(call, end) => {
                if let Some(seq) = pick(*call, &self.calls.keys().copied().collect::<Vec<_>>()) {
                    self.come_back(seq, *end);
                }
            }
            Command::Panic(call) => {
                if let Some(seq) = pick(*call, &self.calls.keys().copied().collect::<Vec<_>>()) {
                    self.calls.remove(&seq);
                    assert_eq!(self.world.wait(self.world.ledger.panicked(seq)), self.model.panicked(seq));
                }
            }
            Command::GiveBack(person) => {
                if let Some(row) = self.idle_head(*person) {
                    self.hold(Hold {
                        seq: row.seq,
                        now: self.world.now,
                        until: self.world.now + SECOND,
                        settle: None,
                    });
                }
            }
            Command::Later(wait) => self.world.later(*wait),
            Command::Restart { sudden } => {
                self.calls.clear();
                let found = if *sudden { self.world.crash() } else { self.world.restart() };
                let now = self.world.now;
                assert_eq!(found, self.model.recover(&Recover { now, reconcile_until: now + RECONCILE }));
            }
        }
    }

    fn accept(&mut self, incoming: &[Incoming]) {
        let now = self.world.now;
        let items = incoming.iter().filter_map(|item| self.item(item)).collect();
        let accept = Accept { items, now, rules: self.world.rules };
        let accepted = self.world.wait(self.world.ledger.accept(accept.clone()));
        let id = self.world.ledger.id().to_owned();
        assert_eq!(accepted.verdicts, self.model.accept(&accept, &id, &accepted.wakes));
    }

    fn item(&self, incoming: &Incoming) -> Option<Item> {
        match incoming {
            Incoming::Message { sender, id, stale } => {
                let age = if *stale { 25 * HOUR } else { Duration::ZERO };
                Some(Item::Message(text(&format!("m{id}"), sender, self.world.now - age)))
            }
            Incoming::Status { send, outcome, foreign } => {
                let (seq, part) = pick(*send, &self.model.sends())?;
                let mut tag = self.world.tag(seq, part);
                if *foreign {
                    tag = Tag { ledger: "0123456789abcdef".into(), ..tag };
                }
                Some(status(tag, outcome.ok_or("131026")))
            }
        }
    }

    /// The head of a person whose conversation has no call under way.
    fn idle_head(&self, person: Index) -> Option<Row> {
        let person: PersonId = pick(person, &self.model.people())?;
        self.model.head(person, self.world.now).filter(|row| !self.calls.contains_key(&row.seq))
    }

    fn take_up(&mut self, person: Index) {
        let Some(row) = self.idle_head(person) else { return };
        let next = self.model.next_step(&row);
        if let PartState::Failed(code) = row.next_part {
            return self.finish(Finish {
                seq: row.seq,
                now: self.world.now,
                settle: None,
                ending: Ending::Dead(code),
            });
        }
        let Some(step) = next else {
            return self.finish(Finish { seq: row.seq, now: self.world.now, settle: None, ending: DONE });
        };
        if row.next_part == PartState::Unknown && row.unknowns > 1 {
            let ending = Ending::Dead(ErrorCode::UNCERTAIN);
            return self.finish(Finish { seq: row.seq, now: self.world.now, settle: None, ending });
        }
        let ours = row.purpose != Purpose::Answer && row.reply.is_none();
        let begin = Begin {
            seq: row.seq,
            now: self.world.now,
            reply: ours.then(|| persona("by the way")),
            intent: self.world.intent(step),
        };
        self.world.wait(self.world.ledger.begin(begin.clone()));
        self.model.begin(&begin);
        self.calls.insert(row.seq, step);
    }

    fn come_back(&mut self, seq: Seq, end: CallEnd) {
        let step = self.calls.remove(&seq).unwrap();
        let now = self.world.now;
        let settle = |outcome| Some(settled(step, outcome));
        let hold = |wait, settle| Hold { seq, now, until: now + wait, settle };
        match (step, end) {
            (Step::Complete, CallEnd::Well) => {
                self.advance(seq, answered(), Some(answer_to(seq)), Some(Step::Send(0)));
            }
            (Step::Complete, CallEnd::Refused) => {
                let code = ErrorCode::status(500);
                let apology = Reply { failed: Some(code.clone()), ..persona("sorry") };
                self.advance(
                    seq,
                    settled(step, StepOutcome::Failed(code)),
                    Some(apology),
                    Some(Step::Send(0)),
                );
            }
            (Step::Send(part), CallEnd::Well) => self.part_sent(seq, part),
            (Step::Send(_), CallEnd::Refused) => {
                let code = ErrorCode::recorded("131047");
                let settle = settle(StepOutcome::Failed(code.clone()));
                self.finish(Finish { seq, now, settle, ending: Ending::Dead(code) });
            }
            (_, CallEnd::Postponed) | (Step::Complete, CallEnd::Unknown) => {
                self.hold(hold(5 * SECOND, settle(StepOutcome::Postponed(ErrorCode::status(503)))));
            }
            (Step::Send(_), CallEnd::Unknown) => {
                self.hold(hold(RECONCILE, settle(StepOutcome::Unknown(ErrorCode::TIMEOUT))));
            }
            (_, CallEnd::Drained) => self.hold(hold(Duration::ZERO, None)),
        }
    }

    /// The next part follows, or the end.
    fn part_sent(&mut self, seq: Seq, part: u32) {
        let next = part + 1;
        let parts = self.model.parts(seq);
        if next < parts {
            self.advance(seq, sent(seq, part), None, Some(Step::Send(next)));
        } else {
            self.finish(Finish { seq, now: self.world.now, settle: Some(sent(seq, part)), ending: DONE });
        }
    }

    fn advance(&mut self, seq: Seq, settle: Settle, reply: Option<Reply>, next: Option<Step>) {
        let intent = next.and_then(|step| self.world.intent(step));
        let advance = Advance { seq, now: self.world.now, settle, reply, intent };
        self.world.wait(self.world.ledger.advance(advance.clone()));
        self.model.advance(&advance);
        self.calls.extend(next.map(|step| (seq, step)));
    }

    fn finish(&mut self, finish: Finish) {
        let finished = self.world.wait(self.world.ledger.finish(finish.clone()));
        assert_eq!(finished, self.model.finish(&finish));
    }

    fn hold(&mut self, hold: Hold) {
        let held: Held = self.world.wait(self.world.ledger.hold(hold.clone()));
        assert_eq!(held, self.model.hold(&hold));
    }

    /// Everything that can be asked is answered as the model answers it.
    fn agrees(&mut self) {
        let (world, model, now) = (&self.world, &mut self.model, self.world.now);
        let due = world.due();
        model.learn(&due);
        assert_eq!(due, model.due(now));
        for person in model.people() {
            assert_eq!(world.next(person), model.head(person, now));
            assert_eq!(world.wait(world.ledger.history(person, 5)), model.history(person, 5));
        }
        assert_eq!(world.counts(), model.counts());
    }
}

fn pick<T: Clone>(index: Index, from: &[T]) -> Option<T> {
    (!from.is_empty()).then(|| index.get(from).clone())
}

/// One to three parts, the same for a row each time.
fn answer_to(seq: Seq) -> Reply {
    let parts = ["one", "two", "three"];
    let count = usize::try_from(seq.0.rem_euclid(3)).unwrap() + 1;
    reply(&parts[..count])
}
