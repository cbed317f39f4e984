//! The facts that the checker judges: rows of the product, entries of the venue's ledger.

use penstock_types::vocab::{OrderRole, Side};
use penstock_types::{Decimal, FencingToken, GenerationId, RunId, Symbol, TickId, UtcMicros, Uuid};
use std::collections::{BTreeMap, BTreeSet};

/// Everything of one run of the demo.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Requests at the venue's private endpoints, by first byte.
    pub requests: Vec<VenueRequest>,
    /// The venue's orders.
    pub venue_orders: Vec<VenueOrder>,
    /// The venue's trades of the account.
    pub venue_trades: Vec<VenueTrade>,
    /// Execution ids of the trades that the venue took back: they are in neither list of trades.
    pub busted: BTreeSet<String>,
    /// The venue's balances, plain asset codes.
    pub venue_balances: BTreeMap<String, Decimal>,
    /// The venue's balances before the first order.
    pub venue_opening: BTreeMap<String, Decimal>,
    /// Longest time without cover while holding, ms.
    pub unprotected_open_ms_max: i64,
    /// Longest time without cover while closing, ms.
    pub unprotected_close_ms_max: i64,
    /// Position intervals behind these two.
    pub exposures: u64,
    /// Tokens that the execution fence gave out, with their session.
    pub session_tokens: Vec<FencingToken>,
    /// Order rows.
    pub orders: Vec<OrderFact>,
    /// Fill rows.
    pub fills: Vec<FillFact>,
    /// Ledger rows in order of (position, seq).
    pub ledger: Vec<LedgerFact>,
    /// Position rows.
    pub positions: Vec<PositionFact>,
    /// Protection orders that the venue acknowledged.
    pub protections: Vec<ProtectionFact>,
    /// Entry orders with the data they rest on.
    pub entries: Vec<EntryFact>,
    /// Evaluations in order.
    pub cycles: Vec<CycleFact>,
    /// Generations in order.
    pub generations: Vec<GenerationFact>,
    /// Quotes that frames carried, held against the venue's book.
    pub quotes: Vec<QuoteFact>,
    /// Runs with their holes.
    pub runs: Vec<RunFact>,
    /// Replays of stored inputs and of raw rows.
    pub replays: Vec<ReplayFact>,
    /// Frames in order of tick.
    pub frames: Vec<FrameFact>,
}

/// A request as the venue saw it.
#[derive(Clone, Debug)]
pub struct VenueRequest {
    /// Wall clock of its first byte.
    pub first_byte_at: UtcMicros,
    /// Method in the form of the socket, `add_order`.
    pub method: String,
    /// Client order ids that it names.
    pub cl_ord_ids: Vec<Uuid>,
    /// The engine took it.
    pub accepted: bool,
}

/// An order as the venue has it.
#[derive(Clone, Debug)]
pub struct VenueOrder {
    /// Venue id.
    pub order_id: String,
    /// Client id.
    pub cl_ord_id: Option<Uuid>,
}

/// A trade of the account.
#[derive(Clone, Debug, PartialEq)]
pub struct VenueTrade {
    /// Execution id.
    pub exec_id: String,
    /// Symbol.
    pub symbol: Symbol,
    /// Our side.
    pub side: Side,
    /// Price.
    pub price: Decimal,
    /// Base quantity.
    pub qty: Decimal,
    /// Fee in quote.
    pub fee: Decimal,
}

/// An order row.
#[derive(Clone, Debug)]
pub struct OrderFact {
    /// Row id.
    pub order_id: i64,
    /// Client id.
    pub cl_ord_id: Uuid,
    /// Venue id, once known.
    pub exchange_order_id: Option<String>,
    /// Role.
    pub role: OrderRole,
    /// Token of the row.
    pub token: FencingToken,
    /// PostgreSQL's commit time of the row's first event; `None` when the cluster does not keep it.
    pub committed_at: Option<UtcMicros>,
}

