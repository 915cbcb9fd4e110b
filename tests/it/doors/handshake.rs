//! Meta asks whether the webhook is ours.

use crate::support::ask::Ask;
use crate::support::{World, get};

#[actix_rt::test]
async fn the_challenge_comes_back_with_its_bytes_unchanged() {
    let world = World::new();
    let _server = world.start().await;
    world.sandbox.meta.verify_webhook().await.unwrap();
    let token = world.sandbox.meta.options().verify_token.clone();
    for challenge in ["1158201444", "a+b c%20d&e=f", "<script>\"'\\", "caffè ☕ 😀", "007", " 1 ", "\t\r\n"]
    {
        let answer = world.sandbox.meta.handshake(&token, challenge).await.unwrap();
        assert_eq!(answer, (200, challenge.to_owned()));
    }
}

#[actix_rt::test]
async fn the_challenge_is_plain_text_that_no_browser_runs() {
    let world = World::new();
    let server = world.start().await;
    let token = &world.sandbox.meta.options().verify_token;
    let query = format!("?hub.mode=subscribe&hub.challenge=%3Cb%3E&hub.verify_token={token}");
    let reply = Ask::get(&server.url(&format!("/webhook{query}"))).send().await;
    assert_eq!((reply.status, reply.body.as_str()), (200, "<b>"));
    assert!(reply.header("content-type").is_some_and(|kind| kind.starts_with("text/plain")), "{reply:?}");
    assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
}

#[actix_rt::test]
async fn whoever_does_not_know_the_token_or_asks_otherwise_is_answered_403() {
    let world = World::new();
    let server = world.start().await;
    let token = world.sandbox.meta.options().verify_token.clone();
    for wrong in ["", "wrong", &token[1..], &format!("{token} "), &token.to_uppercase()] {
        let (status, body) = world.sandbox.meta.handshake(wrong, "17").await.unwrap();
        assert_eq!((status, body.as_str()), (403, ""), "{wrong:?}");
    }
    for query in [
        String::new(),
        format!("?hub.mode=unsubscribe&hub.verify_token={token}&hub.challenge=17"),
        format!("?hub.mode=&hub.verify_token={token}&hub.challenge=17"),
        format!("?hub.verify_token={token}&hub.challenge=17"),
        format!("?hub.mode=subscribe&hub.verify_token={token}"),
        "?hub.mode=subscribe&hub.challenge=17".to_owned(),
        "?hub.mode=subscribe&hub.challenge=17&hub.verify_token=%ff%zz".to_owned(),
    ] {
        let (status, body) = get(&server.url(&format!("/webhook{query}"))).await;
        assert_eq!((status, body.as_str()), (403, ""), "{query}");
    }
}

#[actix_rt::test]
async fn without_a_verify_token_nobody_can_guess_it() {
    let world = World::new().unset("WHATSAPP_VERIFY_TOKEN");
    let _server = world.start().await;
    for token in ["", "null"] {
        assert_eq!(world.sandbox.meta.handshake(token, "17").await.unwrap().0, 403);
    }
}
