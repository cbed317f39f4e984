//! Private PostgreSQL clusters: found, made, started, adopted, restarted, stopped.
//!
//! Inputs: the host, a data root. Outputs: two servers that answer on sockets, and their URLs.
//! Invariants: a server never runs as root and listens on sockets only unless asked otherwise; real
//! data keeps every safety of PostgreSQL. External clusters (both URLs set) are never touched by this
//! crate. It runs no migrations.
//!
//! | module | subject |
//! |---|---|
//! | [`ClusterKind`] | what differs between the two |
//! | [`Host`], [`RunAs`] | who runs the server, what that user can reach |
//! | [`binaries`] | finding the programs |
//! | [`DataRoot`], [`SupervisorLock`] | the directory of a machine's Penstock, and its one supervisor |
//! | [`ClusterSpec`] | one cluster on disk |
//! | [`state`] | its life as a table |
//! | [`ManagedCluster`] | the supervisor |
//! | [`roles`] | login roles and schema |
//! | [`testing`] | a scratch pair for tests, a database per test |

pub mod binaries;
mod cluster;
mod error;
mod host;
mod kind;
mod pidfile;
pub mod roles;
mod root;
mod settings;
pub mod state;
mod supervisor;
pub mod testing;
mod watch;

pub use cluster::ClusterSpec;
pub use error::ClusterError;
pub use host::{Host, RunAs, caller_name};
pub use kind::{ClusterKind, SUPERUSER};
pub use root::{DataRoot, SupervisorLock};
pub use settings::Durability;
pub use state::ClusterState;
pub use supervisor::{ClusterStatus, ManagedCluster, stop_left_behind};
