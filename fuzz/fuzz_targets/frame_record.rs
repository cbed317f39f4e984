//! Fuzzer of the target `frame_record`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| penstock_fuzz::run("frame_record", bytes));
