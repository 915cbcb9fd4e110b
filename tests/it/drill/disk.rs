//! The disk under the ledger is full.

use std::path::PathBuf;

use parlante_sandbox::{Fault, PATIENCE, Route};

use super::{OnCall, world};
use crate::support::strace::Strace;
use crate::support::{World, a_phone, get};

/// The folder of the ledger. strace lets no write into `full` succeed, and finds out the name of an open file's folder at
/// each write; so there is room as long as the folder is called otherwise.
struct Disk {
    room: PathBuf,
    full: PathBuf,
}

impl Disk {
    fn of(world: &World) -> Self {
        let folder = world.dir.path().canonicalize().unwrap();
        let disk = Self { room: folder.join("disk"), full: folder.join("full") };
        std::fs::create_dir(&disk.room).unwrap();
        disk
    }

    fn fill(&self) {
        std::fs::rename(&self.room, &self.full).unwrap();
        // Whatever is opened by its path is still found.
        std::os::unix::fs::symlink(&self.full, &self.room).unwrap();
    }

    fn make_room(&self) {
        std::fs::remove_file(&self.room).unwrap();
        std::fs::rename(&self.full, &self.room).unwrap();
    }
}

#[actix_rt::test]
async fn the_disk_is_full() {
    let world = world().set("LEDGER_PATH", "disk/parlante.db");
    let disk = Disk::of(&world);
    let wal = disk.full.join("parlante.db-wal");
    let world = world.program(Strace::find().failing("pwrite64", &wal, "ENOSPC", "1+"));
    let server = world.start().await;
    let on_call = OnCall::begins(&world, server.url(""), &server.log).await;
    let (meta, openai) = (&world.sandbox.meta, world.sandbox.openai.script());
    // One message is in the middle of its work, and two come to a server that cannot keep them.
    openai.next(Route::Chat, 1, Fault::Gate("model".to_owned()));
    let phones = [a_phone(), a_phone()];
    let mut ids = vec![on_call.writes(&phones[0], "uno")];
    openai.wait_at_gate("model", 1, PATIENCE).await.unwrap();
    disk.fill();
    openai.open("model");
    ids.extend(on_call.writes_all(&phones[1], &["due", "tre"]));
    let told = server.log.wait("ledger_unavailable", |_| true).await;
    assert_eq!((&told["level"], &told["error_code"]), (&"ERROR".into(), &"unavailable".into()), "{told}");
    on_call.health_says(503, "down", &[("ledger", "down", "the last commit failed")]).await;
    assert_eq!(get(&server.url("/health/ready")).await.0, 503);
    on_call.is_called(&["ParlanteLedgerNotDurable"], &["ledger_unavailable"]).await;
    assert_eq!(server.log.count("message_accepted", &ids[1]), 0);

    disk.make_room();
    meta.wait_settled().await.expect("Meta delivers again what it kept");
    for id in &ids {
        server.log.wait_for("task_completed", id).await;
    }
    assert_eq!(get(&server.url("/health/ready")).await.0, 200);
    on_call.got(&phones[0], &["echo: uno"]);
    on_call.got(&phones[1], &["echo: due", "echo: tre"]);
    on_call.sees_the_end(&["ledger"]).await;
}
