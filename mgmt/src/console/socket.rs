//! The WebSocket that a viewer opens with its token.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    extract::{ConnectInfo, State, WebSocketUpgrade, ws::WebSocket},
    response::Response,
};
use gantry_common::{
    agent::{ObserveVm, VmState},
    id::OperationId,
};
use http::Uri;
use tokio::time::timeout;

use super::{
    Ending,
    access::{self, Opened},
    open::Place,
    viewer::Viewer,
};
use crate::{api::parse_query_string, hosts::fleet::CallError, node::Node, secret::Secret};

/// The largest message of a viewer. Keys and movements are a few bytes; a pasted text can be long.
const MESSAGE_BYTES: usize = 1 << 20;

/// How long the host is asked why a screen ended.
const WHY_PATIENCE: Duration = Duration::from_secs(3);

/// Takes a viewer in. Whatever is wrong is said on the WebSocket: a browser shows its page nothing of a refused handshake.
pub async fn open(
    State(node): State<Arc<Node>>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    uri: Uri,
    upgrade: WebSocketUpgrade,
) -> Response {
    let pairs = parse_query_string(uri.query().unwrap_or_default());
    let token = pairs.into_iter().find(|(name, _)| name == "token").map(|(_, value)| value).unwrap_or_default();
    let token = Secret::new(token);
    let upgrade = upgrade.protocols(["binary"]).max_message_size(MESSAGE_BYTES).max_frame_size(MESSAGE_BYTES);
    upgrade.on_upgrade(async move |socket| serve(&node, from, &token, socket).await)
}

async fn serve(node: &Arc<Node>, from: SocketAddr, token: &Secret, socket: WebSocket) {
    let mut viewer = Viewer::new(socket);
    let place = node.consoles.take(node.settings.now().console_max);
    let why = match place {
        Ok(place) => match access::redeem(node, token.expose()).await {
            Ok(opened) => see(node, from, opened, place, &mut viewer).await,
            Err(why) => refused(from, why),
        },
        Err(why) => refused(from, why),
    };
    viewer.close(&why).await;
}

fn refused(from: SocketAddr, why: Ending) -> Ending {
    tracing::info!(%from, %why, "a console was refused");
    why
}

/// Shows the console until it ends.
async fn see(node: &Arc<Node>, from: SocketAddr, opened: Opened, mut place: Place, viewer: &mut Viewer) -> Ending {
    let Opened { vm, host, account } = opened;
    let idle = node.settings.now().console_idle_timeout;
    let console = match node.fleet.open_console(host, vm).await {
        Ok(console) => console,
        Err(error) => return refused(from, Ending::CannotOpen(error.to_string())),
    };
    let host_lost = console.closed();
    let began = Instant::now();
    tracing::info!(%vm, %host, %account, %from, "a console is open");
    let why = tokio::select! {
        why = viewer.see(console.stream, idle) => why,
        () = host_lost.cancelled() => Ending::HostLost,
        why = place.closing() => why,
    };
    let why = if why == Ending::ScreenClosed { what_became_of(node, opened).await } else { why };
    tracing::info!(%vm, %host, %account, %from, seconds = began.elapsed().as_secs(), %why, "a console was closed");
    why
}

/// Why a screen ended, as its host knows it.
async fn what_became_of(node: &Node, opened: Opened) -> Ending {
    let asked = node.fleet.call(opened.host, OperationId::random(), ObserveVm { vm: opened.vm });
    match timeout(WHY_PATIENCE, asked).await {
        Ok(Ok(seen)) if seen.state == VmState::Absent => Ending::VmStopped,
        Ok(Ok(_) | Err(CallError::Agent(_))) => Ending::ScreenClosed,
        Ok(Err(CallError::Lost { .. } | CallError::NotConnected { .. })) | Err(_) => Ending::HostLost,
    }
}
