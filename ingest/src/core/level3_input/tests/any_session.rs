//! Any session of the venue against its replay from rows alone.

use super::venue::{Change, Side};
use super::{LEVEL3, opened};
use penstock_types::raw::RawBody;
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Step {
    Add(bool, i64, i64),
    Modify(prop::sample::Index, i64),
    Delete(prop::sample::Index),
    Print(bool, i64, i64),
    Broken,
    Image,
    Silence,
}

fn any_step() -> impl Strategy<Value = (i64, Step)> {
    let step = prop_oneof![
        6 => (any::<bool>(), 0..6_i64, 1..500_i64).prop_map(|(b, p, q)| Step::Add(b, p, q)),
        4 => (any::<prop::sample::Index>(), 1..500_i64).prop_map(|(i, q)| Step::Modify(i, q)),
        3 => any::<prop::sample::Index>().prop_map(Step::Delete),
        4 => (any::<bool>(), 0..6_i64, 1..300_i64).prop_map(|(b, p, q)| Step::Print(b, p, q)),
        1 => Just(Step::Broken),
        1 => Just(Step::Image),
        1 => Just(Step::Silence),
    ];
    (0..900_i64, step)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Whatever the venue does, the columns follow from the rows alone, and no sample is one of a book
    /// that is not live.
    #[test]
    fn the_columns_of_any_session_follow_from_its_rows(steps in prop::collection::vec(any_step(), 1..60)) {
        let mut rig = opened();
        let (mut ms, mut id) = (200, 100);
        for (wait, step) in steps {
            ms += wait;
            rig.is_heard = true;
            match step {
                Step::Add(is_bid, level, qty) => {
                    id += 1;
                    let (side, price) = if is_bid { (Side::Bid, 100 - level) } else { (Side::Ask, 105 + level) };
                    rig.change(ms, Change::Add(id, side, price, qty));
                }
                Step::Modify(which, qty) if rig.venue.len() > 0 => {
                    let id = rig.venue.id_at(which.index(rig.venue.len()));
                    rig.change(ms, Change::Modify(id, qty));
                }
                Step::Delete(which) if rig.venue.len() > 0 => {
                    let id = rig.venue.id_at(which.index(rig.venue.len()));
                    rig.change(ms, Change::Delete(id));
                }
                Step::Modify(..) | Step::Delete(_) => {}
                Step::Print(is_bid, level, qty) => {
                    let (side, price) = if is_bid { (Side::Bid, 100 - level) } else { (Side::Ask, 105 + level) };
                    rig.print(ms, side, price, qty);
                }
                Step::Broken => {
                    rig.to(ms);
                    let text = rig.venue.broken(ms, Change::Add(99_999, Side::Bid, 100, 1));
                    rig.frame(LEVEL3, ms, text);
                }
                Step::Image => rig.image(ms),
                Step::Silence => {
                    rig.is_heard = false;
                    ms += 9_000;
                    rig.to(ms);
                }
            }
        }
        rig.is_heard = true;
        rig.to(ms + 6_000);
        prop_assert!(rig.is_derived_again());
        let rows = &rig.market.out.rows;
        let last = rig.market.out.cuts.last().unwrap().wm_seq;
        let before = rows.iter().filter(|row| row.seq <= last);
        let counted = before.filter(|row| matches!(row.body, RawBody::L3(_))).count();
        prop_assert_eq!(rig.state().l3_count, i64::try_from(counted).unwrap());
    }
}
