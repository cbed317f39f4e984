//! One socket that is replaced in time, so that the venue never ends it on its own.
//!
//! ```text
//! old link ──────────────────────────┐ drained, ended
//!              new link ─ opened ─ whole ─▶ old is told to close
//!                    └─ its events are held ┴─ handed on behind the end of the old one
//! ```
//!
//! Input: the events of up to two connectors, the time. Output: [`LinkEvent`]s in one order in which
//! nothing is missing: what the old link still brings comes first, then everything that the new one has
//! brought since it was opened. Doubles are the reader's to remove, by id. Invariants: at most two links;
//! the old one is closed only when the new one is whole or the old one is lost anyway; a new one that is
//! lost before that leaves nothing behind.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use penstock_venue_net::Clock;
use penstock_venues::endpoint::EndpointError;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::notice::DerivNotice;
use crate::connector::{SharedConnectBudget, SocketPolicy, spawn_session};
use crate::protocol::Protocol;
use crate::session::{DisconnectReason, FeedEvent};

/// Events of a link that may wait for this task.
const LINK_EVENTS_MAX: usize = 1_024;
/// Events of a new link that are held; the old link carries what is dropped beyond it.
const HELD_MAX: usize = 65_536;
/// Distance of looks at the age.
const AGE_INTERVAL: Duration = Duration::from_millis(250);

/// What happened, and over which link; numbers rise with each new socket of a rotation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkEvent {
    /// Number of the link, from 1.
    pub link: u64,
    /// What its connector tells.
    pub event: FeedEvent<DerivNotice>,
}

/// What a socket with rotation needs.
#[derive(Clone, Debug)]
pub struct LinksConfig {
    /// Address.
    pub url: String,
    /// How it is opened again.
    pub policy: SocketPolicy,
    /// Age of a connection at which it is replaced; none never.
    pub rotate: Option<Duration>,
}

/// What has to be done after an event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// To be handed on, in this order.
    pub out: Vec<LinkEvent>,
    /// The current link is to be closed.
    pub is_close_due: bool,
}

#[derive(Debug)]
struct Next {
    held: VecDeque<FeedEvent<DerivNotice>>,
    is_whole: bool,
}

/// The order of two overlapping links, without input or output.
#[derive(Debug)]
pub struct Overlap {
    rotate_ms: Option<i64>,
    current: u64,
    connected_ms: Option<i64>,
    is_closing: bool,
    next: Option<Next>,
}

impl Overlap {
    /// The first link has number 1.
    pub const fn new(rotate_ms: Option<i64>) -> Self {
        Self { rotate_ms, current: 1, connected_ms: None, is_closing: false, next: None }
    }

    /// Whether the next link is to be opened now; true once per rotation.
    pub fn is_open_due(&mut self, now_ms: i64) -> bool {
        let (Some(rotate_ms), Some(since_ms)) = (self.rotate_ms, self.connected_ms) else {
            return false;
        };
        let is_due = self.next.is_none() && now_ms - since_ms >= rotate_ms;
        if is_due {
            self.next = Some(Next { held: VecDeque::new(), is_whole: false });
        }
        is_due
    }

    /// Takes an event of the current link.
    pub fn current(&mut self, mut event: FeedEvent<DerivNotice>) -> Held {
        let mut is_close_due = false;
        match &mut event {
            FeedEvent::Connected { at, .. } => self.connected_ms = Some(at.mono_ms()),
            FeedEvent::Disconnected { reason, .. } => {
                self.connected_ms = None;
                let is_followed = self.next.as_ref().is_some_and(|next| next.is_whole);
                if self.is_closing && is_followed && *reason == DisconnectReason::Stopped {
                    *reason = DisconnectReason::Rotated;
                }
                is_close_due = self.close_current();
            }
            FeedEvent::Frame { .. }
            | FeedEvent::Alive { .. }
            | FeedEvent::Notice { .. }
            | FeedEvent::ConnectFailed { .. } => {}
        }
        Held { out: vec![LinkEvent { link: self.current, event }], is_close_due }
    }

    /// Takes an event of the next link.
    pub fn next(&mut self, event: FeedEvent<DerivNotice>) -> Held {
        let Some(next) = &mut self.next else { return Held::default() };
        match &event {
            FeedEvent::Notice { notice: DerivNotice::Whole, .. } => next.is_whole = true,
            FeedEvent::Disconnected { .. } => {
                next.is_whole = false;
                if !self.is_closing {
                    // It never took over, so nobody has to know that it was there.
                    next.held.clear();
                    return Held::default();
                }
            }
            FeedEvent::Connected { .. }
            | FeedEvent::Frame { .. }
            | FeedEvent::Alive { .. }
            | FeedEvent::Notice { .. }
            | FeedEvent::ConnectFailed { .. } => {}
        }
        next.held.push_back(event);
        if next.held.len() > HELD_MAX {
            // Behind the first, which says that the link was opened.
            next.held.remove(1);
        }
        let is_close_due = self.next.as_ref().is_some_and(|n| n.is_whole) && self.close_current();
        Held { out: Vec::new(), is_close_due }
    }

