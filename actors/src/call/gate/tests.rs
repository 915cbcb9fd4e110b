//! With a clock that stands still: nothing here touches a socket or another thread.

use std::sync::atomic::{AtomicI64, Ordering};

use super::state::ELECTION_MAX;
use super::*;
use crate::call::circuit::CircuitState;
use crate::phase::Phase;

/// A wall clock that a test sets.
#[derive(Clone, Default)]
struct Hands(Arc<AtomicI64>);

impl Clock for Hands {
    fn now(&self) -> Millis {
        Millis(self.0.load(Ordering::Relaxed))
    }
}

const OPEN: Duration = Duration::from_secs(30);
const EVERY: Duration = Duration::from_secs(60);

struct Bench {
    gate: Gate,
    phase: PhaseWatch,
    _switch: watch::Sender<Phase>,
    news: watch::Receiver<()>,
    clock: Hands,
}

impl Bench {
    /// Time stands still from here on and leaps when everybody waits for it.
    fn new(calls_max: usize) -> Self {
        tokio::time::pause();
        let config = GateConfig {
            service: Service::WhatsApp,
            calls_max,
            circuit_failures: 2,
            circuit_open: OPEN,
            probe_every: EVERY,
            has_health_call: true,
        };
        let (switch, phase) = PhaseWatch::new();
        let news = watch::Sender::new(());
        let listener = news.subscribe();
        let stats = ChannelStats::new(Service::WhatsApp, true);
        let clock = Hands::default();
        let gate = Gate::new(config, Arc::new(clock.clone()), news, stats);
        Self { gate, phase, _switch: switch, news: listener, clock }
    }

    /// A call of this row that ends so; false if it was not let in.
    fn call(&self, seq: i64, ended: Result<(), Option<(Outcome, &ErrorCode)>>) -> bool {
        let Ok(Some(_entry)) = self.gate.try_enter(Seq(seq), None) else { return false };
        self.gate.take(Seq(seq)).unwrap().ended(ended);
        true
    }

    fn fails(&self, seq: i64) -> bool {
        self.call(seq, Err(Some((Outcome::Retry, &ErrorCode::TIMEOUT))))
    }

    fn works(&self, seq: i64) -> bool {
        self.call(seq, Ok(()))
    }

    fn is_paused_by(&self, seq: i64, cause: Cause) -> bool {
        self.call(seq, Err(Some((Outcome::Pause(cause), &quota()))))
    }

    fn circuit(&self) -> CircuitState {
        self.gate.stats().channel().circuit
    }

    /// Waits for the next news, without waiting for real.
    async fn told(&mut self) {
        self.news.changed().await.unwrap();
    }
}

fn quota() -> ErrorCode {
    ErrorCode::status(429).with_provider(Some("insufficient_quota"))
}

#[actix_rt::test]
async fn a_circuit_opens_lets_one_call_probe_and_closes() {
    let mut bench = Bench::new(8);
    assert!(bench.fails(1) && bench.fails(2));
    assert_eq!((bench.circuit(), bench.gate.shut()), (CircuitState::Open, Some(Shut::CircuitOpen)));
    assert!(!bench.works(3), "an open circuit uses up no attempt");
    bench.news.mark_unchanged();
    let opened = Instant::now();
    bench.told().await;
    assert_eq!(opened.elapsed().as_secs(), OPEN.as_secs(), "whoever waits is told when a probe is due");
    let probe = bench.gate.try_enter(Seq(3), None).unwrap().unwrap();
    assert_eq!(bench.circuit(), CircuitState::HalfOpen);
    assert!(!bench.works(4), "one at a time");
    bench.gate.take(Seq(3)).unwrap().ended(Ok(()));
    drop(probe);
    assert_eq!((bench.circuit(), bench.gate.shut()), (CircuitState::Closed, None));
    assert!(bench.works(4));
}

#[actix_rt::test]
async fn refusals_neither_count_nor_reset_and_as_a_probe_prove_nothing() {
    let bench = Bench::new(8);
    let refused = |seq| bench.call(seq, Err(Some((Outcome::GiveUp, &ErrorCode::NETWORK))));
    assert!(bench.fails(1) && refused(2) && bench.fails(3));
    assert_eq!(bench.circuit(), CircuitState::Open);
    tokio::time::advance(OPEN).await;
    assert!(refused(4));
    assert_eq!(bench.circuit(), CircuitState::Open);
    assert!(bench.works(5), "the next call is the probe");
    assert_eq!(bench.circuit(), CircuitState::Closed);
}

