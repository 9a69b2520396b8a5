//! Reads the record of a call that is made once.

use super::once::{ANSWER, ARGUMENTS, Once};
use crate::palace::error::Result;
use crate::palace::handle::shared::Palace;
use serde_json::Value;

/// The record of a call, if it was made before.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Before {
    /// The call was not made.
    Never,
    /// The call was made, with this answer.
    Answered(Value),
    /// A call of this name was made with other arguments.
    OtherArguments,
}

impl Palace {
    /// Returns the record of a call. It is durable, and so is the effect of the call.
    ///
    /// # Errors
    /// As [`Palace::write`].
    pub(crate) fn before(&self, once: &Once) -> Result<Before> {
        let mut found = Before::Never;
        if self.get(once.key.as_str())?.is_none() {
            return Ok(found);
        }
        // Another process may have written the record, and not yet made it durable. This commit returns once it is.
        self.write(once.key.as_str(), |draft| {
            let record = draft.view()?.value;
            let is_same =
                record.get(ARGUMENTS).and_then(Value::as_str) == Some(once.arguments.as_str());
            found = match record.get(ANSWER) {
                Some(answer) if is_same => Before::Answered(answer.clone()),
                _ => Before::OtherArguments,
            };
            Ok(())
        })?;
        Ok(found)
    }

    /// Keeps the answer of a call that was made, in its record. A call that wrote nothing has no record yet.
    ///
    /// # Errors
    /// Errors of the palace.
    pub(crate) fn keep_answer(&self, once: &Once, answer: Value) -> Result<()> {
        let record = once.record(answer);
        self.write(once.key.as_str(), |draft| draft.put_object(&record))?;
        Ok(())
    }
}
