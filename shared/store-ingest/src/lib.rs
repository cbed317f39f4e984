//! Every query on the ingest cluster, checked at build time against committed metadata.
//!
//! Inputs: pools or connections, plain values. Outputs: rows and typed errors. It decides nothing and
//! reads no clock of its host; statements that need "now" use the cluster's.

pub mod evidence;
