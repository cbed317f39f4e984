//! What the SQL side of the proofs found, as values. Loading is the shell's business; the proofs only
//! look at these.

use penstock_types::Decimal;

/// Facts of both clusters; `None` where a cluster could not be asked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SqlFacts {
    /// Facts of the ingest cluster.
    pub ingest: Option<IngestFacts>,
    /// Facts of the decision cluster.
    pub decision: Option<DecisionFacts>,
    /// Addresses of market data endpoints to which the execution process holds a socket.
    pub market_sockets: Option<Vec<String>>,
}

/// Ingest cluster.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct IngestFacts {
    /// `system_identifier`.
    pub system_identifier: String,
    /// Rows per stream of the current run, first sample.
    pub rows_before: Vec<(String, i64)>,
    /// The same, second sample.
    pub rows_after: Vec<(String, i64)>,
    /// Ranges of the run without rows and without an explanation.
    pub unexplained_holes: i64,
    /// Connections of the execution role on this cluster.
    pub execution_connections: i64,
}

/// Decision cluster.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DecisionFacts {
    /// `system_identifier`.
    pub system_identifier: String,
    /// Frames in the window.
    pub frames: i64,
    /// Newest − oldest tick of them, + 1.
    pub ticks: i64,
    /// Frames without a quote block.
    pub frames_without_quotes: i64,
    /// Symbols of the published state that are feature complete.
    pub feature_complete: i64,
    /// Status of the epoch that execution is bound to.
    pub bound_epoch_status: Option<String>,
    /// Ended `evaluation_cycles` rows in the window.
    pub cycles: i64,
    /// The order that the lifecycle proof looks at.
    pub order: Option<OrderStory>,
}

/// One order's rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OrderStory {
    /// Client id.
    pub cl_ord_id: String,
    /// State.
    pub state: String,
    /// Events of the order; their numbers are 1..=events without a gap.
    pub events: i64,
    /// Greatest event number.
    pub event_seq_max: i64,
    /// Fills.
    pub fills: i64,
    /// Ledger rows of those fills.
    pub ledger_rows: i64,
    /// A latency row exists.
    pub latency: bool,
    /// Its position.
    pub position_id: Option<i64>,
    /// Status of the position.
    pub position_status: Option<String>,
    /// Base of the position.
    pub position_base: Decimal,
    /// Σ delta of the position's ledger.
    pub folded_base: Decimal,
    /// Σ net of the position's `realized_pnl` rows; `None` without rows.
    pub realized_net: Option<Decimal>,
    /// The same recomputed from the fills of the position's orders: sold − bought − fees.
    pub net_from_fills: Option<Decimal>,
}
