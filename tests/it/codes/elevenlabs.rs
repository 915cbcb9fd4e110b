//! Every code of ElevenLabs', in the answer to a text that is to be spoken.

use super::runs::{all_at_once, one_by_one};
use super::{Case, ELEVENLABS, Step, cases, names};

#[actix_rt::test]
async fn every_code_of_elevenlabs_has_its_fate() {
    let cases = cases(ELEVENLABS);
    let (passing, pausing): (Vec<&Case>, Vec<&Case>) = cases.iter().partition(|case| !case.outcome.pauses());
    assert_eq!(all_at_once(Step::Voice, &passing).await["unknownCodes"], 0);
    assert_eq!(one_by_one(Step::Voice, &pausing).await["unknownCodes"], 0);
    assert_eq!(names([passing, pausing].concat()), names(&cases), "every one was met");
}
