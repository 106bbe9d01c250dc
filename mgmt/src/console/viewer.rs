//! One viewer: its WebSocket, and what moves between it and the VM.
//!
//! Each direction waits for its receiver before it takes more from its sender, so that nothing piles up in the node.

use std::time::Duration;

use axum::extract::ws::{Message, WebSocket};
use bytes::{Bytes, BytesMut};
use futures_util::{
    SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split},
    time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout},
};

use super::Ending;

/// How often a viewer is asked for a sign of life, and how long it may give none.
const PING: Duration = Duration::from_secs(20);
const SILENCE: Duration = Duration::from_secs(60);

/// How long a viewer has to read why its console is closed.
const CLOSE_PATIENCE: Duration = Duration::from_secs(2);

/// What is sent to a viewer at once, at most.
const PIECE_BYTES: usize = 64 << 10;

/// A viewer's WebSocket.
pub struct Viewer {
    out: SplitSink<WebSocket, Message>,
    into: SplitStream<WebSocket>,
}

impl Viewer {
    /// The viewer at the other end of the WebSocket.
    pub fn new(socket: WebSocket) -> Self {
        let (out, into) = socket.split();
        Self { out, into }
    }

    /// Moves what the VM and the viewer send to each other until one of them goes or nothing has passed for `idle`.
    pub async fn see(&mut self, vm: impl AsyncRead + AsyncWrite, idle: Duration) -> Ending {
        let (screen, keys) = split(vm);
        let signs = Signs::now();
        tokio::select! {
            ending = show(screen, &mut self.out, &signs) => ending,
            ending = type_in(&mut self.into, keys, &signs) => ending,
            ending = signs.end(idle) => ending,
        }
    }

    /// Closes the WebSocket and says why.
    pub async fn close(mut self, why: &Ending) {
        let closing = async {
            if self.out.send(Message::Close(Some(why.frame()))).await.is_ok() {
                // A connection that is closed with something unread is reset, and the viewer may lose the reason.
                while let Some(Ok(_)) = self.into.next().await {}
            }
        };
        // A viewer that does not read any more is left to itself.
        let _ = timeout(CLOSE_PATIENCE, closing).await;
    }
}

/// When something last passed, and when the viewer was last heard of.
struct Signs {
    passed: Mutex<Instant>,
    heard: Mutex<Instant>,
}

impl Signs {
    fn now() -> Self {
        Self { passed: Mutex::new(Instant::now()), heard: Mutex::new(Instant::now()) }
    }

    fn note_passed(&self) {
        *self.passed.lock() = Instant::now();
    }

    fn note_heard(&self) {
        *self.heard.lock() = Instant::now();
    }

    /// Returns when one of them is too long ago.
    async fn end(&self, idle: Duration) -> Ending {
        loop {
            match self.verdict(Instant::now(), idle) {
                Ok(next_look) => sleep_until(next_look).await,
                Err(ending) => return ending,
            }
        }
    }

    /// When to look again, unless one of them is too long ago now.
    fn verdict(&self, now: Instant, idle: Duration) -> Result<Instant, Ending> {
        let (idle_at, lost_at) = (*self.passed.lock() + idle, *self.heard.lock() + SILENCE);
        if now >= lost_at {
            Err(Ending::ViewerLost)
        } else if now >= idle_at {
            Err(Ending::Idle(idle))
        } else {
            Ok(idle_at.min(lost_at))
        }
    }
}

async fn show(mut screen: impl AsyncRead + Unpin, viewer: &mut SplitSink<WebSocket, Message>, signs: &Signs) -> Ending {
    let mut pings = interval_at(Instant::now() + PING, PING);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut piece = BytesMut::new();
    loop {
        piece.reserve(PIECE_BYTES);
        let message = tokio::select! {
            read = screen.read_buf(&mut piece) => match read {
                Ok(0) | Err(_) => return Ending::ScreenClosed,
                Ok(_) => {
                    signs.note_passed();
                    Message::Binary(piece.split().freeze())
                }
            },
            _ = pings.tick() => Message::Ping(Bytes::new()),
        };
        if viewer.send(message).await.is_err() {
            return Ending::ViewerLost;
        }
    }
}

async fn type_in(viewer: &mut SplitStream<WebSocket>, mut keys: impl AsyncWrite + Unpin, signs: &Signs) -> Ending {
    loop {
        let message = viewer.next().await;
        signs.note_heard();
        match message {
            Some(Ok(Message::Binary(bytes))) => {
                signs.note_passed();
                if keys.write_all(&bytes).await.is_err() || keys.flush().await.is_err() {
                    return Ending::ScreenClosed;
                }
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            Some(Ok(Message::Text(_))) => return Ending::NotBinary,
            Some(Ok(Message::Close(_))) | None => return Ending::ViewerLeft,
            Some(Err(_)) => return Ending::ViewerLost,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_console_is_idle_when_nothing_passes_and_its_viewer_lost_when_nothing_is_heard() {
        let (signs, began) = (Signs::now(), Instant::now());
        let (short, long) = (Duration::from_secs(30), Duration::from_secs(3600));
        assert!(signs.verdict(began, short).unwrap() <= began + short);
        assert_eq!(signs.verdict(began + short, short), Err(Ending::Idle(short)));
        assert_eq!(signs.verdict(began + short, long), Ok(*signs.heard.lock() + SILENCE));
        assert_eq!(signs.verdict(began + SILENCE, long), Err(Ending::ViewerLost));
    }
}
