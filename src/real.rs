//! The real clock, randomness and faults, which the binary hands to everything that takes them.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use parlante_domain::{Clock, Faults, Millis, Random};
use ring::rand::{SecureRandom, SystemRandom};

/// The system's wall clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is where time enters")]
    fn now(&self) -> Millis {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// The system's randomness.
#[derive(Debug)]
pub struct SystemRandomness(SystemRandom);

impl Default for SystemRandomness {
    fn default() -> Self {
        Self(SystemRandom::new())
    }
}

impl SystemRandomness {
    fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        // Without randomness a jitter of zero is right, and a token of zeros is refused by its user.
        let _ = self.0.fill(&mut bytes);
        bytes
    }

    /// Random lower-case hex digits, two per byte of the 16 drawn.
    #[must_use]
    pub fn token(&self) -> String {
        self.bytes::<16>().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl Random for SystemRandomness {
    fn unit(&self) -> f64 {
        f64::from(u32::from_le_bytes(self.bytes())) / (f64::from(u32::MAX) + 1.0)
    }
}

/// No faults, unless the binary was built with the feature `failpoints`: then those named in `FAILPOINTS`.
#[must_use]
pub fn faults() -> Arc<dyn Faults> {
    #[cfg(feature = "failpoints")]
    return Arc::new(failing::Failpoints::set());
    #[cfg(not(feature = "failpoints"))]
    Arc::new(parlante_domain::ports::NoFaults)
}

#[cfg(feature = "failpoints")]
mod failing {
    use parlante_domain::{Fault, Faults};
    use rustix::process::{Signal, getpid, kill_process};

    /// The points named in `FAILPOINTS`, in the form of the crate `fail`: `return`, `return(skip)`, `panic`,
    /// `sleep(ms)`; and `return(die)`, which ends the process on the spot.
    pub(super) struct Failpoints;

    impl Failpoints {
        pub(super) fn set() -> Self {
            // The points are the process's own and stay set to its end; dropping the scenario would unset them.
            std::mem::forget(fail::FailScenario::setup());
            Self
        }
    }

    impl Faults for Failpoints {
        fn at(&self, point: &'static str) -> Option<Fault> {
            fail::fail_point!(point, |wish| match wish.as_deref() {
                Some("skip") => Some(Fault::Skip),
                Some("die") => {
                    let _ = kill_process(getpid(), Signal::KILL);
                    Some(Fault::Fail)
                }
                _ => Some(Fault::Fail),
            });
            None
        }
    }
}
