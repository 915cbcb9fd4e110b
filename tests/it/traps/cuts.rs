//! Answers that are cut, or longer or shorter than they say: none of them is taken for a whole one.

use std::sync::Arc;

use crate::support::raw::Act;

use super::bench::{Bench, Good, Route, Spoil, answer};

/// So many tenths of a body.
fn tenths(good: &Good, tenths: usize) -> usize {
    good.body.len() * tenths / 10
}

type Cut = fn(&Good, usize) -> Vec<u8>;

/// The three ways in which a body can say how long it is.
const CUTS: [(&str, Cut); 3] = [
    ("measured", |good, sent| good.promising(good.body.len(), sent)),
    ("in chunks", Good::chunk),
    ("to the end of the connection", Good::unmeasured),
];

/// The answer, cut at every tenth and closed behind the cut.
fn cut_at_every_tenth() -> Vec<Spoil> {
    let cut = |n, cut: Cut| answer(move |good| Act::Say(cut(good, tenths(good, n))));
    CUTS.into_iter().flat_map(|(_, way)| (0..10).map(move |n| cut(n, way))).collect()
}

async fn is_tried_again_at_every_cut(route: Route) {
    let bench = Bench::new(&[]).await;
    for spoil in cut_at_every_tenth() {
        bench.is_tried_again(route, "truncated", &spoil).await;
    }
    bench.end().await;
}

#[actix_rt::test]
async fn an_answer_of_the_model_that_is_cut_anywhere_is_asked_for_again() {
    is_tried_again_at_every_cut(Route::Chat).await;
}

#[actix_rt::test]
async fn a_transcript_that_is_cut_anywhere_is_asked_for_again() {
    is_tried_again_at_every_cut(Route::Hear).await;
}

#[actix_rt::test]
async fn a_voice_that_is_cut_anywhere_is_asked_for_again() {
    is_tried_again_at_every_cut(Route::Speak).await;
}

#[actix_rt::test]
async fn a_look_up_that_is_cut_anywhere_is_made_again() {
    is_tried_again_at_every_cut(Route::LookUp).await;
}

#[actix_rt::test]
async fn a_download_that_is_cut_anywhere_is_made_again() {
    is_tried_again_at_every_cut(Route::Download).await;
}

#[actix_rt::test]
async fn an_upload_whose_answer_is_cut_anywhere_is_made_again() {
    is_tried_again_at_every_cut(Route::Upload).await;
}

#[actix_rt::test]
async fn a_send_whose_answer_is_cut_anywhere_is_known_by_its_status_and_made_once() {
    let bench = Bench::new(&[]).await;
    for spoil in cut_at_every_tenth() {
        bench.is_reconciled("truncated", &spoil).await;
    }
    bench.end().await;
}

#[actix_rt::test]
async fn an_answer_shorter_than_its_length_is_none() {
    let bench = Bench::new(&[]).await;
    let longer = answer(|good| Act::Say(good.promising(good.body.len() + 1, good.body.len())));
    for route in Route::TRIED_AGAIN.into_iter().filter(|route| *route != Route::Chat) {
        bench.is_tried_again(route, "truncated", &longer).await;
    }
    // What a stream has to say is over with `[DONE]`.
    bench.is_taken(Route::Chat, &longer).await;
    bench.is_reconciled("truncated", &longer).await;
    bench.end().await;
}

#[actix_rt::test]
async fn an_answer_longer_than_its_length_is_none_and_its_rest_is_no_answer_to_the_next_request() {
    let bench = Bench::new(&[]).await;
    let shorter = |make: fn(Vec<u8>) -> Act| {
        let shorter = move |good: &Good| make(good.promising(good.body.len() - 10, good.body.len()));
        Spoil::Answer(Arc::new(shorter))
    };
    for spoil in [shorter(Act::Say), shorter(Act::Keep)] {
        for route in Route::TRIED_AGAIN {
            bench.is_tried_again(route, "truncated", &spoil).await;
            bench.works().await;
        }
        bench.is_reconciled("truncated", &spoil).await;
    }
    bench.end().await;
}

#[actix_rt::test]
async fn what_is_whole_without_the_last_chunk_is_taken() {
    let bench = Bench::new(&[]).await;
    let unended = answer(|good| Act::Say(good.chunk(good.body.len())));
    for route in Route::TRIED_AGAIN.into_iter().chain([Route::Send]) {
        bench.is_taken(route, &unended).await;
    }
    bench.end().await;
}
