//! A venue in a few lines: REST with a script of bodies, a socket under the test's control. Written
//! without the product's encoders, so that it can disagree with them.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use penstock_venue_orders::{
    Clock, Credentials, PrivateRest, SendGate, SharedVenueState, SocketConfig, SoleUser,
    SystemClock,
};
use penstock_venues::kraken::rates::Tier;
use penstock_venues::kraken::signing::PrivateKey;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

/// Longest wait of a test for something that should happen.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// One REST request as the fake saw it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) path: String,
    pub(crate) headers: String,
    pub(crate) body: String,
}

/// A REST venue: answers with the script's bodies, then with tokens.
pub(crate) struct FakeRest {
    pub(crate) url: String,
    pub(crate) seen: Arc<Mutex<Vec<Seen>>>,
    pub(crate) script: Arc<Mutex<VecDeque<(u16, String)>>>,
}

impl FakeRest {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let script = Arc::new(Mutex::new(VecDeque::new()));
        let (seen_here, script_here) = (seen.clone(), script.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, seen_here.clone(), script_here.clone()));
            }
        });
        Self { url, seen, script }
    }

    pub(crate) fn answer(&self, status: u16, body: &str) {
        self.script.lock().unwrap().push_back((status, body.to_owned()));
    }

    pub(crate) fn nonces(&self) -> Vec<u64> {
        let nonce = |seen: &Seen| {
            let text = seen.body.split('&').find_map(|p| p.strip_prefix("nonce="));
            text.and_then(|text| text.parse().ok())
        };
        self.seen.lock().unwrap().iter().filter_map(nonce).collect()
    }
}

