//! What people send: builders for the items of a webhook, and the webhook around them.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::media::Media;
use crate::digest::sha256_base64;
use crate::happening::Sound;
use crate::ids::{self, bsuid_of, wamid};
use crate::options::MetaOptions;
use crate::{audio, clock};

/// One message of a person, as it will stand in `messages[]`.
///
/// Built by kind, then bent: `Inbound::text("393331110001", "ciao").name("Lucia").no_phone()`. By default it
/// carries both of a person's addresses, phone and BSUID, and a fresh id and the present time.
#[derive(Clone, Debug)]
pub struct Inbound {
    /// The item, without `from` and `from_user_id`.
    item: Map<String, Value>,
    phone: Option<String>,
    bsuid: Option<String>,
    name: Option<String>,
    /// The business number it came to, if not the sandbox's own.
    number: Option<String>,
    /// Taken as it is: no sender is added, and no contact.
    raw: bool,
    /// What can be looked up and downloaded once the message is delivered.
    file: Option<Media>,
}

/// The sound of a message: bytes, which get an id of their own, or an id, which gets a usual sound.
#[derive(Clone, Debug)]
pub struct Attachment {
    id: Option<String>,
    bytes: Option<Bytes>,
}

impl From<&str> for Attachment {
    /// The id; the sound is [`audio::note`] for a voice note and [`audio::mp3`] for a file.
    fn from(id: &str) -> Self {
        Self { id: Some(id.into()), bytes: None }
    }
}

impl From<Bytes> for Attachment {
    fn from(bytes: Bytes) -> Self {
        Self { id: None, bytes: Some(bytes) }
    }
}

impl From<Vec<u8>> for Attachment {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl Inbound {
    /// A text.
    pub fn text(phone: &str, body: &str) -> Self {
        Self::kind(phone, "text", json!({"body": body}))
    }

    /// A recorded voice note: its bytes, or an id for [`audio::note`].
    pub fn voice(phone: &str, sound: impl Into<Attachment>) -> Self {
        Self::sound(phone, sound.into(), (audio::note, "audio/ogg; codecs=opus"), true)
    }

    /// An audio file, which is not a voice note: its bytes, or an id for [`audio::mp3`]. See [`Inbound::mime`].
    pub fn audio(phone: &str, sound: impl Into<Attachment>) -> Self {
        Self::sound(phone, sound.into(), (audio::mp3, "audio/mpeg"), false)
    }

    /// An image, perhaps with a caption.
    pub fn image(phone: &str, media: &str, caption: Option<&str>) -> Self {
        Self::media(phone, "image", "image/jpeg", media, caption)
    }

    /// A video, perhaps with a caption.
    pub fn video(phone: &str, media: &str, caption: Option<&str>) -> Self {
        Self::media(phone, "video", "video/mp4", media, caption)
    }

    /// A document.
    pub fn document(phone: &str, media: &str, filename: &str) -> Self {
        let mime = "application/pdf";
        Self::kind(
            phone,
            "document",
            json!({"id": media, "mime_type": mime, "sha256": SHA256, "filename": filename}),
        )
    }

    /// A sticker.
    pub fn sticker(phone: &str, media: &str) -> Self {
        let sticker = json!({"id": media, "mime_type": "image/webp", "sha256": SHA256, "animated": false});
        Self::kind(phone, "sticker", sticker)
    }

    /// A place.
    pub fn location(phone: &str, latitude: f64, longitude: f64, name: &str) -> Self {
        Self::kind(phone, "location", json!({"latitude": latitude, "longitude": longitude, "name": name}))
    }

    /// Another person's card.
    pub fn contacts(phone: &str, name: &str, number: &str) -> Self {
        let phones = json!([{"phone": number, "wa_id": number.trim_start_matches('+'), "type": "CELL"}]);
        let name = json!({"formatted_name": name, "first_name": name});
        let contact = json!({"name": name, "phones": phones, "origin": "other"});
        Self::kind(phone, "contacts", json!([contact]))
    }

