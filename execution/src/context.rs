//! What every part of the service shares: pool, identity, settings, mode, quotes, the end.
//!
//! Purpose: one cheap handle instead of ten arguments. Inputs: the start. Outputs: clones. Invariants: the
//! token is that of the fence taken at the start and never changes within a session.

use std::sync::Arc;

use penstock_alerts::Alerts;
use penstock_types::{FencingToken, SessionId, UtcMicros, Uuid};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::audit::AuditHandle;
use crate::beat::Figures;
use crate::engine::EngineBoard;
use crate::lease::Lease;
use crate::mode::ModeHandle;
use crate::quotes::QuoteBoard;
use crate::settings::Settings;

/// Shared by all tasks of a session.
#[derive(Debug, Clone)]
pub struct Context {
    /// Decision cluster.
    pub pool: PgPool,
    /// Settings.
    pub settings: Arc<Settings>,
    /// Session.
    pub session_id: SessionId,
    /// Token of the execution fence: every write carries it.
    pub token: FencingToken,
    /// Holder id of the fence; names the heartbeat.
    pub holder_id: Uuid,
    /// Host.
    pub host: Arc<str>,
    /// Process.
    pub pid: i32,
    /// Start of the session, wall clock.
    pub started_at: UtcMicros,
    /// The mode.
    pub mode: ModeHandle,
    /// The audit trail.
    pub audit: AuditHandle,
    /// Renewals of the fence.
    pub lease: Arc<Lease>,
    /// Quotes.
    pub quotes: QuoteBoard,
    /// The deterministic engine's newest view.
    pub engine: EngineBoard,
    /// What the heartbeat says of the evaluations.
    pub figures: Arc<Figures>,
    /// What is wrong now; raising waits for nothing.
    pub alerts: Alerts,
    /// Cancelled first: no evaluation starts and no entry is sent any more.
    pub stop: CancellationToken,
    /// Cancelled last: tasks that keep positions and rows end.
    pub end: CancellationToken,
}

impl Context {
    /// Domain.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.settings.domain()
    }
}
