//! One function per fuzz target: any bytes are a value or an error, never a panic, and what is accepted keeps
//! what it promises.
//!
//! Input: arbitrary bytes. Output: none; a broken promise panics. The fuzzers under `fuzz_targets/` call these
//! functions, and so does the test that replays the committed corpora, which needs no fuzzer and no nightly
//! compiler.

mod audit;
mod contracts;
mod engine;
mod engine_io;
mod own;
mod panel;
mod sim;
mod venues;

use audit::{audit_line, audit_redact};
use contracts::{ai_result, alert_heartbeat, dec_str, decision_snapshot};
use engine::{engine_config, engine_record, engine_step};
use engine_io::{
    engine_bundle, engine_log, engine_manifest, engine_packed, engine_snapshot, engine_stream,
};
use own::{
    checkpoint, cl_ord_id, config_file, copy_text, copy_tuple, frame_record, spool_segment,
    tick_frame,
};
use panel::panel_request;
use sim::{sim_feeds, sim_private, sim_public, sim_recording, sim_sends};
use venues::{
    binance, kraken_frame, kraken_futures, kraken_level3, kraken_rest, recording, text_values,
};

/// A target.
pub(crate) type Target = fn(&[u8]);

/// Every target by its name: that of its fuzzer and of the directory of its corpus.
pub(crate) const TARGETS: &[(&str, Target)] = &[
    ("audit_line", audit_line),
    ("audit_redact", audit_redact),
    ("ai_result", ai_result),
    ("alert_heartbeat", alert_heartbeat),
    ("binance", binance),
    ("checkpoint", checkpoint),
    ("cl_ord_id", cl_ord_id),
    ("config_file", config_file),
    ("copy_text", copy_text),
    ("copy_tuple", copy_tuple),
    ("dec_str", dec_str),
    ("decision_snapshot", decision_snapshot),
    ("engine_bundle", engine_bundle),
    ("engine_config", engine_config),
    ("engine_log", engine_log),
    ("engine_manifest", engine_manifest),
    ("engine_packed", engine_packed),
    ("engine_record", engine_record),
    ("engine_snapshot", engine_snapshot),
    ("engine_step", engine_step),
    ("engine_stream", engine_stream),
    ("frame_record", frame_record),
    ("kraken_frame", kraken_frame),
    ("kraken_futures", kraken_futures),
    ("kraken_level3", kraken_level3),
    ("kraken_rest", kraken_rest),
    ("panel_request", panel_request),
    ("recording", recording),
    ("sim_feeds", sim_feeds),
    ("sim_private", sim_private),
    ("sim_public", sim_public),
    ("sim_recording", sim_recording),
    ("sim_sends", sim_sends),
    ("spool_segment", spool_segment),
    ("text_values", text_values),
    ("tick_frame", tick_frame),
];
