//! Opening the sockets: one for the venue's reference data, and one per hundred pairs for the market.

use super::layers::Layers;
use super::level3::{Level3, Level3Account, tell_no_key, watch_tokens};
use super::reference::{Pairs, Volumes, follow};
use crate::core::clock::RecordingClock;
use crate::core::feed_input::{Group, GroupKind};
use crate::core::run::Input;
use crate::exit::Exit;
use crate::lifecycle::alerts::Alerts;
use crate::lifecycle::venue_clocks::VenueClocks;
use crate::settings::Settings;
use penstock_types::vocab::Venue;
use penstock_types::{Decimal, Symbol};
use penstock_venue_feeds::session::Notice;
use penstock_venue_feeds::{
    FeedConfig, FeedEvent, FeedHandle, Level3Config, Plan, PublicRest, SharedConnectBudget,
    spawn_feed, spawn_level3,
};
use penstock_venues::endpoint::EndpointError;
use penstock_venues::kraken::reconnect::ConnectBudget;
use penstock_venues::kraken::vocabulary::EventTrigger;
use penstock_venues::venue_clock::ClockSample;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Longest wait for the image of all pairs at the start.
const PAIRS_WAIT: Duration = Duration::from_secs(60);
/// Events of one socket that may wait for their forwarder.
const SOCKET_EVENTS_MAX: usize = 1_024;
/// Where the nonce of the key for market data is kept, in the state directory.
const NONCE_FILE: &str = "data-nonce";
/// A venue on this host needs no pace between REST requests.
const LOOPBACK_REST_INTERVAL: Duration = Duration::from_millis(50);

/// Reference data of the venue, followed for the life of the process.
#[derive(Debug)]
pub(crate) struct Reference {
    pub pairs: watch::Receiver<Pairs>,
    pub volumes: Volumes,
    /// The one client of public REST, so that all requests share its pace.
    pub rest: Arc<PublicRest>,
    pub known_volumes: BTreeMap<Symbol, Decimal>,
    budget: SharedConnectBudget,
    /// Keeps the command queue of the socket open.
    _socket: FeedHandle,
    _follower: JoinSet<()>,
    _stop: tokio_util::sync::DropGuard,
}

impl Reference {
    /// Opens the socket and waits for the first image of all pairs.
    ///
    /// # Errors
    /// [`Exit::Refused`] for an address, [`Exit::Unavailable`] when no image comes.
    pub(crate) async fn open(settings: &Settings, clock: &RecordingClock) -> Result<Self, Exit> {
        let refused = |e: &dyn std::fmt::Display| Exit::Refused(format!("venue address: {e}"));
        let budget: SharedConnectBudget = Arc::new(Mutex::new(ConnectBudget::default()));
        let stop = CancellationToken::new();
        let (events, events_in) = mpsc::channel(SOCKET_EVENTS_MAX);
        let plan = Plan { instrument: true, ..Plan::default() };
        let config = FeedConfig { url: settings.ws_url.clone(), plan };
        let socket = spawn_feed(config, clock.shared(), Arc::clone(&budget), events, stop.clone())
            .map_err(|e| refused(&e))?;
        let (pairs, mut pairs_seen) = watch::channel(Pairs::new());
        let mut follower = JoinSet::new();
        follower.spawn(follow(events_in, pairs));
        let mut rest = PublicRest::new(&settings.rest_url).map_err(|e| refused(&e))?;
        if url::Url::parse(&settings.rest_url).is_ok_and(|u| penstock_config::is_loopback(&u)) {
            rest = rest.with_interval(LOOPBACK_REST_INTERVAL);
        }
        let image = pairs_seen.wait_for(|pairs| !pairs.is_empty());
        let is_there = tokio::time::timeout(PAIRS_WAIT, image).await.is_ok_and(|r| r.is_ok());
        if !is_there {
            let error =
                format!("no instrument image within {PAIRS_WAIT:?} from {}", settings.ws_url);
            return Err(Exit::Unavailable { what: "the venue", error });
        }
        let rest = Arc::new(rest);
        Ok(Self {
            pairs: pairs_seen,
            volumes: Volumes::new(Arc::clone(&rest)),
            rest,
            known_volumes: BTreeMap::new(),
            budget,
            _socket: socket,
            _follower: follower,
            _stop: stop.drop_guard(),
        })
    }

    /// Connects of the whole process.
    pub(crate) fn budget(&self) -> SharedConnectBudget {
        Arc::clone(&self.budget)
    }
}

/// Opens sockets of the market, at the start and whenever the universe outgrows them.
pub(crate) struct SocketOpener {
    url: String,
    l2_depth: u32,
    /// Who pays for order-by-order books; none without them.
    level3: Option<Level3Account>,
    clock: RecordingClock,
    budget: SharedConnectBudget,
    /// Where the events of all sockets go.
    events: mpsc::Sender<Input>,
    /// Where the venue's clock is compared.
    clocks: VenueClocks,
    /// Forwarders; they end when the venue has closed.
    forwarders: TaskTracker,
    stop: CancellationToken,
    opened: usize,
}

/// A socket whose events wait until the core knows its group.
pub(crate) struct OpenedSocket {
    pub group: Group,
    number: usize,
    events: mpsc::Receiver<FeedEvent>,
}

