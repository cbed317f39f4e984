//! venue-sim.

fn main() {}
