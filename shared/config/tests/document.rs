//! The document of all keys is the table's, and the demo's profile is an ordinary file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use penstock_config::{Process, Sources, resolve, show};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn the_document_of_keys_is_the_tables() {
    let path = root().join("docs/configuration.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, show::document()).expect("written");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == show::document(),
        "docs/configuration.md is not what the table says; next: UPDATE_DOCS=1 cargo test -p penstock-config --test document"
    );
}

#[test]
fn the_demo_is_a_profile_of_ordinary_keys_that_binds_half_of_its_symbols() {
    let text = std::fs::read_to_string(root().join("config/demo.toml")).expect("there");
    let demo = resolve(&Sources {
        process: Process::Tool,
        file: Some(("config/demo.toml".to_owned(), text)),
        environment: BTreeMap::new(),
        secret_files: BTreeMap::new(),
    })
    .expect("accepted");

    assert_eq!(demo.epoch_max_age_secs(), 140);
    let tokens = demo.bindings.tokens();
    assert_eq!(tokens.len(), 16);
    for venue in ["kraken", "kraken_futures", "binance_um"] {
        let on = |token: &&penstock_config::bindings::Token| {
            token.instruments.iter().any(|i| i.venue == venue)
        };
        assert!(tokens.iter().filter(on).count() >= 14, "{venue}");
    }
    let changed: Vec<&str> = show::differences(&demo).iter().map(|one| one.key).collect();
    assert_eq!(
        changed,
        [
            "execution_universe_limit",
            "l2_sample_interval_ms",
            "ingest_warmup_secs",
            "epoch_interval_secs",
            "epoch_window_secs",
            "execution_enable",
            "live_evaluation_interval_secs",
            "degrade_exit_stable_window_ms",
            "corr_missing_action",
            "risk_max_exposure_symbol_quote",
            "risk_max_trades_per_day",
            "engine.disk_free_min_bytes",
            "engine.warmup_minutes",
        ]
    );
}
