//! Every code of every provider, through the doors: a real server meets each refusal of `tests/fixtures/*_codes.json`
//! as it is written there. What has to come of it is computed from what the file says it means, by CONTRACT's table
//! ([`Fate::of`]), and read where it can be seen: at the stand-ins, in the log, in the message's trace.
//!
//! - [`meeting`]: a person whose message meets a refusal.
//! - [`runs`]: refusals that leave a channel alone, all at once; and those that pause it, one after the other.
//! - [`graph`], [`openai`], [`elevenlabs`]: the files.
//! - [`late`]: Graph's codes in a `failed` status.
//! - [`unknown`]: codes that stand in no file.

mod elevenlabs;
mod graph;
mod late;
mod meeting;
mod openai;
mod runs;
mod unknown;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use parlante_sandbox::{Fault, Inbound, Route, Script, audio};
use serde::Deserialize;
use serde_json::Value;

use crate::support::World;

/// A refusal, as it stands in a file; the README beside the files says what the fields are.
#[derive(Clone, Debug, Deserialize)]
struct Case {
    name: String,
    code: Option<String>,
    status: u16,
    outcome: Means,
    body: Value,
}

impl Case {
    fn fault(&self) -> Fault {
        Fault::status(self.status).with_body(self.body.to_string())
    }

    /// A line of the log, or a step of a trace, tells of this refusal.
    fn is_told_in(&self, line: &Value) {
        let told = (line["error_code"].as_str(), line["provider_code"].as_str());
        assert_eq!(
            told,
            (Some(self.status.to_string().as_str()), self.code.as_deref()),
            "{}: {line:#}",
            self.name
        );
    }
}

/// What a refusal means to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Means {
    Retry,
    RetryUnsure,
    GiveUp,
    PauseCredential,
    PauseAccount,
}

impl Means {
    fn pauses(self) -> bool {
        matches!(self, Self::PauseCredential | Self::PauseAccount)
    }

    /// CONTRACT, calls: what may succeed at another try has three attempts.
    fn attempts(self) -> usize {
        if matches!(self, Self::Retry | Self::RetryUnsure) { 3 } else { 1 }
    }
}

/// What becomes of a message that meets a refusal.
struct Fate {
    /// The person gets this.
    gets: Gets,
    /// The message stands so.
    stands: Stands,
}

#[derive(Clone, Copy)]
enum Gets {
    Nothing,
    Apology,
    /// The persona asks to write.
    PleaseWrite,
    /// What would have been spoken.
    AnswerAsText,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stands {
    /// It waits in the ledger.
    Open,
    Done,
    /// Done, and told as `task_failed`.
    Failed,
    Dead,
}

impl Fate {
    /// CONTRACT's table of fates.
    fn of(step: Step, means: Means) -> Self {
        let (gets, stands) = match (step, means) {
            (Step::Send, Means::GiveUp) => (Gets::Nothing, Stands::Dead),
            (Step::Send, _) => (Gets::Nothing, Stands::Open),
            (Step::Model, Means::PauseCredential | Means::PauseAccount) => (Gets::Nothing, Stands::Open),
            (Step::Model, _) => (Gets::Apology, Stands::Failed),
            (Step::Ear, _) => (Gets::PleaseWrite, Stands::Done),
            (Step::Voice, _) => (Gets::AnswerAsText, Stands::Done),
        };
        Self { gets, stands }
    }
}

/// Where a message meets a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// WhatsApp, asked to send the answer.
    Send,
    /// OpenAI, asked for the answer.
    Model,
    /// OpenAI, asked what a voice note says.
    Ear,
    /// ElevenLabs, asked to speak the answer.
    Voice,
}

impl Step {
    fn service(self) -> &'static str {
        match self {
            Self::Send => "whatsapp",
            Self::Model | Self::Ear => "openai",
            Self::Voice => "elevenlabs",
        }
    }

    /// As a trace calls it.
    fn name(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Model => "complete",
            Self::Ear => "transcribe",
            Self::Voice => "speak",
        }
    }

    fn route(self) -> Route {
        match self {
            Self::Send => Route::Send,
            Self::Model => Route::Chat,
            Self::Ear => Route::Transcribe,
            Self::Voice => Route::Speak,
        }
    }

    /// Of the call that proves key or token.
    fn health(self) -> Route {
        match self {
            Self::Send => Route::Number,
            Self::Model | Self::Ear => Route::Models,
            Self::Voice => Route::Subscription,
        }
    }

    fn script(self, world: &World) -> &Script {
        match self {
            Self::Send => world.sandbox.meta.script(),
            Self::Model | Self::Ear => world.sandbox.openai.script(),
            Self::Voice => world.sandbox.elevenlabs.script(),
        }
    }

    /// What in a request's body shows that it is for the person who said `words`. The words alone stand in the model's
    /// memory too, but nobody here writes twice before the refusal.
    fn sign(self, words: &str) -> String {
        if self == Self::Send { echo(words) } else { words.to_owned() }
    }

    fn is_spoken(self) -> bool {
        matches!(self, Self::Ear | Self::Voice)
    }

    /// A message that comes to this step.
    fn message(self, phone: &str, words: &str) -> Inbound {
        if self.is_spoken() { Inbound::voice(phone, audio::say(words)) } else { Inbound::text(phone, words) }
    }

    /// The answer to it, as the stand-in shows it.
    fn answer(self, words: &str) -> String {
        if self.is_spoken() { format!("[voice] {}", echo(words)) } else { echo(words) }
    }

    /// How often the step's provider was asked for its health.
    fn health_calls(self, world: &World) -> usize {
        let (sandbox, route) = (&world.sandbox, Some(self.health()));
        match self {
            Self::Send => {
                sandbox.meta.look(|records| records.requests().filter(|it| it.route == route).count())
            }
            Self::Model | Self::Ear => {
                sandbox.openai.look(|calls| calls.all().filter(|it| it.route == route).count())
            }
            Self::Voice => {
                sandbox.elevenlabs.look(|calls| calls.all().filter(|it| it.route == route).count())
            }
        }
    }

    /// Waits until it was asked so often.
    async fn wait_health_calls(self, world: &World, count: usize) {
        let mut ticks = tokio::time::interval(TICK);
        for _ in 0..LOOKS {
            ticks.tick().await;
            if self.health_calls(world) >= count {
                return;
            }
        }
        panic!("{} was not asked for its health {count} times", self.service())
    }
}

/// Looks at something this often, where no event tells of a change.
const TICK: Duration = Duration::from_millis(10);
/// Half a minute of looks.
const LOOKS: usize = 3000;

fn echo(words: &str) -> String {
    format!("echo: {words}")
}

/// The files, each with the number of refusals that it had when this was written. They may only grow.
const GRAPH: (&str, usize) = ("graph_codes.json", 69);
const OPENAI: (&str, usize) = ("openai_codes.json", 42);
const ELEVENLABS: (&str, usize) = ("elevenlabs_codes.json", 51);

/// All refusals of a file.
fn cases((file, least): (&str, usize)) -> Vec<Case> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(file);
    let cases: Vec<Case> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    assert!(cases.len() >= least, "{file} has lost {} refusals", least - cases.len());
    assert_eq!(names(&cases).len(), cases.len(), "{file}: a name occurs twice");
    cases
}

fn names<'a>(cases: impl IntoIterator<Item = &'a Case>) -> BTreeSet<&'a str> {
    cases.into_iter().map(|case| case.name.as_str()).collect()
}
