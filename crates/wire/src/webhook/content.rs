//! What a message says, in words that a model can read.
//!
//! A note in brackets says what the words came with and that it cannot be seen. What makes no sense yet is
//! `Unclear`: the person then gets the persona's text for that, never silence.

use parlante_domain::message::Noted;
use parlante_domain::{Content, Kind};

use crate::json::{Fields, cut};

/// The most that is kept of one message. WhatsApp's own texts have at most 4,096 characters; a form or an
/// order may have more, but sixteen times as much can only be a mistake or an attack on the model's bill.
const WORDS_BYTES_MAX: usize = 64 * 1024;

/// The kind and content of a message of Meta's type `kind`, or why it is not answered.
pub(super) fn read(kind: &str, message: &Fields<'_>) -> Result<(Kind, Content), Noted> {
    let own = message.object(kind).unwrap_or_default();
    Ok(match kind {
        "text" => (Kind::Text, words(own.text("body"))),
        "audio" if own.is_true("voice") => (Kind::Voice, sound(&own)),
        "audio" => (Kind::Audio, sound(&own)),
        "image" => (Kind::Image, captioned("photo", &own)),
        "video" => (Kind::Video, captioned("video", &own)),
        "document" => (Kind::Document, captioned("document", &own)),
        "sticker" => (Kind::Sticker, Content::Unclear),
        "location" => (Kind::Location, words(location(&own))),
        "contacts" => (Kind::Contacts, words(contacts(message))),
        "button" => (Kind::Button, words(own.text("text").or_else(|| own.text("payload")))),
        "interactive" => (Kind::Interactive, words(interactive(&own))),
        "order" => (Kind::Order, words(order(&own))),
        "unsupported" => (Kind::Unsupported, Content::Unclear),
        "reaction" => return Err(Noted::Reaction),
        "system" => return Err(Noted::System),
        "edit" => return Err(Noted::Edit),
        "revoke" => return Err(Noted::Revoke),
        _ => return Err(Noted::UnknownType),
    })
}

fn words(text: Option<String>) -> Content {
    match text {
        Some(text) if !text.trim().is_empty() => Content::Words(cut(text, WORDS_BYTES_MAX)),
        _ => Content::Unclear,
    }
}

fn sound(media: &Fields<'_>) -> Content {
    media.id("id").map_or(Content::Unclear, |id| Content::Sound(id.into()))
}

fn captioned(thing: &str, media: &Fields<'_>) -> Content {
    let caption = filled(media, "caption");
    words(caption.map(|caption| format!("[{thing} that you cannot see] {caption}")))
}

fn location(place: &Fields<'_>) -> Option<String> {
    let told: Vec<String> =
        ["name", "address", "latitude", "longitude"].iter().filter_map(|name| filled(place, name)).collect();
    (!told.is_empty()).then(|| format!("[location] {}", told.join(", ")))
}

fn contacts(message: &Fields<'_>) -> Option<String> {
    let names: Vec<String> = message
        .objects("contacts")
        .filter_map(|contact| contact.object("name"))
        .filter_map(|name| filled(&name, "formatted_name").or_else(|| filled(&name, "first_name")))
        .collect();
    (!names.is_empty()).then(|| format!("[contact] {}", names.join(", ")))
}

fn interactive(reply: &Fields<'_>) -> Option<String> {
    let kind = reply.text("type")?;
    let own = reply.object(&kind)?;
    match kind.as_str() {
        "button_reply" | "list_reply" => {
            let title = filled(&own, "title")?;
            Some(match filled(&own, "description") {
                Some(description) => format!("{title} ({description})"),
                None => title,
            })
        }
        "nfm_reply" => form(&own.text("response_json")?),
        _ => None,
    }
}

/// A filled-in form: JSON within a string. The token is Meta's own and says nothing.
fn form(response: &str) -> Option<String> {
    let fields = Fields::parse(response)?;
    let filled: Vec<String> = fields
        .pairs()
        .filter(|(name, _)| *name != "flow_token")
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    (!filled.is_empty()).then(|| format!("[form] {}", filled.join("; ")))
}

fn order(order: &Fields<'_>) -> Option<String> {
    let items: Vec<String> = order
        .objects("product_items")
        .filter_map(|item| {
            let product = filled(&item, "product_retailer_id")?;
            Some(format!("{} x {product}", filled(&item, "quantity").unwrap_or_else(|| "1".to_owned())))
        })
        .collect();
    let told: Vec<String> = [Some(items.join(", ")), filled(order, "text")]
        .into_iter()
        .flatten()
        .filter(|part| !part.is_empty())
        .collect();
    (!told.is_empty()).then(|| format!("[order] {}", told.join("; ")))
}

/// A text that is more than blanks.
fn filled(fields: &Fields<'_>, name: &str) -> Option<String> {
    fields.text(name).filter(|text| !text.trim().is_empty())
}

#[cfg(test)]
mod tests;
