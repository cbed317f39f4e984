//! run-ingest.

fn main() {}
