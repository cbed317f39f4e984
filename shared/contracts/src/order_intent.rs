//! The hash of what an order is meant to do, the same for every attempt to derive it.
//!
//! Input: the terms of an order. Output: its hash. Invariants: no clock, no session, no cycle and no client id is part
//! of it; role and number keep two attempts with equal terms apart; a term that an order lacks is `null`.

use crate::amount::DecStr;
use crate::invalid::{Checks, Invalid};
use crate::shape::contract;
use crate::units::Hex64;
use crate::vocab::{Mode, Side};
use penstock_types::canonical::{self, CanonicalError, INTEGER_MAX};
use penstock_types::vocab::{OrderRole, OrderType};
use penstock_types::{Decimal, OrderId, PositionId, Symbol};

contract! {
    /// What the hash of an order's intent is taken of.
    pub OrderIntentHashPayload {
        /// Mode.
        mode: Mode,
        /// What the order is for.
        role: OrderRole,
        /// Earlier orders of the role for the same decision or position.
        intent_seq: i32,
        /// Symbol.
        symbol: Symbol,
        /// Side.
        side: Side,
        /// Type.
        order_type: OrderType,
        /// Quantity.
        qty: DecStr,
        /// Limit.
        limit_price: Option<DecStr>,
        /// Trigger.
        trigger_price: Option<DecStr>,
        /// Stop of the exit that comes with it.
        exit_plan_sl: Option<DecStr>,
        /// Target of that exit.
        exit_plan_tp: Option<DecStr>,
        /// Hash of the decision's inputs.
        snapshot_hash: Option<Hex64>,
        /// Hash of the rules of the pair.
        constraints_hash: Hex64,
        /// Position that it belongs to.
        position_id: Option<PositionId>,
        /// Intent that it follows.
        parent_intent_hash: Option<Hex64>,
    }
}

impl OrderIntentHashPayload {
    /// The hash.
    ///
    /// # Errors
    /// [`CanonicalError`] when a number is beyond what every reader keeps.
    pub fn intent_hash(&self) -> Result<Hex64, CanonicalError> {
        Ok(Hex64::of_bytes(&canonical::to_bytes(self)?))
    }

    /// Every breach.
    #[must_use]
    pub fn breaches(&self) -> Vec<Invalid> {
        let mut checks = Checks::default();
        checks.range("intent_seq", i64::from(self.intent_seq), 0, i64::from(i32::MAX));
        let position = self.position_id.map_or(0, |id| id.0);
        checks.range("position_id", position, 0, INTEGER_MAX);
        let is_some = self.qty.value() > Decimal::ZERO;
        checks.value("qty", is_some, || format!("{} is not above 0", self.qty));
        checks.finish()
    }
}

/// The id of an order's intent, `oi_<order_id>`.
#[must_use]
pub fn order_intent_id(order: OrderId) -> String {
    format!("oi_{order}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{amount, entry_intent};
    use proptest::prelude::*;

    #[test]
    fn an_intent_of_nothing_and_one_before_the_first_are_refused_by_name() {
        let found = |change: fn(&mut OrderIntentHashPayload)| {
            let mut intent = entry_intent();
            change(&mut intent);
            intent.breaches().iter().map(|breach| breach.field).collect::<Vec<_>>()
        };
        assert_eq!(found(|_| ()), [] as [&str; 0]);
        assert_eq!(found(|i| i.position_id = Some(PositionId(0))), [] as [&str; 0]);
        assert_eq!(found(|i| i.position_id = Some(PositionId(-1))), ["position_id"]);
        assert_eq!(found(|i| i.intent_seq = -1), ["intent_seq"]);
        assert_eq!(found(|i| i.qty = amount("0")), ["qty"]);
    }

    #[test]
    fn the_hash_has_a_fixed_shape_and_a_known_value() {
        let intent = entry_intent();
        let json = serde_json::to_value(&intent).unwrap();
        let fields = json.as_object().unwrap();
        assert_eq!(fields.len(), 15);
        assert!(fields["trigger_price"].is_null(), "an absent term is null");
        let clocks = ["session", "run_id", "cycle", "stage", "cl_ord", "ts_ms", "_at"];
        let foreign = fields.keys().find(|key| clocks.iter().any(|word| key.contains(word)));
        assert_eq!(foreign, None);
        assert_eq!(order_intent_id(OrderId(7)), "oi_7");
        let text = serde_json::to_string(&intent).unwrap();
        let again: OrderIntentHashPayload = serde_json::from_str(&text).unwrap();
        assert_eq!(again.intent_hash().unwrap(), intent.intent_hash().unwrap());
        assert_eq!(intent.intent_hash().unwrap().as_str(), KNOWN);
    }

    /// Hash of the fixture; a change of it is a change of the shape and raises the version of the contracts.
    const KNOWN: &str = "1942b5c9af9e80e114283401476cb7c50bf01c92a73e68dc1034cf8392237eaf";

    proptest! {
        #[test]
        fn two_intents_have_one_hash_only_when_every_term_is_the_same(
            seq in 0_i32..3, qty in 1_i64..4, position in proptest::option::of(1_i64..3),
            other_seq in 0_i32..3, other_qty in 1_i64..4,
            other_position in proptest::option::of(1_i64..3),
        ) {
            let of = |seq, qty: i64, position: Option<i64>| OrderIntentHashPayload {
                intent_seq: seq,
                qty: amount(&qty.to_string()),
                position_id: position.map(PositionId),
                ..entry_intent()
            };
            let one = of(seq, qty, position);
            let other = of(other_seq, other_qty, other_position);
            prop_assert_eq!(
                one == other,
                one.intent_hash().unwrap() == other.intent_hash().unwrap()
            );
        }
    }
}
