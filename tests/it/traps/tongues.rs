//! What is no HTTP, other HTTP, more HTTP than was asked for, or HTTP to somewhere else.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use parlante_sandbox::Inbound;

use crate::support::innocent::persons_got_no_errors;
use crate::support::raw::{Act, Ended, Listening, RawServer};
use crate::support::{World, a_phone, persona_text};

use super::bench::{Bench, Good, Route, Spoil, answer};

const ALL: [Route; 7] =
    [Route::Chat, Route::Hear, Route::Speak, Route::Send, Route::LookUp, Route::Download, Route::Upload];

#[actix_rt::test]
async fn what_is_no_http_is_no_answer() {
    let bench = Bench::new(&[]).await;
    let garbage: [&[u8]; 5] = [
        b"ciao\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 abc OK\r\ncontent-length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n{}",
        b"\x15\x03\x01\x00\x02\x02\x46",
    ];
    for bytes in garbage {
        let spoil = answer(move |_| Act::Say(bytes.to_vec()));
        for route in Route::TRIED_AGAIN {
            bench.is_tried_again(route, "network", &spoil).await;
        }
        bench.is_reconciled("network", &spoil).await;
    }
    bench.end().await;
}

#[actix_rt::test]
async fn chunks_of_no_length_are_no_answer() {
    let bench = Bench::new(&[]).await;
    let spoil = answer(|good| {
        let head = good.head("transfer-encoding: chunked\r\n");
        Act::Say([head, b"xyz\r\n".to_vec(), good.body.clone(), b"\r\n0\r\n\r\n".to_vec()].concat())
    });
    for route in Route::TRIED_AGAIN {
        bench.is_tried_again(route, "truncated", &spoil).await;
    }
    bench.is_reconciled("truncated", &spoil).await;
    bench.end().await;
}

/// The good answer, of HTTP/1.0.
fn old(good: &Good, headers: &str) -> Vec<u8> {
    let now = [good.head(headers), good.body.clone()].concat();
    [b"HTTP/1.0", &now[b"HTTP/1.1".len()..]].concat()
}

#[actix_rt::test]
async fn an_answer_in_http_1_0_is_taken_and_the_connection_may_be_kept_or_not() {
    let bench = Bench::new(&[]).await;
    let measured = |good: &Good| format!("content-length: {}\r\n", good.body.len());
    let olds = [
        answer(|good| Act::Say(old(good, ""))),
        answer(move |good| Act::Say(old(good, &measured(good)))),
        answer(move |good| Act::Keep(old(good, &measured(good)))),
        answer(move |good| Act::Keep(old(good, &format!("connection: keep-alive\r\n{}", measured(good))))),
    ];
    for spoil in &olds {
        for route in ALL {
            bench.is_taken(route, spoil).await;
            bench.works().await;
        }
    }
    bench.end().await;
}

#[actix_rt::test]
async fn a_connection_of_http_1_0_that_is_not_said_to_stay_is_not_used_again() {
    let bench = Bench::new(&[]).await;
    let spoil = answer(|good| Act::Stall(old(good, &format!("content-length: {}\r\n", good.body.len()))));
    for route in ALL {
        bench.is_taken(route, &spoil).await;
        bench.works().await;
    }
    let ended = bench.ended(ALL.len()).await;
    assert!(ended.iter().all(|ended| matches!(ended, Ended::HungUp(_))), "{ended:?}");
    bench.end().await;
}

/// What another request would have been answered, so that whoever takes it for his own is found out.
fn of_another(route: Route) -> Vec<u8> {
    let body = match route {
        Route::Chat => {
            "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"altro\"}}]}\n\ndata: [DONE]\n\n"
        }
        Route::Hear => r#"{"text":"altro"}"#,
        Route::Send => r#"{"messaging_product":"whatsapp","messages":[{"id":"wamid.altro"}]}"#,
        Route::LookUp => r#"{"url":"http://127.0.0.1:9/altro","id":"1","file_size":"1"}"#,
        Route::Upload => r#"{"id":"1"}"#,
        Route::Speak | Route::Download => "altro",
    };
    Good { status: "200 OK".into(), kind: "text/plain".into(), body: body.into() }.whole()
}

