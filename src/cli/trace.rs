//! `parlante trace MESSAGE_ID`: one page that says why a message was answered, or why not.

use std::fmt::Write;
use std::path::PathBuf;

use super::operator::with_office;
use super::{Failure, reason, say};
use crate::operator::shape::{Progress, Purpose, Row, State, StepLine, Trace};
use crate::operator::when::{Time, span};

pub(super) fn run(config: Option<PathBuf>, message_id: String, json: bool) -> Result<(), Failure> {
    with_office(config, async |office| {
        let trace = office.trace(message_id).await?;
        if json {
            say(serde_json::to_string_pretty(&trace).map_err(Failure::failed)?)
        } else {
            say(page(&trace))
        }
    })
}

fn page(trace: &Trace) -> String {
    match trace {
        Trace::NotKept { message_id, known_since } => [
            field("message", message_id),
            field("known", &format!("since {known_since}")),
            field("outcome", "nothing more is kept: it wanted no answer (a reaction), its person was"),
            field("", "forgotten, or its time is over; delivered again it is a duplicate"),
        ]
        .join("\n"),
        Trace::Kept { message_id, message, beside } => {
            let mut page = answer(message_id, message);
            for row in beside {
                page += &format!("\n\n{}", companion(row, message));
            }
            page
        }
    }
}

fn field(name: &str, value: &str) -> String {
    format!("{name:<9} {value}")
}

/// The message itself.
fn answer(message_id: &str, row: &Row) -> String {
    let mut lines = vec![
        field("message", message_id),
        field("from", &format!("{}, {}", row.user_id, row.kind)),
        field("accepted", &after(row.accepted_at, row.sent_at, "it was sent")),
    ];
    match row.started_at {
        Some(started) => lines.push(field("waited", &between(row.accepted_at, started))),
        None => lines.push(field("waited", "never taken up")),
    }
    if let Some(ended) = row.ended_at {
        lines.push(field("ended", &after(ended, row.accepted_at, "it was accepted")));
    }
    if let Some(due) = row.due_at {
        lines.push(field("due", &after(due, row.accepted_at, "it was accepted")));
    }
    lines.push(field("outcome", outcome(row)));
    if let Some(reason) = &row.reason {
        lines.push(field("reason", &reason::explained(reason)));
    }
    lines.extend(trouble(row).map(|trouble| field("trouble", &trouble)));
    if matches!(row.state, State::Dead | State::Refused) {
        lines.push(field("mend", "parlante dead replay, with this id, tries again"));
    }
    lines.join("\n") + &steps(row, row.accepted_at)
}

/// A text of ours that was made with it.
fn companion(row: &Row, message: &Row) -> String {
    let what = match row.purpose {
        Purpose::Disclosure => "before it, the disclosure",
        Purpose::Overflow => "beside it, the notice that too much came at once",
        Purpose::Answer => "beside it, another answer",
    };
    let reason =
        row.reason.as_deref().map(|code| format!(": {}", reason::explained(code))).unwrap_or_default();
    let state = match row.state {
        State::Open => "is open",
        State::Done => "was sent",
        State::Dead | State::Refused => "was not sent",
    };
    format!("{what}, {state}{reason}{}", steps(row, message.accepted_at))
}

fn outcome(row: &Row) -> &'static str {
    let has_step = |state| row.steps.iter().any(|step| step.state == state);
    match (row.state, &row.reason) {
        (State::Done, None) => "answered",
        (State::Done, Some(_)) => "answered with the persona's apology",
        (State::Dead, _) => "not answered",
        (State::Refused, _) => "refused",
        (State::Open, _) if has_step(Progress::Intended) => "being answered",
        (State::Open, _) if has_step(Progress::Unknown) => "open: it waits for the status of what was sent",
        (State::Open, _) if row.holds > 0 => "open: it is held until WhatsApp takes it",
        (State::Open, _) => "open: it waits for its turn",
    }
}

