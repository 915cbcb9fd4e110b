//! A person whose message meets a refusal, and what can be seen of it.

use serde_json::Value;

use super::{Case, Fate, Gets, LOOKS, Stands, Step, TICK, echo};
use crate::support::log::Log;
use crate::support::{World, a_phone, get, persona_text};

/// A server, from outside.
pub(super) struct Place<'a> {
    pub(super) world: &'a World,
    pub(super) log: Log,
    pub(super) base: String,
}

impl Place<'_> {
    /// What `/stats` says of the provider of a step.
    pub(super) async fn provider(&self, step: Step) -> Value {
        let (status, body) = get(&format!("{}/stats", self.base)).await;
        assert_eq!(status, 200, "{body}");
        serde_json::from_str::<Value>(&body).unwrap()["providers"][step.service()].clone()
    }

    /// The row of a message.
    pub(super) async fn trace(&self, id: &str) -> Value {
        let id = id.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
        let (status, body) = get(&format!("{}/admin/trace?message_id={id}", self.base)).await;
        assert_eq!(status, 200, "{body}");
        serde_json::from_str::<Value>(&body).unwrap()["message"].clone()
    }

    /// Waits until a row is so.
    pub(super) async fn until(&self, id: &str, fits: impl Fn(&Value) -> bool) {
        let (mut ticks, mut last) = (tokio::time::interval(TICK), Value::Null);
        for _ in 0..LOOKS {
            ticks.tick().await;
            last = self.trace(id).await;
            if fits(&last) {
                return;
            }
        }
        panic!("it never came to that: {last:#}")
    }

    /// Waits until a row's last step was postponed and nobody has it in progress.
    pub(super) async fn until_held(&self, id: &str) {
        let postponed = |row: &Value| {
            let steps = row["steps"].as_array().unwrap();
            steps.last().is_some_and(|step| step["state"] == "postponed")
        };
        self.until(id, postponed).await;
    }

    /// What a person got behind the disclosure.
    pub(super) fn got(&self, phone: &str) -> Vec<String> {
        let mut got = self.world.sandbox.meta.answers_to(phone);
        assert_eq!(got.remove(0), persona_text("disclosure"));
        got
    }

    /// How often each end of a message was told.
    pub(super) fn ends(&self, id: &str) -> [usize; 3] {
        ["task_completed", "task_failed", "message_dead_lettered"].map(|event| self.log.count(event, id))
    }
}

/// Words that no other index has, and that are no part of another's.
pub(super) fn words(index: usize) -> String {
    let letter = |number: usize| char::from(b'a' + u8::try_from(number % 26).unwrap());
    format!("frase {}{}", letter(index / 26), letter(index))
}

/// A person whose message meets a refusal.
pub(super) struct Met<'a> {
    pub(super) case: &'a Case,
    pub(super) phone: String,
    pub(super) words: String,
    pub(super) id: String,
    step: Step,
}

impl<'a> Met<'a> {
    /// A person writes or says something that meets the refusal so many times.
    pub(super) fn new(place: &Place<'_>, step: Step, case: &'a Case, index: usize, times: usize) -> Self {
        let (phone, words) = (a_phone(), words(index));
        step.script(place.world).aim(step.sign(&words), step.route(), times, case.fault());
        let id = place.world.sandbox.meta.deliver(step.message(&phone, &words));
        Self { case, phone, words, id, step }
    }

    fn fate(&self) -> Fate {
        Fate::of(self.step, self.case.outcome)
    }

    /// Waits until the message stands as it has to.
    pub(super) async fn comes_to_its_fate(&self, place: &Place<'_>) {
        match self.fate().stands {
            Stands::Open => {
                let failed = |line: &Value| line["message_id"] == self.id.as_str();
                place.log.wait("http_failed", failed).await;
                place.until_held(&self.id).await;
            }
            Stands::Done => drop(place.log.wait_for("task_completed", &self.id).await),
            Stands::Failed => drop(place.log.wait_for("task_failed", &self.id).await),
            Stands::Dead => drop(place.log.wait_for("message_dead_lettered", &self.id).await),
        }
    }

