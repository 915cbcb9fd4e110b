//! Lines that are refused, reset, silent or slow. An attempt ends with its own deadline, whatever the other side does.

use std::time::Duration;

use parlante_sandbox::{Inbound, audio};
use tokio::net::TcpSocket;

use crate::support::innocent::persons_got_no_errors;
use crate::support::raw::{Act, Ended, Listening, hear, play};
use crate::support::{World, a_phone, persona_text};

use super::bench::{Bench, Good, Route, Spoil, answer};

/// Before each byte of a body that is slower than any deadline here.
const PAUSE: Duration = Duration::from_millis(100);
/// Longer than an attempt takes on a busy machine.
const DEADLINE_MS: &str = "1500";

#[actix_rt::test]
async fn a_line_that_is_reset_is_tried_again() {
    let bench = Bench::new(&[]).await;
    for route in Route::TRIED_AGAIN {
        for spoil in [Spoil::AtHead, Spoil::Instead(Act::Reset), Spoil::Instead(Act::Close)] {
            bench.is_tried_again(route, "network", &spoil).await;
        }
        bench.is_tried_again(route, "network", &answer(|_| Act::Reset)).await;
    }
    bench.end().await;
}

#[actix_rt::test]
async fn a_line_that_is_reset_while_a_large_body_is_still_on_its_way_is_tried_again() {
    let bench = Bench::new(&[]).await;
    bench.aim(Route::Hear, 1, &Spoil::AtHead);
    let phone = a_phone();
    let note = Inbound::voice(&phone, audio::of_size(12 * 1024 * 1024, "un poema"));
    let id = bench.world.sandbox.meta.deliver(note);
    bench.server.log.wait_for("task_completed", &id).await;
    assert_eq!(bench.codes(&id), (vec!["network".to_owned()], vec![]));
    let got = bench.world.sandbox.meta.answers_to(&phone);
    assert_eq!(got, [persona_text("disclosure"), "[voice] echo: un poema".to_owned()]);
    bench.end().await;
}

#[actix_rt::test]
async fn a_send_whose_line_is_reset_is_not_made_again() {
    let bench = Bench::new(&[("WHATSAPP_RECONCILE_MS", "100")]).await;
    for spoil in [Spoil::Instead(Act::Reset), Spoil::Instead(Act::Close)] {
        bench.is_uncertain("network", &spoil).await;
    }
    bench.end().await;
    let bench = Bench::new(&[]).await;
    bench.is_reconciled("network", &answer(|_| Act::Reset)).await;
    bench.is_reconciled("network", &answer(|_| Act::Close)).await;
    bench.end().await;
}

/// The stand-in has answered, and this comes of it: nothing, half a head, a head, a body byte by byte.
fn slow() -> [Spoil; 4] {
    let trickle = |good: &Good| {
        let head = good.head(&format!("content-length: {}\r\n", good.body.len()));
        Act::Trickle(head, good.body.clone(), PAUSE)
    };
    [
        answer(|_| Act::Stall(Vec::new())),
        answer(|_| Act::Stall(b"HTTP/1.1 200 OK\r\ncontent-le".to_vec())),
        answer(|good| Act::Stall(good.promising(good.body.len(), 0))),
        answer(trickle),
    ]
}

/// Each of these ends by the attempt's deadline: at the socket the client hangs up, and only then comes the next
/// attempt.
async fn end_by_the_deadline(route: Route) {
    let deadline = format!("{}_TIMEOUT_MS", route.provider());
    let bench = Bench::new(&[(&deadline, DEADLINE_MS)]).await;
    for (n, spoil) in slow().iter().enumerate() {
        if route == Route::Send {
            bench.is_reconciled("timeout", spoil).await;
        } else {
            bench.is_tried_again(route, "timeout", spoil).await;
        }
        let ended = bench.ended(n + 1).await;
        assert!(matches!(ended[n], Ended::HungUp(_)), "{route:?}: {ended:?}");
    }
    bench.end().await;
}