fn trouble(row: &Row) -> Option<String> {
    let counted = [
        (row.panics, "panic", "panics"),
        (row.deaths, "death of the process", "deaths of the process"),
        (row.holds, "hold", "holds"),
        (row.replays, "replay", "replays"),
    ];
    let told: Vec<String> = counted
        .iter()
        .filter(|(count, ..)| *count > 0)
        .map(|(count, one, many)| format!("{count} {}", if *count == 1 { one } else { many }))
        .collect();
    (!told.is_empty()).then(|| told.join(", "))
}

/// The steps as a table, times counted from `since`; empty if there are none.
fn steps(row: &Row, since: Time) -> String {
    if row.steps.is_empty() {
        return String::new();
    }
    let mut table = format!("\n\n{:>11}  {:<11}  {:>8}  {:>11}  result", "after", "step", "attempts", "took");
    for step in &row.steps {
        let took =
            step.settled_at.map_or_else(|| "-".to_owned(), |settled| between(step.intended_at, settled));
        // Writing to a string does not fail.
        let _ = write!(
            table,
            "\n{:>11}  {:<11}  {:>8}  {took:>11}  {}",
            between(since, step.intended_at),
            name(step, row.parts),
            step.attempts,
            result(step)
        );
        if let Some(id) = &step.outbound_id {
            let _ = write!(table, "\n{:>11}  as {id}", "");
        }
    }
    table
}

fn name(step: &StepLine, parts: u32) -> String {
    match (step.step.as_str(), step.part) {
        ("complete", _) => "model".to_owned(),
        (step, Some(part)) if parts > 1 => format!("{step} {part}/{parts}"),
        (step, _) => step.to_owned(),
    }
}

fn result(step: &StepLine) -> String {
    let code =
        step.error_code.as_deref().map(|code| reason::with_provider(code, step.provider_code.as_deref()));
    let because = code.as_ref().map(|code| format!(": {code}")).unwrap_or_default();
    match step.state {
        Progress::Intended => "under way".to_owned(),
        Progress::Failed => format!("failed{because}"),
        Progress::Postponed => format!("put off{because}"),
        Progress::Unknown => format!("unknown{because}"),
        Progress::Done => {
            let done = match (&step.usage, &step.status) {
                (Some(usage), _) => {
                    format!("answered, {} + {} tokens", usage.prompt_tokens, usage.completion_tokens)
                }
                (None, Some(status)) => status.clone(),
                (None, None) => "accepted".to_owned(),
            };
            code.map_or(done.clone(), |code| format!("{done}, after {code}"))
        }
    }
}

fn after(at: Time, since: Time, what: &str) -> String {
    format!("{at}  {} after {what}", between(since, at))
}

fn between(from: Time, to: Time) -> String {
    span(to.0.since(from.0))
}

#[cfg(test)]
mod tests {
    use parlante_domain::Millis;

    use super::*;
    use crate::operator::shape::Tokens;

    /// Milliseconds after a certain moment.
    fn at(ms: i64) -> Time {
        Time(Millis(1_795_511_523_000 + ms))
    }

    fn step(step: &str, part: Option<u32>, from: i64, to: Option<i64>) -> StepLine {
        StepLine {
            step: step.to_owned(),
            part,
            state: if to.is_some() { Progress::Done } else { Progress::Intended },
            attempts: u32::from(to.is_some()),
            unknowns: 0,
            intended_at: at(from),
            settled_at: to.map(at),
            error_code: None,
            provider_code: None,
            outbound_id: None,
            status: None,
            usage: None,
        }
    }

    fn row(state: State, reason: Option<&str>, steps: Vec<StepLine>) -> Row {
        Row {
            purpose: Purpose::Answer,
            user_id: "393******154".to_owned(),
            kind: "text".to_owned(),
            state,
            reason: reason.map(str::to_owned),
            sent_at: at(-1120),
            accepted_at: at(0),
            started_at: Some(at(12)),
            ended_at: (state != State::Open).then(|| at(2815)),
            due_at: None,
            panics: 0,
            deaths: 0,
            holds: 0,
            replays: 0,
            parts: 2,
            steps,
        }
    }

