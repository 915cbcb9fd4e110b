use actix::{Handler, Message};

use super::*;

/// Answers how often it was asked since its last restart; panics on request.
#[derive(Default)]
struct Fragile {
    asked: u32,
}

#[derive(Message)]
#[rtype(result = "u32")]
struct Ask {
    panic: bool,
}

impl Actor for Fragile {
    type Context = Context<Self>;
}

impl Supervised for Fragile {
    fn restarting(&mut self, _: &mut Self::Context) {
        self.asked = 0;
    }
}

impl Handler<Ask> for Fragile {
    type Result = u32;

    fn handle(&mut self, ask: Ask, _: &mut Self::Context) -> u32 {
        assert!(!ask.panic, "asked to panic");
        self.asked += 1;
        self.asked
    }
}

fn post(restarts: &Restarts) -> Post {
    Post {
        actor: "fragile",
        user_id: UserId::default(),
        load: Load::default(),
        mailbox: 10,
        vital: true,
        restarts: restarts.clone(),
    }
}

/// A wall clock that stands.
struct At(i64);

impl Clock for At {
    fn now(&self) -> Millis {
        Millis(self.0)
    }
}

/// A paused clock: no thread and no socket takes part.
fn paused(test: impl Future<Output = ()>) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, test);
}

#[test]
fn a_panic_loses_only_the_message_in_progress() {
    paused(async {
        let restarts = Restarts::new(Arc::new(At(7)));
        let addr = start(post(&restarts), Fragile::default());
        assert_eq!(addr.send(Ask { panic: false }).await, Ok(1));
        let (bad, good) = (addr.send(Ask { panic: true }), addr.send(Ask { panic: false }));
        let (bad, good) = futures_util::future::join(bad, good).await;
        assert!(bad.is_err());
        assert_eq!(good, Ok(1), "the address survives, the queued message is answered, the state is new");
        assert_eq!(restarts.by_actor()["fragile"], Restarted { count: 1, last: Millis(7) });
    });
}

#[test]
fn the_budget_is_ten_in_a_minute() {
    paused(async {
        let restarts = Restarts::new(Arc::new(At(7)));
        let addr = start(post(&restarts), Fragile::default());
        for _ in 0..BUDGET {
            assert!(addr.send(Ask { panic: true }).await.is_err());
        }
        assert_eq!(addr.send(Ask { panic: false }).await, Ok(1), "ten are survived");
        assert!(addr.send(Ask { panic: true }).await.is_err());
        assert_eq!(restarts.gave_up().await, "fragile");
        assert!(!addr.connected());
    });
}

#[test]
fn old_restarts_do_not_count() {
    paused(async {
        let restarts = Restarts::new(Arc::new(At(7)));
        let addr = start(post(&restarts), Fragile::default());
        for _ in 0..2 * BUDGET {
            assert!(addr.send(Ask { panic: true }).await.is_err());
            actix_rt::time::sleep(BUDGET_WINDOW / 5).await;
        }
        assert_eq!(addr.send(Ask { panic: false }).await, Ok(1));
    });
}

#[test]
fn an_actor_without_addresses_ends() {
    paused(async {
        let restarts = Restarts::new(Arc::new(At(7)));
        let mut gone = post(&restarts);
        gone.load = Load::default();
        let addr = start(gone, Fragile::default());
        let weak = addr.downgrade();
        drop(addr);
        tokio::task::yield_now().await;
        assert!(weak.upgrade().is_none());
    });
}
