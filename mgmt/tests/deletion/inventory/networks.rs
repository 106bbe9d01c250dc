//! L2 networks on clusters, L3 networks on them, and their ranges.

use std::net::Ipv4Addr;

use gantry_common::id::*;
use gantry_mgmt::{failure::Failure, resource::*, store::Tx};

use super::{super::double::Thing, Built, Ground, Shape, pick, text};

pub struct Nets {
    l2s: Vec<(L2NetworkUuid, ZoneUuid, Vec<ClusterUuid>)>,
    l3s: Vec<(L3NetworkUuid, L2NetworkUuid)>,
}

impl Nets {
    /// The L3 networks that VMs of the cluster may be on.
    pub fn reachable_from(&self, cluster: ClusterUuid) -> Vec<L3NetworkUuid> {
        let is_there = |l2| self.l2s.iter().any(|(known, _, on)| *known == l2 && on.contains(&cluster));
        self.l3s.iter().filter(|(_, l2)| is_there(*l2)).map(|(l3, _)| *l3).collect()
    }
}

pub fn put(tx: &Tx<'_>, built: &mut Built, shape: &Shape, ground: &Ground) -> Result<Nets, Failure> {
    let mut nets = Nets { l2s: Vec::new(), l3s: Vec::new() };
    put_l2s(tx, built, shape, ground, &mut nets)?;
    put_l3s(tx, built, shape, ground, &mut nets)?;
    put_ranges(tx, built, shape, ground, &nets)?;
    take_service_addresses(tx)?;
    Ok(nets)
}

fn put_l2s(tx: &Tx<'_>, built: &mut Built, shape: &Shape, ground: &Ground, nets: &mut Nets) -> Result<(), Failure> {
    for (index, (zone, bits)) in shape.l2s.iter().enumerate() {
        let (uuid, zone_uuid) = (built.id(), ground.zone(*zone));
        tx.insert(&L2Network {
            uuid,
            name: text("l2"),
            description: None,
            zone_uuid,
            physical_interface: format!("eth{index}"),
            kind: text("L2NoVlanNetwork"),
            create_date: ground.now,
            last_op_date: ground.now,
        })?;
        built.target("DeleteL2Network", "L2Network", uuid);
        let on = ground.clusters_in(zone_uuid, *bits);
        for cluster in &on {
            tx.insert(&L2NetworkClusterRef { l2_network_uuid: uuid, cluster_uuid: *cluster })?;
            let ends = [("l2NetworkUuid", uuid.to_string()), ("clusterUuid", cluster.to_string())];
            built.attachment("DetachL2NetworkFromCluster", "L2NetworkClusterRef", ends);
        }
        for host in ground.hosts_on(&on) {
            built.things[host.machine].insert(Thing::Bridge(uuid));
        }
        nets.l2s.push((uuid, zone_uuid, on));
    }
    Ok(())
}

fn put_l3s(tx: &Tx<'_>, built: &mut Built, shape: &Shape, ground: &Ground, nets: &mut Nets) -> Result<(), Failure> {
    let flat = tx.all::<NetworkServiceProvider>()?.remove(0).uuid;
    for (l2, has_services) in &shape.l3s {
        let Some((l2, zone_uuid, on)) = pick(&nets.l2s, *l2) else { continue };
        let uuid: L3NetworkUuid = built.id();
        tx.insert(&L3Network {
            uuid,
            name: text("l3"),
            description: None,
            kind: text("L3BasicNetwork"),
            zone_uuid,
            l2_network_uuid: l2,
            state: AdminState::Enabled,
            dns_domain: None,
            system: false,
            category: text("Private"),
            create_date: ground.now,
            last_op_date: ground.now,
            mtu: None,
            service_address: None,
            router_interface_ip: None,
        })?;
        tx.insert(&L3NetworkDns { l3_network_uuid: uuid, dns: Ipv4Addr::new(8, 8, 8, 8) })?;
        if *has_services {
            tx.insert(&NetworkServiceL3NetworkRef {
                l3_network_uuid: uuid,
                network_service_provider_uuid: flat,
                network_service_type: text("DHCP"),
            })?;
        }
        for host in ground.hosts_on(&on).filter(|_| *has_services) {
            built.things[host.machine].insert(Thing::Network(uuid));
        }
        built.target("DeleteL3Network", "L3Network", uuid);
        nets.l3s.push((uuid, l2));
    }
    Ok(())
}

fn put_ranges(tx: &Tx<'_>, built: &mut Built, shape: &Shape, ground: &Ground, nets: &Nets) -> Result<(), Failure> {
    for (index, l3) in (0_u8..).zip(&shape.ranges) {
        let Some((l3_network_uuid, _)) = pick(&nets.l3s, *l3) else { continue };
        let uuid = built.id();
        tx.insert(&IpRange {
            uuid,
            l3_network_uuid,
            name: text("range"),
            description: None,
            start_ip: Ipv4Addr::new(10, 0, 0, 2 + index * 40),
            end_ip: Ipv4Addr::new(10, 0, 0, 40 + index * 40),
            netmask: Ipv4Addr::new(255, 255, 255, 0),
            gateway: Ipv4Addr::new(10, 0, 0, 1),
            network_cidr: text("10.0.0.0/24"),
            create_date: ground.now,
            last_op_date: ground.now,
        })?;
        built.target("DeleteIpRange", "IpRange", uuid);
    }
    Ok(())
}

/// The services' address, as the first VM would take it.
fn take_service_addresses(tx: &Tx<'_>) -> Result<(), Failure> {
    for mut l3 in tx.all::<L3Network>()? {
        let services = tx.find::<NetworkServiceL3NetworkRef>(&[("l3_network_uuid", l3.uuid.to_string().into())])?;
        if !services.is_empty() {
            l3.service_address = tx.take_address(l3.uuid, None, "services")?.map(|used| used.ip);
            tx.save(&l3)?;
        }
    }
    Ok(())
}
