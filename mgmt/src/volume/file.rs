//! A volume's file: where it is to be, and what is promised for it.

use gantry_common::{
    agent::{CreateVolume, DeleteVolume},
    error::ErrorKind,
    id::{AccountUuid, HostUuid, VolumeUuid},
};
use serde::{Deserialize, Serialize};

use crate::{
    failure::Failure,
    operations::require,
    resource::{MediaStatus, PrimaryStorage, Volume, VolumeType},
    store::Tx,
};

/// A volume that is to be made on a host.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NewVolume {
    /// The volume.
    pub uuid: VolumeUuid,
    /// Its storage's directory.
    pub root: String,
    /// Its file.
    pub path: String,
    /// Bytes the guest sees.
    pub size_bytes: u64,
    /// The image it stands on.
    pub backing_path: Option<String>,
}

impl NewVolume {
    /// The command that makes it.
    pub fn making(&self) -> CreateVolume {
        CreateVolume {
            volume: self.uuid,
            root: self.root.clone(),
            path: self.path.clone(),
            size_bytes: self.size_bytes,
            backing_path: self.backing_path.clone(),
        }
    }

    /// The command that removes it.
    pub fn deletion(&self) -> DeleteVolume {
        DeleteVolume { root: self.root.clone(), path: self.path.clone() }
    }
}

/// Gives a volume without a file a place in a storage on a host and promises it its space. The record is the caller's to
/// write, in the same transaction.
pub fn settle(
    tx: &Tx<'_>,
    volume: &mut Volume,
    storage: &PrimaryStorage,
    host: HostUuid,
    account: AccountUuid,
    backing_path: Option<String>,
) -> Result<NewVolume, Failure> {
    let (uuid, size_bytes) = (volume.uuid, volume.size);
    let folder = if volume.kind == VolumeType::Root { "rootVolumes" } else { "dataVolumes" };
    let path = format!("{}/{folder}/acct-{account}/vol-{uuid}/{uuid}.qcow2", storage.url);
    if !tx.allocate_storage(storage.uuid, host, &uuid.to_string(), size_bytes)? {
        let details = format!(
            "primary storage '{}' ({}) has no {size_bytes} bytes left on the chosen host: free space or add a host",
            storage.name, storage.uuid
        );
        return Err(Failure::new(ErrorKind::NoStorageCapacity, details));
    }
    volume.primary_storage_uuid = Some(storage.uuid);
    volume.host_uuid = Some(host);
    volume.install_path = Some(path.clone());
    volume.status = MediaStatus::Creating;
    Ok(NewVolume { uuid, root: storage.url.clone(), path, size_bytes, backing_path })
}

/// Gives back what a volume was promised.
pub fn release(tx: &Tx<'_>, volume: &Volume) -> Result<(), Failure> {
    if let (Some(storage), Some(host)) = (volume.primary_storage_uuid, volume.host_uuid) {
        tx.release_storage(storage, host, &volume.uuid.to_string())?;
    }
    Ok(())
}

/// Takes a volume's place away again that [`settle`] gave it.
pub fn unsettle(tx: &Tx<'_>, volume: &mut Volume) -> Result<(), Failure> {
    release(tx, volume)?;
    volume.primary_storage_uuid = None;
    volume.host_uuid = None;
    volume.install_path = None;
    volume.status = MediaStatus::NotInstantiated;
    Ok(())
}

/// A volume's file on its host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeFile {
    /// The host.
    pub host: HostUuid,
    /// The storage's directory.
    pub root: String,
    /// The file.
    pub path: String,
}

impl VolumeFile {
    /// The file of a volume, where it has one.
    pub fn of(tx: &Tx<'_>, volume: &Volume) -> Result<Option<Self>, Failure> {
        let (Some(host), Some(path), Some(storage)) =
            (volume.host_uuid, volume.install_path.clone(), volume.primary_storage_uuid)
        else {
            return Ok(None);
        };
        let root = require::<PrimaryStorage>(tx, "primaryStorageUuid", storage)?.url;
        Ok(Some(Self { host, root, path }))
    }

    /// The file of a volume that must have one.
    pub fn require(tx: &Tx<'_>, volume: &Volume) -> Result<Self, Failure> {
        Self::of(tx, volume)?.ok_or_else(|| {
            let details = format!("volume '{}' is {} and has no file", volume.name, volume.status);
            Failure::new(ErrorKind::StateForbids, details)
        })
    }

    /// The command that removes it.
    pub fn deletion(self) -> DeleteVolume {
        DeleteVolume { root: self.root, path: self.path }
    }
}
