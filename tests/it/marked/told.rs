//! What was said, and where.

use std::time::Duration;

use parlante_sandbox::{Call, Sandbox};
use serde_json::Value;

use super::marks;
use super::search::Search;
use crate::support::ask::Ask;
use crate::support::{PATIENCE, Process, World};

/// Looks at a process this often: what it writes may be in any format, and tells of nothing by itself.
const TICK: Duration = Duration::from_millis(20);

/// Everything that was said so far.
#[derive(Default)]
pub(super) struct Told {
    to_operators: Vec<(String, String)>,
    /// Marks that were found in what others were sent.
    to_others: Vec<(&'static str, Vec<String>)>,
}

impl Told {
    pub(super) fn add(&mut self, place: &str, text: String) {
        self.to_operators.push((place.to_owned(), text));
    }

    /// Runs a command to its end; its exit code.
    pub(super) async fn run(&mut self, world: &World, arguments: &[&str]) -> i32 {
        let (code, stdout, stderr) = world.run(arguments).await;
        self.add(&format!("parlante {} ({code})", arguments.join(" ")), stdout + &stderr);
        code
    }

    /// Sends a request; its status.
    pub(super) async fn ask(&mut self, place: &str, ask: Ask) -> u16 {
        let reply = ask.send().await;
        self.add(&format!("{place} ({})", reply.status), format!("{}\n{}", reply.head, reply.body));
        reply.status
    }

    /// What people and providers were sent: nobody may see another's secrets.
    pub(super) fn add_what_was_received(&mut self, world: &World, second: &Sandbox) {
        let sandbox = &world.sandbox;
        let sends: Vec<String> = sandbox.meta.sends().iter().map(|send| send.json.to_string()).collect();
        assert!(!sends.is_empty());
        self.search("sent to people", &sends, &marks::secrets());
        let calls = |calls: Vec<Call>| -> Vec<String> {
            calls.iter().map(|call| format!("{:?} {}", call.headers, call.json)).collect()
        };
        let asked = [sandbox.openai.chats(), sandbox.openai.transcriptions()].concat();
        self.search("asked of OpenAI", &calls(asked), &marks::secrets_but(marks::OPENAI));
        let asked = second.openai.chats();
        self.search("asked of the fallback", &calls(asked), &marks::secrets_but(marks::FALLBACK));
        let requests = sandbox.meta.requests().into_iter();
        let asked: Vec<String> =
            requests.map(|asked| format!("{} {:?} {}", asked.path, asked.headers, asked.json)).collect();
        self.search("asked of Meta", &asked, &marks::secrets_but(marks::ACCESS));
        let speeches = sandbox.elevenlabs.speeches().into_iter();
        let asked: Vec<String> =
            speeches.map(|asked| format!("{:?} {}", asked.headers, asked.json)).collect();
        self.search("asked of ElevenLabs", &asked, &marks::secrets_but(marks::VOICE));
    }

    fn search(&mut self, place: &'static str, texts: &[String], search: &Search) {
        self.to_others.push((place, search.hits(&texts.join("\n"))));
    }

    /// Fails with every mark that was told, and where.
    pub(super) fn holds_no_mark(&self) {
        let everything = marks::everything();
        let to_operators =
            self.to_operators.iter().map(|(place, text)| (place.as_str(), everything.hits(text)));
        let all = to_operators.chain(self.to_others.iter().cloned());
        let found: Vec<_> = all.filter(|(_, hits)| !hits.is_empty()).collect();
        assert!(found.is_empty(), "{found:#?}");
        assert!(self.to_operators.iter().any(|(_, text)| text.len() > 100), "nothing was said at all");
    }
}

/// A server whose log is JSON, or lines for people.
pub(super) struct Server {
    pub(super) process: Process,
    pub(super) port: u16,
}

/// Starts the server, which may log in any format: its first lines say where it listens.
pub(super) async fn started(world: &World) -> Server {
    let process = Process::spawn(world, &["serve"]);
    let address = until(&process, "server_started", |raw| {
        let line = raw.lines().find(|line| line.contains("server_started"))?;
        let port = line.split("127.0.0.1:").nth(1)?;
        port.split(|letter: char| !letter.is_ascii_digit()).next()?.parse::<u16>().ok()
    });
    let port = address.await;
    world.found_at(port);
    Server { process, port }
}

impl Server {
    pub(super) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Waits until this event has been logged so often.
    pub(super) async fn logged(&self, event: &str, count: usize) {
        until(&self.process, event, |raw| (raw.matches(event).count() >= count).then_some(())).await;
    }

    /// Waits until this message has ended, and so often.
    pub(super) async fn ends(&self, id: &str, count: usize) {
        let ends = ["task_completed", "task_failed", "message_dead_lettered"];
        until(&self.process, id, |raw| {
            let ended = |line: &&str| line.contains(id) && ends.iter().any(|end| line.contains(end));
            (raw.lines().filter(ended).count() >= count).then_some(())
        })
        .await;
    }
}

/// Looks at what a process has written until there is something.
async fn until<T>(process: &Process, what: &str, look: impl Fn(&str) -> Option<T>) -> T {
    let mut ticks = tokio::time::interval(TICK);
    let found = tokio::time::timeout(PATIENCE, async {
        loop {
            ticks.tick().await;
            if let Some(found) = look(&process.raw.lock().unwrap()) {
                return found;
            }
        }
    });
    found.await.unwrap_or_else(|_| {
        let raw = process.raw.lock().unwrap();
        let last: Vec<&str> = raw.lines().rev().take(20).collect();
        panic!("nothing of {what}, but at last: {last:#?}")
    })
}

/// A JSON text of a string.
pub(super) fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}
