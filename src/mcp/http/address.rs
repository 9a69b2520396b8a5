//! The address to listen at, as a person types it.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::str::FromStr;

/// The beginning of the address of a Unix socket.
const UNIX: &str = "unix:";

/// An address that a server over HTTP can listen at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A host and a port. A port alone is one of 127.0.0.1.
    Tcp {
        /// A name in lower case, or an IP address without brackets.
        host: String,
        /// The port; 0 is any that is free.
        port: u16,
    },
    /// The path of a Unix socket.
    Unix(PathBuf),
}

/// The text is neither a port, nor a host and a port, nor the path of a Unix socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected a port, or HOST:PORT as in 127.0.0.1:8765, localhost:8765 or [::1]:8765, or unix:PATH as in \
     unix:/run/user/1000/palace.sock"
)]
pub struct BadAddress;

impl FromStr for Address {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        if let Some(path) = text.strip_prefix(UNIX) {
            return if path.is_empty() { Err(BadAddress) } else { Ok(Address::Unix(path.into())) };
        }
        if let Ok(port) = text.parse() {
            return Ok(Address::Tcp { host: Ipv4Addr::LOCALHOST.to_string(), port });
        }
        let (host, port) = text.rsplit_once(':').ok_or(BadAddress)?;
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        // Without brackets it is not clear where an IPv6 address ends.
        let host = bracketed.or((!host.contains(':')).then_some(host)).ok_or(BadAddress)?;
        let port = port.parse().map_err(|_| BadAddress)?;
        match host.is_empty() {
            true => Err(BadAddress),
            false => Ok(Address::Tcp { host: host.to_ascii_lowercase(), port }),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Address::Tcp { host, port } => write!(f, "{host}:{port}"),
            Address::Unix(path) => write!(f, "{UNIX}{}", path.display()),
        }
    }
}

/// Looks up the socket addresses of a host.
///
/// # Errors
/// The system's, if the name is not known.
pub(super) fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    Ok((host, port).to_socket_addrs()?.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_of_loopback_and_what_is_unclear_is_refused() {
        let read = |text: &str| text.parse::<Address>().map(|address| address.to_string());
        for (text, address) in [
            ("8765", "127.0.0.1:8765"),
            ("0.0.0.0:80", "0.0.0.0:80"),
            ("LocalHost:0", "localhost:0"),
            ("[::1]:8765", "[::1]:8765"),
            ("unix:/run/p.sock", "unix:/run/p.sock"),
            ("unix:8765", "unix:8765"),
        ] {
            assert_eq!(read(text), Ok(address.to_owned()));
        }
        let bad =
            ["", ":8765", "localhost", "::1:8765", "[::1]", "a:b", "a:65536", "[]:1", "unix:"];
        for bad in bad {
            assert_eq!(read(bad), Err(BadAddress), "{bad}");
        }
        assert_eq!("unix:8765".parse(), Ok(Address::Unix("8765".into())));
    }
}
