//! Private REST: signature, nonce, counter, then the method.

mod auth;
mod funds;
mod history;
mod lag;
mod orders;
mod render;
mod router;

pub use self::auth::{Credentials, Fields, sign};
pub(crate) use self::router::router;