#[actix_rt::test]
async fn a_probe_that_fails_or_is_lost_leaves_it_open() {
    let bench = Bench::new(8);
    assert!(bench.fails(1) && bench.fails(2));
    tokio::time::advance(OPEN).await;
    assert!(bench.fails(3));
    tokio::time::advance(OPEN - Duration::from_millis(1)).await;
    assert!(!bench.works(4), "for as long again");
    tokio::time::advance(Duration::from_millis(1)).await;
    drop(bench.gate.try_enter(Seq(4), None).unwrap().unwrap());
    assert_eq!(bench.circuit(), CircuitState::Open, "a place that nobody took over proves nothing");
    assert!(bench.works(5));
}

#[actix_rt::test]
async fn a_pause_for_a_quota_is_probed_by_a_call_and_one_for_a_key_by_the_health_call() {
    let mut bench = Bench::new(8);
    assert!(bench.is_paused_by(1, Cause::Account));
    assert_eq!(bench.gate.shut(), Some(Shut::Paused { code: quota(), since: Millis(0) }));
    bench.gate.is_healthy();
    assert!(bench.gate.shut().is_some(), "a list of models says nothing about the quota");
    assert!(!bench.works(2), "between probes no call is made");
    bench.news.mark_unchanged();
    bench.told().await;
    assert!(bench.fails(2), "the probe");
    assert!(!bench.works(2));
    tokio::time::advance(EVERY).await;
    assert!(bench.works(2));
    assert_eq!(bench.gate.shut(), None);

    assert!(bench.is_paused_by(3, Cause::Credential));
    tokio::time::advance(EVERY * 3).await;
    assert!(!bench.works(4), "no call of a message finds out about a key");
    bench.gate.is_healthy();
    assert!(bench.works(4));
}

#[actix_rt::test]
async fn a_health_call_that_says_nothing_of_the_key_leaves_it_to_a_call() {
    let mut bench = Bench::new(8);
    assert!(bench.is_paused_by(1, Cause::Credential));
    bench.gate.health_says_nothing();
    assert!(!bench.works(2), "between probes no call is made");
    bench.news.mark_unchanged();
    bench.told().await;
    assert!(bench.works(2), "the probe");
    assert_eq!(bench.gate.shut(), None);
}

#[actix_rt::test]
async fn rows_that_wait_are_called_back_one_to_probe_and_then_all() {
    let bench = Bench::new(8);
    assert!(bench.is_paused_by(1, Cause::Account));
    bench.gate.row_waits();
    assert_eq!(bench.gate.calls_back(), None, "no probe is due");
    tokio::time::advance(EVERY).await;
    assert!(!bench.works(9), "a new message does not push in before those that wait");
    assert_eq!(bench.gate.calls_back(), Some(CallsBack::One));
    assert_eq!(bench.gate.calls_back(), None, "once at a time");
    bench.gate.called_back(CallsBack::One, Some((Some(Seq(5)), true)));
    assert!(!bench.works(9));
    assert!(bench.works(5));
    assert_eq!(bench.gate.calls_back(), Some(CallsBack::All));
    bench.gate.called_back(CallsBack::All, Some((Some(Seq(6)), false)));
    assert_eq!(bench.gate.calls_back(), Some(CallsBack::All), "there is more");
    bench.gate.called_back(CallsBack::All, Some((None, true)));
    assert_eq!(bench.gate.calls_back(), None);
}

#[actix_rt::test]
async fn a_row_that_was_called_and_does_not_come_is_not_waited_for_for_ever() {
    let bench = Bench::new(8);
    assert!(bench.is_paused_by(1, Cause::Account));
    bench.gate.row_waits();
    tokio::time::advance(EVERY).await;
    assert_eq!(bench.gate.calls_back(), Some(CallsBack::One));
    bench.gate.called_back(CallsBack::One, Some((Some(Seq(5)), true)));
    assert_eq!(bench.gate.calls_back(), None);
    tokio::time::advance(ELECTION_MAX).await;
    assert_eq!(bench.gate.calls_back(), Some(CallsBack::One));
    bench.gate.called_back(CallsBack::One, Some((None, true)));
    assert!(bench.works(9), "nobody waits after all: the next call is the probe");
}

#[actix_rt::test]
async fn whoever_waits_for_room_is_let_in_by_age() {
    let bench = Bench::new(1);
    let first = bench.gate.try_enter(Seq(1), None).unwrap().unwrap();
    let order = Rc::new(RefCell::new(Vec::new()));
    let tasks: Vec<_> = [7, 3, 5]
        .map(|seq| {
            let (gate, phase, order) = (bench.gate.clone(), bench.phase.clone(), order.clone());
            actix_rt::spawn(async move {
                let entry = gate.enter(Seq(seq), None, ROOM_MAX, &phase).await.ok().unwrap();
                order.borrow_mut().push(seq);
                drop(entry);
            })
        })
        .into();
    tokio::task::yield_now().await;
    assert_eq!(bench.gate.waiting(), 3);
    drop(first);
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(*order.borrow(), [3, 5, 7]);
}

