//! Deliveries as Meta sends them, and as it should not.

use parlante_domain::message::Noted;
use parlante_domain::{Content, Kind, Millis, Sender, Seq, Status, Tag};
use parlante_domain::{Inbound, StatusUpdate};
use serde_json::{Value, json};

use super::*;

const OURS: &str = "700800900100201";

fn delivery(value: &Value) -> Value {
    json!({"object": "whatsapp_business_account",
        "entry": [{"id": "900100", "changes": [{"field": "messages", "value": value}]}]})
}

fn value(messages: Value) -> Value {
    json!({"messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "15550001111", "phone_number_id": OURS},
        "contacts": [{"profile": {"name": "Iris Vale"}, "wa_id": "15550002222", "user_id": "US.4410"}],
        "messages": messages})
}

/// A message of Iris, with whatever else is given.
fn message(more: Value) -> Value {
    let mut message = json!({"id": "wamid.1", "from": "15550002222", "timestamp": "1795000000"});
    message.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    message
}

fn text(id: &str) -> Value {
    message(json!({"id": id, "type": "text", "text": {"body": "ciao"}}))
}

fn read(body: &Value) -> Batch {
    parse(body.to_string().as_bytes(), Some(&OURS.into())).unwrap()
}

fn items(messages: Value) -> Vec<Item> {
    read(&delivery(&value(messages))).items
}

fn only(item: Value) -> Item {
    let mut items = items(json!([item]));
    assert_eq!(items.len(), 1);
    items.remove(0)
}

fn inbound(item: &Item) -> Option<&Inbound> {
    match item {
        Item::Message(inbound) => Some(inbound),
        _ => None,
    }
}

fn noted(id: &str, reason: Noted) -> Item {
    Item::Noted { id: Some(id.into()), reason }
}

fn malformed() -> Item {
    Item::Noted { id: None, reason: Noted::Malformed }
}

fn id(item: &Item) -> &str {
    match item {
        Item::Message(inbound) => inbound.id.as_ref(),
        Item::Noted { id, .. } => id.as_ref().map_or("none", AsRef::as_ref),
        Item::Status(update) => update.message_id.as_ref(),
    }
}

fn words(text: &str) -> Content {
    Content::Words(text.to_owned())
}

#[test]
fn a_text_is_read_whole() {
    let expected = Inbound {
        id: "wamid.1".into(),
        number: OURS.into(),
        sender: Sender {
            phone: Some("15550002222".into()),
            bsuid: Some("US.4410".into()),
            name: Some("Iris Vale".into()),
        },
        sent_at: Millis(1_795_000_000_000),
        kind: Kind::Text,
        content: words("hola, ¿qué tal? 😀"),
    };
    let item = message(json!({"type": "text", "text": {"body": "hola, ¿qué tal? 😀"}}));
    assert_eq!(only(item), Item::Message(expected));
}

#[test]
fn the_order_is_that_of_entries_changes_and_items() {
    let change = |first: &str, second: &str| {
        let value = value(json!([text(first), text(second)]));
        json!({"field": "messages", "value": value})
    };
    let body = json!({"object": "whatsapp_business_account", "entry": [
        {"changes": [change("1", "2"), change("3", "4")]},
        {"changes": [change("5", "6")]},
    ]});
    let ids: Vec<String> = read(&body).items.iter().map(|item| id(item).to_owned()).collect();
    assert_eq!(ids, ["1", "2", "3", "4", "5", "6"]);
}

#[test]
fn what_is_only_recorded() {
    assert_eq!(only(message(json!({"type": "reaction"}))), noted("wamid.1", Noted::Reaction));
    assert_eq!(
        only(json!({"id": "wamid.9", "timestamp": "1", "type": "system"})),
        noted("wamid.9", Noted::System)
    );
    let group = message(json!({"type": "text", "text": {"body": "hi all"}, "group_id": "g1"}));
    assert_eq!(only(group), noted("wamid.1", Noted::Group));
}

#[test]
fn numbers_will_do_where_strings_are_expected() {
    let value = json!({
        "metadata": {"phone_number_id": 700800900100201_u64},
        "contacts": [{"wa_id": 15550002222_u64, "profile": {"name": "Iris"}}],
        "messages": [{"id": 17, "from": 15550002222_u64, "timestamp": 1795000000, "type": "text",
            "text": {"body": 42}}],
    });
    let expected = Inbound {
        id: "17".into(),
        number: OURS.into(),
        sender: Sender { phone: Some("15550002222".into()), bsuid: None, name: Some("Iris".into()) },
        sent_at: Millis(1_795_000_000_000),
        kind: Kind::Text,
        content: words("42"),
    };
    assert_eq!(read(&delivery(&value)).items, [Item::Message(expected)]);
}

