//! Purpose: keys of liveness, disk, reconcile, time, AI gate, selection. Invariants: as in
//! [`crate::area`]. It holds no logic.

use rust_decimal::Decimal;
use secrecy::SecretString;

use crate::area::{area, choice};
use crate::key::{any, dec, int};
use crate::value::Endpoint;

area! {
    /// When silence changes the system mode.
    pub struct Liveness ("liveness") {
        /// Milliseconds without an evaluation loop: DEGRADE.
        [E] loop_stuck_ms_degrade: u64 = Some("5000"), int(1, 3_600_000);
        /// Milliseconds without an evaluation loop: PAUSE.
        [E] loop_stuck_ms_pause: u64 = Some("15000"), int(1, 3_600_000);
        /// Milliseconds without frames or private stream: DEGRADE.
        [E] ws_stale_ms_degrade: u64 = Some("2000"), int(1, 3_600_000);
        /// Milliseconds without frames or private stream: PAUSE.
        [E] ws_stale_ms_pause: u64 = Some("10000"), int(1, 3_600_000);
        /// Milliseconds without a REST answer: DEGRADE.
        [E] rest_stale_ms_degrade: u64 = Some("10000"), int(1, 3_600_000);
        /// Milliseconds without a REST answer: PAUSE.
        [E] rest_stale_ms_pause: u64 = Some("60000"), int(1, 3_600_000);
        /// Milliseconds without a cause before DEGRADE ends.
        [E] degrade_exit_stable_window_ms: u64 = Some("60000"), int(1_000, 3_600_000);
        /// A PAUSE caused by a feed ends by itself.
        [E] pause_auto_recover_feed: bool = Some("true"), any();
    }
}

area! {
    /// Disk space.
    pub struct Disk ("disk") {
        /// Free bytes below which the mode is DEGRADE.
        [E] disk_free_degrade_bytes: u64 = Some("1073741824"), int(0, i64::MAX);
        /// Free bytes below which the mode is PAUSE.
        [E] disk_free_pause_bytes: u64 = Some("536870912"), int(0, i64::MAX);
        /// Paths that are watched; empty is the audit directory.
        [E] disk_watch_paths: Vec<String> = Some(""), any();
        /// Milliseconds between two looks.
        [E] disk_health_sample_interval_ms: u64 = Some("5000"), int(1_000, 60_000);
        /// Bytes of write-ahead log that raise a warning.
        [E] wal_warn_bytes: u64 = Some("2147483648"), int(0, i64::MAX);
    }
}

area! {
    /// Comparing our books with the venue's.
    pub struct Reconcile ("reconcile") {
        /// Milliseconds between two light reconciles.
        [E] reconcile_rest_interval_ms: u64 = Some("5000"), int(1_000, 60_000);
        /// Milliseconds that a difference may last before it counts.
        [E] reconcile_settle_ms: u64 = Some("2000"), int(0, 30_000);
        /// Milliseconds between a change and its targeted look.
        [E] reconcile_confirm_delay_ms: u64 = Some("500"), int(0, 2_000);
        /// Milliseconds after which that look is late.
        [E] reconcile_confirm_max_ms: u64 = Some("2000"), int(0, 10_000).later();
        /// Drift score, times 10,000, that is DEGRADE.
        [E] reconcile_drift_degrade_score_x10000: u64 = Some("20000"), int(1, 1_000_000_000);
        /// Drift score, times 10,000, that is PAUSE.
        [E] reconcile_drift_pause_score_x10000: u64 = Some("50000"), int(1, 1_000_000_000);
    }
}

area! {
    /// Clocks.
    pub struct Time ("time") {
        /// Milliseconds between two comparisons with the venue's clock.
        [E] time_sync_interval_ms: u64 = Some("300000"), int(1, 86_400_000);
        /// Milliseconds of difference above which nothing is sent.
        [E] clock_drift_max_ms_live: u64 = Some("500"), int(1, 60_000);
        /// Milliseconds of difference above which the mode is PAUSE.
        [E] clock_drift_pause_ms: u64 = Some("2000"), int(1, 600_000);
    }
}

area! {
    /// The AI gate.
    pub struct AiGate ("ai gate") {
        /// 0 off, 1 a failure blocks the entry, 2 a failure also makes the mode PAUSE.
        [E] ai_dec: u32 = Some("0"), int(0, 2);
        /// Address below which `/chat/completions` lies; required when AI_DEC is above 0.
        [E] ai_gate_base_url: Endpoint = Some(""), any().or_off();
        /// Name of the model; required when AI_DEC is above 0.
        [E] ai_gate_model: String = Some(""), any();
        /// Key of the endpoint; required when AI_DEC is above 0.
        [E] ai_gate_api_key: Option<SecretString> = None, any();
        /// Milliseconds for all questions of an evaluation, second attempts included.
        [E] ai_gate_timeout_ms: u64 = Some("4000"), int(500, 60_000);
        /// Second attempts after a refused connection, 429 or 5xx, while half of the time is left.
        [E] ai_gate_max_retries: u32 = Some("0"), int(0, 1);
        /// Most tokens of an answer.
        [E] ai_gate_max_tokens: u32 = Some("600"), int(64, 4_096);
    }
}

