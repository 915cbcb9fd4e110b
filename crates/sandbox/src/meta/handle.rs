//! What tests and the phone page do with Meta's stand-in: make people write, look, and wait.

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::oneshot;

use super::delivery::{Command, Order, WAITING_MAX, Waiting};
use super::inbound;
use super::media::{Media, MediaHost, SentAudio};
use super::records::{Attempt, Delivery, Records, Request};
use super::status::{self, Course, Outgoing};
use super::{Inbound, Meta, State};
use crate::escape::escape;
use crate::happening::Happening;
use crate::ids::{self, wamid};
use crate::options::MetaOptions;
use crate::script::Script;
use crate::signature::SignatureMode;
use crate::{PATIENCE, clock};

/// Where the stand-in is, and who is who.
impl Meta {
    /// `http://127.0.0.1:PORT`, to be used in the place of `https://graph.facebook.com`.
    pub fn base_url(&self) -> &str {
        &self.origins.own
    }

    /// Secrets and ids, as the product must know them at its start.
    pub fn options(&self) -> &MetaOptions {
        &self.options
    }

    /// From now on only this token is taken; the one before has expired, and is refused with 190.
    pub fn renew_access_token(&self, token: &str) {
        self.state.change(|state| state.access_token = token.to_owned());
    }

    /// What goes wrong.
    pub fn script(&self) -> &Script {
        &self.script
    }

    /// Sets where webhooks go. What was queued before goes out now.
    pub fn set_webhook(&self, url: &str) {
        self.state.change(|state| state.webhook = Some(url.into()));
        self.ready.notify_one();
    }

    /// The handshake with the right token and a fresh challenge.
    ///
    /// # Errors
    /// If the webhook does not answer 200 with exactly the challenge.
    pub async fn verify_webhook(&self) -> Result<(), String> {
        let challenge = clock::now_ms().to_string();
        match self.handshake(&self.options.verify_token, &challenge).await? {
            (200, body) if body == challenge => Ok(()),
            (status, body) => Err(format!("the webhook answered {status} with {body:?}")),
        }
    }

    /// The GET handshake with any token and challenge: the answer's status and body.
    ///
    /// # Errors
    /// If there was no answer.
    pub async fn handshake(&self, token: &str, challenge: &str) -> Result<(u16, String), String> {
        let (sender, answer) = oneshot::channel();
        let command = Command::Handshake { token: token.into(), challenge: challenge.into(), answer: sender };
        self.commands.send(command).await.map_err(|_| "the sandbox has stopped")?;
        answer.await.map_err(|_| "the sandbox has stopped")?
    }
}

/// People write.
impl Meta {
    /// One message in a webhook of its own, posted until it is answered 200. Returns its wamid.
    pub fn deliver(&self, message: Inbound) -> String {
        let id = message.wamid();
        self.deliver_nested(vec![vec![vec![message]]]);
        id
    }

    /// Several messages in one change of one webhook. Returns their wamids.
    pub fn deliver_batch(&self, messages: Vec<Inbound>) -> Vec<String> {
        self.deliver_nested(vec![vec![messages]])
    }

    /// One webhook of several entries, each of several changes, each of several messages. Returns their wamids.
    pub fn deliver_nested(&self, mut entries: Vec<Vec<Vec<Inbound>>>) -> Vec<String> {
        entries.iter_mut().flatten().flatten().for_each(|message| self.keep_file(message));
        let messages = || entries.iter().flatten().flatten();
        let ids: Vec<_> = messages().map(Inbound::wamid).collect();
        for message in messages() {
            let (id, phone) = (message.wamid(), message.person().into());
            let (text, sound) = (message.shown(), message.sound_of());
            self.witness.tell(Happening::Written { id, phone, text, sound });
        }
        let body = self.body(&inbound::webhook(&self.options, &entries));
        self.queue(ids.clone(), None, body, &SignatureMode::Right, true);
        ids
    }

    /// A message's file can be looked up from now on, and its URL stands in the webhook.
    fn keep_file(&self, message: &mut Inbound) {
        let Some(media) = message.file().cloned() else { return };
        let id = media.id.clone();
        let url = self.state.change(|state| {
            state.store.put(media);
            self.options.media_urls.then(|| state.store.url(&id, &self.origins))
        });
        if let Some(url) = url {
            message.set_url(&url);
        }
    }

    /// The same message in `times` webhooks of the same bytes, posted at once. Returns its wamid.
    pub fn deliver_times(&self, message: Inbound, times: usize) -> String {
        let id = self.deliver(message);
        for _ in 1..times {
            self.redeliver(&id);
        }
        id
    }

    /// The newest webhook with this message once more, the same bytes. False if there was none.
    pub fn redeliver(&self, id: &str) -> bool {
        let find = |records: &Records| {
            let told = |delivery: &&Delivery| delivery.status.is_none();
            records
                .deliveries_of(id)
                .rfind(told)
                .map(|delivery| (delivery.ids.clone(), delivery.body.clone()))
        };
        let Some((ids, body)) = self.look(find) else { return false };
        self.witness.tell(Happening::Again { ids: ids.clone() });
        self.queue(ids, None, body, &SignatureMode::Right, true);
        true
    }

