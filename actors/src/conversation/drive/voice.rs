//! Hearing a voice note, and answering with one.
//!
//! Whatever goes wrong on the way in ends in the persona's asking to write; on the way out, in the same answer as
//! text. Nobody waits for a voice.

use std::time::Duration;

use actix_rt::time::Instant;
use bytes::Bytes;
use parlante_domain::turn::{ErrorCode, Event, Turn};
use parlante_domain::{Content, CustomerReply, Kind, Medium, ModelAnswer, speech};
use parlante_ledger::{Audio, LedgerError, Reply, Settle, Step, StepOutcome};
use parlante_wire::{Sound, elevenlabs, ogg};

use super::super::desk::VoicePolicy;
use super::{Drive, Next};
use crate::call::gate::{ROOM_MAX, Shut};
use crate::elevenlabs::{Script, Spoken};
use crate::openai::{Asked, Entered, Recording};
use crate::whatsapp::{Fetch, Handed, Upload};

/// Longest wait for room at the voice. Later the text is the better answer.
const VOICE_ROOM_MAX: Duration = Duration::from_secs(10);

impl Drive {
    pub(super) async fn listen(&mut self) -> Result<Next, LedgerError> {
        if let Some(heard) = self.desk.openai.attach_heard(self.row.seq).await {
            return Ok(self.heard(heard));
        }
        let Content::Sound(media) = self.row.content.clone() else { return Ok(self.please_write()) };
        if let Some(paused) = self.take_up().await? {
            return Ok(Next::Stop(paused));
        }
        // Sounds are large; only so many are in memory at once. Waiting is no part of the turn.
        let (desk, waiting) = (self.desk.clone(), Instant::now());
        let place = tokio::select! {
            biased;
            () = desk.phase.drain() => None,
            place = actix_rt::time::timeout(ROOM_MAX, desk.sounds.acquire()) => place.ok(),
        };
        let Some(_place) = place else {
            self.begun += waiting.elapsed();
            return Ok(Next::GiveBack);
        };
        let entered = desk.whatsapp.enter_for_media(self.row.seq).await;
        self.begun += waiting.elapsed();
        let _entry = match entered {
            Ok(entry) => entry,
            Err(shut) => return Ok(self.kept_out(shut)),
        };
        let until = self.turn_ends();
        let (seq, message_id) = (self.row.seq, self.row.message_id.clone());
        let fetch = Fetch { seq, message_id, number: self.row.number.clone(), media, until };
        let fetched = self.while_typing(until, self.desk.whatsapp.fetch(fetch)).await;
        self.desk.whatsapp.client.land((seq, Step::Transcribe));
        let audio = match fetched {
            Some(Handed::Done { value, .. }) => value,
            Some(Handed::Postponed { unsent: Some(shut), .. }) => return Ok(self.kept_out(Some(shut))),
            Some(Handed::Postponed { .. } | Handed::Failed { .. }) | None => return Ok(self.please_write()),
        };
        let Some(sound) = Sound::sniff(&audio) else { return Ok(self.please_write()) };
        if is_silent(audio.clone()).await {
            return Ok(self.heard_nothing());
        }
        self.transcribe(audio, sound).await
    }

    async fn transcribe(&mut self, audio: Bytes, sound: Sound) -> Result<Next, LedgerError> {
        let (openai, waiting) = (self.desk.openai.clone(), Instant::now());
        let entered = openai.enter(self.row.seq).await;
        self.begun += waiting.elapsed();
        let _entry = match entered {
            entered @ Entered::First { .. } => entered,
            // The fallback is a model, not an ear.
            Entered::Fallback | Entered::Shut(Shut::CircuitOpen | Shut::Paused { .. }) => {
                return Ok(self.please_write());
            }
            Entered::Shut(Shut::Draining) | Entered::NoRoom => return Ok(Next::GiveBack),
        };
        if let Some(paused) = self.intend(Step::Transcribe, self.desk.openai.deadline()).await? {
            return Ok(Next::Stop(paused));
        }
        self.desk.faults.at("conversation.hear");
        let until = self.turn_ends();
        let (seq, message_id) = (self.row.seq, self.row.message_id.clone());
        let recording = Recording { seq, message_id, audio, sound, until };
        let heard = self.while_typing(until, openai.hear(recording)).await;
        self.desk.faults.at("conversation.heard");
        let late = Asked::Failed { code: ErrorCode::TURN_DEADLINE, attempts: 1 };
        Ok(self.heard(heard.unwrap_or(late)))
    }

