//! Fuzzer of the target `spool_segment`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| penstock_fuzz::run("spool_segment", bytes));
