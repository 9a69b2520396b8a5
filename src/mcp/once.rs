//! Calls with an idempotency key: they are made once, however often they are sent.
//!
//! Invariant: the name of a call is that of its set, its target and its key, so that a key which another client happens to
//! choose for another target is another call. Its arguments count with the name of the tool.

use super::arguments::argument;
use crate::memory::MemoryError;
use crate::palace::{Before, Error, Once, Palace};
use serde::Serialize;
use serde_json::{Value, json};

/// The argument.
const FIELD: &str = "idempotency_key";
/// The most characters of a key.
const KEY_CHARS_MAX: usize = 200;

/// Names a call; `None` if its client gave it no key.
///
/// # Errors
/// [`MemoryError::Argument`] if the key is empty or too long.
pub(super) fn once(
    tool: &str,
    target: &[&str],
    key: Option<&str>,
    arguments: &impl Serialize,
) -> Result<Option<Once>, MemoryError> {
    let Some(key) = key else { return Ok(None) };
    let length = key.chars().count();
    if !(1..=KEY_CHARS_MAX).contains(&length) {
        let why = format!(
            "it has {length} characters: pass 1 to {KEY_CHARS_MAX}, new for each call that is to take effect"
        );
        return Err(argument(FIELD, why));
    }
    let mut arguments = json!(arguments);
    if let Value::Object(fields) = &mut arguments {
        fields.remove(FIELD);
    }
    let once = Once::new(target, key, &json!([tool, arguments]));
    once.map(Some).map_err(|error| Error::from(error).into())
}

/// Makes a call, unless it was made before. Then the result is `repeated` of its recorded answer. `is_mismatch` knows the
/// error of a condition that did not hold.
///
/// # Errors
/// Those of `make`, and as [`answered`].
pub(super) fn made_once<T, E: From<MemoryError>>(
    palace: &Palace,
    once: Option<&Once>,
    is_mismatch: impl FnOnce(&E) -> bool,
    repeated: impl Fn(&Value) -> Result<T, E>,
    make: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    let Some(once) = once else { return make() };
    if let Some(answer) = answered(palace, once)? {
        return repeated(&answer);
    }
    match make() {
        // Another process may have made the same call meanwhile.
        Err(error) if is_mismatch(&error) => match answered(palace, once)? {
            Some(answer) => repeated(&answer),
            None => Err(error),
        },
        made => made,
    }
}

/// Returns the answer of a call that was made before; `None` if it was not.
///
/// # Errors
/// [`MemoryError::Argument`] if it was made with other arguments, and errors of the palace.
pub(super) fn answered(palace: &Palace, once: &Once) -> Result<Option<Value>, MemoryError> {
    match palace.before(once)? {
        Before::Never => Ok(None),
        Before::Answered(answer) => Ok(Some(answer)),
        Before::OtherArguments => {
            let why = "a call with this key and other arguments was made before, and nothing was written now: choose a \
                new key for a new call";
            Err(argument(FIELD, why))
        }
    }
}
