//! The core's shell: its thread, its clock, its books, the way from frames to the pure core.

pub(crate) mod books;
pub(crate) mod clock;
mod deriv_frames;
pub(crate) mod deriv_input;
pub(crate) mod event_metrics;
pub(crate) mod feed_input;
pub(crate) mod level3_books;
pub(crate) mod level3_input;
pub(crate) mod lost_books;
mod notes;
pub(crate) mod rollover;
pub(crate) mod run;
pub(crate) mod sink;