    /// Everything that can be seen of it is as CONTRACT says.
    pub(super) async fn is_as_it_has_to_be(&self, place: &Place<'_>) {
        let fate = self.fate();
        assert_eq!(self.calls(place), self.case.outcome.attempts(), "{}: attempts", self.case.name);
        assert_eq!(place.got(&self.phone), self.gets(fate.gets), "{}", self.case.name);
        self.is_logged(place, fate.stands);
        self.is_traced(&place.trace(&self.id).await, fate.stands);
    }

    /// How often the step's provider was asked for this person, by its own records.
    pub(super) fn calls(&self, place: &Place<'_>) -> usize {
        let (sandbox, words) = (&place.world.sandbox, &self.words);
        match self.step {
            Step::Send => {
                let answer = echo(words);
                let is_answer = |send: &&parlante_sandbox::Request| send.text.as_ref() == Some(&answer);
                sandbox.meta.look(|records| records.sends_to(&self.phone).filter(is_answer).count())
            }
            Step::Model => {
                sandbox.openai.chats().iter().filter(|call| call.last_user.as_ref() == Some(words)).count()
            }
            // What a voice note says is not in a form; but each refusal is given to one person only.
            Step::Ear => {
                let fault = Some(self.case.fault());
                sandbox.openai.transcriptions().iter().filter(|call| call.fault == fault).count()
            }
            Step::Voice => {
                let answer = Some(echo(words));
                sandbox.elevenlabs.speeches().iter().filter(|speech| speech.text == answer).count()
            }
        }
    }

    fn gets(&self, gets: Gets) -> Vec<String> {
        match gets {
            Gets::Nothing => Vec::new(),
            Gets::Apology => vec![persona_text("apology")],
            Gets::PleaseWrite => vec![persona_text("please_write")],
            Gets::AnswerAsText => vec![echo(&self.words)],
        }
    }

    fn is_logged(&self, place: &Place<'_>, stands: Stands) {
        let (name, lines) = (&self.case.name, place.log.lines());
        let of = |event: &str| -> Vec<&Value> {
            let ours = |line: &&Value| line["event"] == event && line["message_id"] == self.id.as_str();
            lines.iter().filter(ours).collect()
        };
        let attempts = self.case.outcome.attempts();
        let calls =
            [("http_retry", "WARN", (1..attempts).collect()), ("http_failed", "ERROR", vec![attempts])];
        for (event, level, at) in calls {
            let told = of(event);
            let attempt = |line: &&Value| usize::try_from(line["attempt"].as_u64().unwrap()).unwrap();
            assert_eq!(told.iter().map(attempt).collect::<Vec<_>>(), at, "{name}: {event}");
            for line in told {
                assert_eq!(
                    (&line["level"], &line["service"]),
                    (&level.into(), &self.step.service().into()),
                    "{line}"
                );
                self.case.is_told_in(line);
            }
        }
        let (done, failed, dead) = match stands {
            Stands::Open => (0, 0, 0),
            Stands::Done => (1, 0, 0),
            Stands::Failed => (0, 1, 0),
            Stands::Dead => (0, 0, 1),
        };
        let fell_back = usize::from(self.step == Step::Voice);
        let ends = [
            ("task_completed", done),
            ("task_failed", failed),
            ("message_dead_lettered", dead),
            ("voice_fallback_to_text", fell_back),
        ];
        for (event, count) in ends {
            assert_eq!(of(event).len(), count, "{name}: {event}");
            of(event)
                .into_iter()
                .filter(|_| event != "task_completed")
                .for_each(|line| self.case.is_told_in(line));
        }
    }

    fn is_traced(&self, row: &Value, stands: Stands) {
        let name = &self.case.name;
        let (state, step_state) = match stands {
            Stands::Open => ("open", "postponed"),
            Stands::Done | Stands::Failed => ("done", "failed"),
            Stands::Dead => ("dead", "failed"),
        };
        assert_eq!(row["state"], state, "{name}: {row:#}");
        let reason = matches!(stands, Stands::Failed | Stands::Dead).then(|| self.case.status.to_string());
        assert_eq!(row["reason"].as_str(), reason.as_deref(), "{name}: {row:#}");
        let steps = row["steps"].as_array().unwrap();
        let step = steps.iter().find(|step| step["step"] == self.step.name());
        let step = step.unwrap_or_else(|| panic!("{name}: no such step: {row:#}"));
        assert_eq!(
            (&step["state"], &step["attempts"]),
            (&step_state.into(), &self.case.outcome.attempts().into())
        );
        self.case.is_told_in(step);
    }
}
