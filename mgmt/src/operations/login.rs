//! 9.1: logging in and out.

use gantry_common::{
    error::ErrorKind,
    id::{SessionUuid, UserUuid},
};
use serde_json::{Value, json};

use crate::{
    api::{Admits, Caller, Operation, SyncOperation, job, sync},
    clock::Timestamp,
    failure::Failure,
    job::{JobOperation, Step},
    operation, password,
    query::inventory_reply,
    resource::{Account, Session},
    secret::Secret,
    store::{SqlValue, Tx},
};

/// The operations of this chapter.
pub fn operations() -> Vec<Operation> {
    vec![sync::<LogInByAccount>(), sync::<LogOut>(), sync::<ValidateSession>(), job::<RenewSession>()]
}

operation! {
    /// Begins a session. The password is the lower-case hex SHA-512 of the plain one.
    LogInByAccount, "9.1.5",
        Put "/accounts/login", Sync -> Session, open true, body_keys &["logInByAccount", "loginByAccount"]; {
        /// The account's name.
        account_name: String, max_length 255, nonempty true;
        /// The digest of its password.
        password: Secret, max_length 255, nonempty true;
        /// A captcha's id, which this node does not ask for.
        captcha_uuid: Option<String>;
        /// A captcha's answer.
        verify_code: Option<String>;
    }
}

impl SyncOperation for LogInByAccount {
    async fn answer(self, caller: Caller) -> Result<Value, Failure> {
        let refused = || {
            Failure::new(
                ErrorKind::Authentication,
                format!("accountName '{}' or its password is wrong", self.account_name),
            )
        };
        let name = self.account_name.clone();
        let account = caller
            .node
            .store
            .read(move |tx| Ok::<_, Failure>(tx.find::<Account>(&[("name", name.to_sql())])?.pop()))
            .await?;
        // An unknown name costs as much time as a wrong password, so that names cannot be found out.
        let stored =
            account.as_ref().map_or_else(|| caller.node.decoy_hash.clone(), |account| account.password_hash.clone());
        let password = self.password.clone();
        let slot = caller.node.login_slots.acquire().await;
        let fits = tokio::task::spawn_blocking(move || password::fits(&stored, &password)).await.unwrap_or(false);
        drop(slot);
        let account = account.filter(|_| fits).ok_or_else(refused)?;
        let now = Timestamp::now();
        let settings = caller.node.settings.now();
        let session = Session {
            uuid: SessionUuid::random(),
            account_uuid: account.uuid,
            user_uuid: UserUuid::from(account.uuid.as_uuid()),
            expired_date: now.plus(settings.session_timeout),
            create_date: now,
        };
        caller
            .node
            .store
            .write(move |tx| {
                let most = settings.session_max_concurrent;
                if tx.live_sessions(session.account_uuid, now)? >= u64::from(most) {
                    return Err(Failure::new(
                        ErrorKind::Refused,
                        format!(
                            "account '{}' has {most} sessions already: log out of some, or raise the setting identity session.maxConcurrent",
                            account.name
                        ),
                    ));
                }
                tx.insert(&session)?;
                inventory_reply::<Session>(tx, session.uuid)
            })
            .await
    }
}

operation! {
    /// Ends a session.
    LogOut, "9.1.42", Delete "/accounts/sessions/{sessionUuid}", Sync, open true; {
        /// The session.
        session_uuid: SessionUuid;
    }
}

impl SyncOperation for LogOut {
    async fn answer(self, caller: Caller) -> Result<Value, Failure> {
        caller.node.store.write(move |tx| tx.delete::<Session>(self.session_uuid).map_err(Failure::from)).await?;
        Ok(json!({}))
    }
}

operation! {
    /// Whether a session is alive.
    ValidateSession, "9.1.40", Get "/accounts/sessions/{sessionUuid}/valid", Sync -> { valid: bool }, open true; {
        /// The session.
        session_uuid: SessionUuid;
    }
}

impl SyncOperation for ValidateSession {
    async fn answer(self, caller: Caller) -> Result<Value, Failure> {
        let now = Timestamp::now();
        let session =
            caller.node.store.read(move |tx| tx.live_session(self.session_uuid, now).map_err(Failure::from)).await?;
        Ok(json!({ "valid": session.is_some() }))
    }
}

operation! {
    /// Makes a session last longer than it would.
    RenewSession, "9.1.41",
        Put "/accounts/sessions/{sessionUuid}/renew", Job -> Session, admits Some(Admits::Accounts); {
        /// The session.
        session_uuid: SessionUuid;
        /// How long from now, in seconds; as long as a new session where it is left out.
        duration: Option<u64>, range 60..=31_536_000;
    }
}

impl JobOperation for RenewSession {
    type State = ();

    fn locks(&self) -> Vec<String> {
        vec![self.session_uuid.to_string()]
    }

    fn steps() -> Vec<Step<Self>> {
        vec![Step::record("renew the session", |tx, run| {
            let (now, uuid) = (Timestamp::now(), run.params.session_uuid);
            if tx.live_session(uuid, now)?.is_none() {
                let details = "sessionUuid names no session, or one that has expired: log in again";
                return Err(Failure::new(ErrorKind::InvalidSession, details));
            }
            let usual = run.node.settings.now().session_timeout;
            let duration = run.params.duration.map_or(usual, std::time::Duration::from_secs);
            Ok(tx.renew_session(uuid, now.plus(duration))?)
        })]
    }

    fn reply(&self, tx: &Tx<'_>, _state: &()) -> Result<Value, Failure> {
        inventory_reply::<Session>(tx, self.session_uuid)
    }
}