#[test]
fn a_broken_message_costs_only_itself_and_keeps_its_id() {
    let nameless = json!({"id": "x", "timestamp": "1", "type": "text", "text": {"body": "who am I?"}});
    let broken = [
        (json!(7), malformed()),
        (json!(null), malformed()),
        (json!([]), malformed()),
        (json!({}), malformed()),
        (message(json!({"id": null, "type": "text"})), malformed()),
        (message(json!({"id": {}, "type": "text"})), malformed()),
        (message(json!({"id": "", "type": "text"})), malformed()),
        (message(json!({"id": "x".repeat(513), "type": "text"})), malformed()),
        (message(json!({"id": "x"})), noted("x", Noted::Malformed)),
        (message(json!({"id": "x", "type": ["text"]})), noted("x", Noted::Malformed)),
        (message(json!({"id": "x", "type": "text", "timestamp": "soon"})), noted("x", Noted::Malformed)),
        (message(json!({"id": "x", "type": "text", "timestamp": null})), noted("x", Noted::Malformed)),
    ];
    for (item, expected) in broken {
        let items = items(json!([text("before"), item.clone(), text("after")]));
        assert_eq!(items.iter().map(id).collect::<Vec<_>>(), ["before", id(&expected), "after"], "{item}");
        assert_eq!(items[1], expected, "{item}");
    }
    let mut without_contacts = value(json!([text("before"), nameless, text("after")]));
    without_contacts["contacts"] = json!([]);
    let items = read(&delivery(&without_contacts)).items;
    assert_eq!(items[1], noted("x", Noted::Malformed));
    assert!(matches!((&items[0], &items[2]), (Item::Message(_), Item::Message(_))));
}

#[test]
fn half_an_emoji_is_read_and_spoils_nothing() {
    let mut body = delivery(&value(json!([text("1"), text("2"), text("3")]))).to_string();
    for words in ["caro", r"oh \ud83d", r"\ud83d\ude00"] {
        body = body.replacen("ciao", words, 1);
    }
    let batch = parse(body.as_bytes(), None).unwrap();
    let contents: Vec<&Content> = batch.items.iter().map(|item| &inbound(item).unwrap().content).collect();
    assert_eq!(contents, [&words("caro"), &words("oh \u{fffd}"), &words("😀")]);
}

#[test]
fn broken_utf8_spoils_nothing() {
    let body = delivery(&value(json!([text("1"), text("2")]))).to_string();
    let mut body = body.into_bytes();
    let at = body.windows(4).position(|four| four == b"ciao").unwrap();
    body[at] = 0xff;
    let batch = parse(&body, None).unwrap();
    assert_eq!(batch.items.iter().map(id).collect::<Vec<_>>(), ["1", "2"]);
}

#[test]
fn what_is_around_the_messages_may_be_broken_too() {
    let good = json!({"field": "messages", "value": value(json!([text("1")]))});
    let body = json!({"object": "whatsapp_business_account", "entry": [
        7,
        {"changes": 7},
        {"changes": [null, {"field": "messages"}, {"field": "messages", "value": []}]},
        {"changes": [{"field": 7, "value": {}}, good]},
        {},
        {"changes": [{"field": "messages", "value": {"contacts": 7, "messages": {}, "statuses": "x"}}]},
    ]});
    let batch = read(&body);
    assert_eq!(batch.items.iter().map(id).collect::<Vec<_>>(), ["1"]);
    assert_eq!(batch.skipped, 8);
}

#[test]
fn other_products_and_other_fields_change_nothing() {
    let mut page = delivery(&value(json!([text("1")])));
    page["object"] = json!("page");
    let mut calls = delivery(&value(json!([text("1")])));
    calls["entry"][0]["changes"][0]["field"] = json!("calls");
    for body in [page, calls, json!({}), json!({"object": "whatsapp_business_account"})] {
        assert_eq!(read(&body), Batch { items: vec![], skipped: 1 }, "{body}");
    }
    for entry in [json!(null), json!(7), json!("x"), json!({}), json!([7])] {
        let body = json!({"object": "whatsapp_business_account", "entry": entry});
        assert_eq!(read(&body), Batch { items: vec![], skipped: 1 }, "{body}");
    }
}

#[test]
fn only_one_json_object_is_a_delivery() {
    for body in ["", " ", "[]", "7", "null", "\"x\"", "{", "{} {}", "{\"entry\":}", "\u{feff}{}", "<html>"] {
        assert_eq!(parse(body.as_bytes(), None), Err(NotAnObject), "{body}");
    }
    assert_eq!(parse(b" {} \n", None).unwrap().items, []);
}

