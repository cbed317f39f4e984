//! URLs in texts: scheme, host and path stay; user, password, query and fragment go.
//!
//! Input: any text. Output: the same text with its URLs cut. Invariants: cutting twice is cutting once; a URL whose user
//! part cannot be told from its path or query for certain keeps its scheme alone. A URL ends at white space, a quote, an
//! angle bracket or a backslash: a password that contains one of them unencoded is found only when it is a loaded secret.

use super::{REDACTED, push_percent};

/// The text with every URL cut; those of `bare_hosts` to scheme and host.
pub(super) fn scrubbed(text: &str, bare_hosts: &[String]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = (&rest[..at], &rest[at + 3..]);
        out.push_str(before);
        out.push_str("://");
        // Whatever stands before it: what looks like no scheme may still be followed by a password.
        let ends = |c: char| c.is_whitespace() || c.is_control() || "\"'<>`\\".contains(c);
        let (url, behind) = after.split_at(after.find(ends).unwrap_or(after.len()));
        out.push_str(&cut(url, bare_hosts));
        rest = behind;
    }
    out.push_str(rest);
    out
}

/// What may stay of a URL behind its scheme.
fn cut(url: &str, bare_hosts: &[String]) -> String {
    let authority_len = url.find(['/', '?', '#']).unwrap_or(url.len());
    let (authority, behind) = url.split_at(authority_len);
    // A password may contain the characters that end an authority; then nothing tells the host.
    if behind.contains('@') {
        return REDACTED.to_owned();
    }
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    if bare_hosts.iter().any(|bare| name.eq_ignore_ascii_case(bare)) {
        return host.to_owned();
    }
    let path = &behind[..behind.find(['?', '#']).unwrap_or(behind.len())];
    format!("{host}{path}")
}

/// The password of a URL with a user part.
pub(super) fn password_of(url: &str) -> Option<String> {
    let (_, after) = url.split_once("://")?;
    let (user, _) = after.rsplit_once('@')?;
    user.split_once(':').map(|(_, password)| password.to_owned())
}

/// Percent-encoded, all but letters, digits and `-._~`.
pub(super) fn encoded(text: &str, upper: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            push_percent(&mut out, byte, upper);
        }
    }
    out
}

/// Percent-decoded; what is no encoding, or no text afterwards, stays as it is.
pub(super) fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let digits = bytes.get(at + 1..at + 3).filter(|_| byte == b'%');
        let value = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        let value = value.filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        match value.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(value) => {
                out.push(value);
                at += 3;
            }
            None => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8(out).unwrap_or_else(|_| text.to_owned())
}