    /// Any bytes, signed as said, posted once. Returns the delivery's number, for [`Meta::wait_posted`].
    pub fn deliver_raw(&self, body: impl Into<Bytes>, signature: &SignatureMode) -> u64 {
        let body = body.into();
        self.queue(ids_in(&body), None, body, signature, false)
    }

    /// The status of a message of ours, found by its wamid or its tag, accepted or not.
    ///
    /// # Errors
    /// If no send with this wamid or tag was seen.
    pub fn status(&self, wamid_or_tag: &str, status: &str, code: Option<u32>) -> Result<(), String> {
        let found = self.look(|records| {
            let is_it = |send: &&Request| {
                [&send.accepted, &send.tag].into_iter().flatten().any(|id| id == wamid_or_tag)
            };
            // Attempts of one send share a tag; the accepted one is the message that exists.
            let sends = || records.sends().filter(is_it);
            let send = sends().find(|send| send.accepted.is_some()).or_else(|| sends().next_back())?;
            let id = send.accepted.clone().unwrap_or_else(wamid);
            let course = Course::Usual;
            Some(Outgoing { id, person: send.person.clone()?, tag: send.tag.clone(), course })
        });
        let message = found.ok_or_else(|| format!("no send {wamid_or_tag:?} was seen"))?;
        self.queue_status(&message, status, code);
        Ok(())
    }

    /// Webhooks pile up from now on instead of going out.
    pub fn hold(&self) {
        self.state.change(|state| state.held = true);
    }

    /// What piled up goes out in this order, and later webhooks as they come. Strictly one after the other only if
    /// [`MetaOptions::in_flight`] is 1.
    pub fn release(&self, order: Order) {
        self.state.change(|state| {
            order.arrange(&mut state.queue);
            state.held = false;
        });
        self.ready.notify_one();
    }

    pub(super) fn queue_status(&self, message: &Outgoing, status: &str, code: Option<u32>) {
        let body = self.body(&status::webhook(&self.options, message, status, code));
        self.queue(vec![message.id.clone()], Some(status.into()), body, &SignatureMode::Right, true);
    }

    fn body(&self, webhook: &Value) -> Bytes {
        escape(&webhook.to_string(), self.options.escaped_unicode, self.options.escaped_slashes).into()
    }
}

/// Files.
impl Meta {
    /// The origin of the other host of media, see [`MediaHost`].
    pub fn other_host(&self) -> &str {
        &self.origins.other
    }

    /// Where the URLs lead that are given out from now on.
    pub fn media_host(&self, host: MediaHost) {
        self.state.change(|state| state.store.host = host);
    }

    /// All URLs given out so far have expired: they answer 404, and a new lookup gives a new one.
    pub fn expire_urls(&self) {
        self.state.change(|state| state.store.expire_urls());
    }

    /// URLs given out from now on expire after so many downloads; `None`: after five minutes only, as at Meta. With
    /// `Some(0)` they have expired before they can be used.
    pub fn expire_urls_after(&self, downloads: Option<u32>) {
        self.state.change(|state| state.store.downloads = downloads);
    }

    /// Keeps a file, as if somebody had sent it; the id by which it can be looked up.
    pub fn keep_media(&self, bytes: impl Into<Bytes>, mime: &str) -> String {
        let id = ids::digits();
        let (bytes, mime) = (bytes.into(), mime.into());
        let media = Media { id: id.clone(), bytes, mime, file_name: String::new() };
        self.state.change(|state| state.store.put(media));
        id
    }

    /// The file of this id, uploaded or sent by a person.
    pub fn media(&self, id: &str) -> Option<Media> {
        self.state.read(|state| state.store.get(id).cloned())
    }
}

/// The queue, as the posting task sees it.
impl Meta {
    fn queue(
        &self,
        ids: Vec<String>,
        status: Option<String>,
        body: Bytes,
        mode: &SignatureMode,
        insist: bool,
    ) -> u64 {
        let signature = mode.header(&self.options.app_secret, &body);
        let number = self.state.change(|state| {
            let dropped = state.unsettled >= WAITING_MAX;
            let number = state.records.deliveries.push(|number| Delivery {
                number,
                at_ms: clock::now_ms(),
                ids: ids.clone(),
                status: status.clone(),
                body: body.clone(),
                attempts: Vec::new(),
                dropped,
            });
            if !dropped {
                state.unsettled += 1;
                state.queue.push_back(Waiting { number, ids, status, body, signature, insist, attempts: 0 });
            }
            number
        });
        self.ready.notify_one();
        number
    }

    pub(super) fn webhook(&self) -> Option<String> {
        self.state.read(|state| state.webhook.clone())
    }

    pub(super) fn pop(&self) -> Option<(Waiting, String)> {
        self.state.change(|state| {
            let url = state.webhook.clone().filter(|_| !state.held)?;
            Some((state.queue.pop_front()?, url))
        })
    }

