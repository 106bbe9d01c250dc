//! 3.1.15: which primary storages a new VM can use.

use std::collections::BTreeMap;

use gantry_common::id::{ClusterUuid, DiskOfferingUuid, ImageUuid, L3NetworkUuid, PrimaryStorageUuid, ZoneUuid};
use serde_json::{Value, json};

use super::{Exclusion, inventories_of};
use crate::{
    api::{Caller, SyncOperation},
    failure::Failure,
    operation,
    operations::{require, vm_instance::NewVm},
    resource::{Cluster, DiskOffering, PrimaryStorage, PrimaryStorageClusterRef},
    settings::Values,
    store::{SqlValue, Tx},
    vm::{Demand, Target, reasons, survey},
};

operation! {
    /// Lists the primary storages that a new VM's root volume can be on, and for each disk offering those that a data volume
    /// of it can be on. `details` says why others are left out.
    GetCandidatePrimaryStoragesForCreatingVm, "3.1.15", Get "/vm-instances/candidate-storages",
        Sync -> {
            rootVolumePrimaryStorages: [PrimaryStorage], dataVolumePrimaryStorages: ([PrimaryStorage]),
            success: bool, details: [Exclusion],
        }; {
        /// The image it is made from.
        image_uuid: ImageUuid;
        /// The L3 networks it is on.
        l3_network_uuids: Vec<L3NetworkUuid>, nonempty true;
        /// The size of its root volume, where the image is an ISO.
        root_disk_offering_uuid: Option<DiskOfferingUuid>;
        /// The sizes of its data volumes.
        data_disk_offering_uuids: Option<Vec<DiskOfferingUuid>>, nonempty true;
        /// The zone it must be in.
        zone_uuid: Option<ZoneUuid>;
        /// The cluster it must be in.
        cluster_uuid: Option<ClusterUuid>;
        /// The L3 network of its default route.
        default_l3_network_uuid: Option<L3NetworkUuid>;
    }
}

impl SyncOperation for GetCandidatePrimaryStoragesForCreatingVm {
    async fn answer(self, caller: Caller) -> Result<Value, Failure> {
        let settings = caller.node.settings.now();
        caller.node.store.read(move |tx| self.list(tx, &settings)).await
    }
}

impl GetCandidatePrimaryStoragesForCreatingVm {
    fn list(&self, tx: &Tx<'_>, settings: &Values) -> Result<Value, Failure> {
        let offerings = self.data_disk_offering_uuids.as_deref().unwrap_or_default();
        let wanted = NewVm {
            l3_networks: &self.l3_network_uuids,
            default_l3_network: self.default_l3_network_uuid,
            root_disk_offering: self.root_disk_offering_uuid,
            data_disk_offerings: offerings,
            zone: self.zone_uuid,
            cluster: self.cluster_uuid,
            system_tags: &self.system_tags,
            ..NewVm::default()
        };
        let demand = wanted.draw(tx, settings, self.image_uuid)?.demand;
        let asked = storages_of(tx, demand.target)?;
        let mut details = Vec::new();
        let root = sift(tx, &demand, 0, "the root volume", &asked, &mut details)?;
        let mut data: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for (number, uuid) in (1..).zip(offerings) {
            if data.contains_key(&uuid.to_string()) {
                continue;
            }
            let name = require::<DiskOffering>(tx, "dataDiskOfferingUuids", *uuid)?.name;
            let what = format!("a data volume of disk offering '{name}'");
            let fit = sift(tx, &demand, number, &what, &asked, &mut details)?;
            data.insert(uuid.to_string(), inventories_of::<PrimaryStorage>(tx, &fit)?);
        }
        Ok(json!({
            "rootVolumePrimaryStorages": inventories_of::<PrimaryStorage>(tx, &root)?,
            "dataVolumePrimaryStorages": data,
            "success": true,
            "details": details,
        }))
    }
}

/// The primary storages that are asked for.
fn storages_of(tx: &Tx<'_>, target: Target) -> Result<Vec<PrimaryStorage>, Failure> {
    let zone = match target {
        Target::Anywhere | Target::Host(_) => return Ok(tx.all::<PrimaryStorage>()?),
        Target::Zone(zone) => zone,
        Target::Cluster(cluster) => require::<Cluster>(tx, "clusterUuid", cluster)?.zone_uuid,
    };
    Ok(tx.find::<PrimaryStorage>(&[("zone_uuid", zone.to_sql())])?)
}

/// Those on which the volume can be: some host can take the VM with that volume there, and the others where they may be.
fn sift(
    tx: &Tx<'_>,
    demand: &Demand,
    number: usize,
    what: &str,
    asked: &[PrimaryStorage],
    details: &mut Vec<Exclusion>,
) -> Result<Vec<PrimaryStorageUuid>, Failure> {
    let mut fit = Vec::new();
    for storage in asked {
        let mut demand = demand.clone();
        if let Some(volume) = demand.volumes.get_mut(number) {
            volume.rule = volume.rule.clone().and_only(storage.uuid, "the caller");
        }
        let survey = survey(tx, &demand)?;
        let reason = if !survey.places.is_empty() {
            fit.push(storage.uuid);
            continue;
        } else if !is_attached(tx, storage, demand.target)? {
            "it is attached to no cluster that was asked for: use AttachPrimaryStorageToCluster".to_owned()
        } else if survey.refusals.is_empty() {
            "no host is in the place that was asked for".to_owned()
        } else {
            format!("no host can have {what} there: {}", reasons(tx, &survey.refusals)?)
        };
        details.push(Exclusion::new(storage.uuid, &storage.name, format!("for {what}: {reason}")));
    }
    Ok(fit)
}

fn is_attached(tx: &Tx<'_>, storage: &PrimaryStorage, target: Target) -> Result<bool, Failure> {
    let links = tx.find::<PrimaryStorageClusterRef>(&[("primary_storage_uuid", storage.uuid.to_sql())])?;
    Ok(match target {
        Target::Cluster(cluster) => links.iter().any(|link| link.cluster_uuid == cluster),
        _ => !links.is_empty(),
    })
}
