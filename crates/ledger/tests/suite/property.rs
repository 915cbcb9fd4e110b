//! Random webhooks, turns, waits and deaths; after each the engine must agree with the plain model in everything
//! that can be asked.
//!
//! A conversation is played as the real one behaves: it takes up its person's head, makes one step at a time, and
//! answers with whatever comes of it. Everything else (who writes, what WhatsApp tells, when a process dies) is
//! left to chance. `PROPTEST_CASES` sets how many runs are made.

use std::collections::BTreeMap;
use std::time::Duration;

use parlante_domain::turn::ErrorCode;
use parlante_domain::{
    Bsuid, Content, Inbound, Item, Kind, Medium, MessageId, PersonId, Phone, Sender, Seq, Service, Status,
    Tag,
};
use parlante_ledger::{
    Accept, AcceptRules, Advance, Audio, Begin, Ending, Finish, Forgotten, Held, Hold, PartState, Purpose,
    Recorded, Recover, Replay, Replayed, Reply, Row, Settle, Step, StepOutcome, Which,
};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::TestRunner;

use super::Engine;
use super::items::{status_of, text};
use super::model::Model;
use super::world::{
    DONE, HOUR, LOCKED, RECONCILE, RULES, SECOND, UNPLAYABLE, World, answered, failure, persona, reply,
    settled,
};

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
    /// A channel opens, for so many.
    Release(Service, usize),
    /// A person says how they want to be answered.
    Prefer(Index, Medium),
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
    Message {
        sender: Sender,
        id: u8,
        stale: bool,
    },
    /// Of one of the sends of a part.
    Status {
        part: Index,
        send: Index,
        outcome: Result<Status, &'static str>,
        foreign: bool,
    },
}

/// What comes of a call.
#[derive(Debug, Clone, Copy)]
enum CallEnd {
    Well,
    Refused,
    Postponed,
    /// Its channel is closed.
    Closed,
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
        2 => Just(CallEnd::Closed),
        2 => Just(CallEnd::Unknown),
        1 => Just(CallEnd::Drained),
    ];
    let service = proptest::sample::select(&Service::ALL);
    let medium = prop_oneof![Just(Medium::Voice), Just(Medium::Text)];
    let wait = prop_oneof![Just(SECOND), Just(RECONCILE), Just(HOUR), Just(100 * HOUR)];
    prop_oneof![
        6 => proptest::collection::vec(incoming(), 1..4).prop_map(Command::Accept),
        8 => any::<Index>().prop_map(Command::TakeUp),
        10 => (any::<Index>(), end).prop_map(|(call, end)| Command::Return(call, end)),
        1 => any::<Index>().prop_map(Command::Panic),
        1 => any::<Index>().prop_map(Command::GiveBack),
        3 => wait.prop_map(Command::Later),
        1 => (service, 0..3_usize).prop_map(|(service, most)| Command::Release(service, most)),
        1 => proptest::option::weighted(0.8, any::<Index>()).prop_map(Command::Replay),
        1 => (any::<Index>(), medium).prop_map(|(person, wish)| Command::Prefer(person, wish)),
        1 => someone().prop_map(Command::Forget),
        1 => any::<bool>().prop_map(|sudden| Command::Restart { sudden }),
    ]
}