    fn heard(&mut self, heard: Asked<String>) -> Next {
        let settled = |attempts, outcome| Some(Settle { step: Step::Transcribe, attempts, outcome });
        match heard {
            Asked::Answered { answer, usage, attempts } => {
                let words = answer.trim().to_owned();
                let usage = Some(usage);
                self.settle = settled(attempts, StepOutcome::Heard { words: words.clone(), usage });
                if words.is_empty() {
                    return self.heard_nothing();
                }
                self.row.heard = Some(words);
                Next::Event(Event::Heard)
            }
            Asked::Failed { code, attempts } | Asked::Paused { code, attempts, .. } => {
                self.settle = settled(attempts, StepOutcome::Failed(code));
                self.please_write()
            }
            Asked::Drained { attempts } => {
                self.settle = settled(attempts, StepOutcome::Postponed(ErrorCode::DRAINED));
                Next::GiveBack
            }
        }
    }

    fn please_write(&self) -> Next {
        Next::Event(Event::NotHeard(CustomerReply::from(&self.desk.persona().texts.please_write)))
    }

    fn heard_nothing(&self) -> Next {
        Next::Event(Event::NotHeard(CustomerReply::from(&self.desk.persona().texts.heard_nothing)))
    }

    /// Whether an answer is spoken: in kind, unless the operator or the person says otherwise; and only what can be
    /// spoken and fits.
    pub(super) fn medium(&self, answer: &ModelAnswer) -> Medium {
        let wanted = match (self.desk.config.voice, self.row.wish) {
            (VoicePolicy::Never, _) => Medium::Text,
            (_, Some(wish)) => wish,
            (VoicePolicy::Always, None) => Medium::Voice,
            (VoicePolicy::Mirror, None) if self.row.kind == Kind::Voice => Medium::Voice,
            (VoicePolicy::Mirror, None) => Medium::Text,
        };
        if wanted == Medium::Text || self.desk.elevenlabs.is_none() {
            return Medium::Text;
        }
        let fits = |words: String| elevenlabs::format_for(words.chars().count()).is_some();
        if speech::speakable(answer).is_some_and(fits) {
            return Medium::Voice;
        }
        self.tell_fallback(&ErrorCode::TOO_LONG);
        Medium::Text
    }

    pub(super) async fn speak(&mut self) -> Result<Next, LedgerError> {
        let words = self.reply().and_then(|reply| reply.words.as_deref()).and_then(ModelAnswer::new);
        let (Some(voice), Some(words)) =
            (self.desk.elevenlabs.clone(), words.as_ref().and_then(speech::speakable))
        else {
            return Ok(self.voice_failed(&ErrorCode::NOT_VOICE));
        };
        if let Some(spoken) = voice.attach(self.row.seq).await {
            return Ok(self.spoken(spoken));
        }
        // What the model wrote and was paid for is durable before any wait.
        if voice.client.gate().is_busy()
            && let Some(paused) = self.record().await?
        {
            return Ok(Next::Stop(paused));
        }
        let waiting = Instant::now();
        let entered = voice.enter(self.row.seq, VOICE_ROOM_MAX).await;
        self.begun += waiting.elapsed();
        let _entry = match entered {
            Ok(entry) => entry,
            Err(Some(Shut::Paused { code, .. })) => return Ok(self.voice_failed(&code)),
            Err(Some(Shut::CircuitOpen)) => return Ok(self.voice_failed(&ErrorCode::CIRCUIT_OPEN)),
            Err(Some(Shut::Draining)) => return Ok(Next::GiveBack),
            Err(None) => return Ok(self.voice_failed(&ErrorCode::TIMEOUT)),
        };
        if let Some(paused) = self.intend(Step::Speak, voice.deadline()).await? {
            return Ok(Next::Stop(paused));
        }
        self.desk.faults.at("conversation.speak");
        let until = self.turn_ends();
        let (seq, message_id) = (self.row.seq, self.row.message_id.clone());
        let spoken = self.while_typing(until, voice.speak(Script { seq, message_id, words, until })).await;
        self.desk.faults.at("conversation.spoken");
        let late = Spoken::Failed { code: ErrorCode::TURN_DEADLINE, attempts: 1 };
        Ok(self.spoken(spoken.unwrap_or(late)))
    }

