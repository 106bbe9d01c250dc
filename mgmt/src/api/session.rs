//! Who calls: the session that a request carries.

use std::time::Duration;

use gantry_common::error::ErrorKind;
use http::{HeaderMap, header::AUTHORIZATION};

use crate::{clock::Timestamp, failure::Failure, node::Node, resource::Session};

/// How long a session lasts without being used.
pub const SESSION_LIFETIME: Duration = Duration::from_secs(7_200);

/// How much of its life a session must have spent before its use is written down.
const RENEW_AFTER: Duration = Duration::from_secs(60);

/// The live session that the request's `Authorization: OAuth <uuid>` names. Its use makes it last longer.
pub async fn authenticate(node: &Node, headers: &HeaderMap) -> Result<Session, Failure> {
    let text = named_session(headers).ok_or_else(|| {
        Failure::new(
            ErrorKind::MissingSession,
            "the header 'Authorization: OAuth <session uuid>' is needed: log in first",
        )
    })?;
    live_session(node, text).await
}

/// The session that a request's headers name.
pub fn named_session(headers: &HeaderMap) -> Option<&str> {
    let header = headers.get(AUTHORIZATION)?.to_str().ok()?;
    header.strip_prefix("OAuth").map(|rest| rest.trim_start_matches(':').trim())
}

/// The live session of that uuid. Its use makes it last longer.
pub async fn live_session(node: &Node, text: &str) -> Result<Session, Failure> {
    let expired = || Failure::new(ErrorKind::InvalidSession, "the session is unknown or has expired: log in again");
    let uuid = text.parse().map_err(|_| expired())?;
    let now = Timestamp::now();
    let mut session =
        node.store.read(move |tx| tx.live_session(uuid, now).map_err(Failure::from)).await?.ok_or_else(expired)?;
    let until = now.plus(SESSION_LIFETIME);
    if until > session.expired_date.plus(RENEW_AFTER) {
        node.store.write(move |tx| tx.renew_session(uuid, until).map_err(Failure::from)).await?;
        session.expired_date = until;
    }
    Ok(session)
}
