//! The simulated venue as a child process, and its admin interface.
//!
//! Inputs: the path of `venue-sim` and its arguments. Outputs: its addresses, its ledger and counters as
//! JSON. The child ends with the handle; it is stopped by its own process id.

use serde::Deserialize;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// Longest wait for the first line: the market of 32 symbols is built before it.
const START_LIMIT: Duration = Duration::from_secs(20);
/// Longest wait for an answer: the ledger of half an hour is some megabytes.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);
/// Largest answer read.
const ANSWER_BYTES_MAX: u64 = 512 << 20;

/// What the venue prints as its first line.
#[derive(Clone, Debug, Deserialize)]
pub struct Addresses {
    /// REST base without `/0`.
    pub rest: String,
    /// Public socket.
    pub ws_public: String,
    /// Private socket.
    pub ws_private: String,
    /// Socket of order-by-order books.
    pub l3: String,
    /// Socket of Kraken Futures.
    pub futures_ws: String,
    /// REST of Kraken Futures.
    pub futures_rest: String,
    /// Socket of what Binance USD-M pushes.
    pub binance_ws_public: String,
    /// Socket of what Binance USD-M aggregates.
    pub binance_ws_market: String,
    /// REST of Binance USD-M.
    pub binance_rest: String,
    /// Admin interface.
    pub admin: String,
    /// Key of the account.
    pub api_key: String,
    /// Secret of the account, base64.
    pub api_secret: String,
    /// Key without trading rights, for ingest.
    pub data_key: String,
    /// Its secret, base64.
    pub data_secret: String,
}

/// Why the venue is not there or does not answer.
#[derive(Debug, thiserror::Error)]
pub enum VenueError {
    /// It could not be started.
    #[error("start {program}: {source}; next: build it with `cargo build --release`")]
    Start {
        /// Path.
        program: String,
        /// Cause.
        source: std::io::Error,
    },
    /// Its first line is not what it promises.
    #[error("the simulator's first line was not its addresses: {0}; next: look at its log")]
    FirstLine(String),
    /// The admin interface did not answer as expected.
    #[error("admin {path}: {detail}")]
    Admin {
        /// Path asked.
        path: String,
        /// What came instead.
        detail: String,
    },
}

/// A running venue.
#[derive(Debug)]
pub struct Venue {
    child: Child,
    /// Where it listens.
    pub addresses: Addresses,
}

impl Venue {
    /// Starts it and reads its addresses; its log goes to `log`.
    ///
    /// # Errors
    /// [`VenueError`] when it cannot be started or does not say where it is.
    pub async fn start(program: &Path, args: &[String], log: &Path) -> Result<Self, VenueError> {
        let (child, line) = spawn(program, args, log).await?;
        let addresses = serde_json::from_str(&line)
            .map_err(|error| VenueError::FirstLine(format!("{error}: {}", line.trim())))?;
        Ok(Self { child, addresses })
    }

    /// Its process id, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// `GET` of the admin interface.
    ///
    /// # Errors
    /// [`VenueError::Admin`].
    pub async fn get(&self, path: &str) -> Result<serde_json::Value, VenueError> {
        ask(&self.addresses.admin, path).await
    }

    /// `POST` of the admin interface, for example a fault.
    ///
    /// # Errors
    /// [`VenueError::Admin`].
    pub async fn post(
        &self,
        path: &str,
        body: &serde_json::Value,
    ) -> Result<serde_json::Value, VenueError> {
        admin(&self.addresses.admin, "POST", path, &body.to_string()).await
    }

    /// `DELETE` of the admin interface.
    ///
    /// # Errors
    /// [`VenueError::Admin`].
    pub async fn delete(&self, path: &str) -> Result<serde_json::Value, VenueError> {
        admin(&self.addresses.admin, "DELETE", path, "").await
    }

    /// Ends it.
    pub async fn stop(mut self) {
        // It holds nothing that outlives it; an error means that it has ended already.
        let _ = self.child.kill().await;
    }
}

/// Starts a simulator in a process group of its own and reads its first line; its log goes to `log`.
///
/// # Errors
/// [`VenueError`] when it cannot be started or prints nothing in time.
pub(super) async fn spawn(
    program: &Path,
    args: &[String],
    log: &Path,
) -> Result<(Child, String), VenueError> {
    let start = |source| VenueError::Start { program: program.display().to_string(), source };
    let errors = std::fs::File::create(log).map_err(start)?;
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(errors)
        .kill_on_drop(true)
        .process_group(0)
        .spawn()
        .map_err(start)?;
    let Some(stdout) = child.stdout.take() else {
        return Err(VenueError::FirstLine("no output".to_owned()));
    };
    let mut reader = BufReader::new(stdout);
    let mut line = String::new();
    match timeout(START_LIMIT, reader.read_line(&mut line)).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => return Err(VenueError::FirstLine(error.to_string())),
        Err(_) => return Err(VenueError::FirstLine(format!("none within {START_LIMIT:?}"))),
    }
    // What it prints later is read and dropped, so that it never blocks on a full pipe.
    tokio::spawn(async move {
        let mut sink = Vec::new();
        while let Ok(n) = reader.read_until(b'\n', &mut sink).await {
            if n == 0 {
                break;
            }
            sink.clear();
        }
    });
    Ok((child, line))
}

/// `GET` of the admin interface at `base`.
///
/// # Errors
/// [`VenueError::Admin`].
pub async fn ask(base: &str, path: &str) -> Result<serde_json::Value, VenueError> {
    admin(base, "GET", path, "").await
}

/// One request on a connection of its own, HTTP/1.0: the answer ends with the connection.
async fn admin(
    base: &str,
    method: &str,
    path: &str,
    body: &str,
) -> Result<serde_json::Value, VenueError> {
    let fail = |detail: String| VenueError::Admin { path: path.to_owned(), detail };
    let host = base.trim_start_matches("http://").trim_end_matches('/');
    let exchange = async {
        let mut stream = TcpStream::connect(host).await?;
        let request = format!(
            "{method} {path} HTTP/1.0\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).await?;
        Ok::<Vec<u8>, std::io::Error>(answer)
    };
    let answer = timeout(ANSWER_LIMIT, exchange)
        .await
        .map_err(|_| fail(format!("no answer within {ANSWER_LIMIT:?}")))?
        .map_err(|error| fail(error.to_string()))?;
    let Some(at) = answer.windows(4).position(|w| w == b"\r\n\r\n") else {
        return Err(fail("no HTTP answer".to_owned()));
    };
    let (head, body) = (String::from_utf8_lossy(&answer[..at]).into_owned(), &answer[at + 4..]);
    if head.split(' ').nth(1) != Some("200") {
        return Err(fail(format!(
            "{}: {}",
            head.lines().next().unwrap_or_default(),
            String::from_utf8_lossy(&body[..body.len().min(300)])
        )));
    }
    serde_json::from_slice(body).map_err(|error| fail(error.to_string()))
}
