//! The shell around the exchange: the lock, the clock, the queues towards the sockets, counters.

mod stats;
mod venue;

pub use self::stats::{ConnectionStats, Stats};
pub use self::venue::{EVENTS_QUEUE_LEN_LIMIT, PrivateBatch, PublicBatch, Venue};
