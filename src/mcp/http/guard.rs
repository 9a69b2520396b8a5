//! Which requests are let in: by host, origin and token.
//!
//! Invariants: a web page from elsewhere gets nothing, even if its name was made to resolve to this machine; a request
//! from another machine gets nothing without the token. Must not know: what requests ask for.

use super::token::Token;
use crate::mcp::error::ServeError;
use hyper::header::{HOST, HeaderMap, HeaderValue, ORIGIN};
use hyper::http::uri::Authority;
use std::net::{IpAddr, SocketAddr};

/// Why a request is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The request was sent to a name that is not this server's.
    Host,
    /// A web page of another site made the request.
    Origin,
    /// The request has no token, or not the right one.
    Token,
}

/// Decides which requests a server lets in.
#[derive(Clone, Debug)]
pub(super) struct Guard {
    /// The host of the address. Requests may name it besides the names of loopback.
    host: String,
    /// True if the server listens on every address of the machine.
    everywhere: bool,
    token: Option<Token>,
}

impl Guard {
    /// Makes the guard of a server on `host`, which resolves to `found`. A Unix socket has no such addresses.
    ///
    /// # Errors
    /// [`ServeError::Open`] if other machines could come in without a token.
    pub fn new(host: &str, found: &[SocketAddr], token: Option<Token>) -> Result<Self, ServeError> {
        if token.is_none() && !found.iter().all(|address| address.ip().is_loopback()) {
            return Err(ServeError::Open);
        }
        Ok(Guard {
            host: host.to_ascii_lowercase(),
            everywhere: found.iter().any(|address| address.ip().is_unspecified()),
            token,
        })
    }

    /// Checks a request by its headers.
    ///
    /// # Errors
    /// The reason to refuse it.
    pub fn check(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let mut hosts = headers.get_all(HOST).iter();
        let host = hosts.next().and_then(text).and_then(host_of);
        if hosts.next().is_some() || !host.is_some_and(|host| self.is_own_name(&host)) {
            return Err(Refusal::Host);
        }
        let origins = headers.get_all(ORIGIN).iter();
        if !origins.into_iter().all(|origin| self.is_own_origin(origin)) {
            return Err(Refusal::Origin);
        }
        if !self.token.is_none_or(|token| token.is_sent(headers)) {
            return Err(Refusal::Token);
        }
        Ok(())
    }

    /// Returns true if the host names this server. A web page can have its own name resolve to this machine, but not
    /// an address, so an address is fine if the server listens on all of them.
    fn is_own_name(&self, host: &str) -> bool {
        let by_address = self.everywhere && host.parse::<IpAddr>().is_ok();
        is_loopback(host) || host == self.host || by_address
    }

    fn is_own_origin(&self, origin: &HeaderValue) -> bool {
        let parts = text(origin).and_then(|origin| origin.split_once("://"));
        let host = parts.filter(|(scheme, _)| ["http", "https"].contains(scheme));
        let host = host.and_then(|(_, authority)| host_of(authority));
        host.is_some_and(|host| is_loopback(&host) || host == self.host)
    }
}

fn text(value: &HeaderValue) -> Option<&str> {
    value.to_str().ok()
}

