//! Files to and from WhatsApp. Nobody sees them by themselves, so they may be tried again.

use std::cell::Cell;

use bytes::Bytes;
use parlante_domain::MediaId;
use parlante_domain::turn::ErrorCode;
use parlante_wire::graph;
use parlante_wire::outcome::Outcome as Means;

use super::actor::WhatsApp;
use super::{Fetch, Handed, Upload};
use crate::call::client::Provider;
use crate::call::gate::Shut;
use crate::call::http::{Broken, ERROR_BODY_MAX, Response};
use crate::call::{self, Ended, Trouble};

/// Meta's own bound on sound.
const SOUND_MAX: usize = 16 * 1024 * 1024;
/// Redirects that a download follows; Meta needs one at most.
const REDIRECTS_MAX: usize = 3;

impl WhatsApp {
    pub(super) async fn upload(&self, upload: Upload) -> Handed<MediaId> {
        let Some(place) = self.gate().take(upload.seq) else { return self.not_handed() };
        let form = graph::upload(&upload.audio);
        let (content_type, body) = (form.content_type, Bytes::from(form.body));
        let url = format!("{}/{}/{}/media", self.config.base_url, self.config.api_version, upload.number);
        let call = call::Call { message_id: &upload.message_id, until: None };
        let attempt = async || {
            let hand = async {
                let mut response = self.http.post(&url, &self.auth(), &content_type, body.clone()).await?;
                let answer = whole(&mut response).await?;
                graph::read_uploaded(&answer).ok_or_else(|| Trouble::new(Means::Retry, ErrorCode::TRUNCATED))
            };
            self.http.attempt(hand).await
        };
        match self.handed(self.attempts.run(place, &call, attempt).await) {
            // Where this failure shut the gate, or a probe found it shut still, the row waits for it like any other.
            Handed::Postponed { code, attempts, unsent: None } => {
                Handed::Postponed { code, attempts, unsent: self.gate().shut() }
            }
            handed => handed,
        }
    }

    pub(super) async fn fetch(&self, fetch: Fetch) -> Handed<Bytes> {
        let Some(place) = self.gate().take(fetch.seq) else { return self.not_handed() };
        let call = call::Call { message_id: &fetch.message_id, until: Some(fetch.until) };
        let left = Cell::new(if place.is_probe { 1 } else { self.config.call.retry.max_attempts });
        // Every attempt begins with the look-up, since its URL expires.
        let attempt = async || {
            left.set(left.get().saturating_sub(1));
            let fetched = self.http.attempt(self.look_up_and_download(&fetch)).await;
            // Whoever finds nothing behind the last URL either is told that the file is gone, not that Meta is.
            let is_gone = |trouble: &Trouble| left.get() == 0 && trouble.code == ErrorCode::status(404);
            fetched.map_err(|trouble| match trouble {
                gone if is_gone(&gone) => Trouble::new(Means::GiveUp, gone.code),
                trouble => trouble,
            })
        };
        self.handed(self.attempts.run(place, &call, attempt).await)
    }

    async fn look_up_and_download(&self, fetch: &Fetch) -> Result<Bytes, Trouble> {
        let Fetch { media, number, .. } = fetch;
        let (base, version) = (&self.config.base_url, &self.config.api_version);
        let url = format!("{base}/{version}/{media}?phone_number_id={number}");
        let mut response = self.http.get(&url, &self.auth()).await?;
        let answer = whole(&mut response).await.map_err(of_the_file)?;
        let Some(found) = graph::read_media(&answer) else {
            return Err(Trouble::new(Means::Retry, ErrorCode::TRUNCATED));
        };
        if found.size.is_some_and(|size| size > SOUND_MAX as u64) {
            return Err(Trouble::new(Means::GiveUp, ErrorCode::TOO_LONG));
        }
        let file = self.download(found.url).await?;
        // The only proof that it is whole, where the answer does not say how long it is.
        if found.size.is_some_and(|size| size > file.len() as u64) {
            return Err(Broken::Truncated.into());
        }
        Ok(file)
    }

    /// The token goes to allowed hosts only; a redirect is checked like the URL itself.
    async fn download(&self, mut url: String) -> Result<Bytes, Trouble> {
        for _ in 0..=REDIRECTS_MAX {
            if !graph::may_see_token(&url, &self.config.base_url, &self.config.media_hosts) {
                return Err(Trouble::new(Means::GiveUp, ErrorCode::FORBIDDEN_HOST));
            }
            let mut response = self.http.get(&url, &self.auth()).await?;
            match (response.status, &response.location) {
                (200, _) => return response.whole(SOUND_MAX).await.map_err(too_large),
                (301..=308, Some(location)) => match graph::resolve(location, &url) {
                    Some(next) => url = next,
                    None => break,
                },
                // The URL has expired; the next attempt looks it up again.
                (status @ 404, _) => return Err(Trouble::new(Means::Retry, ErrorCode::status(status))),
                _ => {
                    whole(&mut response).await.map_err(of_the_host)?;
                    break;
                }
            }
        }
        Err(Trouble::new(Means::GiveUp, ErrorCode::FORBIDDEN_HOST))
    }

    fn handed<T>(&self, ended: Ended<T>) -> Handed<T> {
        match ended {
            Ended::Done { value, attempts } => Handed::Done { value, attempts },
            Ended::Drained { attempts } => {
                Handed::Postponed { code: ErrorCode::DRAINED, attempts, unsent: Some(Shut::Draining) }
            }
            Ended::Failed { trouble, attempts } => match trouble.outcome {
                Means::GiveUp => Handed::Failed { code: trouble.code, attempts },
                Means::Pause(_) => {
                    Handed::Postponed { code: trouble.code, attempts, unsent: self.gate().shut() }
                }
                Means::Retry | Means::RetryUnsure | Means::Unknown => {
                    Handed::Postponed { code: trouble.code, attempts, unsent: None }
                }
            },
        }
    }

    /// Without a place: the gate is shut, or a panic has lost the place.
    fn not_handed<T>(&self) -> Handed<T> {
        Handed::Postponed { code: ErrorCode::CIRCUIT_OPEN, attempts: 0, unsent: self.gate().shut() }
    }
}

/// A file that is gone is refused in the words for a number that is not ours. One file is not the channel.
fn of_the_file(trouble: Trouble) -> Trouble {
    match trouble.code.provider() {
        Some("100") => Trouble::new(Means::GiveUp, trouble.code),
        _ => trouble,
    }
}

/// The look-up has just proved the token: who refuses it with the file stops no message but this.
fn of_the_host(trouble: Trouble) -> Trouble {
    match trouble.outcome {
        Means::Pause(_) => Trouble::new(Means::GiveUp, trouble.code),
        _ => trouble,
    }
}

/// More of a file would not become less at another try.
fn too_large(broken: Broken) -> Trouble {
    match broken {
        Broken::TooLarge => Trouble::new(Means::GiveUp, ErrorCode::TOO_LONG),
        broken => broken.into(),
    }
}

/// The body of a 200; any other answer is a refusal.
async fn whole(response: &mut Response) -> Result<Bytes, Trouble> {
    let body = response.whole(ERROR_BODY_MAX).await;
    if response.status == 200 {
        return Ok(body?);
    }
    Err(graph::classify(response.status, &body.unwrap_or_default(), response.hints).into())
}
