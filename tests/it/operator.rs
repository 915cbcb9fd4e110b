//! What an operator may ask, by command and over the admin API, with the server running and with the bare file.

mod admin;
mod backup;
mod dead;
mod forget;
mod retention;
mod trace;

use parlante_sandbox::{Fault, Inbound, Route};
use serde_json::Value;

use crate::support::{PATIENCE, Process, World};

/// A code with which WhatsApp refuses for good: no such person.
const REFUSED: u32 = 131_026;

/// Runs a command that has to succeed; what it says.
async fn tell(world: &World, arguments: &[&str]) -> String {
    let (code, stdout, stderr) = world.run(arguments).await;
    assert_eq!((code, stderr.as_str()), (0, ""), "{arguments:?}: {stdout}");
    stdout
}

/// Runs a command that has to fail with `code`; what it complains of.
async fn complain(world: &World, arguments: &[&str], code: i32) -> String {
    let (ended, stdout, stderr) = world.run(arguments).await;
    assert_eq!((ended, stdout.as_str()), (code, ""), "{arguments:?}: {stderr}");
    stderr
}

/// A message's trace, as JSON.
async fn trace(world: &World, id: &str) -> Value {
    serde_json::from_str(&tell(world, &["trace", id, "--json"]).await).unwrap()
}

/// The ids that `dead list` names, in its order.
async fn listed(world: &World, arguments: &[&str]) -> Vec<String> {
    let lines = tell(world, &[&["dead", "list", "--json"], arguments].concat()).await;
    let id =
        |line: &str| serde_json::from_str::<Value>(line).unwrap()["message_id"].as_str().unwrap().to_owned();
    lines.lines().map(id).collect()
}

fn masked(phone: &str) -> String {
    format!("{}******{}", &phone[..3], &phone[phone.len() - 3..])
}

/// Lets `phone` write `words`, whose answer WhatsApp refuses for good: the model was paid, the message is dead.
async fn dies(world: &World, server: &Process, phone: &str, words: &str) -> String {
    world.sandbox.meta.script().aim(format!("echo: {words}"), Route::Send, 1, Fault::code(REFUSED));
    let id = world.sandbox.meta.deliver(Inbound::text(phone, words));
    server.log.wait_for("message_dead_lettered", &id).await;
    id
}

/// Lets `phone` write eleven messages while the model is busy with the first; their ids. The last one is refused.
async fn overflows(world: &World, server: &Process, phone: &str) -> Vec<String> {
    let script = world.sandbox.openai.script();
    script.aim("much 0", Route::Chat, 1, Fault::Gate("model".to_owned()));
    let messages = (0..11).map(|at| Inbound::text(phone, &format!("much {at}")));
    let ids = world.sandbox.meta.deliver_batch(messages.collect());
    server.log.wait_for("user_queue_overflow", &ids[10]).await;
    script.wait_at_gate("model", 1, PATIENCE).await.unwrap();
    ids
}
