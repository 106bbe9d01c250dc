//! The global settings: declared once in a table, kept in the inventory, read from memory, changed through the API.
//!
//! Whoever needs one reads `node.settings.now().field`; a change is there with the next reading.

mod declaration;
mod kind;
mod table;

use std::sync::Arc;

pub use declaration::Declaration;
pub use kind::*;
pub use table::{ALL, Values};
use tokio::sync::{Mutex, watch};

use crate::{
    failure::Failure,
    resource::{GlobalConfig, SettingCategory},
    store::{Store, Tx},
};

/// The declaration of the setting with this category and name.
pub fn find(category: &str, name: &str) -> Option<&'static Declaration> {
    ALL.iter().find(|declared| declared.category.as_str() == category && declared.name == name)
}

/// The settings in force.
pub struct Settings {
    current: watch::Sender<Arc<Values>>,
    loading: Mutex<()>,
}

impl Default for Settings {
    /// Every setting at its default.
    fn default() -> Self {
        Self { current: watch::Sender::new(Arc::new(Values::default())), loading: Mutex::default() }
    }
}

impl Default for Values {
    #[allow(clippy::expect_used, reason = "a test reads every declared default")]
    fn default() -> Self {
        Self::read(|_| None).expect("every declared default is usable")
    }
}

impl Settings {
    /// Brings the inventory to what is declared, and reads it.
    pub async fn open(store: &Store) -> Result<Self, Failure> {
        let values = store
            .write(|tx| {
                let declared: Vec<GlobalConfig> = ALL.iter().map(GlobalConfig::of).collect();
                tx.declare_settings(&declared)?;
                Values::load(tx)
            })
            .await?;
        Ok(Self { current: watch::Sender::new(Arc::new(values)), loading: Mutex::default() })
    }

    /// The values in force now.
    pub fn now(&self) -> Arc<Values> {
        self.current.borrow().clone()
    }

    /// Hears of every change.
    pub fn changes(&self) -> watch::Receiver<Arc<Values>> {
        self.current.subscribe()
    }

    /// Puts into force what the inventory holds.
    pub async fn reload(&self, store: &Store) -> Result<(), Failure> {
        // One after the other: an older reading must not overtake a newer one.
        let _one = self.loading.lock().await;
        let values = store.read(Values::load).await?;
        self.current.send_replace(Arc::new(values));
        Ok(())
    }
}

impl Values {
    /// The values that the inventory holds.
    pub fn load(tx: &Tx<'_>) -> Result<Self, Failure> {
        let stored = tx.all::<GlobalConfig>()?;
        let values = Self::read(|declared| {
            let row = stored.iter().find(|row| row.category == declared.category && row.name == declared.name)?;
            Some(row.value.clone())
        });
        Ok(values.unwrap_or_default())
    }
}

impl GlobalConfig {
    /// A declared setting with its default.
    fn of(declared: &Declaration) -> Self {
        Self {
            category: declared.category,
            name: declared.name.to_owned(),
            description: declared.description.clone(),
            default_value: declared.default.to_owned(),
            value: declared.default.to_owned(),
        }
    }
}

/// Gives a setting a value in the inventory, or its default where none is given, and answers the value it had.
/// [`Settings::reload`] puts it into force.
pub fn set(tx: &Tx<'_>, category: &str, name: &str, value: Option<&str>) -> Result<Option<String>, Failure> {
    let declared = find(category, name).ok_or_else(|| unknown(category, name))?;
    let value = value.map_or(declared.default, str::trim);
    if !declared.fits(value) {
        let unit = if declared.unit.is_empty() { String::new() } else { format!(" ({})", declared.unit) };
        let remedy = format!("{category} {name} takes {}{unit}", declared.allowed);
        return Err(Failure::argument("value", value, remedy));
    }
    Ok(tx.set_setting(declared.category, name, value)?)
}

fn unknown(category: &str, name: &str) -> Failure {
    let names: Vec<&str> =
        ALL.iter().filter(|declared| declared.category.as_str() == category).map(|declared| declared.name).collect();
    if names.is_empty() {
        let categories: Vec<&str> = SettingCategory::ALL.iter().map(|category| category.as_str()).collect();
        return Failure::argument("category", category, format!("the categories are {}", categories.join(", ")));
    }
    Failure::argument("name", name, format!("category {category} has {}", names.join(", ")))
}

#[cfg(test)]
mod tests;
