//! Redaction against its rules, and a random secret at every place.

use super::*;
use proptest::prelude::*;
use serde_json::json;

fn secret(text: &str) -> SecretString {
    SecretString::from(text.to_owned())
}

fn redactor() -> Redactor {
    Redactor::default()
        .with_secrets([&secret("kqXv93/+Lm=="), &secret("short")])
        .with_env_names(["KRAKEN_API_KEY"])
        .with_sink_hosts(["hooks.example.com"])
}

#[test]
fn credentials_are_dropped_and_volatile_keys_only_from_the_gates_json() {
    let value = json!({
        "Authorization": "Bearer x", "nested": [{"api-key": 1, "KRAKEN_API_SECRET": "y", "seq": 4}],
        "Nonce": 5, "left": true,
    });
    let own = redactor().json(&value, Source::Own).unwrap();
    assert_eq!(own, json!({"nested": [{"seq": 4}], "Nonce": 5, "left": true}));
    let ai = redactor().json(&value, Source::Ai).unwrap();
    assert_eq!(ai, json!({"nested": [{}], "left": true}));
}

#[test]
fn every_key_of_the_two_lists_is_dropped_in_any_case() {
    for key in DROPPED {
        for key in [key.to_owned(), key.to_uppercase()] {
            let value = json!({"in": {key: "x"}});
            assert_eq!(redactor().json(&value, Source::Own).unwrap(), json!({"in": {}}));
        }
    }
    for key in VOLATILE {
        let value = json!({key.to_uppercase(): 1});
        assert_eq!(redactor().json(&value, Source::Own).unwrap(), value);
        assert_eq!(redactor().json(&value, Source::Ai).unwrap(), json!({}));
    }
}

#[test]
fn keys_that_speak_of_credentials_are_refused_and_ordinary_ones_are_not() {
    for key in
        ["client_secret", "myApiKey", "x_api_key", "Password", "passphrase", "private_key_pem"]
    {
        let value = json!({"a": [{key: 1}]});
        assert_eq!(redactor().json(&value, Source::Own), Err(Refused::Key), "{key}");
    }
    for key in ["token", "sessionToken", "ws_token"] {
        assert_eq!(redactor().json(&json!({key: 1}), Source::Own), Err(Refused::Key), "{key}");
    }
    for key in ["https://u:p@h/", "at https://h/?q=1"] {
        assert_eq!(redactor().json(&json!({key: 1}), Source::Own), Err(Refused::Key), "{key}");
    }
    for key in ["token_fsm", "token_id", "max_tokens", "fencing_token"] {
        assert!(redactor().json(&json!({key: 1}), Source::Own).is_ok(), "{key}");
    }
}

#[test]
fn a_refused_object_leaves_hashes_verdict_reasons_and_error_code() {
    let hash = "0".repeat(64);
    let map = json!({
        "ai_raw_hash": hash, "ai_verdict": "ERROR", "ai_reasons": ["ALERT_RAISED"],
        "ai_error_code": "ALERT_RAISED", "ai_model": "m", "note": "KRAKEN_API_KEY is wrong",
        "kqXv93/+Lm==_hash": hash, "bad_hash": "kqXv93/+Lm==", "verdict": "kqXv93/+Lm==",
    });
    let Value::Object(map) = map else { panic!("an object") };
    let kept = Value::Object(redactor().data(&map));
    let expected = json!({
        "ai_raw_hash": hash, "ai_verdict": "ERROR", "ai_reasons": ["ALERT_RAISED"],
        "ai_error_code": "ALERT_RAISED",
    });
    assert_eq!(kept, expected);
}

#[test]
fn a_long_json_text_is_replaced_as_a_whole() {
    let exact = json!("x".repeat(JSON_BYTES_MAX - 2));
    assert_eq!(redactor().stored_json(&exact, Source::Own).len(), JSON_BYTES_MAX);
    let long = json!("x".repeat(JSON_BYTES_MAX - 1));
    assert_eq!(redactor().stored_json(&long, Source::Own), "<TRUNCATED len_bytes=4097>");
    assert_eq!(redactor().stored_json(&json!(["kqXv93/+Lm=="]), Source::Own), "\"[REDACTED]\"");
}

