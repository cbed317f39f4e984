//! The operator's panel: four routes that read and change nothing.
//!
//! | module | subject |
//! |---|---|
//! | [`live`] | what only the process knows |
//! | [`rows`] | what the decision cluster says |
//! | [`settings`] | what it is told once |

pub mod live;
pub mod rows;
pub mod settings;
