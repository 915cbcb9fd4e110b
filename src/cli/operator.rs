//! How the operator's commands reach the ledger: they open the file if no other process holds it, else they ask the
//! running server over its admin API.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use awc::ClientRequest;
use awc::http::header::AUTHORIZATION;
use bytes::Bytes;
use parlante_domain::ports::NoFaults;
use parlante_domain::{Clock, Seq};
use parlante_ledger::{Ledger, Replay, Sqlite, Which};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Failure, settings};
use crate::http::admin::{BackupRequest, DeadQuery, ForgetRequest, ReplayRequest, TraceQuery};
use crate::operator;
use crate::operator::refusal::{Refusal, Why};
use crate::operator::shape::{Copied, Erased, Page, Reopened, Trace};
use crate::real::SystemClock;
use crate::settings::{Secret, Settings};

/// Longest wait for an answer. A backup copies the whole file: some 10 GB in this time on a slow disk.
const ANSWER_MAX: Duration = Duration::from_secs(600);
/// Largest answer: a page of 100 messages is a few tens of KiB.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The way to the ledger.
pub(super) enum Office {
    /// Nobody else holds the file: this process does.
    File(Sqlite),
    /// The server that holds it.
    Server(Line),
}

/// The line to a server.
pub(super) struct Line {
    client: awc::Client,
    base: String,
    authorization: Option<String>,
    /// Why the file could not be opened.
    no_file: String,
}

/// Runs `work` with the way to the ledger that is open now.
pub(super) fn with_office(
    config: Option<PathBuf>,
    work: impl AsyncFnOnce(&Office) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let settings = settings(config)?;
    actix_rt::System::new().block_on(async move {
        let office = Office::open(&settings);
        let done = work(&office).await;
        let closed = office.close().await.map_err(Failure::from);
        done.and(closed)
    })
}

impl Office {
    fn open(settings: &Settings) -> Self {
        match open_file(&settings.ledger.path) {
            Ok(ledger) => Self::File(ledger),
            Err(no_file) => Self::Server(Line {
                client: awc::Client::builder().timeout(ANSWER_MAX).disable_redirects().finish(),
                base: format!("http://{}", settings.server.reachable()),
                authorization: settings.admin.token.as_ref().map(bearer),
                no_file,
            }),
        }
    }

    async fn close(self) -> Result<(), Refusal> {
        match self {
            Self::File(ledger) => Ok(ledger.close().await?),
            Self::Server(_) => Ok(()),
        }
    }

    pub(super) async fn trace(&self, message_id: String) -> Result<Trace, Refusal> {
        match self {
            Self::File(ledger) => operator::trace(ledger, &message_id).await,
            Self::Server(line) => line.get("/admin/trace", &TraceQuery { message_id }).await,
        }
    }

    pub(super) async fn unanswered(&self, refused: bool, after: Option<i64>) -> Result<Page, Refusal> {
        match self {
            Self::File(ledger) => {
                let which = if refused { Which::Refused } else { Which::Dead };
                operator::unanswered(ledger, which, after.map(Seq)).await
            }
            Self::Server(line) => line.get("/admin/dead", &DeadQuery { refused, after }).await,
        }
    }

    /// Opens one message again, or all dead ones where none is named.
    pub(super) async fn replay(&self, message_id: Option<String>) -> Result<Reopened, Refusal> {
        match self {
            Self::File(ledger) => {
                let what = message_id.map_or(Replay::AllDead, |id| Replay::One(id.into()));
                // Whoever is to be woken is found by the next server's sweep.
                let (reopened, _) = operator::replay(ledger, what, SystemClock.now()).await?;
                Ok(reopened)
            }
            Self::Server(line) => {
                let all = message_id.is_none();
                line.post("/admin/replay", &ReplayRequest { message_id, all }).await
            }
        }
    }

    pub(super) async fn forget(&self, person: String) -> Result<Erased, Refusal> {
        match self {
            Self::File(ledger) => operator::forget(ledger, &person).await.map(|(erased, _)| erased),
            Self::Server(line) => line.post("/admin/forget", &ForgetRequest { person }).await,
        }
    }

    /// `file` has to be absolute: a server has a working directory of its own.
    pub(super) async fn backup(&self, file: PathBuf) -> Result<(), Refusal> {
        match self {
            Self::File(ledger) => operator::backup(ledger, &file).await,
            Self::Server(line) => {
                line.post("/admin/backup", &BackupRequest { file }).await.map(|_: Copied| ())
            }
        }
    }
}

/// Opens a ledger that exists; a question must not make an empty one.
fn open_file(path: &Path) -> Result<Sqlite, String> {
    match path.try_exists() {
        Ok(false) => Err(format!("there is no ledger at {}", path.display())),
        _ => Sqlite::open(path, Arc::new(NoFaults)).map_err(|error| error.to_string()),
    }
}

fn bearer(token: &Secret) -> String {
    format!("Bearer {}", token.expose())
}

impl Line {
    async fn get<T: DeserializeOwned>(&self, path: &str, query: &impl Serialize) -> Result<T, Refusal> {
        let request =
            self.client.get(format!("{}{path}", self.base)).query(query).map_err(|_| self.foreign())?;
        self.read(self.authorized(request).send()).await
    }

    async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, Refusal> {
        let request = self.client.post(format!("{}{path}", self.base));
        self.read(self.authorized(request).send_json(body)).await
    }

    fn authorized(&self, request: ClientRequest) -> ClientRequest {
        match &self.authorization {
            Some(authorization) => request.insert_header((AUTHORIZATION, authorization.as_str())),
            None => request,
        }
    }

    async fn read<T: DeserializeOwned>(&self, sent: awc::SendClientRequest) -> Result<T, Refusal> {
        let asked = async {
            let mut answer = sent.await.map_err(|error| self.nobody(&error))?;
            let body = answer.body().limit(ANSWER_BYTES_MAX).await.map_err(|_| self.foreign())?;
            Ok::<(bool, Bytes), Refusal>((answer.status().is_success(), body))
        };
        let (done, body) = actix_rt::time::timeout(ANSWER_MAX, asked)
            .await
            .map_err(|_| Refusal::ledger(format!("{} did not answer in time", self.base)))??;
        if done {
            return serde_json::from_slice(&body).map_err(|_| self.foreign());
        }
        Err(serde_json::from_slice(&body).unwrap_or_else(|_| self.foreign()))
    }

    /// Neither the file nor a server can be had.
    fn nobody(&self, error: &awc::error::SendRequestError) -> Refusal {
        Refusal::ledger(format!("{}; and no server answers at {} ({error})", self.no_file, self.base))
    }

    fn foreign(&self) -> Refusal {
        Refusal::malformed(format!(
            "{} does not answer like this version of parlante; is HOST or PORT another program's?",
            self.base
        ))
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        match refusal.error {
            Why::Denied => Self::wrong(refusal.message),
            Why::Ledger => Self::ledger(refusal.message),
            Why::Unknown | Why::Conflict | Why::Malformed => Self::failed(refusal.message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_ends_with_the_exit_code_that_is_promised() {
        for (refusal, code) in [
            (Refusal::unknown_message("wamid.1"), 1),
            (Refusal::conflict("taken"), 1),
            (Refusal::denied("no token"), 2),
            (Refusal::ledger("full"), 3),
        ] {
            assert_eq!(Failure::from(refusal).code, code);
        }
    }
}
