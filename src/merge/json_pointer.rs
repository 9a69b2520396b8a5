//! JSON pointers (RFC 6901) into the value of a document.

use serde_json::{Map, Value as Json};

/// Returns the JSON pointer of a path.
pub(super) fn pointer<'a>(path: impl Iterator<Item = &'a str>) -> String {
    path.flat_map(|step| ["/".to_owned(), step.replace('~', "~0").replace('/', "~1")]).collect()
}

/// Returns the steps of a JSON pointer.
pub fn pointer_steps(path: &str) -> Vec<String> {
    path.split('/').skip(1).map(name_of).collect()
}

/// Returns the name that a step of a JSON pointer stands for.
fn name_of(step: &str) -> String {
    // `~1` first: the other way round, `~01` would become `/` instead of `~1`.
    step.replace("~1", "/").replace("~0", "~")
}

/// Returns the value at a JSON pointer that leads to a field of the map, or deeper.
pub(super) fn value_at<'a>(value: &'a Map<String, Json>, path: &str) -> Option<&'a Json> {
    let path = path.strip_prefix('/')?;
    let (first, rest) = path.split_at(path.find('/').unwrap_or(path.len()));
    value.get(&name_of(first))?.pointer(rest)
}

/// Returns a JSON pointer with `#` for each position in a list.
pub(super) fn without_indexes(value: &Map<String, Json>, path: &str) -> String {
    let (mut general, mut end) = (String::new(), 0);
    for step in path.split('/').skip(1) {
        let in_list =
            value_at(value, path.get(..end).unwrap_or_default()).is_some_and(Json::is_array);
        general.extend(["/", if in_list { "#" } else { step }]);
        end += 1 + step.len();
    }
    general
}