    fn spoken(&mut self, spoken: Spoken) -> Next {
        let settled = |attempts, outcome| Some(Settle { step: Step::Speak, attempts, outcome });
        let (code, attempts) = match spoken {
            Spoken::Audio { audio, attempts } => match Audio::new(audio.to_vec()) {
                Ok(kept) => {
                    self.settle = settled(attempts, StepOutcome::Spoken(kept));
                    self.audio = Some(audio);
                    return Next::Event(Event::Spoken);
                }
                Err(_) => (ErrorCode::TOO_LONG, attempts),
            },
            Spoken::Failed { code, attempts } => (code, attempts),
            Spoken::Drained { attempts } => {
                self.settle = settled(attempts, StepOutcome::Postponed(ErrorCode::DRAINED));
                return Next::GiveBack;
            }
        };
        self.settle = settled(attempts, StepOutcome::Failed(code.clone()));
        self.voice_failed(&code)
    }

    pub(super) async fn upload(&mut self) -> Result<Next, LedgerError> {
        let kept = match self.audio.take() {
            Some(audio) => Some(audio),
            None => self.desk.ledger.audio(self.row.seq).await?.map(Bytes::from),
        };
        let Some(audio) = kept else { return Ok(self.voice_failed(&ErrorCode::NOT_VOICE)) };
        // What was paid for is durable before any wait.
        if let Some(paused) = self.record().await? {
            return Ok(Next::Stop(paused));
        }
        let desk = self.desk.clone();
        let waiting = Instant::now();
        let entered = desk.whatsapp.enter_for_media(self.row.seq).await;
        self.begun += waiting.elapsed();
        let _entry = match entered {
            Ok(entry) => entry,
            Err(shut) => return Ok(self.kept_out(shut)),
        };
        if let Some(paused) = self.intend(Step::Upload, desk.whatsapp.deadline()).await? {
            return Ok(Next::Stop(paused));
        }
        self.desk.faults.at("conversation.upload");
        let (seq, message_id) = (self.row.seq, self.row.message_id.clone());
        let upload = Upload { seq, message_id, number: self.row.number.clone(), audio };
        let uploaded = desk.whatsapp.upload(upload).await;
        self.desk.faults.at("conversation.uploaded");
        let settled = |attempts, outcome| Some(Settle { step: Step::Upload, attempts, outcome });
        Ok(match uploaded {
            Handed::Done { value, attempts } => {
                self.row.media = Some(value.clone());
                self.settle = settled(attempts, StepOutcome::Uploaded(value));
                Next::Event(Event::Uploaded)
            }
            Handed::Postponed { code, attempts, unsent } => {
                self.settle = settled(attempts, StepOutcome::Postponed(code));
                self.postponed = Some(self.postponed_for(unsent.as_ref()));
                if unsent == Some(Shut::Draining) { Next::GiveBack } else { Next::Event(Event::Postponed) }
            }
            Handed::Failed { code, attempts } => {
                self.settle = settled(attempts, StepOutcome::Failed(code.clone()));
                self.voice_failed(&code)
            }
        })
    }

    /// There will be no voice note: the same answer is recorded as text.
    fn voice_failed(&mut self, code: &ErrorCode) -> Next {
        self.tell_fallback(code);
        self.reply = self.reply().cloned().map(|reply| Reply { is_voice: false, ..reply });
        Next::Event(Event::VoiceFailed)
    }

    /// The answer, recorded or about to be.
    fn reply(&self) -> Option<&Reply> {
        self.reply.as_ref().or(self.row.reply.as_ref())
    }

    /// The step of a voice that is resumed from the journal.
    pub(super) fn resume_voice(&self, reply: &Reply) -> Option<Turn> {
        if !reply.is_voice || self.row.media.is_some() {
            return None;
        }
        let (reply, is_spoken) = (reply.reply.clone(), self.row.has_audio);
        Some(Turn::Speaking(parlante_domain::turn::Speaking { reply, is_spoken }))
    }
}

/// Off this thread: decoding takes milliseconds for a voice note, and longer for a long silence. What makes the decoder
/// panic is no proof of silence.
async fn is_silent(audio: Bytes) -> bool {
    actix_rt::task::spawn_blocking(move || ogg::is_silent(&audio)).await.unwrap_or(false)
}
