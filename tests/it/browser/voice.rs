//! Voice notes on the phone page: recorded, chosen as a file, played, read.

use std::path::{Path, PathBuf};
use std::time::Duration;

use parlante_sandbox::audio;
use serde_json::{Value, json};

use super::{LAST, Sandbox};
use crate::support::browser::{Browser, ENTER, ESCAPE};

/// JavaScript: the newest voice note or audio file of the person, and of the persona.
const MINE: &str = "[...document.querySelectorAll('.bubble[data-from=person] .sound')].at(-1)";
const JOES: &str = "[...document.querySelectorAll('.bubble[data-from=persona] .sound')].at(-1)";

#[actix_rt::test]
async fn a_person_speaks_and_hears_joe_s_answer() {
    let sandbox = Sandbox::start();
    let page = sandbox.page().await;
    page.resize(1440, 900).await;
    page.record().await;
    page.photograph("recording-1440").await;
    page.click("#note-stop").await;
    page.note_is("ready").await;
    page.until("/^0:0[1-9]$/.test(document.querySelector('#note-preview .time').textContent)").await;
    page.photograph("recorded-1440").await;
    // The field for the words has the focus.
    page.type_keys("Ciao Joe, mi chiamo Lucia").await;
    page.click("#note-send").await;
    page.until(&format!("{JOES}?.querySelector('audio').duration > 0")).await;
    page.until(&format!("{MINE}?.querySelector('audio').duration > 0")).await;
    page.is_as_long_as_its_file(&sandbox, MINE, "person").await;
    let words = page.is_as_long_as_its_file(&sandbox, JOES, "persona").await;
    assert!(words.contains("Lucia"), "he heard the name: {words}");

    page.value(&format!("{LAST}.querySelector('summary').click()")).await;
    let trail = page.value(&format!("{LAST}.querySelector('.trail').innerText")).await;
    let steps =
        ["fetched the sound", "heard in", "the model answered", "ElevenLabs spoke", "uploaded the voice"];
    for step in steps.iter().chain(&["sent the answer as a voice note: accepted"]) {
        assert!(trail.as_str().is_some_and(|trail| trail.contains(step)), "{step} is missing in {trail}");
    }
    page.photograph("voice-trail-1440").await;
    page.end(sandbox).await;
}

#[actix_rt::test]
async fn joe_s_voice_note_plays_turns_blue_and_shows_its_words_by_keyboard_alone() {
    let sandbox = Sandbox::start();
    let page = sandbox.page().await;
    page.resize(390, 844).await;
    page.choose("#file", &voice("it-note.ogg")).await;
    page.note_is("ready").await;
    page.photograph("file-390").await;
    page.type_keys(ENTER).await;
    page.until(&format!("{JOES}?.querySelector('audio').duration > 0")).await;
    assert_eq!(page.value(&format!("{JOES}.dataset.played")).await, "false");
    page.value(&format!("{JOES}.querySelector('.play').focus()")).await;
    page.type_keys(ENTER).await;
    page.until(&format!("{JOES}.dataset.state === 'playing' && {JOES}.querySelector('rect.past')")).await;
    page.until(&format!("{JOES}.dataset.played === 'true'")).await;
    page.until("document.querySelector('.bubble[data-from=persona][data-ticks=played]')").await;
    page.type_keys(ENTER).await;
    page.until(&format!("{JOES}.dataset.state === 'silent'")).await;
    page.value(&format!("{JOES}.querySelector('.transcript').focus()")).await;
    page.type_keys(ENTER).await;
    page.until(&format!("!{JOES}.querySelector('.words').hidden")).await;
    let words = last_sound(&sandbox.state().await, "persona")["words"].clone();
    let shown = page.value(&format!("{JOES}.querySelector('.words').innerText.trim()")).await;
    // The quotation marks are the style sheet's.
    assert_eq!(shown, words);
    page.value(&format!("{MINE}.querySelector('.transcript').click()")).await;
    page.fits_into(390).await;
    page.photograph("voice-390").await;
    page.end(sandbox).await;
}

