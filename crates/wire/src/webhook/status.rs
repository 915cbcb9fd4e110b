//! One element of `statuses`: how far a send of ours came.

use parlante_domain::{MessageId, Status, StatusUpdate, Tag};

use crate::json::Fields;

/// `None` for what changes nothing: no tag of ours, a word that we do not know, or unreadable.
pub(super) fn read(json: &str) -> Option<StatusUpdate> {
    let status = Fields::parse(json)?;
    let tag = Tag::parse(&status.text("biz_opaque_callback_data")?)?;
    let outcome = match status.text("status")?.as_str() {
        "sent" => Ok(Status::Sent),
        "delivered" => Ok(Status::Delivered),
        "read" => Ok(Status::Read),
        "played" => Ok(Status::Played),
        "failed" => Err(failure(&status)),
        _ => return None,
    };
    Some(StatusUpdate { tag, message_id: status.id("id").map(MessageId::from)?, outcome })
}

/// The code of the first error; where Meta gave none, the word `failed`.
fn failure(status: &Fields<'_>) -> String {
    status
        .objects("errors")
        .next()
        .and_then(|error| error.code("code"))
        .unwrap_or_else(|| "failed".to_owned())
}
