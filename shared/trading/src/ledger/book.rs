//! Booking one fill or one adjustment onto a position's head.
//!
//! Input: head and terms. Output: [`Booked`]. Rounding as in [`super`]; nothing is read or stored.

use super::{FillTerms, Head, LedgerError, LedgerKind, LedgerRow, Realized};
use penstock_types::Decimal;
use penstock_types::decimal::{round_to, scale};
use penstock_types::vocab::Side;

/// Greatest amount of basis points that the column holds.
const BPS_LIMIT: Decimal = Decimal::from_parts(3_567_587_327, 232, 0, false, 4);

/// Outcome of a booking.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Booked {
    /// The new row.
    pub row: LedgerRow,
    /// The new head.
    pub head: Head,
    /// Result, when base was sold.
    pub realized: Option<Realized>,
    /// Base sold beyond what the position held; zero but for a broken account.
    pub excess: Decimal,
}

/// Books a fill.
///
/// # Errors
/// [`LedgerError`] when price or quantity is not above zero or an amount does not fit.
pub fn book_fill(head: &Head, fill: &FillTerms) -> Result<Booked, LedgerError> {
    if fill.price <= Decimal::ZERO || fill.qty <= Decimal::ZERO {
        return Err(LedgerError::NotPositive { price: fill.price, qty: fill.qty });
    }
    let booked = match fill.side {
        Side::Buy => buy(head, fill),
        Side::Sell => sell(head, fill),
    };
    booked.ok_or(LedgerError::Overflow { price: fill.price, qty: fill.qty })
}

fn buy(head: &Head, fill: &FillTerms) -> Option<Booked> {
    let delta = fill.qty.checked_sub(fill.fee_base)?.max(Decimal::ZERO);
    let cost = round_to(fill.price.checked_mul(fill.qty)?, scale::AMT);
    let fee = round_to(fill.fee_quote, scale::AMT);
    let base_after = head.base.checked_add(delta)?;
    let cost_after = head.cost.checked_add(cost)?;
    let avg = if base_after.is_zero() {
        head.avg_entry
    } else {
        Some(round_to(cost_after.checked_div(base_after)?, scale::PX))
    };
    let kind = if head.seq == 0 { LedgerKind::Open } else { LedgerKind::Increase };
    let after = Head {
        base: base_after,
        cost: cost_after,
        avg_entry: avg,
        open_fees: head.open_fees.checked_add(fee)?,
        realized: head.realized,
        fees: head.fees.checked_add(fee)?,
        seq: head.seq + 1,
    };
    let row = row_of(head, &after, kind, delta, Decimal::ZERO, fee);
    Some(Booked { row, head: after, realized: None, excess: Decimal::ZERO })
}

fn sell(head: &Head, fill: &FillTerms) -> Option<Booked> {
    let wanted = fill.qty.checked_add(fill.fee_base)?;
    let sold = wanted.min(head.base);
    let excess = wanted.checked_sub(sold)?;
    let fee = round_to(fill.fee_quote, scale::AMT);
    let proceeds = round_to(fill.price.checked_mul(fill.qty.min(head.base))?, scale::AMT);
    let (cost, fees) = released(head, sold)?;
    let gross = proceeds.checked_sub(cost)?;
    let total_fees = fee.checked_add(fees)?;
    let net = gross.checked_sub(total_fees)?;
    let after = Head {
        base: head.base.checked_sub(sold)?,
        cost: head.cost.checked_sub(cost)?,
        avg_entry: head.avg_entry,
        open_fees: head.open_fees.checked_sub(fees)?,
        realized: head.realized.checked_add(net)?,
        fees: head.fees.checked_add(fee)?,
        seq: head.seq + 1,
    };
    let kind = if after.base.is_zero() { LedgerKind::Close } else { LedgerKind::Reduce };
    let row = row_of(head, &after, kind, -sold, net, fee);
    let realized = (sold > Decimal::ZERO).then(|| Realized {
        closed_qty: sold,
        entry_price: head.avg_entry.unwrap_or(fill.price),
        exit_price: fill.price,
        gross_quote: gross,
        fees_quote: total_fees,
        net_quote: net,
        net_bps: bps(net, cost),
    });
    Some(Booked { row, head: after, realized, excess })
}

