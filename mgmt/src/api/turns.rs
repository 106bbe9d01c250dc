//! Turns of requests: so many at work at once, so many of one session.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use gantry_common::{error::ErrorKind, id::SessionUuid};
use parking_lot::Mutex;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::Limits;
use crate::{failure::Failure, resource::Session};

/// Held while a request is at work.
pub type Turn = OwnedSemaphorePermit;

/// The turns there are.
pub struct Turns {
    limits: Limits,
    requests: Arc<Semaphore>,
    sessions: Mutex<HashMap<SessionUuid, Weak<Semaphore>>>,
}

impl Turns {
    /// All turns, none taken.
    pub fn new(limits: &Limits) -> Self {
        Self { limits: limits.clone(), requests: Arc::new(Semaphore::new(limits.requests)), sessions: Mutex::default() }
    }

    /// A turn for a request.
    ///
    /// # Errors
    /// There are as many requests as there may be, and none of them ended in time.
    pub async fn of_request(&self) -> Result<Turn, Failure> {
        self.take(self.requests.clone(), "of the node", self.limits.requests).await
    }

    /// A turn for a session's request; without a session none is needed.
    ///
    /// # Errors
    /// As [`Self::of_request`], of the session.
    pub async fn of_session(&self, session: Option<&Session>) -> Result<Option<Turn>, Failure> {
        let Some(session) = session else { return Ok(None) };
        let turns = self.session(session.uuid);
        self.take(turns, "of one session", self.limits.requests_per_session).await.map(Some)
    }

    /// Requests that are at work.
    pub fn at_work(&self) -> usize {
        self.limits.requests - self.requests.available_permits()
    }

    async fn take(&self, turns: Arc<Semaphore>, whose: &str, most: usize) -> Result<Turn, Failure> {
        match timeout(self.limits.turn_patience, turns.acquire_owned()).await {
            Ok(Ok(turn)) => Ok(turn),
            _ => {
                let details = format!(
                    "{most} requests {whose} are at work, which is the most; nothing of this one was done: send it again"
                );
                Err(Failure::new(ErrorKind::Busy, details))
            }
        }
    }

    fn session(&self, session: SessionUuid) -> Arc<Semaphore> {
        let mut sessions = self.sessions.lock();
        if sessions.len() > 1024 && sessions.len() == sessions.capacity() {
            sessions.retain(|_, turns| turns.strong_count() > 0);
        }
        let entry = sessions.entry(session).or_default();
        entry.upgrade().unwrap_or_else(|| {
            let turns = Arc::new(Semaphore::new(self.limits.requests_per_session));
            *entry = Arc::downgrade(&turns);
            turns
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::Timestamp;

    fn session() -> Session {
        Session {
            uuid: SessionUuid::random(),
            account_uuid: gantry_common::id::AccountUuid::random(),
            user_uuid: gantry_common::id::UserUuid::random(),
            expired_date: Timestamp::now(),
            create_date: Timestamp::now(),
        }
    }

    #[tokio::test]
    async fn a_session_waits_for_its_own_requests_only() {
        let limits = Limits { requests_per_session: 1, turn_patience: Duration::from_millis(20), ..Limits::default() };
        let turns = Turns::new(&limits);
        let (one, other) = (session(), session());
        let first = turns.of_session(Some(&one)).await.unwrap();
        let refused = turns.of_session(Some(&one)).await.unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Busy);
        assert!(refused.details.starts_with("1 requests of one session are at work"), "{refused}");
        turns.of_session(Some(&other)).await.unwrap();
        turns.of_session(None).await.unwrap();
        drop(first);
        turns.of_session(Some(&one)).await.unwrap();
    }

    #[tokio::test]
    async fn a_request_that_waits_gets_the_turn_of_one_that_ends() {
        let turns = Turns::new(&Limits { requests: 1, ..Limits::default() });
        let first = turns.of_request().await.unwrap();
        let mut second = std::pin::pin!(turns.of_request());
        assert!(futures_util::poll!(&mut second).is_pending());
        drop(first);
        drop(second.await.unwrap());
    }
}
