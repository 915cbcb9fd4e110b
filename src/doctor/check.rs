//! One check, and what came of it.

use serde::Serialize;

/// What came of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    /// It works.
    Ok,
    /// It does not.
    Failed,
    /// It was not asked, or nobody can tell.
    Skipped,
}

/// One check, as `--json` shows it.
#[derive(Debug, Serialize)]
pub(crate) struct Check {
    /// Its name, which does not change.
    pub(crate) check: &'static str,
    /// What came of it.
    pub(crate) status: Status,
    /// Whether the whole fails without it.
    pub(crate) required: bool,
    /// What was found, or why nothing was looked for.
    pub(crate) found: String,
    /// What follows from it. `None`: nothing that would need a hand.
    pub(crate) meaning: Option<String>,
    /// What to do.
    pub(crate) mend: Option<String>,
}

impl Check {
    pub(super) fn ok(check: &'static str, found: impl Into<String>) -> Self {
        let found = found.into();
        Self { check, status: Status::Ok, required: true, found, meaning: None, mend: None }
    }

    pub(super) fn failed(
        check: &'static str,
        found: impl Into<String>,
        meaning: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        Self { status: Status::Failed, ..Self::ok(check, found).but(meaning, mend) }
    }

    /// Not looked at. Where it is needed, another check has failed that tells why.
    pub(super) fn skipped(check: &'static str, why: impl Into<String>) -> Self {
        Self { status: Status::Skipped, ..Self::ok(check, why) }
    }

    /// The same, with what follows from it and what to do.
    pub(super) fn but(self, meaning: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { meaning: Some(meaning.into()), mend: Some(mend.into()), ..self }
    }

    /// The whole does not fail without it.
    pub(super) fn optional(self) -> Self {
        Self { required: false, ..self }
    }

    /// Whether the whole fails over it.
    pub(crate) fn is_fatal(&self) -> bool {
        self.required && self.status != Status::Ok
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_required_and_not_proved_is_fatal() {
        assert!(!Check::ok("x", "").is_fatal());
        assert!(!Check::ok("x", "").but("m", "d").is_fatal());
        assert!(Check::failed("x", "", "m", "d").is_fatal());
        assert!(Check::skipped("x", "").is_fatal());
        assert!(!Check::failed("x", "", "m", "d").optional().is_fatal());
        assert!(!Check::skipped("x", "").optional().is_fatal());
    }
}
