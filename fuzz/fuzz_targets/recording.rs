//! Any bytes are a recording with a report, or one whose protocol is not known; counts add up.
#![no_main]

use libfuzzer_sys::fuzz_target;
use penstock_venues::recording::{Cut, check, lines};

fuzz_target!(|data: (&[u8], bool)| {
    let (bytes, cut) = data;
    let cut = cut.then(|| Cut { reason: "cut".to_owned() });
    let count = lines(bytes, cut.as_ref()).count() as u64;
    if let Ok(report) = check(bytes, cut.as_ref()) {
        assert_eq!(report.frames, count);
        assert_eq!(report.frames, report.decoded + report.errors + report.unknown);
    }
});
