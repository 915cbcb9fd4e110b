//! Every kind of message, whole, bare and odd.

use serde_json::{Value, json};

use super::*;

/// A message of type `kind` whose own object is `own`.
fn says(kind: &str, own: &Value) -> Result<(Kind, Content), Noted> {
    let message = json!({"type": kind, kind: own}).to_string();
    read(kind, &Fields::parse(&message).unwrap())
}

fn holds(kind: Kind, words: &str) -> Result<(Kind, Content), Noted> {
    Ok((kind, Content::Words(words.to_owned())))
}

fn is_unclear(kind: &str, own: &Value) -> bool {
    matches!(says(kind, own), Ok((_, Content::Unclear)))
}

#[test]
fn a_text_is_its_body() {
    assert_eq!(says("text", &json!({"body": " ciao\n"})), holds(Kind::Text, " ciao\n"));
    assert!(is_unclear("text", &json!({"body": " \n"})));
}

#[test]
fn sound_is_a_voice_note_or_a_file() {
    let sound = |own| says("audio", &own);
    let heard = |kind| Ok((kind, Content::Sound("1".into())));
    assert_eq!(sound(json!({"id": "1", "voice": true})), heard(Kind::Voice));
    assert_eq!(sound(json!({"id": "1", "voice": false})), heard(Kind::Audio));
    assert_eq!(sound(json!({"id": 1})), heard(Kind::Audio));
    assert_eq!(sound(json!({"voice": true})), Ok((Kind::Voice, Content::Unclear)), "nothing to fetch");
    assert_eq!(sound(json!({"id": ""})), Ok((Kind::Audio, Content::Unclear)));
}

#[test]
fn a_picture_is_its_caption() {
    let captioned = json!({"id": "1", "filename": "a.pdf", "caption": "look"});
    assert_eq!(says("image", &captioned), holds(Kind::Image, "[photo that you cannot see] look"));
    assert_eq!(says("video", &captioned), holds(Kind::Video, "[video that you cannot see] look"));
    assert_eq!(says("document", &captioned), holds(Kind::Document, "[document that you cannot see] look"));
    for kind in ["image", "video", "document", "sticker"] {
        assert!(is_unclear(kind, &json!({"id": "1", "caption": ""})), "{kind}");
    }
}

#[test]
fn a_place_is_what_is_known_of_it() {
    let sol = json!({"latitude": 41.38, "longitude": 2.17, "name": "Café Sol", "address": "Carrer 1"});
    assert_eq!(says("location", &sol), holds(Kind::Location, "[location] Café Sol, Carrer 1, 41.38, 2.17"));
    let bare = json!({"latitude": -41.5, "longitude": "2"});
    assert_eq!(says("location", &bare), holds(Kind::Location, "[location] -41.5, 2"));
    assert!(is_unclear("location", &json!({})));
}

#[test]
fn contacts_are_their_names() {
    let contacts =
        json!([{"name": {"formatted_name": "Noa B. Ruiz"}}, {"name": {"first_name": "Leo"}}, {}, 7]);
    assert_eq!(says("contacts", &contacts), holds(Kind::Contacts, "[contact] Noa B. Ruiz, Leo"));
    assert!(is_unclear("contacts", &json!([])));
}

#[test]
fn a_button_is_its_text() {
    assert_eq!(says("button", &json!({"payload": "NO", "text": "Cancel"})), holds(Kind::Button, "Cancel"));
    assert_eq!(says("button", &json!({"payload": "NO"})), holds(Kind::Button, "NO"));
}

#[test]
fn a_choice_is_its_title() {
    let button = json!({"type": "button_reply", "button_reply": {"id": "yes-1", "title": "Yes"}});
    assert_eq!(says("interactive", &button), holds(Kind::Interactive, "Yes"));
    let list = json!({"type": "list_reply", "list_reply": {"title": "Evening", "description": "18:00"}});
    assert_eq!(says("interactive", &list), holds(Kind::Interactive, "Evening (18:00)"));
}

fn form(response: &str) -> Value {
    json!({"type": "nfm_reply", "nfm_reply": {"name": "flow", "body": "Sent", "response_json": response}})
}

#[test]
fn a_form_is_what_was_filled_in() {
    let response = r#"{"flow_token":"t-1","size":"L","extras":["bow"],"count":2}"#;
    let expected = r#"[form] count: 2; extras: ["bow"]; size: L"#;
    assert_eq!(says("interactive", &form(response)), holds(Kind::Interactive, expected));
    for nothing in ["", "[[", "[]", "{}", r#"{"flow_token":"t-1"}"#] {
        assert!(is_unclear("interactive", &form(nothing)), "{nothing}");
    }
}

#[test]
fn an_interactive_of_another_kind_is_unclear() {
    assert!(is_unclear(
        "interactive",
        &json!({"type": "call_permission_reply", "call_permission_reply": {}})
    ));
}

#[test]
fn an_order_is_its_items() {
    let items =
        json!([{"product_retailer_id": "sku-1", "quantity": 2}, {"product_retailer_id": "sku-2"}, {}]);
    let order = json!({"text": "please", "product_items": items});
    assert_eq!(says("order", &order), holds(Kind::Order, "[order] 2 x sku-1, 1 x sku-2; please"));
    assert_eq!(says("order", &json!({"text": "hm"})), holds(Kind::Order, "[order] hm"));
    assert!(is_unclear("order", &json!({"product_items": []})));
}

#[test]
fn what_whatsapp_does_not_pass_on_is_unclear() {
    assert_eq!(says("unsupported", &json!({"type": "gif"})), Ok((Kind::Unsupported, Content::Unclear)));
}

#[test]
fn a_known_kind_whose_own_object_is_missing_or_odd_is_still_answered() {
    let known =
        ["text", "audio", "image", "video", "document", "sticker", "location", "contacts", "interactive"];
    for kind in known.into_iter().chain(["button", "order", "unsupported"]) {
        for own in
            [json!(null), json!(7), json!("x"), json!([[]]), json!({"body": {}, "type": [], "caption": {}})]
        {
            let (read, content) = says(kind, &own).unwrap();
            assert_eq!(read.to_string(), kind);
            assert_eq!(content, Content::Unclear, "{kind} {own}");
        }
    }
}

#[test]
fn what_wants_no_answer_says_why() {
    let cases = [
        ("reaction", Noted::Reaction),
        ("system", Noted::System),
        ("edit", Noted::Edit),
        ("revoke", Noted::Revoke),
        ("unknown", Noted::UnknownType),
        ("hologram", Noted::UnknownType),
        ("", Noted::UnknownType),
        ("voice", Noted::UnknownType),
    ];
    for (kind, reason) in cases {
        assert_eq!(says(kind, &json!({"voice": true, "body": "x"})), Err(reason), "{kind}");
    }
}

#[test]
fn words_without_measure_are_cut_between_two_characters() {
    let body = json!({"body": format!("a{}", "è".repeat(40_000))});
    let kept = format!("a{}", "è".repeat(WORDS_BYTES_MAX / 2 - 1));
    assert_eq!(says("text", &body), holds(Kind::Text, &kept));
}
