//! Signals: the first SIGTERM or SIGINT drains, a second ends the process at once; SIGHUP reads persona and secrets
//! anew.

use std::io;

use futures_util::{Stream, stream};
pub use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The two signals that ask the process to end.
pub struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    /// Takes over SIGTERM and SIGINT.
    ///
    /// # Errors
    /// If the system refuses to tell us of them.
    pub fn listen() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Resolves at the first signal; from then on a second one ends the process with 1.
    pub async fn first(mut self) {
        self.next().await;
        actix_rt::spawn(async move {
            self.next().await;
            leave_at_once();
        });
    }
}

/// Gives one for every SIGHUP.
///
/// # Errors
/// If the system refuses to tell us of it.
pub fn hangups() -> io::Result<impl Stream<Item = ()> + Unpin> {
    let signal = signal(SignalKind::hangup())?;
    Ok(Box::pin(stream::unfold(
        signal,
        |mut signal| async move { signal.recv().await.map(|()| ((), signal)) },
    )))
}

/// Tells systemd, if it started us and wants to know (`Type=notify`). Elsewhere this does nothing.
pub fn tell_systemd(state: &[NotifyState<'_>]) {
    // Nobody listens: nothing depends on it.
    let _ = sd_notify::notify(state);
}

#[expect(
    clippy::disallowed_methods,
    reason = "the operator has asked twice; recovery covers what is cut off"
)]
fn leave_at_once() {
    std::process::exit(1);
}
