//! Deaths and panics between the steps: what is settled is not paid for again, and the person gets one voice note.

use parlante_sandbox::{Fault, Inbound, PATIENCE, Route, audio};
use serde_json::Value;

use super::{BY_VOICE, Calls, Talk, silent_meta};
use crate::support::innocent::persons_got_no_errors;
use crate::support::{TestClock, TestFaults, World, a_phone, persona_text};

/// What a server does when it is killed, and all that was asked of the providers when its successor has answered.
struct Death {
    during: Route,
    all: Calls,
}

fn deaths() -> [Death; 6] {
    let at = |during, all| Death { during, all };
    [
        at(Route::Download, Calls { downloads: 2, ..Calls::ONCE }),
        // What was fetched is in memory only: fetching costs nothing.
        at(Route::Transcribe, Calls { downloads: 2, heard: 2, ..Calls::ONCE }),
        at(Route::Chat, Calls { asked: 2, ..Calls::ONCE }),
        at(Route::Speak, Calls { spoken: 2, ..Calls::ONCE }),
        at(Route::Upload, Calls { uploads: 2, ..Calls::ONCE }),
        at(Route::Send, Calls { voices: 2, ..Calls::ONCE }),
    ]
}

/// Lets the next call of this kind hang, or stand at a gate, and waits until there is one.
async fn deliver_and_catch(talk: &Talk, phone: &str, during: Route) -> String {
    let (meta, sandbox) = (&talk.world.sandbox.meta, &talk.world.sandbox);
    let script = match during {
        Route::Transcribe | Route::Chat => sandbox.openai.script(),
        Route::Speak => sandbox.elevenlabs.script(),
        _ => meta.script(),
    };
    match during {
        Route::Send => script.aim(BY_VOICE, Route::Send, 1, Fault::hang()),
        route => script.next(route, 1, Fault::hang()),
    };
    let id = talk.deliver(Inbound::voice(phone, audio::say("ciao")));
    match during {
        Route::Transcribe => drop(sandbox.openai.wait_transcriptions(1).await.unwrap()),
        Route::Chat => drop(sandbox.openai.wait_calls(1).await.unwrap()),
        Route::Speak => drop(sandbox.elevenlabs.wait_speeches(1).await.unwrap()),
        route => {
            let is_it = |request: &parlante_sandbox::Request| {
                let by_voice = request.json["audio"]["voice"] == true;
                request.route == Some(route) && (route != Route::Send || by_voice)
            };
            let seen = |records: &parlante_sandbox::Records| records.requests().any(is_it).then_some(());
            meta.wait(seen, PATIENCE).await.unwrap();
        }
    }
    id
}

#[actix_rt::test]
async fn a_kill_between_any_two_steps_pays_for_nothing_twice_that_is_settled() {
    for Death { during, all } in deaths() {
        let talk = Talk::of(silent_meta().set("WHATSAPP_RECONCILE_MS", "200")).await;
        let phone = a_phone();
        let id = deliver_and_catch(&talk, &phone, during).await;
        let talk = talk.restart().await;
        talk.server.log.wait_for("task_completed", &id).await;
        let asked = all.asked;
        assert_eq!(Calls::of(&talk.world), all, "killed during {during:?}");
        assert_eq!(talk.got_in_the_end(&phone).await, ["[voice] echo: ciao"], "killed during {during:?}");
        assert_eq!(Calls::of(&talk.world), Calls { asked: asked + 1, ..all }, "and for the next question");
        assert_eq!(talk.fell_back(&id), None);
        // Whatever a note does to the process, it is counted from the moment it is looked at.
        assert_eq!(trace(&talk.world, &id).await["message"]["deaths"], 1, "killed during {during:?}");
        talk.end();
    }
}

