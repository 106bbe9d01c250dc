//! 10.1: global settings.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    api::{Operation, job, query},
    clock::Timestamp,
    failure::Failure,
    hosts::{CapacityRules, recount_everything},
    job::{JobOperation, Recording, Run, Step},
    operation,
    query::{Query, run},
    resource::GlobalConfig,
    settings::{self, Values},
    store::Tx,
};

/// The operations of this chapter.
pub fn operations() -> Vec<Operation> {
    vec![query::<QueryGlobalConfig>(GlobalConfig::declaration), job::<UpdateGlobalConfig>()]
}

operation! {
    /// Queries the global settings.
    QueryGlobalConfig, "10.1.1.1", Get "/global-configurations", Sync -> [GlobalConfig]; {}
}

operation! {
    /// Gives a setting a value, or its default where none is given. It is in force when the job has ended.
    UpdateGlobalConfig, "10.1.1.2", Put "/global-configurations/{category}/{name}/actions", Job -> GlobalConfig; {
        /// What the setting is about.
        category: String;
        /// Its name.
        name: String;
        /// The value it gets.
        value: Option<String>;
    }
}

/// The value that the setting had.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Changing {
    before: Option<String>,
}

impl JobOperation for UpdateGlobalConfig {
    type State = Changing;

    fn locks(&self) -> Vec<String> {
        vec!["global settings".to_owned()]
    }

    fn steps() -> Vec<Step<Self>> {
        vec![
            Step::record("set the value", |tx, run: &mut Recording<'_, Self>| {
                run.state.before = change(tx, run.params, run.params.value.as_deref())?;
                Ok(())
            })
            .undo_record(|tx, run| match &run.state.before {
                Some(before) => change(tx, run.params, Some(before)).map(drop),
                None => Ok(()),
            }),
            Step::remote("put it into force", |run: Run<Self>| async move {
                run.node.settings.reload(&run.node.store).await?;
                Ok(run.state)
            }),
        ]
    }

    fn reply(&self, tx: &Tx<'_>, _state: &Changing) -> Result<Value, Failure> {
        let conditions = [("category", &self.category), ("name", &self.name)];
        let pairs: Vec<(String, String)> =
            conditions.iter().map(|(field, value)| ("q".to_owned(), format!("{field}={value}"))).collect();
        let found = run(tx, GlobalConfig::declaration(), &Query::parse(&pairs)?)?;
        Ok(json!({ "inventory": found["inventories"][0] }))
    }
}

/// Sets the value, and brings what the inventory holds by the old one to the new one. Answers the old one.
fn change(tx: &Tx<'_>, asked: &UpdateGlobalConfig, value: Option<&str>) -> Result<Option<String>, Failure> {
    let before = Values::load(tx)?;
    let old = settings::set(tx, &asked.category, &asked.name, value)?;
    let after = Values::load(tx)?;
    let rules = CapacityRules::from(&after);
    if rules != CapacityRules::from(&before) {
        recount_everything(tx, rules)?;
    }
    if after.session_timeout < before.session_timeout {
        tx.shorten_sessions(Timestamp::now().plus(after.session_timeout))?;
    }
    Ok(old)
}
