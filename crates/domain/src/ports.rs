//! What enters through constructors: time, randomness and faults.
//!
//! The binary hands in the real ones; tests hand in their own and drive the real server with them.

use std::time::Duration;

use crate::time::Millis;

/// Wall-clock time.
pub trait Clock: Send + Sync + 'static {
    /// Now, UTC.
    fn now(&self) -> Millis;
}

/// Randomness for jitter.
pub trait Random: Send + Sync + 'static {
    /// A number in `[0, 1)`.
    fn unit(&self) -> f64;
}

/// A fault that a test wants at a named point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The step fails as if the system below had failed.
    Fail,
    /// What the point would have done silently does not happen.
    Skip,
}

/// Named points at which a test may make the product fail. An implementation may also panic or block.
pub trait Faults: Send + Sync + 'static {
    /// Asked each time the code passes `point`; `None` lets it go on.
    fn at(&self, point: &'static str) -> Option<Fault>;
}

/// The product's own choice: no fault, ever.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoFaults;

impl Faults for NoFaults {
    fn at(&self, _point: &'static str) -> Option<Fault> {
        None
    }
}

/// Lengthens `wait` by up to a tenth. Jitter never shortens: a provider's own wait is a minimum.
#[must_use]
pub fn jittered(wait: Duration, random: &dyn Random) -> Duration {
    wait + wait.mul_f64(random.unit().clamp(0.0, 1.0) * 0.1)
}
