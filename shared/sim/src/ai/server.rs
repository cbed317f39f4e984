//! The listener: questions in, answers by the script, counters.
//!
//! Inputs: options. Outputs: a handle with the address, the key and the counters; `GET /counts` says the same as JSON.
//! Invariants: it listens on loopback; every question is counted once, by what was answered, or as refused; dropping the
//! handle stops it.

use super::answers::{modified, text};
use super::behaviour::{Behaviour, Step};
use super::http::{Request, answer, json_response, read};
use super::question::Question;
use super::script::Script;
use rand::Rng;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// Name of the model.
pub const MODEL: &str = "ai-sim";
/// How long a question that gets no answer is held, unless the client leaves.
const HANG: Duration = Duration::from_secs(120);

/// Options.
#[derive(Clone, Debug)]
pub struct Options {
    /// Seed of what the script leaves open.
    pub seed: u64,
    /// The script.
    pub script: Script,
}

/// What it prints as its first line.
#[derive(Clone, Debug, Serialize)]
pub struct Address {
    /// Base address, below which `/chat/completions` lies.
    pub url: String,
    /// Address of `/counts`.
    pub admin: String,
    /// Key that a question must carry.
    pub api_key: String,
    /// Name of the model.
    pub model: String,
}

/// How often what was answered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Questions that were answered, in whatever way.
    pub asked: u64,
    /// Answers by their word.
    pub answers: BTreeMap<&'static str, u64>,
    /// Requests that were no question, with the last reason.
    pub refused: u64,
    /// Why the last one was refused.
    pub last_refusal: String,
    /// Requests to another path: a redirect that was followed.
    pub elsewhere: u64,
    /// Answers whose client left before their end.
    pub cut_off: u64,
}

struct State {
    counts: Counts,
    script: Script,
    dice: ChaCha8Rng,
}

struct Server {
    address: Address,
    state: Mutex<State>,
}

impl Server {
    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A running server.
pub struct Handle {
    /// Where it is.
    pub address: Address,
    server: Arc<Server>,
    tasks: TaskTracker,
    cancel: CancellationToken,
    _stop_on_drop: DropGuard,
}

impl Handle {
    /// The counters.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.server.with(|state| state.counts.clone())
    }

    /// Goes on with another script.
    pub fn follow(&self, script: Script) {
        self.server.with(|state| state.script = script);
    }

    /// Stops it and waits until all its tasks have ended.
    pub async fn stop(self) -> Counts {
        self.cancel.cancel();
        self.tasks.wait().await;
        self.server.with(|state| state.counts.clone())
    }
}

/// Starts it inside the running tokio runtime.
///
/// # Errors
/// Loopback has no free port.
pub async fn start(options: Options) -> io::Result<Handle> {
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
    let admin = format!("http://{}", listener.local_addr()?);
    let address = Address {
        url: format!("{admin}/v1"),
        admin,
        api_key: format!("sim-{}", uuid::Uuid::new_v4().simple()),
        model: MODEL.to_owned(),
    };
    let state = State {
        counts: Counts::default(),
        script: options.script,
        dice: ChaCha8Rng::seed_from_u64(options.seed),
    };
    let server = Arc::new(Server { address: address.clone(), state: Mutex::new(state) });
    let (tasks, cancel) = (TaskTracker::new(), CancellationToken::new());
    tasks.spawn(accept(listener, Arc::clone(&server), tasks.clone(), cancel.clone()));
    tasks.close();
    let _stop_on_drop = cancel.clone().drop_guard();
    Ok(Handle { address, server, tasks, cancel, _stop_on_drop })
}

async fn accept(
    listener: TcpListener,
    server: Arc<Server>,
    tasks: TaskTracker,
    cancel: CancellationToken,
) {
    loop {
        let accepted = tokio::select! {
            // Stopping first: who is still connecting gets nothing.
            biased;
            () = cancel.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else { continue };
        let (server, cancel) = (Arc::clone(&server), cancel.clone());
        tasks.spawn(async move {
            tokio::select! {
                // Stopping first: an answer may hang.
                biased;
                () = cancel.cancelled() => {}
                () = serve(stream, &server) => {}
            }
        });
    }
}

async fn serve(mut stream: TcpStream, server: &Server) {
    let Ok(request) = read(&mut stream).await else {
        server.with(|state| refuse(state, "no HTTP request"));
        return;
    };
    let is_question = request.method == "POST" && request.path.ends_with("/chat/completions");
    if is_question {
        respond(&mut stream, server, &request).await;
        return;
    }
    let bytes = if request.path == "/counts" {
        json_response("200 OK", &server.with(|state| json!(state.counts)))
    } else {
        server.with(|state| state.counts.elsewhere += 1);
        json_response("404 Not Found", &json!({"error": "no such path"}))
    };
    // Who asked for counters and left does not need them.
    let _ = stream.write_all(&bytes).await;
}

fn refuse(state: &mut State, why: &str) {
    state.counts.refused += 1;
    why.clone_into(&mut state.counts.last_refusal);
}

async fn respond(stream: &mut TcpStream, server: &Server, request: &Request) {
    let key = &server.address.api_key;
    let question = match Question::read(&request.authorization, key, &request.body) {
        Ok(question) => question,
        Err(why) => {
            tracing::warn!(why, "a request is refused");
            server.with(|state| refuse(state, &why));
            let body = json!({"error": {"message": why, "type": "invalid_request_error"}});
            // A client that has left does not need the reason.
            let _ = stream.write_all(&json_response("400 Bad Request", &body)).await;
            return;
        }
    };
    let behaviour = server.with(|state| {
        let step = state.script.next(&mut state.dice);
        let behaviour = choose(step, &question, &mut state.dice);
        state.counts.asked += 1;
        *state.counts.answers.entry(behaviour.word()).or_insert(0) += 1;
        behaviour
    });
    let symbol = question.text("symbol").unwrap_or_default();
    tracing::info!(answer = behaviour.word(), symbol, "a question");
    let text = text(&question, behaviour);
    if answer(stream, behaviour, &question.model, &text, HANG).await.is_err() {
        server.with(|state| state.counts.cut_off += 1);
    }
}

/// What a step is for this question: a change that there is no room for is none.
fn choose(step: Step, question: &Question, dice: &mut impl Rng) -> Behaviour {
    let fitting: Vec<Behaviour> = step
        .choices()
        .iter()
        .copied()
        .filter(|behaviour| match behaviour {
            Behaviour::ModifyQty
            | Behaviour::ModifyStop
            | Behaviour::ModifyTime
            | Behaviour::ModifyEntry => modified(question, *behaviour).is_some(),
            _ => true,
        })
        .collect();
    match fitting.len() {
        0 => Behaviour::Allow,
        len => fitting[dice.random_range(0..len)],
    }
}
