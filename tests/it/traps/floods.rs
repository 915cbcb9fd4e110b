//! Answers without end: they are read to a bound, and no further.

use crate::support::raw::{Act, Ended};

use super::bench::{Bench, Good, Route, Spoil, answer};

const MIB: usize = 1024 * 1024;
/// How much each answer would be.
const FLOOD: usize = 100 * MIB;
/// By how much the server may grow over all of them. A sound may have 16 MiB, and grows by doubling.
const GROWTH_MAX: usize = 64 * MIB;

/// A body that goes on for ever in the way of the good one, and would be taken if it ended.
fn filler(route: Route, good: &Good) -> (Vec<u8>, Vec<u8>) {
    let again = match route {
        Route::Chat => {
            b"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"ancora \"}}]}\n\n".to_vec()
        }
        Route::Speak | Route::Download => vec![0; 64],
        _ => b"                                                                ".to_vec(),
    };
    let first = if route == Route::Chat { Vec::new() } else { good.body[..good.body.len() - 1].to_vec() };
    (first, again.repeat(64 * 1024 / again.len()))
}

fn flood(route: Route, status: &'static str, headers: &'static str) -> Spoil {
    answer(move |good| {
        let (first, again) = filler(route, good);
        let head = Good { status: status.into(), ..good.clone() }.head(headers);
        Act::Pour([head, first].concat(), again.clone(), FLOOD / again.len())
    })
}

/// Each route meets `spoil` once; afterwards the server has hung up each time, and has not grown. The codes are those of
/// attempts that were followed by another, and of those that were the last.
async fn is_read_to_its_bound(
    codes: impl Fn(Route) -> [&'static [&'static str]; 2],
    spoil: impl Fn(Route) -> Spoil,
) {
    let bench = Bench::new(&[]).await;
    bench.works().await;
    let before = bench.server.peak_memory();
    for route in ALL {
        bench.aim(route, 1, &spoil(route));
        let (_, id) = bench.ask(route);
        bench.server.log.wait_for("task_completed", &id).await;
        assert!(bench.has_met_all(), "{route:?}");
        let (retried, failed) = bench.codes(&id);
        assert_eq!([retried, failed], codes(route), "{route:?}");
        let grown = bench.server.peak_memory() - before;
        assert!(grown < GROWTH_MAX, "{route:?}: {} MiB", grown / MIB);
    }
    let ended = bench.ended(ALL.len()).await;
    assert!(ended.iter().all(|ended| matches!(ended, Ended::HungUp(said) if *said < FLOOD / 2)), "{ended:?}");
    bench.end().await;
}

const ALL: [Route; 7] =
    [Route::Chat, Route::Hear, Route::Speak, Route::Send, Route::LookUp, Route::Download, Route::Upload];

#[actix_rt::test]
async fn an_answer_of_a_hundred_megabytes_is_read_to_its_bound() {
    let codes = |route| match route {
        // It would be as large at another try.
        Route::Speak | Route::Download => [&[][..], &["too_long"]],
        Route::Send => [&[][..], &["truncated"]],
        _ => [&["truncated"][..], &[]],
    };
    is_read_to_its_bound(codes, |route| flood(route, "200 OK", "content-length: 104857600\r\n")).await;
}

#[actix_rt::test]
async fn an_error_of_a_hundred_megabytes_is_read_to_its_bound() {
    let flood = |route| flood(route, "503 Service Unavailable", "connection: close\r\n");
    is_read_to_its_bound(|_| [&["503"], &[]], flood).await;
}

#[actix_rt::test]
async fn a_head_of_a_hundred_megabytes_is_read_to_its_bound() {
    let codes = |route| match route {
        Route::Send => [&[][..], &["network"]],
        _ => [&["network"][..], &[]],
    };
    let again = format!("x-filler: {}\r\n", "x".repeat(1000)).into_bytes();
    let head =
        answer(move |_| Act::Pour(b"HTTP/1.1 200 OK\r\n".to_vec(), again.clone(), FLOOD / again.len()));
    is_read_to_its_bound(codes, |_| head.clone()).await;
}

/// So many zero bytes, packed: a gzip file with one block of fixed codes, a literal and then copies of 258 bytes.
fn bomb(size: usize) -> Vec<u8> {
    let mut bits = vec![true, true, false]; // The last block, of fixed codes.
    bits.extend([false, false, true, true, false, false, false, false]); // A zero byte.
    for _ in 0..size / 258 {
        bits.extend([true, true, false, false, false, true, false, true]); // 258 bytes
        bits.extend([false; 5]); // as the one before.
    }
    bits.extend([false; 7]); // The end.
    let pack = |bits: &[bool]| bits.iter().rev().fold(0, |byte, bit| byte << 1 | u8::from(*bit));
    let packed: Vec<u8> = bits.chunks(8).map(pack).collect();
    let crc_and_size = [[0; 4], u32::try_from(size).unwrap().to_le_bytes()].concat();
    [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3], packed.as_slice(), &crc_and_size].concat()
}

#[test]
fn a_bomb_goes_off() {
    let file = tempfile::NamedTempFile::with_suffix(".gz").unwrap();
    std::fs::write(file.path(), bomb(MIB)).unwrap();
    let unpacked = std::process::Command::new("gzip").arg("-dc").arg(file.path()).output().unwrap().stdout;
    // The check sum at the end is wrong, and gzip says so only there.
    assert!(unpacked.len() > MIB - 64 * 1024 && unpacked.iter().all(|byte| *byte == 0), "{}", unpacked.len());
}

#[actix_rt::test]
async fn what_is_packed_is_not_unpacked() {
    let bench = Bench::new(&[]).await;
    bench.works().await;
    let before = bench.server.peak_memory();
    let packed = bomb(FLOOD);
    let bomb = answer(move |good| {
        let length = packed.len();
        let head = good.head(&format!("content-encoding: gzip\r\ncontent-length: {length}\r\n"));
        Act::Say([head, packed.clone()].concat())
    });
    for route in ALL {
        bench.aim(route, 1, &bomb);
        let (_, id) = bench.ask(route);
        bench.server.log.wait_for("task_completed", &id).await;
        assert!(bench.has_met_all(), "{route:?}");
        let grown = bench.server.peak_memory() - before;
        assert!(grown < GROWTH_MAX, "{route:?}: {} MiB", grown / MIB);
    }
    bench.end().await;
}
