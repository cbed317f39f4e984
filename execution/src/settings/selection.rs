//! Settings of the selection and of what contracts carry.
//!
//! Purpose: thresholds that rank, select and filter, from the resolved configuration. Inputs: the configuration.
//! Outputs: plain values. Invariants: no default stands here.

use std::collections::BTreeMap;

use penstock_config::Config;
use penstock_config::table::decision::MissingAction as ConfigMissingAction;
use penstock_config::table::services::KrakenTier;
use penstock_trading::decide::config::{MissingAction, PullbackConfig, SelectionConfig};

/// Keys of the thresholds that rank, select and filter.
const THRESHOLDS: &[&str] = &["rank_", "corr_", "churn_guard_", "topn_", "topk_", "pullback_"];

/// The thresholds of a resolved configuration, whatever table they stand in.
pub(super) fn thresholds(config: &serde_json::Value) -> BTreeMap<String, serde_json::Value> {
    let mut found = BTreeMap::new();
    let mut rest = vec![config];
    while let Some(value) = rest.pop() {
        let Some(fields) = value.as_object() else { continue };
        for (key, value) in fields {
            if THRESHOLDS.iter().any(|prefix| key.starts_with(prefix)) {
                found.insert(key.clone(), value.clone());
            }
            rest.push(value);
        }
    }
    found
}

pub(super) fn selection(config: &Config) -> SelectionConfig {
    let s = &config.areas.selection;
    SelectionConfig {
        churn_guard_enabled: s.churn_guard_enabled,
        churn_guard_min_cycles: s.churn_guard_min_cycles.into(),
        churn_guard_min_score_delta_x10000: s.churn_guard_min_score_delta_x10000.into(),
        corr_max_x10000: s.corr_max_x10000.into(),
        corr_window_points: s.corr_window_points.into(),
        corr_missing_max_pct: s.corr_missing_max_pct.into(),
        corr_missing_action: match s.corr_missing_action {
            ConfigMissingAction::Reject => MissingAction::Reject,
            ConfigMissingAction::Allow => MissingAction::Allow,
        },
    }
}

pub(super) fn pullback(config: &Config) -> PullbackConfig {
    let p = &config.areas.pullback;
    PullbackConfig {
        max_spread_bps: p.pullback_max_spread_bps,
        max_delta_spread_bps_10s: p.pullback_max_delta_spread_bps_10s,
        min_imbalance_x10000: p.pullback_min_imbalance_x10000.into(),
        min_volume_ratio_x10000: p.pullback_min_volume_ratio_x10000.into(),
        min_bps: p.pullback_min_bps,
        max_bps: p.pullback_max_bps,
    }
}

/// Open orders per pair at the venue's tiers.
pub(super) const fn orders_of(tier: KrakenTier) -> i64 {
    match tier {
        KrakenTier::Starter => 60,
        KrakenTier::Intermediate => 80,
        KrakenTier::Pro => 225,
    }
}
