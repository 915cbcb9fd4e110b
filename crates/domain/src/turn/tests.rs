use proptest::prelude::*;

use super::*;
use crate::reply::PersonaText;

fn reply(parts: usize) -> CustomerReply {
    CustomerReply::recorded((0..parts).map(|n| format!("part {n}")).collect())
}

fn apology() -> CustomerReply {
    CustomerReply::from(&PersonaText::try_from("Scusa.".to_owned()).unwrap())
}

fn sending(part: usize, unknowns: u32) -> Turn {
    Turn::Sending(Sending {
        reply: reply(2),
        is_voice: false,
        part,
        unknowns,
        awaiting: unknowns > 0,
        ahead: vec![],
        failed: None,
    })
}

fn voice(unknown: bool) -> Turn {
    let unknowns = u32::from(unknown);
    let reply = reply(2);
    Turn::Sending(Sending {
        reply,
        is_voice: true,
        part: 0,
        unknowns,
        awaiting: unknown,
        ahead: vec![],
        failed: None,
    })
}

fn failure(is_dead: bool) -> Failure {
    Failure { code: ErrorCode::TIMEOUT, is_dead }
}

fn answer() -> ModelAnswer {
    ModelAnswer::new("Ciao!").unwrap()
}

fn states() -> Vec<(&'static str, Turn)> {
    vec![
        ("accepted, ask", Turn::Accepted(Plan::Ask)),
        ("accepted, listen", Turn::Accepted(Plan::Listen)),
        ("accepted, say", Turn::Accepted(Plan::Say(reply(2)))),
        ("listening", Turn::Listening),
        ("thinking", Turn::Thinking),
        ("speaking", Turn::Speaking(Speaking { reply: reply(2), is_spoken: false })),
        ("spoken", Turn::Speaking(Speaking { reply: reply(2), is_spoken: true })),
        ("sending voice", voice(false)),
        ("sending voice, unknown", voice(true)),
        ("sending 0", sending(0, 0)),
        ("sending 1, unknown", sending(1, 1)),
        ("sending 1, unknown twice", sending(1, 2)),
        ("all sent", sending(2, 0)),
        ("done", Turn::Done { failed: None }),
        ("dead", Turn::Dead(ErrorCode::UNCERTAIN)),
    ]
}

fn events() -> Vec<(&'static str, Event)> {
    vec![
        ("begun", Event::Begun),
        ("heard", Event::Heard),
        ("not heard", Event::NotHeard(apology())),
        ("answered", Event::Answered(answer(), Medium::Text)),
        ("answered by voice", Event::Answered(answer(), Medium::Voice)),
        ("model failed", Event::ModelFailed(failure(false), apology())),
        ("spoken", Event::Spoken),
        ("uploaded", Event::Uploaded),
        ("voice failed", Event::VoiceFailed),
        ("postponed", Event::Postponed),
        ("accepted", Event::PartAccepted),
        ("unknown", Event::PartUnknown),
        ("missing, resend", Event::PartMissing(AmbiguousSend::Resend)),
        ("missing, hold", Event::PartMissing(AmbiguousSend::Hold)),
        ("refused", Event::PartRefused(ErrorCode::recorded("131026"))),
        ("given up", Event::GivenUp(ErrorCode::WINDOW_CLOSED)),
    ]
}

fn word((turn, effect): (Turn, Effect)) -> String {
    let turn = match turn {
        Turn::Accepted(_) => "accepted".to_owned(),
        Turn::Listening => "listening".to_owned(),
        Turn::Speaking(_) => "speaking".to_owned(),
        Turn::Sending(s) if s.is_voice => format!("sending voice {}", s.part),
        Turn::Thinking => "thinking".to_owned(),
        Turn::Sending(s) => format!("sending {}", s.part),
        Turn::Done { failed: None } => "done".to_owned(),
        Turn::Done { failed: Some(code) } => format!("done, {code}"),
        Turn::Dead(code) => format!("dead, {code}"),
    };
    format!("{turn}: {effect:?}")
}

