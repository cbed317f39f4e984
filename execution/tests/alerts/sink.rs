//! A receiver of alerts on loopback that can be down, slow, redirecting or well, and remembers what it took.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// How a receiver is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Takes everything.
    Well,
    /// Closes what is opened.
    Down,
    /// Takes a request and never answers.
    Slow,
    /// Sends its caller somewhere else.
    Redirecting,
}

/// A request that was taken.
#[derive(Debug, Clone)]
pub(crate) struct Taken {
    pub(crate) head: String,
    pub(crate) body: String,
}

/// The receiver.
#[derive(Clone)]
pub(crate) struct Receiver {
    pub(crate) port: u16,
    state: Arc<Mutex<State>>,
    taken: Arc<Mutex<Vec<Taken>>>,
}

impl Receiver {
    pub(crate) async fn start(state: State) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let receiver = Self { port, state: Arc::new(Mutex::new(state)), taken: Arc::default() };
        let own = receiver.clone();
        tokio::spawn(async move {
            // Connections that are never answered stay open here.
            let mut held = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                let state = own.state();
                match state {
                    State::Down => drop(stream),
                    State::Slow => held.push(stream),
                    State::Well | State::Redirecting => {
                        tokio::spawn(own.clone().answer(stream, state));
                    }
                }
            }
        });
        receiver
    }

    fn state(&self) -> State {
        *self.state.lock().unwrap()
    }

    pub(crate) fn set(&self, state: State) {
        *self.state.lock().unwrap() = state;
    }

    /// Requests whose body contains a text.
    pub(crate) fn taken(&self, text: &str) -> Vec<Taken> {
        let taken = self.taken.lock().unwrap();
        taken.iter().filter(|t| t.body.contains(text)).cloned().collect()
    }

    async fn answer(self, mut stream: TcpStream, state: State) {
        let mut bytes = Vec::new();
        let mut chunk = [0; 4_096];
        let (head, body) = loop {
            let Ok(n @ 1..) = stream.read(&mut chunk).await else { return };
            bytes.extend_from_slice(&chunk[..n]);
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let lower = head.to_ascii_lowercase();
            let length = lower.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |n| n.trim().parse().unwrap()) {
                break (head.to_owned(), body.to_owned());
            }
        };
        let answer = match state {
            State::Redirecting => "HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\n",
            State::Well | State::Down | State::Slow => {
                self.taken.lock().unwrap().push(Taken { head, body });
                "HTTP/1.1 200 OK\r\n"
            }
        };
        let answer = format!("{answer}content-length: 0\r\nconnection: close\r\n\r\n");
        // The caller may have given up.
        let _ = stream.write_all(answer.as_bytes()).await;
    }
}
