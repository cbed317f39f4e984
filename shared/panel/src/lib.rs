//! The operator's panel: four routes that read and change nothing.
//!
//! Purpose: one page and three answers on loopback that show how the system is. Inputs: figures of the process through
//! [`live::Look`], rows of the decision cluster through a read-only pool. Outputs: answers to GET. Invariants: nothing
//! here reaches the venue, the writers of orders, the configuration or a table for writing; whatever readers do changes
//! neither mode nor row nor event; readers beyond the limits are turned away.
//!
//! | module | subject |
//! |---|---|
//! | [`policy`] | which request gets which answer |
//! | [`server`] | connections within their limits |
//! | [`socket`] | readers who do not read |
//! | [`stream`] | documents, alerts and pings as events |
//! | [`builder`] | a document at every beat |
//! | [`document`] | a document from its two halves |
//! | [`live`] | what only the process knows |
//! | [`rows`] | what the decision cluster says |
//! | [`orders`] | the newest orders, read once a second at most |
//! | [`page`] | the page and the policy for its script |
//! | [`run`] | the panel on a thread of its own |
//! | [`settings`] | what it is told once |

pub mod builder;
pub mod document;
pub mod live;
pub mod orders;
pub mod page;
pub mod policy;
pub mod rows;
pub mod run;
pub mod server;
pub mod settings;
pub mod socket;
pub mod stream;
