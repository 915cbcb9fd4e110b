//! `parlante doctor`: proves the path to each provider and back, and says what to do where it is broken.

use std::path::PathBuf;

use super::{Failure, say, settings};
use crate::doctor::{self, Check, Status};
use crate::persona;

pub(super) fn run(config: Option<PathBuf>, json: bool) -> Result<(), Failure> {
    let settings = settings(config)?;
    let persona = persona::load(settings.persona.file.as_deref()).map_err(Failure::wrong)?;
    let checks = actix_rt::System::new().block_on(doctor::examine(&settings, &persona));
    if json {
        say(serde_json::to_string_pretty(&checks).map_err(Failure::failed)?)?;
    } else {
        checks.iter().flat_map(lines).try_for_each(say)?;
    }
    let fatal: Vec<&str> = checks
        .iter()
        .filter(|check| check.is_fatal() && check.status == Status::Failed)
        .map(|check| check.check)
        .collect();
    match (checks.iter().any(Check::is_fatal), fatal.as_slice()) {
        (false, _) => Ok(()),
        (true, fatal) => Err(Failure::failed(format!("not everything works: {}", fatal.join(", ")))),
    }
}

/// One line, and two more where there is something to do.
fn lines(check: &Check) -> Vec<String> {
    let status = match check.status {
        Status::Ok => "ok",
        Status::Failed => "failed",
        Status::Skipped => "skipped",
    };
    let mut lines = vec![format!("{status:<7}  {:<26}  {}", check.check, check.found)];
    let more = [("means", &check.meaning), ("do", &check.mend)];
    lines.extend(
        more.iter().filter_map(|(word, text)| Some(format!("{:<7}  {word:>26}  {}", "", text.as_ref()?))),
    );
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_needs_a_hand_has_more_than_a_line() {
        let check = |meaning: Option<&str>| Check {
            check: "openai_quota",
            status: Status::Failed,
            required: true,
            found: "refused with 429".into(),
            meaning: meaning.map(str::to_owned),
            mend: meaning.map(|_| "add credit".to_owned()),
        };
        assert_eq!(lines(&check(None)), ["failed   openai_quota                refused with 429"]);
        assert_eq!(
            lines(&check(Some("no answers")))[1..],
            [
                "                              means  no answers",
                "                                 do  add credit"
            ]
        );
    }
}
