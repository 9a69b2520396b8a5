//! `crdt-palace serve`: on standard input and output, or over HTTP.

use super::error::{Failure, PlaceError};
use super::exit::Exit;
use super::location::{Location, source};
use super::print::tell;
use super::token::{TokenArguments, TokenSource};
use crate::fs::At as _;
use crate::mcp::{Address, Http, Offer};
use crate::palace::Options;
use std::io::{IsTerminal as _, stdin};

/// Serves a palace until the input ends or a signal arrives.
pub(super) fn serve(
    at: &Location,
    offer: &Offer,
    http: Option<Address>,
    token: &TokenArguments,
) -> Result<Exit, Failure> {
    at.tell();
    let program = concat!("crdt-palace serve ", env!("CARGO_PKG_VERSION"));
    let palace = Options::default().program(program).open(&at.path)?;
    let Some(address) = http else {
        if stdin().is_terminal() {
            tell_waiting(at);
        }
        crate::mcp::serve(palace, offer)?;
        return Ok(Exit::Done);
    };
    let address = absolute(address)?;
    let mut source = TokenSource::Unneeded;
    let http = Http::bind(&address, || -> Result<_, Failure> {
        let (token, from) = token.find(&at.path, &address)?;
        source = from;
        Ok(token)
    })?;
    http.serve(palace, offer, |url| {
        tell(format_args!("crdt-palace: listening on {url}"));
        source.tell();
    })?;
    Ok(Exit::Done)
}

/// Tells a user who started the server in a terminal that it waits for a client.
fn tell_waiting(at: &Location) {
    tell(format_args!(
        "crdt-palace: serving {}. It waits for an MCP client on standard input, which is this terminal: \
         `crdt-palace install --client NAME` adds it to a client, and Ctrl-C ends it",
        at.path.display()
    ));
}

/// Makes the path of a Unix socket absolute, with a leading `~` replaced.
fn absolute(address: Address) -> Result<Address, PlaceError> {
    match address {
        Address::Unix(path) => {
            let path = source(&path)?;
            Ok(Address::Unix(std::path::absolute(&path).at("make an absolute path of", &path)?))
        }
        Address::Tcp { .. } => Ok(address),
    }
}
