//! Which volumes may move, and where to.

use gantry_common::{
    error::ErrorKind,
    id::{HostUuid, VolumeUuid},
};

use super::super::making::require;
use crate::{
    failure::Failure,
    resource::{
        AdminState, ConnectionStatus, Host, Image, L2NetworkClusterRef, L3Network, MediaStatus, PrimaryStorage,
        VmInstance, VmInstanceState, VmNic, Volume, VolumeType,
    },
    settings::Values,
    store::{CachePlace, SqlValue, Tx},
    volume::require_room,
};

/// A volume that lies on a host's local storage.
pub struct LocalVolume {
    pub volume: Volume,
    /// Its file.
    pub path: String,
    pub storage: PrimaryStorage,
    pub host: Host,
    /// The VM it is attached to.
    pub vm: Option<VmInstance>,
}

fn state_forbids(details: String) -> Failure {
    Failure::new(ErrorKind::StateForbids, details)
}

impl LocalVolume {
    /// The volume with this id.
    pub fn find(tx: &Tx<'_>, uuid: VolumeUuid) -> Result<Self, Failure> {
        let volume = require::<Volume>(tx, "volumeUuid", uuid)?;
        let (Some(path), Some(storage), Some(host)) =
            (volume.install_path.clone(), volume.primary_storage_uuid, volume.host_uuid)
        else {
            let details = format!("volume '{}' is {}: it has no file that could move", volume.name, volume.status);
            return Err(state_forbids(details));
        };
        let storage = require::<PrimaryStorage>(tx, "primaryStorageUuid", storage)?;
        let host = require::<Host>(tx, "hostUuid", host)?;
        let vm = volume.vm_instance_uuid.map(|vm| require::<VmInstance>(tx, "vmInstanceUuid", vm)).transpose()?;
        Ok(Self { volume, path, storage, host, vm })
    }

    /// Whether it can move anywhere now.
    pub fn admit_move(&self) -> Result<(), Failure> {
        let name = &self.volume.name;
        if self.volume.status != MediaStatus::Ready {
            return Err(state_forbids(format!("volume '{name}' is {}: it must be Ready", self.volume.status)));
        }
        if self.storage.state == AdminState::Maintenance {
            let details = format!(
                "primary storage '{}', where volume '{name}' is, is in Maintenance: enable it",
                self.storage.name
            );
            return Err(state_forbids(details));
        }
        if self.host.status != ConnectionStatus::Connected {
            let (host, status) = (&self.host.name, self.host.status);
            return Err(state_forbids(format!("host '{host}', where volume '{name}' is, is {status}: see QueryHost")));
        }
        match &self.vm {
            Some(vm) if !matches!(vm.state, VmInstanceState::Stopped | VmInstanceState::Created) => Err(state_forbids(
                format!("VM '{}', which has volume '{name}', is {}: it must be Stopped", vm.name, vm.state),
            )),
            _ => Ok(()),
        }
    }

    /// Whether it can leave its host: a VM's volumes lie on one host.
    pub fn admit_leaving_host(&self, tx: &Tx<'_>) -> Result<(), Failure> {
        let Some(vm) = &self.vm else { return Ok(()) };
        if self.volume.kind == VolumeType::Data {
            let details = format!(
                "volume '{}' is attached to VM '{}', whose volumes lie on one host: detach it first",
                self.volume.name, vm.name
            );
            return Err(Failure::new(ErrorKind::ResourceInUse, details));
        }
        let others: Vec<String> = tx
            .find::<Volume>(&[("vm_instance_uuid", vm.uuid.to_sql())])?
            .into_iter()
            .filter(|other| other.uuid != self.volume.uuid)
            .map(|other| format!("'{}'", other.name))
            .collect();
        if others.is_empty() {
            return Ok(());
        }
        let details = format!(
            "VM '{}' has further volumes, and all of them lie on one host: detach {} first",
            vm.name,
            others.join(", ")
        );
        Err(Failure::new(ErrorKind::ResourceInUse, details))
    }

    /// Whether it can come to lie in that storage on that host.
    pub fn admit_place(
        &self,
        tx: &Tx<'_>,
        settings: &Values,
        storage: &PrimaryStorage,
        host: &Host,
    ) -> Result<(), Failure> {
        let needed_bytes = self.volume.size + self.image_bytes(tx, storage, host)?;
        require_room(tx, settings, storage, host, needed_bytes)
    }

    /// The bytes of the image that has to come along.
    fn image_bytes(&self, tx: &Tx<'_>, storage: &PrimaryStorage, host: &Host) -> Result<u64, Failure> {
        let Some(image) = self.volume.root_image_uuid else { return Ok(0) };
        let comes =
            tx.is_cached(image, self.storage.uuid, self.host.uuid)? && !tx.is_cached(image, storage.uuid, host.uuid)?;
        let size = tx.get::<Image>(image)?.map_or(0, |image| image.actual_size);
        Ok(if comes { size } else { 0 })
    }

    /// Whether its VM could run on that host.
    pub fn admit_networks(&self, tx: &Tx<'_>, host: &Host) -> Result<(), Failure> {
        let Some(vm) = &self.vm else { return Ok(()) };
        for nic in tx.find::<VmNic>(&[("vm_instance_uuid", vm.uuid.to_sql())])? {
            let l3 = require::<L3Network>(tx, "l3NetworkUuid", nic.l3_network_uuid)?;
            let link = [("l2_network_uuid", l3.l2_network_uuid.to_sql()), ("cluster_uuid", host.cluster_uuid.to_sql())];
            if tx.count::<L2NetworkClusterRef>(&link)? == 0 {
                let details = format!(
                    "VM '{}' is on L3 network '{}', whose L2 network is not attached to the cluster of host '{}'",
                    vm.name, l3.name, host.name
                );
                return Err(state_forbids(details));
            }
        }
        Ok(())
    }

    /// The image in the cache here that it may stand on, and the image's file.
    pub fn cached_image(&self, tx: &Tx<'_>) -> Result<Option<(CachePlace, String)>, Failure> {
        let Some(image) = self.volume.root_image_uuid else { return Ok(None) };
        let place = CachePlace { image, storage: self.storage.uuid, host: self.host.uuid };
        Ok(tx.cached_path(place)?.map(|path| (place, path)))
    }

    /// Where it is.
    pub fn is_on(&self, host: HostUuid) -> bool {
        self.host.uuid == host
    }
}
