//! Voice, through the doors: what a person said and what they got, by the records of the stand-ins.
//!
//! - [`kind`]: who is answered by voice, and who in writing.
//! - [`sound`]: the bytes on their way, and who sees which key.
//! - [`silence`]: notes with nothing on them.
//! - [`hearing`]: a note that cannot be had or understood.
//! - [`speaking`]: an answer that cannot be spoken.
//! - [`sending`]: a voice note that WhatsApp will not take, now or ever.
//! - [`journal`]: deaths and panics between the steps.

mod hearing;
mod journal;
mod kind;
mod sending;
mod silence;
mod sound;
mod speaking;

use parlante_sandbox::{Inbound, MetaOptions, Options, Request, Route, audio};
use serde_json::Value;

use crate::support::innocent::persons_got_no_errors;
use crate::support::{Process, World, a_phone, get, persona_text};

/// In the body of a send: it is a voice note.
const BY_VOICE: &str = r#""voice":true"#;

/// A server and the people who talk with it.
struct Talk {
    world: World,
    server: Process,
}

impl Talk {
    async fn new() -> Self {
        Self::of(World::new()).await
    }

    async fn of(world: World) -> Self {
        let server = world.start().await;
        Self { world, server }
    }

    /// `kill -9`, and a new process on the same ledger.
    async fn restart(self) -> Self {
        self.server.kill().await;
        Self::of(self.world).await
    }

    fn deliver(&self, message: Inbound) -> String {
        self.world.sandbox.meta.deliver(message)
    }

    /// Delivers a message and waits until it is answered; its id.
    async fn answered(&self, message: Inbound) -> String {
        let id = self.deliver(message);
        self.server.log.wait_for("task_completed", &id).await;
        id
    }

    async fn says(&self, phone: &str, words: &str) -> String {
        self.answered(Inbound::voice(phone, audio::say(words))).await
    }

    async fn writes(&self, phone: &str, words: &str) -> String {
        self.answered(Inbound::text(phone, words)).await
    }

    /// A person who says these words; what they got.
    async fn a_person_says(&self, words: &str) -> Vec<String> {
        let phone = a_phone();
        self.says(&phone, words).await;
        self.got(&phone)
    }

    /// All that a person got behind the disclosure.
    fn got(&self, phone: &str) -> Vec<String> {
        let mut got = self.world.sandbox.meta.answers_to(phone);
        assert_eq!(got.remove(0), persona_text("disclosure"));
        got
    }

    /// The same, when nothing more can come of what they sent so far: their next message is answered.
    async fn got_in_the_end(&self, phone: &str) -> Vec<String> {
        self.writes(phone, "e poi?").await;
        let mut got = self.got(phone);
        assert!(got.pop().is_some_and(|last| last.ends_with("echo: e poi?")), "{got:?}");
        got
    }

    /// The code with which this message's answer became a text, if it did: error and provider's own.
    fn fell_back(&self, id: &str) -> Option<(String, Option<String>)> {
        let mut lines = self.server.log.events("voice_fallback_to_text");
        lines.retain(|line| line["message_id"] == id);
        assert!(lines.len() <= 1, "told more than once: {lines:#?}");
        let line = lines.pop()?;
        assert_eq!(line["level"], "WARN", "{line}");
        assert!(line["user_id"].as_str().is_some_and(|user| user.contains("******")), "{line}");
        let text = |name: &str| line[name].as_str().map(str::to_owned);
        Some((text("error_code").expect("a code"), text("provider_code")))
    }

    async fn stats(&self) -> Value {
        serde_json::from_str(&get(&self.server.url("/stats")).await.1).expect("JSON")
    }

    /// Whoever got anything in this world got it innocent.
    fn end(self) {
        persons_got_no_errors(&self.world);
    }
}

/// A Meta that tells no status by itself.
fn silent_meta() -> World {
    let tests = Options::for_tests();
    World::with(Options { meta: MetaOptions { statuses: false, ..tests.meta }, ..tests })
}

/// How often each provider was asked to do what is paid for or seen.
#[derive(Debug, PartialEq, Eq)]
struct Calls {
    downloads: usize,
    heard: usize,
    asked: usize,
    spoken: usize,
    uploads: usize,
    /// Sends of voice notes, accepted or not.
    voices: usize,
}

impl Calls {
    fn of(world: &World) -> Self {
        let meta = &world.sandbox.meta;
        let count = |route| meta.look(|records| of_route(records.media(), route).count());
        Self {
            downloads: count(Route::Download),
            heard: world.sandbox.openai.transcriptions().len(),
            asked: world.sandbox.openai.chats().len(),
            spoken: world.sandbox.elevenlabs.speeches().len(),
            uploads: count(Route::Upload),
            voices: voice_sends(world).len(),
        }
    }

    /// One voice note in, one out.
    const ONCE: Self = Self { downloads: 1, heard: 1, asked: 1, spoken: 1, uploads: 1, voices: 1 };
}

fn of_route<'a>(
    requests: impl Iterator<Item = &'a Request>,
    route: Route,
) -> impl Iterator<Item = &'a Request> {
    requests.filter(move |request| request.route == Some(route))
}

/// The sends of voice notes, accepted or not.
fn voice_sends(world: &World) -> Vec<Request> {
    let is_voice = |send: &Request| send.json["audio"]["voice"] == true;
    world.sandbox.meta.sends().into_iter().filter(is_voice).collect()
}
