//! `crdt-palace serve`: on standard input and output, or over HTTP.

use super::error::Failure;
use super::exit::Exit;
use super::location::Location;
use super::print::tell;
use crate::mcp::{Address, Http, Offer};
use crate::palace::Options;

/// The environment variable with the bearer token. It is no argument, because every user of the machine can read those.
const TOKEN: &str = "CRDT_PALACE_TOKEN";

/// Serves a palace until the input ends or a signal arrives.
pub(super) fn serve(at: &Location, offer: &Offer, http: Option<&Address>) -> Result<Exit, Failure> {
    at.tell();
    let program = concat!("crdt-palace serve ", env!("CARGO_PKG_VERSION"));
    let palace = Options::default().program(program).open(&at.path)?;
    let Some(address) = http else {
        crate::mcp::serve(palace, offer)?;
        return Ok(Exit::Done);
    };
    let token = std::env::var_os(TOKEN);
    // A value that is not UTF-8 becomes one that no token may be, so `bind` refuses it.
    let token = token.map(|token| token.to_string_lossy().into_owned());
    let http = Http::bind(address, token.as_deref())?;
    http.serve(palace, offer, |url| tell(format_args!("crdt-palace: listening on {url}")))?;
    Ok(Exit::Done)
}
