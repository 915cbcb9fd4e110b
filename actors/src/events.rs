//! Every log event of the actors, with its level and fields, in one place. A person appears only masked; texts,
//! names, tokens and secrets never do.

use std::time::Duration;

use parlante_domain::time::as_millis;
use parlante_domain::turn::ErrorCode;
use parlante_domain::{Kind, MessageId, Noted, Service};
use parlante_ledger::{DeadLetter, LedgerError, Recovered};
use tracing::{error, info, warn};

use crate::call::circuit::Change;

/// A webhook without a usable signature header.
pub fn webhook_signature_missing(ip: &str) {
    error!(event = "webhook_signature_missing", ip);
}

/// A webhook whose signature does not fit its body.
pub fn webhook_signature_invalid(ip: &str) {
    error!(event = "webhook_signature_invalid", ip);
}

pub(crate) fn message_accepted(id: &MessageId, user_id: &str, kind: Kind) {
    info!(event = "message_accepted", message_id = %id, user_id, kind = %kind);
}

pub(crate) fn duplicate_message_skipped(id: &MessageId, user_id: &str) {
    warn!(event = "duplicate_message_skipped", message_id = %id, user_id);
}

pub(crate) fn stale_message_skipped(id: &MessageId, user_id: &str) {
    warn!(event = "stale_message_skipped", message_id = %id, user_id);
}

/// Parts of a webhook that change nothing: statuses without a tag of ours, other products, fields that nobody asked
/// for, and what lies beyond the most that Meta promises to send at once.
pub(crate) fn items_skipped(count: u32) {
    info!(event = "items_skipped", count);
}

pub(crate) fn item_ignored(id: Option<&MessageId>, reason: Noted) {
    info!(event = "item_ignored", message_id = id.map_or("", AsRef::as_ref), reason = %reason);
}

pub(crate) fn user_queue_overflow(id: &MessageId, user_id: &str, backlog: u32) {
    warn!(event = "user_queue_overflow", message_id = %id, user_id, backlog);
}

pub(crate) fn task_started(id: &MessageId, user_id: &str, waited: Duration) {
    info!(event = "task_started", message_id = %id, user_id, waited_ms = as_millis(waited));
}

pub(crate) fn task_completed(id: &MessageId, user_id: &str, took: Duration, remaining_tasks: u32) {
    info!(event = "task_completed", message_id = %id, user_id, duration_ms = as_millis(took), remaining_tasks);
}

pub(crate) fn task_failed(
    id: &MessageId,
    user_id: &str,
    took: Duration,
    remaining_tasks: u32,
    code: &ErrorCode,
) {
    error!(
        event = "task_failed", message_id = %id, user_id, duration_ms = as_millis(took), remaining_tasks,
        error_code = %code, provider_code = code.provider()
    );
}

pub(crate) fn message_dead_lettered(id: &MessageId, user_id: &str, code: &ErrorCode, attempts: u32) {
    error!(event = "message_dead_lettered", message_id = %id, user_id, error_code = %code, provider_code = code.provider(), attempts);
}

/// A message that turned out not to be answered, other than by its own turn.
pub(crate) fn dead_letter(letter: &DeadLetter) {
    message_dead_lettered(&letter.message_id, &letter.user.masked(), &letter.code, letter.attempts);
}

/// What one failed attempt says of itself.
pub(crate) struct Attempt<'a> {
    pub(crate) service: Service,
    pub(crate) message_id: &'a MessageId,
    pub(crate) attempt: u32,
    pub(crate) code: &'a ErrorCode,
}

pub(crate) fn http_retry(at: &Attempt<'_>, delay: Duration) {
    warn!(
        event = "http_retry", service = %at.service, message_id = %at.message_id, attempt = at.attempt,
        error_code = %at.code, provider_code = at.code.provider(), delay_ms = as_millis(delay)
    );
}

pub(crate) fn http_failed(at: &Attempt<'_>, took: Duration) {
    error!(
        event = "http_failed", service = %at.service, message_id = %at.message_id, attempt = at.attempt,
        error_code = %at.code, provider_code = at.code.provider(), duration_ms = as_millis(took)
    );
}

/// What happened to a provider's circuit.
pub(crate) fn circuit(service: Service, change: Change) {
    match change {
        Change::Opened { failures } => warn!(event = "circuit_opened", service = %service, failures),
        Change::HalfOpened { failures } => info!(event = "circuit_half_open", service = %service, failures),
        Change::Closed { failures } => info!(event = "circuit_closed", service = %service, failures),
    }
}

pub(crate) fn channel_paused(service: Service, code: &ErrorCode) {
    error!(event = "channel_paused", service = %service, error_code = %code, provider_code = code.provider());
}

pub(crate) fn channel_resumed(service: Service, code: &ErrorCode) {
    info!(event = "channel_resumed", service = %service, error_code = %code, provider_code = code.provider());
}

pub(crate) fn voice_fallback_to_text(id: &MessageId, user_id: &str, code: &ErrorCode) {
    warn!(
        event = "voice_fallback_to_text", message_id = %id, user_id, error_code = %code,
        provider_code = code.provider()
    );
}

/// What a panic of an actor says of itself.
pub(crate) struct Restart<'a> {
    pub(crate) actor: &'a str,
    pub(crate) user_id: Option<String>,
    pub(crate) reason: &'a str,
    pub(crate) restarts: usize,
    pub(crate) backoff: Duration,
    pub(crate) mailbox: usize,
}

pub(crate) fn actor_restarted(of: &Restart<'_>) {
    error!(
        event = "actor_restarted",
        actor = of.actor,
        user_id = of.user_id,
        reason = of.reason,
        restarts = of.restarts,
        backoff_ms = as_millis(of.backoff),
        mailbox = of.mailbox
    );
}

pub(crate) fn actor_gave_up(of: &Restart<'_>) {
    error!(
        event = "actor_gave_up",
        actor = of.actor,
        user_id = of.user_id,
        reason = of.reason,
        restarts = of.restarts,
        backoff_ms = as_millis(of.backoff),
        mailbox = of.mailbox
    );
}

/// A panic, wherever it was.
pub(crate) fn panicked(place: &str) {
    error!(event = "panic", place);
}

/// A webhook was not durable in time; Meta is told to come again.
pub(crate) fn commit_too_slow() {
    error!(event = "ledger_unavailable", error_code = "timeout");
}

/// The ledger did not take a command; the row stays open and the sweep finds it. What ended the ledger has told of
/// itself: its writer of a failure, others of a panic or the stop.
pub fn ledger_unavailable(failure: &LedgerError) {
    if matches!(failure, LedgerError::Failed { .. } | LedgerError::Closed) {
        return;
    }
    error!(event = "ledger_unavailable", error_code = failure.code(), reason = %failure);
}

/// What the last process left, found before the server is ready; what it died over too often ends here.
pub fn recovery_completed(found: &Recovered, took: Duration) {
    found.given_up.iter().for_each(dead_letter);
    info!(
        event = "recovery_completed",
        resumed = found.resumed,
        reconciled = found.reconciled,
        dead = found.given_up.len(),
        duration_ms = as_millis(took)
    );
}
