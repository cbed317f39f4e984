//! Addresses of a venue, and when plain text is allowed.
//!
//! Input: the text of an address. Output: its parts, or why it is refused. Secrets and orders cross
//! these addresses, so `ws` and `http` are taken for loopback only. It resolves no names: `localhost`
//! and loopback literals are loopback, every other name is not.

use core::net::IpAddr;

use thiserror::Error;

/// What an address is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// `wss`, or `ws` on loopback.
    Socket,
    /// `https`, or `http` on loopback.
    Rest,
}

/// Why an address is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EndpointError {
    /// Not of the form `scheme://host[:port][/path]`.
    #[error("{url:?} is not an address; expected {expected}://host[:port][/path]")]
    Form {
        /// The text.
        url: String,
        /// The encrypted scheme of this use.
        expected: &'static str,
    },
    /// Plain text to a host that is not loopback.
    #[error("{url}: plain text is allowed to loopback only; use {expected}://")]
    PlainText {
        /// The address.
        url: String,
        /// The encrypted scheme of this use.
        expected: &'static str,
    },
    /// A user name or password inside the address would end up in logs.
    #[error("the address of {host} contains a user name or password; leave them out")]
    Credentials {
        /// Host.
        host: String,
    },
}

/// An address that may be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    url: String,
    host: String,
    encrypted: bool,
}

impl Endpoint {
    /// Checks an address.
    ///
    /// # Errors
    /// The form is wrong, plain text leaves this host, or credentials stand inside.
    pub fn new(url: &str, transport: Transport) -> Result<Self, EndpointError> {
        let (secure, plain) = match transport {
            Transport::Socket => ("wss", "ws"),
            Transport::Rest => ("https", "http"),
        };
        let form = || EndpointError::Form { url: shown(url), expected: secure };
        let (scheme, rest) = url.split_once("://").ok_or_else(form)?;
        let encrypted = scheme.eq_ignore_ascii_case(secure);
        if !encrypted && !scheme.eq_ignore_ascii_case(plain) {
            return Err(form());
        }
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if let Some((_, host)) = authority.rsplit_once('@') {
            return Err(EndpointError::Credentials { host: shown(host) });
        }
        let host = host_of(authority).ok_or_else(form)?;
        if url.bytes().any(|byte| byte.is_ascii_whitespace() || byte.is_ascii_control()) {
            return Err(form());
        }
        if !encrypted && !is_loopback(host) {
            return Err(EndpointError::PlainText { url: shown(url), expected: secure });
        }
        let url = url.trim_end_matches('/').to_owned();
        Ok(Self { url, host: host.to_owned(), encrypted })
    }

    /// The address, without a slash at its end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The host, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Whether it is encrypted.
    pub const fn is_encrypted(&self) -> bool {
        self.encrypted
    }
}

fn host_of(authority: &str) -> Option<&str> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, tail) = rest.split_once(']')?;
            let port = if tail.is_empty() { None } else { Some(tail.strip_prefix(':')?) };
            (host, port)
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    if host.is_empty() || port.is_some_and(|port| port.parse::<u16>().is_err()) {
        return None;
    }
    Some(host)
}

/// Whether a host is this machine's loopback.
pub fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn shown(text: &str) -> String {
    text.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_stays_on_loopback() {
        for url in ["ws://127.0.0.1:5/v2", "ws://localhost/v2", "ws://[::1]:5/v2", "WSS://a.b/v2"] {
            assert!(Endpoint::new(url, Transport::Socket).is_ok(), "{url}");
        }
        for url in [
            "ws://ws.kraken.com/v2",
            "ws://127.0.0.1.evil.example/v2",
            "ws://10.0.0.1/v2",
            "ws://localhost.example/v2",
        ] {
            let error = Endpoint::new(url, Transport::Socket).unwrap_err();
            assert!(matches!(error, EndpointError::PlainText { .. }), "{url}: {error}");
        }
    }

    #[test]
    fn other_forms_are_refused() {
        for url in ["", "wss://", "https://a.b", "wss:a", "wss://a:b/", "wss://a b/", "wss://[::1"]
        {
            let error = Endpoint::new(url, Transport::Socket).unwrap_err();
            assert!(matches!(error, EndpointError::Form { .. }), "{url}: {error}");
        }
        let error = Endpoint::new("http://127.0.0.1@evil.example/", Transport::Rest).unwrap_err();
        assert!(matches!(error, EndpointError::Credentials { .. }), "{error}");
    }

    #[test]
    fn parts_are_kept() {
        let endpoint = Endpoint::new("http://127.0.0.1:8080/", Transport::Rest).unwrap();
        assert_eq!((endpoint.url(), endpoint.host()), ("http://127.0.0.1:8080", "127.0.0.1"));
        assert!(!endpoint.is_encrypted());
    }
}
