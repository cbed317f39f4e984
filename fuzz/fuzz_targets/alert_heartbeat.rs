//! Fuzzer of the target `alert_heartbeat`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| penstock_fuzz::run("alert_heartbeat", bytes));