#[test]
fn a_message_to_another_number_is_noted_and_its_statuses_are_skipped() {
    let mut value = value(json!([text("1"), {"id": "2"}, 7]));
    value["metadata"]["phone_number_id"] = json!("999");
    value["statuses"] = json!([status("sent")]);
    let batch = read(&delivery(&value));
    let other = |id: Option<&str>| Item::Noted { id: id.map(Into::into), reason: Noted::OtherNumber };
    assert_eq!(batch, Batch { items: vec![other(Some("1")), other(Some("2")), other(None)], skipped: 1 });
}

#[test]
fn without_a_number_of_ours_the_one_it_came_to_is_kept() {
    let batch = parse(delivery(&value(json!([text("1")]))).to_string().as_bytes(), None).unwrap();
    assert_eq!(inbound(&batch.items[0]).unwrap().number, OURS.into());
}

#[test]
fn a_message_without_metadata_counts_as_ours() {
    let mut value = value(json!([text("1")]));
    value["metadata"] = json!(null);
    let batch = read(&delivery(&value));
    assert_eq!(inbound(&batch.items[0]).unwrap().number, OURS.into());
    let nobodys = parse(delivery(&value).to_string().as_bytes(), None).unwrap();
    assert_eq!(nobodys.items, [noted("1", Noted::Malformed)]);
}

#[test]
fn what_lies_beyond_the_bound_is_counted() {
    let many: Vec<Value> = (0..ITEMS_MAX + 2).map(|at| text(&at.to_string())).collect();
    let mut value = value(json!(many));
    value["statuses"] = json!([status("sent")]);
    let batch = read(&delivery(&value));
    assert_eq!((batch.items.len(), batch.skipped), (ITEMS_MAX, 3));
    assert_eq!(batch.items.last().map(id), Some("999"));
}

#[test]
fn depth_is_no_danger() {
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    let body = delivery(&value(json!([text("1"), text("2")]))).to_string();
    let body = body.replacen("{\"body\":\"ciao\"}", &deep, 1);
    let batch = parse(body.as_bytes(), None).unwrap();
    assert_eq!(batch.items.iter().map(id).collect::<Vec<_>>(), ["1", "2"]);
}

const TAG: &str = "00ff00ff00ff00ff.42.1";

fn status(word: &str) -> Value {
    json!({"id": "wamid.OUT1", "status": word, "timestamp": "1795000123", "recipient_id": "15550002222",
        "biz_opaque_callback_data": TAG})
}

fn statuses(list: Value) -> Batch {
    read(&delivery(&json!({"metadata": {"phone_number_id": OURS}, "statuses": list})))
}

#[test]
fn a_status_with_our_tag_tells_how_far_a_send_came() {
    let cases = [
        ("sent", Status::Sent),
        ("delivered", Status::Delivered),
        ("read", Status::Read),
        ("played", Status::Played),
    ];
    for (word, expected) in cases {
        let batch = statuses(json!([status(word)]));
        let tag = Tag { ledger: "00ff00ff00ff00ff".into(), seq: Seq(42), part: 1 };
        let update = StatusUpdate { tag, message_id: "wamid.OUT1".into(), outcome: Ok(expected) };
        assert_eq!(batch.items, [Item::Status(update)]);
    }
}

#[test]
fn a_failed_status_has_the_code_of_its_first_error() {
    let cases = [
        (json!([{"code": 131047, "title": "Re-engagement message"}, {"code": 1}]), "131047"),
        (json!([{"code": "131026"}]), "131026"),
        (json!([{"code": "a person's words"}]), "failed"),
        (json!([]), "failed"),
        (json!(7), "failed"),
        (json!(null), "failed"),
    ];
    for (errors, expected) in cases {
        let mut failed = status("failed");
        failed["errors"] = errors;
        let batch = statuses(json!([failed]));
        assert!(
            matches!(&batch.items[..], [Item::Status(update)] if update.outcome == Err(expected.into())),
            "{batch:?}"
        );
    }
}

#[test]
fn a_status_that_is_not_ours_or_not_readable_is_skipped() {
    let with = |name: &str, value: Value| {
        let mut status = status("sent");
        status[name] = value;
        status
    };
    let foreign = [
        with("biz_opaque_callback_data", json!(null)),
        with("biz_opaque_callback_data", json!("turn=8841;part=2")),
        with("biz_opaque_callback_data", json!({})),
        with("status", json!("warning")),
        with("status", json!(null)),
        with("id", json!(null)),
        json!(7),
    ];
    for one in foreign {
        let batch = statuses(json!([status("sent"), one, status("read")]));
        assert_eq!((batch.items.len(), batch.skipped), (2, 1));
    }
}

#[test]
fn messages_come_before_statuses_of_the_same_change() {
    let mut value = value(json!([text("1")]));
    value["statuses"] = json!([status("sent")]);
    let batch = read(&delivery(&value));
    assert_eq!(batch.items.iter().map(id).collect::<Vec<_>>(), ["1", "wamid.OUT1"]);
}
