//! J16: the panel is asked for what it must refuse, and nothing that was written names a secret.
//!
//! Inputs: the panel's address, secrets, the directory of the logs. Outputs: findings. Invariants: only loopback is
//! asked; an answer is read up to a limit; a secret is looked for, never shown.

use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longest wait for an answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// Largest answer read.
const ANSWER_BYTES_MAX: u64 = 8 << 20;

/// What the panel must refuse: method, target, headers.
const REFUSED: [(&str, &str, &str); 12] = [
    ("POST", "/dashboard", ""),
    ("PUT", "/dashboard", ""),
    ("DELETE", "/dashboard", ""),
    ("PATCH", "/dashboard", ""),
    ("POST", "/api/mode", ""),
    ("POST", "/api/flatten", ""),
    ("GET", "/../../../etc/passwd", ""),
    ("GET", "/dashboard/%2e%2e/%2e%2e/etc/passwd", ""),
    ("GET", "/nothing-of-this-name", ""),
    ("GET", "/dashboard", "Host: attacker.example\r\n"),
    ("POST", "/dashboard", "Origin: http://attacker.example\r\n"),
    ("TRACE", "/dashboard", ""),
];

/// What was found wrong, and how many requests were answered.
pub(super) struct Attacked {
    pub(super) answered: u64,
    pub(super) wrong: Vec<String>,
}

/// Asks the panel at `host` (address and port) for all of it; `None` while nobody listens there.
pub(super) async fn attack(host: &str, secrets: &[String]) -> Option<Attacked> {
    let mut found = Attacked { answered: 0, wrong: Vec::new() };
    let whole = ask(host, "GET", "/dashboard", "").await?;
    check(&mut found, "GET /dashboard", &whole, 200..300, secrets);
    for (method, target, headers) in REFUSED {
        let answer = ask(host, method, target, headers).await?;
        let what = format!("{method} {target} {}", headers.trim());
        check(&mut found, what.trim(), &answer, 400..500, secrets);
    }
    Some(found)
}

fn check(
    found: &mut Attacked,
    what: &str,
    answer: &[u8],
    expected: std::ops::Range<u16>,
    secrets: &[String],
) {
    found.answered += 1;
    let head = String::from_utf8_lossy(&answer[..answer.len().min(64)]).into_owned();
    let status: Option<u16> = head.split(' ').nth(1).and_then(|word| word.parse().ok());
    if !status.is_some_and(|status| expected.contains(&status)) {
        let line = head.lines().next().unwrap_or("no answer").to_owned();
        found.wrong.push(format!("{what}: {line}, expected a status of {expected:?}"));
    }
    if secrets.iter().any(|secret| contains(answer, secret)) {
        found.wrong.push(format!("{what}: the answer holds a secret"));
    }
}

async fn ask(host: &str, method: &str, target: &str, headers: &str) -> Option<Vec<u8>> {
    let own =
        if headers.starts_with("Host:") { String::new() } else { format!("Host: {host}\r\n") };
    let request = format!(
        "{method} {target} HTTP/1.1\r\n{own}{headers}Content-Length: 0\r\nConnection: close\r\n\r\n"
    );
    let exchange = async {
        let mut stream = TcpStream::connect(host).await.ok()?;
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = Vec::new();
        // A connection that is closed without a word is an answer, too: an empty one.
        let _ended = stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).await;
        Some(answer)
    };
    tokio::time::timeout(ANSWER_LIMIT, exchange).await.unwrap_or(Some(Vec::new()))
}

/// Files below a directory that hold a secret.
///
/// # Errors
/// When the directory or a file cannot be read.
pub(super) fn leaks(directory: &Path, secrets: &[String]) -> std::io::Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(leaks(&path, secrets)?);
            continue;
        }
        let bytes = std::fs::read(&path)?;
        if secrets.iter().any(|secret| contains(&bytes, secret)) {
            found.push(format!("{} holds a secret", path.display()));
        }
    }
    Ok(found)
}

fn contains(bytes: &[u8], secret: &str) -> bool {
    let needle = secret.as_bytes();
    !needle.is_empty() && bytes.windows(needle.len()).any(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_in_a_file_is_found_and_not_shown() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("a")).unwrap();
        std::fs::write(directory.path().join("a/log"), b"x c2VjcmV0 y").unwrap();
        std::fs::write(directory.path().join("clean"), b"nothing").unwrap();
        let found = leaks(directory.path(), &["c2VjcmV0".to_owned(), String::new()]).unwrap();
        assert_eq!(found.len(), 1);
        assert!(found[0].ends_with("a/log holds a secret") && !found[0].contains("c2VjcmV0"));
    }

    #[test]
    fn a_wrong_status_and_a_secret_in_an_answer_are_found() {
        let mut found = Attacked { answered: 0, wrong: Vec::new() };
        let secrets = ["s3".to_owned()];
        check(&mut found, "POST /", b"HTTP/1.1 405 Method Not Allowed\r\n\r\n", 400..500, &secrets);
        assert!(found.wrong.is_empty());
        check(&mut found, "PUT /", b"HTTP/1.1 200 OK\r\n\r\n s3", 400..500, &secrets);
        check(&mut found, "GET /", b"", 200..300, &secrets);
        assert_eq!((found.answered, found.wrong.len()), (3, 3), "{:?}", found.wrong);
    }
}
