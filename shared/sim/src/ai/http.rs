//! HTTP by hand: requests as they are needed here, responses as wrong as they are asked for.
//!
//! Inputs: a connection; a text and a way of answering. Outputs: a request; bytes on the connection. Invariants: a
//! request has at most [`REQUEST_BYTES_MAX`] bytes; every connection carries one request. A library would keep its
//! promises, which is what must not happen here.

use super::behaviour::Behaviour;
use serde_json::{Value, json};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{interval, timeout};

/// Longest request, head and body.
pub(super) const REQUEST_BYTES_MAX: usize = 1 << 20;
/// Time for a whole request.
const REQUEST_LIMIT: Duration = Duration::from_secs(10);
/// Pause between two bytes that drip.
const DRIP: Duration = Duration::from_millis(200);
/// Size of an answer that is far too long.
const HUGE_BYTES: usize = 10 << 20;

/// A request.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) authorization: String,
    pub(super) body: Vec<u8>,
}

fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

/// Reads the one request of a connection.
pub(super) async fn read(stream: &mut TcpStream) -> io::Result<Request> {
    timeout(REQUEST_LIMIT, read_whole(stream)).await.map_err(|_| bad("no request in time"))?
}

async fn read_whole(stream: &mut TcpStream) -> io::Result<Request> {
    let mut bytes = Vec::new();
    let mut chunk = [0_u8; 8_192];
    loop {
        if let Some(request) = parse(&bytes)? {
            return Ok(request);
        }
        let n = stream.read(&mut chunk).await?;
        if n == 0 || bytes.len() + n > REQUEST_BYTES_MAX {
            return Err(bad("a request that is not whole, or too long"));
        }
        bytes.extend_from_slice(&chunk[..n]);
    }
}

/// The request, when it is whole.
fn parse(bytes: &[u8]) -> io::Result<Option<Request>> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&bytes[..end]).map_err(|_| bad("a head that is no text"))?;
    let mut lines = head.split("\r\n");
    let mut first = lines.next().unwrap_or_default().split(' ');
    let (Some(method), Some(path)) = (first.next(), first.next()) else {
        return Err(bad("no request line"));
    };
    let header = |name: &str| {
        head.split("\r\n").skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    };
    let length: usize = match header("content-length") {
        Some(length) => length.parse().map_err(|_| bad("a length that is no number"))?,
        None => 0,
    };
    if length > REQUEST_BYTES_MAX {
        return Err(bad("a request that is too long"));
    }
    let body = &bytes[end + 4..];
    if body.len() < length {
        return Ok(None);
    }
    Ok(Some(Request {
        method: method.to_owned(),
        path: path.to_owned(),
        authorization: header("authorization").unwrap_or_default(),
        body: body[..length].to_vec(),
    }))
}

/// A whole response.
pub(super) fn response(status: &str, kind: &str, extra: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let mut bytes = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\nconnection: close\r\n{extra}\r\n"
    )
    .into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// A response of JSON.
pub(super) fn json_response(status: &str, body: &Value) -> Vec<u8> {
    response(status, "application/json", "", body.to_string().as_bytes())
}

fn completion(model: &str, content: &str) -> Value {
    json!({
        "id": "chatcmpl-simulated", "object": "chat.completion", "created": 0, "model": model,
        "choices": [{
            "index": 0, "finish_reason": "stop",
            "message": {"role": "assistant", "content": content},
        }],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    })
}

