//! Media: what the product uploads to send it, and what people sent for the product to fetch.
//!
//! Whoever has an id asks where the file is; the URL that comes back lives for minutes and wants the token again.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use serde_json::{Value, json};

use super::errors::GraphError;
use super::send::{Call, Verdict, product};
use super::status::Course;
use crate::audio;
use crate::clock;
use crate::digest::sha256_hex;
use crate::happening::Sound;
use crate::http::Reply;
use crate::ids;

/// The largest sound that may be uploaded, Meta's limit.
const UPLOAD_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How long a URL lives, as at Meta.
const URL_LIFE_MS: u64 = 5 * 60 * 1000;

/// Bytes of all files kept: thousands of voice notes of 20 kB, or some of the largest. The oldest leave.
const STORE_BYTES_MAX: usize = 256 * 1024 * 1024;

/// URLs kept: more than a busy test uses at once. If there are more, all of them expire.
const URLS_MAX: usize = 10_000;

/// The types of sound that may be uploaded.
const TYPES: [&str; 5] = ["audio/aac", "audio/amr", "audio/mpeg", "audio/mp4", "audio/ogg"];

/// The path of downloads; at Meta they have a host of their own.
pub(super) const DOWNLOADS: &str = "media-file";

/// A file at Meta.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media {
    /// The id by which it is looked up or sent.
    pub id: String,
    /// Its content.
    pub bytes: Bytes,
    /// Its type as it was told, parameters included.
    pub mime: String,
    /// The name that an upload gave it; empty for what a person sent.
    pub file_name: String,
}

/// Where the URL of a lookup leads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MediaHost {
    /// To the stand-in's own host and port.
    #[default]
    Own,
    /// To another port, which has the file too. Who must not send the token there does not get the file.
    Other,
    /// To the stand-in itself, which redirects to the other port.
    Redirect,
}

/// What a request changes if it takes effect.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Uploaded(Media),
    Deleted(String),
    /// The secret part of the URL that was used.
    Downloaded(String),
}

/// All files and the URLs given out for them.
#[derive(Debug, Default)]
pub(super) struct Store {
    files: BTreeMap<String, Media>,
    /// Ids, oldest first.
    order: VecDeque<String>,
    size: usize,
    urls: BTreeMap<String, Url>,
    pub(super) host: MediaHost,
    /// How often a URL given out from now on can be used.
    pub(super) downloads: Option<u32>,
}

#[derive(Clone, Debug)]
struct Url {
    media: String,
    dies_ms: u64,
    left: Option<u32>,
}

impl Store {
    pub(super) fn get(&self, id: &str) -> Option<&Media> {
        self.files.get(id)
    }

    pub(super) fn put(&mut self, media: Media) {
        self.remove(&media.id);
        self.size += media.bytes.len();
        self.order.push_back(media.id.clone());
        self.files.insert(media.id.clone(), media);
        while self.size > STORE_BYTES_MAX
            && let Some(oldest) = self.order.front().cloned()
        {
            self.remove(&oldest);
        }
    }

    fn remove(&mut self, id: &str) {
        if let Some(media) = self.files.remove(id) {
            self.size -= media.bytes.len();
            self.order.retain(|other| other != id);
        }
    }

    pub(super) fn apply(&mut self, change: Change) {
        match change {
            Change::Uploaded(media) => self.put(media),
            Change::Deleted(id) => self.remove(&id),
            Change::Downloaded(secret) => {
                if let Some(left) = self.urls.get_mut(&secret).and_then(|url| url.left.as_mut()) {
                    *left = left.saturating_sub(1);
                }
            }
        }
    }

    /// A new URL of a file, below `origin`.
    pub(super) fn url(&mut self, id: &str, origins: &Origins) -> String {
        let now = clock::now_ms();
        self.urls.retain(|_, url| url.is_alive(now));
        if self.urls.len() >= URLS_MAX {
            self.urls.clear();
        }
        let secret = ids::opaque("");
        let dies_ms = now + URL_LIFE_MS;
        self.urls.insert(secret.clone(), Url { media: id.into(), dies_ms, left: self.downloads });
        let origin = if self.host == MediaHost::Other { &origins.other } else { &origins.own };
        format!("{origin}/{DOWNLOADS}/{secret}?mid={id}&ext={}", dies_ms / 1000)
    }

