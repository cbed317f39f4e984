//! Ids of contracts: the hash of what an order is meant to do.
#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

use penstock_contracts::OrderIntentHashPayload;
use penstock_contracts::fixtures::{amount, entry_intent};
use penstock_contracts::units::Hex64;
use penstock_contracts::vocab::Side;
use penstock_types::canonical;
use penstock_types::vocab::{OrderRole, OrderType};
use penstock_types::{PositionId, Symbol};
use proptest::prelude::*;
use serde_json::{Map, Value};

/// Fields that the hash is taken of; a field more or fewer is another shape and raises the version of the contracts.
const HASHED: [&str; 15] = [
    "constraints_hash",
    "exit_plan_sl",
    "exit_plan_tp",
    "intent_seq",
    "limit_price",
    "mode",
    "order_type",
    "parent_intent_hash",
    "position_id",
    "qty",
    "role",
    "side",
    "snapshot_hash",
    "symbol",
    "trigger_price",
];

fn price() -> impl Strategy<Value = Option<String>> {
    prop::option::of((1_i64..10_000_000).prop_map(|n| format!("{}.{}", n / 10, n % 10)))
}

fn intent() -> impl Strategy<Value = OrderIntentHashPayload> {
    let role = prop::sample::select(OrderRole::ALL);
    let kind = prop::sample::select(OrderType::ALL);
    let terms = (1_i64..1_000, price(), price(), price(), price());
    let hashes = (prop::option::of(any::<u8>()), any::<u8>(), prop::option::of(any::<u8>()));
    let who = (0_i32..4, any::<bool>(), prop::option::of(1_i64..100), 0_usize..3);
    (role, kind, terms, hashes, who).prop_map(|(role, order_type, terms, hashes, who)| {
        let of = |byte: u8| Hex64::of_bytes(&[byte]);
        let term = |text: Option<String>| text.map(|text| amount(&text));
        OrderIntentHashPayload {
            role,
            order_type,
            intent_seq: who.0,
            side: if who.1 { Side::Buy } else { Side::Sell },
            position_id: who.2.map(PositionId),
            symbol: Symbol::new(["BTC/USD", "ETH/USD", "SOL/USD"][who.3]).unwrap(),
            qty: amount(&terms.0.to_string()),
            limit_price: term(terms.1),
            trigger_price: term(terms.2),
            exit_plan_sl: term(terms.3),
            exit_plan_tp: term(terms.4),
            snapshot_hash: hashes.0.map(of),
            constraints_hash: of(hashes.1),
            parent_intent_hash: hashes.2.map(of),
            ..entry_intent()
        }
    })
}

/// What a cycle knows beside the intent.
const AROUND: [&str; 11] = [
    "ts_ms",
    "created_ts_ms",
    "deadline_at",
    "expire_at",
    "cycle_id",
    "session_id",
    "run_id",
    "stage",
    "cl_ord_id",
    "generation_id",
    "epoch_id",
];

/// Some of it. None has a place in what is hashed, so the same order derived at another time, in another cycle, by another
/// session has the same hash.
fn surroundings() -> impl Strategy<Value = Map<String, Value>> {
    prop::collection::vec((prop::sample::select(&AROUND[..]), any::<i32>()), 1..8)
        .prop_map(|known| known.into_iter().map(|(n, v)| (n.to_owned(), v.into())).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// The hash is a function of the terms alone: the same terms give the same hash after any way through JSON and in
    /// any order of fields; any other term gives another; what a clock, a cycle or a client id says cannot get in.
    #[test]
    fn intent_hash_stable(one in intent(), other in intent(), around in surroundings()) {
        let hash = one.intent_hash().unwrap();
        let tree = serde_json::to_value(&one).unwrap();
        let fields = tree.as_object().unwrap();
        prop_assert!(fields.keys().map(String::as_str).eq(HASHED));
        prop_assert_eq!(canonical::hash(&tree).unwrap(), hash.as_str());

        let backwards: Vec<String> =
            fields.iter().rev().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        let again: OrderIntentHashPayload =
            serde_json::from_str(&format!("{{{}}}", backwards.join(","))).unwrap();
        prop_assert_eq!(again.intent_hash().unwrap(), hash.clone());

        for (name, value) in &around {
            let mut with = fields.clone();
            with.insert(name.clone(), value.clone());
            prop_assert!(
                serde_json::from_value::<OrderIntentHashPayload>(with.into()).is_err(),
                "{} is no part of an intent", name
            );
        }
        prop_assert_eq!(one == other, hash == other.intent_hash().unwrap());
        for name in HASHED {
            let theirs = serde_json::to_value(&other).unwrap();
            let mut mixed = tree.clone();
            mixed[name] = theirs[name].clone();
            let mixed: OrderIntentHashPayload = serde_json::from_value(mixed).unwrap();
            let same = tree[name] == theirs[name];
            prop_assert_eq!(mixed.intent_hash().unwrap() == hash, same, "{}", name);
        }
    }
}
