//! The process is gone.

use parlante_sandbox::{Fault, PATIENCE, Route};

use super::{OnCall, world};
use crate::support::a_phone;

#[actix_rt::test]
async fn the_server_is_killed() {
    let world = world();
    let server = world.start().await;
    let on_call = OnCall::begins(&world, server.url(""), &server.log).await;
    let openai = world.sandbox.openai.script();
    openai.next(Route::Chat, 1, Fault::Gate("model".to_owned()));
    let phones = [a_phone(), a_phone()];
    let mut ids = vec![on_call.writes(&phones[0], "uno")];
    openai.wait_at_gate("model", 1, PATIENCE).await.unwrap();
    on_call.types(&["healthcheck"]).await;
    server.kill().await;
    ids.extend(on_call.writes_all(&phones[1], &["due", "tre"]));
    ids.push(on_call.writes(&phones[0], "quattro"));
    let (code, ..) = world.run(&["healthcheck"]).await;
    assert_eq!(code, 1);
    on_call.is_called(&["ParlanteDown"], &[]).await;

    openai.open("model");
    let server = world.start().await;
    let told = server.log.wait("recovery_completed", |_| true).await;
    assert_eq!((&told["level"], &told["resumed"]), (&"INFO".into(), &1.into()), "{told}");
    for id in &ids {
        server.log.wait_for("task_completed", id).await;
    }
    on_call.types(&["healthcheck"]).await;
    on_call.got(&phones[0], &["echo: uno", "echo: quattro"]);
    on_call.got(&phones[1], &["echo: due", "echo: tre"]);
    on_call.sees_the_end(&[]).await;
}
