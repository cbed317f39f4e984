//! The exit supervisor: every open position, on every applied frame and at least every 250 ms.
//!
//! Input: positions with their plans, quotes, orders, time. Output: stops placed and raised, closes. It
//! shares no gate with entries; only the fence and the private stream limit it. Each tick starts from the
//! rows in memory, so that a restart goes on where the rows are.

mod close;
mod live;
mod protect;
mod regime;
mod review;
mod tick;
