//! Opening sockets and HTTP clients.
//!
//! Input: a checked address and the largest message that its user expects. Output: a websocket or an
//! HTTP client. TLS uses one provider (ring) and the compiled-in roots, so that a host without
//! certificates gets a clear answer. It does not retry.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use penstock_venues::endpoint::{Endpoint, EndpointError};
use rustls::{ClientConfig, RootCertStore};
use thiserror::Error;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream};

/// A websocket to a venue.
pub type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Time to open a connection, handshakes included.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a connection or client could not be made.
#[derive(Debug, Error)]
pub enum NetError {
    /// The address is refused.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// The socket could not be opened.
    #[error("{host}: {source}")]
    Connect {
        /// Host.
        host: String,
        /// Cause.
        source: Box<tokio_tungstenite::tungstenite::Error>,
    },
    /// The socket did not open in time.
    #[error("{host}: not connected within {waited_s} s")]
    Timeout {
        /// Host.
        host: String,
        /// The time that was waited, seconds.
        waited_s: u64,
    },
    /// The HTTP client could not be built.
    #[error("HTTP client: {0}")]
    Client(String),
}

impl NetError {
    /// HTTP status with which the other side refused to open a websocket.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Connect { source, .. } => match &**source {
                tokio_tungstenite::tungstenite::Error::Http(answer) => {
                    Some(answer.status().as_u16())
                }
                _ => None,
            },
            Self::Endpoint(_) | Self::Timeout { .. } | Self::Client(_) => None,
        }
    }
}

/// TLS settings of the process.
fn tls() -> Arc<ClientConfig> {
    static TLS: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    TLS.get_or_init(|| {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let roots = RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring supports the default protocol versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Arc::new(config)
    })
    .clone()
}

/// Opens a websocket whose messages have at most `message_bytes_max` bytes; a longer one ends it.
///
/// # Errors
/// [`NetError::Connect`] and [`NetError::Timeout`] naming the host.
pub async fn connect(endpoint: &Endpoint, message_bytes_max: usize) -> Result<Socket, NetError> {
    let config = WebSocketConfig::default()
        .max_message_size(Some(message_bytes_max))
        .max_frame_size(Some(message_bytes_max));
    let connector =
        if endpoint.is_encrypted() { Connector::Rustls(tls()) } else { Connector::Plain };
    let host = || endpoint.host().to_owned();
    let opening = tokio_tungstenite::connect_async_tls_with_config(
        endpoint.url(),
        Some(config),
        true,
        Some(connector),
    );
    match tokio::time::timeout(CONNECT_TIMEOUT, opening).await {
        Ok(Ok((socket, _))) => Ok(socket),
        Ok(Err(source)) => Err(NetError::Connect { host: host(), source: Box::new(source) }),
        Err(_) => Err(NetError::Timeout { host: host(), waited_s: CONNECT_TIMEOUT.as_secs() }),
    }
}

/// Builds an HTTP client whose whole call, body included, takes at most `timeout`. It follows no
/// redirect: a venue that sends one is not the host that was checked.
///
/// # Errors
/// [`NetError::Client`].
pub fn http_client(timeout: Duration) -> Result<reqwest::Client, NetError> {
    builder(timeout).build().map_err(|error| NetError::Client(error.to_string()))
}

/// Builds a client as [`http_client`] for a host of someone else: it asks for no compression, so that what
/// is read is what was sent and has a limit; it speaks HTTP/1.1 and opens a connection for each call, so
/// that none meets one that the other side is just closing; this machine is reached without a proxy.
///
/// # Errors
/// [`NetError::Client`].
pub fn http_client_plain(
    endpoint: &Endpoint,
    timeout: Duration,
) -> Result<reqwest::Client, NetError> {
    let mut builder = builder(timeout).gzip(false).http1_only().pool_max_idle_per_host(0);
    if penstock_venues::endpoint::is_loopback(endpoint.host()) {
        builder = builder.no_proxy();
    }
    builder.build().map_err(|error| NetError::Client(error.to_string()))
}

fn builder(timeout: Duration) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .tls_backend_preconfigured(ClientConfig::clone(&tls()))
        .timeout(timeout)
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("penstock/", env!("CARGO_PKG_VERSION")))
}
