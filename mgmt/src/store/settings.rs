//! The global settings' values.

use rusqlite::OptionalExtension;

use super::{StoreError, Tx};
use crate::resource::{GlobalConfig, SettingCategory};

impl Tx<'_> {
    /// Brings the settings to what is declared: new ones get their default, a default that changed is followed where
    /// nobody had set another value, and what is declared no more goes.
    pub fn declare_settings(&self, declared: &[GlobalConfig]) -> Result<(), StoreError> {
        let known = self.undeclared_settings(declared)?;
        let mut forget = self.connection.prepare_cached("DELETE FROM global_config WHERE category = ? AND name = ?")?;
        for (category, name) in known {
            forget.execute([category, name])?;
        }
        let mut declare = self.connection.prepare_cached(
            "INSERT INTO global_config (category, name, description, default_value, value) VALUES (?1, ?2, ?3, ?4, ?4)
             ON CONFLICT (category, name) DO UPDATE
                 SET description = ?3, value = iif(value = default_value, ?4, value), default_value = ?4",
        )?;
        for setting in declared {
            declare.execute([
                setting.category.as_str(),
                &setting.name,
                &setting.description,
                &setting.default_value,
            ])?;
        }
        Ok(())
    }

    fn undeclared_settings(&self, declared: &[GlobalConfig]) -> Result<Vec<(String, String)>, StoreError> {
        let mut statement = self.connection.prepare_cached("SELECT category, name FROM global_config")?;
        let stored: Vec<(String, String)> =
            statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
        let is_declared = |category: &str, name: &str| {
            declared.iter().any(|setting| setting.category.as_str() == category && setting.name == name)
        };
        Ok(stored.into_iter().filter(|(category, name)| !is_declared(category, name)).collect())
    }

    /// Sets a declared setting, and answers the value it had.
    pub fn set_setting(
        &self,
        category: SettingCategory,
        name: &str,
        value: &str,
    ) -> Result<Option<String>, StoreError> {
        let key = [category.as_str(), name];
        let before: Option<String> = self
            .connection
            .prepare_cached("SELECT value FROM global_config WHERE category = ? AND name = ?")?
            .query_row(key, |row| row.get(0))
            .optional()?;
        self.connection
            .prepare_cached("UPDATE global_config SET value = ? WHERE category = ? AND name = ?")?
            .execute([value, category.as_str(), name])?;
        Ok(before)
    }
}
