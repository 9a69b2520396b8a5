//! The result of one check.

use crate::palace::chain;
use serde::Serialize;
use std::fmt::Display;

/// The weight of a finding. A note is worth knowing. With a problem, something does not work or is not safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    Ok,
    Note,
    Problem,
}

/// One check: its name, the finding, and the advice.
#[derive(Debug, Serialize)]
pub(super) struct Check {
    pub check: &'static str,
    pub verdict: Verdict,
    pub found: String,
    #[serde(rename = "do", skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

impl Check {
    pub fn ok(check: &'static str, found: impl Display) -> Self {
        Check { check, verdict: Verdict::Ok, found: found.to_string(), advice: None }
    }

    pub fn note(check: &'static str, found: impl Display, advice: impl Display) -> Self {
        Check { verdict: Verdict::Note, advice: Some(advice.to_string()), ..Self::ok(check, found) }
    }

    pub fn problem(check: &'static str, found: impl Display, advice: impl Display) -> Self {
        Check { verdict: Verdict::Problem, ..Self::note(check, found, advice) }
    }

    /// Makes a problem of a question that the operating system did not answer.
    pub fn unknown(check: &'static str, error: &(dyn std::error::Error + 'static)) -> Self {
        Self::problem(check, chain(error), "give this user access to it")
    }
}