async fn serve(
    mut stream: TcpStream,
    seen: Arc<Mutex<Vec<Seen>>>,
    script: Arc<Mutex<VecDeque<(u16, String)>>>,
) {
    let mut buffer = Vec::new();
    loop {
        let head_end = loop {
            if let Some(at) = buffer.windows(4).position(|w| w == b"\r\n\r\n") {
                break at + 4;
            }
            if stream.read_buf(&mut buffer).await.unwrap_or(0) == 0 {
                return;
            }
        };
        let headers = String::from_utf8(buffer[..head_end].to_vec()).unwrap();
        let length = headers
            .lines()
            .find_map(|line| {
                line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok()
            })
            .unwrap_or(0usize);
        while buffer.len() < head_end + length {
            if stream.read_buf(&mut buffer).await.unwrap_or(0) == 0 {
                return;
            }
        }
        let body = String::from_utf8(buffer[head_end..head_end + length].to_vec()).unwrap();
        buffer.drain(..head_end + length);
        let path = headers.split(' ').nth(1).unwrap().to_owned();
        let count = {
            let mut seen = seen.lock().unwrap();
            seen.push(Seen { path, headers, body });
            seen.len()
        };
        let token = format!(r#"{{"error":[],"result":{{"token":"token-{count}","expires":900}}}}"#);
        let (status, body) = script.lock().unwrap().pop_front().unwrap_or((200, token));
        let answer = format!(
            "HTTP/1.1 {status} x\r\ncontent-length: {}\r\ncontent-type: text/plain\r\n\r\n{body}",
            body.len()
        );
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// A socket venue; each accepted connection is handed to the test.
pub(crate) struct FakeSocket {
    pub(crate) url: String,
    listener: TcpListener,
}

impl FakeSocket {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}/v2", listener.local_addr().unwrap());
        Self { url, listener }
    }

    /// The next connection, with status sent, subscriptions answered and images sent.
    pub(crate) async fn subscribed(&self) -> Connection {
        let mut connection = self.accepted().await;
        for _ in 0..2 {
            let request = connection.request().await;
            let channel = request["params"]["channel"].as_str().unwrap().to_owned();
            let req_id = &request["req_id"];
            connection
                .say(&format!(
                    r#"{{"method":"subscribe","result":{{"channel":"{channel}","maxratecount":125}},"success":true,"req_id":{req_id}}}"#
                ))
                .await;
            connection
                .say(&format!(
                    r#"{{"channel":"{channel}","type":"snapshot","data":[],"sequence":1}}"#
                ))
                .await;
        }
        connection
    }

    /// The next connection, with status sent.
    pub(crate) async fn accepted(&self) -> Connection {
        let accepting = self.listener.accept();
        let (stream, _) = tokio::time::timeout(DEADLINE, accepting).await.unwrap().unwrap();
        let socket = tokio_tungstenite::accept_async(stream).await.unwrap();
        let mut connection = Connection { socket };
        connection
            .say(r#"{"channel":"status","type":"update","data":[{"system":"online"}]}"#)
            .await;
        connection
    }
}

/// The venue's end of one connection.
pub(crate) struct Connection {
    socket: WebSocketStream<TcpStream>,
}

impl Connection {
    pub(crate) async fn say(&mut self, text: &str) {
        self.socket.send(Message::text(text)).await.unwrap();
    }

    /// Waits for a ping of the client: the next one is half a minute away.
    pub(crate) async fn pinged(&mut self) {
        loop {
            let next = tokio::time::timeout(DEADLINE, self.socket.next()).await.unwrap();
            if matches!(next.unwrap().unwrap(), Message::Text(text) if text.contains("\"ping\"")) {
                return;
            }
        }
    }

    /// Pings the client and says something, below the library; gives every byte that comes back until the client
    /// has gone.
    pub(crate) async fn provoke(mut self) -> Vec<u8> {
        let stream = self.socket.get_mut();
        // A ping frame without a payload, and a text frame with two letters; both may find the client gone.
        let _ = stream.write_all(&[0x89, 0, 0x81, 2, b'{', b'}']).await;
        let mut bytes = Vec::new();
        // What was unread when the client went comes back as a reset, which ends the bytes like its leaving.
        let _ = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut bytes)).await.expect("gone");
        bytes
    }

    /// The next request of the client, pings left out.
    pub(crate) async fn request(&mut self) -> serde_json::Value {
        loop {
            let next = tokio::time::timeout(DEADLINE, self.socket.next()).await.unwrap();
            let Message::Text(text) = next.unwrap().unwrap() else { continue };
            let value: serde_json::Value = serde_json::from_str(&text).unwrap();
            if value["method"] != "ping" {
                return value;
            }
        }
    }
}

/// A state that remembers that nothing was sent lately.
pub(crate) fn warm_state(directory: &tempfile::TempDir) -> SharedVenueState {
    warm_state_with(directory, Arc::new(SystemClock::new()))
}

/// The same with a clock of the test.
pub(crate) fn warm_state_with(
    directory: &tempfile::TempDir,
    clock: Arc<dyn Clock>,
) -> SharedVenueState {
    let path: PathBuf = directory.path().join("venue.json");
    let text = r#"{"version":1,"host":"test","wall_ms":0,"nonce":1,"rest":0.0,"pairs":{},"not_before":[]}"#;
    std::fs::write(&path, text).unwrap();
    SharedVenueState::open(path, "test".to_owned(), Tier::Intermediate, clock)
}

pub(crate) fn rest_client(rest: &FakeRest, state: SharedVenueState) -> PrivateRest {
    gated_client(rest, state, Arc::new(SoleUser))
}

pub(crate) fn gated_client(
    rest: &FakeRest,
    state: SharedVenueState,
    gate: Arc<dyn SendGate>,
) -> PrivateRest {
    let secret = PrivateKey::from_base64("c2VjcmV0").unwrap();
    let credentials = Credentials { key: "KEY".to_owned(), secret };
    PrivateRest::new(&rest.url, credentials, state, gate).unwrap()
}

pub(crate) fn config(url: &str) -> SocketConfig {
    SocketConfig::new(url)
}
