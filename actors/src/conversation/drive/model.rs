//! Asking the model.

use std::time::Duration;

use actix_rt::time::Instant;
use parlante_domain::policy::{self, fit};
use parlante_domain::turn::{ErrorCode, Event, Failure};
use parlante_domain::{Content, CustomerReply, Medium, Millis, ModelAnswer, Service, speech};
use parlante_ledger::{LedgerError, Reply, Settle, Step, StepOutcome};

use super::{Drive, Next};
use crate::call::gate::Shut;
use crate::openai::{Asked, Entered, Question};

/// Typing is shown for 25 s at most; renewed a little before.
const TYPING_RENEWED: Duration = Duration::from_secs(20);
/// How long after the turn's end its client is waited for.
const CLIENT_GONE: Duration = Duration::from_secs(1);
/// Lines of history that are read before the token budget chooses among them.
const HISTORY_LINES: usize = 200;

impl Drive {
    pub(super) async fn ask(&mut self) -> Result<Next, LedgerError> {
        if let Some(asked) = self.desk.openai.attach(self.row.seq).await {
            return Ok(self.asked(Some(asked)));
        }
        let (openai, entering) = (self.desk.openai.clone(), Instant::now());
        // What was heard and paid for is durable before any wait.
        if openai.is_busy()
            && let Some(paused) = self.record().await?
        {
            return Ok(Next::Stop(paused));
        }
        let entered = openai.enter(self.row.seq).await;
        // Waiting for room is no part of the turn: better late than an apology.
        self.begun += entering.elapsed();
        let _entry = match entered {
            entered @ (Entered::First { .. } | Entered::Fallback) => entered,
            Entered::Shut(Shut::Paused { code, since }) => return Ok(self.model_paused(code, since, None)),
            Entered::Shut(Shut::CircuitOpen) => {
                return Ok(Next::Event(self.apologise(ErrorCode::CIRCUIT_OPEN)));
            }
            Entered::Shut(Shut::Draining) | Entered::NoRoom => return Ok(Next::GiveBack),
        };
        let words = self.words();
        if let Some(wish) = speech::wish_in(&words).filter(|wish| self.row.wish != Some(*wish)) {
            self.desk.ledger.prefer(self.row.person, wish).await?;
            self.row.wish = Some(wish);
        }
        if let Some(paused) = self.intend(Step::Complete, self.desk.openai.deadline()).await? {
            return Ok(Next::Stop(paused));
        }
        let lines = self.desk.ledger.history(self.row.person, HISTORY_LINES).await?;
        let until = self.turn_ends();
        let question = Question {
            seq: self.row.seq,
            message_id: self.row.message_id.clone(),
            system: self.desk.persona().prompt.clone(),
            history: fit(lines, self.desk.config.history_tokens.saturating_sub(policy::tokens(&words))),
            words,
            until,
        };
        self.desk.faults.at("conversation.ask");
        let asked = self.while_typing(until, self.desk.openai.ask(question)).await;
        self.desk.faults.at("conversation.asked");
        Ok(self.asked(asked))
    }

    /// Waits for a client and shows the person that the persona is at it. `None`: the turn's time is over.
    pub(super) async fn while_typing<T>(&self, until: Instant, made: impl Future<Output = T>) -> Option<T> {
        let mut made = std::pin::pin!(made);
        // The client ends the call itself at that time; this is for a client that is gone.
        let over = actix_rt::time::sleep_until(until + CLIENT_GONE);
        let mut over = std::pin::pin!(over);
        let mut typing = actix_rt::time::interval_at(Instant::now() + TYPING_RENEWED, TYPING_RENEWED);
        loop {
            tokio::select! {
                biased;
                made = &mut made => return Some(made),
                () = &mut over => return None,
                _ = typing.tick() => self.desk.whatsapp.show_typing(&self.row.number, &self.row.message_id),
            }
        }
    }

    fn asked(&mut self, asked: Option<Asked<ModelAnswer>>) -> Next {
        let settled = |attempts, outcome| Some(Settle { step: Step::Complete, attempts, outcome });
        match asked {
            Some(Asked::Answered { answer, usage, attempts }) => {
                self.settle = settled(attempts, StepOutcome::Answered(usage));
                let medium = self.medium(&answer);
                self.reply = Some(Reply {
                    reply: CustomerReply::from(&answer),
                    words: Some(answer.words().to_owned()),
                    failed: None,
                    is_voice: medium == Medium::Voice,
                });
                Next::Event(Event::Answered(answer, medium))
            }
            Some(Asked::Failed { code, attempts }) => {
                self.settle = settled(attempts, StepOutcome::Failed(code.clone()));
                Next::Event(self.apologise(code))
            }
            Some(Asked::Paused { code, since, attempts }) => self.model_paused(code, since, Some(attempts)),
            Some(Asked::Drained { attempts }) => {
                self.settle = settled(attempts, StepOutcome::Postponed(ErrorCode::DRAINED));
                Next::GiveBack
            }
            None => {
                self.settle = settled(1, StepOutcome::Failed(ErrorCode::TURN_DEADLINE));
                Next::Event(self.apologise(ErrorCode::TURN_DEADLINE))
            }
        }
    }

    /// The person gets nothing yet, and after a while the apology. `attempts`: made for it now, if it was begun.
    fn model_paused(&mut self, code: ErrorCode, since: Millis, attempts: Option<u32>) -> Next {
        let until = self.row.awaited_since.max(since) + self.desk.config.hold;
        let settled = |outcome| attempts.map(|attempts| Settle { step: Step::Complete, attempts, outcome });
        if until <= self.now() {
            self.settle = settled(StepOutcome::Failed(code.clone())).or(self.settle.take());
            return Next::Event(self.apologise_for(Failure { code, is_dead: true }));
        }
        self.settle = settled(StepOutcome::Postponed(code)).or(self.settle.take());
        self.postponed = Some((until, Some(Service::OpenAi)));
        Next::Event(Event::Postponed)
    }

    fn apologise(&mut self, code: ErrorCode) -> Event {
        self.apologise_for(Failure { code, is_dead: false })
    }

    fn apologise_for(&mut self, failure: Failure) -> Event {
        let apology = CustomerReply::from(&self.desk.persona().texts.apology);
        let failed = Some(failure.clone());
        self.reply = Some(Reply { reply: apology.clone(), words: None, failed, is_voice: false });
        Event::ModelFailed(failure, apology)
    }

    /// What the person said.
    fn words(&self) -> String {
        match &self.row.content {
            Content::Words(words) => words.clone(),
            Content::Sound(_) => self.row.heard.clone().unwrap_or_default(),
            Content::Unclear => String::new(),
        }
    }
}
