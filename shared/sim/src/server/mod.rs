//! The shell around the exchange: the lock, the clock, the queues towards the sockets, counters.

mod first_byte;
mod moving;
mod options;
mod send_line;
mod sends;
mod start;
mod stats;
mod venue;

pub use self::first_byte::{FirstByte, StampingListener, StampingStream};
pub use self::options::{Addresses, MarketSource, Options, StartError};
pub use self::send_line::SendLine;
pub use self::sends::{ENTRIES_LIMIT, PAGE_LIMIT, Sends};
pub use self::start::{Handle, start};
pub use self::stats::{ConnectionStats, Stats};
pub use self::venue::{EVENTS_QUEUE_LEN_LIMIT, PrivateBatch, PublicBatch, Venue};
pub(crate) use self::venue::{MarketMove, wall_us};
