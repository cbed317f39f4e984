//! The alert of a process that ends without its tasks: a broken invariant, a restart loop.
//!
//! Input: settings and what happened. Output: the marker, a line on standard error, one message to every way out of the
//! machine, all at the same time. Invariants: it takes at most [`LIMIT`], whatever the ways out do; it needs no runtime
//! and works inside a panic hook. It writes no row.

use std::sync::mpsc::sync_channel;
use std::time::Duration;

use penstock_telemetry::marker;
use penstock_venue_net::http_client;

use crate::board::{Board, Now, Occurrence, Open, Place};
use crate::console::line_of;
use crate::message::Message;
use crate::outbox::Item;
use crate::settings::Settings;

/// Longest time that a process spends on its last words.
pub const LIMIT: Duration = Duration::from_secs(5);

/// Says it everywhere and returns, at most [`LIMIT`] later.
pub fn say(settings: &Settings, occurrence: Occurrence, place: Place) {
    let occurrence = occurrence.redacted(&settings.redactor);
    let now = Now { wall_ms: chrono::Utc::now().timestamp_millis(), mono_ms: 0 };
    let (Some(raised), _) = Board::new(settings.times).occur(occurrence, place, now) else {
        return;
    };
    let alert = raised.alert;
    marker!(
        ALERT_RAISED,
        severity = alert.severity,
        reason_code = alert.id.key.reason,
        reasons = alert.reasons,
        source = alert.id.key.source,
        sys_mode = alert.place.sys_mode,
        summary = alert.summary,
        count = alert.count,
        first_ts_ms = alert.id.first_ms
    );
    eprintln!("{}", line_of(&alert));
    if settings.sinks.iter().any(|sink| alert.severity >= sink.least) {
        send(settings.clone(), alert);
    }
}

fn send(settings: Settings, alert: Open) {
    let (done, wait) = sync_channel(1);
    let name = "last-words".to_owned();
    let started = std::thread::Builder::new().name(name).spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        if let Ok(runtime) = runtime {
            runtime.block_on(send_all(settings, alert));
            // A name that is still being resolved must not be waited for.
            runtime.shutdown_background();
        }
        // Who asked may have stopped waiting.
        let _ = done.send(());
    });
    if started.is_ok() {
        // Late is as good as never here: the process ends.
        let _ = wait.recv_timeout(LIMIT);
    }
}

async fn send_all(settings: Settings, alert: Open) {
    let Ok(client) = http_client(settings.timeout.min(LIMIT)) else { return };
    let mut sends = tokio::task::JoinSet::new();
    for sink in settings.sinks {
        if alert.severity < sink.least {
            continue;
        }
        let (client, sender) = (client.clone(), settings.sender);
        let message = Message::of(&Item::Alert(Box::new(alert.clone()), true), sender);
        sends.spawn(async move {
            if let Err(error) = sink.send(&client, &message).await {
                tracing::warn!("last words through {}: {error}", sink.name());
            }
        });
    }
    let all = async { while sends.join_next().await.is_some() {} };
    // The caller stops waiting at the same time.
    let _ = tokio::time::timeout(LIMIT, all).await;
}
