//! Requests of the level 3 socket and names of Binance streams: nothing panics, and what is
//! understood says so.

#![no_main]

use libfuzzer_sys::fuzz_target;
use penstock_sim::{binance, level3};

fuzz_target!(|text: &str| {
    if let Some(symbols) = level3::symbols_asked(text) {
        assert!(symbols > 0);
    }
    if let Some(name) = binance::stream_name(text) {
        // The symbol before it may fold its case in more than one way.
        assert_eq!(name.split('@').nth(1), text.split('@').nth(1));
    }
    let _streams = binance::streams_of_path(text);
});
