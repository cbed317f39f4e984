//! Public REST: pace and outcomes.

use std::time::Duration;

use penstock_venue_feeds::{PublicRest, RestAnswer};
use penstock_venues::kraken::rest::public::TimeResult;
use penstock_venues::kraken::rest::{PublicRequest, Reply, UnknownReason};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::Instant;

/// A venue that answers every request with this status and body, one connection each.
async fn venue(status: u16, body: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = vec![0u8; 4_096];
            let _ = stream.read(&mut head).await;
            let answer = format!(
                "HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    url
}

#[tokio::test]
async fn an_answer_is_read_as_its_type() {
    let url = venue(200, r#"{"error":[],"result":{"unixtime":1762820224}}"#).await;
    let rest = PublicRest::new(&url).unwrap();
    let answer = rest.get(&PublicRequest::Time).await;
    let Reply::Done { result, .. } = answer.reply::<TimeResult<'_>>() else { panic!("{answer:?}") };
    assert_eq!(result.unixtime, 1_762_820_224);
}

#[tokio::test]
async fn what_comes_from_before_the_api_is_unknown() {
    let url = venue(503, "<html>").await;
    let rest = PublicRest::new(&url).unwrap();
    let answer = rest.get(&PublicRequest::Time).await;
    let Reply::Unknown { reason, .. } = answer.reply::<TimeResult<'_>>() else {
        panic!("{answer:?}")
    };
    assert!(matches!(reason, UnknownReason::Status { status: 503, .. }));
}

#[tokio::test]
async fn requests_keep_their_distance() {
    let url = venue(200, "{}").await;
    let rest = PublicRest::new(&url).unwrap().with_interval(Duration::from_millis(50));
    let start = Instant::now();
    for _ in 0..4 {
        rest.get(&PublicRequest::Time).await;
    }
    // Only the lower bound is the promise; a slow machine takes longer.
    assert!(start.elapsed() >= Duration::from_millis(150));
}

#[tokio::test]
async fn nobody_there_is_an_answer_too() {
    let url = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let rest = PublicRest::new(&url).unwrap();
    let answer = rest.get(&PublicRequest::Time).await;
    assert!(matches!(answer, RestAnswer::Lost(UnknownReason::Connection(_))), "{answer:?}");
    assert!(PublicRest::new("http://api.example.com").is_err());
}
