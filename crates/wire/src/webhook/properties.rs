//! Whatever the bytes: nothing panics, and no item has a say in how another one is read.

use parlante_domain::message::Noted;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn body(contacts: &Value, messages: &[String]) -> Vec<u8> {
    let messages = messages.join(",");
    format!(
        r#"{{"object":"whatsapp_business_account","entry":[{{"changes":[{{"field":"messages","value":
        {{"metadata":{{"phone_number_id":"1"}},"contacts":{contacts},"messages":[{messages}]}}}}]}}]}}"#
    )
    .into_bytes()
}

/// A message that can be read: any kind, under its phone, its BSUID or both.
fn good() -> impl Strategy<Value = String> {
    let kinds = prop::sample::select(vec![
        "text", "audio", "image", "sticker", "location", "button", "reaction", "edit",
    ]);
    (kinds, "[a-z]{1,8}", "\\PC{0,12}", 0..3_u8, 0..3_u8).prop_map(|(kind, id, words, person, ids)| {
        let mut message = json!({"id": id, "timestamp": "1795000000", "type": kind,
            kind: {"body": words, "text": words, "caption": words, "name": words, "voice": true}});
        if ids != 1 {
            message["from"] = json!(format!("1555000{person}"));
        }
        if ids != 2 {
            message["from_user_id"] = json!(format!("US.{person}"));
        }
        message.to_string()
    })
}

/// An element that is JSON and no readable message.
fn broken() -> impl Strategy<Value = String> {
    let fixed = prop::sample::select(vec![
        r#"7"#,
        r#"null"#,
        r#"[[[]]]"#,
        r#"{"id":"x","type":"text","timestamp":"1"}"#,
        r#"{"id":"x","type":"text","from":"15559999"}"#,
        r#"{"id":"x","timestamp":"1","from":"15559999"}"#,
        r#"{"type":"text","timestamp":"1","from":"15559999"}"#,
        r#"{"id":{},"type":"text","timestamp":"1","from":"15559999"}"#,
        r#"{"id":"\ud83d","from":{},"from_user_id":[]}"#,
        r#"{"id":"x","\ud83d":1e999,"from":true}"#,
    ]);
    prop_oneof![fixed.prop_map(str::to_owned), "\\PC{0,20}".prop_map(|text| json!(text).to_string())]
}

fn contacts() -> impl Strategy<Value = Value> {
    let one = (0..3_u8, any::<bool>()).prop_map(|(person, has_phone)| {
        let (name, id) = if has_phone {
            ("wa_id", format!("1555000{person}"))
        } else {
            ("user_id", format!("US.{person}"))
        };
        json!({name: id, "profile": {"name": format!("name {person}")}})
    });
    prop::collection::vec(one, 0..3).prop_map(|list| json!(list))
}

fn is_malformed(item: &Item) -> bool {
    matches!(item, Item::Noted { reason: Noted::Malformed, .. })
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = parse(&bytes, None);
    }

    #[test]
    fn no_damage_to_a_body_makes_it_panic(
        contacts in contacts(),
        messages in prop::collection::vec(good(), 1..4),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = body(&contacts, &messages);
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(batch) = parse(&bytes, Some(&"1".into())) {
            prop_assert!(batch.items.len() <= ITEMS_MAX);
        }
    }

    #[test]
    fn a_broken_message_never_changes_how_its_neighbours_are_read(
        contacts in contacts(),
        messages in prop::collection::vec(good(), 0..5),
        broken in prop::collection::vec((any::<prop::sample::Index>(), broken()), 1..4),
    ) {
        let alone = parse(&body(&contacts, &messages), None).unwrap();
        let mut mixed = messages;
        for (at, element) in broken {
            mixed.insert(at.index(mixed.len() + 1), element);
        }
        let together = parse(&body(&contacts, &mixed), None).unwrap();
        // The nameless one is readable where a lone contact can only be its sender.
        let neighbours = together.items.into_iter().filter(|item| !is_malformed(item) && !is_nameless(item));
        prop_assert_eq!(neighbours.collect::<Vec<_>>(), alone.items);
    }

    #[test]
    fn half_an_emoji_anywhere_in_the_words_costs_one_character(
        before in "[a-z]{0,5}",
        after in "[a-z]{0,5}",
        half in prop::sample::select(vec![r"\ud83d", r"\uDE00"]),
    ) {
        let message = |words: &str| format!(
            r#"{{"id":"1","from":"1555","timestamp":"1","type":"text","text":{{"body":"{words}"}}}}"#
        );
        let read = |words: &str| parse(&body(&json!([]), &[message("x"), message(words)]), None).unwrap();
        let with_half = read(&format!("{before}{half}{after}"));
        prop_assert_eq!(with_half, read(&format!("{before}\u{fffd}{after}")));
    }
}

/// The element of [`broken`] that lacks nothing but a sender. No good message has its id and its time.
fn is_nameless(item: &Item) -> bool {
    matches!(item, Item::Message(inbound) if inbound.id == "x".into() && inbound.sent_at.0 == 1000)
}
