//! VMs' consoles, each a stream of the node's connection: extended CONNECT (RFC 8441), then RFB in both directions.
//!
//! HTTP/2's flow control is what keeps a fast screen from filling the memory on the way to a slow viewer: what the node
//! does not take is not read from QEMU, which then draws less often.

use std::{io, sync::Arc, time::Instant};

use axum::{
    body::Body,
    extract::{Path, Request, State},
    response::{IntoResponse, Response},
};
use gantry_common::{
    agent::{AgentError, CONSOLE_PROTOCOL, ConsoleStream},
    id::VmUuid,
};
use hyper::{ext::Protocol, upgrade::OnUpgrade};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, copy_buf, split},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::sync::CancellationToken;

use super::routes::{Node, failure};

/// Consoles open at a time. What stalled viewers leave in the connection's window stays a part of it
/// ([`super::CONNECTION_WINDOW_BYTES`]), so that commands and events pass.
pub const MOST: usize = 32;

/// What is read from the screen at once. QEMU sends far larger pieces when the screen changes as a whole.
const PIECE_BYTES: usize = 64 << 10;

/// The consoles that may be open at a time.
#[derive(Clone)]
pub struct Places(Arc<Semaphore>);

impl Default for Places {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MOST)))
    }
}

/// Opens a VM's console and carries it until one of its ends closes or the agent stops.
pub async fn console(State(node): State<Node>, Path(vm): Path<String>, request: Request) -> Response {
    match open(&node, &vm, request).await {
        Ok(()) => Body::empty().into_response(),
        Err(error) => failure(&error),
    }
}

async fn open(node: &Node, vm: &str, mut request: Request) -> Result<(), AgentError> {
    let vm: VmUuid = vm.parse().map_err(|error| AgentError::invalid("vm", vm, format!("{error}")))?;
    let protocol = request.extensions().get::<Protocol>().map_or("", Protocol::as_str);
    let carried = (protocol == CONSOLE_PROTOCOL).then(|| request.extensions_mut().remove::<OnUpgrade>()).flatten();
    let carried = carried.ok_or_else(|| {
        AgentError::invalid(":protocol", "", format!("a console is opened by CONNECT with '{CONSOLE_PROTOCOL}'"))
    })?;
    let place = node.consoles.0.clone().try_acquire_owned().map_err(|_| AgentError::InUse {
        what: "the host's last place for a console".to_owned(),
        user: format!("the {MOST} consoles that are open on it; close one"),
    })?;
    let screen = node.agent.open_console(vm).await?;
    tokio::spawn(carry(vm, screen, carried, node.stopping.clone(), place));
    Ok(())
}

/// Carries a console once its CONNECT was answered.
async fn carry(
    vm: VmUuid,
    screen: Box<dyn ConsoleStream>,
    carried: OnUpgrade,
    stopping: CancellationToken,
    _place: OwnedSemaphorePermit,
) {
    let carried = match carried.await {
        Ok(carried) => TokioIo::new(carried),
        Err(error) => return tracing::debug!(%vm, "the node did not wait for a console: {error}"),
    };
    let began = Instant::now();
    tracing::info!(%vm, "a console is open");
    let ended = stopping.run_until_cancelled(between(screen, carried)).await;
    let why = match ended {
        Some(Ok(why)) => why.to_owned(),
        Some(Err(error)) => error.to_string(),
        None => "the agent stops".to_owned(),
    };
    tracing::info!(%vm, seconds = began.elapsed().as_secs(), why, "a console was closed");
}

/// Moves what each end sends to the other, until one of them closes.
async fn between(screen: impl AsyncRead + AsyncWrite, viewer: impl AsyncRead + AsyncWrite) -> io::Result<&'static str> {
    let (screen_out, mut screen_in) = split(screen);
    let (viewer_out, mut viewer_in) = split(viewer);
    let (mut screen_out, mut viewer_out) =
        (BufReader::with_capacity(PIECE_BYTES, screen_out), BufReader::new(viewer_out));
    let (why, ended) = tokio::select! {
        ended = copy_buf(&mut screen_out, &mut viewer_in) => ("the VM closed it", ended),
        ended = copy_buf(&mut viewer_out, &mut screen_in) => ("the viewer closed it", ended),
    };
    // What was sent before the end arrives before it.
    viewer_in.shutdown().await?;
    ended.map(|_| why)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, duplex};

    use super::*;

    #[tokio::test]
    async fn both_directions_pass_and_the_end_of_the_screen_comes_after_all_of_it() {
        let (mut screen, screen_side) = duplex(64);
        let (mut viewer, viewer_side) = duplex(64);
        let carrying = tokio::spawn(between(screen_side, viewer_side));
        viewer.write_all(b"key").await.unwrap();
        let mut key = [0; 3];
        screen.read_exact(&mut key).await.unwrap();
        assert_eq!(&key, b"key");
        let sent = vec![7; 1 << 20];
        let sending = tokio::spawn(async move {
            screen.write_all(&sent).await.unwrap();
        });
        let mut received = Vec::new();
        viewer.read_to_end(&mut received).await.unwrap();
        sending.await.unwrap();
        assert_eq!(received.len(), 1 << 20);
        assert_eq!(carrying.await.unwrap().unwrap(), "the VM closed it");
    }

    #[tokio::test]
    async fn a_viewer_that_takes_nothing_holds_the_screen_back() {
        let (mut screen, screen_side) = duplex(1024);
        let (viewer, viewer_side) = duplex(1024);
        let carrying = tokio::spawn(between(screen_side, viewer_side));
        let mut taken = 0;
        while let Ok(written) =
            tokio::time::timeout(std::time::Duration::from_millis(200), screen.write(&[0; 1024])).await
        {
            taken += written.unwrap();
        }
        assert!(taken <= PIECE_BYTES + 4096, "{taken}");
        drop(viewer);
        // Its end is an error where something is being written at that moment.
        let _ = carrying.await.unwrap();
    }
}
