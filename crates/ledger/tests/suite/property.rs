//! Random webhooks, turns, waits and deaths; after each the engine must agree with the plain model in everything
//! that can be asked.
//!
//! A conversation is played as the real one behaves: it takes up its person's head, makes one step at a time, and
//! answers with whatever comes of it. Everything else (who writes, what WhatsApp tells, when a process dies) is
//! left to chance. `PROPTEST_CASES` sets how many runs are made.

use std::collections::BTreeMap;
use std::time::Duration;

use parlante_domain::turn::ErrorCode;
use parlante_domain::{Bsuid, Item, PersonId, Phone, Sender, Seq, Status, Tag};
use parlante_ledger::{
    Accept, AcceptRules, Advance, Begin, Ending, Finish, Forgotten, Held, Hold, PartState, Purpose, Recorded,
    Recover, Replay, Replayed, Reply, Row, Settle, Step, StepOutcome, Which,
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
    /// An operator has a message opened again, or all dead ones.
    Replay(Option<Index>),
    /// An operator has a person forgotten, by one id or the other.
    Forget(Sender),
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
        1 => proptest::option::weighted(0.8, any::<Index>()).prop_map(Command::Replay),
        1 => someone().prop_map(Command::Forget),
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

/// Someone of a few people, with one id or the other.
fn someone() -> impl Strategy<Value = Sender> {
    (0..3_u8, any::<bool>()).prop_map(|(n, shown)| Sender {
        phone: shown.then(|| phone(n)).flatten(),
        bsuid: (!shown).then(|| bsuid(n)).flatten(),
        name: None,
    })
}

fn phone(n: u8) -> Option<Phone> {
    Some(format!("39320000000{n}").into())
}

fn bsuid(n: u8) -> Option<Bsuid> {
    Some(format!("IT.{n}").into())
}

/// With both ids they join, or a number changes hands.
fn sender() -> impl Strategy<Value = Sender> {
    prop_oneof![
        8 => someone(),
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
    /// The last place that the list of refused messages has shown.
    refused_before: Option<Seq>,
}

impl Run {
    fn new(engine: Box<dyn Engine>) -> Self {
        let mut world = World::new(engine);
        world.rules = RUN_RULES;
        Self { world, model: Model::default(), calls: BTreeMap::new(), refused_before: None }
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
            Command::Replay(message) => self.replay(*message),
            Command::Forget(sender) => self.forget(sender),
            Command::Restart { sudden } => {
                self.calls.clear();
                let found = if *sudden {
                    self.world.crash()
                } else {
                    self.model.close();
                    self.world.restart()
                };
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
        let refused = self.world.ledger.unanswered(Which::Refused, 100, self.refused_before);
        let refused = self.world.wait(refused);
        self.model.learn(&refused);
        self.refused_before = refused.last().map(|last| last.seq).or(self.refused_before);
    }

    fn replay(&mut self, message: Option<Index>) {
        let message = message.and_then(|message| pick(message, &self.model.messages()));
        let replay = message.map_or(Replay::AllDead, Replay::One);
        let replayed = self.world.wait(self.world.ledger.replay(replay.clone(), self.world.now));
        let wakes = match &replayed {
            Replayed::Reopened { wakes, .. } => wakes.clone(),
            _ => vec![],
        };
        assert_eq!(replayed, self.model.replay(&replay, self.world.now, &wakes));
    }

    fn forget(&mut self, sender: &Sender) {
        let (id, alias) = match sender {
            Sender { phone: Some(phone), .. } => {
                let phone: &str = phone.as_ref();
                (format!("+{phone}"), format!("p:{phone}"))
            }
            Sender { bsuid, .. } => {
                let bsuid: &str = bsuid.as_ref().unwrap().as_ref();
                (bsuid.to_owned(), format!("b:{bsuid}"))
            }
        };
        let forgotten: Forgotten = self.world.wait(self.world.ledger.forget(&id));
        let expected = self.model.forget(&alias);
        let told = forgotten.found.then_some((forgotten.messages, forgotten.people.len()));
        assert_eq!((told, forgotten.scrubbed), (expected, true));
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
            person: row.person,
            now: self.world.now,
            reply: ours.then(|| persona("by the way")),
            intent: self.world.intent(step),
        };
        assert_eq!(self.world.wait(self.world.ledger.begin(begin.clone())), Recorded::Yes);
        assert_eq!(self.model.begin(&begin), Recorded::Yes);
        self.calls.insert(row.seq, step);
    }

    fn come_back(&mut self, seq: Seq, end: CallEnd) {
        let step = self.calls.remove(&seq).unwrap();
        let now = self.world.now;
        let settle = |outcome| Some(settled(step, outcome));
        let hold = |wait, settle| Hold { seq, now, until: now + wait, settle };
        match (step, end) {
            (Step::Complete, CallEnd::Well) => {
                let first = Step::Send(self.model.first_part(seq));
                self.advance(seq, answered(), Some(answer_to(seq)), Some(first));
            }
            (Step::Complete, CallEnd::Refused) => {
                let code = ErrorCode::status(500);
                let apology = Reply { failed: Some(code.clone()), ..persona("sorry") };
                self.advance(
                    seq,
                    settled(step, StepOutcome::Failed(code)),
                    Some(apology),
                    Some(Step::Send(self.model.first_part(seq))),
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
        if next < self.model.parts_end(seq) {
            self.advance(seq, sent(seq, part), None, Some(Step::Send(next)));
        } else {
            self.finish(Finish { seq, now: self.world.now, settle: Some(sent(seq, part)), ending: DONE });
        }
    }

    fn advance(&mut self, seq: Seq, settle: Settle, reply: Option<Reply>, next: Option<Step>) {
        let intent = next.and_then(|step| self.world.intent(step));
        let advance = Advance { seq, now: self.world.now, settle, reply, intent };
        let recorded = self.world.wait(self.world.ledger.advance(advance.clone()));
        assert_eq!(recorded, self.model.advance(&advance));
        if recorded == Recorded::Yes {
            self.calls.extend(next.map(|step| (seq, step)));
        }
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
    fn agrees(&self) {
        let (world, model, now) = (&self.world, &self.model, self.world.now);
        assert_eq!(world.due(), model.due(now));
        for person in model.people() {
            assert_eq!(world.next(person), model.head(person, now));
            assert_eq!(world.wait(world.ledger.history(person, 5)), model.history(person, 5));
        }
        assert_eq!(world.counts(), model.counts());
        for which in [Which::Dead, Which::Refused] {
            let listed = world.wait(world.ledger.unanswered(which, 1000, None));
            let ids: Vec<_> = listed.into_iter().map(|message| message.message_id).collect();
            assert_eq!(ids, model.unanswered(which));
        }
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
