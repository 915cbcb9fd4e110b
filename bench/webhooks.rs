//! Webhooks as Meta sends them, signed and laid out as whole HTTP requests before any clock runs.

use std::ops::Range;

use bytes::Bytes;
use parlante::real::SystemClock;
use parlante_domain::Clock;
use parlante_sandbox::{MetaOptions, bsuid_of, escape, sign};
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

/// Texts that one person writes, one after the other. Fewer than the backlog of ten, so that none is refused; few
/// enough that people who were never seen before, who cost more, are a good part of the load.
const TEXTS_PER_PERSON: usize = 5;

/// Requests with the texts of these numbers. A number always stands for the same person and id, and no two share an id.
pub(crate) fn requests(meta: &MetaOptions, numbers: Range<usize>) -> Vec<Bytes> {
    let written_at = SystemClock.now().0 / 1000;
    numbers.map(|number| request(meta, &webhook(meta, number, written_at))).collect()
}

fn request(meta: &MetaOptions, webhook: &Value) -> Bytes {
    let body = escape(&webhook.to_string(), true, false);
    let signature = sign(&meta.app_secret, body.as_bytes());
    let length = body.len();
    Bytes::from(format!(
        "POST /webhook HTTP/1.1\r\n\
         host: 127.0.0.1\r\n\
         accept: */*\r\n\
         user-agent: facebookexternalua\r\n\
         content-type: application/json\r\n\
         x-hub-signature-256: {signature}\r\n\
         content-length: {length}\r\n\
         \r\n\
         {body}"
    ))
}

fn webhook(meta: &MetaOptions, number: usize, written_at: i64) -> Value {
    let phone = format!("39333{:07}", number / TEXTS_PER_PERSON);
    let bsuid = bsuid_of(&phone);
    let message = json!({
        "from": phone,
        "from_user_id": bsuid,
        "id": wamid(number),
        "timestamp": written_at.to_string(),
        "type": "text",
        "text": {"body": format!("{number}: ehi Joe, perché il caffè qui costa più della benzina? Non è giusto 😅")},
    });
    let value = json!({
        "messaging_product": "whatsapp",
        "metadata": {
            "display_phone_number": meta.display_phone_number,
            "phone_number_id": meta.phone_number_id,
        },
        "contacts": [{"profile": {"name": "Iris Vale"}, "wa_id": phone, "user_id": bsuid}],
        "messages": [message],
    });
    json!({
        "object": "whatsapp_business_account",
        "entry": [{"id": meta.business_account_id, "changes": [{"field": "messages", "value": value}]}],
    })
}

/// As long as Meta's, and in no order that an index could profit from.
fn wamid(number: usize) -> String {
    let hash = digest(&SHA256, &number.to_be_bytes());
    let tail: String = hash.as_ref().iter().take(20).map(|byte| format!("{byte:02X}")).collect();
    format!("wamid.HBgMMzkz{tail}AA==")
}