fn incoming() -> impl Strategy<Value = Incoming> {
    let message = (sender(), 0..120_u8, proptest::bool::weighted(0.1))
        .prop_map(|(sender, id, stale)| Incoming::Message { sender, id, stale });
    let outcome = prop_oneof![
        2 => Just(Ok(Status::Sent)),
        2 => Just(Ok(Status::Delivered)),
        1 => Just(Ok(Status::Read)),
        2 => Just(Err("131026")),
        2 => Just(Err(LOCKED)),
        2 => Just(Err(UNPLAYABLE)),
    ];
    let told = (any::<Index>(), any::<Index>(), outcome, proptest::bool::weighted(0.1))
        .prop_map(|(part, send, outcome, foreign)| Incoming::Status { part, send, outcome, foreign });
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

struct Call {
    step: Step,
    known: Known,
}

/// The parts of the reply as the conversation found them when it took up the row; a status may have changed them.
#[derive(Clone)]
struct Known {
    first: u32,
    /// Those that need not be sent any more.
    ahead: Vec<u32>,
}

struct Run {
    world: World,
    model: Model,
    /// The calls under way, each with the row that waits for it.
    calls: BTreeMap<Seq, Call>,
    /// The ids of all sends of a part. WhatsApp gives one to each, whether we hear of it or not.
    ids: BTreeMap<(Seq, u32), Vec<MessageId>>,
    /// The last place that the list of refused messages has shown.
    refused_before: Option<Seq>,
}

impl Run {
    fn new(engine: Box<dyn Engine>) -> Self {
        let mut world = World::new(engine);
        world.rules = RUN_RULES;
        Self {
            world,
            model: Model::default(),
            calls: BTreeMap::new(),
            ids: BTreeMap::new(),
            refused_before: None,
        }
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
                        waits_for: None,
                        settle: None,
                    });
                }
            }
            Command::Later(wait) => self.world.later(*wait),
            Command::Release(service, most) => {
                let wakes = self.world.release(*service, *most);
                assert_eq!(wakes, self.model.release(*service, self.world.now, *most));
            }
            Command::Prefer(person, wish) => {
                if let Some(person) = pick(*person, &self.model.people()) {
                    self.world.wait(self.world.ledger.prefer(person, *wish));
                    self.model.prefer(person, *wish);
                }
            }
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
                let written = text(&format!("m{id}"), sender, self.world.now - age);
                Some(Item::Message(if id % 3 == 0 { spoken_note(written) } else { written }))
            }
            Incoming::Status { part, send, outcome, foreign } => {
                let (seq, part) = pick(*part, &self.model.sends())?;
                let id = pick(*send, &self.ids[&(seq, part)])?;
                let mut tag = self.world.tag(seq, part);
                if *foreign {
                    tag = Tag { ledger: "0123456789abcdef".into(), ..tag };
                }
                Some(status_of(tag, id, *outcome))
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
        if row.speak_failed.is_some() && matches!(step, Step::Speak | Step::Upload) {
            return self.fall_back(row.seq);
        }
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
        self.call(row.seq, step, Known { first: row.first_part, ahead: row.parts_ahead });
    }

    fn call(&mut self, seq: Seq, step: Step, known: Known) {
        if let Step::Send(part) = step {
            let ids = self.ids.entry((seq, part)).or_default();
            ids.push(format!("wamid.out.{seq}.{part}.{}", ids.len()).into());
        }
        self.calls.insert(seq, Call { step, known });
    }

    /// WhatsApp takes the part; its answer has the id of this send.
    fn sent(&self, seq: Seq, part: u32) -> Settle {
        let id = self.ids[&(seq, part)].last().unwrap();
        settled(Step::Send(part), StepOutcome::Accepted(id.clone()))
    }

    fn come_back(&mut self, seq: Seq, end: CallEnd) {
        let Call { step, known } = self.calls.remove(&seq).unwrap();
        let now = self.world.now;
        let settle = |outcome| Some(settled(step, outcome));
        let hold = |wait, settle| Hold { seq, now, until: now + wait, waits_for: None, settle };
        match (step, end) {
            (Step::Complete, CallEnd::Well) => {
                let answer = answer_to(seq);
                let first = Step::Send(known.first);
                let next = if answer.is_voice { Step::Speak } else { first };
                self.advance(seq, answered(), Some(answer), Some(next), known);
            }
            (Step::Transcribe, CallEnd::Well) => {
                let words = if seq.0 % 4 == 0 { String::new() } else { format!("heard {seq}") };
                let heard = settled(step, StepOutcome::Heard { words, usage: None });
                self.advance(seq, heard, None, Some(Step::Complete), known);
            }
            (Step::Speak, CallEnd::Well) => {
                let audio = Audio::new(vec![7; 100]).unwrap();
                self.advance(seq, settled(step, StepOutcome::Spoken(audio)), None, Some(Step::Upload), known);
            }
            (Step::Upload, CallEnd::Well) => {
                let uploaded = settled(step, StepOutcome::Uploaded(format!("media {seq}").into()));
                let first = Step::Send(known.first);
                self.advance(seq, uploaded, None, Some(first), known);
            }
            (Step::Speak | Step::Upload, CallEnd::Refused) => {
                let refused = settled(step, StepOutcome::Failed(ErrorCode::status(422)));
                self.advance(seq, refused, None, None, known);
                self.fall_back(seq);
            }
            (Step::Transcribe | Step::Complete, CallEnd::Refused) => {
                let code = ErrorCode::status(500);
                let apology = Reply { failed: Some(failure(code.clone())), ..persona("sorry") };
                self.advance(
                    seq,
                    settled(step, StepOutcome::Failed(code)),
                    Some(apology),
                    Some(Step::Send(known.first)),
                    known,
                );
            }
            (Step::Send(part), CallEnd::Well) => self.part_sent(seq, part, known),
            (Step::Send(_), CallEnd::Refused) => {
                let code = ErrorCode::recorded("131047");
                let settle = settle(StepOutcome::Failed(code.clone()));
                self.finish(Finish { seq, now, settle, ending: Ending::Dead(code) });
            }
            (Step::Send(_), CallEnd::Unknown) => {
                self.hold(hold(RECONCILE, settle(StepOutcome::Unknown(ErrorCode::TIMEOUT))));
            }
            (_, CallEnd::Postponed | CallEnd::Unknown) => {
                self.hold(hold(5 * SECOND, settle(StepOutcome::Postponed(ErrorCode::status(503)))));
            }
            (_, CallEnd::Closed) => {
                let service = match step {
                    Step::Transcribe | Step::Complete => Service::OpenAi,
                    Step::Speak => Service::ElevenLabs,
                    Step::Upload | Step::Send(_) => Service::WhatsApp,
                };
                let settle = settle(StepOutcome::Postponed(ErrorCode::CIRCUIT_OPEN));
                self.hold(Hold { waits_for: Some(service), ..hold(HOUR, settle) });
            }
            (_, CallEnd::Drained) => self.hold(hold(Duration::ZERO, None)),
        }
    }

    /// The next part follows, or the end.
    fn part_sent(&mut self, seq: Seq, part: u32, known: Known) {
        let end = known.first + self.model.parts(seq);
        let next = (part + 1..end).find(|next| !known.ahead.contains(&(next - known.first)));
        let settle = self.sent(seq, part);
        if let Some(next) = next {
            self.advance(seq, settle, None, Some(Step::Send(next)), known);
        } else {
            self.finish(Finish { seq, now: self.world.now, settle: Some(settle), ending: DONE });
        }
    }

    fn advance(&mut self, seq: Seq, settle: Settle, reply: Option<Reply>, next: Option<Step>, known: Known) {
        let intent = next.and_then(|step| self.world.intent(step));
        let advance = Advance { seq, now: self.world.now, settle, reply, intent };
        let recorded = self.world.wait(self.world.ledger.advance(advance.clone()));
        assert_eq!(recorded, self.model.advance(&advance));
        if recorded == Recorded::Yes {
            next.into_iter().for_each(|step| self.call(seq, step, known.clone()));
        }
    }

    fn finish(&mut self, finish: Finish) {
        let finished = self.world.wait(self.world.ledger.finish(finish.clone()));
        assert_eq!(finished, self.model.finish(&finish));
    }

    fn fall_back(&mut self, seq: Seq) {
        let now = self.world.now;
        let recorded = self.world.wait(self.world.ledger.fall_back(seq, now));
        assert_eq!(recorded, self.model.fall_back(seq, now));
    }

    fn hold(&mut self, hold: Hold) {
        let held: Held = self.world.wait(self.world.ledger.hold(hold.clone()));
        assert_eq!(held, self.model.hold(&hold));
    }

    /// Everything that can be asked is answered as the model answers it.
    fn agrees(&self) {
        let (world, model, now) = (&self.world, &self.model, self.world.now);
        assert_eq!(world.due(), model.due(now));
        for (seq, part) in model.sends() {
            assert_eq!(world.wait(world.ledger.told_of(world.tag(seq, part))), model.told_of(seq, part));
        }
        for seq in model.rows() {
            assert_eq!(world.wait(world.ledger.audio(seq)), model.audio(seq));
        }
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

/// The same message as a voice note.
fn spoken_note(written: Inbound) -> Inbound {
    Inbound { kind: Kind::Voice, content: Content::Sound("1234".into()), ..written }
}

/// One to three parts, spoken or written, the same for a row each time.
fn answer_to(seq: Seq) -> Reply {
    let parts = ["one", "two", "three"];
    let count = usize::try_from(seq.0.rem_euclid(3)).unwrap() + 1;
    Reply { is_voice: seq.0 % 2 == 0, ..reply(&parts[..count]) }
}
