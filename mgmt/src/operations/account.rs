//! 9.1: accounts.

use gantry_common::{error::ErrorKind, id::AccountUuid};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::making::{made, make, put_tags, readable_name, require};
use crate::{
    api::{Admits, Operation, job, query},
    clock::Timestamp,
    deletion::{Deletes, Mode, deletes},
    failure::Failure,
    job::{JobOperation, Recording, Run, Step},
    node::{ADMIN, Node},
    operation, password,
    query::inventory_reply,
    resource::{Account, AccountType},
    secret::Secret,
    store::{Row, RowKey, SqlValue, Tx},
};

/// The operations of this chapter.
pub fn operations() -> Vec<Operation> {
    vec![
        job::<CreateAccount>(),
        deletes::<DeleteAccount>(),
        query::<QueryAccount>(Account::declaration),
        job::<UpdateAccount>(),
    ]
}

operation! {
    /// Makes an account. One of type Normal sees and changes what is its own; one of type SystemAdmin everything.
    CreateAccount, "9.1.1", Post "/accounts", Job -> Account; {
        /// Its name, which no other account has.
        name: String, max_length 255;
        /// The digest of its password: the lower-case hex SHA-512 of the plain one.
        password: Secret, max_length 255;
        /// Its type; Normal where it is left out.
        kind as "type": Option<String>, values &["SystemAdmin", "Normal"];
        /// Free text.
        description: Option<String>, max_length 2048;
        /// The id it gets.
        resource_uuid: Option<AccountUuid>;
    }
}

/// The hash of the password that is asked for, and the account once it is recorded.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Hashed {
    password_hash: Option<String>,
    account: Option<AccountUuid>,
}

/// What is stored of a password, whose digest must look like one: an account whose password is stored otherwise could
/// never log in.
async fn hash(node: &Node, digest: &Secret) -> Result<String, Failure> {
    let text = digest.expose();
    if text.len() != 128 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let remedy = "the lower-case hex SHA-512 of the password is needed: 128 hexadecimal characters";
        return Err(Failure::argument("password", "******", remedy));
    }
    let digest = Secret::new(text.to_lowercase());
    let slot = node.login_slots.acquire().await;
    let hash = tokio::task::spawn_blocking(move || password::hash(&digest)).await;
    drop(slot);
    let internal = |error: String| Failure::new(ErrorKind::Internal, error);
    hash.map_err(|error| internal(error.to_string()))?.map_err(|error| internal(error.to_string()))
}

/// Refuses a name that another account has.
fn free_name(tx: &Tx<'_>, name: &str, own: Option<AccountUuid>) -> Result<String, Failure> {
    let name = readable_name(name)?;
    let there = tx.find::<Account>(&[("name", name.to_sql())])?.pop();
    match there.filter(|there| Some(there.uuid) != own) {
        None => Ok(name),
        Some(there) => {
            let details = format!("the name '{name}' is that of account {}: choose another one", there.uuid);
            Err(Failure::new(ErrorKind::Duplicate, details))
        }
    }
}

impl JobOperation for CreateAccount {
    type State = Hashed;

    fn locks(&self) -> Vec<String> {
        self.resource_uuid.iter().map(ToString::to_string).collect()
    }

    fn steps() -> Vec<Step<Self>> {
        vec![
            Step::remote("hash the password", |run: Run<Self>| async move {
                let password_hash = Some(hash(&run.node, &run.params.password).await?);
                Ok(Hashed { password_hash, ..run.state })
            }),
            Step::record("record the account", record),
        ]
    }

    fn reply(&self, tx: &Tx<'_>, state: &Hashed) -> Result<Value, Failure> {
        made::<Account>(tx, state.account)
    }
}