    pub(super) fn expire_urls(&mut self) {
        self.urls.clear();
    }

    fn behind(&self, secret: &str) -> Option<&Media> {
        let url = self.urls.get(secret).filter(|url| url.is_alive(clock::now_ms()))?;
        self.get(&url.media)
    }
}

impl Url {
    fn is_alive(&self, now_ms: u64) -> bool {
        now_ms < self.dies_ms && self.left != Some(0)
    }
}

/// The stand-in's own origin, and that of the other host.
#[derive(Debug)]
pub(super) struct Origins {
    pub(super) own: String,
    pub(super) other: String,
}

/// Takes an upload: the form must be as Meta wants it.
///
/// # Errors
/// The error that Meta would answer.
pub(super) fn upload(call: &Call) -> Result<Verdict, GraphError> {
    product(call)?;
    let file = call.form.as_ref().and_then(|form| form.file.as_ref());
    let file = file.ok_or_else(|| GraphError::parameter("The parameter file is required."))?;
    let mime = call.field("type").ok_or_else(|| GraphError::parameter("The parameter type is required."))?;
    let refused = |details: &str| Err(GraphError::of(131_053).because(details));
    if file.name.is_empty() {
        return refused("The file has no name.");
    }
    if essence(mime) != essence(&file.kind) {
        return refused("The type of the file's part is not the type of the parameter type.");
    }
    if !TYPES.contains(&essence(mime)) {
        return refused(&format!("The type is none of {TYPES:?}."));
    }
    if file.bytes.is_empty() {
        return refused("The file is empty.");
    }
    if file.bytes.len() > UPLOAD_BYTES_MAX {
        return refused("The file is larger than 16 MB.");
    }
    let id = ids::digits();
    let media =
        Media { id: id.clone(), bytes: file.bytes.clone(), mime: mime.into(), file_name: file.name.clone() };
    Ok(Verdict::new(Reply::json(200, &json!({"id": id}))).changing(Change::Uploaded(media)))
}

/// Where a file is, or its deletion.
///
/// # Errors
/// The error that Meta would answer.
pub(super) fn lookup(store: &mut Store, origins: &Origins, call: &Call) -> Result<Verdict, GraphError> {
    let id = call.segments().get(1).copied().unwrap_or_default().to_owned();
    let asked_for = call.query.split('&').find_map(|pair| pair.strip_prefix("phone_number_id="));
    let is_ours = asked_for.is_none_or(|number| number == call.number);
    let Some(media) = store.get(&id).filter(|_| is_ours).cloned() else { return Err(call.unsupported(&id)) };
    if call.method == "DELETE" {
        let reply = Reply::json(200, &json!({"success": true}));
        return Ok(Verdict::new(reply).changing(Change::Deleted(id)));
    }
    let body = json!({
        "messaging_product": "whatsapp",
        "url": store.url(&id, origins),
        // Without parameters, as opposed to the webhook.
        "mime_type": essence(&media.mime),
        "sha256": sha256_hex(&media.bytes),
        "file_size": media.bytes.len().to_string(),
        "id": id,
    });
    Ok(Verdict::new(Reply::json(200, &body)))
}

/// A file's bytes; 404 whatever is wrong, as at Meta. `other` is whether it is the other host that is asked.
pub(super) fn download(
    store: &Store,
    origins: &Origins,
    call: &Call,
    authorized: bool,
    other: bool,
) -> Verdict {
    let secret = call.segments().get(1).copied().unwrap_or_default();
    match store.behind(secret).filter(|_| authorized) {
        Some(_) if store.host == MediaHost::Redirect && !other => {
            let target = format!("{}{}?{}", origins.other, call.path, call.query);
            Verdict::new(Reply::bytes(302, "text/plain", "").with_header("location", target))
        }
        Some(media) => {
            let reply = Reply::bytes(200, &media.mime, media.bytes.clone());
            Verdict::new(reply).changing(Change::Downloaded(secret.into()))
        }
        None => Verdict::new(Reply::bytes(404, "text/plain", "Not Found")),
    }
}

