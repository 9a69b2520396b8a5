//! The token: a secret that clients send with every request.

use hyper::header::{AUTHORIZATION, HeaderMap};
use std::str::FromStr;

/// Fewest characters of a token.
const CHARS_MIN: usize = 16;

/// A secret that lets in the requests that bring it, as `Authorization: Bearer TOKEN`.
///
/// Holds a hash of it, because hashes compare in constant time.
#[derive(Clone, Copy, Debug)]
pub struct Token(blake3::Hash);

/// The text can be guessed, or no client can send it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a token needs at least {CHARS_MIN} characters, all of them visible ASCII without spaces: take a longer one, for \
     example from `openssl rand -hex 32`"
)]
pub struct BadToken;

impl FromStr for Token {
    type Err = BadToken;

    fn from_str(text: &str) -> Result<Self, BadToken> {
        let good = text.len() >= CHARS_MIN && text.bytes().all(|byte| byte.is_ascii_graphic());
        good.then(|| Token(blake3::hash(text.as_bytes()))).ok_or(BadToken)
    }
}

impl Token {
    /// Returns true if a request brings this token.
    pub(super) fn is_sent(&self, headers: &HeaderMap) -> bool {
        // `Hash` compares in constant time.
        sent(headers).is_some_and(|token| blake3::hash(token.as_bytes()) == self.0)
    }
}

/// The token that was sent.
fn sent(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_start_matches(' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_tokens_and_those_no_client_can_send_are_refused() {
        assert!("0123456789abcdef".parse::<Token>().is_ok());
        for bad in ["", "0123456789abcde", "0123456789 abcdef", "0123456789abcdé"] {
            assert_eq!(bad.parse::<Token>().unwrap_err(), BadToken, "{bad}");
        }
    }
}
