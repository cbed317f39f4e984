//! The way to a venue: opened sockets, HTTP clients, and the two clocks of what passes through them.
//!
//! Shared by the public and the private connections, which must not know each other: it holds no
//! protocol, no key and no order, so neither wall is crossed here.

mod clock;
mod net;

pub use clock::{Clock, Stamp, SystemClock};
pub use tokio_tungstenite::tungstenite::Message;

pub use net::{CONNECT_TIMEOUT, NetError, Socket, connect, http_client, http_client_plain};
