//! 3.1.45: where a new VM can go.

use std::collections::HashSet;

use gantry_common::id::{ClusterUuid, DiskOfferingUuid, ImageUuid, InstanceOfferingUuid, L3NetworkUuid, ZoneUuid};
use serde_json::{Value, json};

use super::{Exclusion, inventories_of};
use crate::{
    api::{Caller, SyncOperation},
    failure::Failure,
    operation,
    operations::vm_instance::NewVm,
    resource::{Cluster, Host, Zone},
    settings::Values,
    store::Tx,
    vm::{HostRefusal, Place, Target, survey},
};

operation! {
    /// Lists the hosts that a new VM can be started on, the best first, with their clusters and zones. `details` says why
    /// other hosts, clusters and zones that were asked for are left out.
    GetCandidateZonesClustersHostsForCreatingVm, "3.1.45", Get "/vm-instances/candidate-destinations",
        Sync -> { success: bool, zones: [Zone], clusters: [Cluster], hosts: [Host], details: [Exclusion] }; {
        /// Its size.
        instance_offering_uuid: InstanceOfferingUuid;
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

impl SyncOperation for GetCandidateZonesClustersHostsForCreatingVm {
    async fn answer(self, caller: Caller) -> Result<Value, Failure> {
        let settings = caller.node.settings.now();
        caller.node.store.read(move |tx| self.list(tx, &settings)).await
    }
}

impl GetCandidateZonesClustersHostsForCreatingVm {
    fn list(&self, tx: &Tx<'_>, settings: &Values) -> Result<Value, Failure> {
        let wanted = NewVm {
            instance_offering: Some(self.instance_offering_uuid),
            l3_networks: &self.l3_network_uuids,
            default_l3_network: self.default_l3_network_uuid,
            root_disk_offering: self.root_disk_offering_uuid,
            data_disk_offerings: self.data_disk_offering_uuids.as_deref().unwrap_or_default(),
            zone: self.zone_uuid,
            cluster: self.cluster_uuid,
            system_tags: &self.system_tags,
            starts: true,
            ..NewVm::default()
        };
        let blueprint = wanted.draw(tx, settings, self.image_uuid)?;
        wanted.check_addresses(tx, &blueprint.tags)?;
        let survey = survey(tx, &blueprint.demand)?;
        let found = Destinations::of(tx, &survey.places)?;
        let mut details = Exclusion::of_hosts(tx, &survey.refusals)?;
        details.extend(found.left_out(tx, blueprint.demand.target, &survey.refusals)?);
        let Destinations { zones, clusters, hosts, .. } = found;
        Ok(json!({ "success": true, "zones": zones, "clusters": clusters, "hosts": hosts, "details": details }))
    }
}

/// The inventories of places.
pub struct Destinations {
    pub zones: Vec<Value>,
    pub clusters: Vec<Value>,
    pub hosts: Vec<Value>,
    zone_uuids: HashSet<ZoneUuid>,
    cluster_uuids: HashSet<ClusterUuid>,
}

impl Destinations {
    /// Hosts, clusters and zones in the order of the places.
    pub fn of(tx: &Tx<'_>, places: &[Place]) -> Result<Self, Failure> {
        let (mut zone_uuids, mut cluster_uuids) = (HashSet::new(), HashSet::new());
        let zones: Vec<_> = places.iter().map(|place| place.zone).filter(|zone| zone_uuids.insert(*zone)).collect();
        let clusters: Vec<_> =
            places.iter().map(|place| place.cluster).filter(|cluster| cluster_uuids.insert(*cluster)).collect();
        let hosts: Vec<_> = places.iter().map(|place| place.host).collect();
        Ok(Self {
            zones: inventories_of::<Zone>(tx, &zones)?,
            clusters: inventories_of::<Cluster>(tx, &clusters)?,
            hosts: inventories_of::<Host>(tx, &hosts)?,
            zone_uuids,
            cluster_uuids,
        })
    }

    /// The clusters and zones among those asked for in which no host can take the VM.
    fn left_out(&self, tx: &Tx<'_>, target: Target, refusals: &[HostRefusal]) -> Result<Vec<Exclusion>, Failure> {
        let reason = |has_hosts: bool| if has_hosts { "none of its hosts can take the VM" } else { "it has no host" };
        let mut left_out = Vec::new();
        for cluster in tx.all::<Cluster>()? {
            let is_asked = match target {
                Target::Anywhere => true,
                Target::Zone(zone) => cluster.zone_uuid == zone,
                Target::Cluster(asked) => cluster.uuid == asked,
                Target::Host(_) => false,
            };
            if is_asked && !self.cluster_uuids.contains(&cluster.uuid) {
                let has_hosts = refusals.iter().any(|refusal| refusal.host.cluster_uuid == cluster.uuid);
                left_out.push(Exclusion::new(cluster.uuid, cluster.name, reason(has_hosts)));
            }
        }
        for zone in tx.all::<Zone>()? {
            let is_asked = match target {
                Target::Anywhere => true,
                Target::Zone(asked) => zone.uuid == asked,
                Target::Cluster(_) | Target::Host(_) => false,
            };
            if is_asked && !self.zone_uuids.contains(&zone.uuid) {
                let has_hosts = refusals.iter().any(|refusal| refusal.host.zone_uuid == zone.uuid);
                left_out.push(Exclusion::new(zone.uuid, zone.name, reason(has_hosts)));
            }
        }
        Ok(left_out)
    }
}
