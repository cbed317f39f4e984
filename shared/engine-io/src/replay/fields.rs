//! The first field in which two records differ, by its name.
//!
//! Input: two records. Output: name and both values as text. Invariant: fields are looked at in the order in
//! which they stand in a record, flags one by one.

use penstock_engine::record::Record;
use penstock_types::engine_view::TokenFlags;

const FLAGS: [(&str, TokenFlags); 16] = [
    ("SESSION_START", TokenFlags::SESSION_START),
    ("GAP_FILL", TokenFlags::GAP_FILL),
    ("COLD_START", TokenFlags::COLD_START),
    ("WARMUP", TokenFlags::WARMUP),
    ("BOOK_STALE", TokenFlags::BOOK_STALE),
    ("MARK_STALE", TokenFlags::MARK_STALE),
    ("OI_STALE", TokenFlags::OI_STALE),
    ("FUNDING_STALE", TokenFlags::FUNDING_STALE),
    ("FLOW_QUIET", TokenFlags::FLOW_QUIET),
    ("DEGRADED", TokenFlags::DEGRADED),
    ("SUPPRESS_ALERTS", TokenFlags::SUPPRESS_ALERTS),
    ("ALT_EDGE", TokenFlags::ALT_EDGE),
    ("PHASE_OVERRIDE", TokenFlags::PHASE_OVERRIDE),
    ("ANOMALY", TokenFlags::ANOMALY),
    ("CLUSTER_TICK", TokenFlags::CLUSTER_TICK),
    ("INACTIVE", TokenFlags::INACTIVE),
];

/// Name of the first field that differs, with what `expected` and `actual` have in it.
#[must_use]
pub fn first_difference(expected: &Record, actual: &Record) -> Option<(String, String, String)> {
    macro_rules! compare {
        ($($name:literal: $($path:ident).+;)+) => {
            $(if expected.$($path).+ != actual.$($path).+ {
                return Some((
                    $name.to_owned(),
                    format!("{:?}", expected.$($path).+),
                    format!("{:?}", actual.$($path).+),
                ));
            })+
        };
    }
    compare! {
        "tick_id": tick_id;
        "token_id": token_id;
        "liq_imbalance": liq_imbalance;
        "fsm_state": fsm_state;
        "tier_state": tier;
        "cluster_state": cluster_state;
        "event_phase": event_phase;
    }
    for (name, flag) in FLAGS {
        let (want, got) = (expected.flags.contains(flag), actual.flags.contains(flag));
        if want != got {
            return Some((format!("flags.{name}"), want.to_string(), got.to_string()));
        }
    }
    compare! {
        "alert_mask": alert_mask;
        "direction": direction;
        "pressure_score": scores.pressure;
        "fragile_score": scores.fragile;
        "trigger_score": scores.trigger;
        "unwind_score": scores.unwind;
        "trigger_cost": trigger_cost;
        "trade_delta": trade_delta;
        "oi_velocity": oi_velocity;
        "spread_pct": spread_pct;
        "mark_vs_mid": mark_vs_mid;
    }
    None
}
