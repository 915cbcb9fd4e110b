//! The API behind the phone page, over real sockets: what a browser does, and what it is told.

mod switches;
mod voice;

use crate::support::{Answer, Webhook, get, post, read_and_type, send, text_to};
use futures_util::StreamExt;
use parlante_sandbox::{Options, PATIENCE, PageOptions, Sandbox, Status};
use serde_json::{Value, json};

const LUCIA: &str = "393331110001";

fn sandbox() -> Sandbox {
    Sandbox::start(Options { page: Some(PageOptions::default()), ..Options::for_tests() }).unwrap()
}

fn url(sandbox: &Sandbox, path: &str) -> String {
    format!("{}{path}", sandbox.page_url.as_deref().unwrap())
}

async fn write(sandbox: &Sandbox, text: &str) -> Answer {
    post(&url(sandbox, &format!("/api/phones/{LUCIA}/messages")), "", &json!({"text": text})).await
}

async fn state(sandbox: &Sandbox) -> Value {
    get(&url(sandbox, "/api/state"), "").await.json()
}

/// The open event stream of a page.
struct Events {
    body: awc::ClientResponse,
    unread: String,
}

impl Events {
    async fn open(sandbox: &Sandbox) -> Self {
        let body = awc::Client::default().get(url(sandbox, "/api/events")).send().await.unwrap();
        assert_eq!(body.headers().get("content-type").unwrap(), "text/event-stream; charset=utf-8");
        Self { body: body.map_body(|_, body| body.boxed_local().into()), unread: String::new() }
    }

    /// The data of the next event of this name for which `wanted` is true.
    async fn wait(&mut self, name: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let seek = async {
            loop {
                while let Some((event, rest)) = self.unread.split_once("\n\n") {
                    let (event, rest) = (event.to_owned(), rest.to_owned());
                    self.unread = rest;
                    let Some((head, data)) = event.split_once("\ndata: ") else { continue };
                    let data: Value = serde_json::from_str(data).unwrap();
                    if head == format!("event: {name}") && wanted(&data) {
                        return data;
                    }
                }
                let bytes = self.body.next().await.unwrap().unwrap();
                self.unread.push_str(std::str::from_utf8(&bytes).unwrap());
            }
        };
        tokio::time::timeout(PATIENCE, seek).await.unwrap()
    }
}

#[actix_rt::test]
async fn the_files_are_served_with_their_types() {
    let sandbox = sandbox();
    let page = get(&url(&sandbox, "/"), "").await.text;
    let scripts = ["app", "chat", "dom", "drawer", "marks", "note", "phones", "sound", "state", "write"];
    let scripts = scripts.map(|name| (format!("/{name}.js"), "text/javascript"));
    let sheets = ["style", "voice", "drawer"].map(|name| (format!("/{name}.css"), "text/css"));
    assert!(sheets.iter().all(|(path, _)| page.contains(path.as_str())) && page.contains("/app.js"));
    for (path, kind) in [("/".to_owned(), "text/html")].into_iter().chain(scripts).chain(sheets) {
        let file = get(&url(&sandbox, &path), "").await;
        assert_eq!(
            (file.status, file.header("content-type")),
            (200, Some(format!("{kind}; charset=utf-8").as_str()))
        );
        assert!(!file.text.is_empty());
    }
    assert_eq!(get(&url(&sandbox, "/etc/passwd"), "").await.status, 404);
}

#[actix_rt::test]
async fn the_state_begins_with_three_phones() {
    let sandbox = sandbox();
    let state = state(&sandbox).await;
    assert_eq!((&state["server"], &state["switches"]["model_down"]), (&json!("starting"), &json!(false)));
    assert_eq!(state["phones"][0], json!({"phone": LUCIA, "name": "Lucia"}));
    assert_eq!((&state["chats"][LUCIA], &state["typing"][LUCIA]), (&json!([]), &json!(false)));
    assert_eq!(state["phones"].as_array().unwrap().len(), 3);
}