#[actix_rt::test]
async fn an_answer_that_waits_for_its_turn_to_be_spoken_is_not_asked_for_again_after_a_kill() {
    let talk = Talk::new().await;
    let voices = talk.world.sandbox.elevenlabs.script();
    // As many as may be spoken at once.
    voices.next(Route::Speak, 6, Fault::Gate("speaking".into()));
    let note = |_| talk.deliver(Inbound::voice(&a_phone(), audio::say("ciao")));
    let ids: Vec<String> = (0..6).map(note).collect();
    voices.wait_at_gate("speaking", 6, PATIENCE).await.unwrap();
    let waiting = note(6);
    let is_asked = async {
        let asked = ("complete".to_owned(), "done".to_owned());
        while !steps(&talk.world, &waiting).await.contains(&asked) {}
    };
    tokio::time::timeout(PATIENCE, is_asked).await.expect("the answer is durable while it waits");
    let talk = talk.restart().await;
    talk.world.sandbox.elevenlabs.script().open("speaking");
    for id in ids.iter().chain([&waiting]) {
        talk.server.log.wait_for("task_completed", id).await;
    }
    assert_eq!(talk.world.sandbox.openai.chats().len(), 7);
    talk.end();
}

#[actix_rt::test]
async fn a_stop_in_good_order_between_any_two_steps_pays_for_nothing_twice_either() {
    for Death { during, all } in deaths() {
        let world = silent_meta().set("WHATSAPP_RECONCILE_MS", "200").set("SERVER_DRAIN_S", "0");
        let talk = Talk::of(world).await;
        let phone = a_phone();
        let id = deliver_and_catch(&talk, &phone, during).await;
        assert!(talk.server.terminate().await.success());
        let talk = Talk::of(talk.world).await;
        talk.server.log.wait_for("task_completed", &id).await;
        assert_eq!(talk.got(&phone), ["[voice] echo: ciao"], "stopped during {during:?}");
        assert_eq!(Calls::of(&talk.world), all, "stopped during {during:?}");
        talk.end();
    }
}

#[actix_rt::test]
async fn a_voice_note_that_whatsapp_took_while_the_server_was_dead_is_not_sent_again() {
    let talk = Talk::of(World::new().set("WHATSAPP_RECONCILE_MS", "60000")).await;
    let (meta, phone) = (talk.world.sandbox.meta.clone(), a_phone());
    meta.script().aim(BY_VOICE, Route::Send, 1, Fault::Gate("voice".to_owned()));
    let id = talk.deliver(Inbound::voice(&phone, audio::say("ciao")));
    meta.script().wait_at_gate("voice", 1, PATIENCE).await.unwrap();
    let talk = talk.restart().await;
    meta.script().open("voice");
    talk.server.log.wait_for("task_completed", &id).await;
    assert_eq!(talk.got_in_the_end(&phone).await, ["[voice] echo: ciao"]);
    assert_eq!(Calls { asked: 1, ..Calls::of(&talk.world) }, Calls::ONCE);
    talk.end();
}

#[actix_rt::test]
async fn a_conversation_that_panics_takes_up_the_call_under_way_or_its_result() {
    let points = [
        "conversation.take_up",
        "conversation.hear",
        "conversation.heard",
        "conversation.ask",
        "conversation.asked",
        "conversation.speak",
        "conversation.spoken",
        "conversation.upload",
        "conversation.uploaded",
        "conversation.sent",
    ];
    for point in points {
        let (world, faults) = (World::new(), TestFaults::default());
        let server = world.start_in_process(&TestClock::default(), &faults).await;
        let (meta, phone) = (&world.sandbox.meta, a_phone());
        let first = meta.deliver(Inbound::text(&phone, "ciao"));
        server.log.wait_for("task_completed", &first).await;
        faults.panic(point, 1);
        let id = meta.deliver(Inbound::voice(&phone, audio::say("mi senti?")));
        server.log.wait_for("task_completed", &id).await;
        assert_eq!(meta.answers_to(&phone)[2..], ["[voice] echo: mi senti?"], "{point}");
        let mut calls = Calls::of(&world);
        // Fetched for nothing is no loss.
        calls.downloads = calls.downloads.min(1);
        assert_eq!(calls, Calls { asked: 2, ..Calls::ONCE }, "{point}");
        persons_got_no_errors(&world);
    }
}

async fn trace(world: &World, id: &str) -> Value {
    let (code, told, complaint) = world.run(&["trace", id, "--json"]).await;
    assert_eq!((code, complaint.as_str()), (0, ""));
    serde_json::from_str(&told).unwrap()
}