fn record(tx: &Tx<'_>, run: &mut Recording<'_, CreateAccount>) -> Result<(), Failure> {
    let params = run.params;
    let (uuid, now) = (params.resource_uuid.unwrap_or_else(AccountUuid::random), Timestamp::now());
    let kind = match params.kind.as_deref() {
        Some("SystemAdmin") => AccountType::SystemAdmin,
        _ => AccountType::Normal,
    };
    make(
        tx,
        &Account {
            uuid,
            name: free_name(tx, &params.name, None)?,
            description: params.description.clone(),
            kind,
            create_date: now,
            last_op_date: now,
            password_hash: run.state.password_hash.take().unwrap_or_default(),
        },
    )?;
    put_tags::<Account>(tx, uuid, &params.system_tags, &params.user_tags)?;
    run.state.account = Some(uuid);
    Ok(())
}

operation! {
    /// Deletes an account with all that it owns. Its sessions end, and nothing is shared with it any more.
    DeleteAccount, "9.1.2", Delete "/accounts/{uuid}", Job; {
        /// The account.
        uuid: AccountUuid;
        /// How dependents are treated.
        delete_mode: Option<String>, values &["Permissive", "Enforcing"];
    }
}

impl Deletes for DeleteAccount {
    fn target(&self) -> RowKey {
        RowKey::new("Account", [self.uuid.to_string()])
    }

    fn find(&self, tx: &Tx<'_>) -> Result<Row, Failure> {
        let account = require::<Account>(tx, "uuid", self.uuid)?;
        if account.name == ADMIN {
            let details = format!("'{ADMIN}' is the operator's account, which cannot be deleted");
            return Err(Failure::new(ErrorKind::Refused, details));
        }
        tx.row(&self.target())?.ok_or_else(|| Failure::not_found("Account", "uuid", self.uuid))
    }

    fn mode(&self) -> Mode {
        Mode::of(self.delete_mode.as_deref())
    }
}

operation! {
    /// Queries accounts.
    QueryAccount, "9.1.3", Get "/accounts" | "/accounts/{uuid}", Sync -> [Account]; {}
}

operation! {
    /// Changes an account's password, name or description. A new password ends all its sessions but the caller's.
    UpdateAccount, "9.1.4", Put "/accounts/{uuid}", Job -> Account, admits Some(Admits::Accounts); {
        /// The account.
        uuid: AccountUuid;
        /// The digest of the new password.
        password: Option<Secret>, max_length 255;
        /// Its new name.
        name: Option<String>, max_length 255;
        /// Its new description.
        description: Option<String>, max_length 2048;
    }
}

impl JobOperation for UpdateAccount {
    type State = Hashed;

    fn locks(&self) -> Vec<String> {
        vec![self.uuid.to_string()]
    }

    fn steps() -> Vec<Step<Self>> {
        vec![
            Step::remote("hash the password", |run: Run<Self>| async move {
                let password_hash = match &run.params.password {
                    Some(password) => Some(hash(&run.node, password).await?),
                    None => None,
                };
                Ok(Hashed { password_hash, ..run.state })
            }),
            Step::record("change the account", |tx, run| {
                let params = run.params;
                let mut account = require::<Account>(tx, "uuid", params.uuid)?;
                if let Some(name) = &params.name {
                    let name = free_name(tx, name, Some(account.uuid))?;
                    if account.uuid == run.node.admin && name != account.name {
                        let remedy = "the operator's account keeps its name";
                        return Err(Failure::argument("name", name, remedy));
                    }
                    account.name = name;
                }
                if let Some(description) = &params.description {
                    account.description = Some(description.clone());
                }
                if let Some(password_hash) = run.state.password_hash.take() {
                    account.password_hash = password_hash;
                    tx.end_sessions(account.uuid, run.session_uuid)?;
                }
                account.last_op_date = Timestamp::now();
                tx.save(&account)?;
                Ok(())
            }),
        ]
    }

    fn reply(&self, tx: &Tx<'_>, _state: &Hashed) -> Result<Value, Failure> {
        inventory_reply::<Account>(tx, self.uuid)
    }
}
