//! The value of a drawer or a fact as it is shown: paths in what is said of its sources, by their last part.
//!
//! No tool takes such a value back, so nothing that is stored loses its path.

use super::drawers::FILINGS;
use super::facts::FACTS;
use super::source_name::shown_source;
use crate::format::key::{DRAWERS, Key};
use serde_json::{Map, Value};

/// Shortens the paths of sources in the stored value of a drawer or a fact. Changes no other document.
pub(crate) fn shorten_sources(key: &Key, value: &mut Map<String, Value>) {
    let said = match key.as_str() {
        key if key.starts_with(DRAWERS) => value.get_mut(FILINGS),
        key if key.starts_with(FACTS) => value.get_mut("sources"),
        _ => None,
    };
    said.into_iter().for_each(shorten);
}

fn shorten(value: &mut Value) {
    match value {
        Value::String(text) => *text = shown_source(text).to_owned(),
        Value::Array(items) => items.iter_mut().for_each(shorten),
        // An import keeps there what its source says beside that.
        Value::Object(fields) => fields.values_mut().for_each(shorten),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_of_drawers_and_facts_are_shortened_and_those_of_others_stay() {
        const PATH: &str = "/home/ann/x.md";
        let value = json!({"content": PATH, "subject": PATH, "filings": [{"at": 1, "source_file": PATH,
            "from": {"path": PATH}}], "sources": [{"file": PATH, "drawer": "d"}]});
        let shown = |key: &str| {
            let mut value = value.as_object().unwrap().clone();
            shorten_sources(&Key::new(key).unwrap(), &mut value);
            let paths = [
                "/content",
                "/subject",
                "/filings/0/source_file",
                "/filings/0/from/path",
                "/sources/0/file",
            ];
            let value = Value::Object(value);
            paths.map(|path| value.pointer(path).unwrap().as_str().unwrap() == PATH)
        };
        assert_eq!(shown("drawer/w/r/0f"), [true, true, false, false, true]);
        assert_eq!(shown("fact/a/b"), [true, true, true, true, false]);
        assert_eq!(shown("notes/a"), [true; 5]);
    }
}
