//! How far a model may change a decision.

use penstock_contracts::ai::enforce::lattice::search;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// No change that is made raises a measure of risk or touches what it may not: over random decisions and random
    /// changes, from any seed. A longer search by hand: the example `modify_lattice`.
    #[test]
    fn modify_lattice(seed: u64) {
        let tried = search(seed, 2_000).map_err(TestCaseError::fail)?;
        prop_assert!(tried.made > 100, "{:?}", tried);
        prop_assert!(tried.refused > 100, "{:?}", tried);
    }
}
