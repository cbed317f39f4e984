//! Every query on the ingest cluster, checked when it is built.

pub mod evidence;
