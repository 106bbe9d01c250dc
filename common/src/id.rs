//! Typed resource ids. On the wire every id is 32 lower-case hex characters without hyphens.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;

/// The text is not 32 hex characters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a uuid: 32 hexadecimal characters without hyphens are needed")]
pub struct InvalidId(pub String);

fn parse(text: &str) -> Result<Uuid, InvalidId> {
    if text.len() != 32 {
        return Err(InvalidId(text.to_owned()));
    }
    Uuid::try_parse(text).map_err(|_| InvalidId(text.to_owned()))
}

macro_rules! typed_ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// A new random (version 4) id.
            pub fn random() -> Self {
                Self(Uuid::new_v4())
            }

            /// The id as libvirt writes it, with hyphens.
            pub fn hyphenated(self) -> String {
                self.0.hyphenated().to_string()
            }

            /// The same 128 bits under the id's plain type.
            pub fn as_uuid(self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0.simple(), f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                parse(text).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    )*};
}

typed_ids! {
    /// A call that was written down.
    AuditUuid;
    /// Any resource, of whatever type.
    ResourceUuid;
    /// An account that owns resources.
    AccountUuid;
    /// A user of an account.
    UserUuid;
    /// A login session.
    SessionUuid;
    /// One accepted asynchronous call.
    JobUuid;
    /// A long job: an operation that was submitted to be run on its own.
    LongJobUuid;
    /// A management node.
    NodeUuid;
    /// A zone.
    ZoneUuid;
    /// A cluster.
    ClusterUuid;
    /// A KVM host.
    HostUuid;
    /// An instance offering.
    InstanceOfferingUuid;
    /// A disk offering.
    DiskOfferingUuid;
    /// An affinity group.
    AffinityGroupUuid;
    /// A VM's membership of an affinity group.
    AffinityGroupUsageUuid;
    /// A backup storage.
    BackupStorageUuid;
    /// A primary storage.
    PrimaryStorageUuid;
    /// An image.
    ImageUuid;
    /// A volume.
    VolumeUuid;
    /// A volume's snapshot.
    VolumeSnapshotUuid;
    /// An L2 network.
    L2NetworkUuid;
    /// An L3 network.
    L3NetworkUuid;
    /// A range of IP addresses.
    IpRangeUuid;
    /// An IP address in use.
    UsedIpUuid;
    /// A provider of network services.
    NetworkServiceProviderUuid;
    /// A VM instance.
    VmUuid;
    /// A VM instance's network interface.
    NicUuid;
    /// A system or user tag.
    TagUuid;
    /// Something that happened and that people should know.
    NotificationUuid;
    /// Clean-up that a host owes.
    GcJobUuid;
    /// The attachment of a shareable volume to a VM.
    ShareableVolumeRefUuid;
    /// What shows VMs' consoles.
    ConsoleProxyAgentUuid;
    /// One command sent to a host agent; a repeat carries the same id.
    OperationId;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_written_as_it_is_read() {
        let text = "8aef7e3a53b34eedaa05027a919156d9";
        assert_eq!(text.parse::<VmUuid>().unwrap().to_string(), text);
        assert_eq!(serde_json::to_string(&text.parse::<VmUuid>().unwrap()).unwrap(), format!("\"{text}\""));
    }

    #[test]
    fn hyphens_and_wrong_lengths_are_refused() {
        for text in ["", "8aef7e3a-53b3-4eed-aa05-027a919156d9", "8aef", "zzef7e3a53b34eedaa05027a919156d9"] {
            assert_eq!(text.parse::<VmUuid>(), Err(InvalidId(text.to_owned())));
        }
    }
}
