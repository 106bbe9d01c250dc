//! Global settings.

use super::Declaration;
use crate::{resource, text_enum};

/// The declarations of this file.
pub const ALL: &[fn() -> &'static Declaration] = &[GlobalConfig::declaration];

text_enum! {
    /// What a setting is about.
    SettingCategory {
        /// Accounts and sessions.
        Identity = "identity",
        /// The REST front.
        Rest = "rest",
        /// Hosts.
        Host = "host",
        /// KVM hosts.
        Kvm = "kvm",
        /// Overcommit and placement; the name is the published one.
        Mevoco = "mevoco",
        /// VM instances.
        Vm = "vm",
        /// Volumes.
        Volume = "volume",
        /// Consoles.
        Console = "console",
        /// Images.
        Image = "image",
        /// Primary storages.
        PrimaryStorage = "primaryStorage",
        /// Backup storages.
        BackupStorage = "backupStorage",
        /// Clean-up that hosts owe.
        Gc = "gc",
        /// Notifications.
        Notification = "notification",
        /// The audit.
        Audit = "audit",
        /// The management node.
        ManagementServer = "managementServer",
    }
}

resource! {
    /// A global setting. Category and name together are its key.
    GlobalConfig, table "global_config", class "org.zstack.core.config.GlobalConfigInventory" {
        /// What it is about.
        category: SettingCategory,
        /// Its name, unique in its category.
        name: String,
        /// What it does.
        description: String,
        /// The value it has unless somebody set another one.
        default_value: String,
        /// The value it has.
        value: String,
    }
}
