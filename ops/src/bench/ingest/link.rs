//! Purpose: one socket of the bench's venue: its requests, and everything that is sent on it. Inputs: an
//! accepted connection, the orders of the bench. Outputs: answers, images, rounds of frames, counts.
//! Invariants: a reader and a writer thread; what the reader answers goes out only between two rounds,
//! when every book stands as its image says; a round is written as fast as the other side takes it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio_tungstenite::tungstenite::{Message, WebSocket, accept};

use super::frames::{self, FIRST_TRADE_ID, Mix, Round, push_frame};
use super::pair::{Circle, Pair};
use super::requests::{Request, answer, instruments, refused};

/// Time between two calm rounds.
const CALM_EVERY: Duration = Duration::from_millis(250);
/// The venue sends a heartbeat every second, whatever else it sends.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(1);
/// How often a writer without a round looks for answers.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What the bench wants to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// A little of everything.
    Calm,
    /// As much as is taken.
    Flood(Mix),
}

/// What all sockets share.
#[derive(Debug)]
pub(super) struct Orders {
    /// Every pair of the venue.
    pub(super) pairs: Vec<Pair>,
    order: Mutex<(u64, Order)>,
    is_stopped: AtomicBool,
}

impl Orders {
    /// Calm until something else is said.
    #[must_use]
    pub(super) fn new(pairs: Vec<Pair>) -> Self {
        Self { pairs, order: Mutex::new((0, Order::Calm)), is_stopped: AtomicBool::new(false) }
    }

    /// Gives an order; returns its number, which a socket tells when it follows it.
    pub(super) fn give(&self, order: Order) -> u64 {
        let mut held = locked(&self.order);
        *held = (held.0 + 1, order);
        held.0
    }

    fn read(&self) -> (u64, Order) {
        *locked(&self.order)
    }

    /// Everything ends.
    pub(super) fn stop(&self) {
        self.is_stopped.store(true, Ordering::Relaxed);
    }

    /// Whether it does.
    pub(super) fn is_stopped(&self) -> bool {
        self.is_stopped.load(Ordering::Relaxed)
    }
}

/// A lock that a panicking thread held is taken all the same: the bench ends then anyway.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A socket as the bench sees it.
#[derive(Debug, Default)]
pub(super) struct Link {
    /// Frames sent.
    pub(super) frames: AtomicU64,
    /// Trades sent.
    pub(super) trades: AtomicU64,
    /// Bytes sent.
    pub(super) bytes: AtomicU64,
    /// Order that is followed.
    pub(super) following: AtomicU64,
    /// The other side is gone.
    pub(super) is_over: AtomicBool,
    /// Something is subscribed.
    is_subscribed: AtomicBool,
    /// Pairs with a book, and the number of the next trade of each.
    next_ids: Mutex<Vec<(String, u64)>>,
    /// Answers that wait.
    outbox: Mutex<Vec<u8>>,
    wanted: Mutex<Wanted>,
}

/// What is subscribed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Wanted {
    /// Numbers of pairs with a book.
    pairs: Vec<usize>,
    depth: usize,
}

impl Link {
    /// Symbols of the socket with the number of the last trade of each that was sent.
    pub(super) fn last_trades(&self) -> Vec<(String, i64)> {
        let ids = locked(&self.next_ids);
        let sent = ids.iter().filter(|(_, next)| *next > FIRST_TRADE_ID);
        sent.map(|(symbol, next)| (symbol.clone(), i64::try_from(next - 1).unwrap_or(0))).collect()
    }

    /// Serves a connection until it ends.
    pub(super) fn serve(self: &Arc<Self>, stream: TcpStream, orders: &Arc<Orders>) {
        let (Ok(reading), Ok(writing)) = (stream.try_clone(), stream.try_clone()) else { return };
        let writer = std::thread::spawn({
            let (link, orders) = (Arc::clone(self), Arc::clone(orders));
            move || {
                let mut writer = Writer::new(link, orders, writing);
                // A socket that the other side closes is an end like any other.
                let _ = writer.run();
                writer.link.is_over.store(true, Ordering::Relaxed);
            }
        });
        if let Ok(socket) = accept(Half { stream: reading, link: Arc::clone(self) }) {
            self.read(socket, orders);
        }
        self.is_over.store(true, Ordering::Relaxed);
        // It may be gone already; the writer sees either way that it is over.
        let _ = stream.shutdown(std::net::Shutdown::Both);
        // A panic of the writer has been printed.
        let _ = writer.join();
    }

    fn read(&self, mut socket: WebSocket<Half>, orders: &Orders) {
        loop {
            let text = match socket.read() {
                Ok(Message::Text(text)) => text,
                // Pings are answered by the library, with the next thing that is read or sent.
                Ok(_) => {
                    let _ = socket.flush();
                    continue;
                }
                Err(_) => return,
            };
            let mut answers = Vec::new();
            for text in self.answers(&text, orders) {
                push_frame(&mut answers, &text);
            }
            locked(&self.outbox).extend_from_slice(&answers);
        }
    }

