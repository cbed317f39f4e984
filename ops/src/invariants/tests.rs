//! Each invariant holds on facts that are right, and one edited fact turns it, and only it, false.

use super::*;
use penstock_types::vocab::{OrderRole, Side};
use penstock_types::{Decimal, FencingToken, GenerationId, RunId, Symbol, TickId, UtcMicros, Uuid};
use rstest::rstest;
use std::collections::BTreeMap;

fn id(n: u8) -> Uuid {
    let mut bytes = [0; 16];
    bytes[5] = n;
    bytes[13] = 7;
    Uuid::from_bytes(bytes)
}

fn dec(n: i64) -> Decimal {
    Decimal::new(n, 2)
}

fn symbol() -> Symbol {
    Symbol::new("BTC/USD").unwrap()
}

fn order(n: u8, role: OrderRole) -> OrderFact {
    OrderFact {
        order_id: i64::from(n),
        cl_ord_id: id(n),
        exchange_order_id: Some(format!("O{n}")),
        role,
        token: FencingToken(7),
        committed_at: Some(UtcMicros(1_000 * i64::from(n))),
    }
}

fn request(n: u8) -> VenueRequest {
    VenueRequest {
        first_byte_at: UtcMicros(1_000 * i64::from(n) + 500),
        method: "add_order".to_owned(),
        cl_ord_ids: vec![id(n)],
        accepted: true,
    }
}

fn trade(n: u8, side: Side) -> (VenueTrade, FillFact) {
    let (exec_id, symbol) = (format!("T{n}"), symbol());
    let (price, qty, fee) = (dec(10_000), dec(50), dec(5));
    let fill = FillFact { exec_id: exec_id.clone(), symbol: symbol.clone(), side, price, qty, fee };
    (VenueTrade { exec_id, symbol, side, price, qty, fee }, fill)
}

fn ledger(seq: i32, delta: i64, after: i64, realized: i64) -> LedgerFact {
    LedgerFact {
        position_id: 1,
        ledger_seq: seq,
        delta_base: dec(delta),
        base_after: dec(after),
        realized_quote: dec(realized),
    }
}

fn frame(tick: i64, previous: u8, own: u8) -> FrameFact {
    FrameFact {
        tick_id: TickId(tick),
        error: None,
        previous_sha256: [previous; 32],
        sha256: [own; 32],
        row_sha256: [own; 32],
    }
}

/// One buy and one sell of 0.50 at 100.00, fee 0.05 each: everything as it must be.
fn right() -> Facts {
    let (buy, buy_fill) = trade(1, Side::Buy);
    let (sell, sell_fill) = trade(2, Side::Sell);
    let venue_order = |n: u8| VenueOrder { order_id: format!("O{n}"), cl_ord_id: Some(id(n)) };
    Facts {
        requests: vec![request(1), request(2)],
        venue_orders: vec![venue_order(1), venue_order(2)],
        venue_trades: vec![buy, sell],
        busted: std::collections::BTreeSet::new(),
        venue_balances: BTreeMap::from([("USD".to_owned(), dec(99_990))]),
        venue_opening: BTreeMap::from([("USD".to_owned(), dec(100_000))]),
        unprotected_open_ms_max: 40,
        unprotected_close_ms_max: 300,
        exposures: 1,
        session_tokens: vec![FencingToken(7)],
        orders: vec![order(1, OrderRole::Entry), order(2, OrderRole::Protection)],
        fills: vec![buy_fill, sell_fill],
        ledger: vec![ledger(1, 50, 50, 0), ledger(2, -50, 0, -10)],
        positions: vec![PositionFact {
            position_id: 1,
            symbol: symbol(),
            base_qty: Decimal::ZERO,
            realized_quote: dec(-10),
        }],
        protections: vec![ProtectionFact {
            order_id: 2,
            stream_witnesses: 1,
            look_witnesses: 1,
            look_excused: false,
        }],
        entries: vec![EntryFact {
            order_id: 1,
            cycle_generation: GenerationId(3_000_000_010),
            visible_generation: Some(GenerationId(3_000_000_012)),
            state_age_ms: 900,
            route_limit_ms: 30_000,
        }],
        cycles: vec![CycleFact {
            evaluation_id: 1,
            session_id: id(9),
            generation: Some(GenerationId(3_000_000_010)),
            generations_in_input: 1,
        }],
        generations: vec![
            GenerationFact { generation_id: GenerationId(3_000_000_010), published: true },
            GenerationFact { generation_id: GenerationId(3_000_000_011), published: true },
        ],
        quotes: vec![QuoteFact {
            tick_id: TickId(5),
            symbol: symbol(),
            ours: (dec(9_999), dec(10_001)),
            theirs: Some((dec(9_999), dec(10_001))),
        }],
        runs: vec![RunFact {
            run_id: RunId(1),
            rows: 10,
            unexplained_holes: 0,
            unexplained_trades: 0,
            joined: true,
        }],
        replays: vec![ReplayFact { what: "evaluation 1".to_owned(), equal: true }],
        frames: vec![frame(5, 0, 1), frame(6, 1, 2)],
    }
}

