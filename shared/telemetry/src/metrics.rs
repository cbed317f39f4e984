//! Purpose: the metrics of a process. Inputs: the `metrics` macros anywhere in it. Outputs: Prometheus
//! text at `/metrics` on a loopback port of its own. Invariants: loopback only; port 0 turns the
//! listener off and keeps the recorder's housekeeping running, without which histograms would grow.
//! It does not name metrics: each crate describes its own.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::Router;
use axum::http::header;
use axum::routing::get;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;

use crate::TelemetryError;

/// How often the recorder folds its histograms.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Buckets of every metric whose name ends in `_seconds`: 100 µs to 30 s.
const SECONDS_BUCKETS: [f64; 14] =
    [0.0001, 0.0003, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0];

/// Installs the recorder of this process.
///
/// # Errors
/// [`TelemetryError::Twice`] when there is one already.
pub fn install() -> Result<PrometheusHandle, TelemetryError> {
    // The only other failure of this builder is an empty bucket list, which this one is not.
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS_BUCKETS)
        .and_then(PrometheusBuilder::install_recorder)
        .map_err(|_| TelemetryError::Twice { what: "metrics recorder" })
}

/// Opens the listener, `None` for port 0 (off).
///
/// # Errors
/// [`TelemetryError::Listen`] when the port is taken.
pub async fn bind(port: u16) -> Result<Option<TcpListener>, TelemetryError> {
    if port == 0 {
        return Ok(None);
    }
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let listener = TcpListener::bind(address).await;
    listener.map(Some).map_err(|source| TelemetryError::Listen { port, source })
}

/// Serves until `stop` is ready; the caller owns the task. Without a listener only the housekeeping
/// runs.
///
/// # Errors
/// When the listener fails for good.
pub async fn serve(
    handle: PrometheusHandle,
    listener: Option<TcpListener>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let (ended, wait) = tokio::sync::oneshot::channel::<()>();
    let upkeep = handle.clone();
    let housekeeping = async move {
        let mut stop = std::pin::pin!(stop);
        let mut every = tokio::time::interval(UPKEEP_INTERVAL);
        loop {
            tokio::select! {
                // The stop first, so that a due tick cannot delay it.
                biased;
                () = &mut stop => break,
                _ = every.tick() => upkeep.run_upkeep(),
            }
        }
        drop(ended);
    };
    let Some(listener) = listener else {
        housekeeping.await;
        return Ok(());
    };
    let router = Router::new().route(
        "/metrics",
        get(move || {
            let text = handle.render();
            async move { ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text) }
        }),
    );
    let serving = axum::serve(listener, router).with_graceful_shutdown(async move {
        // Either way of ending means the same: the housekeeping has stopped.
        drop(wait.await);
    });
    let (served, ()) = tokio::join!(async move { serving.await }, housekeeping);
    served
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    #[tokio::test]
    async fn the_listener_answers_with_prometheus_text_and_port_zero_is_off() {
        let handle = super::install().expect("first recorder");
        assert!(super::install().is_err(), "a second recorder is refused");
        assert!(super::bind(0).await.expect("off").is_none());
        metrics::counter!("frames_total").increment(3);
        metrics::histogram!("commit_seconds").record(0.004);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("free port");
        let address = listener.local_addr().expect("address");
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let server = tokio::spawn(super::serve(handle, Some(listener), async move {
            drop(stopped.await);
        }));

        let mut socket = TcpStream::connect(address).await.expect("connects");
        socket
            .write_all(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
            .await
            .expect("sent");
        let mut text = String::new();
        socket.read_to_string(&mut text).await.expect("answered");

        assert!(text.contains("frames_total 3"), "{text}");
        assert!(text.contains("commit_seconds_bucket"), "{text}");
        drop(stop);
        server.await.expect("joined").expect("served");
    }
}