    fn answers(&self, text: &str, orders: &Orders) -> Vec<String> {
        let at = frames::now();
        let Some(request) = Request::read(text) else { return vec![refused(text, &at)] };
        let mut texts = answer(&request, &at);
        let is_subscribe = request.method == "subscribe";
        self.is_subscribed.fetch_or(is_subscribe, Ordering::Relaxed);
        if request.channel == "instrument" && is_subscribe {
            texts.push(instruments(&orders.pairs));
        }
        for symbol in &request.symbols {
            let Some(pair) = orders.pairs.iter().find(|pair| pair.symbol == *symbol) else {
                continue;
            };
            match (request.channel.as_str(), is_subscribe) {
                ("ticker", true) => texts.push(frames::ticker(pair, "snapshot", &at)),
                ("book", true) => {
                    let image = Circle::new(pair, request.depth).image();
                    texts.push(frames::book_image(pair, &image, &at));
                    let mut wanted = locked(&self.wanted);
                    wanted.depth = request.depth;
                    wanted.pairs.retain(|number| *number != pair.number);
                    wanted.pairs.push(pair.number);
                }
                ("book", false) => {
                    locked(&self.wanted).pairs.retain(|number| *number != pair.number);
                }
                _ => {}
            }
        }
        texts
    }
}

/// The reader's half: reads the socket, and leaves what is to be written to the writer.
#[derive(Debug)]
struct Half {
    stream: TcpStream,
    link: Arc<Link>,
}

impl Read for Half {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        self.stream.read(into)
    }
}

impl Write for Half {
    fn write(&mut self, from: &[u8]) -> std::io::Result<usize> {
        locked(&self.link.outbox).extend_from_slice(from);
        Ok(from.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The thread that writes.
struct Writer {
    link: Arc<Link>,
    orders: Arc<Orders>,
    stream: TcpStream,
    wanted: Wanted,
    /// Number of the next trade of every pair of `wanted`.
    next_ids: Vec<u64>,
    rounds: Vec<(Mix, Round)>,
    heartbeat_at: Instant,
}

impl Writer {
    fn new(link: Arc<Link>, orders: Arc<Orders>, stream: TcpStream) -> Self {
        Self {
            link,
            orders,
            stream,
            wanted: Wanted::default(),
            next_ids: Vec::new(),
            rounds: Vec::new(),
            heartbeat_at: Instant::now(),
        }
    }

    fn run(&mut self) -> std::io::Result<()> {
        while !self.orders.is_stopped() && !self.link.is_over.load(Ordering::Relaxed) {
            self.answer()?;
            let (number, order) = self.orders.read();
            self.link.following.store(number, Ordering::Release);
            self.adopt();
            let (mix, pause) = match order {
                Order::Calm => (Mix::CALM, CALM_EVERY),
                Order::Flood(mix) => (mix, Duration::ZERO),
            };
            if self.wanted.pairs.is_empty() {
                std::thread::sleep(LOOK_EVERY);
                continue;
            }
            self.round(mix)?;
            // Answers do not wait for the next calm round.
            let until = Instant::now() + pause;
            while Instant::now() < until && self.orders.read().0 == number {
                self.answer()?;
                std::thread::sleep(LOOK_EVERY);
            }
        }
        Ok(())
    }

    /// Sends what the reader left, and a heartbeat when it is time.
    fn answer(&mut self) -> std::io::Result<()> {
        let mut waiting = core::mem::take(&mut *locked(&self.link.outbox));
        let is_subscribed = self.link.is_subscribed.load(Ordering::Relaxed);
        if is_subscribed && self.heartbeat_at.elapsed() >= HEARTBEAT_EVERY {
            self.heartbeat_at = Instant::now();
            push_frame(&mut waiting, r#"{"channel":"heartbeat"}"#);
        }
        self.stream.write_all(&waiting)
    }

    /// Takes over what is subscribed now; numbers of trades go on where they stood.
    fn adopt(&mut self) {
        let wanted = locked(&self.link.wanted).clone();
        if wanted == self.wanted {
            return;
        }
        self.keep_ids();
        self.wanted = wanted;
        self.rounds.clear();
        let kept = locked(&self.link.next_ids);
        let next_id = |number: &usize| {
            let symbol = &self.orders.pairs[*number].symbol;
            kept.iter().find(|(one, _)| one == symbol).map_or(FIRST_TRADE_ID, |(_, next)| *next)
        };
        self.next_ids = self.wanted.pairs.iter().map(next_id).collect();
    }

    /// Writes the numbers where the bench reads them.
    fn keep_ids(&self) {
        let mut kept = locked(&self.link.next_ids);
        for (number, next) in self.wanted.pairs.iter().zip(&self.next_ids) {
            let symbol = &self.orders.pairs[*number].symbol;
            match kept.iter_mut().find(|(one, _)| one == symbol) {
                Some((_, held)) => *held = *next,
                None => kept.push((symbol.clone(), *next)),
            }
        }
    }

    fn round(&mut self, mix: Mix) -> std::io::Result<()> {
        if !self.rounds.iter().any(|(of, _)| *of == mix) {
            let pairs: Vec<Pair> =
                self.wanted.pairs.iter().map(|n| self.orders.pairs[*n].clone()).collect();
            self.rounds.push((mix, Round::new(&pairs, self.wanted.depth, mix)));
        }
        let Some((_, round)) = self.rounds.iter_mut().find(|(of, _)| *of == mix) else {
            return Ok(());
        };
        round.renew(&mut self.next_ids, &frames::now());
        self.stream.write_all(&round.bytes)?;
        self.link.frames.fetch_add(round.frames, Ordering::Relaxed);
        self.link.trades.fetch_add(round.trades, Ordering::Relaxed);
        self.link.bytes.fetch_add(round.bytes.len() as u64, Ordering::Relaxed);
        self.keep_ids();
        Ok(())
    }
}
