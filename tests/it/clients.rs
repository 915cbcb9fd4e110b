//! Official Python clients, unchanged, against the stand-ins: the sandbox is no private dialect.
//!
//! The scripts are in `tests/clients/`; `./test` installs what they need in `.venv`.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use parlante_sandbox::{Fault, Inbound, Options, Route, Sandbox, SignatureMode, audio};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use crate::support::{PATIENCE, a_phone};

#[actix_rt::test]
async fn openai_s_own_client_gets_answers_streams_and_its_own_errors() {
    let sandbox = Sandbox::start(Options::for_tests()).unwrap();
    let script = sandbox.openai.script();
    script.aim("refuse: rate limit", Route::Chat, 1, Fault::code("rate_limit_exceeded"));
    script.aim("refuse: quota", Route::Chat, 1, Fault::code("insufficient_quota"));
    script.aim("refuse: overload", Route::Chat, 1, Fault::status(503));
    script.aim("refuse: hiccup", Route::Chat, 1, Fault::status(503));
    script.aim("refuse: quota", Route::Transcribe, 1, Fault::code("insufficient_quota"));
    let notes = tempfile::tempdir().unwrap();
    let note = |name: &str, words: &str| {
        let path = notes.path().join(name);
        std::fs::write(&path, audio::say(words)).unwrap();
        path.to_str().expect("UTF-8").to_owned()
    };
    let said = "perché no? 🍝";
    let environment = [
        ("OPENAI_BASE_URL", sandbox.openai.base_url().to_owned()),
        ("OPENAI_API_KEY", sandbox.openai.options().api_key.clone()),
        ("SAID", said.to_owned()),
        ("NOTE", note("note.ogg", said)),
        ("UNLUCKY_NOTE", note("unlucky.ogg", "refuse: quota")),
    ];
    let client = Client::start("openai_client.py", environment);
    let checked = client.finish().await;
    assert_eq!(checked.len(), 10, "{checked:#?}");
    // Nine chats, and the client's own second try after the hiccup.
    assert_eq!(sandbox.openai.chats().len(), 10);
    assert_eq!(sandbox.openai.transcriptions().len(), 8);
}

#[actix_rt::test]
async fn elevenlabs_own_client_gets_speech_and_its_own_errors() {
    let (sandbox, checked) = run_elevenlabs_client().await;
    assert_eq!(checked.len(), 6, "{checked:#?}");
    let spoken = sandbox.elevenlabs.speeches();
    // Two of the first text, six that are refused for what they are, the busy one, and the one beyond the quota.
    assert_eq!(spoken.len(), 10);
    assert!(spoken[0].shape().fields.contains(&"text".to_owned()));
}

/// Runs ElevenLabs' official client: what it has checked, and the sandbox with its requests. The shape of the first one,
/// `sandbox.elevenlabs.speeches()[0].shape()`, is what our own request for speech is compared with.
pub(crate) async fn run_elevenlabs_client() -> (Sandbox, Vec<String>) {
    let mut options = Options::for_tests();
    options.elevenlabs.characters_limit = 1_000;
    let sandbox = Sandbox::start(options).unwrap();
    let (elevenlabs, script) = (&sandbox.elevenlabs, sandbox.elevenlabs.script());
    script.aim("refuse: too many at once", Route::Speak, 1, Fault::code("concurrent_limit_exceeded"));
    // The wait that the client takes from the header is shorter than its own, a second.
    let hiccup = Fault::status(503).with_header("retry-after-ms", 1);
    script.next(Route::Subscription, 1, hiccup);
    let environment = [
        ("ELEVENLABS_BASE_URL", elevenlabs.base_url().to_owned()),
        ("ELEVENLABS_API_KEY", elevenlabs.options().api_key.clone()),
        ("ELEVENLABS_VOICE_ID", elevenlabs.options().voices[0].clone()),
        ("ELEVENLABS_MODEL", "eleven_flash_v2_5".to_owned()),
        ("ELEVENLABS_FORMAT", "opus_48000_32".to_owned()),
    ];
    let checked = Client::start("elevenlabs_client.py", environment).finish().await;
    (sandbox, checked)
}