/// A fill row.
#[derive(Clone, Debug, PartialEq)]
pub struct FillFact {
    /// Execution id.
    pub exec_id: String,
    /// Symbol.
    pub symbol: Symbol,
    /// Side.
    pub side: Side,
    /// Price.
    pub price: Decimal,
    /// Base quantity.
    pub qty: Decimal,
    /// Fee in quote.
    pub fee: Decimal,
}

/// A ledger row.
#[derive(Clone, Debug)]
pub struct LedgerFact {
    /// Position.
    pub position_id: i64,
    /// Number within the position, from 1.
    pub ledger_seq: i32,
    /// Signed change of base.
    pub delta_base: Decimal,
    /// Base after it.
    pub base_after: Decimal,
    /// Realised profit of the row in quote.
    pub realized_quote: Decimal,
}

/// A position row.
#[derive(Clone, Debug)]
pub struct PositionFact {
    /// Row id.
    pub position_id: i64,
    /// Symbol.
    pub symbol: Symbol,
    /// Base held.
    pub base_qty: Decimal,
    /// Realised profit in quote.
    pub realized_quote: Decimal,
}

/// A protection order that became live.
#[derive(Clone, Debug)]
pub struct ProtectionFact {
    /// Row id.
    pub order_id: i64,
    /// Reports of the private stream about it.
    pub stream_witnesses: i64,
    /// Confirming looks that covered it.
    pub look_witnesses: i64,
    /// It ended, or the run ended, before a look was due.
    pub look_excused: bool,
}

/// An entry and what it rested on.
#[derive(Clone, Debug)]
pub struct EntryFact {
    /// Row id.
    pub order_id: i64,
    /// Generation of the cycle.
    pub cycle_generation: GenerationId,
    /// Newest generation at the gate.
    pub visible_generation: Option<GenerationId>,
    /// Age of the cycle's state when the row was written, ms.
    pub state_age_ms: i64,
    /// Limit of its route, ms.
    pub route_limit_ms: i64,
}

/// An evaluation.
#[derive(Clone, Debug)]
pub struct CycleFact {
    /// Row id.
    pub evaluation_id: i64,
    /// Session.
    pub session_id: Uuid,
    /// Generation it was bound to.
    pub generation: Option<GenerationId>,
    /// Generations found among the rows of its stored input.
    pub generations_in_input: u64,
}

/// A published generation.
#[derive(Clone, Debug)]
pub struct GenerationFact {
    /// Id.
    pub generation_id: GenerationId,
    /// Published (else it was superseded or is still on its way).
    pub published: bool,
}

/// A quote of a frame beside the venue's book at the same stamp.
#[derive(Clone, Debug)]
pub struct QuoteFact {
    /// Tick that carried it.
    pub tick_id: TickId,
    /// Symbol.
    pub symbol: Symbol,
    /// Bid and ask of the frame.
    pub ours: (Decimal, Decimal),
    /// Bid and ask of the venue's book at that stamp; `None` when the venue never had that stamp.
    pub theirs: Option<(Decimal, Decimal)>,
}

/// A run and what is missing of it.
#[derive(Clone, Debug)]
pub struct RunFact {
    /// Run.
    pub run_id: RunId,
    /// Numbered rows.
    pub rows: u64,
    /// Ranges without a row and without an explanation.
    pub unexplained_holes: u64,
    /// Trade numbers missing outside every gap row.
    pub unexplained_trades: u64,
    /// The time before it, back to the run before, is inside a gap row; true for the first.
    pub joined: bool,
}

/// A stored thing derived again.
#[derive(Clone, Debug)]
pub struct ReplayFact {
    /// What it is, for the finding.
    pub what: String,
    /// The derived hash equals the stored one.
    pub equal: bool,
}

/// A frame of the chain.
#[derive(Clone, Debug)]
pub struct FrameFact {
    /// Tick.
    pub tick_id: TickId,
    /// Its decoding error, CRCs included.
    pub error: Option<String>,
    /// Hash that it names as its predecessor's.
    pub previous_sha256: [u8; 32],
    /// Its own hash over header and payload.
    pub sha256: [u8; 32],
    /// Hash in the row.
    pub row_sha256: [u8; 32],
}