#[actix_rt::test]
async fn a_message_goes_its_way_and_the_page_is_told() {
    let sandbox = sandbox();
    let (_webhook, webhook_url) = Webhook::start();
    let mut events = Events::open(&sandbox).await;
    events.wait("server", |data| data["status"] == "starting").await;
    sandbox.server_is(Status::Up);
    events.wait("server", |data| data["status"] == "up").await;

    let id = write(&sandbox, "ciao").await.json()["id"].clone();
    let queued = events.wait("bubble", |bubble| bubble["id"] == id).await;
    assert_eq!(
        (&queued["from"], &queued["ticks"], &queued["text"]),
        (&json!("person"), &json!("sent"), &json!("ciao"))
    );
    sandbox.meta.set_webhook(&webhook_url);
    events.wait("bubble", |bubble| bubble["id"] == id && bubble["ticks"] == "delivered").await;

    send(&sandbox.meta, &read_and_type(id.as_str().unwrap())).await;
    events.wait("typing", |typing| typing == &json!({"phone": LUCIA, "on": true})).await;
    send(&sandbox.meta, &text_to(LUCIA, "ciao bella", "t1")).await;
    events.wait("typing", |typing| typing == &json!({"phone": LUCIA, "on": false})).await;
    let answer =
        events.wait("bubble", |bubble| bubble["from"] == "persona" && bubble["ticks"] == "read").await;
    assert_eq!(answer["text"], "ciao bella");

    let chat = state(&sandbox).await["chats"][LUCIA].clone();
    assert_eq!((&chat[0]["ticks"], &chat[1]["id"]), (&json!("read"), &answer["id"]));
    let trail = chat[0]["trail"].to_string();
    assert!(trail.contains("200 in") && trail.contains("marked it as read"), "{trail}");
}

#[actix_rt::test]
async fn a_trail_tells_that_the_model_was_asked() {
    let sandbox = sandbox();
    write(&sandbox, "ciao").await;
    let body = json!({"model": "gpt-5.4-mini", "messages": [{"role": "user", "content": "ciao"}]});
    let openai = &sandbox.openai;
    post(&format!("{}/chat/completions", openai.base_url()), &openai.options().api_key, &body).await;
    let trail = state(&sandbox).await["chats"][LUCIA][0]["trail"].to_string();
    assert!(trail.contains("asked the model") && trail.contains("the model answered in"), "{trail}");
}

#[actix_rt::test]
async fn a_message_has_1_to_4096_characters_and_a_known_phone() {
    let sandbox = sandbox();
    assert_eq!(write(&sandbox, &"è".repeat(4096)).await.status, 200);
    assert_eq!(write(&sandbox, &"è".repeat(4097)).await.status, 400);
    assert_eq!(write(&sandbox, " \n").await.status, 400);
    let nobody = post(&url(&sandbox, "/api/phones/49155/messages"), "", &json!({"text": "hallo"})).await;
    assert_eq!(nobody.status, 404);
}

#[actix_rt::test]
async fn a_new_phone_can_write() {
    let sandbox = sandbox();
    let mut events = Events::open(&sandbox).await;
    let phone = post(&url(&sandbox, "/api/phones"), "", &json!({"name": " Anna "})).await.json();
    assert_eq!(phone["name"], "Anna");
    events.wait("phone", |told| told == &phone).await;
    let path = format!("/api/phones/{}/messages", phone["phone"].as_str().unwrap());
    assert_eq!(post(&url(&sandbox, &path), "", &json!({"text": "ciao"})).await.status, 200);
    assert_eq!(post(&url(&sandbox, "/api/phones"), "", &json!({"name": ""})).await.status, 400);
}

#[actix_rt::test]
async fn the_drawer_delivers_twice_and_kills() {
    let mut sandbox = sandbox();
    let (webhook, webhook_url) = Webhook::start();
    sandbox.meta.set_webhook(&webhook_url);
    let twice = url(&sandbox, "/api/drawer/twice");
    assert_eq!(post(&twice, "", &json!({"phone": LUCIA})).await.status, 404);
    let mut events = Events::open(&sandbox).await;
    write(&sandbox, "ciao").await;
    events.wait("bubble", |bubble| bubble["ticks"] == "delivered").await;
    assert_eq!(post(&twice, "", &json!({"phone": LUCIA})).await.status, 200);
    let got = webhook.wait(2).await;
    assert_eq!(got[0].body, got[1].body);
    events.wait("bubble", |bubble| bubble["trail"].to_string().contains("known already")).await;

    for _ in 0..2 {
        assert_eq!(post(&url(&sandbox, "/api/drawer/kill"), "", &json!({})).await.status, 200);
    }
    assert_eq!(sandbox.kill.recv().await, Some(()));
}

#[actix_rt::test]
async fn a_page_of_another_site_is_not_let_in() {
    let sandbox = sandbox();
    for (name, value) in [("origin", "http://evil.example"), ("host", "evil.example")] {
        let request =
            awc::Client::default().post(url(&sandbox, "/api/drawer/kill")).insert_header((name, value));
        assert_eq!(request.send_json(&json!({})).await.unwrap().status().as_u16(), 404, "{name}");
    }
}
