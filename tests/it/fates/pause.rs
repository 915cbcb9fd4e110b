//! Many people wait for a paused channel: it is probed quietly, and goes on by itself, oldest first.

use parlante_sandbox::{Fault, Records, Request, Route};
use serde_json::Value;

use super::{all_write, channel, greeted, health, sends, sent, stats, writes};
use crate::support::innocent::persons_got_no_errors;
use crate::support::{PATIENCE, Process, World, a_phone};

/// Everybody who waits in these tests.
const PEOPLE: usize = 50;
/// A channel is probed every second here; on a busy machine one may be recorded this much later than it was made.
const STALL_MS: u64 = 600;

fn people(count: usize) -> Vec<String> {
    (0..count).map(|_| a_phone()).collect()
}

/// Waits until all of these are answered, each once.
async fn all_answered(world: &World, server: &Process, phones: &[String], ids: &[String]) {
    for id in ids {
        server.log.wait_for("task_completed", id).await;
    }
    for phone in phones {
        assert_eq!(world.sandbox.meta.answers_to(phone), greeted(&["echo: ciao"]));
    }
    assert_eq!(server.log.events("message_dead_lettered"), [] as [Value; 0]);
    assert_eq!(server.log.events("task_failed"), [] as [Value; 0]);
}

/// The `channel_paused` and `channel_resumed` lines: level, service, code.
fn changes(server: &Process) -> Vec<[String; 4]> {
    let lines = server.log.lines().into_iter();
    let ours = lines.filter(|line| line["event"].as_str().is_some_and(|event| event.starts_with("channel_")));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    ours.map(|line| ["event", "level", "service", "provider_code"].map(|field| text(&line[field]))).collect()
}

fn paused_and_resumed(service: &str, code: &str) -> [[String; 4]; 2] {
    [("channel_paused", "ERROR"), ("channel_resumed", "INFO")]
        .map(|(event, level)| [event, level, service, code].map(str::to_owned))
}

/// One a second came, and no more.
fn are_a_second_apart(times: &[u64]) {
    let seconds = u64::try_from(times.len() - 1).unwrap();
    assert!(times[times.len() - 1] - times[0] + STALL_MS >= seconds * 1000, "{times:?}");
}

/// They came in the order of their age, the oldest first. They are called back by age, all at the same moment, and from
/// there each goes its own way to the stand-in: so two neighbours may change places, and a block of them too. By chance
/// every second pair would.
fn went_by_age(order: &[&String], people: &[String]) {
    let ages: Vec<usize> =
        order.iter().map(|came| people.iter().position(|person| person == *came).unwrap()).collect();
    assert_eq!(ages.len(), people.len(), "each once: {ages:?}");
    let pairs = (0..ages.len()).flat_map(|later| (0..later).map(move |earlier| (earlier, later)));
    let (all, turned) = pairs.fold((0, 0), |(all, turned), (earlier, later)| {
        (all + 1, turned + usize::from(ages[earlier] > ages[later]))
    });
    assert!(turned * 3 < all, "{turned} of {all} pairs are the wrong way round: {ages:?}");
}

#[actix_rt::test]
async fn a_pause_of_whatsapp_for_its_account_ends_by_one_probe_and_then_oldest_first() {
    let world = World::new().set("HEALTH_PROBE_S", "1");
    let (meta, phones) = (&world.sandbox.meta, people(PEOPLE));
    let rule = meta.script().always(Route::Send, Fault::code(131_042));
    let server = world.start().await;
    let base = server.url("");
    let mut ids = vec![writes(&world, &phones[0], "ciao")];
    server.log.wait("channel_paused", |_| true).await;
    ids.extend(all_write(&world, &phones[1..], "ciao"));
    // The first send, which found out, and three probes.
    let seen = sent(&world, 4).await;
    assert_eq!(stats(&base).await["queueStats"]["active_queues"], PEOPLE);
    let (status, all, check, reason) = health(&base, "whatsapp").await;
    assert_eq!((status, all.as_str(), check.as_str()), (503, "down", "down"));
    assert!(reason.starts_with("paused: ") && reason.ends_with("/131042"), "{reason}");
    assert_eq!(channel(&base, "whatsapp").await, ("closed".to_owned(), true));
    assert!(seen.iter().all(|send| send.person.as_ref() == Some(&phones[0])), "the oldest probes");
    meta.script().remove(rule);
    all_answered(&world, &server, &phones, &ids).await;
    let all = sends(&world);
    let failed = all.iter().filter(|send| send.accepted.is_none());
    let mut probes: Vec<&Request> = failed.collect();
    assert_eq!(all.len(), probes.len() + 2 * PEOPLE, "nothing was sent twice");
    probes.push(&all[probes.len()]);
    assert!(probes[..].iter().all(|probe| probe.person.as_ref() == Some(&phones[0])), "one probe at a time");
    are_a_second_apart(&probes.iter().map(|probe| probe.at_ms).collect::<Vec<_>>());
    let resumed = probes.last().unwrap().at_ms;
    let read_early = meta.look(|records| records.reads().filter(|read| read.at_ms < resumed).count());
    assert_eq!(read_early, 0, "nobody saw typing while nothing could be sent");
    let first = |send: &&Request| send.text.as_deref() != Some("echo: ciao") && send.accepted.is_some();
    let order: Vec<&String> = all.iter().filter(first).filter_map(|send| send.person.as_ref()).collect();
    assert_eq!(order[0], &phones[0], "the one that probed");
    went_by_age(&order, &phones);
    assert_eq!(changes(&server), paused_and_resumed("whatsapp", "131042"));
    assert_eq!(health(&base, "whatsapp").await.0, 200);
    persons_got_no_errors(&world);
}

