//! REST: requests to be sent and bodies that came back, as values.
//!
//! [`PublicRequest`] and [`PrivateRequest`] give method, cost and form text; [`decode`] turns status
//! and body into a [`Reply`] whose third form, *unknown*, is an ordinary one: anything that is not
//! the API's own answer proves nothing about a request. The rows of results are in [`public`] and
//! [`private`]. No socket here.

mod form;
pub mod private;
pub mod public;
mod reply;
mod request;

pub use form::Form;
pub use reply::{Reply, RestAnswer, UnknownReason, decode};
pub use request::{ClosedOrdersPage, PrivateRequest, PublicRequest, SignedRequest};
