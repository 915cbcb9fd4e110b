//! Who wrote: the sender's ids from the message itself, completed from the value's `contacts`.

use parlante_domain::{Bsuid, Phone, Sender};

use super::ITEMS_MAX;
use super::message::Message;
use crate::json::{Fields, cut};

/// The longest profile name that is kept. WhatsApp's own have some 25 characters.
const NAME_BYTES_MAX: usize = 256;
/// E.164 has at most 15 digits; a few more do no harm.
const PHONE_DIGITS_MAX: usize = 20;

/// The contacts of one value.
pub(super) struct Contacts {
    known: Vec<Sender>,
    /// There is one contact, and all messages that name a sender name the same one: they belong together even
    /// if they share no id, as when the message has the BSUID and the contact the phone.
    is_lone: bool,
}

impl Contacts {
    /// `messages`: those of the same value. Broken ones have no say, so that they change nothing for others.
    pub(super) fn read(value: &Fields<'_>, messages: &[Message<'_>]) -> Self {
        let known: Vec<Sender> =
            value.objects("contacts").take(ITEMS_MAX).map(|contact| read(&contact)).collect();
        let mut senders = messages
            .iter()
            .filter(|message| message.is_whole())
            .map(|message| (&message.phone, &message.bsuid))
            .filter(|(phone, bsuid)| phone.is_some() || bsuid.is_some());
        let first = senders.next();
        let is_lone = known.len() == 1 && senders.all(|sender| Some(sender) == first);
        Self { known, is_lone }
    }

    /// The sender of a message; `None` if neither it nor a contact gives an id.
    pub(super) fn sender(&self, message: &Message<'_>) -> Option<Sender> {
        let contact = self.of(message).cloned().unwrap_or_default();
        let sender = Sender {
            phone: message.phone.clone().or(contact.phone),
            bsuid: message.bsuid.clone().or(contact.bsuid),
            name: contact.name,
        };
        (sender.phone.is_some() || sender.bsuid.is_some()).then_some(sender)
    }

    fn of(&self, message: &Message<'_>) -> Option<&Sender> {
        let same_bsuid = |contact: &&Sender| contact.bsuid.is_some() && contact.bsuid == message.bsuid;
        let same_phone = |contact: &&Sender| contact.phone.is_some() && contact.phone == message.phone;
        let known = || self.known.iter();
        let lone = self.known.first().filter(|_| self.is_lone);
        known().find(same_bsuid).or_else(|| known().find(same_phone)).or(lone)
    }
}

fn read(contact: &Fields<'_>) -> Sender {
    Sender {
        phone: read_phone(contact, "wa_id"),
        bsuid: contact.id("user_id").map(Bsuid::from),
        name: contact
            .object("profile")
            .and_then(|profile| profile.text("name"))
            .filter(|name| !name.trim().is_empty())
            .map(|name| cut(name, NAME_BYTES_MAX)),
    }
}

