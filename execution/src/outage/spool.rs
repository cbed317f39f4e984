//! Records of an outage on the disk, so that they outlive the process.
//!
//! Purpose: what was heard, answered and sent while the decision cluster is away must be applied to its rows even
//! when this process is killed before the cluster is back. Input: records in their order. Output: each synced
//! before [`Spool::append`] returns; at the next start, what an earlier process kept and did not clear.
//! Invariants: the file is written by one thread of its own, so a disk that hangs holds the desk back for
//! [`APPEND_WAIT`] and no longer; records keep their order; what cannot be read is said and left out, because the
//! reconcile of the start asks the venue in any case.

use std::io;
use std::time::Duration;

use penstock_store::spool::exec::{ExecRecord, ExecSpool, OpenedExec};
use penstock_telemetry::marker;
use penstock_types::{Decimal, OrderId, UtcMicros};
use penstock_venue_orders::{OrderAnswer, OrderOutcome, PrivateEvent};
use penstock_venues::kraken::ChannelKind;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use super::Record;
use super::state::Released;
use crate::tracker::MutationKind;

/// Longest wait for the disk: a fifth of the time from a fill to its stop.
pub(crate) const APPEND_WAIT: Duration = Duration::from_millis(300);
/// Appends that may wait for a disk that hangs: as many as an outage keeps in memory.
const APPENDS_LEN_LIMIT: usize = 4_096;

/// A record as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Kept {
    /// A message of the executions channel.
    Frame {
        /// Number of the connection.
        epoch: u64,
        /// Received, wall clock.
        at: UtcMicros,
        /// The channel's own number.
        sequence: Option<u64>,
        /// An image and not a change.
        is_snapshot: bool,
        /// Its text is on the way to its table already.
        logged: bool,
        /// As the venue sent it.
        text: String,
    },
    /// The answer to a request.
    Answer {
        /// Whose.
        order_id: OrderId,
        /// What was asked.
        asked: Asked,
        /// What came of it.
        said: AnswerSaid,
    },
    /// A standby row goes out.
    Released {
        /// Which.
        order_id: OrderId,
        /// How much of it.
        qty: Decimal,
        /// Level of a stop.
        trigger: Option<Decimal>,
        /// The venue refuses it afterwards.
        deadline_at: UtcMicros,
        /// When it was decided.
        at: UtcMicros,
    },
    /// A cancel goes out.
    CancelSent {
        /// Of which order.
        order_id: OrderId,
        /// When it was decided.
        at: UtcMicros,
    },
    /// A live stop is changed in place.
    AmendSent {
        /// Which.
        order_id: OrderId,
        /// To which quantity.
        qty: Option<Decimal>,
        /// To which level.
        trigger: Option<Decimal>,
        /// When it was decided.
        at: UtcMicros,
    },
}

/// The kinds of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Asked {
    Add,
    Amend,
    Cancel,
}

/// An answer, as far as the rows need it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub(crate) enum AnswerSaid {
    /// Taken; the venue's order id.
    Acked { venue_id: Option<String> },
    /// Not taken; the venue's words.
    Rejected { text: String },
    /// Not proven.
    Unknown { why: String },
    /// Not a byte went out.
    NotSent { why: String },
}

impl Kept {
    /// What of a record must outlive the process; none when the venue says it again by itself.
    pub(crate) fn of(record: &Record) -> Option<Self> {
        match record {
            Record::Event { event, kept } => Self::of_event(event, *kept),
            Record::Answer { order_id, kind, answer } => {
                let asked = match kind {
                    MutationKind::Add => Asked::Add,
                    MutationKind::Amend { .. } => Asked::Amend,
                    MutationKind::Cancel => Asked::Cancel,
                };
                Some(Self::Answer { order_id: *order_id, asked, said: said_of(answer) })
            }
            Record::Released(Released { order_id, qty, trigger, deadline_at, at, .. }) => {
                Some(Self::Released {
                    order_id: *order_id,
                    qty: *qty,
                    trigger: *trigger,
                    deadline_at: *deadline_at,
                    at: *at,
                })
            }
            Record::CancelSent { order_id, at } => {
                Some(Self::CancelSent { order_id: *order_id, at: *at })
            }
            Record::AmendSent { order_id, change, at } => Some(Self::AmendSent {
                order_id: *order_id,
                qty: change.qty,
                trigger: change.trigger,
                at: *at,
            }),
        }
    }