    pub(super) fn push_back(&self, waiting: Waiting) {
        self.state.change(|state| state.queue.push_back(waiting));
        self.ready.notify_one();
    }

    pub(super) fn posted(&self, number: u64, attempt: Attempt) {
        self.state.change(|state| {
            if let Some(delivery) = state.records.deliveries.get_mut(number) {
                delivery.attempts.push(attempt);
            }
        });
    }

    pub(super) fn settled(&self) {
        self.state.change(|state| state.unsettled -= 1);
    }
}

/// Looking and waiting.
impl Meta {
    /// Looks at everything remembered.
    pub fn look<R>(&self, look: impl FnOnce(&Records) -> R) -> R {
        self.state.read(|state| look(&state.records))
    }

    /// All requests so far, in order of arrival.
    pub fn requests(&self) -> Vec<Request> {
        self.look(|records| records.requests().cloned().collect())
    }

    /// All sends so far, accepted or not.
    pub fn sends(&self) -> Vec<Request> {
        self.look(|records| records.sends().cloned().collect())
    }

    /// All webhooks so far, in order of queueing.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.look(|records| records.deliveries().cloned().collect())
    }

    /// What this person got, in the order in which Meta accepted it; see [`Records::answers_to`].
    pub fn answers_to(&self, person: &str) -> Vec<String> {
        self.look(|records| records.answers_to(person))
    }

    /// The voice notes that this person got, in the order in which Meta accepted them.
    pub fn voices_to(&self, person: &str) -> Vec<SentAudio> {
        self.look(|records| records.voices_to(person))
    }

    /// Webhooks that are not yet answered 200.
    pub fn unsettled(&self) -> usize {
        self.state.read(|state| state.unsettled)
    }

    /// Forgets the requests and the webhooks; what is under way stays under way.
    pub fn forget(&self) {
        self.state.change(|state| {
            state.records.requests.clear();
            state.records.deliveries.clear();
        });
    }

    /// Waits until `seek` finds what it wants among the records.
    ///
    /// # Errors
    /// After `timeout`, with a summary of what was seen.
    pub async fn wait<R>(
        &self,
        seek: impl Fn(&Records) -> Option<R>,
        timeout: Duration,
    ) -> Result<R, String> {
        let summary = |state: &State| state.records.summary();
        self.state.wait(|state| seek(&state.records), timeout, summary).await
    }

    /// Waits until at least `count` sends to this person have arrived, accepted or not.
    ///
    /// # Errors
    /// After [`PATIENCE`], with a summary of what was seen.
    pub async fn wait_sends(&self, person: &str, count: usize) -> Result<Vec<Request>, String> {
        let enough = |records: &Records| {
            (records.sends_to(person).count() >= count).then(|| records.sends_to(person).cloned().collect())
        };
        self.wait(enough, PATIENCE).await
    }

    /// Waits until this person has got at least `count` texts or sounds.
    ///
    /// # Errors
    /// After [`PATIENCE`], with a summary of what was seen.
    pub async fn wait_answers(&self, person: &str, count: usize) -> Result<Vec<String>, String> {
        self.wait(|records| Some(records.answers_to(person)).filter(|texts| texts.len() >= count), PATIENCE)
            .await
    }

    /// Waits until a webhook with this message was answered 200.
    ///
    /// # Errors
    /// After [`PATIENCE`], with a summary of what was seen.
    pub async fn wait_acknowledged(&self, id: &str) -> Result<Delivery, String> {
        self.wait(
            |records| records.deliveries_of(id).find(|delivery| delivery.acknowledged()).cloned(),
            PATIENCE,
        )
        .await
    }

    /// Waits until this delivery was posted at least once; its first attempt.
    ///
    /// # Errors
    /// After [`PATIENCE`], with a summary of what was seen.
    pub async fn wait_posted(&self, number: u64) -> Result<Attempt, String> {
        let first = |records: &Records| {
            records.deliveries().rfind(|delivery| delivery.number == number)?.attempts.first().cloned()
        };
        self.wait(first, PATIENCE).await
    }

    /// Waits until every webhook was answered 200.
    ///
    /// # Errors
    /// After [`PATIENCE`], with a summary of what was seen.
    pub async fn wait_settled(&self) -> Result<(), String> {
        let settled = |state: &State| (state.unsettled == 0).then_some(());
        self.state.wait(settled, PATIENCE, |state| state.records.summary()).await
    }
}

/// The ids of the messages in a body, as far as it can be read.
fn ids_in(body: &[u8]) -> Vec<String> {
    let webhook: Value = serde_json::from_slice(body).unwrap_or_default();
    let list =
        |value: &Value, key: &str| value.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    let changes = list(&webhook, "entry").into_iter().flat_map(|entry| list(&entry, "changes"));
    let messages = changes.flat_map(|change| list(change.get("value").unwrap_or(&Value::Null), "messages"));
    messages.filter_map(|message| message.get("id").and_then(Value::as_str).map(String::from)).collect()
}
