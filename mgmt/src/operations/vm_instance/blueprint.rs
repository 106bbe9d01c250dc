//! What a new VM is to be. CreateVmInstance and the lists of candidates for it read their parameters the same way.

use std::collections::HashSet;

use gantry_common::{
    error::ErrorKind,
    id::{
        ClusterUuid, DiskOfferingUuid, HostUuid, ImageUuid, InstanceOfferingUuid, L3NetworkUuid, PrimaryStorageUuid,
        ZoneUuid,
    },
};

use super::{super::making::require, plan::no_address};
use crate::{
    failure::Failure,
    resource::{
        AdminState, DiskOffering, Image, InstanceOffering, IpRange, L3Network, MediaStatus, MediaType, PrimaryStorage,
        VmInstance,
    },
    settings::Values,
    store::{SqlValue, Tx},
    tags::admit_new,
    vm::{Affinity, Choice, Demand, StorageRule, Strategy, Target, VmTags, VolumeDemand},
};

/// What a caller asks of a new VM.
#[derive(Debug, Clone, Default)]
pub struct NewVm<'a> {
    /// Its size, where that matters.
    pub instance_offering: Option<InstanceOfferingUuid>,
    /// The L3 networks it is on.
    pub l3_networks: &'a [L3NetworkUuid],
    /// The L3 network of its default route.
    pub default_l3_network: Option<L3NetworkUuid>,
    /// The size of its root volume, where the image is an ISO.
    pub root_disk_offering: Option<DiskOfferingUuid>,
    /// The sizes of its data volumes.
    pub data_disk_offerings: &'a [DiskOfferingUuid],
    /// Where it must be.
    pub zone: Option<ZoneUuid>,
    /// Where it must be.
    pub cluster: Option<ClusterUuid>,
    /// Where it must be.
    pub host: Option<HostUuid>,
    /// The primary storage its root volume must be on.
    pub root_storage: Option<PrimaryStorageUuid>,
    /// What its system tags ask for.
    pub system_tags: &'a [String],
    /// Whether it is started.
    pub starts: bool,
}

/// A new VM with all that its parameters name.
pub struct Blueprint {
    /// What its system tags ask for.
    pub tags: VmTags,
    /// Its size.
    pub offering: Option<InstanceOffering>,
    /// The system tags of its size.
    pub offering_tags: Vec<String>,
    /// The image it is made from.
    pub image: Image,
    /// The L3 network of its default route.
    pub default_l3: L3NetworkUuid,
    /// The offering of each of its volumes, the root volume first.
    pub disk_offerings: Vec<Option<DiskOfferingUuid>>,
    /// What it needs of its host.
    pub demand: Demand,
}

