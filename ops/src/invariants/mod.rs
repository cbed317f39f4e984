//! The invariant checker: what the product recorded, held against the simulated venue's own ledger.
//!
//! Inputs: [`Facts`], loaded from both clusters and from the venue after a run. Output: [`Report`],
//! one verdict per invariant with the number of items that it looked at; one that saw nothing has no
//! verdict. Pure: the same facts give the same report. It does not use what the product concluded
//! about itself where the venue or PostgreSQL has a witness of its own: commit times are
//! PostgreSQL's, first bytes, trades, balances and stops are the venue's.

mod data;
mod facts;
mod money;
mod orders;
mod outages;
mod protection;
mod report;
#[cfg(test)]
mod tests;

pub use facts::{
    CycleFact, EntryFact, Facts, FillFact, FrameFact, GenerationFact, LedgerFact, OrderFact,
    PositionFact, ProtectionFact, QuoteFact, ReplayFact, RunFact, VenueOrder, VenueRequest,
    VenueTrade,
};
pub use outages::{FaultFact, LimitFact, Lost, ModeFact, OutageFacts, OutageLimits, judge_outages};
pub use protection::{
    CoverFacts, CoverFault, CoverPhase, CriticalFact, Uncovered, UncoveredFact, cover_verdict,
    judge_cover,
};
pub use report::{Finding, Invariant, OF_A_RUN, Report, Verdict};

/// Judges every invariant of this version.
#[must_use]
pub fn judge(facts: &Facts) -> Report {
    let mut report = Report::default();
    report.put(Invariant::J1, orders::committed_before_first_byte(facts));
    report.put(Invariant::J2, orders::one_venue_order_per_row(facts));
    report.put(Invariant::J3, money::fills_are_the_venues_trades(facts));
    report.put(Invariant::J4, money::positions_are_fills_are_balances(facts));
    report.put(Invariant::J5, protection::covered_but_for_the_grace(facts));
    report.put(Invariant::J6, data::entries_on_fresh_whole_data(facts));
    report.put(Invariant::J7, orders::tokens_never_go_back(facts));
    report.put(Invariant::J8, data::generations_never_go_back(facts));
    report.put(Invariant::J9, data::quotes_are_the_venues_book(facts));
    report.put(Invariant::J10, data::time_is_data_or_gap(facts));
    report.put(Invariant::J11, data::derived_again_equal(facts));
    report.put(Invariant::J12, data::frame_chain_is_whole(facts));
    report
}
