//! Who may deliver.

use parlante_sandbox::{Inbound, SignatureMode, sign};

use crate::support::ask::Ask;
use crate::support::{Process, World, a_phone, persona_text, text_of, webhook_of};

const MALFORMED: [&str; 6] = ["", "sha256=", "sha1=da39a3ee", "sha256=zz", "secret", "sha256 = 00"];

/// Posts one text, signed as said, and tells the answer's status.
async fn post_text(world: &World, phone: &str, id: &str, signature: &SignatureMode) -> u16 {
    let body = webhook_of(world, &[text_of(phone, id, "ciao")]);
    let number = world.sandbox.meta.deliver_raw(body, signature);
    world.sandbox.meta.wait_posted(number).await.unwrap().answer.unwrap()
}

/// A right message is answered, and whatever was written before it under `refused` has left no trace.
async fn only_the_next_is_answered(world: &World, server: &Process, phone: &str, refused: &str) {
    let id = world.sandbox.meta.deliver(Inbound::text(phone, "and now signed").no_bsuid());
    let answers = world.sandbox.meta.wait_answers(phone, 2).await.unwrap();
    assert_eq!(answers, [persona_text("disclosure"), "echo: and now signed".to_owned()]);
    server.log.wait_for("task_completed", &id).await;
    assert_eq!(server.log.count("message_accepted", refused), 0);
    assert_eq!(world.sandbox.openai.chats().len(), 1);
}

#[actix_rt::test]
async fn a_webhook_without_a_signature_is_answered_401_and_not_taken() {
    let world = World::new();
    let server = world.start().await;
    let phone = a_phone();
    assert_eq!(post_text(&world, &phone, "wamid.unsigned", &SignatureMode::Missing).await, 401);
    let told = server.log.wait("webhook_signature_missing", |_| true).await;
    assert_eq!((told["level"].as_str(), told["ip"].as_str()), (Some("ERROR"), Some("127.0.0.1")));
    only_the_next_is_answered(&world, &server, &phone, "wamid.unsigned").await;
}

#[actix_rt::test]
async fn a_wrong_signature_is_answered_401_and_not_taken() {
    let world = World::new();
    let server = world.start().await;
    let phone = a_phone();
    for signature in [SignatureMode::Wrong, SignatureMode::Secret("another secret".into())] {
        assert_eq!(post_text(&world, &phone, "wamid.forged", &signature).await, 401, "{signature:?}");
    }
    let told = server.log.wait("webhook_signature_invalid", |_| true).await;
    assert_eq!((told["level"].as_str(), told["ip"].as_str()), (Some("ERROR"), Some("127.0.0.1")));
    only_the_next_is_answered(&world, &server, &phone, "wamid.forged").await;
}

#[actix_rt::test]
async fn a_malformed_signature_header_is_answered_401_and_not_taken() {
    let world = World::new();
    let server = world.start().await;
    let phone = a_phone();
    for header in MALFORMED {
        let signature = SignatureMode::Malformed(header.to_owned());
        assert_eq!(post_text(&world, &phone, "wamid.odd", &signature).await, 401, "{header:?}");
    }
    only_the_next_is_answered(&world, &server, &phone, "wamid.odd").await;
    let told = server.log.events("webhook_signature_missing").len();
    assert_eq!(told + server.log.events("webhook_signature_invalid").len(), MALFORMED.len());
}

#[actix_rt::test]
async fn without_a_usable_signature_the_body_is_not_even_read() {
    let world = World::new();
    let server = world.start().await;
    let huge = || Ask::post(&server.url("/webhook")).promising(1 << 40);
    assert_eq!(huge().send().await.status, 401);
    for header in MALFORMED {
        assert_eq!(huge().header("x-hub-signature-256", header).send().await.status, 401, "{header:?}");
    }
}

#[actix_rt::test]
async fn a_right_signature_is_taken_in_either_case_of_its_digits() {
    let world = World::new();
    let server = world.start().await;
    let phone = a_phone();
    assert_eq!(post_text(&world, &phone, "wamid.lower", &SignatureMode::Right).await, 200);
    assert_eq!(post_text(&world, &phone, "wamid.upper", &SignatureMode::UpperCase).await, 200);
    let answers = world.sandbox.meta.wait_answers(&phone, 3).await.unwrap();
    assert_eq!(answers[1..], ["echo: ciao", "echo: ciao"]);
    server.log.wait_for("task_completed", "wamid.upper").await;
}

#[actix_rt::test]
async fn during_a_rotation_both_secrets_are_believed_and_no_other() {
    let world = World::new().set("WHATSAPP_APP_SECRET", "the old secret, the new secret");
    let server = world.start().await;
    let phone = a_phone();
    for (id, secret, status) in [
        ("wamid.old", "the old secret", 200),
        ("wamid.new", "the new secret", 200),
        ("wamid.both", "the old secret, the new secret", 401),
    ] {
        let signature = SignatureMode::Secret(secret.to_owned());
        assert_eq!(post_text(&world, &phone, id, &signature).await, status, "{secret}");
    }
    world.sandbox.meta.wait_answers(&phone, 3).await.unwrap();
    server.log.wait_for("task_completed", "wamid.new").await;
    assert_eq!(server.log.count("message_accepted", "wamid.both"), 0);
}

