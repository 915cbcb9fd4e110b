//! Calling back the rows that wait in the ledger for a provider: one to probe, then everyone, oldest first.

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};
use parlante_domain::Service;
use parlante_ledger::{LedgerError, Wake};

use super::actor::Dedup;
use crate::call::gate::CallsBack;
use crate::events;

/// Rows that one look calls back; the next look follows at once while there is more and room for it.
const RECALL_MAX: usize = 250;

impl Dedup {
    /// Listens for gates that open, and for probes that are due.
    pub(super) fn listen(&mut self, context: &mut Context<Self>) {
        let mut news = self.desk.news.clone();
        let heard = async move { news.changed().await.is_ok() };
        context.spawn(heard.into_actor(self).map(|more, dedup, context| {
            // The clients, which send the news, live as long as this arbiter.
            if more {
                dedup.desk.news.mark_unchanged();
                dedup.recall(context);
                dedup.listen(context);
            }
        }));
    }

    /// Asks every gate whether it wants rows called back.
    pub(super) fn recall(&mut self, context: &mut Context<Self>) {
        if self.desk.phase.draining() || self.start.is_alone() {
            return;
        }
        for service in Service::ALL {
            let Some(gate) = self.desk.gate(service) else { continue };
            let Some(calls) = gate.calls_back() else { continue };
            let most = if calls == CallsBack::One { 1 } else { RECALL_MAX };
            let released = self.ledger.release(service, self.desk.clock.now(), most);
            context.spawn(released.into_actor(self).map(move |released, dedup, context| {
                let is_last = dedup.called_back(service, calls, released, most);
                if !is_last {
                    dedup.recall(context);
                }
            }));
        }
    }

    /// True if nobody waits any more, or nobody can be called now.
    fn called_back(
        &mut self,
        service: Service,
        calls: CallsBack,
        released: Result<Vec<Wake>, LedgerError>,
        most: usize,
    ) -> bool {
        let Some(gate) = self.desk.gate(service).cloned() else { return true };
        let wakes = match released {
            Ok(wakes) => wakes,
            Err(failure) => {
                // The next sweep asks again.
                gate.called_back(calls, None);
                if !self.desk.phase.draining() {
                    events::ledger_unavailable(&failure);
                }
                return true;
            }
        };
        let is_last = wakes.len() < most;
        gate.called_back(calls, Some((wakes.first().map(|wake| wake.seq), is_last)));
        wakes.into_iter().for_each(|wake| self.directory.wake(wake));
        is_last || calls == CallsBack::One
    }
}
