//! Recordings: no bytes panic, and a replay never goes back in time.

#![no_main]

use libfuzzer_sys::fuzz_target;
use penstock_sim::recording::Recording;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(recording) = Recording::parse(bytes) {
        assert!(recording.frames.windows(2).all(|pair| pair[0].due_us <= pair[1].due_us));
    }
});