#[test]
fn urls_keep_scheme_host_and_path() {
    for (text, expected) in [
        ("get https://u:p@h.example:8443/a/b?k=v#f now", "get https://h.example:8443/a/b now"),
        ("postgres://h/db", "postgres://h/db"),
        ("postgres://u:p/w@h/db", "postgres://[REDACTED]"),
        ("postgres://u:p?w@h/db", "postgres://[REDACTED]"),
        ("post https://hooks.example.com/T0/B1/x done", "post https://hooks.example.com done"),
        ("(\"wss://h/v2?x=1\") and http://h?y", "(\"wss://h/v2\") and http://h"),
        ("a :// b ://", "a :// b ://"),
        ("\u{e9}://u:p@h/x and (://u:p@h)", "\u{e9}://h/x and (://h)"),
        ("https://h/p?next=https://u:p@x/", "https://[REDACTED]"),
    ] {
        assert_eq!(redactor().text(text), expected);
    }
}

#[test]
fn short_secrets_are_not_looked_for_and_printing_shows_none() {
    assert_eq!(redactor().text("in short"), "in short");
    let shown = format!("{:?}", redactor());
    assert!(!shown.contains("kqXv93"), "{shown}");
    assert_eq!(redactor().text("it is kqXv93/+Lm== indeed"), REDACTED);
    assert_eq!(redactor().text("form=kqXv93%2f%2bLm%3d%3d"), REDACTED);
    let with_url = Redactor::default().with_secrets([&secret("postgres://u:long%2Fpass@h/db")]);
    assert_eq!(with_url.text("password authentication: long/pass"), REDACTED);
    assert_eq!(with_url.text("host h is down"), "host h is down");
}

/// A secret of 8 to 24 characters of any kind.
fn any_secret() -> impl Strategy<Value = String> {
    prop_oneof!["[ -~]{8,24}", "[0-9]{8,15}", "[a-zA-Z0-9+/]{12}==", "\\PC{8,24}"]
}

/// JSON without a secret, and the same text at a random place in it.
fn with_text_somewhere(text: String) -> impl Strategy<Value = Value> {
    let text_value = {
        let text = text.clone();
        (".{0,6}", ".{0,6}").prop_map(move |(a, b)| Value::String(format!("{a}{text}{b}")))
    };
    let leaf = prop_oneof![
        any::<i32>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
        text_value,
        Just(Value::String(format!("https://u:{text}@host/path"))),
        Just(Value::String(format!("see https://host/path?key={text}&b=2"))),
        Just(text.parse::<i64>().map_or(Value::Null, Value::from)),
    ];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        let text = text.clone();
        let key = (0..4, "[a-z_]{1,8}").prop_map(move |(kind, key)| match kind {
            0 => text.clone(),
            1 => format!("{key}{text}_hash"),
            _ => key,
        });
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key, inner), 0..4).prop_map(|pairs| pairs.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn a_loaded_secret_never_comes_out(
        (text, value) in any_secret().prop_flat_map(|text| (Just(text.clone()), with_text_somewhere(text))),
    ) {
        let redactor = Redactor::default().with_secrets([&secret(&text)]);
        let escaped = Value::from(text.as_str()).to_string();
        let escaped = &escaped[1..escaped.len() - 1];
        let data = match &value {
            Value::Object(map) => map.clone(),
            other => [("x".to_owned(), other.clone())].into_iter().collect(),
        };
        let outputs = [
            Value::Object(redactor.data(&data)).to_string(),
            redactor.stored_json(&value, Source::Ai),
            redactor.text(&value.to_string()),
        ];
        for out in outputs.iter().filter(|out| out.as_str() != REDACTED && *out != "\"[REDACTED]\"") {
            prop_assert!(!out.contains(&text), "{out}");
            prop_assert!(!out.contains(escaped), "{out}");
        }
    }

    #[test]
    fn users_and_queries_of_urls_go_even_when_nobody_loaded_them(
        part in "[a-zA-Z0-9:@/?#%+=&!*._~-]{1,24}", query in any::<bool>(), tail in ".{0,12}",
    ) {
        let mark = format!("Zq{part}qZ");
        let url = if query { format!("https://host/path?{mark}") } else { format!("https://{mark}@host/path") };
        let out = Redactor::default().text(&format!("see {url} {tail}"));
        prop_assert!(!out.contains("Zq") || tail.contains("Zq"), "{out}");
        prop_assert_eq!(Redactor::default().text(&out), out);
    }

    #[test]
    fn what_is_redacted_once_is_redacted_for_good(value in with_text_somewhere("plain text".to_owned())) {
        let redactor = Redactor::default().with_env_names(["_hash"]);
        if let Ok(once) = redactor.json(&value, Source::Ai) {
            prop_assert_eq!(redactor.json(&once, Source::Ai), Ok(once));
        }
    }
}