/// The steps of a message: name and state.
async fn steps(world: &World, id: &str) -> Vec<(String, String)> {
    let told = trace(world, id).await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let steps = told["message"]["steps"].as_array().unwrap();
    steps.iter().map(|step| (text(&step["step"]), text(&step["state"]))).collect()
}

fn named(steps: &[(&str, &str)]) -> Vec<(String, String)> {
    steps.iter().map(|(step, state)| ((*step).to_owned(), (*state).to_owned())).collect()
}

#[actix_rt::test]
async fn a_trace_tells_each_step_of_a_voice_and_not_a_word_of_it() {
    let talk = Talk::new().await;
    let phone = a_phone();
    let id = talk.says(&phone, "un segreto").await;
    let done = ["transcribe", "complete", "speak", "upload", "send"].map(|step| (step, "done"));
    assert_eq!(steps(&talk.world, &id).await, named(&done));
    let told = trace(&talk.world, &id).await;
    assert_eq!(told["message"]["kind"], "voice");
    assert!(told["message"]["steps"][0]["usage"]["prompt_tokens"].as_u64().is_some_and(|tokens| tokens > 0));
    let (_, page, _) = talk.world.run(&["trace", &id]).await;
    for step in ["transcribe", "model", "speak", "upload", "send"] {
        assert!(
            page.lines().any(|line| line.split_whitespace().any(|word| word == step)),
            "{step} in\n{page}"
        );
    }
    assert!(!page.contains("segreto") && !told.to_string().contains("segreto"), "{page}");
    talk.world.sandbox.elevenlabs.script().next(Route::Speak, 1, Fault::code("voice_not_found"));
    let written = talk.says(&phone, "un segreto").await;
    let failed = [("transcribe", "done"), ("complete", "done"), ("speak", "failed"), ("send", "done")];
    assert_eq!(steps(&talk.world, &written).await, named(&failed));
    talk.end();
}

#[actix_rt::test]
async fn a_replay_sends_the_voice_note_that_was_paid_for() {
    let talk = Talk::new().await;
    let phone = a_phone();
    talk.world.sandbox.meta.script().aim(BY_VOICE, Route::Send, 1, Fault::code(131_026));
    let id = talk.deliver(Inbound::voice(&phone, audio::say("ciao")));
    talk.server.log.wait_for("message_dead_lettered", &id).await;
    let (code, _, complaint) = talk.world.run(&["dead", "replay", &id]).await;
    assert_eq!((code, complaint.as_str()), (0, ""));
    talk.server.log.wait_for("task_completed", &id).await;
    assert_eq!(talk.got_in_the_end(&phone).await, ["[voice] echo: ciao"]);
    assert_eq!(Calls { asked: 1, ..Calls::of(&talk.world) }, Calls { voices: 2, ..Calls::ONCE });
    talk.end();
}

#[actix_rt::test]
async fn a_replay_after_an_apology_does_not_have_the_note_heard_again() {
    let world = World::new().set("CONVERSATION_HOLD_MS", "100").set("HEALTH_PROBE_S", "1");
    let talk = Talk::of(world).await;
    let (openai, phone) = (&talk.world.sandbox.openai, a_phone());
    for route in [Route::Chat, Route::Models] {
        openai.script().always(route, Fault::code("invalid_api_key"));
    }
    let id = talk.deliver(Inbound::voice(&phone, audio::say("ciao")));
    talk.server.log.wait_for("message_dead_lettered", &id).await;
    assert_eq!(talk.got(&phone), [persona_text("apology")]);
    openai.script().clear();
    talk.server.log.wait("channel_resumed", |_| true).await;
    let (code, _, complaint) = talk.world.run(&["dead", "replay", &id]).await;
    assert_eq!((code, complaint.as_str()), (0, ""));
    talk.server.log.wait_for("task_completed", &id).await;
    assert_eq!(talk.got_in_the_end(&phone).await, [persona_text("apology"), "[voice] echo: ciao".to_owned()]);
    let calls = Calls::of(&talk.world);
    assert_eq!((calls.downloads, calls.heard, calls.spoken), (1, 1, 1));
    talk.end();
}