#[actix_rt::test]
async fn a_second_answer_to_one_request_is_no_answer_to_the_next() {
    let bench = Bench::new(&[]).await;
    for padding in [0, 1024 * 1024] {
        for route in ALL {
            let twice = answer(move |good| {
                let mut second = of_another(route);
                second.extend(vec![b' '; padding]);
                Act::Keep([good.whole(), second].concat())
            });
            bench.is_taken(route, &twice).await;
            bench.works().await;
            // Where the first ended the connection, too.
            bench.is_taken(route, &twice).await;
            bench.works().await;
        }
    }
    bench.end().await;
}

const ANNOUNCED: [&str; 2] =
    ["HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n"];

#[actix_rt::test]
async fn an_answer_that_is_only_announced_is_no_answer() {
    let bench = Bench::new(&[]).await;
    for announced in ANNOUNCED {
        let spoil = answer(move |good| Act::Keep([announced.as_bytes().to_vec(), good.whole()].concat()));
        for route in Route::TRIED_AGAIN {
            bench.is_tried_again(route, "network", &spoil).await;
        }
        bench.is_reconciled("network", &spoil).await;
    }
    bench.end().await;
}

#[actix_rt::test]
async fn an_answer_that_was_announced_never_comes_to_whoever_asks_next() {
    let bench = Bench::new(&[]).await;
    let mut met = 0;
    for announced in ANNOUNCED {
        // Nothing follows before the client hangs up or asks again on the same connection.
        let spoil = answer(move |_| Act::Stall(announced.as_bytes().to_vec()));
        for route in ALL {
            match route {
                Route::Send => bench.is_reconciled("network", &spoil).await,
                _ => bench.is_tried_again(route, "network", &spoil).await,
            }
            met += 1;
            bench.works().await;
        }
    }
    let ended = bench.ended(met).await;
    assert!(ended.iter().all(|ended| matches!(ended, Ended::HungUp(_))), "{ended:?}");
    bench.end().await;
}

/// A server of nobody's: whoever comes there shows what he brings.
fn elsewhere() -> (RawServer, Arc<Mutex<usize>>) {
    let count = Arc::new(Mutex::new(0));
    let counted = count.clone();
    let server = RawServer::start(move |_, _| {
        *counted.lock().unwrap() += 1;
        Act::Close
    });
    (server, count)
}

fn redirect(status: &'static str, to: String) -> Spoil {
    answer(move |_| {
        let head = format!("HTTP/1.1 {status}\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n");
        Act::Keep(head.into_bytes())
    })
}

#[actix_rt::test]
async fn nobody_is_sent_elsewhere() {
    let (elsewhere, visits) = elsewhere();
    let bench = Bench::new(&[]).await;
    for status in ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
        for route in ALL {
            bench.aim(route, 1, &redirect(status, elsewhere.url("/elsewhere")));
            let (phone, id) = bench.ask(route);
            // A send is given up, an answer apologized for, the rest has its next best.
            let end = if route == Route::Chat { "task_failed" } else { "task_completed" };
            let end = if route == Route::Send { "message_dead_lettered" } else { end };
            bench.server.log.wait_for(end, &id).await;
            assert!(bench.has_met_all(), "{route:?}");
            let got = bench.world.sandbox.meta.answers_to(&phone)[1..].to_vec();
            let expected = match route {
                Route::Chat => persona_text("apology"),
                Route::Hear | Route::LookUp | Route::Download => persona_text("please_write"),
                // The stand-in has taken it before it was answered for.
                Route::Send | Route::Speak | Route::Upload => "echo: ciao".to_owned(),
            };
            assert_eq!(got, [expected], "{status} {route:?}");
        }
    }
    assert_eq!(*visits.lock().unwrap(), 0);
    bench.end().await;
}

