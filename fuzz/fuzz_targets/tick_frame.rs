//! Fuzzer of the target `tick_frame`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| penstock_fuzz::run("tick_frame", bytes));
