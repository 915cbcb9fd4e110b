//! One element of `messages`: to be answered, or noted with the reason why not.

use parlante_domain::message::Noted;
use parlante_domain::{Bsuid, Inbound, MessageId, Millis, Phone, PhoneNumberId};

use super::Item;
use super::contacts::{Contacts, read_phone};
use super::content;
use crate::json::Fields;

/// A message, read as far as it says by itself.
pub(super) struct Message<'a> {
    fields: Fields<'a>,
    /// `from`, which people who hide their number do not have.
    pub(super) phone: Option<Phone>,
    /// `from_user_id`, which older payloads do not have.
    pub(super) bsuid: Option<Bsuid>,
}

impl<'a> Message<'a> {
    /// Of what is not an object only emptiness remains, which `item` then calls malformed.
    pub(super) fn read(json: &'a str) -> Self {
        let fields = Fields::parse(json).unwrap_or_default();
        let phone = read_phone(&fields, "from");
        let bsuid = fields.id("from_user_id").map(Bsuid::from);
        Self { fields, phone, bsuid }
    }

    /// Whether it says which message it is, when it was sent and of which type it is.
    pub(super) fn is_whole(&self) -> bool {
        self.id().is_some() && self.sent_at().is_some() && self.fields.has("type")
    }

    fn id(&self) -> Option<MessageId> {
        self.fields.id("id").map(MessageId::from)
    }

    /// Seconds since the epoch, as a string or as a number.
    fn sent_at(&self) -> Option<Millis> {
        self.fields.text("timestamp")?.parse().ok().map(Millis::from_secs)
    }

    /// `number`: which of our numbers it came to, or why nothing that came to it is answered.
    pub(super) fn item(&self, number: Result<&PhoneNumberId, Noted>, contacts: &Contacts) -> Item {
        let inbound = number.and_then(|number| self.inbound(number, contacts));
        inbound.map_or_else(|reason| Item::Noted { id: self.id(), reason }, Item::Message)
    }

    fn inbound(&self, number: &PhoneNumberId, contacts: &Contacts) -> Result<Inbound, Noted> {
        if self.fields.has("group_id") {
            return Err(Noted::Group);
        }
        // Before the sender: a system notice may have none.
        let kind = self.fields.text("type").ok_or(Noted::Malformed)?;
        let (kind, content) = content::read(&kind, &self.fields)?;
        Ok(Inbound {
            id: self.id().ok_or(Noted::Malformed)?,
            number: number.clone(),
            sender: contacts.sender(self).ok_or(Noted::Malformed)?,
            sent_at: self.sent_at().ok_or(Noted::Malformed)?,
            kind,
            content,
        })
    }
}
