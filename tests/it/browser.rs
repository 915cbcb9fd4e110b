//! `parlante sandbox` as a stranger meets it: the real binary, and its phone page in a real Chromium.
//!
//! Photographs of the page go to `target/screenshots/`.

mod drawer;
mod voice;

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::browser::{ARROW_DOWN, Browser, ENTER, ESCAPE, TAB};
use crate::support::persona_text;

/// JavaScript: the texts that the persona has sent to the phone that is shown.
const ANSWERS: &str =
    "[...document.querySelectorAll('.bubble[data-from=persona] .text')].map((text) => text.innerText.trim())";
/// JavaScript: the newest message that the person has written.
const LAST: &str = "[...document.querySelectorAll('.bubble[data-from=person]')].at(-1)?";

#[actix_rt::test]
async fn a_person_chats_with_joe_by_keyboard_alone() {
    let sandbox = Sandbox::start();
    let page = sandbox.page().await;
    page.resize(390, 844).await;
    page.photograph("empty-390").await;
    // The link that skips to the message field comes first.
    page.type_keys(TAB).await;
    page.type_keys(ENTER).await;
    page.type_keys(&format!("Ciao Joe, mi chiamo Lucia{ENTER}")).await;
    let answers = page.answers(2).await;
    assert_eq!(answers[0], persona_text("disclosure"));
    page.type_keys(&format!("Come mi chiamo?{ENTER}")).await;
    let answers = page.answers(3).await;
    assert!(answers[2].contains("Lucia"), "he was told the name: {answers:?}");
    page.until(&format!("{LAST}.dataset.ticks === 'read'")).await;
    page.until("[...document.querySelectorAll('.bubble')].every(({ dataset }) => dataset.ticks === 'read')")
        .await;
    page.fits_into(390).await;
    page.photograph("chat-390").await;

    page.resize(1440, 900).await;
    page.fits_into(1440).await;
    page.show_trail_of_last().await;
    page.photograph("chat-1440").await;
    page.value("document.querySelector('[role=tab][aria-selected=true]').focus()").await;
    page.type_keys(ARROW_DOWN).await;
    page.until("document.querySelector('#holder').textContent.includes('Mike')").await;
    assert_eq!(page.value(ANSWERS).await, json!([]), "Mike has a chat of his own");
    page.end(sandbox).await;
}

#[actix_rt::test]
async fn a_message_that_is_delivered_twice_is_answered_once_and_its_trail_says_so() {
    let sandbox = Sandbox::start();
    let page = sandbox.page().await;
    page.resize(390, 844).await;
    page.click("#composer").await;
    page.type_keys(&format!("Does cream go in carbonara?{ENTER}")).await;
    page.answers(2).await;
    page.click("#drawer-open").await;
    page.click("#drawer-twice").await;
    page.until("document.querySelector('#drawer-said').textContent.includes('on its way again')").await;
    let delivered = format!(
        "{LAST}.querySelector('.trail').textContent.split('delivered to the server: 200').length === 3"
    );
    page.until(&delivered).await;
    page.fits_into(390).await;
    page.photograph("drawer-390").await;
    page.type_keys(ESCAPE).await;
    page.until("document.querySelector('#drawer').hidden").await;
    page.show_trail_of_last().await;
    page.photograph("trail-390").await;
    page.exactly(2).await;
    page.end(sandbox).await;
}

#[actix_rt::test]
async fn a_server_killed_in_the_middle_of_an_answer_comes_back_and_answers_once() {
    let sandbox = Sandbox::start();
    let page = sandbox.page().await;
    page.resize(1440, 900).await;
    sandbox.script(json!({"route": "chat", "next": 1, "fault": {"gate": "thinking"}})).await;
    page.click("#composer").await;
    page.type_keys(&format!("We got a one star review{ENTER}")).await;
    page.until(&format!("{LAST}.querySelector('.trail').textContent.includes('asked the model')")).await;
    page.note_the_server_status().await;
    page.click("#drawer-open").await;
    page.click("#drawer-kill").await;
    page.until("window.statuses.includes('down')").await;
    page.photograph("killed-1440").await;
    sandbox.script(json!({"open": "thinking"})).await;
    let statuses = page.until("window.statuses.length > 3 && window.statuses").await;
    assert_eq!(statuses, json!(["up", "down", "starting", "up"]));
    page.answers(2).await;
    page.photograph("answered-after-kill-1440").await;
    page.exactly(2).await;
    page.end(sandbox).await;
}

#[actix_rt::test]
async fn while_the_model_is_down_joe_apologizes_and_afterwards_he_answers() {
    let sandbox = Sandbox::start();
    let page = sandbox.page().await;
    page.resize(1440, 900).await;
    page.click("#drawer-open").await;
    page.click("#drawer-model").await;
    page.until("document.querySelector('#faults').textContent === 'Model down'").await;
    page.click("#composer").await;
    page.type_keys(&format!("Tell me a story{ENTER}")).await;
    assert_eq!(page.answers(2).await[1], persona_text("apology"));
    let asked = format!("{LAST}.querySelector('.trail').textContent.split('asked the model').length - 1");
    assert_eq!(page.value(&asked).await, json!(3));
    page.click("#drawer-model").await;
    page.until("document.querySelector('#faults').hidden").await;
    page.click("#composer").await;
    page.type_keys(&format!("And now?{ENTER}")).await;
    assert_ne!(page.answers(3).await[2], persona_text("apology"));
    page.end(sandbox).await;
}

impl Browser {
    /// Waits for as many texts from the persona, and gives them.
    async fn answers(&self, count: usize) -> Vec<String> {
        let answers = self.until(&format!("(({ANSWERS}).length >= {count}) && {ANSWERS}")).await;
        serde_json::from_value(answers).expect("texts")
    }

