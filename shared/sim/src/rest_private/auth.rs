//! Who may call: key, signature, nonce.
//!
//! Inputs: path, headers and body of a private call. Outputs: the call's fields, or the refusal.
//! Invariants: the signature is checked over the bytes that were sent; a nonce is used up by every
//! call whose signature is right, also by one that is then refused.

use crate::account::VenueError;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256, Sha512};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Key, secret and last nonce of the one account.
#[derive(Debug)]
pub struct Credentials {
    /// Public key.
    pub key: String,
    /// Secret in base64, as clients are configured with it.
    pub secret: String,
    last_nonce: Mutex<u64>,
}

impl Credentials {
    /// Credentials with a nonce of 0. The secret must be base64.
    #[must_use]
    pub fn new(key: String, secret: String) -> Credentials {
        Credentials { key, secret, last_nonce: Mutex::new(0) }
    }

    /// Random credentials.
    #[must_use]
    pub fn random() -> Credentials {
        let bytes = || uuid::Uuid::new_v4().into_bytes();
        let secret: Vec<u8> = [bytes(), bytes(), bytes(), bytes()].concat();
        let key: Vec<u8> = [bytes(), bytes()].concat();
        Credentials::new(STANDARD.encode(key), STANDARD.encode(secret))
    }

    /// The newest nonce.
    #[must_use]
    pub fn last_nonce(&self) -> u64 {
        *self.last_nonce.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Checks a call and reads its fields.
    ///
    /// # Errors
    /// Unknown key, wrong signature, or a nonce that is not above the last one.
    pub fn check(
        &self,
        path: &str,
        key: Option<&str>,
        signature: Option<&str>,
        body: &[u8],
    ) -> Result<Fields, VenueError> {
        if key != Some(self.key.as_str()) {
            return Err(VenueError::InvalidKey);
        }
        let fields = Fields::parse(body)?;
        let nonce_text = fields.text("nonce").ok_or(VenueError::InvalidNonce)?;
        let signed = signature.and_then(|text| STANDARD.decode(text).ok());
        let expected = mac(&self.secret, path, nonce_text, body)?;
        // Verified in constant time by the library.
        let right = signed.is_some_and(|signed| expected.verify_slice(&signed).is_ok());
        if !right {
            return Err(VenueError::InvalidSignature);
        }
        let nonce: u64 = nonce_text.parse().map_err(|_| VenueError::InvalidNonce)?;
        let mut last = self.last_nonce.lock().unwrap_or_else(PoisonError::into_inner);
        if nonce <= *last {
            return Err(VenueError::InvalidNonce);
        }
        *last = nonce;
        Ok(fields)
    }
}

/// `API-Sign` of a call, for tests and clients of this crate.
///
/// # Errors
/// The secret is not base64.
pub fn sign(secret: &str, path: &str, nonce: &str, body: &[u8]) -> Result<String, VenueError> {
    Ok(STANDARD.encode(mac(secret, path, nonce, body)?.finalize().into_bytes()))
}

fn mac(secret: &str, path: &str, nonce: &str, body: &[u8]) -> Result<Hmac<Sha512>, VenueError> {
    let inner = Sha256::new().chain_update(nonce).chain_update(body).finalize();
    let key = STANDARD.decode(secret).map_err(|_| VenueError::InvalidKey)?;
    let mac = Hmac::<Sha512>::new_from_slice(&key).map_err(|_| VenueError::InvalidKey)?;
    Ok(mac.chain_update(path).chain_update(inner))
}

/// Fields of a body, form-encoded or JSON, all as text.
#[derive(Debug, Default)]
pub struct Fields {
    fields: BTreeMap<String, String>,
}

impl Fields {
    fn parse(body: &[u8]) -> Result<Fields, VenueError> {
        let json = body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
        if !json {
            let pairs = url::form_urlencoded::parse(body);
            return Ok(Fields { fields: pairs.into_owned().collect() });
        }
        let parsed: BTreeMap<String, Box<serde_json::value::RawValue>> =
            serde_json::from_slice(body).map_err(|_| VenueError::argument("body"))?;
        let mut fields = BTreeMap::new();
        for (name, raw) in parsed {
            // A string loses its quotes, anything else keeps its text: numbers stay exact.
            let text = serde_json::from_str(raw.get()).unwrap_or_else(|_| raw.get().to_owned());
            fields.insert(name, text);
        }
        Ok(Fields { fields })
    }

    /// One field; an empty one counts as missing.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str).filter(|text| !text.is_empty())
    }