#[actix_rt::test]
async fn a_model_that_is_too_slow_is_asked_again() {
    end_by_the_deadline(Route::Chat).await;
}

#[actix_rt::test]
async fn an_ear_that_is_too_slow_is_asked_again() {
    end_by_the_deadline(Route::Hear).await;
}

#[actix_rt::test]
async fn a_voice_that_is_too_slow_is_asked_again() {
    end_by_the_deadline(Route::Speak).await;
}

#[actix_rt::test]
async fn a_send_that_is_too_slow_is_known_by_its_status_and_made_once() {
    end_by_the_deadline(Route::Send).await;
}

#[actix_rt::test]
async fn a_look_up_that_is_too_slow_is_made_again() {
    end_by_the_deadline(Route::LookUp).await;
}

#[actix_rt::test]
async fn a_download_that_is_too_slow_is_made_again() {
    end_by_the_deadline(Route::Download).await;
}

#[actix_rt::test]
async fn an_upload_that_is_too_slow_is_made_again() {
    end_by_the_deadline(Route::Upload).await;
}

/// A provider at whose port nobody listens until a first attempt has been refused there; then it passes on what it
/// hears to nobody, and says `reply`.
async fn refused_at_first(provider: &str, path: &str, reply: &'static str) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    let world = World::new()
        .set(&format!("{provider}_BASE_URL"), &format!("http://{address}{path}"))
        .set(&format!("{provider}_BACKOFF_MS"), "0,300,300")
        .set("WHATSAPP_AMBIGUOUS_SEND", "hold");
    let server = world.start().await;
    let id = world.sandbox.meta.deliver(Inbound::text(&a_phone(), "ciao"));
    let refused = server.log.wait_for("http_retry", &id).await;
    assert_eq!(refused["error_code"], "network");
    let listener = socket.listen(16).unwrap().into_std().unwrap();
    listener.set_nonblocking(false).unwrap();
    let _listening = Listening::on(listener, move |mut socket| {
        if hear(&mut socket).is_some() {
            play(&mut socket, Act::Say(reply.as_bytes().to_vec()));
        }
    });
    server.log.wait_for("task_completed", &id).await;
    assert_eq!(server.log.count("message_dead_lettered", &id), 0);
    persons_got_no_errors(&world);
}

#[actix_rt::test]
async fn a_send_that_was_refused_at_the_door_is_made_again() {
    let reply = concat!(
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 69\r\n\r\n",
        r#"{"messaging_product":"whatsapp","messages":[{"id":"wamid.accepted"}]}"#
    );
    refused_at_first("WHATSAPP", "", reply).await;
}

#[actix_rt::test]
async fn nobody_at_any_door_costs_no_more_than_the_answer_in_kind() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    let nobody = |name: &str, path: &str| World::new().set(name, &format!("http://{address}{path}"));
    let phone = a_phone();
    let say = |world: &World| world.sandbox.meta.deliver(Inbound::voice(&phone, audio::say("ciao")));
    let got = |world: &World| world.sandbox.meta.answers_to(&phone)[1..].to_vec();

    let world = nobody("ELEVENLABS_BASE_URL", "");
    let server = world.start().await;
    let id = say(&world);
    server.log.wait_for("task_completed", &id).await;
    assert_eq!(server.log.wait_for("voice_fallback_to_text", &id).await["error_code"], "network");
    assert_eq!(got(&world), ["echo: ciao"]);
    persons_got_no_errors(&world);

    let world = nobody("OPENAI_BASE_URL", "/v1");
    let server = world.start().await;
    let id = say(&world);
    server.log.wait_for("task_completed", &id).await;
    assert_eq!(got(&world), [persona_text("please_write")]);
    let id = world.sandbox.meta.deliver(Inbound::text(&phone, "ciao"));
    assert_eq!(server.log.wait_for("task_failed", &id).await["error_code"], "network");
    assert_eq!(got(&world)[1..], [persona_text("apology")]);
    persons_got_no_errors(&world);
}
