//! Limits of the desk, from the configuration; defaults are the documented ones.
//!
//! Plain data.

use penstock_trading::engine_gate::EngineGates;
use penstock_trading::quarantine::QuarantineSettings;
use penstock_types::Decimal;

/// Limits.
#[derive(Debug, Clone, PartialEq)]
pub struct DeskConfig {
    /// Orders, changes and cancels may be sent; without it the desk only watches, also what it has open.
    pub execution_enable: bool,
    /// Quote asset of the account.
    pub quote_asset: String,
    /// Oldest quote that exits use, milliseconds.
    pub exit_quote_age_ms_max: i64,
    /// Oldest quote that a resting close uses, milliseconds.
    pub quote_age_ms_max: i64,
    /// Time of an answer, milliseconds.
    pub ack_timeout_ms: i64,
    /// Grace of proof of absence after a deadline, milliseconds.
    pub unknown_grace_ms: i64,
    /// Longest time from a fill to its stop, milliseconds.
    pub protection_grace_ms: i64,
    /// Time without a stop after which the position is closed, milliseconds.
    pub protection_hard_ms: i64,
    /// Hard loss cap, basis points.
    pub loss_cap_bps: Decimal,
    /// Shortest time between raises, milliseconds.
    pub trail_interval_ms: i64,
    /// Maker closes are allowed.
    pub maker_close: bool,
    /// Longest rest of a maker close, milliseconds.
    pub maker_close_ms: i64,
    /// Take-profit closes instead of raising the stop.
    pub tp_closes: bool,
    /// The dead man's switch is armed while the account is flat.
    pub dms_flat_only: bool,
    /// Own orders without a row are cancelled.
    pub cancel_unknown_orders: bool,
    /// A remainder below this value is dust that may be written off.
    pub dust_notional_quote: Decimal,
    /// Longest pause between ticks of the supervisor, milliseconds.
    pub exit_tick_ms: u64,
    /// Distance of LIGHT passes, milliseconds.
    pub light_interval_ms: i64,
    /// Distance of FULL passes, milliseconds.
    pub full_interval_ms: i64,
    /// A look starts this long after the stream's answer, milliseconds.
    pub confirm_delay_ms: i64,
    /// How long a difference must last before it counts, milliseconds.
    pub settle_ms: i64,
    /// How long a fact of the stream outranks a look that lacks it, milliseconds: REST may lag so much.
    pub stream_wins_ms: i64,
    /// Distance of ledger audits, milliseconds.
    pub ledger_audit_ms: i64,
    /// Silence of the private stream that degrades, milliseconds.
    pub stream_silent_ms: i64,
    /// Time after the last renewal of the fence for which standby rows may go out without a write,
    /// milliseconds.
    pub preauth_ms_max: i64,
    /// Longest wait for one verb of the decision cluster, milliseconds; then it counts as away. Less than
    /// the time from a fill to its stop, which a server that hangs must not use up.
    pub rows_answer_ms_max: u64,
    /// Quiet time of a symbol after a refusal, milliseconds.
    pub quiet_ms: i64,
    /// When a symbol goes into quarantine, and for how long.
    pub quarantine: QuarantineSettings,
    /// Distance of comparisons with the venue's clock, milliseconds.
    pub time_sync_ms: i64,
    /// Whether reviews by the engine act.
    pub engine_gates: EngineGates,
}

impl Default for DeskConfig {
    fn default() -> Self {
        Self {
            execution_enable: false,
            quote_asset: "USD".to_owned(),
            exit_quote_age_ms_max: 3_000,
            quote_age_ms_max: 2_000,
            ack_timeout_ms: 3_000,
            unknown_grace_ms: 90_000,
            protection_grace_ms: 1_500,
            protection_hard_ms: 20_000,
            loss_cap_bps: Decimal::ONE_HUNDRED,
            trail_interval_ms: 5_000,
            maker_close: true,
            maker_close_ms: 10_000,
            tp_closes: false,
            dms_flat_only: false,
            cancel_unknown_orders: true,
            dust_notional_quote: Decimal::from_parts(5, 0, 0, false, 0),
            exit_tick_ms: 250,
            light_interval_ms: 5_000,
            full_interval_ms: 900_000,
            confirm_delay_ms: 500,
            settle_ms: 2_000,
            // The venue's observed worst lag.
            stream_wins_ms: 60_000,
            ledger_audit_ms: 300_000,
            stream_silent_ms: 15_000,
            preauth_ms_max: 300_000,
            rows_answer_ms_max: 1_000,
            quiet_ms: 120_000,
            quarantine: QuarantineSettings::default(),
            time_sync_ms: 300_000,
            engine_gates: EngineGates::Enforce,
        }
    }
}
