//! What the venue takes now, for one position: the system's state, the pair's, and what a refusal taught.
//!
//! Input: the stream's word for the system, the rule of the pair, refusals that name a state. Output: the
//! narrowest of them, and the pauses after refusals. A taught state is forgotten after a while, because nothing
//! tells its end: with a stop at the venue after the time in which the rules of pairs are read again, without one
//! sooner, because nothing else will protect the base.

use penstock_telemetry::marker;
use penstock_trading::exit::market::Market;
use penstock_types::vocab::{ExitReason, ReasonCode};
use penstock_types::{OrderId, PositionId};
use penstock_venues::kraken::error_table::ErrorAction;
use penstock_venues::kraken::vocabulary::SystemStatus;
use penstock_venues::kraken::wire::Vocabulary;

use crate::desk::{Desk, DeskError};
use crate::tracker::Held;

/// A state that a refusal taught holds for this long while a stop stands, milliseconds.
const TAUGHT_MS: i64 = 60_000;
/// ... and for this long while none does: the longest pause between refused closes.
const TAUGHT_BARE_MS: i64 = 5_000;
/// A close may leave the base bare for so long before a person is called, milliseconds.
const BARE_CLOSE_MS: i64 = 5_000;
/// Pause between a closing sequence that gave up and the next, milliseconds.
pub(super) const CLOSE_AGAIN_MS: i64 = 5_000;

impl Desk {
    /// The venue says what the whole of it takes; a word that nobody knows restricts nothing.
    pub(crate) fn system_is(&mut self, status: Option<SystemStatus>) {
        self.system = status.map_or(Market::Online, |s| Market::of_word(s.wire()));
    }

    /// What may be asked of the venue for a position.
    pub(super) fn market_of(&self, held: &Held) -> Market {
        let pair = self
            .instrument(&held.position.symbol)
            .map_or(Market::Online, |rule| Market::of_word(&rule.status));
        let bare = self.stop_of(held.position.position_id).is_none();
        let holds_ms = if bare { TAUGHT_BARE_MS } else { TAUGHT_MS };
        let mono = self.mono_ms();
        let taught = held.taught.filter(|(_, at)| mono - at < holds_ms);
        self.system.and(pair).and(taught.map_or(Market::Online, |(market, _)| market))
    }

    /// A refusal of an order's add or amend may name the state of the market.
    pub(crate) fn learn_market(&mut self, id: OrderId, action: ErrorAction) {
        let ErrorAction::SetMode(status) = action else { return };
        let mono = self.mono_ms();
        let Some(position) = self.tracker.get(id).and_then(|t| t.record.position_id) else {
            return;
        };
        if let Some(held) = self.tracker.positions.get_mut(&position) {
            held.taught = Some((Market::of_word(status.wire()), mono));
        }
    }

    /// An amend of a stop was refused. The old terms stand; what is asked for next waits a while.
    pub(crate) async fn after_amend_refusal(
        &mut self,
        id: OrderId,
        of_quantity: bool,
        action: ErrorAction,
        text: &str,
    ) -> Result<(), DeskError> {
        tracing::warn!(
            reason = ReasonCode::OrderAmendRejected.as_str(),
            order_id = id.0,
            "amend refused: {text}"
        );
        self.learn_market(id, action);
        let by_market = matches!(action, ErrorAction::SetMode(_));
        let mono = self.mono_ms();
        let position = self.tracker.get(id).and_then(|t| t.record.position_id);
        if let Some(held) = position.and_then(|p| self.tracker.positions.get_mut(&p)) {
            held.amend_refused_mono_ms = Some(mono);
            // Only a quantity that is refused for itself is worth a swap.
            held.amend_refusals += i32::from(of_quantity && !by_market);
        }
        self.after_amend(id, false).await
    }

    /// A close ended; without a fill the next one waits.
    pub(super) fn note_close_end(&mut self, id: PositionId, filled: bool) {
        let mono = self.mono_ms();
        if let Some(held) = self.tracker.positions.get_mut(&id) {
            held.close_refusals = if filled { 0 } else { held.close_refusals.saturating_add(1) };
            held.close_refused_mono_ms = mono;
        }
    }

    /// Whether a close may be decided now: not while nothing would execute it, nor right after a sequence that gave up.
    /// Triggers are judged anew at every tick, so what still holds then is decided then.
    pub(super) fn may_close(&mut self, id: PositionId, reason: ExitReason) -> bool {
        let Some(held) = self.tracker.positions.get(&id) else { return false };
        let market = self.market_of(held);
        let again = self.mono_ms() >= held.close_again_mono_ms;
        let waits = !market.matches();
        let said = held.close_waits;
        if let Some(held) = self.tracker.positions.get_mut(&id) {
            held.close_waits = waits;
            if waits && !said {
                let symbol = held.position.symbol.as_str();
                tracing::warn!("close of {symbol} for {reason} waits: the market is {market:?}");
            }
        }
        again && !waits
    }

    /// Base that nothing protects while its close waits: a person should know.
    pub(super) fn alarm_bare_close(&mut self, id: PositionId) {
        let mono = self.mono_ms();
        let Some(held) = self.tracker.positions.get_mut(&id) else { return };
        let since = *held.bare_since_mono_ms.get_or_insert(mono);
        if held.grace_alarmed || mono - since < BARE_CLOSE_MS {
            return;
        }
        held.grace_alarmed = true;
        let symbol = held.position.symbol.to_string();
        marker!(
            EXPOSURE_UNPROTECTED,
            position_id = id.0,
            symbol = symbol.as_str(),
            uncovered_qty = held.base().to_string(),
            bare_ms = mono - since
        );
        let (cause, level) = (
            penstock_trading::mode::CauseCode::ProtectionMissing,
            penstock_trading::mode::Level::Degrade,
        );
        self.mode.raise(cause, level, Some(symbol));
    }
}
