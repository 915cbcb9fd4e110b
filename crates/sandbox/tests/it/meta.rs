//! The stand-in of Meta, over real sockets: sends and their errors, webhooks and their redelivery, every fault.

use std::time::Duration;

use crate::support::{End, Expect, Webhook, body_of, messages_url, read_and_type, send, text_to, wire};
use parlante_sandbox::{
    Answer, Fault, Inbound, Meta, Options, Order, PATIENCE, Route, Sandbox, SignatureMode, bsuid_of, sign,
};
use serde_json::{Value, json};

const LUCIA: &str = "393331110001";

fn sandbox() -> Sandbox {
    quiet(|_| {})
}

/// Without statuses, unless the test wants them.
fn quiet(change: impl FnOnce(&mut Options)) -> Sandbox {
    let mut options = Options::for_tests();
    options.meta.statuses = false;
    change(&mut options);
    Sandbox::start(options).unwrap()
}

async fn on_the_wire(meta: &Meta, expect: Expect) -> (String, End) {
    wire(&messages_url(meta), &meta.options().access_token, &text_to(LUCIA, "ciao", "t1"), expect).await
}

#[actix_rt::test]
async fn a_send_is_accepted_recorded_and_found_by_person() {
    let sandbox = sandbox();
    let answer = send(&sandbox.meta, &text_to(LUCIA, "ciao", "t1")).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["contacts"], json!([{"input": format!("+{LUCIA}"), "wa_id": LUCIA}]));
    assert!(answer.header("x-fb-trace-id").is_some());
    let mut to_bsuid = text_to(LUCIA, "di nuovo", "t2");
    to_bsuid.as_object_mut().unwrap().remove("to");
    to_bsuid["recipient"] = bsuid_of(LUCIA).into();
    send(&sandbox.meta, &to_bsuid).await;
    assert_eq!(sandbox.meta.wait_answers(LUCIA, 2).await.unwrap(), ["ciao", "di nuovo"]);
    let first = sandbox.meta.sends().remove(0);
    assert_eq!(first.tag.as_deref(), Some("t1"));
    assert_eq!(first.accepted.as_deref(), answer.json()["messages"][0]["id"].as_str());
    assert!(first.answered_ok() && first.headers.iter().any(|(name, _)| name == "authorization"));
}

#[actix_rt::test]
async fn errors_come_in_graphs_envelope() {
    let sandbox = sandbox();
    let url = messages_url(&sandbox.meta);
    let wrong_token = crate::support::post(&url, "other", &text_to(LUCIA, "ciao", "t1")).await;
    assert_eq!((wrong_token.status, &wrong_token.json()["error"]["code"]), (401, &json!(190)));
    let bad = send(&sandbox.meta, &json!({"messaging_product": "whatsapp"})).await;
    assert_eq!((bad.status, &bad.json()["error"]["code"]), (400, &json!(100)));
    let nowhere = crate::support::get(
        &format!("{}/somewhere", sandbox.meta.base_url()),
        &sandbox.meta.options().access_token,
    )
    .await;
    assert_eq!((nowhere.status, &nowhere.json()["error"]["code"]), (400, &json!(2500)));
    assert!(sandbox.meta.answers_to(LUCIA).is_empty());
}

#[actix_rt::test]
async fn a_token_that_was_renewed_is_the_only_one() {
    let sandbox = sandbox();
    let (meta, old) = (&sandbox.meta, sandbox.meta.options().access_token.clone());
    let posted = async |token: &str| {
        let answer = crate::support::post(&messages_url(meta), token, &text_to(LUCIA, "ciao", "t1")).await;
        let about = format!("{}/v25.0/debug_token?input_token=new", meta.base_url());
        let told = crate::support::get(&about, token).await.json()["data"]["is_valid"].clone();
        (answer.status, told)
    };
    assert_eq!((posted(&old).await, posted("new").await.0), ((200, false.into()), 401));
    meta.renew_access_token("new");
    assert_eq!((posted(&old).await.0, posted("new").await), (401, (200, true.into())));
}

#[actix_rt::test]
async fn a_read_receipt_with_typing_is_recorded() {
    let sandbox = sandbox();
    assert_eq!(send(&sandbox.meta, &read_and_type("wamid.IN1")).await.json(), json!({"success": true}));
    let read = sandbox.meta.requests().remove(0);
    assert_eq!(
        (read.route, read.message_id.as_deref(), read.typing),
        (Some(Route::Read), Some("wamid.IN1"), true)
    );
}

