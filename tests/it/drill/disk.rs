//! The disk under the ledger is full, or hangs.

use parlante_sandbox::{Fault, PATIENCE, Route};
use serde_json::Value;

use super::{OnCall, ill_in, world};
use crate::support::disk::Disk;
use crate::support::strace::Strace;
use crate::support::{World, a_phone, get};

/// A message that is in the middle of its work: it stands at the model.
async fn is_at_work_for(phone: &str, world: &World, on_call: &OnCall<'_>) -> String {
    let openai = world.sandbox.openai.script();
    openai.next(Route::Chat, 1, Fault::Gate("model".to_owned()));
    let id = on_call.writes(phone, "uno");
    openai.wait_at_gate("model", 1, PATIENCE).await.unwrap();
    id
}

#[actix_rt::test]
async fn the_disk_is_full() {
    let (world, disk) = Disk::under(world());
    let server = world.start().await;
    let on_call = OnCall::begins(&world, server.url(""), &server.log).await;
    let phones = [a_phone(), a_phone()];
    let mut ids = vec![is_at_work_for(&phones[0], &world, &on_call).await];
    disk.fill();
    world.sandbox.openai.script().open("model");
    // Two more come to a server that cannot keep them.
    ids.extend(on_call.writes_all(&phones[1], &["due", "tre"]));
    let told = server.log.wait("ledger_unavailable", |_| true).await;
    assert_eq!((&told["level"], &told["error_code"]), (&"ERROR".into(), &"unavailable".into()), "{told}");
    on_call.health_says(503, "down", &[("ledger", "down", "the last commit failed")]).await;
    assert_eq!(get(&server.url("/health/ready")).await.0, 503);
    on_call.is_called(&["ParlanteLedgerNotDurable"], &["ledger_unavailable"]).await;
    assert_eq!(server.log.count("message_accepted", &ids[1]), 0);

    disk.make_room();
    world.sandbox.meta.wait_settled().await.expect("Meta delivers again what it kept");
    for id in &ids {
        server.log.wait_for("task_completed", id).await;
    }
    assert_eq!(get(&server.url("/health/ready")).await.0, 200);
    on_call.got(&phones[0], &["echo: uno"]);
    on_call.got(&phones[1], &["echo: due", "echo: tre"]);
    on_call.sees_the_end(&["ledger"]).await;
}

fn a_commit_hangs(health: &Value) -> bool {
    let ill = ill_in(health);
    ill.len() == 1
        && ill.iter().all(|[check, is, why]| {
            check == "ledger" && is == "down" && why.starts_with("nothing has been committed for ")
        })
}

#[actix_rt::test]
async fn the_disk_hangs() {
    let world = world();
    let server = world.start().await;
    let on_call = OnCall::begins(&world, server.url(""), &server.log).await;
    let phones = [a_phone(), a_phone()];
    let mut ids = vec![is_at_work_for(&phones[0], &world, &on_call).await];
    let wal = world.dir.path().canonicalize().unwrap().join("parlante.db-wal");
    let hold = Strace::find().hold(server.pid(), "fsync,fdatasync", &wal);
    world.sandbox.openai.script().open("model");
    // Two more come to a server that cannot keep them.
    ids.extend(on_call.writes_all(&phones[1], &["due", "tre"]));
    let (status, health) = on_call.until_health(a_commit_hangs).await;
    assert_eq!((status, &health["status"]), (503, &"down".into()));
    on_call.turned(&health, ["ledger"].into_iter());
    assert_eq!(get(&server.url("/health/ready")).await.0, 503);
    on_call.is_called(&["ParlanteLedgerNotDurable"], &["ledger_unavailable"]).await;
    let told = server.log.wait("ledger_unavailable", |_| true).await;
    assert_eq!((&told["level"], &told["error_code"]), (&"ERROR".into(), &"timeout".into()), "{told}");

    drop(hold);
    world.sandbox.meta.wait_settled().await.expect("Meta delivers again what it kept");
    for id in &ids {
        server.log.wait_for("task_completed", id).await;
    }
    on_call.got(&phones[0], &["echo: uno"]);
    on_call.got(&phones[1], &["echo: due", "echo: tre"]);
    on_call.sees_the_end(&["ledger"]).await;
}
