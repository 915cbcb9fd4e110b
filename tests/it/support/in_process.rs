//! The real server in a thread of this process, with a clock and faults of the test's own.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use parlante::real::{SystemClock, SystemRandomness};
use parlante::settings::{Settings, Source};
use parlante::{Seams, Server};
use parlante_domain::{Clock, Fault, Faults, Millis};
use tokio::sync::oneshot;

use super::log::{self, Log};
use super::{PATIENCE, World};

/// The system's clock, set forward at will.
#[derive(Clone, Default)]
pub(crate) struct TestClock(Arc<AtomicI64>);

impl TestClock {
    pub(crate) fn advance(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_millis()).expect("a short time"), Ordering::Relaxed);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Millis {
        Millis(SystemClock.now().0 + self.0.load(Ordering::Relaxed))
    }
}

/// What happens at a point.
#[derive(Clone)]
enum Wish {
    Panic,
    Give(Fault),
    /// Blocks the thread until the point is opened.
    Gate,
}

/// Faults by point: the next n passes, or all.
#[derive(Clone, Default)]
pub(crate) struct TestFaults(Arc<(Mutex<Wishes>, Condvar)>);

#[derive(Default)]
struct Wishes {
    wishes: HashMap<&'static str, (Wish, usize)>,
    passed: HashMap<&'static str, usize>,
}

impl TestFaults {
    /// Panics at the next `times` passes of `point`.
    pub(crate) fn panic(&self, point: &'static str, times: usize) {
        self.wish(point, Wish::Panic, times);
    }

    /// Gives `fault` at the next `times` passes of `point`.
    pub(crate) fn give(&self, point: &'static str, fault: Fault, times: usize) {
        self.wish(point, Wish::Give(fault), times);
    }

    /// Holds whoever passes `point` until it is opened.
    pub(crate) fn shut(&self, point: &'static str) {
        self.wish(point, Wish::Gate, usize::MAX);
    }

    pub(crate) fn open(&self, point: &'static str) {
        self.0.0.lock().expect("no poison").wishes.remove(point);
        self.0.1.notify_all();
    }

    /// Takes every wish back; whoever stands at a shut point goes on.
    fn clear(&self) {
        self.0.0.lock().expect("no poison").wishes.clear();
        self.0.1.notify_all();
    }

    /// How often `point` was passed.
    pub(crate) fn passed(&self, point: &str) -> usize {
        self.0.0.lock().expect("no poison").passed.get(point).copied().unwrap_or_default()
    }

    /// Waits until `point` has been passed `count` times; whoever stands at a shut one has passed it.
    pub(crate) async fn wait_passed(&self, point: &'static str, count: usize) {
        let faults = self.clone();
        let passed = tokio::task::spawn_blocking(move || {
            let few = |wishes: &mut Wishes| wishes.passed.get(point).copied().unwrap_or_default() < count;
            let wishes = faults.0.0.lock().expect("no poison");
            let (_wishes, waited) = faults.0.1.wait_timeout_while(wishes, PATIENCE, few).expect("no poison");
            !waited.timed_out()
        });
        assert!(passed.await.expect("a thread"), "`{point}` was passed {} times only", self.passed(point));
    }

    fn wish(&self, point: &'static str, wish: Wish, times: usize) {
        self.0.0.lock().expect("no poison").wishes.insert(point, (wish, times));
    }

    fn take(&self, point: &'static str) -> Option<Wish> {
        let mut wishes = self.0.0.lock().expect("no poison");
        *wishes.passed.entry(point).or_default() += 1;
        self.0.1.notify_all();
        let (wish, left) = wishes.wishes.get_mut(point).filter(|(_, left)| *left > 0)?;
        *left -= 1;
        Some(wish.clone())
    }
}

impl Faults for TestFaults {
    fn at(&self, point: &'static str) -> Option<Fault> {
        match self.take(point)? {
            Wish::Panic => panic!("fault at {point}"),
            Wish::Give(fault) => Some(fault),
            Wish::Gate => {
                let wishes = self.0.0.lock().expect("no poison");
                let _open = self.0.1.wait_while(wishes, |wishes| wishes.wishes.contains_key(point));
                None
            }
        }
    }
}

pub(crate) struct InProcess {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    faults: TestFaults,
    pub(crate) log: Log,
}

impl InProcess {
    pub(crate) async fn start(world: &World, clock: &TestClock, faults: &TestFaults) -> Self {
        let source = Source { config: None, dir: world.dir.path().to_owned(), env: world.environment() };
        let settings = Settings::load(source.clone()).unwrap_or_else(|error| panic!("{error}"));
        let seams = Seams {
            clock: Arc::new(clock.clone()),
            random: Arc::new(SystemRandomness::default()),
            faults: Arc::new(faults.clone()),
            sweep: Duration::from_millis(100),
            clean: world.clean,
        };
        let log = log::of_this_process();
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            actix_rt::System::new().block_on(async move {
                let server = Server::bind(settings, seams).await.expect("the server starts");
                tell.send(server.address()).expect("the test waits");
                let stop = async { drop(stopped.await) };
                let ended = server.run(stop, futures_util::stream::pending(), source).await;
                assert_eq!(ended, Ok(()));
            });
        });
        let address = told.await.expect("the server starts");
        Self { address, stop: Some(stop), thread: Some(thread), faults: faults.clone(), log }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

impl Drop for InProcess {
    fn drop(&mut self) {
        // A test that failed while a point was shut must not hang over it.
        self.faults.clear();
        drop(self.stop.take());
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(std::thread::panicking() || matches!(ended, Some(Ok(()))), "the server ended badly");
    }
}
