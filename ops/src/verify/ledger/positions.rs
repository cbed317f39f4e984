//! Positions against their ledger, the ledger against the fills, results against both.
//!
//! Each ledger row is booked again from its fill, or from its own change when it is a correction, onto the head that the
//! rows before it gave; the position must be the last head, and each sale's result that of its booking.

use std::collections::{BTreeMap, BTreeSet};

use penstock_store_decision::ledger_read::{Books, FillRow, LedgerRow, PositionRow, ResultRow};
use penstock_trading::ledger::{Booked, FillTerms, Head, book_fill};
use penstock_types::Decimal;
use penstock_types::vocab::Side;

use super::Found;

pub(super) fn judge(books: &Books, found: &mut Found) {
    let fills: BTreeMap<i64, &FillRow> = books.fills.iter().map(|f| (f.fill_id, f)).collect();
    let results: BTreeMap<i64, &ResultRow> = books.results.iter().map(|r| (r.fill_id, r)).collect();
    let mut ledger: BTreeMap<i64, Vec<&LedgerRow>> = BTreeMap::new();
    for row in &books.ledger {
        ledger.entry(row.position_id).or_default().push(row);
    }
    let mut booked = BTreeSet::new();
    for position in &books.positions {
        let rows = ledger.remove(&position.position_id).unwrap_or_default();
        let head = fold(position, &rows, &fills, &results, found);
        is_head(position, &head, found);
        booked.extend(rows.iter().filter_map(|row| row.fill_id));
    }
    for (position_id, rows) in ledger {
        let at = format!("ledger {}", rows[0].ledger_id);
        found.say(&at, "position_id", &position_id.to_string(), "no such position");
    }
    for fill in books.fills.iter().filter(|fill| !booked.contains(&fill.fill_id)) {
        found.say(&format!("fill {}", fill.fill_id), "ledger", "none", "one row");
    }
    for result in books.results.iter().filter(|r| !booked.contains(&r.fill_id)) {
        found.say(&format!("result {}", result.id), "fill_id", &result.fill_id.to_string(), "none");
    }
}

fn fold(
    position: &PositionRow,
    rows: &[&LedgerRow],
    fills: &BTreeMap<i64, &FillRow>,
    results: &BTreeMap<i64, &ResultRow>,
    found: &mut Found,
) -> Head {
    let mut head = Head::default();
    for row in rows {
        let at = format!("ledger {} of position {}", row.ledger_id, position.position_id);
        found.equal(&at, "ledger_seq", row.ledger_seq, head.seq + 1);
        found.same(&at, "base_before", row.base_before, head.base);
        found.same(&at, "cost_before", row.cost_before, head.cost);
        same_price(&at, "avg_entry_before", row.avg_entry_before, head.avg_entry, found);
        match row.fill_id.map(|id| (id, fills.get(&id))) {
            Some((id, Some(fill))) => {
                let Some(again) = book(&head, fill) else {
                    found.say(&at, "fill_id", &id.to_string(), "cannot be booked");
                    head = stored(row, &head);
                    continue;
                };
                compare(&at, row, &again, found);
                result(&at, results.get(&id).copied(), &again, found);
            }
            Some((id, None)) => found.say(&at, "fill_id", &id.to_string(), "no such fill"),
            None => found.equal(&at, "kind", row.kind.as_str(), "adjust"),
        }
        found.same(&at, "base_after", row.base_after, head.base + row.delta_base);
        // Onto what is stored: a difference is named where it is, and not in every row behind it.
        head = stored(row, &head);
    }
    head
}

fn book(head: &Head, fill: &FillRow) -> Option<Booked> {
    let side = Side::parse(&fill.side).ok()?;
    let base = fill.symbol.split('/').next().unwrap_or_default();
    let fee_base = if fill.fee_asset == base { fill.fee_asset_qty } else { Decimal::ZERO };
    let terms =
        FillTerms { side, price: fill.price, qty: fill.qty, fee_quote: fill.fee_quote, fee_base };
    book_fill(head, &terms).ok()
}

fn compare(at: &str, row: &LedgerRow, again: &Booked, found: &mut Found) {
    found.equal(at, "kind", row.kind.as_str(), again.row.kind.as_str());
    found.same(at, "delta_base", row.delta_base, again.row.delta_base);
    found.same(at, "cost_after", row.cost_after, again.row.cost_after);
    same_price(at, "avg_entry_after", row.avg_entry_after, again.row.avg_entry_after, found);
    found.same(at, "open_fees_after", row.open_fees_after, again.row.open_fees_after);
    found.same(at, "realized_quote", row.realized_quote, again.row.realized_quote);
    found.same(at, "fee_quote", row.fee_quote, again.row.fee_quote);
}

fn result(at: &str, stored: Option<&ResultRow>, again: &Booked, found: &mut Found) {
    match (stored, &again.realized) {
        (Some(row), Some(derived)) => {
            let at = format!("result {}", row.id);
            found.same(&at, "closed_qty", row.closed_qty, derived.closed_qty);
            found.same(&at, "gross_quote", row.gross_quote, derived.gross_quote);
            found.same(&at, "fees_quote", row.fees_quote, derived.fees_quote);
            found.same(&at, "net_quote", row.net_quote, derived.net_quote);
        }
        (Some(row), None) => found.say(&format!("result {}", row.id), "fill_id", "a sale", "none"),
        (None, Some(derived)) => found.say(at, "result", "none", &derived.net_quote.to_string()),
        (None, None) => {}
    }
}

/// The head that a stored row leaves.
fn stored(row: &LedgerRow, before: &Head) -> Head {
    Head {
        base: row.base_after,
        cost: row.cost_after,
        avg_entry: row.avg_entry_after,
        open_fees: row.open_fees_after,
        realized: before.realized + row.realized_quote,
        fees: before.fees + row.fee_quote,
        seq: row.ledger_seq,
    }
}

fn is_head(position: &PositionRow, head: &Head, found: &mut Found) {
    let at = format!("position {}", position.position_id);
    found.same(&at, "base_qty", position.base_qty, head.base);
    found.same(&at, "cost_basis_quote", position.cost_basis_quote, head.cost);
    same_price(&at, "avg_entry_price", position.avg_entry_price, head.avg_entry, found);
    found.same(&at, "realized_quote", position.realized_quote, head.realized);
    found.same(&at, "open_entry_fees_quote", position.open_entry_fees_quote, head.open_fees);
    found.same(&at, "fees_quote", position.fees_quote, head.fees);
    found.equal(&at, "ledger_seq", position.ledger_seq, head.seq);
}

fn same_price(
    at: &str,
    field: &'static str,
    stored: Option<Decimal>,
    derived: Option<Decimal>,
    found: &mut Found,
) {
    found.same(at, field, stored.unwrap_or_default(), derived.unwrap_or_default());
}