choice! {
    /// What happens to a pair of symbols without enough common returns.
    pub enum MissingAction {
        /// It counts as correlated.
        Reject = "reject",
        /// It counts as not correlated.
        Allow = "allow",
    }
}

area! {
    /// Ranking and choosing symbols.
    pub struct Selection ("selection") {
        /// Symbols that are ranked.
        [E] topn_size: u32 = Some("20"), int(1, 200);
        /// Symbols that remain.
        [E] topk_size: u32 = Some("3"), int(1, 10);
        /// Weight of liquidity, times 10,000.
        [E] rank_weight_liquidity_x10000: u32 = Some("5500"), int(0, 10_000);
        /// Weight of momentum, times 10,000.
        [E] rank_weight_momentum_x10000: u32 = Some("3000"), int(0, 10_000);
        /// Weight of the spread, times 10,000.
        [E] rank_weight_spread_x10000: u32 = Some("1500"), int(0, 10_000);
        /// Correlation, times 10,000, from which two symbols count as one.
        [E] corr_max_x10000: u32 = Some("8000"), int(1, 10_000);
        /// Returns that a correlation is made of.
        [E] corr_window_points: u32 = Some("72"), int(12, 500);
        /// Most missing returns in percent.
        [E] corr_missing_max_pct: u32 = Some("10"), int(1, 100);
        /// What a pair without enough returns is.
        [E] corr_missing_action: MissingAction = Some("reject"), any();
        /// A finalist is kept unless another is clearly better.
        [E] churn_guard_enabled: bool = Some("true"), any();
        /// Evaluations for which it is kept.
        [E] churn_guard_min_cycles: u32 = Some("6"), int(0, 100_000);
        /// Score, times 10,000, by which another must be better.
        [E] churn_guard_min_score_delta_x10000: u32 = Some("1000"), int(0, 1_000_000);
    }
}

area! {
    /// Conditions of the pullback's maker form.
    pub struct Pullback ("pullback") {
        /// Greatest spread in bps.
        [E] pullback_max_spread_bps: Decimal = Some("20"), dec("0.0001", "10000");
        /// Greatest change of the spread in 10 s in bps.
        [E] pullback_max_delta_spread_bps_10s: Decimal = Some("5"), dec("0.0001", "10000");
        /// Least imbalance, times 10,000.
        [E] pullback_min_imbalance_x10000: u32 = Some("5500"), int(0, 9_999);
        /// Least ratio of volume, times 10,000.
        [E] pullback_min_volume_ratio_x10000: u32 = Some("12000"), int(1, 10_000_000);
        /// Least pullback in bps.
        [E] pullback_min_bps: Decimal = Some("10"), dec("0.0001", "10000");
        /// Greatest pullback in bps.
        [E] pullback_max_bps: Decimal = Some("80"), dec("0.0001", "10000");
    }
}

choice! {
    /// How bad an alert is.
    pub enum Severity {
        /// For the record.
        Info = "INFO",
        /// Handled, worth a look.
        Warn = "WARN",
        /// A human is needed.
        Crit = "CRIT",
    }
}

area! {
    /// Alerts and where they go.
    pub struct Alerts ("alerts") {
        /// Alerts that may wait for their sinks.
        [E I] alert_queue_capacity: u32 = Some("256"), int(16, 4_096);
        /// Least milliseconds between two events of one alert.
        [E I] alert_repeat_ms: u64 = Some("60000"), int(1, 86_400_000);
        /// Milliseconds for which an alert counts as active.
        [E I] alert_active_window_ms: u64 = Some("900000"), int(1, 86_400_000);
        /// Seconds for which one alert is not sent again.
        [E I] alert_cooldown_secs: u64 = Some("900"), int(0, 86_400);
        /// Milliseconds for a sink's answer.
        [E I] alert_send_timeout_ms: u64 = Some("5000"), int(500, 30_000);
        /// Sound.
        [E I] alert_sound_enabled: bool = Some("false"), any();
        /// Least severity for sound.
        [E I] alert_sound_min_severity: Severity = Some("CRIT"), any();
        /// Address of a webhook; empty is off.
        [E I] alert_webhook_url: Endpoint = Some(""), any().or_off();
        /// Hosts that a webhook may have.
        [E I] alert_webhook_allow_hosts: Vec<String> = Some(""), any();
        /// Least severity for the webhook.
        [E I] alert_webhook_min_severity: Severity = Some("INFO"), any();
        /// Token of the webhook.
        [E I] alert_webhook_token: Option<SecretString> = None, any();
        /// Telegram chat; empty is off.
        [E I] alert_telegram_chat_id: String = Some(""), any();
        /// Telegram's address.
        [E I] alert_telegram_api_url: Endpoint = Some("https://api.telegram.org"), any();
        /// Least severity for Telegram.
        [E I] alert_telegram_min_severity: Severity = Some("WARN"), any();
        /// Token of the Telegram bot.
        [E I] alert_telegram_token: Option<SecretString> = None, any();
        /// Pushover's address.
        [E I] alert_pushover_api_url: Endpoint = Some("https://api.pushover.net"), any();
        /// Least severity for Pushover.
        [E I] alert_pushover_min_severity: Severity = Some("WARN"), any();
        /// Pushover application token.
        [E I] alert_pushover_token: Option<SecretString> = None, any();
        /// Pushover user.
        [E I] alert_pushover_user: Option<SecretString> = None, any();
    }
}