/// Answers in the given way; the error is that of a client that has left.
pub(super) async fn answer(
    stream: &mut TcpStream,
    behaviour: Behaviour,
    model: &str,
    text: &str,
    hang: Duration,
) -> io::Result<()> {
    use Behaviour as B;
    let whole = || json_response("200 OK", &completion(model, text));
    let failed = |status, message: &str| {
        json_response(status, &json!({"error": {"message": message, "type": "server_error"}}))
    };
    let bytes = match behaviour {
        B::Timeout => return leave(stream, hang).await,
        B::Drip => return drip(stream, &whole(), hang).await,
        B::Reset => return stream.set_zero_linger(),
        B::Http429 => failed("429 Too Many Requests", "slow down"),
        B::Http500 => failed("500 Internal Server Error", "no model is loaded"),
        B::Redirect => response("302 Found", "text/plain", "location: /elsewhere\r\n", b""),
        B::EmptyBody => response("200 OK", "application/json", "", b""),
        B::NoChoice => json_response("200 OK", &json!({"choices": []})),
        B::TruncatedBody => {
            let mut bytes = whole();
            bytes.truncate(bytes.len() - 20);
            bytes
        }
        B::Html => response("200 OK", "text/html", "", b"<html><body>Sign in</body></html>"),
        B::NotUtf8 => {
            let mut body = completion(model, text).to_string().into_bytes();
            let at = body.iter().position(|byte| *byte == b'A').unwrap_or_default();
            body[at] = 0xff;
            response("200 OK", "application/json", "", &body)
        }
        B::Huge => json_response("200 OK", &completion(model, &"A".repeat(HUGE_BYTES))),
        _ => whole(),
    };
    stream.write_all(&bytes).await?;
    stream.shutdown().await
}

/// Waits until the client leaves.
async fn leave(stream: &mut TcpStream, hang: Duration) -> io::Result<()> {
    let mut rest = [0_u8; 256];
    let left = async {
        while stream.read(&mut rest).await? > 0 {}
        io::Result::Ok(())
    };
    match timeout(hang, left).await {
        Ok(left) => left.and(Err(bad("the client has left"))),
        Err(_) => Ok(()),
    }
}

/// A byte now and then; it takes longer than anybody waits.
async fn drip(stream: &mut TcpStream, bytes: &[u8], hang: Duration) -> io::Result<()> {
    let mut pause = interval(DRIP);
    let dripping = async {
        for byte in bytes {
            pause.tick().await;
            stream.write_all(&[*byte]).await?;
        }
        io::Result::Ok(())
    };
    timeout(hang, dripping).await.unwrap_or(Ok(()))
}

#[cfg(test)]
mod tests {
    use super::super::question::Question;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_request_is_read_when_it_is_whole() {
        let whole = b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: 2\r\nAUTHORIZATION: Bearer k\r\n\r\n{}";
        for end in 0..whole.len() {
            assert!(parse(&whole[..end]).unwrap().is_none(), "{end}");
        }
        let request = parse(whole).unwrap().unwrap();
        assert_eq!(
            (request.method.as_str(), request.path.as_str()),
            ("POST", "/v1/chat/completions")
        );
        assert_eq!(
            (request.authorization.as_str(), request.body.as_slice()),
            ("Bearer k", &b"{}"[..])
        );
        for refused in ["x\r\n\r\n", "GET / HTTP/1.1\r\ncontent-length: -1\r\n\r\n"] {
            assert!(parse(refused.as_bytes()).is_err(), "{refused:?}");
        }
        let long = format!("GET / HTTP/1.1\r\ncontent-length: {}\r\n\r\n", REQUEST_BYTES_MAX + 1);
        assert!(parse(long.as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_request_or_none(
            head in "(GET|POST)? ?/?[a-z]{0,5} ?(HTTP)?(\r\n[a-zA-Z-]{0,16}:? ?[0-9a-z]{0,9}){0,3}",
            body in proptest::collection::vec(any::<u8>(), 0..60),
        ) {
            let mut bytes = format!("{head}\r\n\r\n").into_bytes();
            bytes.extend_from_slice(&body);
            if let Ok(Some(request)) = parse(&bytes) {
                prop_assert!(request.body.len() <= body.len());
                prop_assert!(Question::read(&request.authorization, "key", &request.body).is_err());
            }
            prop_assert!(Question::read("Bearer key", "key", &body).is_err());
        }
    }
}