    fn of_event(event: &PrivateEvent, logged: bool) -> Option<Self> {
        match event {
            PrivateEvent::Frame { epoch, at, channel, sequence, is_snapshot, text, .. }
                if *channel == ChannelKind::Executions =>
            {
                Some(Self::Frame {
                    epoch: *epoch,
                    at: at.wall,
                    sequence: *sequence,
                    is_snapshot: *is_snapshot,
                    logged,
                    text: text.to_string(),
                })
            }
            // Balances are read anew; a connection that was lost is another one after a start.
            PrivateEvent::Frame { .. }
            | PrivateEvent::Connected { .. }
            | PrivateEvent::Subscribed { .. }
            | PrivateEvent::Gap { .. }
            | PrivateEvent::System { .. }
            | PrivateEvent::LateAnswer { .. }
            | PrivateEvent::Unreadable { .. }
            | PrivateEvent::Disconnected { .. }
            | PrivateEvent::ConnectFailed { .. } => None,
        }
    }

    fn encode(&self) -> Vec<u8> {
        // Strings, numbers and names: nothing that the format has no form for.
        serde_json::to_vec(self).unwrap_or_default()
    }

    fn decode(bytes: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(bytes).map_err(|e| e.to_string())
    }
}

fn said_of(answer: &OrderAnswer) -> AnswerSaid {
    match &answer.outcome {
        OrderOutcome::Acked { order_id, .. } => AnswerSaid::Acked { venue_id: order_id.clone() },
        OrderOutcome::Rejected { text, .. } => AnswerSaid::Rejected { text: text.clone() },
        OrderOutcome::Unknown { reason, .. } => AnswerSaid::Unknown { why: reason.to_string() },
        OrderOutcome::NotSent(reason) => AnswerSaid::NotSent { why: reason.to_string() },
    }
}

/// Takes an opened spool over: the way to it, and what an earlier process kept.
///
/// # Errors
/// The system's, when the file gets no thread.
pub(crate) fn take(opened: OpenedExec) -> io::Result<(Spool, Vec<Kept>)> {
    let (kept, unreadable) = read_kept(&opened.records);
    marker!(
        SPOOL_OPENED,
        spool = "exec",
        busy = opened.busy.len(),
        records = kept.len(),
        unreadable = unreadable
    );
    for damage in opened.damage.iter().filter(|d| !d.torn_tail) {
        marker!(
            SPOOL_CORRUPT,
            spool = "exec",
            segment = damage.path.display().to_string(),
            offset = damage.offset,
            error = damage.error.to_string()
        );
    }
    if unreadable > 0 {
        tracing::error!(
            "{unreadable} records of an outage are unreadable; the venue is asked instead"
        );
    }
    for busy in &opened.busy {
        tracing::warn!(
            "{} is held by a process that lives; its records follow later",
            busy.display()
        );
    }
    Ok((Spool::start(opened.spool)?, kept))
}

