//! Exclusions, ranks, hysteresis, pins.