    /// True once, when there is a next link that takes over.
    fn close_current(&mut self) -> bool {
        self.next.is_some() && !core::mem::replace(&mut self.is_closing, true)
    }

    /// The current link has ended: the next one takes its place, with everything that was held. `None`
    /// without a next one.
    pub fn current_ended(&mut self) -> Option<Vec<LinkEvent>> {
        let next = self.next.take()?;
        self.current += 1;
        self.is_closing = false;
        let link = self.current;
        let mut out = Vec::with_capacity(next.held.len());
        for event in next.held {
            match &event {
                FeedEvent::Connected { at, .. } => self.connected_ms = Some(at.mono_ms()),
                FeedEvent::Disconnected { .. } => self.connected_ms = None,
                FeedEvent::Frame { .. }
                | FeedEvent::Alive { .. }
                | FeedEvent::Notice { .. }
                | FeedEvent::ConnectFailed { .. } => {}
            }
            out.push(LinkEvent { link, event });
        }
        Some(out)
    }
}

/// Starts a socket whose sessions `make` makes.
///
/// # Errors
/// The address is refused.
pub fn spawn_links<P, F>(
    config: LinksConfig,
    make: F,
    (clock, budget): (Arc<dyn Clock>, SharedConnectBudget),
    events: mpsc::Sender<LinkEvent>,
    cancel: CancellationToken,
) -> Result<JoinHandle<()>, EndpointError>
where
    P: Protocol<Notice = DerivNotice>,
    F: Fn() -> P + Send + Sync + 'static,
{
    let rotate_ms = config.rotate.map(|age| i64::try_from(age.as_millis()).unwrap_or(i64::MAX));
    let opener = Opener { config, make, clock, budget, cancel };
    let current = opener.open()?;
    let links = Links { opener, overlap: Overlap::new(rotate_ms), current, next: None, events };
    Ok(tokio::spawn(async move {
        // The reader went away or the process stops; both are the owner's own doing.
        let _ = links.run().await;
    }))
}

struct Link {
    events: mpsc::Receiver<FeedEvent<DerivNotice>>,
    cancel: CancellationToken,
}

struct Opener<F> {
    config: LinksConfig,
    make: F,
    clock: Arc<dyn Clock>,
    budget: SharedConnectBudget,
    cancel: CancellationToken,
}

impl<P: Protocol<Notice = DerivNotice>, F: Fn() -> P> Opener<F> {
    fn open(&self) -> Result<Link, EndpointError> {
        let (to, events) = mpsc::channel(LINK_EVENTS_MAX);
        let cancel = self.cancel.child_token();
        let shared = (Arc::clone(&self.clock), Arc::clone(&self.budget));
        let config = &self.config;
        spawn_session(&config.url, (self.make)(), config.policy, shared, to, cancel.clone())?;
        Ok(Link { events, cancel })
    }
}

/// The reader is gone.
struct Ended;

struct Links<F> {
    opener: Opener<F>,
    overlap: Overlap,
    current: Link,
    next: Option<Link>,
    events: mpsc::Sender<LinkEvent>,
}

impl<P: Protocol<Notice = DerivNotice>, F: Fn() -> P + Send + Sync> Links<F> {
    async fn run(mut self) -> Result<(), Ended> {
        let mut tick = tokio::time::interval(AGE_INTERVAL);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let held = tokio::select! {
                // Biased: the tick is rare; the new link decides whether the old one may go. Neither
                // brings more than this task moves, so nothing starves.
                biased;
                _ = tick.tick() => {
                    self.open_next();
                    continue;
                }
                event = receive(&mut self.next), if self.next.is_some() => match event {
                    Some(event) => self.overlap.next(event),
                    // It ends only with the process; the current one says when that is.
                    None => {
                        self.next = None;
                        continue;
                    }
                },
                event = self.current.events.recv() => match event {
                    Some(event) => self.overlap.current(event),
                    None => {
                        let Some(out) = self.overlap.current_ended() else { return Ok(()) };
                        match self.next.take() {
                            Some(next) => self.current = next,
                            None => return self.hand_on(out).await,
                        }
                        Held { out, is_close_due: false }
                    }
                },
            };
            if held.is_close_due {
                self.current.cancel.cancel();
            }
            self.hand_on(held.out).await?;
        }
    }

    fn open_next(&mut self) {
        let now_ms = self.opener.clock.now().mono_ms();
        if !self.opener.cancel.is_cancelled() && self.overlap.is_open_due(now_ms) {
            // The address was accepted for the first link, so it is for this one.
            self.next = self.opener.open().ok();
        }
    }

    async fn hand_on(&self, out: Vec<LinkEvent>) -> Result<(), Ended> {
        for event in out {
            self.events.send(event).await.map_err(|_| Ended)?;
        }
        Ok(())
    }
}

async fn receive(link: &mut Option<Link>) -> Option<FeedEvent<DerivNotice>> {
    match link {
        Some(link) => link.events.recv().await,
        None => None,
    }
}