#[actix_rt::test]
async fn a_message_is_delivered_signed_and_in_ascii() {
    let sandbox = sandbox();
    let (webhook, url) = Webhook::start();
    sandbox.meta.set_webhook(&url);
    sandbox.meta.verify_webhook().await.unwrap();
    assert_eq!(sandbox.meta.handshake("wrong", "17").await.unwrap().0, 403);
    let id = sandbox.meta.deliver(Inbound::text(LUCIA, "perché 😂"));
    let got = webhook.wait(1).await.remove(0);
    assert_eq!(got.signature, Some(sign(&sandbox.meta.options().app_secret, &got.body)));
    assert!(got.body.is_ascii());
    assert_eq!(got.value()["messages"][0]["text"]["body"], "perché 😂");
    assert_eq!(got.value()["messages"][0]["id"], id.as_str());
}

#[actix_rt::test]
async fn raw_unicode_and_escaped_slashes_are_switches() {
    let sandbox = quiet(|options| {
        options.meta.escaped_unicode = false;
        options.meta.escaped_slashes = true;
    });
    let (webhook, url) = Webhook::start();
    sandbox.meta.set_webhook(&url);
    sandbox.meta.deliver(Inbound::text(LUCIA, "è/é"));
    let body = String::from_utf8(webhook.wait(1).await.remove(0).body).unwrap();
    assert!(body.contains(r"è\/é"), "{body}");
}

#[actix_rt::test]
async fn a_webhook_is_delivered_until_it_is_answered_200() {
    let sandbox = sandbox();
    let (webhook, url) = Webhook::start();
    webhook.refuse(&[503, 204, 500]);
    sandbox.meta.set_webhook(&url);
    let id = sandbox.meta.deliver(Inbound::text(LUCIA, "ciao"));
    let delivery = sandbox.meta.wait_acknowledged(&id).await.unwrap();
    let answers: Vec<_> = delivery.attempts.iter().map(|attempt| attempt.answer.clone()).collect();
    assert_eq!(answers, [Ok(503), Ok(204), Ok(500), Ok(200)]);
    let got = webhook.wait(4).await;
    assert!(got.iter().all(|other| other.body == got[0].body));
    sandbox.meta.wait_settled().await.unwrap();
}

#[actix_rt::test]
async fn a_webhook_waits_for_a_server_that_is_not_there_yet() {
    let sandbox = sandbox();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    sandbox.meta.set_webhook(&format!("http://{nobody}/webhook"));
    let id = sandbox.meta.deliver(Inbound::text(LUCIA, "ciao"));
    let refused = |records: &parlante_sandbox::Records| {
        records
            .deliveries()
            .any(|delivery| delivery.attempts.len() > 1 && delivery.attempts[1].answer.is_err())
            .then_some(())
    };
    sandbox.meta.wait(refused, PATIENCE).await.unwrap();
    let (_webhook, url) = Webhook::start();
    sandbox.meta.set_webhook(&url);
    sandbox.meta.wait_acknowledged(&id).await.unwrap();
}

#[actix_rt::test]
async fn batches_and_duplicates_keep_their_shape() {
    let sandbox = sandbox();
    let (webhook, url) = Webhook::start();
    sandbox.meta.set_webhook(&url);
    let text = |body: &str| Inbound::text(LUCIA, body);
    let ids = sandbox
        .meta
        .deliver_nested(vec![vec![vec![text("1"), text("2")], vec![text("3")]], vec![vec![text("4")]]]);
    assert_eq!(ids.len(), 4);
    let got = webhook.wait(1).await.remove(0).json();
    assert_eq!(got["entry"].as_array().unwrap().len(), 2);
    assert_eq!(got["entry"][0]["changes"][1]["value"]["messages"][0]["id"], ids[2].as_str());
    let id = sandbox.meta.deliver_times(text("5"), 3);
    assert!(sandbox.meta.redeliver(&id));
    assert!(!sandbox.meta.redeliver("wamid.unknown"));
    let got = webhook.wait(5).await;
    assert!(got[1..].iter().all(|other| other.body == got[1].body));
}

#[actix_rt::test]
async fn held_webhooks_go_out_in_the_order_that_is_asked_for() {
    let sandbox = quiet(|options| options.meta.in_flight = 1);
    let (webhook, url) = Webhook::start();
    sandbox.meta.set_webhook(&url);
    sandbox.meta.hold();
    for text in ["1", "2", "3"] {
        sandbox.meta.deliver(Inbound::text(LUCIA, text));
    }
    sandbox.meta.release(Order::Reversed);
    webhook.wait(3).await;
    assert_eq!(webhook.texts(), ["3", "2", "1"]);
}

