//! The event stream: newline-delimited JSON, a snapshot first, a heartbeat whenever it has been silent for a second.

use std::{convert::Infallible, time::Duration};

use axum::body::Body;
use bytes::Bytes;
use futures_util::StreamExt;
use gantry_common::agent::{Event, EventStream, Progress};
use tokio::{
    sync::{broadcast, mpsc},
    time::Instant,
};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;

/// The longest silence on the stream.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);

/// Events that wait for a slow reader. One that falls further behind is cut: it gets a snapshot when it comes again.
const BUFFERED_EVENTS: usize = 1024;

/// The body of one event stream. It ends when the reader is cut or `stopping` is cancelled.
pub fn body(events: EventStream, progress: broadcast::Receiver<Progress>, stopping: CancellationToken) -> Body {
    let (sender, receiver) = mpsc::channel(BUFFERED_EVENTS);
    tokio::spawn(pump(events, progress, stopping, sender));
    Body::from_stream(ReceiverStream::new(receiver).map(Ok::<_, Infallible>))
}

async fn pump(
    mut events: EventStream,
    mut progress: broadcast::Receiver<Progress>,
    stopping: CancellationToken,
    sender: mpsc::Sender<Bytes>,
) {
    let mut heartbeat = tokio::time::interval(HEARTBEAT_INTERVAL);
    heartbeat.reset();
    loop {
        let event = tokio::select! {
            () = stopping.cancelled() => return,
            () = sender.closed() => return,
            event = events.next() => match event {
                Some(event) => event,
                None => return,
            },
            report = progress.recv() => match report {
                // Progress gives way to what matters: a reader that is behind gets less of it.
                Ok(report) if sender.capacity() > BUFFERED_EVENTS / 2 => Event::Progress(report),
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => continue,
                Err(broadcast::error::RecvError::Closed) => return,
            },
            _ = heartbeat.tick() => Event::Heartbeat,
        };
        heartbeat.reset_at(Instant::now() + HEARTBEAT_INTERVAL);
        let line = match line(&event) {
            Ok(line) => line,
            Err(error) => {
                tracing::error!("an event cannot be written as JSON, the stream is cut: {error}");
                return;
            }
        };
        if sender.try_send(line).is_err() {
            tracing::warn!("the reader of the event stream is {BUFFERED_EVENTS} events behind and is cut");
            return;
        }
    }
}

fn line(event: &Event) -> Result<Bytes, serde_json::Error> {
    let mut line = serde_json::to_vec(event)?;
    line.push(b'\n');
    Ok(line.into())
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use gantry_common::agent::{Observation, VmState};
    use gantry_common::id::{OperationId, VmUuid};

    use super::*;

    fn observation(revision: u64) -> Event {
        Event::Vm(Observation { vm: VmUuid::random(), state: VmState::Running, revision })
    }

    fn read(line: &[u8]) -> Event {
        assert_eq!(line.last(), Some(&b'\n'));
        serde_json::from_slice(line).unwrap()
    }

    #[tokio::test]
    async fn events_keep_their_order_and_silence_is_filled_with_heartbeats() {
        let sent: Vec<_> = (0..3).map(observation).collect();
        let (_progress, reports) = broadcast::channel(1);
        let events = stream::iter(sent.clone()).chain(stream::pending()).boxed();
        let mut lines = body(events, reports, CancellationToken::new()).into_data_stream();
        for event in sent {
            assert_eq!(read(&lines.next().await.unwrap().unwrap()), event);
        }
        assert_eq!(read(&lines.next().await.unwrap().unwrap()), Event::Heartbeat);
    }

    #[tokio::test]
    async fn a_reader_that_does_not_read_is_cut_and_progress_gives_way_to_events() {
        let (progress, reports) = broadcast::channel(BUFFERED_EVENTS);
        let report = Progress { operation: OperationId::random(), done_bytes: 1, total_bytes: None };
        let endless = stream::iter(0..).map(observation).boxed();
        for _ in 0..BUFFERED_EVENTS {
            progress.send(report).unwrap();
        }
        let (sender, mut receiver) = mpsc::channel(BUFFERED_EVENTS);
        pump(endless, reports, CancellationToken::new(), sender).await;
        let mut lines = Vec::new();
        while let Some(line) = receiver.recv().await {
            lines.push(line);
        }
        assert_eq!(lines.len(), BUFFERED_EVENTS);
        let reports = lines.iter().filter(|line| matches!(read(line), Event::Progress(_))).count();
        assert!(reports <= BUFFERED_EVENTS / 2, "{reports}");
    }

    #[tokio::test]
    async fn the_stream_ends_when_the_agent_stops() {
        let (_progress, reports) = broadcast::channel(1);
        let stopping = CancellationToken::new();
        let mut lines = body(stream::pending().boxed(), reports, stopping.clone()).into_data_stream();
        stopping.cancel();
        while let Some(line) = lines.next().await {
            assert_eq!(read(&line.unwrap()), Event::Heartbeat);
        }
    }
}
