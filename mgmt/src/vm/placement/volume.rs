//! What a volume needs of its primary storage.

use gantry_common::id::PrimaryStorageUuid;

use crate::{
    failure::Failure,
    resource::{DiskOffering, PrimaryStorage},
    store::Tx,
};

/// A volume that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeDemand {
    /// Its size.
    pub bytes: u64,
    /// Which storages it may be on.
    pub rule: StorageRule,
}

/// Which primary storages a volume may be on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StorageRule {
    /// The only ones, each with who says so.
    pub only: Vec<(PrimaryStorageUuid, &'static str)>,
    /// The user tags it must have.
    pub required_tags: Vec<String>,
    /// The user tags that one with them is preferred for.
    pub preferred_tags: Vec<String>,
    /// Whether it must be a local one.
    pub local: bool,
}

/// Chooses among all primary storages of the host.
pub const DEFAULT_STORAGE_STRATEGY: &str = "DefaultPrimaryStorageAllocationStrategy";
/// Chooses among those that are the host's own disks.
pub const LOCAL_STORAGE_STRATEGY: &str = "LocalStorageAllocatorStrategy";
/// How a primary storage can be chosen for a volume.
pub const STORAGE_STRATEGIES: [&str; 2] = [DEFAULT_STORAGE_STRATEGY, LOCAL_STORAGE_STRATEGY];

/// The kind of primary storage that is the hosts' own disks.
pub const LOCAL_STORAGE: &str = "LocalStorage";

/// The strategy if it is one of [`STORAGE_STRATEGIES`].
pub fn storage_strategy(parameter: &str, name: &str) -> Result<&'static str, Failure> {
    STORAGE_STRATEGIES
        .into_iter()
        .find(|known| *known == name)
        .ok_or_else(|| Failure::argument(parameter, name, format!("allowed are {}", STORAGE_STRATEGIES.join(", "))))
}

const BY_UUID: &str = "primaryStorage::allocator::uuid::";
const BY_USER_TAG: &str = "primaryStorage::allocator::userTag::";
const REQUIRED: &str = "::required";

impl StorageRule {
    /// Adds what an offering's system tags ask for; `offering` is what errors call it.
    #[must_use]
    pub fn and_tags(mut self, tags: &[String], offering: &'static str) -> Self {
        for tag in tags {
            if let Some(uuid) = tag.strip_prefix(BY_UUID).and_then(|uuid| uuid.parse().ok()) {
                self.only.push((uuid, offering));
            } else if let Some(user_tag) = tag.strip_prefix(BY_USER_TAG) {
                match user_tag.strip_suffix(REQUIRED) {
                    Some(required) => self.required_tags.push(required.to_owned()),
                    None => self.preferred_tags.push(user_tag.to_owned()),
                }
            }
        }
        self
    }

    /// Adds what a disk offering's strategy asks for.
    #[must_use]
    pub fn and_strategy(mut self, strategy: &str) -> Self {
        self.local |= strategy == LOCAL_STORAGE_STRATEGY;
        self
    }

    /// Why a volume must not be on a storage with these user tags.
    pub fn refuse(&self, storage: &PrimaryStorage, user_tags: &[String]) -> Option<String> {
        let name = &storage.name;
        if let Some((wanted, who)) = self.only.iter().find(|(wanted, _)| *wanted != storage.uuid) {
            return Some(format!("primary storage '{name}' is not {wanted}, the one that {who} names"));
        }
        if let Some(missing) = self.required_tags.iter().find(|tag| !user_tags.contains(tag)) {
            return Some(format!("primary storage '{name}' has no user tag '{missing}', which the offering requires"));
        }
        (self.local && storage.kind != LOCAL_STORAGE).then(|| {
            format!("primary storage '{name}' is a {} and the disk offering takes local storage", storage.kind)
        })
    }

    /// What a disk offering asks for.
    pub fn of_disk_offering(tx: &Tx<'_>, offering: &DiskOffering) -> Result<Self, Failure> {
        let tags = tx.system_tags(&offering.uuid.to_string())?;
        Ok(Self::default().and_strategy(&offering.allocator_strategy).and_tags(&tags, "the disk offering"))
    }

    /// Narrows it to one storage.
    #[must_use]
    pub fn and_only(mut self, storage: PrimaryStorageUuid, who: &'static str) -> Self {
        self.only.push((storage, who));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offerings_tags_say_where_its_volumes_go() {
        let uuid = PrimaryStorageUuid::random();
        let tags = [
            format!("{BY_UUID}{uuid}"),
            "primaryStorage::allocator::userTag::ssd::required".to_owned(),
            "primaryStorage::allocator::userTag::quiet".to_owned(),
            "somethingElse::x".to_owned(),
        ];
        let rule = StorageRule::default().and_tags(&tags, "its disk offering");
        assert_eq!(rule.only, [(uuid, "its disk offering")]);
        assert_eq!((rule.required_tags, rule.preferred_tags), (vec!["ssd".to_owned()], vec!["quiet".to_owned()]));
    }

    #[test]
    fn an_unknown_way_of_choosing_is_refused() {
        assert!(storage_strategy("allocationStrategy", "Dice").unwrap_err().details.contains(LOCAL_STORAGE_STRATEGY));
        assert!(StorageRule::default().and_strategy(LOCAL_STORAGE_STRATEGY).local);
    }
}