impl NewVm<'_> {
    /// Checks everything that is asked for, but for a place.
    pub fn draw(&self, tx: &Tx<'_>, settings: &Values, image: ImageUuid) -> Result<Blueprint, Failure> {
        let tags = VmTags::parse(self.system_tags)?;
        admit_new(tx, VmInstance::declaration(), self.system_tags)?;
        let offering = self.instance_offering.map(|uuid| usable_offering(tx, uuid)).transpose()?;
        let image = self.usable_image(tx, image)?;
        let Some(default_l3) = self.default_l3_network.or_else(|| self.l3_networks.first().copied()) else {
            return Err(Failure::argument("l3NetworkUuids", "", "one L3 network at the least is needed"));
        };
        if !self.l3_networks.contains(&default_l3) {
            return Err(Failure::argument("defaultL3NetworkUuid", default_l3, "it must be one of l3NetworkUuids"));
        }
        let mut l2_networks = HashSet::new();
        for (index, l3) in self.l3_networks.iter().enumerate() {
            if self.l3_networks[..index].contains(l3) {
                return Err(Failure::argument("l3NetworkUuids", l3, "each L3 network can be named once"));
            }
            l2_networks.insert(require::<L3Network>(tx, "l3NetworkUuids", *l3)?.l2_network_uuid);
        }
        let offering_tags = match &offering {
            Some(offering) => tx.system_tags(&offering.uuid.to_string())?,
            None => Vec::new(),
        };
        let choice = match &offering {
            Some(offering) => Choice::of(&offering.allocator_strategy, &offering_tags)?,
            None => Choice { strategy: Strategy::LeastVm, strict: false, max_vms: None },
        };
        let (volumes, disk_offerings) = self.volumes(tx, &image, &offering_tags)?;
        let cpu_num = offering.as_ref().map_or(0, |offering| offering.cpu_num);
        let demand = Demand {
            cpu_num,
            pinned_to: tags.cpu_pinning.cpus(cpu_num),
            memory_bytes: offering.as_ref().map_or(0, |offering| offering.memory_size),
            runs: self.starts,
            l2_networks,
            volumes,
            image: Some(image.clone()),
            physical_threshold: settings.storage_physical_threshold,
            target: Target::of(tx, self.zone, self.cluster, self.host)?,
            zone: None,
            home: None,
            last_host: None,
            choice,
            affinity: tags.affinity_group.map(|group| Affinity::of_group(tx, group, None)).transpose()?.flatten(),
        };
        Ok(Blueprint { tags, offering, offering_tags, image, default_l3, disk_offerings, demand })
    }

    fn usable_image(&self, tx: &Tx<'_>, image: ImageUuid) -> Result<Image, Failure> {
        let image = require::<Image>(tx, "imageUuid", image)?;
        if image.status != MediaStatus::Ready || image.state != AdminState::Enabled {
            return Err(Failure::new(
                ErrorKind::StateForbids,
                format!("image '{}' is {} and {}: it must be Ready and Enabled", image.name, image.status, image.state),
            ));
        }
        match (image.media_type, self.root_disk_offering) {
            (MediaType::DataVolumeTemplate, _) => Err(Failure::argument(
                "imageUuid",
                image.uuid,
                "it is a DataVolumeTemplate: a RootVolumeTemplate or an ISO is needed",
            )),
            (MediaType::Iso, None) => {
                let remedy = "the image is an ISO: the root volume's size is needed";
                Err(Failure::argument("rootDiskOfferingUuid", "", remedy))
            }
            _ => Ok(image),
        }
    }

    /// The root volume and the data volumes, and the offering of each.
    fn volumes(
        &self,
        tx: &Tx<'_>,
        image: &Image,
        offering_tags: &[String],
    ) -> Result<(Vec<VolumeDemand>, Vec<Option<DiskOfferingUuid>>), Failure> {
        let (mut root, root_offering) = match (self.root_disk_offering, image.media_type) {
            (Some(uuid), MediaType::Iso) => (volume_of(tx, "rootDiskOfferingUuid", uuid)?, Some(uuid)),
            _ => (VolumeDemand { bytes: image.size, rule: StorageRule::default() }, None),
        };
        root.rule = root.rule.and_tags(offering_tags, "the instance offering");
        if let Some(storage) = self.root_storage {
            let storage = require::<PrimaryStorage>(tx, "primaryStorageUuidForRootVolume", storage)?;
            root.rule = root.rule.and_only(storage.uuid, "primaryStorageUuidForRootVolume");
        }
        let mut volumes = vec![root];
        let mut offerings = vec![root_offering];
        for uuid in self.data_disk_offerings {
            volumes.push(volume_of(tx, "dataDiskOfferingUuids", *uuid)?);
            offerings.push(Some(*uuid));
        }
        Ok((volumes, offerings))
    }

    /// Whether each L3 network has an address for it. Only who takes the addresses knows it for certain.
    pub fn check_addresses(&self, tx: &Tx<'_>, tags: &VmTags) -> Result<(), Failure> {
        for uuid in self.l3_networks {
            let l3 = super::plan::usable_l3(tx, *uuid)?;
            let wanted = tags.static_ips.get(uuid).copied();
            let mut is_free = match wanted {
                Some(ip) => tx.is_available(*uuid, ip)?,
                None => false,
            };
            if wanted.is_none() {
                for range in tx.find::<IpRange>(&[("l3_network_uuid", uuid.to_sql())])? {
                    is_free |= tx.address_capacity(&range)?.available > 0;
                }
            }
            if !is_free {
                return Err(no_address(&l3.name, wanted));
            }
        }
        Ok(())
    }
}

fn usable_offering(tx: &Tx<'_>, uuid: InstanceOfferingUuid) -> Result<InstanceOffering, Failure> {
    let offering = require::<InstanceOffering>(tx, "instanceOfferingUuid", uuid)?;
    if offering.state != AdminState::Enabled {
        let details =
            format!("instance offering '{}' is {}: enable it or use another one", offering.name, offering.state);
        return Err(Failure::new(ErrorKind::StateForbids, details));
    }
    Ok(offering)
}

/// A volume of a disk offering's size, on the storages that the offering allows.
fn volume_of(tx: &Tx<'_>, parameter: &str, uuid: DiskOfferingUuid) -> Result<VolumeDemand, Failure> {
    let offering = require::<DiskOffering>(tx, parameter, uuid)?;
    if offering.state != AdminState::Enabled {
        let details = format!("disk offering '{}' is {}: enable it or use another one", offering.name, offering.state);
        return Err(Failure::new(ErrorKind::StateForbids, details));
    }
    Ok(VolumeDemand { bytes: offering.disk_size, rule: StorageRule::of_disk_offering(tx, &offering)? })
}