impl SocketOpener {
    /// An opener that has opened nothing yet.
    ///
    /// # Errors
    /// [`Exit::Refused`] for an address.
    pub(crate) fn new(
        settings: &Settings,
        clock: &RecordingClock,
        budget: SharedConnectBudget,
        events: mpsc::Sender<Input>,
        (alerts, clocks, stop): (&Alerts, &VenueClocks, CancellationToken),
    ) -> Result<Self, Exit> {
        let forwarders = TaskTracker::new();
        let level3 = match &settings.level3 {
            Level3::Off => None,
            Level3::NoKey => {
                tell_no_key(alerts);
                None
            }
            Level3::On(on) => {
                let account = Level3Account::open(
                    on,
                    (settings.rest_url.as_str(), settings.state_dir.join(NONCE_FILE)),
                    clock,
                    stop.clone(),
                )?;
                forwarders.spawn(watch_tokens(account.tokens.status.clone(), alerts.clone()));
                Some(account)
            }
        };
        Ok(Self {
            url: settings.ws_url.clone(),
            l2_depth: settings.l2_depth,
            level3,
            clock: clock.clone(),
            budget,
            events,
            clocks: clocks.clone(),
            forwarders,
            stop,
            opened: 0,
        })
    }

    /// The forwarders, to be waited for at a stop.
    pub(crate) fn forwarders(&self) -> TaskTracker {
        self.forwarders.clone()
    }

    /// Opens the sockets that the universe needs beyond those that are open.
    ///
    /// # Errors
    /// [`Exit::Refused`] for an address.
    pub(crate) fn open_missing(&mut self, layers: &Layers) -> Result<Vec<OpenedSocket>, Exit> {
        let mut sockets = Vec::new();
        while let Some((kind, number)) = layers.sockets().at(self.opened) {
            let place = self.opened;
            let (events, events_in) = mpsc::channel(SOCKET_EVENTS_MAX);
            let handle = match kind {
                GroupKind::Public => self.open_public(layers, place, events),
                GroupKind::Level3 => self.open_level3(layers, (place, number), events),
            };
            let handle = handle.map_err(|e| Exit::Refused(format!("venue address: {e}")))?;
            let group = Group {
                kind,
                stream: kind.stream(number),
                symbols: BTreeSet::new(),
                commands: handle.commands,
                conn_id: None,
                is_whole: false,
                refused: BTreeSet::new(),
            };
            sockets.push(OpenedSocket { group, number: place, events: events_in });
            self.opened += 1;
        }
        Ok(sockets)
    }

    fn open_public(
        &self,
        layers: &Layers,
        place: usize,
        events: mpsc::Sender<FeedEvent>,
    ) -> Result<FeedHandle, EndpointError> {
        let carried = layers.tracked().filter(|t| t.group == place);
        let plan = Plan {
            symbols: carried.map(|t| t.symbol.as_str().to_owned()).collect(),
            ticker: Some(EventTrigger::Bbo),
            trade: true,
            book_depth: Some(self.l2_depth),
            ..Plan::default()
        };
        let config = FeedConfig { url: self.url.clone(), plan };
        let (clock, budget) = (self.clock.shared(), Arc::clone(&self.budget));
        spawn_feed(config, clock, budget, events, self.stop.clone())
    }

    fn open_level3(
        &self,
        layers: &Layers,
        (place, connection): (usize, usize),
        events: mpsc::Sender<FeedEvent>,
    ) -> Result<FeedHandle, EndpointError> {
        let account = self.level3.as_ref().expect("only an account gives the layer any symbol");
        let carried = layers.level3().filter(|pair| pair.group == place);
        let config = Level3Config {
            url: account.on.url.clone(),
            symbols: carried.map(|pair| pair.symbol.as_str().to_owned()).collect(),
            depth: account.on.depth,
            connection,
            subscriptions: Arc::clone(&account.subscriptions),
        };
        let shared = (self.clock.shared(), Arc::clone(&self.budget));
        spawn_level3(config, &account.tokens, shared, events, self.stop.clone())
    }

    /// Hands a socket's group on, and only then lets its events flow: the core never meets an unknown one.
    pub(crate) fn connect(&self, socket: OpenedSocket, known: impl FnOnce(Group)) {
        let OpenedSocket { group, number, events } = socket;
        known(group);
        self.forwarders.spawn(forward(number, events, self.events.clone(), self.clocks.clone()));
    }
}

/// Gives a socket's events its group and hands them on; ends with the socket or the core.
async fn forward(
    group: usize,
    mut from: mpsc::Receiver<FeedEvent>,
    to: mpsc::Sender<Input>,
    clocks: VenueClocks,
) {
    while let Some(event) = from.recv().await {
        if let FeedEvent::Notice {
            notice: Notice::Latency { network_us, clock_offset_us }, ..
        } = &event
        {
            let (offset_us, round_trip_us) = (*clock_offset_us, *network_us);
            clocks.take(Venue::KrakenSpot, ClockSample { offset_us, round_trip_us });
        }
        if to.send(Input::Spot(group, event)).await.is_err() {
            return;
        }
    }
}