#[actix_rt::test]
async fn no_answer_ever_holds_the_right_signature() {
    let world = World::new();
    let server = world.start().await;
    let secret = world.sandbox.meta.options().app_secret.clone();
    let text = webhook_of(&world, &[text_of(&a_phone(), "wamid.1", "ciao")]);
    for (body, expected) in [(text.as_str(), [401, 401, 401, 200]), ("[]", [401, 401, 401, 400])] {
        let right = sign(&secret, body.as_bytes());
        let digits = right.trim_start_matches("sha256=").to_owned();
        let wrong = sign("wrong", body.as_bytes());
        let headers = [None, Some("sha256=123"), Some(wrong.as_str()), Some(right.as_str())];
        for (header, expected) in headers.into_iter().zip(expected) {
            let ask = Ask::post(&server.url("/webhook"));
            let ask = header.into_iter().fold(ask, |ask, value| ask.header("x-hub-signature-256", value));
            let reply = ask.body(body).send().await;
            assert_eq!(reply.status, expected, "{header:?}");
            let whole = format!("{}{}", reply.head, reply.body).to_lowercase();
            assert!(!whole.contains(&digits), "{whole}");
        }
    }
    assert!(server.terminate().await.success());
    assert!(!server.raw.lock().unwrap().contains(&sign(&secret, text.as_bytes())), "nor does the log");
}

#[actix_rt::test]
async fn development_without_an_app_secret_warns_and_believes_unsigned_webhooks() {
    let world = World::new().unset("WHATSAPP_APP_SECRET");
    let server = world.start().await;
    let warned = server.log.events("webhook_verification_skipped");
    assert_eq!(warned.len(), 1);
    assert_eq!(warned[0]["level"], "WARN");
    let phone = a_phone();
    assert_eq!(post_text(&world, &phone, "wamid.unsigned", &SignatureMode::Missing).await, 200);
    let answers = world.sandbox.meta.wait_answers(&phone, 2).await.unwrap();
    assert_eq!(answers[1], "echo: ciao");
}

#[actix_rt::test]
async fn with_an_app_secret_nothing_is_skipped_in_development() {
    let world = World::new();
    let server = world.start().await;
    assert_eq!(server.log.events("webhook_verification_skipped").len(), 0);
}

#[actix_rt::test]
async fn without_an_app_secret_the_server_shows_itself_to_this_machine_only() {
    for host in ["0.0.0.0", "::"] {
        let world = World::new().unset("WHATSAPP_APP_SECRET").set("HOST", host);
        let (code, stdout, stderr) = world.run(&["serve"]).await;
        assert_eq!(code, 2, "{stderr}");
        assert!(stderr.contains("set WHATSAPP_APP_SECRET"), "{stderr}");
        assert!(stderr.contains("set HOST to 127.0.0.1"), "{stderr}");
        assert_eq!(stdout, "", "nothing was started");
        assert!(!world.dir.path().join("parlante.db").exists(), "nothing was started");
    }
}

const REQUIRED: [&str; 6] = [
    "WHATSAPP_APP_SECRET",
    "WHATSAPP_VERIFY_TOKEN",
    "WHATSAPP_ACCESS_TOKEN",
    "WHATSAPP_PHONE_NUMBER_ID",
    "OPENAI_API_KEY",
    "ADMIN_TOKEN",
];

#[actix_rt::test]
async fn production_names_all_that_is_missing_and_no_value() {
    let world = REQUIRED.iter().fold(World::new(), |world, name| world.unset(name));
    let world = world.set("APP_ENV", "production");
    let (code, _, stderr) = world.run(&["serve"]).await;
    assert_eq!(code, 2, "{stderr}");
    for name in REQUIRED {
        assert!(stderr.contains(&format!("{name} is not set")), "{name}: {stderr}");
    }
    assert!(!world.dir.path().join("parlante.db").exists(), "nothing was started");
}

#[actix_rt::test]
async fn production_refuses_to_start_over_a_single_missing_one_and_tells_no_value_of_the_others() {
    for missing in REQUIRED {
        let world = World::new().set("APP_ENV", "production").set("ADMIN_TOKEN", "hunter2").unset(missing);
        let meta = world.sandbox.meta.options().clone();
        let (code, stdout, stderr) = world.run(&["serve"]).await;
        assert_eq!(code, 2, "{missing}: {stderr}");
        assert_eq!(stderr.matches("is not set").count(), 1, "{stderr}");
        assert!(stderr.contains(&format!("{missing} is not set")), "{stderr}");
        let key = world.sandbox.openai.options().api_key.as_str();
        for value in ["hunter2", key, &meta.app_secret, &meta.verify_token, &meta.access_token] {
            assert!(!stderr.contains(value) && !stdout.contains(value), "{stderr}");
        }
    }
}