#[actix_rt::test]
async fn a_pause_of_whatsapp_for_its_token_is_probed_by_the_health_call_and_by_no_send() {
    let world = World::new().set("HEALTH_PROBE_S", "1");
    let (meta, phones) = (&world.sandbox.meta, people(PEOPLE));
    for route in [Route::Send, Route::Number] {
        meta.script().always(route, Fault::code(190));
    }
    let server = world.start().await;
    let mut ids = vec![writes(&world, &phones[0], "ciao")];
    server.log.wait("channel_paused", |_| true).await;
    ids.extend(all_write(&world, &phones[1..], "ciao"));
    let looked = |records: &Records| -> Vec<u64> {
        let asked = records.requests().filter(|request| request.route == Some(Route::Number));
        asked.map(|request| request.at_ms).collect()
    };
    let times =
        meta.wait(|records| Some(looked(records)).filter(|times| times.len() >= 3), PATIENCE).await.unwrap();
    are_a_second_apart(&times);
    assert_eq!(sends(&world).len(), 1, "no message found out about the token");
    assert_eq!(meta.look(|records| records.reads().count()), 0);
    meta.script().clear();
    all_answered(&world, &server, &phones, &ids).await;
    let all = sends(&world);
    assert_eq!(all.len(), 1 + 2 * PEOPLE, "nothing was sent twice");
    let first = |send: &&Request| send.text.as_deref() != Some("echo: ciao");
    let order: Vec<&String> = all[1..].iter().filter(first).filter_map(|send| send.person.as_ref()).collect();
    went_by_age(&order, &phones);
    assert_eq!(changes(&server), paused_and_resumed("whatsapp", "190"));
    persons_got_no_errors(&world);
}

#[actix_rt::test]
async fn a_pause_of_the_model_for_its_quota_ends_by_one_probe_and_then_oldest_first() {
    let world = World::new().set("HEALTH_PROBE_S", "1");
    let (openai, phones) = (&world.sandbox.openai, people(PEOPLE));
    let rule = openai.script().always(Route::Chat, Fault::code("insufficient_quota"));
    let server = world.start().await;
    let base = server.url("");
    let mut ids = vec![writes(&world, &phones[0], "ciao")];
    server.log.wait("channel_paused", |_| true).await;
    // Who asked is known by the words.
    let words = |at: usize| format!("I am {at}");
    for (at, phone) in phones.iter().enumerate().skip(1) {
        ids.push(writes(&world, phone, &words(at)));
        server.log.wait_for("message_accepted", &ids[at]).await;
    }
    openai.wait_calls(4).await.unwrap();
    let (status, all, check, _) = health(&base, "openai").await;
    assert_eq!((status, all.as_str(), check.as_str()), (200, "degraded", "degraded"));
    openai.script().remove(rule);
    for (at, id) in ids.iter().enumerate() {
        server.log.wait_for("task_completed", id).await;
        let echo = if at == 0 { "echo: ciao".to_owned() } else { format!("echo: {}", words(at)) };
        assert_eq!(world.sandbox.meta.answers_to(&phones[at]), greeted(&[&echo]));
    }
    let chats = openai.chats();
    let failed = chats.iter().filter(|call| call.fault.is_some()).count();
    assert_eq!(chats.len(), failed + PEOPLE, "nothing was asked twice");
    let probes = &chats[..=failed];
    assert!(probes.iter().all(|call| call.last_user.as_deref() == Some("ciao")), "the oldest probes");
    are_a_second_apart(&probes.iter().map(|call| call.at_ms).collect::<Vec<_>>());
    let asked: Vec<&String> = chats[failed..].iter().filter_map(|call| call.last_user.as_ref()).collect();
    let by_age: Vec<String> = std::iter::once("ciao".to_owned()).chain((1..PEOPLE).map(words)).collect();
    assert_eq!(asked[0], &by_age[0], "the one that probed");
    went_by_age(&asked, &by_age);
    assert_eq!(changes(&server), paused_and_resumed("openai", "insufficient_quota"));
    persons_got_no_errors(&world);
}