    /// A field that must be there.
    ///
    /// # Errors
    /// It is missing.
    pub fn required(&self, name: &str) -> Result<&str, VenueError> {
        self.text(name).ok_or_else(|| VenueError::argument(name))
    }

    /// A truth value: `true`, `false`, `1`, `0`.
    ///
    /// # Errors
    /// Any other text.
    pub fn flag(&self, name: &str) -> Result<Option<bool>, VenueError> {
        match self.text(name) {
            None => Ok(None),
            Some("true" | "True" | "1") => Ok(Some(true)),
            Some("false" | "False" | "0") => Ok(Some(false)),
            Some(_) => Err(VenueError::argument(name)),
        }
    }

    /// An integer.
    ///
    /// # Errors
    /// Any other text.
    pub fn integer(&self, name: &str) -> Result<Option<i64>, VenueError> {
        let parse = |text: &str| text.parse().map_err(|_| VenueError::argument(name));
        self.text(name).map(parse).transpose()
    }

    /// The parts of a comma-separated list.
    #[must_use]
    pub fn list(&self, name: &str) -> Vec<&str> {
        let parts = self.text(name).unwrap_or_default().split(',').map(str::trim);
        parts.filter(|part| !part.is_empty()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str =
        "kQH5HW/8p1uGOVjbgWA7FunAmGO8lsSUXNsu3eow76sz84Q18fWxnyRzBHCd3pd5nE9qa99HAZtuZuj6F1huXg==";
    const NONCE: &str = "1616492376594";

    #[test]
    fn signatures_match_the_published_vectors() {
        let vectors = [
            (
                "/0/private/AddOrder",
                "nonce=1616492376594&ordertype=limit&pair=XBTUSD&price=37500&type=buy&volume=1.25",
                "4/dpxb3iT4tp/ZCVEwSnEsLxx0bqyhLpdfOpc6fn7OR8+UClSV5n9E6aSS8MPtnRfp32bAb0nmbRn6H8ndwLUQ==",
            ),
            (
                "/0/private/GetWebSocketsToken",
                "nonce=1616492376594",
                "+mRDmY9Ks0Moc1zjv/BjfvYa98buO0x1yHChZR5onlfAzAUbfIYlLggUZzdQ0RsmXm4Sh+Q8iAIZdo2wSeHeiA==",
            ),
            (
                "/0/private/AddOrder",
                r#"{"nonce":"1616492376594","ordertype":"limit","pair":"XBTUSD","price":"37500","type":"buy","volume":"1.25"}"#,
                "r/o+GpKxXjV/mls/r5CKLu5R+yzK5psqvQ4hXxMX1nzdxTBhV+ui82QGgPZMMitpFwCOAdPEZMmXgZxD2chJEg==",
            ),
        ];
        for (path, body, expected) in vectors {
            assert_eq!(sign(SECRET, path, NONCE, body.as_bytes()).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn a_call_needs_key_signature_and_a_growing_nonce() {
        let credentials = Credentials::new("K".into(), SECRET.into());
        let path = "/0/private/Balance";
        let call = |nonce: u64, key: &str, tamper: bool| {
            let body = format!("nonce={nonce}");
            let signature = sign(SECRET, path, &nonce.to_string(), body.as_bytes()).expect("sign");
            let body = if tamper { format!("{body}&a=1") } else { body };
            credentials.check(path, Some(key), Some(&signature), body.as_bytes()).map(|_| ())
        };
        assert_eq!(call(10, "X", false), Err(VenueError::InvalidKey));
        assert_eq!(call(10, "K", true), Err(VenueError::InvalidSignature));
        assert_eq!(call(10, "K", false), Ok(()));
        assert_eq!(call(10, "K", false), Err(VenueError::InvalidNonce));
        assert_eq!(call(9, "K", false), Err(VenueError::InvalidNonce));
        assert_eq!(call(11, "K", false), Ok(()));
        let missing = credentials.check(path, Some("K"), None, b"nonce=12").map(|_| ());
        assert_eq!(missing, Err(VenueError::InvalidSignature));
    }

    #[test]
    fn json_numbers_keep_their_text() {
        let fields = Fields::parse(br#"{"nonce":12,"volume":1.2500,"post":true,"pair":"XBTUSD"}"#);
        let fields = fields.expect("an object");
        assert_eq!(fields.text("nonce"), Some("12"));
        assert_eq!(fields.text("volume"), Some("1.2500"));
        assert_eq!(fields.flag("post"), Ok(Some(true)));
        assert_eq!(fields.text("pair"), Some("XBTUSD"));
    }
}
