//! Public market data of the venues: one socket per connector, paced REST.
//!
//! * [`spawn_feed`]: a task that keeps one public socket subscribed and alive. Out come received
//!   frames, stamped and undecoded, and what happened to the connection, in one ordered bounded
//!   channel; in go [`FeedCommand`]s, above all "this book is wrong, get a new image".
//! * [`PublicRest`]: public REST requests of Kraken spot, paced, with typed outcomes.
//! * [`derivative`]: the sockets of Kraken Futures and Binance USD-M; [`spawn_session`] runs any of them.
//! * [`spawn_level3`]: the same for order-by-order books, which need a token of [`spawn_tokens`].
//! * [`poll`]: their REST, asked regularly within the venues' limits.
//!
//! Decoding, books and numbers belong to the reader of the channel. The protocol side of a
//! connection (what to send when, what is late) is [`session`], a machine without input or output.
//! The only credential is a [`DataKey`], which needs no right to trade and buys nothing but tokens.

mod connector;
pub mod derivative;
mod level3;
mod nonce_file;
pub mod poll;
mod protocol;
mod public_rest;
pub mod session;
mod token;

pub use connector::{
    FeedConfig, FeedHandle, SharedConnectBudget, SocketPolicy, spawn_feed, spawn_session,
};
pub use level3::{Level3Config, spawn_level3};
pub use penstock_venue_net::{Clock, NetError, Stamp, SystemClock};
pub use penstock_venues::kraken::rest::RestAnswer;
pub use protocol::{Opening, Protocol};
pub use public_rest::PublicRest;
pub use session::{
    DisconnectReason, FeedCommand, FeedEvent, Notice, Plan, SharedSubscribeBudget, Topic,
};
pub use token::{
    DataKey, SessionToken, TokenError, TokenStatus, Tokens, fetch_token, spawn_tokens,
};
