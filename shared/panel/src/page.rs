//! The page: one document with its style and its script, and the rule that lets the browser run that script only.
//!
//! Input: the file `page.html`. Output: its bytes and the policy with the hash of its one script. Invariants: no other
//! resource is named; the hash is that of the script as it is sent.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

/// The page as it is sent.
pub const TEXT: &str = include_str!("page.html");

const OPENING: &str = "<script>";
const CLOSING: &str = "</script>";

/// The page's script.
fn script() -> &'static str {
    let rest = TEXT.split_once(OPENING).map_or("", |(_, rest)| rest);
    rest.split_once(CLOSING).map_or("", |(script, _)| script)
}

/// What the browser may do: run this script, style the page, ask this server.
#[must_use]
pub fn policy() -> String {
    let hash = STANDARD.encode(Sha256::digest(script().as_bytes()));
    format!(
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{hash}'; connect-src 'self'; \
         img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_one_script_and_names_no_other_resource() {
        assert_eq!(TEXT.matches("<script").count(), 1);
        assert_eq!(TEXT.matches(CLOSING).count(), 1);
        assert!(script().len() > 1_000, "the script is found");
        for word in ["src=", "href=\"http", "url(", "@import", "http://", "https://", "innerHTML"] {
            assert!(!TEXT.contains(word), "the page has {word}");
        }
        assert!(policy().contains("script-src 'sha256-"));
    }
}