/// What a send of sound says about itself.
///
/// # Errors
/// The error that Meta would answer.
pub(super) fn sent(store: &Store, call: &Call) -> Result<SentAudio, GraphError> {
    let audio = call.json.get("audio").unwrap_or(&Value::Null);
    let is_voice = audio.get("voice").and_then(Value::as_bool).unwrap_or(false);
    let text = |name: &str| audio.get(name).and_then(Value::as_str);
    let media = match (text("id"), text("link")) {
        (Some(id), None) => store.get(id).ok_or_else(|| {
            GraphError::parameter(
                "Param audio['id'] is not a valid whatsapp business account media attachment ID",
            )
        })?,
        (None, Some(link)) => {
            let media_id = link.to_owned();
            return Ok(SentAudio { media_id, is_voice, mime: String::new(), ..SentAudio::default() });
        }
        _ => {
            return Err(GraphError::parameter(
                "Exactly one of the parameters audio['id'] and audio['link'] is required.",
            ));
        }
    };
    Ok(SentAudio {
        media_id: media.id.clone(),
        is_voice,
        mime: media.mime.clone(),
        file_name: media.file_name.clone(),
        sha256: sha256_hex(&media.bytes),
        words: audio::words(&media.bytes),
        bytes: media.bytes.clone(),
    })
}

/// A sound that the product sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SentAudio {
    /// The id of the upload; for a link, the link.
    pub media_id: String,
    /// Whether it was sent with `voice: true`.
    pub is_voice: bool,
    /// The type that the upload told; empty for a link.
    pub mime: String,
    /// The name that the upload gave it; empty for a link.
    pub file_name: String,
    /// The SHA-256 of the upload in lower-case hex; empty for a link.
    pub sha256: String,
    /// The words in its tags.
    pub words: Option<String>,
    /// The upload; empty for a link.
    pub bytes: Bytes,
}

impl SentAudio {
    /// Whether WhatsApp can play it: a voice note, and Ogg of any use, must be complete mono Opus.
    pub fn is_playable(&self) -> bool {
        let must_be_opus = self.is_voice || essence(&self.mime) == "audio/ogg";
        !must_be_opus || audio::is_voice_note(&self.bytes)
    }

    /// As the witness is told of it.
    pub(super) fn happening(&self, course: Course) -> Sound {
        Sound {
            media: self.media_id.clone(),
            is_voice: self.is_voice,
            is_playable: course.code().is_none(),
            bytes: self.bytes.clone(),
        }
    }

    /// As it shows among texts: `[voice] ` or `[audio] ` and its words.
    pub fn shown(&self) -> String {
        let kind = if self.is_voice { "voice" } else { "audio" };
        format!("[{kind}] {}", self.words.as_deref().unwrap_or_default())
    }
}

/// A type without its parameters.
fn essence(mime: &str) -> &str {
    mime.split_once(';').map_or(mime, |(essence, _)| essence).trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn media(id: &str, size: usize) -> Media {
        Media {
            id: id.into(),
            bytes: vec![0; size].into(),
            mime: "audio/ogg".into(),
            file_name: String::new(),
        }
    }

    #[test]
    fn the_oldest_files_leave_when_there_are_too_many_bytes() {
        let mut store = Store::default();
        store.put(media("old", STORE_BYTES_MAX / 2));
        store.put(media("new", STORE_BYTES_MAX / 2));
        assert!(store.get("old").is_some());
        store.put(media("old", 1));
        store.put(media("newest", 1));
        let kept = ["old", "new", "newest"].map(|id| store.get(id).is_some());
        assert_eq!((kept, store.size), ([true; 3], STORE_BYTES_MAX / 2 + 2));
        store.put(media("huge", STORE_BYTES_MAX / 2));
        let kept = ["old", "new", "newest", "huge"].map(|id| store.get(id).is_some());
        assert_eq!(kept, [true, false, true, true]);
    }
}