/// The whole table: what is not listed is illegal.
const TABLE: &[(&str, &str, &str)] = &[
    ("accepted, ask", "begun", "thinking: Ask"),
    ("accepted, ask", "given up", "dead, window_closed: Finish"),
    ("accepted, listen", "begun", "listening: Listen"),
    ("accepted, listen", "given up", "dead, window_closed: Finish"),
    ("listening", "begun", "listening: Listen"),
    ("listening", "heard", "thinking: Ask"),
    ("listening", "not heard", "sending 0: Send(0)"),
    ("listening", "postponed", "listening: Postpone"),
    ("listening", "given up", "dead, window_closed: Finish"),
    ("accepted, say", "begun", "sending 0: Send(0)"),
    ("accepted, say", "given up", "dead, window_closed: Finish"),
    ("thinking", "begun", "thinking: Ask"),
    ("thinking", "answered", "sending 0: Send(0)"),
    ("thinking", "model failed", "sending 0: Send(0)"),
    ("thinking", "answered by voice", "speaking: Speak"),
    ("thinking", "postponed", "thinking: Postpone"),
    ("thinking", "given up", "dead, window_closed: Finish"),
    ("speaking", "begun", "speaking: Speak"),
    ("speaking", "spoken", "speaking: Upload"),
    ("speaking", "voice failed", "sending 0: Send(0)"),
    ("speaking", "postponed", "speaking: Postpone"),
    ("speaking", "given up", "dead, window_closed: Finish"),
    ("spoken", "begun", "speaking: Upload"),
    ("spoken", "uploaded", "sending voice 0: Send(0)"),
    ("spoken", "voice failed", "sending 0: Send(0)"),
    ("spoken", "postponed", "speaking: Postpone"),
    ("spoken", "given up", "dead, window_closed: Finish"),
    ("sending voice", "begun", "sending voice 0: Send(0)"),
    ("sending voice", "accepted", "done: Finish"),
    ("sending voice", "unknown", "sending voice 0: AwaitStatus"),
    ("sending voice", "postponed", "sending voice 0: Postpone"),
    ("sending voice", "refused", "dead, 131026: Finish"),
    ("sending voice", "voice failed", "sending 0: FallBack"),
    ("sending voice", "given up", "dead, window_closed: Finish"),
    ("sending voice, unknown", "accepted", "done: Finish"),
    ("sending voice, unknown", "missing, resend", "sending voice 0: Send(0)"),
    ("sending voice, unknown", "missing, hold", "dead, uncertain: Finish"),
    ("sending voice, unknown", "refused", "dead, 131026: Finish"),
    ("sending voice, unknown", "voice failed", "sending 0: FallBack"),
    ("sending voice, unknown", "given up", "dead, window_closed: Finish"),
    ("sending 0", "begun", "sending 0: Send(0)"),
    ("sending 0", "accepted", "sending 1: Send(1)"),
    ("sending 0", "unknown", "sending 0: AwaitStatus"),
    ("sending 0", "postponed", "sending 0: Postpone"),
    ("sending 0", "refused", "dead, 131026: Finish"),
    ("sending 0", "given up", "dead, window_closed: Finish"),
    ("sending 1, unknown", "accepted", "done: Finish"),
    ("sending 1, unknown", "missing, resend", "sending 1: Send(1)"),
    ("sending 1, unknown", "missing, hold", "dead, uncertain: Finish"),
    ("sending 1, unknown", "refused", "dead, 131026: Finish"),
    ("sending 1, unknown", "given up", "dead, window_closed: Finish"),
    ("sending 1, unknown twice", "accepted", "done: Finish"),
    ("sending 1, unknown twice", "missing, resend", "dead, uncertain: Finish"),
    ("sending 1, unknown twice", "missing, hold", "dead, uncertain: Finish"),
    ("sending 1, unknown twice", "refused", "dead, 131026: Finish"),
    ("sending 1, unknown twice", "given up", "dead, window_closed: Finish"),
    ("all sent", "begun", "done: Finish"),
    ("all sent", "given up", "dead, window_closed: Finish"),
];

#[test]
fn the_table_of_every_legal_step() {
    for (state_word, state) in states() {
        for (event_word, event) in events() {
            let wanted = TABLE.iter().find(|(s, e, _)| *s == state_word && *e == event_word).map(|row| row.2);
            let got = state.clone().step(event).ok().map(word);
            assert_eq!(got.as_deref(), wanted, "{state_word} + {event_word}");
        }
    }
}

#[test]
fn a_code_shows_its_status_and_keeps_the_providers_own() {
    let code = ErrorCode::status(400).with_provider(Some("131026"));
    assert_eq!(
        (code.to_string().as_str(), code.provider(), code.as_str()),
        ("400", Some("131026"), "400/131026")
    );
    assert_eq!(ErrorCode::recorded(code.as_str()), code);
    assert_eq!((ErrorCode::TIMEOUT.to_string().as_str(), ErrorCode::TIMEOUT.provider()), ("timeout", None));
}

#[test]
fn an_apology_ends_as_done_with_its_reason() {
    let (turn, _) = Turn::Thinking.step(Event::ModelFailed(failure(false), apology())).unwrap();
    assert_eq!(word(turn.step(Event::PartAccepted).unwrap()), "done, timeout: Finish");
}

#[test]
fn an_apology_that_is_no_answer_ends_as_dead() {
    let (turn, _) = Turn::Thinking.step(Event::ModelFailed(failure(true), apology())).unwrap();
    assert_eq!(word(turn.step(Event::PartAccepted).unwrap()), "dead, timeout: Finish");
}

#[test]
fn a_part_that_whatsapp_has_already_is_not_sent_again() {
    let sending = |part, ahead| {
        let reply = reply(4);
        Turn::Sending(Sending {
            reply,
            is_voice: false,
            part,
            unknowns: 0,
            awaiting: false,
            ahead,
            failed: None,
        })
    };
    assert_eq!(word(sending(0, vec![1, 2]).step(Event::PartAccepted).unwrap()), "sending 3: Send(3)");
    assert_eq!(word(sending(2, vec![3]).step(Event::PartAccepted).unwrap()), "done: Finish");
}

proptest! {
    /// Whatever happens, each part is sent at most once more than it became unknown, in order, and an end is an end.
    #[test]
    fn parts_go_out_in_order_and_at_most_once_more_than_unknown(picks in prop::collection::vec(0..16_usize, 0..60)) {
        let mut turn = Turn::Accepted(Plan::Ask);
        let mut sends = [0_u32; 2];
        let mut unknowns = [0_u32; 2];
        let mut newest = 0;
        for pick in picks {
            let (_, event) = events().remove(pick);
            let part_before = if let Turn::Sending(s) = &turn { s.part } else { 0 };
            let repeats = matches!(event, Event::Begun | Event::Postponed);
            let unknown = matches!(event, Event::PartUnknown);
            let ended = matches!(turn, Turn::Done { .. } | Turn::Dead(_));
            let Ok((next, effect)) = turn.clone().step(event) else { continue };
            prop_assert!(!ended);
            if unknown { unknowns[part_before.min(1)] += 1; }
            if let Effect::Send(part) = effect {
                prop_assert!(part >= newest);
                newest = part;
                // Begun repeats a send that the journal says was never made.
                if !repeats { sends[part] += 1; }
                prop_assert!(sends[part] <= 1 + unknowns[part].min(1));
            }
            turn = next;
        }
    }
}
