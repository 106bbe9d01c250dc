//! The node's door for `gantry-agent join`.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{ConnectInfo, State},
    response::{IntoResponse, Response},
};
use gantry_common::{
    error::ErrorKind,
    id::{ClusterUuid, HostUuid},
    join::{JoinReply, JoinRequest, JoinSecret},
};
use http::StatusCode;

use super::{
    capacity::unmeasured_host,
    fleet::HostEndpoint,
    join::{self, JoinRefusal},
};
use crate::{
    clock::Timestamp,
    failure::Failure,
    node::Node,
    operations::require,
    resource::{Cluster, ConnectionStatus, Machine},
    seal::Seal,
    store::{JoinTokenRecord, SqlValue, Store, Tx},
};

impl From<JoinRefusal> for Failure {
    fn from(refusal: JoinRefusal) -> Self {
        let kind = match &refusal {
            JoinRefusal::Proof(_) => ErrorKind::Authentication,
            JoinRefusal::Field { .. } => ErrorKind::InvalidArgument,
            JoinRefusal::Certificate(_) => ErrorKind::InvalidArgument,
        };
        Self::new(kind, refusal.to_string())
    }
}

/// Makes a token by which one host may join, and answers the text to give to it.
pub async fn new_join_token(
    store: &Store,
    seal: &Seal,
    cluster: Option<ClusterUuid>,
    lifetime: Duration,
) -> anyhow::Result<String> {
    let token = join::new_token();
    let record = JoinTokenRecord {
        id: token.id().to_string(),
        sealed_secret: seal.seal(&hex::encode(token.secret().expose()))?,
        cluster_uuid: cluster,
        expires_date: Timestamp::now().plus(lifetime),
        used_by: None,
    };
    store
        .write(move |tx| {
            if let Some(cluster) = cluster {
                require::<Cluster>(tx, "cluster", cluster)?;
            }
            tx.insert_join_token(&record).map_err(Failure::from)
        })
        .await?;
    Ok(token.reveal())
}

/// Answers `POST /gantry/v1/join`.
pub async fn join_endpoint(
    State(node): State<Arc<Node>>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    Json(request): Json<JoinRequest>,
) -> Response {
    match admit(&node, from, request).await {
        Ok(reply) => Json(reply).into_response(),
        Err(failure) => {
            tracing::warn!(%from, error = %failure, "a host may not join");
            let status = StatusCode::from_u16(failure.kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            (status, Json(failure.to_body())).into_response()
        }
    }
}

async fn admit(node: &Arc<Node>, from: SocketAddr, request: JoinRequest) -> Result<JoinReply, Failure> {
    let refused = || {
        Failure::new(
            ErrorKind::Authentication,
            "the token is unknown, was used by another host, or has expired: make a new one",
        )
    };
    let id = request.token_id.to_string();
    let record = node.store.read(move |tx| tx.join_token(&id).map_err(Failure::from)).await?.ok_or_else(refused)?;
    let secret = open_secret(&node.seal, &record.sealed_secret)?;
    let key = hex::encode(join::verify(&request, &secret)?);
    if record.expires_date <= Timestamp::now() || record.used_by.as_ref().is_some_and(|(used, _)| *used != key) {
        return Err(refused());
    }
    let address = request.applicant.address.unwrap_or_else(|| from.ip().to_canonical()).to_string();
    let (port, name) = (request.applicant.port, request.applicant.hostname.clone());
    let machine = node.store.write(move |tx| record_member(tx, &record, &key, &address, port, &name)).await?;
    let reply = join::accept(&node.authority, node.uuid, machine.uuid, &secret, &request)?;
    tracing::info!(host = %machine.uuid, address = machine.address, "a host joined");
    node.fleet.watch(HostEndpoint { host: machine.uuid, address: machine.address, port: machine.port });
    Ok(reply)
}

fn open_secret(seal: &Seal, sealed: &str) -> Result<JoinSecret, Failure> {
    let internal = || Failure::new(ErrorKind::Internal, "a stored token cannot be read");
    let text = seal.open(sealed).map_err(|_| internal())?;
    let mut bytes = [0u8; 32];
    if text.len() != bytes.len() * 2 {
        return Err(internal());
    }
    for (index, byte) in bytes.iter_mut().enumerate() {
        let digits = text.get(index * 2..index * 2 + 2).ok_or_else(internal)?;
        *byte = u8::from_str_radix(digits, 16).map_err(|_| internal())?;
    }
    Ok(JoinSecret::new(bytes))
}

/// Records the machine, as a host where the token names a cluster. The same key again is the same machine.
fn record_member(
    tx: &Tx<'_>,
    token: &JoinTokenRecord,
    key: &str,
    address: &str,
    port: u16,
    name: &str,
) -> Result<Machine, Failure> {
    if let Some((_, known)) = token.used_by {
        return require::<Machine>(tx, "hostUuid", known);
    }
    if let Some(known) = tx.find::<Machine>(&[("address", address.to_owned().to_sql())])?.pop() {
        return Err(Failure::new(
            ErrorKind::Duplicate,
            format!(
                "address '{address}' is machine {} of this node already: delete its host first, or join with another --address",
                known.uuid
            ),
        ));
    }
    let machine = Machine {
        uuid: HostUuid::random(),
        address: address.to_owned(),
        port,
        host_key: None,
        status: ConnectionStatus::Disconnected,
        status_reason: Some("it has joined and not connected yet".to_owned()),
        facts: None,
        foreign_domains: serde_json::json!([]),
        create_date: Timestamp::now(),
    };
    tx.insert(&machine)?;
    if let Some(cluster) = token.cluster_uuid {
        let cluster = require::<Cluster>(tx, "cluster", cluster)?;
        tx.insert(&unmeasured_host(&cluster, machine.uuid, name, address))?;
    }
    tx.use_join_token(&token.id, key, machine.uuid)?;
    Ok(machine)
}