/// Digits, a leading `+` cut; anything else is not a number that could be answered.
pub(super) fn read_phone(fields: &Fields<'_>, name: &str) -> Option<Phone> {
    let text = fields.text(name)?;
    let digits = text.strip_prefix('+').unwrap_or(&text);
    let is_phone =
        (1..=PHONE_DIGITS_MAX).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    is_phone.then(|| Phone::from(digits))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::{Item, parse};
    use super::*;

    /// Phone, BSUID and name of every message's sender; `None` for a message that cannot be answered.
    fn senders(contacts: &Value, messages: &[Value]) -> Vec<Option<[String; 3]>> {
        let mut messages = messages.to_vec();
        for message in &mut messages {
            let whole = json!({"id": "wamid.1", "timestamp": "1", "type": "text"});
            message.as_object_mut().unwrap().extend(whole.as_object().unwrap().clone());
        }
        let value = json!({"contacts": contacts, "messages": messages});
        let body = json!({"object": "whatsapp_business_account",
            "entry": [{"changes": [{"field": "messages", "value": value}]}]});
        let items = parse(body.to_string().as_bytes(), Some(&"1".into())).unwrap().items;
        items
            .into_iter()
            .map(|item| match item {
                Item::Message(inbound) => Some(inbound.sender),
                _ => None,
            })
            .map(|sender| sender.map(|sender| shown(&sender)))
            .collect()
    }

    fn shown(sender: &Sender) -> [String; 3] {
        let phone = sender.phone.as_ref().map_or("-", AsRef::as_ref);
        let bsuid = sender.bsuid.as_ref().map_or("-", AsRef::as_ref);
        [phone, bsuid, sender.name.as_deref().unwrap_or("-")].map(str::to_owned)
    }

    fn is(phone: &str, bsuid: &str, name: &str) -> Option<[String; 3]> {
        Some([phone, bsuid, name].map(str::to_owned))
    }

    fn contact(wa_id: Value, user_id: Value, name: &str) -> Value {
        json!({"wa_id": wa_id, "user_id": user_id, "profile": {"name": name}})
    }

    #[test]
    fn a_contact_is_matched_by_id_and_not_by_place() {
        let contacts = json!([
            contact(json!("2"), json!("US.2"), "Two"),
            contact(json!("1"), json!("US.1"), "One"),
            contact(Value::Null, json!("US.3"), "Three"),
        ]);
        let messages =
            [json!({"from": "1"}), json!({"from_user_id": "US.2"}), json!({"from_user_id": "US.3"})];
        let expected = [is("1", "US.1", "One"), is("2", "US.2", "Two"), is("-", "US.3", "Three")];
        assert_eq!(senders(&contacts, &messages), expected);
    }

    #[test]
    fn a_lone_contact_belongs_to_a_lone_sender() {
        let contacts = json!([contact(json!("1"), Value::Null, "One")]);
        let hidden = json!({"from_user_id": "US.1"});
        assert_eq!(senders(&contacts, std::slice::from_ref(&hidden)), [is("1", "US.1", "One")]);
        assert_eq!(
            senders(&contacts, &[hidden.clone(), hidden]),
            [is("1", "US.1", "One"), is("1", "US.1", "One")]
        );
        assert_eq!(senders(&contacts, &[json!({})]), [is("1", "-", "One")]);
    }

    #[test]
    fn two_people_are_never_taken_for_one() {
        let contacts = json!([contact(json!("1"), Value::Null, "One")]);
        let messages = [json!({"from": "1"}), json!({"from_user_id": "US.2"}), json!({"from": "3"})];
        assert_eq!(
            senders(&contacts, &messages),
            [is("1", "-", "One"), is("-", "US.2", "-"), is("3", "-", "-")]
        );
        let two = json!([contact(json!("1"), Value::Null, "One"), contact(json!("2"), Value::Null, "Two")]);
        assert_eq!(senders(&two, &[json!({"from_user_id": "US.1"})]), [is("-", "US.1", "-")]);
        assert_eq!(senders(&two, &[json!({})]), [None]);
    }

    #[test]
    fn without_contacts_the_message_speaks_for_itself() {
        for contacts in [json!(null), json!([]), json!([7]), json!("x")] {
            assert_eq!(
                senders(&contacts, &[json!({"from": "+1555", "from_user_id": "US.1"})]),
                [is("1555", "US.1", "-")]
            );
            assert_eq!(senders(&contacts, &[json!({})]), [None]);
        }
    }

    #[test]
    fn only_digits_are_a_phone() {
        for from in ["", "+", "++1", "1 555", "US.1", "٣٩", "123456789012345678901"] {
            assert_eq!(senders(&json!([]), &[json!({"from": from})]), [None], "{from}");
        }
    }

    #[test]
    fn a_name_is_a_name_or_nothing() {
        let named =
            |name: &str| senders(&json!([contact(json!("1"), Value::Null, name)]), &[json!({"from": "1"})]);
        assert_eq!(named("  "), [is("1", "-", "-")]);
        assert_eq!(named(&"è".repeat(200)), [is("1", "-", &"è".repeat(128))]);
    }
}
