//! Any bytes as a configuration file: an answer or an error, never a panic; the answer twice the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use penstock_config::{Process, Sources, resolve};

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let sources = Sources {
        process: Process::Tool,
        file: Some(("fuzz.toml".to_owned(), text.to_owned())),
        environment: Default::default(),
        secret_files: Default::default(),
    };
    match (resolve(&sources), resolve(&sources)) {
        (Ok(one), Ok(two)) => {
            assert_eq!(one.hash(), two.hash());
            assert_eq!(one.bindings.hash(), two.bindings.hash());
        }
        (Err(one), Err(two)) => {
            assert!(!one.problems.is_empty());
            assert_eq!(one, two);
        }
        _ => panic!("the same text was accepted and refused"),
    }
});