/// Cost and entry fees that leave with `sold` base; all that is left when nothing stays.
fn released(head: &Head, sold: Decimal) -> Option<(Decimal, Decimal)> {
    if sold >= head.base {
        return Some((head.cost, head.open_fees));
    }
    let share = |amount: Decimal| {
        amount
            .checked_mul(sold)
            .and_then(|product| product.checked_div(head.base))
            .or_else(|| sold.checked_div(head.base)?.checked_mul(amount))
            .map(|part| round_to(part, scale::AMT))
    };
    Some((share(head.cost)?, share(head.open_fees)?))
}

/// `net / cost` in basis points, held inside the column.
fn bps(net: Decimal, cost: Decimal) -> Decimal {
    let ratio = net.checked_mul(Decimal::from(10_000)).and_then(|n| n.checked_div(cost));
    match ratio {
        Some(value) => round_to(value, scale::BPS).clamp(-BPS_LIMIT, BPS_LIMIT),
        None => Decimal::ZERO,
    }
}

fn row_of(
    before: &Head,
    after: &Head,
    kind: LedgerKind,
    delta: Decimal,
    realized: Decimal,
    fee: Decimal,
) -> LedgerRow {
    LedgerRow {
        seq: after.seq,
        kind,
        delta_base: delta,
        base_before: before.base,
        base_after: after.base,
        cost_before: before.cost,
        cost_after: after.cost,
        avg_entry_before: before.avg_entry,
        avg_entry_after: after.avg_entry,
        open_fees_after: after.open_fees,
        realized_quote: realized,
        fee_quote: fee,
    }
}

/// Books a correction without a fill: base found at `price`, or base that is not there.
///
/// Base that is gone takes its share of cost and entry fees with it and realises nothing: what it
/// brought is not known here.
///
/// # Errors
/// [`LedgerError::BelowZero`] when more would leave than is held, `Overflow` beyond 28 digits.
pub fn book_adjust(head: &Head, delta: Decimal, price: Decimal) -> Result<Booked, LedgerError> {
    let overflow = LedgerError::Overflow { price, qty: delta };
    let base_after = head.base.checked_add(delta).ok_or(overflow)?;
    if base_after < Decimal::ZERO {
        return Err(LedgerError::BelowZero { delta, base: head.base });
    }
    let mut after = Head { base: base_after, seq: head.seq + 1, ..*head };
    if delta > Decimal::ZERO {
        let cost = price.checked_mul(delta).ok_or(overflow)?;
        after.cost = head.cost.checked_add(round_to(cost, scale::AMT)).ok_or(overflow)?;
        let avg = after.cost.checked_div(base_after).ok_or(overflow)?;
        after.avg_entry = Some(round_to(avg, scale::PX));
    } else {
        let (cost, fees) = released(head, -delta).ok_or(overflow)?;
        after.cost -= cost;
        after.open_fees -= fees;
    }
    let row = row_of(head, &after, LedgerKind::Adjust, delta, Decimal::ZERO, Decimal::ZERO);
    Ok(Booked { row, head: after, realized: None, excess: Decimal::ZERO })
}

/// Moves all of one position into another: base, cost and open entry fees go whole, nothing is realised.
///
/// # Errors
/// [`LedgerError::Overflow`] beyond 28 digits.
pub fn book_merge(from: &Head, into: &Head) -> Result<(Booked, Booked), LedgerError> {
    let gone = book_adjust(from, -from.base, Decimal::ZERO)?;
    let price = from.avg_entry.unwrap_or_default();
    let overflow = LedgerError::Overflow { price, qty: from.base };
    let base = into.base.checked_add(from.base).ok_or(overflow)?;
    let cost = into.cost.checked_add(from.cost).ok_or(overflow)?;
    let open_fees = into.open_fees.checked_add(from.open_fees).ok_or(overflow)?;
    let avg = cost.checked_div(base).map_or(into.avg_entry, |avg| Some(round_to(avg, scale::PX)));
    let after = Head { base, cost, open_fees, avg_entry: avg, seq: into.seq + 1, ..*into };
    let row = row_of(into, &after, LedgerKind::Adjust, from.base, Decimal::ZERO, Decimal::ZERO);
    let grown = Booked { row, head: after, realized: None, excess: Decimal::ZERO };
    Ok((gone, grown))
}