    /// A tap on a template's quick-reply button.
    pub fn button(phone: &str, payload: &str, text: &str) -> Self {
        Self::kind(phone, "button", json!({"payload": payload, "text": text}))
    }

    /// A tap on one of our reply buttons.
    pub fn interactive(phone: &str, id: &str, title: &str) -> Self {
        let reply = json!({"type": "button_reply", "button_reply": {"id": id, "title": title}});
        Self::kind(phone, "interactive", reply)
    }

    /// An order from a catalogue.
    pub fn order(phone: &str, text: &str) -> Self {
        let item =
            json!({"product_retailer_id": "sku-1", "quantity": 2, "item_price": 7.5, "currency": "EUR"});
        Self::kind(phone, "order", json!({"catalog_id": "55", "text": text, "product_items": [item]}))
    }

    /// A reaction to one of our messages; `None` takes it back.
    pub fn reaction(phone: &str, target: &str, emoji: Option<&str>) -> Self {
        let mut reaction = json!({"message_id": target});
        if let Some(emoji) = emoji {
            reaction["emoji"] = emoji.into();
        }
        Self::kind(phone, "reaction", reaction)
    }

    /// Something that the Cloud API cannot show, such as a poll.
    pub fn unsupported(phone: &str) -> Self {
        let details = json!({"details": "Message type is currently not supported."});
        let title = "Message type unknown";
        let error = json!({"code": 131_051, "title": title, "message": title, "error_data": details});
        Self::kind(phone, "unsupported", json!({"type": "poll_creation"})).field("errors", json!([error]))
    }

    /// A correction of an earlier message.
    pub fn edit(phone: &str, original: &str, body: &str) -> Self {
        let message = json!({"context": {"id": "M0"}, "type": "text", "text": {"body": body}});
        Self::kind(phone, "edit", json!({"original_message_id": original, "message": message}))
    }

    /// An earlier message taken back.
    pub fn revoke(phone: &str, original: &str) -> Self {
        Self::kind(phone, "revoke", json!({"original_message_id": original}))
    }

    /// A text in a group.
    pub fn group(phone: &str, group: &str, body: &str) -> Self {
        Self::text(phone, body).field("group_id", group.into())
    }

    /// A notice of Meta: the person changed their number. Such items have no contact.
    pub fn changed_number(old: &str, new: &str) -> Self {
        let body = format!("User changed from {old} to {new}");
        let system = json!({"type": "user_changed_number", "body": body, "wa_id": new,
            "user_id": bsuid_of(new), "previous_user_id": bsuid_of(old)});
        let item = json!({"id": wamid(), "from": old, "timestamp": clock::now_s().to_string(),
            "type": "system", "system": system});
        Self::raw(item)
    }

    /// Any item, taken as it is: no sender, no contact and no id are added.
    pub fn raw(item: Value) -> Self {
        let item = match item {
            Value::Object(item) => item,
            // A broken item is a case too; it stands in `messages[]` as it is.
            other => Map::from_iter([(BARE.to_owned(), other)]),
        };
        Self { item, phone: None, bsuid: None, name: None, number: None, raw: true, file: None }
    }

    fn kind(phone: &str, kind: &str, content: Value) -> Self {
        let mut item = Map::new();
        item.insert("id".into(), wamid().into());
        item.insert("timestamp".into(), clock::now_s().to_string().into());
        item.insert("type".into(), kind.into());
        item.insert(kind.into(), content);
        Self {
            item,
            phone: Some(phone.into()),
            bsuid: Some(bsuid_of(phone)),
            name: None,
            number: None,
            raw: false,
            file: None,
        }
    }

    fn sound(phone: &str, sound: Attachment, (usual, mime): (fn() -> Bytes, &str), voice: bool) -> Self {
        let id = sound.id.unwrap_or_else(ids::digits);
        let bytes = sound.bytes.unwrap_or_else(usual);
        let audio = json!({"id": id, "mime_type": mime, "sha256": sha256_base64(&bytes), "voice": voice});
        let file = Media { id, bytes, mime: mime.into(), file_name: String::new() };
        Self { file: Some(file), ..Self::kind(phone, "audio", audio) }
    }

