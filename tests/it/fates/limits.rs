//! How fast messages go out, and who goes first.

use parlante_sandbox::{Fault, Inbound, Route};
use serde_json::Value;

use super::{all_write, greeted, sends, sent, writes};
use crate::support::innocent::persons_got_no_errors;
use crate::support::{PATIENCE, World, a_phone};

/// Messages a second that one number may send.
const PER_SECOND: usize = 80;
/// They are counted as they are let in, and looked at here as they arrive: on a busy machine the first of a row may be
/// this much later than it was let in, and the last not at all.
const STALL_MS: u64 = 600;
/// One message to one person per this time, in the long run.
const PAIR_MS: u64 = 6000;

#[actix_rt::test]
async fn never_more_than_eighty_messages_a_second_leave_and_the_oldest_goes_first() {
    let world = World::new();
    let server = world.start().await;
    let script = world.sandbox.openai.script();
    let (first, people) = (a_phone(), (0..100).map(|_| a_phone()).collect::<Vec<_>>());
    // The oldest message of all: its answer comes when the others have been waiting for a while.
    script.aim("the oldest", Route::Chat, 1, Fault::Gate("thinking".to_owned()));
    let mut ids = vec![writes(&world, &first, "the oldest")];
    script.wait_at_gate("thinking", 1, PATIENCE).await.unwrap();
    ids.extend(all_write(&world, &people, "ciao"));
    let before = sent(&world, PER_SECOND).await.len();
    script.open("thinking");
    for id in &ids {
        server.log.wait_for("task_completed", id).await;
    }
    let all = sends(&world);
    assert_eq!(all.len(), 2 * (1 + people.len()));
    let mut times: Vec<u64> = all.iter().map(|send| send.at_ms).collect();
    times.sort_unstable();
    for (count, least) in [(PER_SECOND, 1000), (2 * PER_SECOND, 2000)] {
        for window in times.windows(count + 1) {
            let took = window[count] - window[0];
            assert!(took + STALL_MS >= least, "{count} and one within {took} ms: {window:?}");
        }
    }
    let oldest = all.iter().position(|send| send.text.as_deref() == Some("echo: the oldest")).unwrap();
    assert!(oldest <= before + PER_SECOND, "it was sent {oldest}th, behind those that came later");
    for phone in &people {
        assert_eq!(world.sandbox.meta.answers_to(phone), greeted(&["echo: ciao"]));
    }
    persons_got_no_errors(&world);
}

#[actix_rt::test]
async fn a_burst_of_forty_five_to_one_person_is_not_delayed_and_the_next_is_while_others_are_not() {
    let world = World::new().set("CONVERSATION_BACKLOG", "60");
    let server = world.start().await;
    let (meta, busy) = (&world.sandbox.meta, a_phone());
    // With the disclosure these are 46 sends.
    let words: Vec<String> = (0..45).map(|at| format!("message {at}")).collect();
    let ids = meta.deliver_batch(words.iter().map(|words| Inbound::text(&busy, words)).collect());
    meta.wait_sends(&busy, 45).await.unwrap();
    let other = a_phone();
    let calm = writes(&world, &other, "ciao");
    server.log.wait_for("task_completed", &calm).await;
    assert_eq!(meta.answers_to(&other), greeted(&["echo: ciao"]));
    server.log.wait_for("task_completed", ids.last().unwrap()).await;
    let times: Vec<u64> =
        meta.look(|records| records.sends_to(&busy).map(|send| send.at_ms).collect::<Vec<_>>());
    assert_eq!(times.len(), 46);
    assert!(times[45] - times[0] >= PAIR_MS - 100, "{times:?}");
    let prompt = times[..45].windows(2).all(|two| two[1] - two[0] < PAIR_MS - 1000);
    assert!(prompt, "the burst was delayed: {times:?}");
    let theirs = meta.look(|records| records.sends_to(&other).map(|send| send.at_ms).max()).unwrap();
    assert!(theirs < times[44] + PAIR_MS - 1000, "nobody waits for another's limit");
    assert_eq!(meta.answers_to(&busy).len(), 46);
    persons_got_no_errors(&world);
}

#[actix_rt::test]
async fn at_most_256_calls_are_at_the_model_and_the_oldest_message_goes_next() {
    let world = World::new();
    let server = world.start().await;
    let (openai, script) = (&world.sandbox.openai, world.sandbox.openai.script());
    let (first, people) = ([a_phone(), a_phone()], (0..264).map(|_| a_phone()).collect::<Vec<_>>());
    for gate in ["alfa", "bravo", "ciao"] {
        script.aim(gate, Route::Chat, 1000, Fault::Gate(gate.to_owned()));
    }
    let mut ids = vec![writes(&world, &first[0], "alfa"), writes(&world, &first[1], "bravo")];
    for id in &ids {
        server.log.wait_for("message_accepted", id).await;
    }
    ids.push(writes(&world, &first[0], "zulu"));
    server.log.wait_for("message_accepted", &ids[2]).await;
    ids.extend(all_write(&world, &people, "ciao"));
    // Ten more than there is room for, once all have had their disclosures.
    let started = |line: &Value| ids.iter().any(|id| line["message_id"] == id.as_str());
    server.log.wait_count("task_started", 266, started).await;
    script.wait_at_gate("ciao", 254, PATIENCE).await.unwrap();
    assert_eq!(openai.chats().len(), 256);
    // A place becomes free, and somebody who waited has it before the first person's next message comes.
    script.open("alfa");
    server.log.wait_for("task_started", &ids[2]).await;
    openai.wait_calls(257).await.unwrap();
    // The next place is for that one: it is older than all that have waited longer.
    script.open("bravo");
    let asked = openai.wait_calls(258).await.unwrap();
    assert_eq!(asked[257].last_user.as_deref(), Some("zulu"));
    script.open("ciao");
    for id in &ids {
        server.log.wait_for("task_completed", id).await;
    }
    assert_eq!(openai.look(|calls| calls.peak()), 256);
    persons_got_no_errors(&world);
}