    /// Shows that there are `count` texts from the persona, and no other on its way: answers keep their order, and the
    /// next one is to a later message.
    async fn exactly(&self, count: usize) {
        self.click("#composer").await;
        self.type_keys(&format!("Mi chiamo Zaccaria{ENTER}")).await;
        let answered = format!("({ANSWERS}).some((text) => text.includes('Zaccaria')) && {ANSWERS}");
        let answers = self.until(&answered).await;
        assert_eq!(answers.as_array().map(Vec::len), Some(count + 1), "{answers:#}");
    }

    /// Remembers from now on in `window.statuses` what the server's status was and became.
    async fn note_the_server_status(&self) {
        self.value(
            "(() => { \
               const shown = document.querySelector('#server-status'); \
               window.statuses = [shown.dataset.status]; \
               const note = () => { \
                 if (window.statuses.at(-1) !== shown.dataset.status) window.statuses.push(shown.dataset.status); \
               }; \
               new MutationObserver(note).observe(shown, { attributeFilter: ['data-status'] }); \
             })()",
        )
        .await;
    }

    async fn show_trail_of_last(&self) {
        self.value(&format!("{LAST}.querySelector('summary').click()")).await;
        self.until(&format!("{LAST}.querySelector('.trail').open")).await;
    }

    /// Nothing is cut off at the right, and one can write.
    async fn fits_into(&self, width: u64) {
        assert_eq!(self.value("document.documentElement.scrollWidth").await, json!(width));
        let inside = "(({ bottom, right }) => bottom <= innerHeight && right <= innerWidth) \
                      (document.querySelector('#send').getBoundingClientRect())";
        assert_eq!(self.value(inside).await, Value::Bool(true), "the send button is out of view");
    }

    /// The page had nothing to complain of, and Ctrl-C ends the sandbox in good order.
    async fn end(self, sandbox: Sandbox) {
        assert_eq!(self.complaints().await, [""; 0]);
        sandbox.interrupt();
    }
}

/// `parlante sandbox` in a folder of its own.
struct Sandbox {
    child: Mutex<Child>,
    page: String,
    dir: TempDir,
}

impl Sandbox {
    /// Starts it, and waits until it prints where the page is.
    fn start() -> Self {
        let dir = TempDir::new().expect("a folder");
        // Three attempts without the pause between them, and no circuit that stays open when a fault is over.
        let settings = "[openai]\nbackoff_ms = [0, 20, 40]\n\
                        [elevenlabs]\nbackoff_ms = [0, 20, 40]\ncircuit_failures = 1000\n";
        std::fs::write(dir.path().join("config.toml"), settings).expect("a file");
        let mut child = Command::new(env!("CARGO_BIN_EXE_parlante"))
            .args(["--config", "config.toml", "sandbox", "--fast", "--port", &a_port().to_string()])
            .current_dir(dir.path())
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        // The server prints its log there too, little enough for the pipe to hold what nobody reads.
        let stdout = child.stdout.as_mut().expect("a pipe");
        let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
        let page = lines.find_map(|line| Some(line.split_once("the phone page:")?.1.trim().to_owned()));
        Self { child: Mutex::new(child), page: page.expect("it prints where the page is"), dir }
    }

    /// The page, with a server that is up.
    async fn page(&self) -> Browser {
        let page = Browser::open(&self.page).await;
        page.until("document.querySelector('#server-status').dataset.status === 'up'").await;
        page
    }

    /// What the page knows.
    async fn state(&self) -> Value {
        let asked =
            awc::Client::default().get(format!("{}/api/state", self.page.trim_end_matches('/'))).send();
        asked.await.expect("an answer").json().limit(1 << 20).await.expect("JSON")
    }

    /// A sound of the page.
    async fn sound(&self, media: &Value) -> Vec<u8> {
        let media = media.as_str().expect("an id");
        let place = format!("{}/api/sounds/{media}", self.page.trim_end_matches('/'));
        let mut answer = awc::Client::default().get(place).send().await.expect("an answer");
        answer.body().limit(1 << 20).await.expect("a body").to_vec()
    }

    /// Orders a fault of the model, by the stand-in's own interface.
    async fn script(&self, order: Value) {
        let settings = std::fs::read_to_string(self.dir.path().join("data/sandbox/.env")).expect("an .env");
        let base =
            settings.lines().find_map(|line| line.strip_prefix("OPENAI_BASE_URL=")).expect("a base URL");
        let url = format!("{}/__script", base.trim_end_matches("/v1"));
        let answer = awc::Client::default().post(url).send_json(&order).await.expect("an answer");
        assert!(answer.status().is_success(), "{order} was refused");
    }

    /// Ctrl-C: it ends with 0.
    fn interrupt(self) {
        self.signal(Signal::INT);
        let status = self.child.lock().expect("no poison").wait().expect("a status");
        assert!(status.success(), "{status}");
    }

    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.lock().expect("no poison").id()).ok().and_then(Pid::from_raw);
        let _ = kill_process(id.expect("a pid"), signal);
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if matches!(self.child.lock().expect("no poison").try_wait(), Ok(None)) {
            // It ends its server too, which `kill -9` would leave behind.
            self.signal(Signal::TERM);
            let _ = self.child.lock().expect("no poison").wait();
        }
    }
}

/// A port for the server that nobody takes while it is killed and started again: below those that the system hands
/// out by itself.
fn a_port() -> u16 {
    static NEXT: Mutex<u16> = Mutex::new(0);
    let mut next = NEXT.lock().expect("no poison");
    loop {
        // Two runs at once begin at different places.
        let place = u32::from(*next) + std::process::id() * 16;
        *next += 1;
        let port = u16::try_from(20_000 + place % 10_000).expect("a port");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
