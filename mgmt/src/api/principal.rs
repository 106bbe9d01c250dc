//! On whose behalf a call is made.

use gantry_common::id::AccountUuid;

use crate::{
    query::View,
    resource::{Account, AccountType},
    store::{StoreError, Tx},
};

/// On whose behalf a call is made. Users of accounts, their groups and policies, will be more of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Principal {
    /// Nobody has logged in.
    Stranger,
    /// An account of type `SystemAdmin`: it may do everything, and everything is its to change.
    Operator(AccountUuid),
    /// Any other account: it sees and changes what is its own.
    Account(AccountUuid),
}

impl Principal {
    /// An account as the inventory knows it. One that is gone sees nothing.
    pub fn of(tx: &Tx<'_>, admin: AccountUuid, account: AccountUuid) -> Result<Self, StoreError> {
        if account == admin {
            return Ok(Self::Operator(account));
        }
        let kind = tx.get::<Account>(account)?.map(|account| account.kind);
        Ok(if kind == Some(AccountType::SystemAdmin) { Self::Operator(account) } else { Self::Account(account) })
    }

    /// The account.
    pub const fn account(self) -> Option<AccountUuid> {
        match self {
            Self::Stranger => None,
            Self::Operator(account) | Self::Account(account) => Some(account),
        }
    }

    /// What is seen; nothing at all where nobody has logged in.
    pub const fn view(self) -> Option<View> {
        match self {
            Self::Stranger => None,
            Self::Operator(_) => Some(View::Operator),
            Self::Account(account) => Some(View::Account(account)),
        }
    }
}
