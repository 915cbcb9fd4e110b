//! The switches of the drawer, from the page to the answer that comes or does not come.

use serde_json::{Value, json};

use super::voice::voice;
use super::{LAST, Sandbox};
use crate::support::browser::{Browser, ENTER};

/// JavaScript: how many voice notes the persona has sent.
const VOICES: &str = "document.querySelectorAll('.bubble[data-from=persona] .sound').length";

#[actix_rt::test]
async fn with_elevenlabs_cut_off_joe_answers_a_voice_note_in_writing() {
    let sandbox = Sandbox::start();
    let page = sandbox.page().await;
    page.resize(390, 844).await;
    page.click("#drawer-open").await;
    page.leaves_the_chat_in_view().await;
    page.switch("cut", true).await;
    page.send_note().await;
    // The disclosure, and the answer.
    page.answers(2).await;
    assert_eq!(page.value(VOICES).await, json!(0));
    let refused =
        format!("{LAST}.querySelector('.trail').textContent.includes('ElevenLabs gave no whole answer')");
    page.until(&refused).await;
    page.leaves_the_chat_in_view().await;
    page.fits_into(390).await;
    page.photograph("elevenlabs-cut-390").await;
    page.switch("cut", false).await;
    page.send_note().await;
    page.until(&format!("{VOICES} === 1")).await;
    page.end(sandbox).await;
}

#[actix_rt::test]
async fn with_an_expired_token_nothing_comes_until_it_is_good_again() {
    let sandbox = Sandbox::start();
    let page = sandbox.page().await;
    page.resize(1440, 900).await;
    page.click("#drawer-open").await;
    page.switch("token", true).await;
    page.click("#composer").await;
    page.type_keys(&format!("Does cream go in carbonara?{ENTER}")).await;
    page.until(&format!("{LAST}.querySelector('.trail').textContent.includes('the server was told 401')"))
        .await;
    assert_eq!(page.value("document.querySelectorAll('.bubble[data-from=persona]').length").await, json!(0));
    page.photograph("token-expired-1440").await;
    page.switch("token", false).await;
    page.answers(2).await;
    page.exactly(2).await;
    page.end(sandbox).await;
}

#[actix_rt::test]
async fn every_switch_shows_its_state_on_every_page_and_can_be_switched_back() {
    let sandbox = Sandbox::start();
    let page = sandbox.page().await;
    page.resize(1440, 900).await;
    page.click("#drawer-open").await;
    let names = ["model", "slow", "openai-quota", "cut", "elevenlabs-quota", "token"];
    for (count, name) in names.iter().enumerate() {
        page.switch(name, true).await;
        let said = if count == 0 { "Model down".to_owned() } else { format!("{} faults on", count + 1) };
        page.until(&format!("document.querySelector('#faults').textContent === '{said}'")).await;
    }
    page.photograph("everything-broken-1440").await;
    // A page that is opened now knows it too.
    let other = sandbox.page().await;
    other.until("document.querySelector('#faults').textContent === '6 faults on'").await;
    for name in names {
        page.switch(name, false).await;
    }
    for page in [&page, &other] {
        page.until("document.querySelector('#faults').hidden").await;
    }
    let off: Vec<Value> =
        sandbox.state().await["switches"].as_object().expect("a map").values().cloned().collect();
    assert_eq!(off, vec![json!(false); 6]);
    page.end(sandbox).await;
}

impl Browser {
    /// Presses a switch of the open drawer, and waits until it shows the state that it then must have.
    async fn switch(&self, name: &str, on: bool) {
        let button = format!("document.querySelector('#drawer-{name}')");
        // What was said of the last press lies over the end of the drawer.
        self.value(&format!("{button}.scrollIntoView({{ block: 'center' }})")).await;
        self.click(&format!("#drawer-{name}")).await;
        self.until(&format!("{button}.getAttribute('aria-checked') === '{on}'")).await;
    }

    /// Sends a person's voice note.
    async fn send_note(&self) {
        self.choose("#file", &voice("it-note.ogg")).await;
        self.note_is("ready").await;
        self.type_keys(ENTER).await;
        self.until("document.querySelector('#note').hidden").await;
    }

    /// The open drawer lies below the chat and not over it, and there is room to read.
    async fn leaves_the_chat_in_view(&self) {
        let seen = "(() => { \
            const [chat, write, drawer] = ['#chat', '#write', '#drawer'] \
              .map((id) => document.querySelector(id).getBoundingClientRect()); \
            return chat.height > 200 && write.bottom <= drawer.top + 1 && drawer.bottom <= innerHeight + 1; \
        })()";
        assert_eq!(self.value(seen).await, true, "the drawer lies over the chat");
    }
}
