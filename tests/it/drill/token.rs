//! The access token of WhatsApp expires.

use rustix::process::Signal;

use super::{OnCall, world};
use crate::support::a_phone;

#[actix_rt::test]
async fn the_token_expires() {
    let world = world().unset("WHATSAPP_ACCESS_TOKEN").set("WHATSAPP_ACCESS_TOKEN_FILE", "token");
    let (meta, file) = (world.sandbox.meta.clone(), world.dir.path().join("token"));
    std::fs::write(&file, &meta.options().access_token).unwrap();
    let server = world.start().await;
    let on_call = OnCall::begins(&world, server.url(""), &server.log).await;
    meta.renew_access_token("the-new-token");
    let phones = [a_phone(), a_phone()];
    let mut ids = on_call.writes_all(&phones[0], &["uno", "due"]);
    ids.push(on_call.writes(&phones[1], "tre"));
    let told = server.log.wait("channel_paused", |_| true).await;
    let told = ["level", "service", "error_code", "provider_code"].map(|field| told[field].as_str().unwrap());
    assert_eq!(told, ["ERROR", "whatsapp", "401", "190"]);
    on_call.health_says(503, "down", &[("whatsapp", "down", "paused: 401/190")]).await;
    let alerts = ["ParlanteWhatsAppPaused whatsapp", "ParlanteProviderUnhealthy whatsapp"];
    on_call.is_called(&alerts, &["channel_paused", "channel_resumed"]).await;
    assert_eq!(phones.each_ref().map(|phone| meta.answers_to(phone)), [[""; 0], []]);

    std::fs::write(&file, "the-new-token\n").unwrap();
    server.signal(Signal::HUP);
    server.log.wait("reload_completed", |_| true).await;
    server.log.wait("channel_resumed", |line| line["service"] == "whatsapp").await;
    for id in &ids {
        server.log.wait_for("task_completed", id).await;
    }
    on_call.got(&phones[0], &["echo: uno", "echo: due"]);
    on_call.got(&phones[1], &["echo: tre"]);
    on_call.sees_the_end(&["whatsapp"]).await;
}
