//! `parlante backup`: a copy that works, made while the ledger is in use.

use parlante_sandbox::Inbound;

use super::{complain, tell};
use crate::support::{World, a_phone, persona_text};

#[actix_rt::test]
async fn a_server_started_on_a_copy_made_under_load_goes_on_from_there() {
    let world = World::new();
    let server = world.start().await;
    let (meta, phone) = (&world.sandbox.meta, a_phone());
    let old = meta.deliver(Inbound::text(&phone, "before"));
    server.log.wait_for("task_completed", &old).await;
    let people: Vec<String> = (0..20).map(|_| a_phone()).collect();
    let crowd = (0..200).map(|at| Inbound::text(&people[at % 20], &format!("{at}")));
    let crowd: Vec<Inbound> = crowd.collect();
    let busy: Vec<String> = crowd.chunks(10).flat_map(|some| meta.deliver_batch(some.to_vec())).collect();
    let said = tell(&world, &["backup", "copy.db"]).await;
    assert!(said.contains(&world.dir.path().join("copy.db").display().to_string()), "{said}");
    for id in &busy {
        server.log.wait_for("task_completed", id).await;
    }
    assert!(server.terminate().await.success());

    let world = world.set("LEDGER_PATH", "copy.db");
    let server = world.start().await;
    let meta = &world.sandbox.meta;
    assert!(meta.redeliver(&old));
    server.log.wait_for("duplicate_message_skipped", &old).await;
    let new = meta.deliver(Inbound::text(&phone, "after"));
    server.log.wait_for("task_completed", &new).await;
    let answers = [persona_text("disclosure"), "echo: before".to_owned(), "echo: after".to_owned()];
    assert_eq!(meta.answers_to(&phone), answers);
}

#[actix_rt::test]
async fn a_copy_is_made_without_a_server_too_and_never_over_a_file() {
    let world = World::new();
    let server = world.start().await;
    let id = world.sandbox.meta.deliver(Inbound::text(&a_phone(), "ciao"));
    server.log.wait_for("task_completed", &id).await;
    tell(&world, &["backup", "warm.db"]).await;
    for taken in ["warm.db", "parlante.db"] {
        let complaint = complain(&world, &["backup", taken], 1).await;
        assert!(complaint.contains(taken), "{complaint}");
    }
    assert!(server.terminate().await.success());
    tell(&world, &["backup", "cold.db"]).await;
    for copy in ["warm.db", "cold.db"] {
        let before = std::fs::read(world.dir.path().join(copy)).unwrap();
        complain(&world, &["backup", copy], 1).await;
        assert_eq!(std::fs::read(world.dir.path().join(copy)).unwrap(), before);
    }
    let world = world.set("LEDGER_PATH", "cold.db");
    assert!(tell(&world, &["trace", &id]).await.contains("outcome   answered\n"));
    let complaint = complain(&world, &["backup", "no/such/folder/copy.db"], 1).await;
    assert!(complaint.contains("no/such/folder"), "{complaint}");
}
