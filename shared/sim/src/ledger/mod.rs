//! What the venue remembers for those who check: requests with the time of their first byte,
//! order timelines, and the time that a position stood without a stop.

pub mod exposure;
mod requests;
mod timeline;

pub use self::requests::{RequestEntry, RequestLog};
pub use self::timeline::{ExposureSample, Timeline, TimelineEntry, TopEntry};