#[actix_rt::test]
async fn raw_bytes_are_posted_once_and_signed_as_told() {
    let sandbox = sandbox();
    let (webhook, url) = Webhook::start();
    webhook.refuse(&[401]);
    sandbox.meta.set_webhook(&url);
    let number = sandbox.meta.deliver_raw("{not json", &SignatureMode::Missing);
    assert_eq!(sandbox.meta.wait_posted(number).await.unwrap().answer, Ok(401));
    sandbox.meta.wait_settled().await.unwrap();
    let number = sandbox.meta.deliver_raw("{}", &SignatureMode::Secret("older".into()));
    assert_eq!(sandbox.meta.wait_posted(number).await.unwrap().answer, Ok(200));
    let got = webhook.wait(2).await;
    assert_eq!((got.len(), &got[0].signature), (2, &None));
    assert_eq!(got[1].signature, Some(sign("older", b"{}")));
}

#[actix_rt::test]
async fn an_accepted_send_is_followed_by_its_statuses() {
    let sandbox = Sandbox::start(Options::for_tests()).unwrap();
    let (webhook, url) = Webhook::start();
    sandbox.meta.set_webhook(&url);
    let id = send(&sandbox.meta, &text_to(LUCIA, "ciao", "t1")).await.json()["messages"][0]["id"].clone();
    let statuses: Vec<Value> =
        webhook.wait(3).await.iter().map(|got| got.value()["statuses"][0].clone()).collect();
    let mut told: Vec<_> = statuses.iter().map(|status| status["status"].as_str().unwrap()).collect();
    told.sort_unstable();
    assert_eq!(told, ["delivered", "read", "sent"]);
    assert!(statuses.iter().all(|status| status["id"] == id && status["biz_opaque_callback_data"] == "t1"));
}

#[actix_rt::test]
async fn a_status_can_be_told_by_hand_by_tag_or_id() {
    let sandbox = sandbox();
    let (webhook, url) = Webhook::start();
    sandbox.meta.set_webhook(&url);
    let id = send(&sandbox.meta, &text_to(LUCIA, "ciao", "t1")).await.json()["messages"][0]["id"].clone();
    sandbox.meta.status("t1", "failed", Some(131_047)).unwrap();
    let status = webhook.wait(1).await.remove(0).value()["statuses"][0].clone();
    assert_eq!((&status["id"], &status["errors"][0]["code"]), (&id, &json!(131_047)));
    sandbox.meta.status(id.as_str().unwrap(), "delivered", None).unwrap();
    assert!(sandbox.meta.status("t2", "sent", None).is_err());
    assert_eq!(webhook.wait(2).await[1].value()["statuses"][0]["status"], "delivered");
}

#[actix_rt::test]
async fn a_cut_reply_has_its_head_and_not_all_of_its_body() {
    let sandbox = sandbox();
    sandbox.meta.script().next(Route::Send, 1, Fault::cut(10));
    let (reply, end) = on_the_wire(&sandbox.meta, Expect::Closing).await;
    assert!(reply.starts_with("HTTP/1.1 200 OK\r\n"), "{reply}");
    let announced: usize =
        reply.split_once("content-length: ").unwrap().1.split_once("\r\n").unwrap().0.parse().unwrap();
    assert_eq!((body_of(&reply).len(), end), (10, End::Closed));
    assert!(announced > 10);
    assert!(sandbox.meta.answers_to(LUCIA).is_empty());
    assert_eq!(sandbox.meta.sends()[0].answer, Answer::Broken);
}

#[actix_rt::test]
async fn a_closed_connection_gives_no_byte_though_the_send_may_count() {
    let sandbox = Sandbox::start(Options::for_tests()).unwrap();
    let (webhook, url) = Webhook::start();
    sandbox.meta.set_webhook(&url);
    sandbox.meta.script().next(Route::Send, 1, Fault::close().accepted());
    assert_eq!(on_the_wire(&sandbox.meta, Expect::Closing).await, (String::new(), End::Closed));
    assert_eq!(sandbox.meta.answers_to(LUCIA), ["ciao"]);
    assert_eq!(webhook.wait(3).await[0].value()["statuses"][0]["biz_opaque_callback_data"], "t1");
}

#[actix_rt::test]
async fn a_hanging_request_gets_nothing_and_a_stalled_one_a_part() {
    let sandbox = sandbox();
    sandbox.meta.script().next(Route::Send, 1, Fault::hang());
    assert_eq!(on_the_wire(&sandbox.meta, Expect::Silence).await, (String::new(), End::Open));
    sandbox.meta.script().next(Route::Send, 1, Fault::stall(4).accepted());
    let (reply, end) = on_the_wire(&sandbox.meta, Expect::Stalling).await;
    assert_eq!((body_of(&reply).len(), end), (4, End::Open));
    assert_eq!(sandbox.meta.answers_to(LUCIA), ["ciao"]);
}