#[actix_rt::test]
async fn an_mp3_goes_as_an_audio_file_and_what_was_made_of_it_is_told() {
    let sandbox = Sandbox::start();
    let page = sandbox.page().await;
    page.resize(390, 844).await;
    page.choose("#file", &voice("sample.mp3")).await;
    page.note_is("ready").await;
    assert_eq!(
        page.value("document.querySelector('#note-status').textContent").await,
        "Audio file: sample.mp3"
    );
    assert_eq!(page.value("document.querySelector('#note-said').hidden").await, true);
    page.click("#note-send").await;
    // The disclosure, and the answer in writing.
    page.answers(2).await;
    assert_eq!(page.value(JOES).await, Value::Null);
    assert_eq!(page.value(&format!("{MINE}.dataset.kind")).await, "audio");
    page.value(&format!("{MINE}.querySelector('.transcript').click()")).await;
    page.until(&format!("{MINE}.querySelector('.words').innerText.includes('made this up')")).await;
    page.photograph("audio-file-390").await;
    page.end(sandbox).await;
}

#[actix_rt::test]
async fn a_recording_that_is_discarded_is_not_sent() {
    let sandbox = Sandbox::start();
    let page = sandbox.page().await;
    page.resize(390, 844).await;
    page.record().await;
    page.photograph("recording-390").await;
    let stop =
        "(({ right }) => right <= innerWidth)(document.querySelector('#note-stop').getBoundingClientRect())";
    assert_eq!(page.value(stop).await, true, "the button that stops is out of view");
    page.type_keys(ESCAPE).await;
    page.until("document.querySelector('#note').hidden && !document.querySelector('#write').hidden").await;
    page.record().await;
    page.click("#note-stop").await;
    page.note_is("ready").await;
    page.click("#note-cancel").await;
    page.until("document.querySelector('#note').hidden").await;
    page.type_keys(&format!("Ciao Joe, mi chiamo Lucia{ENTER}")).await;
    page.answers(2).await;
    let chat = sandbox.state().await["chats"]["393331110001"].clone();
    assert_eq!(chat.as_array().map(Vec::len), Some(3), "a text, the disclosure, an answer: {chat:#}");
    page.end(sandbox).await;
}

impl Browser {
    /// Records for a second.
    pub(super) async fn record(&self) {
        self.click("#record").await;
        self.note_is("recording").await;
        self.until("document.querySelector('#note-length').textContent === '0:01'").await;
    }

    /// Waits until the note in hand is in this phase.
    pub(super) async fn note_is(&self, phase: &str) {
        let note = "document.querySelector('#note')";
        self.until(&format!("!{note}.hidden && {note}.dataset.phase === '{phase}'")).await;
    }

    /// The audio element plays as long as the file that went through the server says; gives the file's words.
    async fn is_as_long_as_its_file(&self, sandbox: &Sandbox, player: &str, from: &str) -> String {
        let shown = self.value(&format!("{player}.querySelector('audio').duration")).await;
        let shown = Duration::from_secs_f64(shown.as_f64().expect("a finite length"));
        let sound = last_sound(&sandbox.state().await, from);
        let file = audio::inspect(&sandbox.sound(&sound["media"]).await).expect("a voice note");
        assert!(file.duration.abs_diff(shown) < Duration::from_millis(50), "{shown:?} is shown of {file:?}");
        assert_eq!(json!(file.words), sound["words"]);
        file.words.expect("words")
    }
}

/// The newest sound of the person or the persona on Lucia's phone.
pub(super) fn last_sound(state: &Value, from: &str) -> Value {
    let chat = state["chats"]["393331110001"].as_array().expect("a chat");
    let mut sounds = chat.iter().filter(|bubble| bubble["from"] == from && bubble["sound"].is_object());
    sounds.next_back().expect("a sound")["sound"].clone()
}

/// A file among those of the sandbox.
pub(super) fn voice(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/sandbox/voices").join(name)
}