    fn media(phone: &str, kind: &str, mime: &str, media: &str, caption: Option<&str>) -> Self {
        let mut content = json!({"id": media, "mime_type": mime, "sha256": SHA256});
        if let Some(caption) = caption {
            content["caption"] = caption.into();
        }
        Self::kind(phone, kind, content)
    }

    /// Another BSUID than the phone's own.
    #[must_use]
    pub fn bsuid(mut self, bsuid: &str) -> Self {
        self.bsuid = Some(bsuid.into());
        self
    }

    /// Without a BSUID, as before spring 2026.
    #[must_use]
    pub fn no_bsuid(mut self) -> Self {
        self.bsuid = None;
        self
    }

    /// Without the phone, as from people who use a username.
    #[must_use]
    pub fn no_phone(mut self) -> Self {
        self.phone = None;
        self
    }

    /// The sender's profile name.
    #[must_use]
    pub fn name(mut self, name: &str) -> Self {
        self.name = Some(name.into());
        self
    }

    /// This id instead of a fresh one.
    #[must_use]
    pub fn id(self, id: &str) -> Self {
        self.field("id", id.into())
    }

    /// Written at this time, in seconds since 1970.
    #[must_use]
    pub fn at(self, seconds: u64) -> Self {
        self.field("timestamp", seconds.to_string().into())
    }

    /// In reply to one of our messages.
    #[must_use]
    pub fn context(self, id: &str) -> Self {
        self.field("context", json!({"id": id}))
    }

    /// Sent to this `phone_number_id`, which need not be ours.
    #[must_use]
    pub fn to_number(mut self, phone_number_id: &str) -> Self {
        self.number = Some(phone_number_id.into());
        self
    }

    /// Another type than a sound's usual one, in the webhook, at lookup and at download.
    #[must_use]
    pub fn mime(mut self, mime: &str) -> Self {
        if let Some(file) = &mut self.file {
            file.mime = mime.into();
        }
        self.set_in_audio("mime_type", mime);
        self
    }

    /// Sets any field of the item.
    #[must_use]
    pub fn field(mut self, name: &str, value: Value) -> Self {
        self.item.insert(name.into(), value);
        self
    }

    /// Its wamid; empty for a raw item that has none.
    pub fn wamid(&self) -> String {
        self.item.get("id").and_then(Value::as_str).unwrap_or_default().into()
    }

    /// The sender: the phone if it shows, else the BSUID; empty for a raw item.
    pub fn person(&self) -> &str {
        self.phone.as_deref().or(self.bsuid.as_deref()).unwrap_or_default()
    }

    /// The id of its sound; none for other messages.
    pub fn media_id(&self) -> Option<&str> {
        self.file.as_ref().map(|file| file.id.as_str())
    }

    pub(super) fn file(&self) -> Option<&Media> {
        self.file.as_ref()
    }

    pub(super) fn set_url(&mut self, url: &str) {
        self.set_in_audio("url", url);
    }

    fn set_in_audio(&mut self, name: &str, value: &str) {
        if let Some(Value::Object(audio)) = self.item.get_mut("audio") {
            audio.insert(name.into(), value.into());
        }
    }

    /// Its sound, as the witness is told of it.
    pub(super) fn sound_of(&self) -> Option<Sound> {
        let file = self.file.as_ref()?;
        let is_voice = self.item.get("audio").is_some_and(|audio| audio["voice"] == true);
        Some(Sound { media: file.id.clone(), is_voice, is_playable: true, bytes: file.bytes.clone() })
    }

    /// Its text, or what stands for it on the phone page.
    pub(crate) fn shown(&self) -> String {
        let body = self.item.get("text").and_then(|text| text.get("body")).and_then(Value::as_str);
        let kind = self.item.get("type").and_then(Value::as_str).unwrap_or("unknown");
        body.map_or_else(|| format!("[{kind}]"), String::from)
    }