#[actix_rt::test]
async fn a_server_that_is_restarted_in_the_middle_of_a_pause_loses_nothing() {
    let world = World::new().set("HEALTH_PROBE_S", "1");
    let (meta, phones) = (&world.sandbox.meta, people(10));
    meta.script().always(Route::Send, Fault::code(131_042));
    let server = world.start().await;
    let mut ids = vec![writes(&world, &phones[0], "ciao")];
    server.log.wait("channel_paused", |_| true).await;
    ids.extend(all_write(&world, &phones[1..], "ciao"));
    meta.wait_settled().await.unwrap();
    assert!(server.terminate().await.success());
    let server = world.start().await;
    server.log.wait("channel_paused", |_| true).await;
    assert_eq!(stats(&server.url("")).await["queueStats"]["active_queues"], 10);
    server.kill().await;
    let server = world.start().await;
    server.log.wait("channel_paused", |_| true).await;
    meta.script().clear();
    all_answered(&world, &server, &phones, &ids).await;
    let accepted = sends(&world).into_iter().filter(|send| send.accepted.is_some()).count();
    assert_eq!(accepted, 20, "nothing was sent twice");
    assert_eq!(changes(&server), paused_and_resumed("whatsapp", "131042"));
    persons_got_no_errors(&world);
}

#[actix_rt::test]
async fn a_server_that_is_restarted_while_the_model_is_paused_loses_nothing() {
    let world = World::new().set("HEALTH_PROBE_S", "1");
    let (openai, phones) = (&world.sandbox.openai, people(10));
    for route in [Route::Chat, Route::Models] {
        openai.script().always(route, Fault::code("invalid_api_key"));
    }
    let server = world.start().await;
    let ids = all_write(&world, &phones, "ciao");
    server.log.wait("channel_paused", |_| true).await;
    world.sandbox.meta.wait_settled().await.unwrap();
    server.kill().await;
    let server = world.start().await;
    server.log.wait("channel_paused", |_| true).await;
    openai.script().clear();
    all_answered(&world, &server, &phones, &ids).await;
    let answered = openai.chats().into_iter().filter(|call| call.fault.is_none()).count();
    assert_eq!(answered, 10, "each was paid for once");
    assert_eq!(changes(&server), paused_and_resumed("openai", "invalid_api_key"));
    persons_got_no_errors(&world);
}

#[actix_rt::test]
async fn people_who_were_just_being_answered_when_the_pause_began_lose_nothing_either() {
    let world = World::new().set("HEALTH_PROBE_S", "1");
    let (meta, phones) = (&world.sandbox.meta, people(30));
    // Some are on their way when the first refusal comes; those that only have a place by then are not made.
    meta.script().next(Route::Send, 5, Fault::code(131_042));
    let server = world.start().await;
    let ids = all_write(&world, &phones, "ciao");
    all_answered(&world, &server, &phones, &ids).await;
    let refused = sends(&world).iter().filter(|send| send.accepted.is_none()).count();
    assert!(refused > 0 && sends(&world).len() == refused + 2 * phones.len(), "nothing was sent twice");
    assert_eq!(changes(&server), paused_and_resumed("whatsapp", "131042"));
    persons_got_no_errors(&world);
}

#[actix_rt::test]
async fn without_a_number_of_our_own_there_is_no_health_call_and_a_message_probes_for_the_token_too() {
    let world = World::new().set("HEALTH_PROBE_S", "1").unset("WHATSAPP_PHONE_NUMBER_ID");
    let (meta, phones) = (&world.sandbox.meta, people(5));
    meta.script().next(Route::Send, 2, Fault::code(190));
    let server = world.start().await;
    let mut ids = vec![writes(&world, &phones[0], "ciao")];
    server.log.wait("channel_paused", |_| true).await;
    ids.extend(all_write(&world, &phones[1..], "ciao"));
    all_answered(&world, &server, &phones, &ids).await;
    let probes: Vec<Request> = sends(&world).into_iter().take(3).collect();
    assert!(probes.iter().all(|probe| probe.person.as_ref() == Some(&phones[0])), "the oldest probes");
    are_a_second_apart(&probes.iter().map(|probe| probe.at_ms).collect::<Vec<_>>());
    assert_eq!(sends(&world).len(), 2 + 10);
    assert_eq!(changes(&server), paused_and_resumed("whatsapp", "190"));
    persons_got_no_errors(&world);
}

#[actix_rt::test]
async fn a_key_that_may_answer_and_not_list_models_ends_its_pause_by_an_answer() {
    // OpenAI's own for a key without that right, and a server of another maker's without a list.
    for status in [403, 404] {
        let world = World::new().set("HEALTH_PROBE_S", "1");
        let openai = &world.sandbox.openai;
        let revoked = openai.script().always(Route::Chat, Fault::code("invalid_api_key"));
        openai.script().always(Route::Models, Fault::status(status));
        let server = world.start().await;
        let id = writes(&world, &a_phone(), "ciao");
        server.log.wait("channel_paused", |_| true).await;
        openai.wait_calls(3).await.unwrap();
        assert_eq!(server.log.count("task_completed", &id), 0, "it waits");
        openai.script().remove(revoked);
        server.log.wait_for("task_completed", &id).await;
        assert_eq!(server.log.events("channel_resumed").len(), 1);
        // What a key may not do is told; what a server does not have is nothing.
        let (_, _, told, reason) = health(&server.url(""), "openai").await;
        let expected = if status == 403 { ("degraded", "403") } else { ("unknown", "") };
        assert_eq!((told.as_str(), reason.split('/').next().unwrap()), expected);
        persons_got_no_errors(&world);
    }
}
