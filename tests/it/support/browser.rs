//! A real Chromium, driven through chromedriver by the WebDriver protocol: click, type, look, wait, photograph.
//!
//! Waits happen in the page: a `MutationObserver` tells when what is waited for has come true. Chromedriver and all that
//! it started form one process group, which ends with the [`Browser`].

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::PATIENCE;

/// WebDriver's name of the keys that have no letter.
pub(crate) const TAB: &str = "\u{E004}";
pub(crate) const ENTER: &str = "\u{E007}";
pub(crate) const ESCAPE: &str = "\u{E00C}";
pub(crate) const ARROW_DOWN: &str = "\u{E015}";

/// The key under which WebDriver hands out elements.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A screenshot in base64 stays far below.
const REPLY_BYTES_MAX: usize = 16 << 20;

/// No window, no sandbox (the tests may run as root), no errands of its own, and a microphone that beeps and needs no
/// permission.
const FLAGS: &str = "--headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run \
    --no-proxy-server --disable-background-networking --disable-component-update --disable-sync --lang=en-US \
    --use-fake-device-for-media-stream --use-fake-ui-for-media-stream";

/// It takes a free port of one family of addresses and then the same of the other, which somebody else may have by then:
/// it ends, and is started again.
const DRIVERS_MAX: usize = 5;

pub(crate) struct Browser {
    driver: Child,
    /// `http://127.0.0.1:PORT/session/ID`
    session: String,
    /// Chromium's profile; it goes when Chromium has gone.
    home: TempDir,
}

impl Browser {
    /// Starts Chromium and opens `url`.
    pub(crate) async fn open(url: &str) -> Self {
        let home = TempDir::new().expect("a folder");
        let (driver, port) =
            (0..DRIVERS_MAX).find_map(|_| driver(home.path())).expect("chromedriver tells its port");
        let mut browser = Self { driver, session: format!("http://127.0.0.1:{port}/session"), home };
        let created = browser.ask("", Some(capabilities(browser.home.path()))).await;
        let id = created["sessionId"].as_str().expect("a session").to_owned();
        browser.session = format!("{}/{id}", browser.session);
        browser.ask("/url", Some(json!({"url": url}))).await;
        browser
    }

    /// Clicks the one element that fits, as a mouse does: it has to be in view and on top.
    pub(crate) async fn click(&self, css: &str) {
        let element = self.find(css).await;
        self.ask(&format!("/element/{element}/click"), Some(json!({}))).await;
    }

    /// Types on the keyboard, into whatever has the focus.
    pub(crate) async fn type_keys(&self, keys: &str) {
        let active = self.ask("/element/active", None).await;
        let element = active[ELEMENT].as_str().expect("an element");
        self.ask(&format!("/element/{element}/value"), Some(json!({"text": keys}))).await;
    }

    /// Chooses a file in the one file field that fits, as the file dialog would.
    pub(crate) async fn choose(&self, css: &str, file: &Path) {
        let element = self.find(css).await;
        let path = file.to_str().expect("a path that is text");
        self.ask(&format!("/element/{element}/value"), Some(json!({"text": path}))).await;
    }

    /// The value of a JavaScript expression.
    pub(crate) async fn value(&self, expression: &str) -> Value {
        self.ask("/execute/sync", Some(json!({"script": format!("return ({expression})"), "args": []}))).await
    }

    /// Waits until a JavaScript expression about the page is truthy, and gives its value.
    pub(crate) async fn until(&self, expression: &str) -> Value {
        let script = "const done = arguments[arguments.length - 1]; \
             const look = () => (EXPRESSION); \
             const first = look(); \
             if (first) { done(first); return; } \
             const observer = new MutationObserver(() => { \
               const now = look(); \
               if (now) { observer.disconnect(); done(now); } \
             }); \
             const all = { subtree: true, childList: true, attributes: true, characterData: true }; \
             observer.observe(document, all);"
            .replace("EXPRESSION", expression);
        match self.ask_for("/execute/async", Some(json!({"script": script, "args": []}))).await {
            Ok(value) => value,
            Err(error) => {
                let shown = self.value("document.body.innerText").await;
                panic!("never was {expression}: {error}; the page shows {shown}")
            }
        }
    }