/// The host of `host:port`, in lower case and without brackets.
fn host_of(authority: &str) -> Option<String> {
    let authority: Authority = authority.parse().ok()?;
    let host = authority.host();
    // No client logs in by URL: a name before an @ is there to deceive.
    let is_plain = !authority.as_str().contains('@') && !host.is_empty();
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    is_plain.then(|| bare.to_ascii_lowercase())
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::super::address::{Address, resolve};
    use super::*;

    const TOKEN: &str = "0123456789abcdef";

    fn guard(address: &str, token: Option<&str>) -> Result<Guard, ServeError> {
        let Address::Tcp { host, port } = address.parse().unwrap() else { panic!("{address}") };
        let found = resolve(&host, port).unwrap();
        Guard::new(&host, &found, token.map(|token| token.parse().unwrap()))
    }

    fn check(guard: &Guard, headers: &[(&'static str, &str)]) -> Result<(), Refusal> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        guard.check(&map)
    }

    #[test]
    fn beyond_loopback_nobody_starts_without_a_token() {
        assert!(guard("8765", None).is_ok() && guard("[::1]:1", None).is_ok());
        for address in ["0.0.0.0:1", "[::]:1", "192.0.2.1:1"] {
            assert!(matches!(guard(address, None), Err(ServeError::Open)), "{address}");
            assert!(guard(address, Some(TOKEN)).is_ok());
        }
    }

    #[test]
    fn a_loopback_server_answers_to_the_names_of_loopback_only() {
        let guard = guard("8765", None).unwrap();
        for host in ["127.0.0.1:8765", "localhost", "LocalHost:1", "[::1]:8765", "127.8.9.1"] {
            assert_eq!(check(&guard, &[("host", host)]), Ok(()), "{host}");
        }
        let bad = ["evil.example", "192.0.2.1", "localhost.evil.example", "evil@localhost", ""];
        for host in bad {
            assert_eq!(check(&guard, &[("host", host)]), Err(Refusal::Host), "{host}");
        }
        assert_eq!(check(&guard, &[]), Err(Refusal::Host));
        let two = [("host", "localhost"), ("host", "evil.example")];
        assert_eq!(check(&guard, &two), Err(Refusal::Host));
    }

    #[test]
    fn pages_of_loopback_may_ask_and_no_others() {
        let guard = guard("8765", None).unwrap();
        let from = |origin| check(&guard, &[("host", "localhost"), ("origin", origin)]);
        for origin in ["http://localhost:3000", "https://127.0.0.1", "http://[::1]:1"] {
            assert_eq!(from(origin), Ok(()), "{origin}");
        }
        let bad = ["null", "", "https://evil.example", "file://localhost", "http://localhost.evil"];
        for origin in bad.into_iter().chain(["http://localhost@evil.example", "http://192.0.2.1"]) {
            assert_eq!(from(origin), Err(Refusal::Origin), "{origin}");
        }
    }

    #[test]
    fn elsewhere_it_answers_to_the_host_it_was_given_or_to_any_address_if_it_is_on_all() {
        let bearer = ("authorization", "Bearer 0123456789abcdef");
        let one = guard("192.0.2.1:1", Some(TOKEN)).unwrap();
        assert_eq!(check(&one, &[("host", "192.0.2.1:1"), bearer]), Ok(()));
        assert_eq!(check(&one, &[("host", "192.0.2.2:1"), bearer]), Err(Refusal::Host));
        let its_own = [("host", "192.0.2.1:1"), ("origin", "http://192.0.2.1:9"), bearer];
        assert_eq!(check(&one, &its_own), Ok(()));
        let all = guard("0.0.0.0:1", Some(TOKEN)).unwrap();
        assert_eq!(check(&all, &[("host", "192.0.2.2:1"), bearer]), Ok(()));
        assert_eq!(check(&all, &[("host", "evil.example"), bearer]), Err(Refusal::Host));
        let page = [("host", "192.0.2.2"), ("origin", "http://192.0.2.2"), bearer];
        assert_eq!(check(&all, &page), Err(Refusal::Origin));
    }

    #[test]
    fn the_token_is_asked_for_wherever_it_is_set() {
        let guard = guard("8765", Some(TOKEN)).unwrap();
        let with = |value| check(&guard, &[("host", "localhost"), ("authorization", value)]);
        assert_eq!(with("Bearer 0123456789abcdef"), Ok(()));
        assert_eq!(with("bearer  0123456789abcdef"), Ok(()));
        assert_eq!(check(&guard, &[("host", "localhost")]), Err(Refusal::Token));
        for bad in ["Bearer", "Bearer 0123456789abcdeF", "Basic 0123456789abcdef", TOKEN] {
            assert_eq!(with(bad), Err(Refusal::Token), "{bad}");
        }
    }
}