#[actix_rt::test]
async fn a_download_is_followed_to_an_allowed_host_and_no_further() {
    let (elsewhere, visits) = elsewhere();
    let bench = Bench::new(&[("WHATSAPP_MEDIA_HOSTS", "localhost")]).await;
    let sound = answer(move |good| Act::Say(good.whole()));
    let host = RawServer::start({
        let to = elsewhere.url("/elsewhere");
        move |_, at| {
            let to = if at == 0 { to.clone() } else { "https://localhost/elsewhere".to_owned() };
            Act::Say(
                format!("HTTP/1.1 302 Found\r\nlocation: {to}\r\nconnection: close\r\n\r\n").into_bytes(),
            )
        }
    });
    let allowed = host.url("/file").replace("127.0.0.1", "localhost");
    bench.aim(Route::Download, 1, &redirect("302 Found", allowed));
    let (phone, id) = bench.ask(Route::Download);
    bench.server.log.wait_for("task_completed", &id).await;
    assert_eq!(host.bodies().len(), 1, "an allowed host is asked");
    assert_eq!(*visits.lock().unwrap(), 0, "a host that it names is not");
    assert_eq!(bench.world.sandbox.meta.answers_to(&phone)[1..], [persona_text("please_write")]);
    bench.is_taken(Route::Download, &sound).await;
    bench.end().await;
}

#[actix_rt::test]
async fn nothing_is_said_to_a_server_that_cannot_do_tls() {
    let tongues: [&'static [u8]; 3] =
        [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x15\x03\x01\x00\x02\x02\x28", b""];
    for tongue in tongues {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let plain = speaks(tongue, &heard);
        let url = format!("https://{}", plain.address());
        let world =
            World::new().set("OPENAI_BASE_URL", &format!("{url}/v1")).set("ELEVENLABS_BASE_URL", &url);
        let server = world.start().await;
        let phone = a_phone();
        let id = world.sandbox.meta.deliver(Inbound::text(&phone, "ciao"));
        assert_eq!(server.log.wait_for("task_failed", &id).await["error_code"], "network");
        let got = world.sandbox.meta.answers_to(&phone);
        assert_eq!(got, [persona_text("disclosure"), persona_text("apology")]);
        let heard = heard.lock().unwrap().clone();
        assert_eq!(heard.len(), 3, "once for each attempt");
        let key = world.sandbox.openai.options().api_key.clone().into_bytes();
        for bytes in &heard {
            assert_eq!(bytes.first(), Some(&0x16), "a handshake");
            assert!(!bytes.windows(key.len()).any(|window| window == key), "the key went out in the clear");
        }
        persons_got_no_errors(&world);
    }
}

#[actix_rt::test]
async fn a_send_to_a_server_that_cannot_do_tls_was_surely_not_made() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let plain = speaks(b"HTTP/1.1 400 Bad Request\r\n\r\n", &heard);
    let world = World::new().set("WHATSAPP_BASE_URL", &format!("https://{}", plain.address()));
    let server = world.start().await;
    let id = world.sandbox.meta.deliver(Inbound::text(&a_phone(), "ciao"));
    let failed = server.log.wait_for("http_failed", &id).await;
    assert_eq!((&failed["error_code"], &failed["attempt"]), (&"network".into(), &3.into()));
    let token = world.sandbox.meta.options().access_token.clone().into_bytes();
    for bytes in &*heard.lock().unwrap() {
        assert_eq!(bytes.first(), Some(&0x16), "a handshake");
        assert!(!bytes.windows(token.len()).any(|window| window == token), "the token went out in the clear");
    }
    assert_eq!(server.log.count("message_dead_lettered", &id), 0, "it is held");
}

/// Reads what comes first, says these bytes and closes.
fn speaks(tongue: &'static [u8], heard: &Arc<Mutex<Vec<Vec<u8>>>>) -> Listening {
    let heard = heard.clone();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    Listening::on(listener, move |mut socket| {
        let mut first = vec![0; 4096];
        let count = socket.read(&mut first).unwrap_or_default();
        first.truncate(count);
        heard.lock().unwrap().push(first);
        let _ = socket.write_all(tongue);
    })
}
