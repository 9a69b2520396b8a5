//! Brings a deleted document back.

use super::calls::SessionWrite;
use super::choice::Choice;
use super::client::Session;
use super::made::{Made, Wanted, make};
use super::own_values::OwnValues;
use super::told_numbers::ToldNumbers;
use crate::format::key::Key;
use crate::palace::error::Result;
use crate::palace::write::request::WriteOptions;
use serde_json::Value;

impl Session {
    /// Brings a deleted document back as it was before the delete. Its history stays, and so do its open conflicts. A
    /// document that is not deleted stays as it is.
    ///
    /// ```
    /// # use crdt_palace::palace::Palace;
    /// # use serde_json::json;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    /// palace.put("k", &json!({"a": 1}))?;
    /// palace.delete("k")?;
    /// let session = palace.session();
    /// assert!(session.undelete("k")?.undeleted.is_some());
    /// assert_eq!(palace.get("k")?.ok_or("it is back")?.value["a"], 1);
    /// assert!(!session.undelete("k")?.outcome.changed); // it is there already
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Palace::put`](crate::palace::Palace::put).
    pub fn undelete(&self, key: &str) -> Result<SessionWrite> {
        let key = Key::new(key)?;
        Ok(self.answered(&key, self.undelete_with(WriteOptions::new(), &key)?))
    }

    /// Brings a deleted document back as it was before the delete, like [`Session::undelete`].
    pub(crate) fn undelete_with(&self, options: WriteOptions, key: &Key) -> Result<SessionWrite> {
        let is_once = options.once.is_some();
        let mut made = None;
        let outcome = self.palace().with(options).write_answering(key.clone(), |draft| {
            let choice = self.present(draft, key);
            let made = match draft.before_delete() {
                Some(before) => {
                    let value = draft.view_at(&before)?.value;
                    made.insert(make(
                        draft,
                        key,
                        Wanted::Earlier(&value),
                        choice,
                        (&ToldNumbers::default(), &OwnValues::default()),
                    )?)
                }
                None => made.insert(nothing(choice)),
            };
            Ok(if is_once { made.answer(draft) } else { Value::Null })
        })?;
        self.written(key, outcome, made, (false, None))
    }
}

/// Makes the part of the result of a write that changes nothing.
fn nothing(choice: Choice) -> Made {
    Made {
        choice,
        merged: None,
        unread: None,
        replaced_unseen: None,
        undeleted: None,
        joined: None,
    }
}
