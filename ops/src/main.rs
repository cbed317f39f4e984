//! penstock.

fn main() {}