    fn item(&self) -> Value {
        if let Some(bare) = self.item.get(BARE) {
            return bare.clone();
        }
        let mut item = self.item.clone();
        if !self.raw {
            let addresses = [("from", &self.phone), ("from_user_id", &self.bsuid)];
            item.extend(
                addresses.into_iter().filter_map(|(key, id)| Some((key.to_owned(), id.clone()?.into()))),
            );
        }
        Value::Object(item)
    }

    fn contact(&self) -> Option<Value> {
        if self.raw {
            return None;
        }
        let mut contact = json!({"profile": {"name": self.name.as_deref().unwrap_or("Iris Vale")}});
        for (key, id) in [("wa_id", &self.phone), ("user_id", &self.bsuid)] {
            if let Some(id) = id {
                contact[key] = id.as_str().into();
            }
        }
        Some(contact)
    }
}

/// Marks a raw item that is not even an object; no real field has this name.
const BARE: &str = "\0bare";

/// The hash of media that nobody downloads here; base64 of 32 bytes, as on the wire.
const SHA256: &str = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

/// The webhook with these items: entries, each of changes, each of items.
pub(crate) fn webhook(options: &MetaOptions, entries: &[Vec<Vec<Inbound>>]) -> Value {
    let entry = |changes: &Vec<Vec<Inbound>>| {
        let changes: Vec<_> = changes.iter().map(|items| change(options, items)).collect();
        json!({"id": options.business_account_id, "changes": changes})
    };
    json!({"object": "whatsapp_business_account", "entry": entries.iter().map(entry).collect::<Vec<_>>()})
}

fn change(options: &MetaOptions, items: &[Inbound]) -> Value {
    let number = items.iter().find_map(|item| item.number.as_deref());
    let mut value = metadata(options, number.unwrap_or(&options.phone_number_id));
    let mut contacts: Vec<Value> = Vec::new();
    for contact in items.iter().filter_map(Inbound::contact) {
        if !contacts.contains(&contact) {
            contacts.push(contact);
        }
    }
    if !contacts.is_empty() {
        value["contacts"] = contacts.into();
    }
    value["messages"] = items.iter().map(Inbound::item).collect::<Vec<_>>().into();
    json!({"field": "messages", "value": value})
}

/// The part of a change's value that is the same for messages and statuses.
pub(crate) fn metadata(options: &MetaOptions, phone_number_id: &str) -> Value {
    let metadata =
        json!({"display_phone_number": options.display_phone_number, "phone_number_id": phone_number_id});
    json!({"messaging_product": "whatsapp", "metadata": metadata})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only_change(items: Vec<Inbound>) -> Value {
        webhook(&MetaOptions::default(), &[vec![items]])["entry"][0]["changes"][0]["value"].clone()
    }

    #[test]
    fn a_text_carries_both_addresses_and_one_contact_per_person() {
        let ciao = Inbound::text("393331110001", "ciao").name("Lucia").id("wamid.A").at(1_795_000_000);
        let value = only_change(vec![ciao, Inbound::text("393331110001", "ci sei?").name("Lucia")]);
        let bsuid = bsuid_of("393331110001");
        let expected = json!({"id": "wamid.A", "from": "393331110001", "from_user_id": bsuid,
            "timestamp": "1795000000", "type": "text", "text": {"body": "ciao"}});
        assert_eq!(value["messages"][0], expected);
        assert_eq!(
            value["contacts"],
            json!([{"profile": {"name": "Lucia"}, "wa_id": "393331110001", "user_id": bsuid}])
        );
        assert_eq!(value["metadata"]["phone_number_id"], "700800900100201");
    }

    #[test]
    fn a_username_user_shows_no_phone_at_all() {
        let value = only_change(vec![Inbound::text("393331110001", "ciao").no_phone()]);
        assert!(!value.to_string().contains("393331110001"), "{value}");
    }

    #[test]
    fn a_raw_item_stays_as_it_is() {
        for raw in [json!({"type": "text"}), json!(17), json!(null)] {
            let value = only_change(vec![Inbound::raw(raw.clone())]);
            assert_eq!(value["messages"], json!([raw]));
            assert_eq!(value.get("contacts"), None);
        }
    }
}
