//! Webhooks on their way to the product: queued, posted, posted again until they are answered 200.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use actix_rt::time::sleep;
use awc::Client;
use bytes::Bytes;
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::Meta;
use super::records::Attempt;
use crate::clock;
use crate::happening::Happening;
use crate::script::draw_unit;

/// Webhooks that wait for an answer or for their next attempt: some 100 MB of bodies. More are dropped, and recorded
/// so.
pub(super) const WAITING_MAX: usize = 50_000;

/// How long the product may take to answer. Meta does not publish its own limit; third parties observed 5 to 20 s.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// The answer's body is of no interest; it is read so that the connection can be used again.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// A webhook that has not been answered 200 yet.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub(super) number: u64,
    pub(super) ids: Vec<String>,
    pub(super) status: Option<String>,
    pub(super) body: Bytes,
    pub(super) signature: Option<String>,
    /// Whether it is posted again until it is answered 200.
    pub(super) insist: bool,
    /// Times it has been posted.
    pub(super) attempts: usize,
}

/// In which order webhooks that were held back go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// As they were queued.
    Queued,
    /// The last one first.
    Reversed,
    /// Shuffled by a generator with this seed.
    Shuffled(u64),
}

impl Order {
    pub(super) fn arrange<T>(self, queue: &mut VecDeque<T>) {
        match self {
            Self::Queued => {}
            Self::Reversed => queue.make_contiguous().reverse(),
            Self::Shuffled(mut seed) => {
                for place in (1..queue.len()).rev() {
                    queue.swap(place, (draw_unit(&mut seed) * (place + 1) as f64) as usize);
                }
            }
        }
    }
}

/// A wish that only the stand-in's own thread, which has the HTTP client, can fulfil.
#[derive(Debug)]
pub(super) enum Command {
    /// The GET handshake with this token and challenge; the answer's status and body.
    Handshake { token: String, challenge: String, answer: oneshot::Sender<Result<(u16, String), String>> },
}

/// Posts what is queued until the sandbox ends.
pub(super) async fn run(meta: Meta, mut commands: mpsc::Receiver<Command>) {
    let client = Client::builder().timeout(ANSWER_TIMEOUT).disable_redirects().finish();
    let slots = Arc::new(Semaphore::new(meta.options.in_flight.max(1)));
    loop {
        tokio::select! {
            Some(Command::Handshake { token, challenge, answer }) = commands.recv() => {
                let (client, url) = (client.clone(), meta.webhook());
                actix_rt::spawn(async move {
                    // Nobody listens only if the asking test has given up.
                    let _ = answer.send(handshake(&client, url, &token, &challenge).await);
                });
            }
            (slot, waiting, url) = next(&meta, &slots) => {
                let (meta, client) = (meta.clone(), client.clone());
                actix_rt::spawn(async move {
                    let acknowledged = post(&meta, &client, &url, &waiting).await;
                    drop(slot);
                    settle(&meta, waiting, acknowledged).await;
                });
            }
        }
    }
}

async fn next(
    meta: &Meta,
    slots: &Arc<Semaphore>,
) -> (Option<tokio::sync::OwnedSemaphorePermit>, Waiting, String) {
    // None only if the semaphore were closed, which nobody does.
    let slot = Arc::clone(slots).acquire_owned().await.ok();
    loop {
        if let Some((waiting, url)) = meta.pop() {
            return (slot, waiting, url);
        }
        meta.ready.notified().await;
    }
}

async fn post(meta: &Meta, client: &Client, url: &str, waiting: &Waiting) -> bool {
    let at_ms = clock::now_ms();
    let mut request = client
        .post(url)
        .insert_header(("content-type", "application/json"))
        .insert_header(("user-agent", "facebookexternalua"));
    if let Some(signature) = &waiting.signature {
        request = request.insert_header(("x-hub-signature-256", signature.as_str()));
    }
    let answer = match request.send_body(waiting.body.clone()).await {
        Ok(mut response) => {
            let _ = response.body().limit(ANSWER_BYTES_MAX).await;
            Ok(response.status().as_u16())
        }
        Err(error) => Err(error.to_string()),
    };
    let took_ms = clock::now_ms().saturating_sub(at_ms);
    let acknowledged = answer == Ok(200);
    tell(meta, waiting, &answer, took_ms);
    meta.posted(waiting.number, Attempt { at_ms, took_ms, answer });
    acknowledged
}

fn tell(meta: &Meta, waiting: &Waiting, answer: &Result<u16, String>, took_ms: u64) {
    let ids = waiting.ids.clone();
    match (&waiting.status, ids.first()) {
        (None, _) => {
            let attempt = waiting.attempts + 1;
            meta.witness.tell(Happening::Posted { ids, attempt, answer: answer.clone(), took_ms });
        }
        (Some(status), Some(id)) if *answer == Ok(200) => {
            meta.witness.tell(Happening::StatusTold { id: id.clone(), status: status.clone() });
        }
        _ => {}
    }
}

/// After an attempt: done, or queued again after its wait.
async fn settle(meta: &Meta, mut waiting: Waiting, acknowledged: bool) {
    if acknowledged || !waiting.insist {
        meta.settled();
        return;
    }
    let waits = &meta.options.redelivery;
    if let Some(wait) = waits.get(waiting.attempts).or(waits.last()) {
        sleep(*wait).await;
    }
    waiting.attempts += 1;
    meta.push_back(waiting);
}

async fn handshake(
    client: &Client,
    url: Option<String>,
    token: &str,
    challenge: &str,
) -> Result<(u16, String), String> {
    let url = url.ok_or("no webhook is set")?;
    let query = [("hub.mode", "subscribe"), ("hub.challenge", challenge), ("hub.verify_token", token)];
    let request = client.get(url).query(&query).map_err(|error| error.to_string())?;
    let mut response = request.send().await.map_err(|error| error.to_string())?;
    let body = response.body().limit(ANSWER_BYTES_MAX).await.map_err(|error| error.to_string())?;
    Ok((response.status().as_u16(), String::from_utf8_lossy(&body).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_keep_everything_and_move_what_they_say() {
        let arranged = |order: Order| {
            let mut queue: VecDeque<_> = (0..20).collect();
            order.arrange(&mut queue);
            Vec::from(queue)
        };
        let queued: Vec<_> = (0..20).collect();
        assert_eq!(arranged(Order::Queued), queued);
        assert_eq!(arranged(Order::Reversed), (0..20).rev().collect::<Vec<_>>());
        let mut shuffled = arranged(Order::Shuffled(1));
        assert_eq!(shuffled, arranged(Order::Shuffled(1)));
        assert_ne!(shuffled, queued);
        shuffled.sort_unstable();
        assert_eq!(shuffled, queued);
    }
}