#[actix_rt::test]
async fn pywa_sends_and_takes_our_webhooks_for_meta_s() {
    let sandbox = Sandbox::start(Options::for_tests()).unwrap();
    let (meta, options) = (&sandbox.meta, sandbox.meta.options());
    meta.script().aim("refuse: too fast", Route::Send, 1, Fault::code(131_056));
    meta.script().aim("refuse: undeliverable", Route::Send, 1, Fault::code(131_026));
    let person = a_phone();
    let environment = [
        ("PERSON", person.clone()),
        ("WHATSAPP_BASE_URL", meta.base_url().to_owned()),
        ("WHATSAPP_ACCESS_TOKEN", options.access_token.clone()),
        ("WHATSAPP_APP_SECRET", options.app_secret.clone()),
        ("WHATSAPP_VERIFY_TOKEN", options.verify_token.clone()),
        ("WHATSAPP_PHONE_NUMBER_ID", options.phone_number_id.clone()),
        ("WHATSAPP_BUSINESS_ACCOUNT_ID", options.business_account_id.clone()),
    ];
    let mut client = Client::start("pywa_client.py", environment);
    let port = client.line_after("listening ").await;
    meta.set_webhook(&format!("http://127.0.0.1:{port}/"));
    meta.verify_webhook().await.unwrap();
    assert_eq!(meta.handshake("another-token", "17").await.unwrap().0, 403);
    let forged =
        meta.deliver_raw(r#"{"object":"whatsapp_business_account","entry":[]}"#, &SignatureMode::Wrong);
    assert_eq!(meta.wait_posted(forged).await.unwrap().answer, Ok(403));

    let written = meta.deliver(Inbound::text(&person, "perché no? 🍝").name("Lucia"));
    meta.wait_acknowledged(&written).await.unwrap();
    meta.wait_answers(&person, 2).await.unwrap();
    let note = audio::say("che si mangia?");
    meta.deliver(Inbound::voice(&person, note.clone()));
    let checked = client.finish().await;
    assert_eq!(checked.len(), 7, "{checked:#?}");
    assert_eq!(meta.answers_to(&person), ["eccomi", "rispondo", "[voice] che si mangia?"]);
    assert_eq!(meta.voices_to(&person)[0].bytes, note);
    let marked =
        meta.look(|records| records.reads().any(|read| read.message_id.as_deref() == Some(&written)));
    assert!(marked, "the read receipt did not arrive");
}

/// A Python script that prints what it has checked.
struct Client {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    name: &'static str,
}

impl Client {
    fn start<const N: usize>(script: &'static str, environment: [(&str, String); N]) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut child = Command::new(python(root))
            .arg(root.join("tests/clients").join(script))
            .env_clear()
            .env("PYTHONUTF8", "1")
            .envs(environment)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("python starts");
        let stdout = child.stdout.take().expect("a pipe");
        Self { child, lines: BufReader::new(stdout).lines(), name: script }
    }

    /// The rest of the next line that begins with `start`.
    async fn line_after(&mut self, start: &str) -> String {
        let seek = async {
            while let Some(line) = self.lines.next_line().await.expect("UTF-8") {
                if let Some(rest) = line.strip_prefix(start) {
                    return rest.to_owned();
                }
            }
            panic!("{} ended without a line `{start}…`; its complaint is above", self.name)
        };
        timeout(PATIENCE, seek).await.expect("a line in time")
    }

    /// Waits for its good end, and gives what it has checked.
    async fn finish(mut self) -> Vec<String> {
        let run = async {
            let mut checked = Vec::new();
            while let Some(line) = self.lines.next_line().await.expect("UTF-8") {
                checked.extend(line.strip_prefix("checked: ").map(String::from));
            }
            let status = self.child.wait().await.expect("a status");
            assert!(status.success(), "{} failed after {checked:#?}; its complaint is above", self.name);
            checked
        };
        timeout(PATIENCE, run).await.expect("an end in time")
    }
}

/// The interpreter that has the clients.
fn python(root: &Path) -> PathBuf {
    let python = root.join(".venv/bin/python");
    assert!(python.exists(), "{} is missing: run ./test once, which installs it", python.display());
    python
}
