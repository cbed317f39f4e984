//! A client of the venue for tests: signed REST calls and the private socket, written against the
//! documented wire format only.

use futures_util::{SinkExt, StreamExt};
use penstock_sim::exchange::{Price, Qty, Side, SymbolNo};
use penstock_sim::rest_private::sign;
use penstock_sim::server::{Handle, MarketSource, Options, start};
use serde_json::Value;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// Longest wait for anything: a hung test must end, a slow machine must not fail.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A venue whose market stands still, with a book of BTC/USD: bids from 50000.0 down, asks from
/// 50001.0 up, ten levels of 1 BTC each.
pub(crate) async fn still_venue() -> Handle {
    let options = Options { market: MarketSource::Still, symbols: 5, ..Options::default() };
    let handle = start(options).await.expect("starts on loopback");
    let symbol = btc(&handle);
    handle.venue.with(|exchange, now_us| {
        for level in 0..10 {
            let (bid, ask) = (Price(500_000 - level * 10), Price(500_010 + level * 10));
            exchange.flow_limit(symbol, Side::Buy, bid, Qty(100_000_000), now_us);
            exchange.flow_limit(symbol, Side::Sell, ask, Qty(100_000_000), now_us);
        }
        // A first print, so that there is a last price.
        exchange.flow_market(symbol, Side::Buy, Qty(1_000), now_us);
    });
    handle
}

/// Number of BTC/USD.
pub(crate) fn btc(handle: &Handle) -> SymbolNo {
    handle.venue.with(|exchange, _| exchange.symbol_no("BTC/USD")).expect("always listed")
}

/// A signed private REST call; HTTP status and body.
pub(crate) async fn call(handle: &Handle, method: &str, fields: &[(&str, &str)]) -> (u16, Value) {
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
    let response = reqwest_client()
        .post(format!("{}{path}", addresses.rest))
        .header("API-Key", &addresses.api_key)
        .header("API-Sign", signature)
        .header("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
        .body(body)
        .send()
        .await
        .expect("the venue answers");
    let status = response.status().as_u16();
    let text = response.text().await.expect("a body");
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

fn reqwest_client() -> reqwest::Client {
    // The workspace's client brings no provider of its own; a second install changes nothing.
    let _installed_already = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().timeout(PATIENCE).build().expect("a client without TLS")
}

/// GET or POST on the admin interface.
pub(crate) async fn admin(handle: &Handle, path: &str, body: Option<&str>) -> (u16, Value) {
    let url = format!("{}{path}", handle.addresses.admin);
    let request = match body {
        Some(body) => reqwest_client().post(url).body(body.to_owned()),
        None => reqwest_client().get(url),
    };
    let response = request.send().await.expect("the venue answers");
    let status = response.status().as_u16();
    (status, response.json().await.expect("JSON"))
}

/// DELETE on the admin interface.
pub(crate) async fn delete(handle: &Handle, path: &str) -> (u16, Value) {
    let url = format!("{}{path}", handle.addresses.admin);
    let response = reqwest_client().delete(url).send().await.expect("the venue answers");
    let status = response.status().as_u16();
    (status, response.json().await.expect("JSON"))
}

/// The private socket.
pub(crate) struct Socket {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    token: String,
    kept: VecDeque<Value>,
}

impl Socket {
    /// Connects with a fresh token.
    pub(crate) async fn connect(handle: &Handle) -> Socket {
        let (_, token) = call(handle, "GetWebSocketsToken", &[]).await;
        let token = token["result"]["token"].as_str().expect("a token").to_owned();
        let (socket, _) =
            tokio_tungstenite::connect_async(&handle.addresses.ws_private).await.expect("connects");
        Socket { socket, token, kept: VecDeque::new() }
    }

    /// Sends a request; `params` without the token, as the text of a JSON object.
    pub(crate) async fn send(&mut self, method: &str, params: &str, req_id: u64) {
        let inner = params.trim().trim_start_matches('{');
        let comma = if inner == "}" { "" } else { "," };
        let token = &self.token;
        let text = format!(
            r#"{{"method":"{method}","req_id":{req_id},"params":{{"token":"{token}"{comma}{inner}}}"#
        );
        self.socket.send(Message::text(text)).await.expect("sent");
    }

    /// The next frame that is no heartbeat; `None` when the venue has ended the connection.
    pub(crate) async fn frame(&mut self) -> Option<Value> {
        if let Some(kept) = self.kept.pop_front() {
            return Some(kept);
        }
        self.read().await
    }

    async fn read(&mut self) -> Option<Value> {
        loop {
            let next = tokio::time::timeout(PATIENCE, self.socket.next()).await.expect("in time");
            match next {
                Some(Ok(Message::Text(text))) => {
                    let frame: Value = serde_json::from_str(text.as_str()).expect("JSON");
                    if frame["channel"] != "heartbeat" {
                        return Some(frame);
                    }
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return None,
            }
        }
    }

    /// The answer to a request; frames before it are kept.
    pub(crate) async fn answer(&mut self, req_id: u64) -> Value {
        loop {
            let frame = self.read().await.expect("the connection lives");
            if frame["req_id"] == req_id {
                return frame;
            }
            self.kept.push_back(frame);
        }
    }

    /// Sends and waits for the answer.
    pub(crate) async fn ask(&mut self, method: &str, params: &str, req_id: u64) -> Value {
        self.send(method, params, req_id).await;
        self.answer(req_id).await
    }

    /// Frames of a channel until one satisfies the predicate, that one included.
    pub(crate) async fn until(
        &mut self,
        channel: &str,
        last: impl Fn(&Value) -> bool,
    ) -> Vec<Value> {
        let mut frames = Vec::new();
        loop {
            let frame = self.frame().await.expect("the connection lives");
            if frame["channel"] == channel {
                let done = last(&frame);
                frames.push(frame);
                if done {
                    return frames;
                }
            }
        }
    }
}
