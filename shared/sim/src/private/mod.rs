//! The private socket: token, executions, balances, order requests.

mod held;
mod json;
mod orders;
mod params;
mod queue;
mod session;
mod stamp;
mod tokens;
mod wire;

use crate::admin::Endpoint;
use crate::server::Venue;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) use self::json::{Object, time_text};
pub use self::orders::read_order_request;
pub(crate) use self::orders::{kind_of, self_trade_of, side_of, tif_of};
pub(crate) use self::params::decimal_text;
pub(crate) use self::tokens::{EXPIRES_S, Tokens};

/// Connections served at once; more are closed at once.
const CONNECTIONS_LIMIT: usize = 1_000;

/// Serves the private socket until it is cancelled.
pub async fn serve(listener: TcpListener, venue: Arc<Venue>, cancel: CancellationToken) {
    let sessions = TaskTracker::new();
    loop {
        // Biased: the end first.
        let accepted = tokio::select! {
            biased;
            () = cancel.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            // Nobody gets in while a fault wants it so.
            Ok(_) if venue.faults.closed(Endpoint::Private, venue.steady_us()) => {}
            Ok((stream, _)) if sessions.len() < CONNECTIONS_LIMIT => {
                sessions.spawn(session::serve(Arc::clone(&venue), stream, cancel.clone()));
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "private socket: accept failed"),
        }
    }
    sessions.close();
    sessions.wait().await;
}