#[test]
fn right_facts_make_every_invariant_true_and_judged() {
    let report = judge(&right());
    assert!(report.passes(&OF_A_RUN), "{:?}", report.findings().collect::<Vec<_>>());
}

#[test]
fn no_facts_make_every_invariant_silent() {
    let report = judge(&Facts::default());
    for name in &OF_A_RUN {
        assert_eq!(report.verdict(*name).unwrap().holds(), None, "{name}");
    }
    assert!(!report.passes(&[Invariant::J1]));
    assert!(report.passes(&[]));
}

#[rstest]
#[case::sent_before_commit(Invariant::J1, |f: &mut Facts| f.orders[0].committed_at = Some(UtcMicros(1_501)))]
#[case::sent_without_row(Invariant::J1, |f: &mut Facts| f.orders[0].committed_at = None)]
#[case::two_venue_orders(Invariant::J2, |f: &mut Facts| f.venue_orders[1].cl_ord_id = Some(id(1)))]
#[case::row_names_another(Invariant::J2, |f: &mut Facts| f.orders[1].exchange_order_id = Some("O9".to_owned()))]
#[case::other_fee(Invariant::J3, |f: &mut Facts| f.venue_trades[1].fee = dec(6))]
#[case::lost_position(Invariant::J4, |f: &mut Facts| f.positions[0].base_qty = dec(1))]
#[case::ledger_edited(Invariant::J4, |f: &mut Facts| f.ledger[1].realized_quote = dec(-9))]
#[case::balance_edited(Invariant::J4, |f: &mut Facts| { f.venue_balances.insert("USD".to_owned(), dec(1)); })]
#[case::held_naked(Invariant::J5, |f: &mut Facts| f.unprotected_open_ms_max = 1_501)]
#[case::closed_naked(Invariant::J5, |f: &mut Facts| f.unprotected_close_ms_max = 5_001)]
#[case::one_witness(Invariant::J5, |f: &mut Facts| f.protections[0].look_witnesses = 0)]
#[case::stale_entry(Invariant::J6, |f: &mut Facts| f.entries[0].state_age_ms = 30_001)]
#[case::six_behind(Invariant::J6, |f: &mut Facts| f.entries[0].visible_generation = Some(GenerationId(3_000_000_016)))]
#[case::other_fence(Invariant::J6, |f: &mut Facts| f.entries[0].cycle_generation = GenerationId(2_999_999_999))]
#[case::foreign_token(Invariant::J7, |f: &mut Facts| f.session_tokens = vec![FencingToken(8)])]
#[case::shared_token(Invariant::J7, |f: &mut Facts| f.session_tokens.push(FencingToken(7)))]
#[case::mixed_input(Invariant::J8, |f: &mut Facts| f.cycles[0].generations_in_input = 2)]
#[case::ids_fall(Invariant::J8, |f: &mut Facts| f.generations[1].generation_id = GenerationId(1))]
#[case::other_book(Invariant::J9, |f: &mut Facts| f.quotes[0].theirs = Some((dec(9_998), dec(10_001))))]
#[case::hole(Invariant::J10, |f: &mut Facts| f.runs[0].unexplained_holes = 1)]
#[case::trade_missing(Invariant::J10, |f: &mut Facts| f.runs[0].unexplained_trades = 1)]
#[case::derives_else(Invariant::J11, |f: &mut Facts| f.replays[0].equal = false)]
#[case::chain_broken(Invariant::J12, |f: &mut Facts| f.frames[1].previous_sha256 = [9; 32])]
#[case::row_hash(Invariant::J12, |f: &mut Facts| f.frames[0].row_sha256 = [9; 32])]
fn one_edit_turns_its_invariant_false(#[case] which: Invariant, #[case] edit: impl Fn(&mut Facts)) {
    let mut facts = right();
    edit(&mut facts);
    let report = judge(&facts);
    for name in &OF_A_RUN {
        let holds = report.verdict(*name).unwrap().holds();
        assert_eq!(holds, Some(*name != which), "{name}: {:?}", report.verdict(*name));
    }
}