    /// Gives the page this size in CSS pixels; a window cannot be as narrow as a phone.
    pub(crate) async fn resize(&self, width: u32, height: u32) {
        let metrics =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500});
        let order = json!({"cmd": "Emulation.setDeviceMetricsOverride", "params": metrics});
        self.ask("/goog/cdp/execute", Some(order)).await;
    }

    /// Writes what is in view as a PNG to `target/screenshots/`.
    pub(crate) async fn photograph(&self, name: &str) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/screenshots");
        std::fs::create_dir_all(&folder).expect("a folder");
        let base64 = self.ask("/screenshot", None).await;
        let png = decode(base64.as_str().expect("base64"));
        assert!(png.starts_with(b"\x89PNG"), "not a PNG");
        std::fs::write(folder.join(format!("{name}.png")), png).expect("a file");
    }

    /// What the page complained of on its console.
    pub(crate) async fn complaints(&self) -> Vec<String> {
        let log = self.ask("/se/log", Some(json!({"type": "browser"}))).await;
        let entries = log.as_array().expect("a list").iter().filter(|entry| entry["level"] == "SEVERE");
        entries.map(|entry| entry["message"].to_string()).collect()
    }

    async fn find(&self, css: &str) -> String {
        let query = json!({"using": "css selector", "value": css});
        let found = self.ask("/elements", Some(query)).await;
        let elements = found.as_array().expect("a list");
        assert_eq!(elements.len(), 1, "elements that fit {css}");
        elements[0][ELEMENT].as_str().expect("an element").to_owned()
    }

    /// One command: a GET, or a POST if there is a body.
    async fn ask(&self, path: &str, body: Option<Value>) -> Value {
        self.ask_for(path, body).await.unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    async fn ask_for(&self, path: &str, body: Option<Value>) -> Result<Value, Value> {
        // The driver gives up after PATIENCE; that is the better message, so this waits a little longer.
        let client = awc::Client::builder().timeout(PATIENCE * 2).finish();
        let url = format!("{}{path}", self.session);
        let sent = match body {
            Some(body) => client.post(url).send_json(&body).await,
            None => client.get(url).send().await,
        };
        let mut answer = sent.map_err(|error| error.to_string())?;
        let mut value: Value =
            answer.json().limit(REPLY_BYTES_MAX).await.map_err(|error| error.to_string())?;
        if answer.status().is_success() {
            Ok(value["value"].take())
        } else {
            Err(value["value"]["message"].take())
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let group = i32::try_from(self.driver.id()).ok().and_then(Pid::from_raw);
        if let Some(group) = group {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.driver.wait();
    }
}

/// A chromedriver and its port. `None`: it has given up.
fn driver(home: &Path) -> Option<(Child, u16)> {
    let mut driver = Command::new("chromedriver")
        .arg("--port=0")
        .env("HOME", home)
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("chromedriver is missing: run ./test once, which installs it");
    match port_of(&mut driver) {
        Some(port) => Some((driver, port)),
        None => {
            let _ = driver.wait();
            None
        }
    }
}

fn capabilities(home: &Path) -> Value {
    let profile = format!("--user-data-dir={}", home.join("profile").display());
    let arguments: Vec<&str> = FLAGS.split_whitespace().chain([profile.as_str()]).collect();
    let patience = u64::try_from(PATIENCE.as_millis()).expect("a short time");
    json!({"capabilities": {"alwaysMatch": {
        "goog:chromeOptions": {"args": arguments},
        "goog:loggingPrefs": {"browser": "ALL"},
        "timeouts": {"script": patience, "pageLoad": patience},
    }}})
}

/// The port that chromedriver has taken, from what it prints. `None`: it has ended.
fn port_of(driver: &mut Child) -> Option<u16> {
    // The pipe stays open: the driver would not survive printing into a closed one.
    let stdout = driver.stdout.as_mut().expect("a pipe");
    let lines = BufReader::new(stdout).lines().map_while(Result::ok);
    let mut ports = lines.filter_map(|line| {
        line.split_once("started successfully on port ")?.1.trim_end_matches('.').parse().ok()
    });
    ports.next()
}

/// Standard base64 to bytes.
fn decode(base64: &str) -> Vec<u8> {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = base64.bytes().map_while(|byte| alphabet.iter().position(|letter| *letter == byte));
    let (mut bits, mut waiting, mut bytes) = (0, 0, Vec::new());
    for digit in digits {
        (bits, waiting) = ((bits << 6 | digit) & 0xffff, waiting + 6);
        if waiting >= 8 {
            waiting -= 8;
            bytes.push(u8::try_from(bits >> waiting & 0xff).expect("a byte"));
        }
    }
    bytes
}
