//! Deaths on both sides of each step's intent, call and record: the binary kills itself at the k-th pass of a failpoint.
//!
//! `cargo test --features failpoints --test it failpoints`; with `CRASH_POINTS=all` at every pass there is.

use futures_util::StreamExt;

use super::{AT_ONCE, Life, Outcome, all, die_and_recover};
use crate::support::World;

/// In the order of a message's way.
const POINTS: [&str; 16] = [
    "ingress.deliver",
    "dedup.accept",
    "ledger.commit",
    "dedup.committed",
    "dedup.wake",
    "conversation.take_up",
    "conversation.hear",
    "conversation.heard",
    "conversation.ask",
    "conversation.asked",
    "conversation.speak",
    "conversation.spoken",
    "conversation.upload",
    "conversation.uploaded",
    "conversation.send",
    "conversation.sent",
];
/// Passes at which it is killed in a run that is not of all.
const SAMPLE: usize = 2;

async fn crash(life: Life, point: &str, k: usize) -> Outcome {
    let deadly = format!("{point}={}*off->return(die)", k - 1);
    let arm = |world: World| world.set("FAILPOINTS", &deadly);
    die_and_recover(life, arm, |world| world.unset("FAILPOINTS")).await
}

/// Kills at one pass after the other until a life is through without.
async fn at_every_pass(life: Life, point: &'static str) -> Vec<(Life, &'static str, usize, Outcome)> {
    let mut killed = Vec::new();
    for k in 1..=if all() { usize::MAX } else { SAMPLE } {
        let outcome = crash(life, point, k).await;
        if !outcome.killed {
            break;
        }
        killed.push((life, point, k, outcome));
    }
    eprintln!("{life:?} life, {point:22} {:4} kills", killed.len());
    assert!(life == Life::Second || !killed.is_empty(), "nobody passes {point}");
    killed
}

#[actix_rt::test]
async fn a_death_on_either_side_of_any_step_loses_nothing_doubles_nothing_and_keeps_the_order() {
    let lives = [Life::First, Life::Second];
    let rows = lives.into_iter().flat_map(|life| POINTS.map(|point| at_every_pass(life, point)));
    let outcomes: Vec<_> = futures_util::stream::iter(rows).buffer_unordered(AT_ONCE).concat().await;
    let again = |times: fn(&Outcome) -> usize| outcomes.iter().filter(|(.., it)| times(it) > 0).count();
    let [asked, heard] = [again(|it| it.repeated), again(|it| it.voice.heard)];
    let [spoken, uploaded] = [again(|it| it.voice.spoken), again(|it| it.voice.uploaded)];
    eprintln!(
        "{} kills; once more: asked {asked}, heard {heard}, spoken {spoken}, uploaded {uploaded}",
        outcomes.len()
    );
    let wrong: Vec<_> = outcomes
        .iter()
        .filter(|(life, .., outcome)| !outcome.is_right_after(life.kills()))
        .map(|(life, point, k, outcome)| (life, point, k, &outcome.verdict, outcome.repeated_most))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!([asked, heard, spoken, uploaded].iter().all(|times| *times > 0), "a reply was never lost");
}
