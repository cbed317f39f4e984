//! Private REST against a fake venue.

use crate::fake::{FakeRest, rest_client, warm_state};
use penstock_venue_orders::{NotSent, PrivateRest, RestAnswer, RestOutcome};
use penstock_venues::kraken::rates::RestUse;
use penstock_venues::kraken::rest::private::{CancelResult, TokenResult};
use penstock_venues::kraken::rest::{PrivateRequest, PublicRequest, Reply};
use penstock_venues::kraken::signing::PrivateKey;

async fn rig() -> (FakeRest, PrivateRest, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let rest = FakeRest::start().await;
    let client = rest_client(&rest, warm_state(&directory));
    (rest, client, directory)
}

fn sent(outcome: RestOutcome) -> RestAnswer {
    match outcome {
        RestOutcome::Sent(answer) => answer,
        RestOutcome::NotSent(reason) => panic!("not sent: {reason}"),
    }
}

#[tokio::test]
async fn a_call_is_signed_over_the_body_that_arrives() {
    let (rest, client, _directory) = rig().await;
    let answer = sent(client.call(&PrivateRequest::GetWebSocketsToken, RestUse::Reserved).await);
    let Reply::Done { result, .. } = answer.reply::<TokenResult<'_>>() else {
        panic!("{answer:?}")
    };
    assert_eq!(result.token.as_str(), "token-1");
    let seen = rest.seen.lock().unwrap()[0].clone();
    assert_eq!(seen.path, "/0/private/GetWebSocketsToken");
    let nonce = seen.body.strip_prefix("nonce=").unwrap();
    let key = PrivateKey::from_base64("c2VjcmV0").unwrap();
    let signature = key.sign(&seen.path, nonce, &seen.body);
    let headers = seen.headers.to_ascii_lowercase();
    assert!(headers.contains("api-key: key\r\n"), "{headers}");
    assert!(seen.headers.contains(&signature), "{}", seen.headers);
    assert!(headers.contains("user-agent: penstock/"), "{headers}");
}

#[tokio::test]
async fn nonces_arrive_in_rising_order_under_concurrent_calls() {
    let (rest, client, _directory) = rig().await;
    let calls: Vec<_> = (0..10)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move {
                sent(client.call(&PrivateRequest::Balance, RestUse::Reserved).await)
            })
        })
        .collect();
    for call in calls {
        call.await.unwrap();
    }
    let nonces = rest.nonces();
    assert_eq!(nonces.len(), 10);
    assert!(nonces.windows(2).all(|w| w[0] < w[1]), "{nonces:?}");
}

#[tokio::test]
async fn only_a_read_is_repeated_after_a_refused_nonce() {
    let (rest, client, _directory) = rig().await;
    let refusal = r#"{"error":["EAPI:Invalid nonce"]}"#;
    rest.answer(200, refusal);
    let answer = sent(client.call(&PrivateRequest::GetWebSocketsToken, RestUse::Reserved).await);
    assert!(matches!(answer.reply::<TokenResult<'_>>(), Reply::Done { .. }));
    assert_eq!(rest.nonces().len(), 2);
    rest.answer(200, refusal);
    let cancel = PrivateRequest::CancelOrder { txid: Some("OABC"), cl_ord_id: None };
    let answer = sent(client.call(&cancel, RestUse::Reserved).await);
    assert!(matches!(answer.reply::<CancelResult<'_>>(), Reply::Refused { .. }));
    assert_eq!(rest.nonces().len(), 3);
}

#[tokio::test]
async fn what_comes_from_before_the_api_is_unknown() {
    let (rest, client, _directory) = rig().await;
    let cancel = PrivateRequest::CancelOrder { txid: Some("OABC"), cl_ord_id: None };
    for (status, body) in [
        (502, "<html>Bad Gateway</html>"),
        (200, "<html>maintenance</html>"),
        (200, r#"{"error":[],"result":{"cou"#),
        (200, ""),
        (429, "slow down"),
    ] {
        rest.answer(status, body);
        let answer = sent(client.call(&cancel, RestUse::Reserved).await);
        assert!(matches!(answer.reply::<CancelResult<'_>>(), Reply::Unknown { .. }), "{body}");
    }
    drop(rest);
}

#[tokio::test]
async fn nobody_there_is_unknown_and_names_no_secret() {
    let (rest, _client, directory) = rig().await;
    // A port that was free a moment ago and that nobody listens on.
    let free = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let nobody = FakeRest { url: free, seen: rest.seen.clone(), script: rest.script.clone() };
    let client = rest_client(&nobody, warm_state(&directory));
    let outcome = client.call(&PrivateRequest::Balance, RestUse::Reserved).await;
    let text = format!("{outcome:?}");
    assert!(text.contains("Lost(Connection("), "{text}");
    assert!(!text.contains("c2VjcmV0"), "{text}");
}

#[tokio::test]
async fn an_exceeded_counter_pauses_and_the_file_remembers() {
    let (rest, client, directory) = rig().await;
    rest.answer(200, r#"{"error":["EAPI:Rate limit exceeded"]}"#);
    sent(client.call(&PrivateRequest::Balance, RestUse::Reserved).await);
    let next = client.call(&PrivateRequest::Balance, RestUse::Reserved).await;
    assert!(matches!(next, RestOutcome::NotSent(NotSent::Paused { .. })), "{next:?}");
    let text = std::fs::read_to_string(directory.path().join("venue.json")).unwrap();
    assert!(text.contains("\"not_before\":[[\"rest\","), "{text}");
}

#[tokio::test]
async fn public_tables_are_readable_here() {
    let (rest, client, _directory) = rig().await;
    let answer = client.public(&PublicRequest::AssetPairs).await;
    assert!(matches!(answer, RestAnswer::Body { status: 200, .. }));
    assert_eq!(rest.seen.lock().unwrap()[0].path, "/0/public/AssetPairs");
}