/// What an earlier process kept, in its order, without releases of which not a byte went out; and how many records
/// could not be read.
pub(crate) fn read_kept(records: &[ExecRecord]) -> (Vec<Kept>, usize) {
    let decoded: Vec<Result<Kept, String>> =
        records.iter().map(|r| Kept::decode(&r.payload)).collect();
    let unreadable = decoded.iter().filter(|r| r.is_err()).count();
    let kept: Vec<Kept> = decoded.into_iter().flatten().collect();
    let never: Vec<OrderId> = kept.iter().filter_map(never_sent).collect();
    let stays = |k: &Kept| match k {
        Kept::Released { order_id, .. } => !never.contains(order_id),
        Kept::Answer { .. } => never_sent(k).is_none(),
        Kept::Frame { .. } | Kept::CancelSent { .. } | Kept::AmendSent { .. } => true,
    };
    (kept.into_iter().filter(stays).collect(), unreadable)
}

const fn never_sent(kept: &Kept) -> Option<OrderId> {
    match kept {
        Kept::Answer { order_id, asked: Asked::Add, said: AnswerSaid::NotSent { .. } } => {
            Some(*order_id)
        }
        Kept::Answer { .. }
        | Kept::Frame { .. }
        | Kept::Released { .. }
        | Kept::CancelSent { .. }
        | Kept::AmendSent { .. } => None,
    }
}

enum Request {
    Append(Vec<u8>, UtcMicros, oneshot::Sender<io::Result<()>>),
    Clear(oneshot::Sender<io::Result<()>>),
}

/// The way to the file.
#[derive(Debug)]
pub(crate) struct Spool {
    requests: mpsc::Sender<Request>,
    #[cfg(test)]
    thread: std::thread::JoinHandle<()>,
}

impl Spool {
    /// Gives the file a thread of its own.
    ///
    /// # Errors
    /// The system's, when there is no thread.
    pub(crate) fn start(mut file: ExecSpool) -> io::Result<Self> {
        let (requests, mut inbox) = mpsc::channel(APPENDS_LEN_LIMIT);
        let named = std::thread::Builder::new().name("exec-spool".to_owned());
        let _thread = named.spawn(move || {
            while let Some(request) = inbox.blocking_recv() {
                // Who asked and waits no longer has said so already.
                match request {
                    Request::Append(payload, at, answer) => {
                        let _ = answer.send(file.append(&payload, at));
                    }
                    Request::Clear(answer) => {
                        let _ = answer.send(file.clear());
                    }
                }
            }
        })?;
        Ok(Self {
            requests,
            #[cfg(test)]
            thread: _thread,
        })
    }

    #[cfg(test)]
    fn end(self) {
        drop(self.requests);
        self.thread.join().unwrap();
    }

    /// Keeps a record; on the disk when this returns, unless `wait` was too short for it: it stays in its order.
    ///
    /// # Errors
    /// Why it is not known to be on the disk.
    pub(crate) async fn append(
        &self,
        record: &Kept,
        at: UtcMicros,
        wait: Duration,
    ) -> Result<(), String> {
        let (answer, answered) = oneshot::channel();
        self.ask(Request::Append(record.encode(), at, answer), answered, wait).await
    }

    /// Forgets everything: the rows have it.
    ///
    /// # Errors
    /// Why it may still be there; a record that the rows know changes nothing.
    pub(crate) async fn clear(&self) -> Result<(), String> {
        let (answer, answered) = oneshot::channel();
        self.ask(Request::Clear(answer), answered, APPEND_WAIT).await
    }

    async fn ask(
        &self,
        request: Request,
        answered: oneshot::Receiver<io::Result<()>>,
        wait: Duration,
    ) -> Result<(), String> {
        self.requests.try_send(request).map_err(|_| "the disk answers nothing".to_owned())?;
        match tokio::time::timeout(wait, answered).await {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(error))) => Err(error.to_string()),
            Ok(Err(_)) => Err("its thread has ended".to_owned()),
            Err(_) => Err(format!("no answer within {} ms", wait.as_millis())),
        }
    }
}

#[cfg(test)]
mod tests {
    use penstock_types::FencingToken;
    use proptest::prelude::*;

    use super::*;

