//! Parsing the command line, with the right command for one that belongs to another program or has another name.

use super::print::tell;
use crate::format::controls::is_control;
use clap::Parser;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use std::process::ExitCode;

/// The names that people try, and the commands that they mean.
const MEANT: [(&str, &str); 37] = [
    ("add", "crdt-palace add"),
    ("at", "crdt-log at"),
    ("blame", "crdt-log blame"),
    ("cat", "crdt-palace show"),
    ("check", "crdt-palace doctor"),
    ("compact", "crdt-compact"),
    ("conflicts", "crdt-log conflicts"),
    ("delete", "crdt-palace delete"),
    ("diary", "crdt-palace diary"),
    ("diff", "crdt-log diff"),
    ("doctor", "crdt-palace doctor"),
    ("dump", "crdt-log dump"),
    ("edit", "crdt-palace edit"),
    ("export", "crdt-palace export"),
    ("facts", "crdt-palace facts"),
    ("find", "crdt-palace search"),
    ("forget", "crdt-compact --into NEW --forget ID"),
    ("gc", "crdt-compact"),
    ("get", "crdt-palace show"),
    ("grep", "crdt-palace search"),
    ("history", "crdt-log history"),
    ("import", "crdt-palace import"),
    ("install", "crdt-palace install"),
    ("list", "crdt-palace list"),
    ("log", "crdt-log dump"),
    ("ls", "crdt-palace list"),
    ("merge", "crdt-compact --into NEW PALACE PALACE"),
    ("move", "crdt-palace move"),
    ("mv", "crdt-palace move"),
    ("remove", "crdt-palace delete"),
    ("rm", "crdt-palace delete"),
    ("search", "crdt-palace search"),
    ("serve", "crdt-palace serve"),
    ("show", "crdt-palace show"),
    ("stats", "crdt-log stats"),
    ("vacuum", "crdt-compact"),
    ("verify", "crdt-log verify"),
];

/// Parses the command line. For `--help`, `--version` and an error it prints what there is to say, and returns the exit
/// code.
pub(super) fn parse<T: Parser>() -> Result<T, ExitCode> {
    T::try_parse().map_err(|mut error| {
        let tried = match error.get(ContextKind::InvalidSubcommand) {
            Some(ContextValue::String(tried)) if error.kind() == ErrorKind::InvalidSubcommand => {
                MEANT.iter().find(|(name, _)| name == tried)
            }
            _ => None,
        };
        if let Some((_, meant)) = tried {
            let tip = format!("did you mean `{meant}`?");
            error.remove(ContextKind::SuggestedSubcommand);
            error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
        }
        print(&error);
        ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
    })
}

/// Prints what there is to say. An error repeats arguments: if they have control characters, these are escaped, and the
/// text has no colours.
fn print(error: &clap::Error) {
    let text = error.render().to_string();
    let arguments = std::env::args_os().skip(1);
    let has_control = |text: &str| text.chars().any(|c| is_control(c) && c != '\n');
    let mut all = arguments.map(|it| it.to_string_lossy().into_owned()).chain([text.clone()]);
    match error.use_stderr() && all.any(|it| has_control(&it)) {
        true => tell(format_args!("{}", text.trim_end())),
        // A closed terminal is no reason for another exit code.
        false => drop(error.print()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_name_has_one_meaning() {
        let names: BTreeSet<&str> = MEANT.iter().map(|(name, _)| *name).collect();
        assert_eq!(names.len(), MEANT.len());
    }
}
