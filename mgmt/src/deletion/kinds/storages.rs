//! Primary storages and volumes.

use std::collections::BTreeSet;

use gantry_common::{
    agent::EvictImage,
    id::{ClusterUuid, HostUuid, PrimaryStorageUuid, VmUuid},
};

use super::{Kind, compute::file_of, held, plain};
use crate::{
    cleanup::Cleanup,
    failure::Failure,
    resource::{Host, VmInstance, Volume},
    store::{SqlValue, Tx},
};

pub const VOLUME: Kind = Kind {
    stops: |_, volume, _| Ok(volume.parsed("vm_instance_uuid").into_iter().collect()),
    leaves: |tx, volume| {
        let (host, path) = (volume.parsed("host_uuid"), volume.text("install_path").map(str::to_owned));
        Ok(file_of(tx, host, path, volume.parsed("primary_storage_uuid"))?.into_iter().collect())
    },
    before: |tx, volume| {
        let at: (Option<PrimaryStorageUuid>, Option<HostUuid>) =
            (volume.parsed("primary_storage_uuid"), volume.parsed("host_uuid"));
        if let (Some(storage), Some(host)) = at {
            tx.release_storage(storage, host, &volume.key.to_string())?;
        }
        Ok(())
    },
    ..plain("Volume", "volume")
};

pub const STORAGE_ATTACHMENT: Kind = Kind {
    stops: |tx, link, _| vms_with_volumes_in(tx, held(link, "cluster_uuid")?, held(link, "primary_storage_uuid")?),
    before: |tx, link| {
        let (storage, cluster): (PrimaryStorageUuid, ClusterUuid) =
            (held(link, "primary_storage_uuid")?, held(link, "cluster_uuid")?);
        for host in tx.find::<Host>(&[("cluster_uuid", cluster.to_sql())])? {
            tx.close_local_storage(storage, host.uuid)?;
        }
        Ok(())
    },
    ..plain("PrimaryStorageClusterRef", "attachment")
};

pub const PRIMARY_STORAGE: Kind = Kind {
    leaves: |tx, storage| {
        let root = held::<String>(storage, "url")?;
        let cached = tx.images_cached_in(held(storage, "uuid")?)?;
        let evict = |path| Cleanup::CachedImage(EvictImage { root: root.clone(), path });
        Ok(cached.into_iter().map(|cached| (cached.host, evict(cached.install_path))).collect())
    },
    before: |tx, storage| Ok(tx.forget_local_storage(held(storage, "uuid")?)?),
    ..plain("PrimaryStorage", "primary storage")
};

/// The VMs of a cluster that have a volume in a primary storage.
fn vms_with_volumes_in(tx: &Tx<'_>, cluster: ClusterUuid, storage: PrimaryStorageUuid) -> Result<Vec<VmUuid>, Failure> {
    let mut vms = BTreeSet::new();
    for volume in tx.find::<Volume>(&[("primary_storage_uuid", storage.to_sql())])? {
        let vm = volume.vm_instance_uuid.map(|vm| tx.get::<VmInstance>(vm)).transpose()?.flatten();
        vms.extend(vm.filter(|vm| vm.cluster_uuid == Some(cluster)).map(|vm| vm.uuid));
    }
    Ok(vms.into_iter().collect())
}
