//! The private socket: executions, balances and all order requests on one connection.
//!
//! [`spawn_order_socket`] starts the task; [`OrderSocket`] is the way to send orders from anywhere;
//! [`PrivateEvent`]s come out of one bounded channel. The protocol side is `session`, a machine
//! without input or output; `task` is its shell.

mod handle;
mod messages;
mod session;
mod task;

pub use handle::OrderSocket;
pub use messages::{BeforeWrite, DisconnectReason, PrivateEvent, SocketConfig, StreamHealth};
pub use task::{RunningSocket, spawn_order_socket};
