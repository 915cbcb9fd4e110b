//! The ledger: can it be written? By a look at it where nobody holds it, else by asking the server that does.
//!
//! The look changes nothing. An open would take an older file over, and the program that is still to run on it today
//! could not read it any more.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parlante_domain::ports::NoFaults;
use parlante_ledger::{Inspected, Ledger, Sqlite};
use serde_json::Value;

use super::ask::{ANSWER_MAX, Asker, Auth, Provider};
use super::check::Check;
use crate::real::SystemRandomness;
use crate::settings::Settings;

const LEDGER: &str = "ledger";
const NO_PROMISE: &str = "nothing can be kept, so no webhook is taken: Meta is told to come again";

/// The check of the ledger.
pub(super) async fn check(asker: &Asker, settings: &Settings) -> Check {
    let path = settings.ledger.path.clone();
    let place = nearest(path.parent().unwrap_or(Path::new("")));
    let looked = tokio::task::spawn_blocking(move || look(&path));
    let found = match actix_rt::time::timeout(ANSWER_MAX, looked).await {
        Ok(Ok(found)) => found,
        Ok(Err(_)) => Err(Shut::Broken("looking at it has failed".to_owned())),
        Err(_) => Err(Shut::Broken("the disk did not answer within 10 s".to_owned())),
    };
    match found {
        Ok(ledger) => free(&settings.ledger.path, &place, ledger).await,
        Err(Shut::Held) => held(asker, settings).await,
        Err(Shut::Broken(why)) => failed(why),
    }
}

/// Nobody holds it. `ledger`: `None` if there is none yet; it would be made in `place` or below.
async fn free(path: &Path, place: &Path, ledger: Option<Inspected>) -> Check {
    if let Err(why) = prove(place).await {
        return failed(format!("{}: {why}", path.display()));
    }
    let Some(Inspected { version, newest }) = ledger else {
        return Check::ok(LEDGER, format!("none yet; {} can be written", place.display()));
    };
    let mut found = format!("{} is whole, and its place can be written", path.display());
    if version < newest {
        found.push_str(&format!("; it will be taken over from version {version}"));
    }
    Check::ok(LEDGER, found)
}

fn failed(found: impl Into<String>) -> Check {
    Check::failed(
        LEDGER,
        found,
        NO_PROMISE,
        "set LEDGER_PATH to a file on a disk that lasts, in a folder that this user may write and that has room; a \
         damaged file is never replaced: move it away, and begin with the newest backup",
    )
}

/// Why nothing more can be found out by a look.
enum Shut {
    /// Another process has it.
    Held,
    /// It is of no use, or not there to be used.
    Broken(String),
}

/// Looks at the file, and makes none: a question must not leave an empty ledger behind, of whoever has asked.
fn look(path: &Path) -> Result<Option<Inspected>, Shut> {
    let broken = |error| Shut::Broken(format!("cannot look at {}: {error}", path.display()));
    if !path.try_exists().map_err(broken)? {
        return Ok(None);
    }
    if is_held(path) {
        return Err(Shut::Held);
    }
    match Sqlite::inspect(path) {
        Ok(found) => Ok(Some(found)),
        // A server has begun meanwhile, and what was seen of a file that is being written may be wrong.
        Err(_) if is_held(path) => Err(Shut::Held),
        Err(error) => Err(Shut::Broken(error.to_string())),
    }
}

/// Whether another process has the lock, rather than that the file is of no use.
fn is_held(path: &Path) -> bool {
    let mut lock = path.as_os_str().to_owned();
    lock.push(".lock");
    let file = std::fs::OpenOptions::new().write(true).open(lock);
    file.is_ok_and(|file| matches!(file.try_lock(), Err(std::fs::TryLockError::WouldBlock)))
}

/// The folder itself, or the nearest one above it that is there.
fn nearest(folder: &Path) -> PathBuf {
    let there = folder.ancestors().find(|folder| folder.is_dir() && !folder.as_os_str().is_empty());
    there.unwrap_or(Path::new(".")).to_owned()
}

/// Makes a small ledger of its own in `place`, commits, reads it back from the file, and takes it away again.
async fn prove(place: &Path) -> Result<(), String> {
    let scratch = place.join(format!(".parlante-doctor-{}", SystemRandomness::default().token()));
    std::fs::create_dir(&scratch).map_err(|error| format!("cannot write in {}: {error}", place.display()))?;
    let proved = actix_rt::time::timeout(ANSWER_MAX, write_and_read(&scratch.join("proof.db"))).await;
    // Whatever is left tells by its name what it was.
    let _ = std::fs::remove_dir_all(&scratch);
    proved.unwrap_or_else(|_| Err("no commit within 10 s".to_owned()))
}

/// Every ledger has a random id, which its first commit writes.
async fn write_and_read(file: &Path) -> Result<(), String> {
    let written = id_of(file).await?;
    let read = id_of(file).await?;
    if written == read { Ok(()) } else { Err("what was committed is not there any more".to_owned()) }
}

async fn id_of(file: &Path) -> Result<String, String> {
    let ledger = Sqlite::open(file, Arc::new(NoFaults)).map_err(|error| error.to_string())?;
    let id = ledger.id().to_string();
    ledger.close().await.map_err(|error| error.to_string())?;
    Ok(id)
}

/// Asks the server that holds it.
async fn held(asker: &Asker, settings: &Settings) -> Check {
    let server = settings.server.reachable();
    let token = settings.admin.token.as_ref();
    let auth = token.map_or(Auth::Nobody, |token| Auth::Bearer(token.expose()));
    let mend = "stop the process that holds it, or set HOST and PORT as for the server that does";
    let answer = match asker.get(Provider::Own, &format!("http://{server}/health"), auth).await {
        Ok(answer) => answer,
        Err(silence) => {
            let found = format!("another process holds it, and at {server} is {silence}");
            return Check::failed(LEDGER, found, "whether it can be written is not known", mend);
        }
    };
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let told = body.pointer("/checks/ledger/status").or(body.get("status")).and_then(Value::as_str);
    match (told, answer.status) {
        (Some("ok" | "degraded"), _) => {
            Check::ok(LEDGER, format!("the server at {server} holds it, and commits"))
        }
        (Some("down"), _) if body.get("checks").is_some() => {
            failed(format!("the server at {server} cannot commit"))
        }
        (Some("down"), _) => Check::failed(
            LEDGER,
            format!("the server at {server} is down, and does not tell why"),
            "either its ledger cannot commit, or WhatsApp is paused",
            "set ADMIN_TOKEN as for the server; then /health tells it",
        ),
        _ => {
            let found = format!("another process holds it, and what answers at {server} is no parlante");
            Check::failed(LEDGER, found, "whether it can be written is not known", mend)
        }
    }
}
