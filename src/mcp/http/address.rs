//! The address to listen at, as a person types it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::str::FromStr;

/// A host and a port. A port alone is one of 127.0.0.1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// A name or an IP address, without brackets.
    pub(super) host: String,
    port: u16,
}

/// The text is neither a port nor a host and a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a port, or HOST:PORT as in 127.0.0.1:8765, localhost:8765 or [::1]:8765")]
pub struct BadAddress;

impl FromStr for Address {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        if let Ok(port) = text.parse() {
            return Ok(Address { host: Ipv4Addr::LOCALHOST.to_string(), port });
        }
        let (host, port) = text.rsplit_once(':').ok_or(BadAddress)?;
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        // Without brackets it is not clear where an IPv6 address ends.
        let host = bracketed.or((!host.contains(':')).then_some(host)).ok_or(BadAddress)?;
        let port = port.parse().map_err(|_| BadAddress)?;
        match host.is_empty() {
            true => Err(BadAddress),
            false => Ok(Address { host: host.to_owned(), port }),
        }
    }
}

impl Address {
    /// Looks up its socket addresses.
    ///
    /// # Errors
    /// The system's, if the name is not known.
    pub(super) fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
        Ok((self.host.as_str(), self.port).to_socket_addrs()?.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_of_loopback_and_what_is_unclear_is_refused() {
        let read = |text: &str| text.parse().map(|Address { host, port }| (host, port));
        let is = |host: &str, port| Ok((host.to_owned(), port));
        assert_eq!(read("8765"), is("127.0.0.1", 8765));
        assert_eq!(read("0.0.0.0:80"), is("0.0.0.0", 80));
        assert_eq!(read("localhost:0"), is("localhost", 0));
        assert_eq!(read("[::1]:8765"), is("::1", 8765));
        for bad in ["", ":8765", "localhost", "::1:8765", "[::1]", "a:b", "a:65536", "[]:1"] {
            assert_eq!(read(bad), Err(BadAddress), "{bad}");
        }
    }
}
