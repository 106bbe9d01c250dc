//! Who calls: the session that a request carries.

use std::time::Duration;

use gantry_common::error::ErrorKind;
use http::{HeaderMap, header::AUTHORIZATION};

use super::Principal;
use crate::{clock::Timestamp, failure::Failure, node::Node, resource::Session};

/// How much of its life a session must have spent before its use is written down, unless its life is very short.
const RENEW_AFTER: Duration = Duration::from_secs(60);

/// The live session that the request's `Authorization: OAuth <uuid>` names, and whose it is. Its use makes it last longer.
pub async fn authenticate(node: &Node, headers: &HeaderMap) -> Result<(Session, Principal), Failure> {
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

/// The live session of that uuid, and whose it is. Its use makes it last longer.
pub async fn live_session(node: &Node, text: &str) -> Result<(Session, Principal), Failure> {
    let expired = || Failure::new(ErrorKind::InvalidSession, "the session is unknown or has expired: log in again");
    let uuid = text.parse().map_err(|_| expired())?;
    let (now, admin) = (Timestamp::now(), node.admin);
    let found = node.store.read(move |tx| {
        let Some(session) = tx.live_session(uuid, now)? else { return Ok(None) };
        let principal = Principal::of(tx, admin, session.account_uuid)?;
        Ok::<_, Failure>(Some((session, principal)))
    });
    let (mut session, principal) = found.await?.ok_or_else(expired)?;
    let timeout = node.settings.now().session_timeout;
    let until = now.plus(timeout);
    if until > session.expired_date.plus(RENEW_AFTER.min(timeout / 4)) {
        node.store.write(move |tx| tx.renew_session(uuid, until).map_err(Failure::from)).await?;
        session.expired_date = until;
    }
    Ok((session, principal))
}
