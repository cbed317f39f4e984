//! Requests of public sockets: no text panics, and what is understood names symbols.

#![no_main]

use libfuzzer_sys::fuzz_target;
use penstock_sim::public::{Channel, Request, parse};

fuzz_target!(|text: &str| {
    if let Request::Subscribe(asked) | Request::Unsubscribe(asked) = parse(text).request {
        assert_eq!(asked.symbols.is_empty(), asked.channel == Channel::Instrument);
    }
});
