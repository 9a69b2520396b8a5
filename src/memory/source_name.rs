//! The name under which a source is shown: of an absolute path, the last part.
//!
//! An absolute path tells the user's name and how the files of a machine are laid out, and a text may go on to a third
//! party. The stored source stays whole, and a client that writes back the name it was shown changes nothing.

/// Returns the last part of an absolute path, and any other source as it is.
///
/// A relative path, a URL and words of prose tell nothing of a machine. The last part of those would only be a riddle.
pub(crate) fn shown_source(source: &str) -> &str {
    let separators: &[char] = match form(source) {
        Some(Form::Posix) => &['/'],
        Some(Form::Windows) => &['/', '\\'],
        None => return source,
    };
    let path = source.trim_end_matches(separators);
    let name = path.rsplit(separators).next().filter(|name| !name.is_empty());
    name.unwrap_or(source)
}

/// Tells whether a text names a stored source: by all of it, or as clients are shown it.
pub(super) fn names_source(text: &str, stored: &str) -> bool {
    text == stored || text == shown_source(stored)
}

/// A way to write an absolute path.
enum Form {
    Posix,
    Windows,
}

fn form(source: &str) -> Option<Form> {
    let home = source.strip_prefix('~').and_then(|rest| rest.split_once('/'));
    let home = home.is_some_and(|(user, _)| !user.contains(char::is_whitespace));
    if home || source.starts_with('/') || source.starts_with("file:/") {
        return Some(Form::Posix);
    }
    let drive = matches!(source.as_bytes(), [letter, b':', b'/' | b'\\', ..] if letter.is_ascii_alphabetic());
    (drive || source.starts_with(r"\\")).then_some(Form::Windows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absolute_paths_are_shown_by_their_last_part() {
        for (source, name) in [
            ("/home/ann/notes/x.md", "x.md"),
            ("/home/ann/notes/", "notes"),
            ("~/notes/x.md", "x.md"),
            ("~ann/x.md", "x.md"),
            ("file:///home/ann/x.md", "x.md"),
            (r"C:\Users\ann\x.md", "x.md"),
            ("C:/Users/ann/x.md", "x.md"),
            (r"\\server\ann\x.md", "x.md"),
            (r"/home/ann/a\b.md", r"a\b.md"),
        ] {
            assert_eq!(shown_source(source), name, "{source}");
            assert!(names_source(name, source) && names_source(source, source));
            assert!(!names_source(source, name), "a whole path is more than its name");
        }
    }

    #[test]
    fn sources_that_are_no_absolute_path_are_shown_whole() {
        let whole = [
            "x.md",
            "adr/7.md",
            "https://example.com/a/b",
            "the meeting of 3/4",
            "~ 3/4 of it",
            "c:x",
            "/",
            "//",
            "",
        ];
        for source in whole {
            assert_eq!(shown_source(source), source);
        }
    }
}
