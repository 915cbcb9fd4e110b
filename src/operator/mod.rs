//! What an operator may ask of the ledger. The admin API of a running server and the commands that open the file
//! themselves both come through here, so that both say the same.
//!
//! - [`shape`]: the answers, as JSON has them.
//! - [`refusal`]: what could not be done, and what to do about it.
//! - [`when`]: times and spans.

pub(crate) mod refusal;
pub(crate) mod shape;
pub(crate) mod when;

use std::path::Path;

use parlante_domain::{Millis, PersonId, Seq, mask};
use parlante_ledger::{Forgotten, Ledger, Replay, Replayed, Traced, Wake, Which};

use refusal::Refusal;
use shape::{Erased, Page, Reopened, Trace};

/// Messages on one page of a list: few enough that no reader thread is held up for long.
const PAGE: usize = 100;

/// All that is known of a message.
///
/// # Errors
/// [`Refusal`] if the id was never seen, or the ledger cannot be read.
pub(crate) async fn trace(ledger: &dyn Ledger, message_id: &str) -> Result<Trace, Refusal> {
    match ledger.trace(message_id.into()).await? {
        Traced::Unknown => Err(Refusal::unknown_message(message_id)),
        Traced::NotKept { known_since } => {
            Ok(Trace::NotKept { message_id: message_id.to_owned(), known_since: known_since.into() })
        }
        Traced::Kept(trace) => Ok(Trace::kept(message_id, *trace)),
    }
}

/// One page of the messages that got no answer, oldest first.
///
/// # Errors
/// [`Refusal`] if the ledger cannot be read.
pub(crate) async fn unanswered(
    ledger: &dyn Ledger,
    which: Which,
    after: Option<Seq>,
) -> Result<Page, Refusal> {
    let found = ledger.unanswered(which, PAGE, after).await?;
    // A page that is not full is the last.
    let next = found.last().filter(|_| found.len() == PAGE).map(|last| last.seq.0);
    Ok(Page { messages: found.into_iter().map(Into::into).collect(), next })
}

/// Opens one message again, or all dead ones; the caller wakes their people.
///
/// # Errors
/// [`Refusal`] if the message is not known, is open or answered, or the ledger cannot write.
pub(crate) async fn replay(
    ledger: &dyn Ledger,
    what: Replay,
    now: Millis,
) -> Result<(Reopened, Vec<Wake>), Refusal> {
    let message_id = match &what {
        Replay::One(id) => id.to_string(),
        Replay::AllDead => String::new(),
    };
    match ledger.replay(what, now).await? {
        Replayed::Unknown => Err(Refusal::unknown_message(&message_id)),
        Replayed::NotKept => Err(Refusal::conflict(format!(
            "{message_id} is known, but its text is no longer kept: there is nothing to answer"
        ))),
        Replayed::Wrong(state) => Err(Refusal::conflict(format!(
            "{message_id} is {state}: only dead and refused messages can be replayed"
        ))),
        Replayed::Reopened { replayed, wakes } => Ok((Reopened { replayed }, wakes)),
    }
}

/// Erases a person; the caller lets go of their conversations.
///
/// # Errors
/// [`Refusal`] if nobody is known under that number or id, or the ledger cannot write.
pub(crate) async fn forget(ledger: &dyn Ledger, person: &str) -> Result<(Erased, Vec<PersonId>), Refusal> {
    let Forgotten { found, messages, people, scrubbed } = ledger.forget(person).await?;
    if !found {
        return Err(Refusal::unknown(format!("nobody is known as {}", mask::mask(person))));
    }
    Ok((Erased { messages, scrubbed }, people))
}

/// Writes a copy of the ledger to a new file.
///
/// # Errors
/// [`Refusal`] if the path is relative or taken, or the copy cannot be written.
pub(crate) async fn backup(ledger: &dyn Ledger, file: &Path) -> Result<(), Refusal> {
    if !file.is_absolute() {
        return Err(Refusal::malformed("the path of a backup has to be absolute"));
    }
    Ok(ledger.backup(file).await?)
}
