//! Typed configuration of all processes.
//!
//! Inputs: compiled defaults, `penstock.toml`, the environment, in this order of strength. Outputs:
//! [`Config`] with a struct per area, the hash of what is in force, the origin of every value; or
//! [`ConfigError`] with everything that is wrong. Invariants: nothing is connected to before the whole
//! configuration is good; secrets never leave this crate as text but by `expose_secret`; one table is
//! the source of names, defaults, ranges and documents.
//!
//! | module | subject |
//! |---|---|
//! | [`load`], [`resolve()`] | from the process's environment, or from given parts |
//! | [`Config`] | what is in force |
//! | [`table`] | all keys and the typed areas |
//! | [`key`] | what is known about a key |
//! | [`bindings`] | tokens of the engine |
//! | [`engine`] | the engine's configuration, resolved, with its hash |
//! | [`show`] | tables for people: config show, differences, the document |

mod area;
pub mod bindings;
pub mod engine;
mod error;
pub mod file;
pub mod key;
mod load;
mod resolve;
mod rules;
pub mod show;
pub mod table;
mod value;

pub use error::{CODE, ConfigError, EXIT_CONFIG, Problem};
pub use key::Process;
pub use load::{DEFAULT_FILE, load};
pub use resolve::{Config, Origin, Resolved, Sources, Values, resolve};
pub use table::Areas;
pub use value::{Endpoint, Field, Value, is_loopback};