#[actix_rt::test]
async fn whoever_waits_for_room_is_turned_away_when_the_gate_is_shut_or_the_wait_is_over() {
    let bench = Bench::new(1);
    let _first = bench.gate.try_enter(Seq(1), None).unwrap().unwrap();
    let answer = bench.gate.enter(Seq(2), None, ROOM_MAX, &bench.phase).await;
    assert!(matches!(answer, Err(None)), "there was no room");
    assert_eq!(bench.gate.waiting(), 0);
    let waits = bench.gate.enter(Seq(3), None, ROOM_MAX, &bench.phase);
    let (answer, ()) = tokio::join!(waits, async { bench.gate.pause(&quota(), Cause::Account, false) });
    assert!(matches!(answer, Err(Some(Shut::Paused { .. }))));
}

#[actix_rt::test]
async fn a_number_s_rate_makes_its_sends_wait_and_nobody_else_s() {
    let bench = Bench::new(500);
    let (ours, other) = (PhoneNumberId::from("1"), PhoneNumberId::from("2"));
    let mut entries = Vec::new();
    for seq in 0..80 {
        entries.push(bench.gate.try_enter(Seq(seq), Some(&ours)).unwrap().unwrap());
    }
    assert!(bench.gate.try_enter(Seq(80), Some(&ours)).unwrap().is_none());
    let began = Instant::now();
    let (late, prompt) = tokio::join!(
        bench.gate.enter(Seq(80), Some(&ours), ROOM_MAX, &bench.phase),
        bench.gate.enter(Seq(81), Some(&other), ROOM_MAX, &bench.phase),
    );
    assert!(late.is_ok() && prompt.is_ok());
    assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
}

#[actix_rt::test]
async fn who_was_calling_rows_back_and_is_gone_is_asked_again() {
    let bench = Bench::new(8);
    bench.gate.row_waits();
    assert_eq!(bench.gate.calls_back(), Some(CallsBack::All));
    assert_eq!(bench.gate.calls_back(), None);
    bench.gate.forget_calls();
    assert_eq!(bench.gate.calls_back(), Some(CallsBack::All));
    // A row that came to wait while the others were called is not forgotten over them.
    bench.gate.row_waits();
    bench.gate.called_back(CallsBack::All, Some((None, true)));
    assert_eq!(bench.gate.calls_back(), Some(CallsBack::All));
}

#[actix_rt::test]
async fn a_key_that_only_passes_the_health_call_stays_paused_from_where_it_began() {
    let bench = Bench::new(8);
    assert!(bench.is_paused_by(1, Cause::Credential));
    bench.clock.0.store(9_000, Ordering::Relaxed);
    bench.gate.is_healthy();
    assert!(bench.is_paused_by(2, Cause::Credential), "and is refused all the same");
    assert_eq!(bench.gate.shut(), Some(Shut::Paused { code: quota(), since: Millis(0) }));
    bench.gate.is_healthy();
    assert!(bench.gate.shut().is_some(), "the health call has been wrong before");
    tokio::time::advance(EVERY).await;
    assert!(bench.works(3), "a call ends it");
    assert!(bench.is_paused_by(4, Cause::Credential));
    assert_eq!(
        bench.gate.shut(),
        Some(Shut::Paused { code: quota(), since: Millis(9_000) }),
        "another pause"
    );
}

#[actix_rt::test]
async fn a_place_given_before_the_gate_was_shut_is_worth_nothing_after_it() {
    let bench = Bench::new(1);
    let entry = bench.gate.try_enter(Seq(1), None).unwrap().unwrap();
    bench.gate.pause(&quota(), Cause::Account, false);
    assert!(bench.gate.take(Seq(1)).is_none());
    drop(entry);
    tokio::time::advance(EVERY).await;
    assert!(bench.works(2), "and its room is free again");
}

#[actix_rt::test]
async fn the_probe_of_a_pause_that_works_closes_the_circuit_too() {
    let bench = Bench::new(8);
    assert!(bench.fails(1) && bench.fails(2));
    bench.gate.pause(&quota(), Cause::Account, false);
    tokio::time::advance(EVERY).await;
    assert!(bench.works(3));
    assert_eq!((bench.circuit(), bench.gate.shut()), (CircuitState::Closed, None));
}
