//! Signature of private REST requests.
//!
//! Input: path, the exact body, the nonce inside it, the private key. Output: the `API-Sign` header.
//! The body that is signed is the body that is sent, byte for byte; a second serialisation would be
//! another body. The key's bytes are held here only as long as the caller holds [`PrivateKey`], and
//! its `Debug` does not show them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256, Sha512};
use thiserror::Error;

/// The private key is not base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the private key is not base64; copy it again from the venue's key page")]
pub struct BadPrivateKey;

/// A decoded private key.
#[derive(Clone)]
pub struct PrivateKey(Vec<u8>);

impl core::fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("PrivateKey(redacted)")
    }
}

impl PrivateKey {
    /// Decodes the key's text.
    ///
    /// # Errors
    /// The text is not base64 or is empty.
    pub fn from_base64(text: &str) -> Result<Self, BadPrivateKey> {
        let bytes = STANDARD.decode(text.trim()).map_err(|_| BadPrivateKey)?;
        if bytes.is_empty() { Err(BadPrivateKey) } else { Ok(Self(bytes)) }
    }

    /// The value of `API-Sign` for a request: `path` begins with `/0/private/`, `nonce` is the text
    /// that stands inside `body`.
    pub fn sign(&self, path: &str, nonce: &str, body: &str) -> String {
        STANDARD.encode(mac(&self.0, path.as_bytes(), &inner(nonce, body)))
    }
}

fn inner(nonce: &str, body: &str) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(nonce.as_bytes());
    hash.update(body.as_bytes());
    hash.finalize().into()
}

fn mac(key: &[u8], path: &[u8], inner: &[u8; 32]) -> [u8; 64] {
    let mut mac = <Hmac<Sha512> as KeyInit>::new_from_slice(key)
        .expect("this construction accepts keys of any length");
    mac.update(path);
    mac.update(inner);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str =
        "kQH5HW/8p1uGOVjbgWA7FunAmGO8lsSUXNsu3eow76sz84Q18fWxnyRzBHCd3pd5nE9qa99HAZtuZuj6F1huXg==";
    const NONCE: &str = "1616492376594";

    #[test]
    fn published_and_derived_vectors_agree() {
        let key = PrivateKey::from_base64(KEY).unwrap();
        let vectors = [
            (
                "/0/private/AddOrder",
                "nonce=1616492376594&ordertype=limit&pair=XBTUSD&price=37500&type=buy&volume=1.25",
                "23a1c1b34c6a11d641af0f24684896cb90f66fb991125c83dc357bdc3dc146f1",
                "4/dpxb3iT4tp/ZCVEwSnEsLxx0bqyhLpdfOpc6fn7OR8+UClSV5n9E6aSS8MPtnRfp32bAb0nmbRn6H8ndwLUQ==",
            ),
            (
                "/0/private/GetWebSocketsToken",
                "nonce=1616492376594",
                "09fcef6b8f1c848c916f1c87befa425e755aefb54f968360a557c5f573b99275",
                "+mRDmY9Ks0Moc1zjv/BjfvYa98buO0x1yHChZR5onlfAzAUbfIYlLggUZzdQ0RsmXm4Sh+Q8iAIZdo2wSeHeiA==",
            ),
            (
                "/0/private/AddOrder",
                r#"{"nonce":"1616492376594","ordertype":"limit","pair":"XBTUSD","price":"37500","type":"buy","volume":"1.25"}"#,
                "731135a093fa628e634763c0ea4c3cca02946598f0b0762b9c0c35c766f737a5",
                "r/o+GpKxXjV/mls/r5CKLu5R+yzK5psqvQ4hXxMX1nzdxTBhV+ui82QGgPZMMitpFwCOAdPEZMmXgZxD2chJEg==",
            ),
        ];
        for (path, body, hash, signature) in vectors {
            let hex: String = inner(NONCE, body).iter().map(|b| format!("{b:02x}")).collect();
            assert_eq!(hex, hash, "{path}");
            assert_eq!(key.sign(path, NONCE, body), signature, "{path}");
        }
    }

    #[test]
    fn a_key_that_is_not_base64_is_refused_and_never_printed() {
        assert_eq!(PrivateKey::from_base64("not base64!").map(|_| ()), Err(BadPrivateKey));
        assert_eq!(PrivateKey::from_base64("").map(|_| ()), Err(BadPrivateKey));
        let shown = format!("{:?}", PrivateKey::from_base64(KEY).unwrap());
        assert_eq!(shown, "PrivateKey(redacted)");
    }
}
