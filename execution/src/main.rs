//! run-execution-live.

fn main() {}
