//! Meta's deliveries: one signed body, up to a thousand messages and statuses, each read by itself.
//!
//! ```text
//! {"object": "whatsapp_business_account",
//!  "entry": [{"changes": [{"field": "messages",
//!                          "value": {"metadata": {…}, "contacts": […],
//!                                    "messages": […], "statuses": […]}}]}]}
//! ```
//! Every level stays JSON text until its own turn comes, so that a broken item costs only itself: Meta would
//! send a refused body again for seven days, the good messages in it would never be answered, and the broken
//! one would never be better.

mod contacts;
mod content;
mod mend;
mod message;
mod status;

use derive_more::{Display, Error};
use parlante_domain::message::Noted;
use parlante_domain::{Item, PhoneNumberId};
use serde_json::value::RawValue;

use crate::json::Fields;
use contacts::Contacts;
use message::Message;

/// How many items are taken from one body; Meta promises to send no more. What lies beyond is counted as
/// skipped: to refuse the body would bring it back, and back, and back.
pub const ITEMS_MAX: usize = 1000;

/// The body is not a JSON object, so it is no webhook of Meta's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display, Error)]
#[display("the body is not a JSON object")]
pub struct NotAnObject;

/// What one body holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Batch {
    /// In the body's order: of its entries, their changes, and within a change messages before statuses. At
    /// most [`ITEMS_MAX`].
    pub items: Vec<Item>,
    /// What changes nothing: statuses without a tag of ours, fields and products that we did not ask for,
    /// whatever cannot be read and is not a message, and what lies beyond [`ITEMS_MAX`].
    pub skipped: u32,
}

/// Takes a body apart. `ours`: the number that we answer for; `None` for any (development).
///
/// The caller bounds the body (3 MiB, Meta's own limit). A message without `metadata` counts as ours. An
/// object of another product, or one without a readable `entry`, is a batch without items.
///
/// # Errors
/// [`NotAnObject`] for anything else than one JSON object.
pub fn parse(body: &[u8], ours: Option<&PhoneNumberId>) -> Result<Batch, NotAnObject> {
    let text = mend::mend(body);
    let delivery = Fields::parse(&text).ok_or(NotAnObject)?;
    let mut reader = Reader { ours, batch: Batch::default() };
    reader.delivery(&delivery);
    Ok(reader.batch)
}

struct Reader<'o> {
    ours: Option<&'o PhoneNumberId>,
    batch: Batch,
}

impl Reader<'_> {
    fn delivery(&mut self, delivery: &Fields<'_>) {
        if delivery.text("object").as_deref() != Some("whatsapp_business_account") || !delivery.has("entry") {
            return self.skip(1);
        }
        for entry in self.elements(delivery, "entry") {
            match Fields::parse(entry.get()) {
                Some(entry) => self.entry(&entry),
                None => self.skip(1),
            }
        }
    }

    fn entry(&mut self, entry: &Fields<'_>) {
        for change in self.elements(entry, "changes") {
            let change = Fields::parse(change.get()).unwrap_or_default();
            let is_ours = change.text("field").as_deref() == Some("messages");
            match change.object("value") {
                Some(value) if is_ours => self.value(&value),
                _ => self.skip(1),
            }
        }
    }

    fn value(&mut self, value: &Fields<'_>) {
        let number = self.number(value);
        self.messages(value, number.as_ref().map_err(|reason| *reason));
        for status in self.elements(value, "statuses") {
            match status::read(status.get()) {
                Some(update) if number != Err(Noted::OtherNumber) => self.push(Item::Status(update)),
                _ => self.skip(1),
            }
        }
    }

    /// The number that a value is about, or why none of its messages is answered.
    fn number(&self, value: &Fields<'_>) -> Result<PhoneNumberId, Noted> {
        let told = value.object("metadata").and_then(|metadata| metadata.id("phone_number_id"));
        match (told.map(PhoneNumberId::from), self.ours) {
            (Some(told), Some(ours)) if told != *ours => Err(Noted::OtherNumber),
            (Some(told), _) => Ok(told),
            (None, Some(ours)) => Ok(ours.clone()),
            (None, None) => Err(Noted::Malformed),
        }
    }

    fn messages(&mut self, value: &Fields<'_>, number: Result<&PhoneNumberId, Noted>) {
        let mut elements = self.elements(value, "messages");
        self.skip(elements.len().saturating_sub(ITEMS_MAX));
        elements.truncate(ITEMS_MAX);
        let messages: Vec<Message<'_>> = elements.iter().map(|raw| Message::read(raw.get())).collect();
        let contacts = Contacts::read(value, &messages);
        for message in messages {
            self.push(message.item(number, &contacts));
        }
    }

    /// The elements of an array; a field that should be one and is not counts as skipped.
    fn elements<'a>(&mut self, fields: &Fields<'a>, name: &str) -> Vec<&'a RawValue> {
        let elements = fields.list(name);
        if elements.is_none() && fields.has(name) {
            self.skip(1);
        }
        elements.unwrap_or_default()
    }

    fn push(&mut self, item: Item) {
        if self.batch.items.len() < ITEMS_MAX {
            self.batch.items.push(item);
        } else {
            self.skip(1);
        }
    }

    fn skip(&mut self, count: usize) {
        self.batch.skipped = self.batch.skipped.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