#[actix_rt::test]
async fn scripted_codes_come_with_their_envelope_status_and_headers() {
    let sandbox = sandbox();
    let script = sandbox.meta.script();
    script.next(Route::Send, 1, Fault::code(131_056).with_header("retry-after", 7));
    script.next(Route::Send, 1, Fault::status(503));
    script.next(Route::Send, 1, Fault::code(190).with_status(400));
    script.next(Route::Send, 1, Fault::status(502).with_body("<html>bad gateway</html>"));
    script.next(Route::Send, 1, Fault::Body("{\"odd\":".into()));
    let mut answers = Vec::new();
    for _ in 0..5 {
        answers.push(send(&sandbox.meta, &text_to(LUCIA, "ciao", "t1")).await);
    }
    let told: Vec<_> = answers[..3]
        .iter()
        .map(|answer| (answer.status, answer.json()["error"]["code"].as_u64().unwrap()))
        .collect();
    assert_eq!(told, [(429, 131_056), (503, 2), (400, 190)]);
    assert_eq!(answers[0].header("retry-after"), Some("7"));
    assert_eq!((answers[3].status, answers[3].text.as_str()), (502, "<html>bad gateway</html>"));
    assert_eq!((answers[4].status, answers[4].text.as_str()), (200, "{\"odd\":"));
    assert!(sandbox.meta.answers_to(LUCIA).is_empty());
}

#[actix_rt::test]
async fn a_server_error_may_hide_an_accepted_send() {
    let sandbox = sandbox();
    sandbox.meta.script().next(Route::Send, 1, Fault::status(500).accepted());
    assert_eq!(send(&sandbox.meta, &text_to(LUCIA, "ciao", "t1")).await.status, 500);
    assert_eq!(sandbox.meta.answers_to(LUCIA), ["ciao"]);
}

#[actix_rt::test]
async fn a_send_at_a_gate_is_carried_out_even_if_nobody_waits_for_it() {
    let sandbox = sandbox();
    let meta = sandbox.meta.clone();
    meta.script().next(Route::Send, 1, Fault::Gate("g".into()));
    assert_eq!(on_the_wire(&meta, Expect::Silence).await, (String::new(), End::Open));
    meta.script().wait_at_gate("g", 1, PATIENCE).await.unwrap();
    assert!(meta.answers_to(LUCIA).is_empty());
    send(&meta, &text_to(LUCIA, "first after all", "t2")).await;
    meta.script().open("g");
    assert_eq!(meta.wait_answers(LUCIA, 2).await.unwrap(), ["first after all", "ciao"]);
}

#[actix_rt::test]
async fn latency_delays_an_answer_and_spares_the_others() {
    let sandbox = sandbox();
    sandbox.meta.script().aim("15550002222", Route::Send, 1, Fault::Latency(Duration::from_millis(200)));
    let began = tokio::time::Instant::now();
    send(&sandbox.meta, &text_to("15550002222", "hi", "t1")).await;
    assert!(began.elapsed() >= Duration::from_millis(200));
}

#[actix_rt::test]
async fn a_script_can_be_written_over_http() {
    let sandbox = sandbox();
    let url = format!("{}/__script", sandbox.meta.base_url());
    let order = json!({"route": "send", "next": 1, "fault": {"status": {"code": 131_026}}});
    assert_eq!(crate::support::post(&url, "", &order).await.status, 200);
    assert_eq!(send(&sandbox.meta, &text_to(LUCIA, "ciao", "t1")).await.json()["error"]["code"], 131_026);
    assert_eq!(crate::support::post(&url, "", &json!({"nonsense": 1})).await.status, 400);
}

#[actix_rt::test]
async fn a_stopped_sandbox_closes_its_ports_even_under_a_hanging_request() {
    let sandbox = sandbox();
    let (meta, address) = (sandbox.meta.clone(), sandbox.meta.base_url().replace("http://", ""));
    meta.script().always(Route::Send, Fault::hang());
    let hanging = actix_rt::spawn(async move { on_the_wire(&meta, Expect::Closing).await });
    sandbox.meta.wait_sends(LUCIA, 1).await.unwrap();
    sandbox.stop();
    assert_eq!(hanging.await.unwrap(), (String::new(), End::Closed));
    assert!(std::net::TcpStream::connect(address).is_err());
}

#[test]
fn a_wait_in_vain_names_what_was_seen() {
    let system = actix_rt::System::new();
    system.block_on(async {
        let sandbox = sandbox();
        send(&sandbox.meta, &text_to(LUCIA, "ciao", "t1")).await;
        let error = sandbox.meta.wait(|_| None::<()>, Duration::from_millis(1)).await.unwrap_err();
        assert!(error.contains("1 sends seen") && error.contains(LUCIA), "{error}");
    });
}