    fn kept(message: Row, beside: Vec<Row>) -> String {
        page(&Trace::Kept { message_id: "wamid.in".to_owned(), message, beside })
    }

    #[test]
    fn an_answered_message_reads_from_top_to_bottom() {
        let usage = Some(Tokens { prompt_tokens: 412, completion_tokens: 96 });
        let model = StepLine { usage, ..step("complete", None, 12, Some(1432)) };
        let sent = |part, from, to, status: &str| StepLine {
            outbound_id: Some(format!("wamid.out{part}")),
            status: Some(status.to_owned()),
            ..step("send", Some(part), from, Some(to))
        };
        let first = StepLine { attempts: 2, error_code: Some("503".into()), ..sent(1, 1440, 1752, "read") };
        let steps = vec![model, first, sent(2, 1800, 2000, "delivered")];
        assert_eq!(
            kept(row(State::Done, None, steps), vec![]),
            "\
message   wamid.in
from      393******154, text
accepted  2026-11-24T09:12:03.000Z  1.12 s after it was sent
waited    12 ms
ended     2026-11-24T09:12:05.815Z  2.81 s after it was accepted
outcome   answered

      after  step         attempts         took  result
      12 ms  model               1       1.42 s  answered, 412 + 96 tokens
     1.44 s  send 1/2            2       312 ms  read, after 503
             as wamid.out1
     1.80 s  send 2/2            1       200 ms  delivered
             as wamid.out2"
        );
    }

    #[test]
    fn a_dead_message_says_why_and_what_to_do() {
        let failed = StepLine {
            state: Progress::Failed,
            error_code: Some("131026".into()),
            ..step("send", Some(1), 12, Some(112))
        };
        let message =
            Row { panics: 1, replays: 2, parts: 1, ..row(State::Dead, Some("131026"), vec![failed]) };
        let disclosure = Row { purpose: Purpose::Disclosure, parts: 1, ..row(State::Done, None, vec![]) };
        let page = kept(message, vec![disclosure]);
        for line in [
            "outcome   not answered",
            "reason    131026 (WhatsApp's own code)",
            "trouble   1 panic, 2 replays",
            "mend      parlante dead replay, with this id, tries again",
            "      12 ms  send                1       100 ms  failed: 131026",
            "before it, the disclosure, was sent",
        ] {
            assert!(page.lines().any(|found| found == line), "{line:?} is missing in:\n{page}");
        }
    }

    #[test]
    fn an_open_message_says_where_it_stands() {
        let open = |steps| Row { due_at: Some(at(5000)), ..row(State::Open, None, steps) };
        assert!(kept(open(vec![]), vec![]).ends_with("outcome   open: it waits for its turn"));
        let page = kept(open(vec![step("complete", None, 12, None)]), vec![]);
        assert!(page.contains("outcome   being answered"), "{page}");
        assert!(page.ends_with("      12 ms  model               0            -  under way"), "{page}");
        assert!(page.contains("due       2026-11-24T09:12:08.000Z  5.00 s after it was accepted"), "{page}");
        let unknown = StepLine { state: Progress::Unknown, ..step("send", Some(1), 12, Some(112)) };
        assert!(kept(open(vec![unknown]), vec![]).contains("outcome   open: it waits for the status"));
        let held = Row { holds: 2, ..open(vec![]) };
        assert!(kept(held, vec![]).contains("outcome   open: it is held until WhatsApp takes it"));
    }

    #[test]
    fn no_line_of_ours_is_wider_than_a_terminal() {
        let not_kept = Trace::NotKept { message_id: "wamid.in".to_owned(), known_since: at(0) };
        let stale = Row { started_at: None, ..row(State::Refused, Some("stale"), vec![]) };
        for page in [page(&not_kept), kept(stale, vec![])] {
            assert!(page.lines().all(|line| line.len() <= 80), "{page}");
        }
    }
}