    fn any_kept() -> impl Strategy<Value = Kept> {
        let id = (1_i64..9).prop_map(OrderId);
        let at = (0_i64..4_102_444_800_000_000).prop_map(UtcMicros);
        let amount = (1_i64..1_000_000_000, 0_u32..10).prop_map(|(n, s)| Decimal::new(n, s));
        let asked = prop_oneof![Just(Asked::Add), Just(Asked::Amend), Just(Asked::Cancel)];
        let said = prop_oneof![
            proptest::option::of(".{0,8}").prop_map(|venue_id| AnswerSaid::Acked { venue_id }),
            ".{0,30}".prop_map(|text| AnswerSaid::Rejected { text }),
            ".{0,30}".prop_map(|why| AnswerSaid::Unknown { why }),
            ".{0,30}".prop_map(|why| AnswerSaid::NotSent { why }),
        ];
        prop_oneof![
            (any::<u64>(), at.clone(), any::<Option<u64>>(), any::<(bool, bool)>(), ".{0,90}")
                .prop_map(|(epoch, at, sequence, (is_snapshot, logged), text)| Kept::Frame {
                    epoch,
                    at,
                    sequence,
                    is_snapshot,
                    logged,
                    text
                }),
            (id.clone(), asked, said).prop_map(|(order_id, asked, said)| Kept::Answer {
                order_id,
                asked,
                said
            }),
            (id.clone(), amount.clone(), proptest::option::of(amount.clone()), at.clone())
                .prop_map(|(order_id, qty, trigger, at)| Kept::Released {
                    order_id,
                    qty,
                    trigger,
                    deadline_at: at,
                    at
                }),
            (id.clone(), at.clone()).prop_map(|(order_id, at)| Kept::CancelSent { order_id, at }),
            (id, proptest::option::of(amount.clone()), proptest::option::of(amount), at).prop_map(
                |(order_id, qty, trigger, at)| Kept::AmendSent { order_id, qty, trigger, at }
            ),
        ]
    }

    proptest! {
        #[test]
        fn a_record_is_read_as_it_was_kept(kept in any_kept()) {
            prop_assert_eq!(Kept::decode(&kept.encode()), Ok(kept));
        }

        #[test]
        fn any_bytes_are_a_record_or_a_reason(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Kept::decode(&bytes);
        }
    }

    fn released(id: i64) -> Kept {
        Kept::Released {
            order_id: OrderId(id),
            qty: Decimal::ONE,
            trigger: None,
            deadline_at: UtcMicros(2),
            at: UtcMicros(1),
        }
    }

    #[tokio::test]
    async fn the_next_process_reads_what_was_kept_and_not_cleared_without_what_never_left() {
        let root = tempfile::tempdir().unwrap();
        let not_sent = AnswerSaid::NotSent { why: "no private socket is open".to_owned() };
        let acked = AnswerSaid::Acked { venue_id: Some("OABCDE".to_owned()) };
        let answer = |id, said| Kept::Answer { order_id: OrderId(id), asked: Asked::Add, said };
        let records = [released(1), answer(1, not_sent), released(2), answer(2, acked)];
        {
            let opened = ExecSpool::open(root.path(), FencingToken(7)).unwrap();
            let spool = Spool::start(opened.spool).unwrap();
            for record in &records {
                spool.append(record, UtcMicros(1), APPEND_WAIT).await.unwrap();
            }
            spool.end();
        }
        let opened = ExecSpool::open(root.path(), FencingToken(8)).unwrap();
        assert_eq!(read_kept(&opened.records), (records[2..].to_vec(), 0));
        let broken = ExecRecord { payload: b"{".to_vec(), ..opened.records[0].clone() };
        assert_eq!(read_kept(&[broken]), (Vec::new(), 1));
        let spool = Spool::start(opened.spool).unwrap();
        spool.clear().await.unwrap();
        spool.end();
        let opened = ExecSpool::open(root.path(), FencingToken(9)).unwrap();
        assert_eq!(read_kept(&opened.records), (Vec::new(), 0));
    }
}
