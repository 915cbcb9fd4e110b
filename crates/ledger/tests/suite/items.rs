//! Messages and statuses, as the wire hands them over.

use parlante_domain::{Content, Inbound, Item, Kind, MessageId, Millis, Sender, Status, StatusUpdate, Tag};

/// The number of ours that every message comes to.
pub(crate) const OURS: &str = "106540352242922";

/// Someone who shows a number only.
pub(crate) fn phone(number: &str) -> Sender {
    Sender { phone: Some(number.into()), ..Sender::default() }
}

/// Someone who hides their number.
pub(crate) fn bsuid(id: &str) -> Sender {
    Sender { bsuid: Some(id.into()), ..Sender::default() }
}

/// Someone who shows both.
pub(crate) fn both(number: &str, id: &str) -> Sender {
    Sender { phone: Some(number.into()), bsuid: Some(id.into()), name: None }
}

/// A text whose words are its id, so that a row shows which message it is.
pub(crate) fn text(id: &str, sender: &Sender, sent_at: Millis) -> Inbound {
    Inbound {
        id: id.into(),
        number: OURS.into(),
        sender: sender.clone(),
        sent_at,
        kind: Kind::Text,
        content: Content::Words(id.to_owned()),
    }
}

/// A status webhook's item.
pub(crate) fn status(tag: Tag, outcome: Result<Status, &str>) -> Item {
    let message_id = format!("wamid.out.{}.{}", tag.seq, tag.part).into();
    status_of(tag, message_id, outcome)
}

/// The same, of a send that got this id.
pub(crate) fn status_of(tag: Tag, message_id: MessageId, outcome: Result<Status, &str>) -> Item {
    Item::Status(StatusUpdate { tag, message_id, outcome: outcome.map_err(str::to_owned) })
}
