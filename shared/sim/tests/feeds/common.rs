//! What the feed tests share: a venue on free ports, a plain WebSocket client, plain HTTP, and the
//! recorded messages that wire forms are compared with.

use futures_util::{SinkExt, StreamExt};
use penstock_sim::rest_private::sign;
use penstock_sim::server::{Handle, MarketSource, Options, start};
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::Read;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// Longest wait for anything: a hung test must end, a slow machine must not fail.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) async fn venue(options: Options) -> Handle {
    start(options).await.expect("starts on loopback")
}

/// A calm market of so many symbols, so many times as fast as the clock.
pub(crate) async fn calm(symbols: usize, speed: f64) -> Handle {
    venue(Options { market: MarketSource::Calm, symbols, speed, ..Options::default() }).await
}

/// A client.
pub(crate) struct Client {
    pub(crate) socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Client {
    pub(crate) async fn connect(url: &str) -> Client {
        let (socket, _) = connect_async(url).await.expect("a connection");
        Client { socket }
    }

    pub(crate) async fn send(&mut self, text: &str) {
        self.socket.send(Message::text(text)).await.expect("sent");
    }

    /// The next message of any kind; `None` when the venue has ended the connection.
    pub(crate) async fn message(&mut self) -> Option<Message> {
        let message = tokio::time::timeout(PATIENCE, self.socket.next());
        match message.await.expect("a message in time") {
            Some(Ok(Message::Close(_)) | Err(_)) | None => None,
            Some(Ok(message)) => Some(message),
        }
    }

    /// The next text.
    pub(crate) async fn next(&mut self) -> Option<String> {
        loop {
            if let Message::Text(text) = self.message().await? {
                return Some(text.to_string());
            }
        }
    }

    pub(crate) async fn next_json(&mut self) -> Value {
        serde_json::from_str(&self.next().await.expect("a text")).expect("json")
    }

    /// The next frame that fulfils the condition.
    pub(crate) async fn find(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let frame = self.next_json().await;
            if wanted(&frame) {
                return frame;
            }
        }
    }
}

/// A client for HTTP.
pub(crate) fn http() -> reqwest::Client {
    // The workspace's client brings no provider of its own; a second install changes nothing.
    let _installed_already = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().timeout(PATIENCE).build().expect("a client without TLS")
}

/// GET: status, headers, body.
pub(crate) async fn get(url: &str) -> (u16, reqwest::header::HeaderMap, Value) {
    let response = http().get(url).send().await.expect("the venue answers");
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let text = response.text().await.expect("a body");
    (status, headers, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

/// POST on the admin interface.
pub(crate) async fn fault(handle: &Handle, body: &str) {
    let url = format!("{}/faults", handle.addresses.admin);
    let response = http().post(url).body(body.to_owned()).send().await.expect("an answer");
    assert_eq!(response.status().as_u16(), 200, "{body}: {:?}", response.text().await);
}

/// A signed private REST call.
pub(crate) async fn call(handle: &Handle, method: &str, fields: &[(&str, &str)]) -> Value {
    static NONCE: AtomicU64 = AtomicU64::new(1);
    let nonce = NONCE.fetch_add(1, Ordering::SeqCst).to_string();
    let mut body = url::form_urlencoded::Serializer::new(format!("nonce={nonce}"));
    for (name, value) in fields {
        body.append_pair(name, value);
    }
    let body = body.finish();
    let path = format!("/0/private/{method}");
    let addresses = &handle.addresses;
    let signature = sign(&addresses.api_secret, &path, &nonce, body.as_bytes()).expect("secret");
    let response = http()
        .post(format!("{}{path}", addresses.rest))
        .header("API-Key", &addresses.api_key)
        .header("API-Sign", signature)
        .header("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
        .body(body)
        .send()
        .await
        .expect("the venue answers");
    response.json().await.expect("JSON")
}

/// A token of the account.
pub(crate) async fn token(handle: &Handle) -> String {
    let answer = call(handle, "GetWebSocketsToken", &[]).await;
    answer["result"]["token"].as_str().expect("a token").to_owned()
}

/// A file of the recordings, when they are there.
fn recorded(name: &str) -> Option<String> {
    let workspace = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folder = std::env::var_os("PENSTOCK_RECORDINGS")
        .map_or_else(|| workspace.join("../shared/data/recordings"), PathBuf::from);
    let path = folder.join(name);
    if !path.exists() {
        println!("SKIPPED: {name} is not there; set PENSTOCK_RECORDINGS");
        return None;
    }
    let file = std::fs::File::open(path).expect("readable");
    let mut text = String::new();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).expect("gzip of text");
    Some(text)
}

/// Received frames of a recording.
pub(crate) fn recorded_frames(name: &str) -> Option<Vec<Value>> {
    let text = recorded(name)?;
    let frame = |line: &str| {
        let mut columns = line.splitn(3, '\t').skip(1);
        let received = columns.next() == Some("r");
        received.then(|| serde_json::from_str(columns.next().expect("a frame")).expect("json"))
    };
    Some(text.lines().filter_map(frame).collect())
}

/// Rows of a recorded file of JSON lines.
pub(crate) fn recorded_rows(name: &str) -> Option<Vec<Value>> {
    let text = recorded(name)?;
    Some(text.lines().map(|line| serde_json::from_str(line).expect("json")).collect())
}

/// The recorded single messages of a kind.
pub(crate) fn recorded_messages(kind: &str) -> Option<Vec<Value>> {
    let text = recorded("messages/messages.jsonl.gz")?;
    let rows = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("json"));
    let of_kind = rows.filter(|row| row["kind"] == kind);
    let raw = |row: Value| serde_json::from_str(row["raw"].as_str().expect("text")).expect("json");
    Some(of_kind.map(raw).collect())
}

/// The shape of a value: names with the kinds of their values, `[]` for list entries; texts that
/// are numbers count as such.
pub(crate) fn shape(value: &Value) -> BTreeSet<String> {
    fn walk(value: &Value, path: &str, out: &mut BTreeSet<String>) {
        match value {
            Value::Null => {
                out.insert(format!("{path}:null"));
            }
            Value::Bool(_) => {
                out.insert(format!("{path}:bool"));
            }
            Value::Number(_) => {
                out.insert(format!("{path}:number"));
            }
            Value::String(text) => {
                let kind = if text.parse::<f64>().is_ok() { "decimal text" } else { "text" };
                out.insert(format!("{path}:{kind}"));
            }
            Value::Array(rows) => rows.iter().for_each(|row| walk(row, &format!("{path}[]"), out)),
            Value::Object(fields) => {
                for (name, value) in fields {
                    walk(value, &format!("{path}.{name}"), out);
                }
            }
        }
    }
    let mut out = BTreeSet::new();
    walk(value, "", &mut out);
    out
}
