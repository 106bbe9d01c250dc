//! What an inventory consists of, drawn at random.

use proptest::prelude::*;

use super::super::hosts::MACHINES;

/// What an inventory consists of. Numbers pick from what there is, bits choose several of it.
#[derive(Debug, Clone)]
pub struct Shape {
    pub zones: usize,
    pub clusters: Vec<usize>,
    pub hosts: Vec<usize>,
    /// Zone, and clusters it is attached to.
    pub l2s: Vec<(usize, u8)>,
    /// L2 network, and whether it has services.
    pub l3s: Vec<(usize, bool)>,
    pub ranges: Vec<usize>,
    pub storages: Vec<(usize, u8)>,
    /// Machine, and zones it is attached to.
    pub stores: Vec<(usize, u8)>,
    pub images: Vec<u8>,
    pub vms: Vec<VmShape>,
    /// Host and storage of volumes that no VM has.
    pub volumes: Vec<(usize, usize)>,
    pub accounts: usize,
    /// Whose each resource is: the operator's, or one of the accounts'.
    pub owners: Vec<usize>,
}

#[derive(Debug, Clone)]
pub struct VmShape {
    pub host: usize,
    pub storage: usize,
    pub state: usize,
    pub nics: Vec<usize>,
    pub data: usize,
}

fn any_vm() -> impl Strategy<Value = VmShape> {
    (0..3_usize, 0..3_usize, 0..5_usize, prop::collection::vec(0..4_usize, 0..3), 0..3_usize)
        .prop_map(|(host, storage, state, nics, data)| VmShape { host, storage, state, nics, data })
}

/// Most of the bits are set.
fn most() -> impl Strategy<Value = u8> {
    (any::<u8>(), any::<u8>()).prop_map(|(one, other)| one | other)
}

pub fn any_shape() -> impl Strategy<Value = Shape> {
    let several = |least, most| prop::collection::vec(0..8_usize, least..=most);
    let attached = |least, up_to| prop::collection::vec((0..8_usize, most()), least..=up_to);
    (
        (1..=2_usize, several(1, 3), several(0, MACHINES), attached(0, 3)),
        (prop::collection::vec((0..8_usize, any::<bool>()), 0..=4), several(0, 6), attached(0, 3), attached(0, 2)),
        (prop::collection::vec(most(), 0..=3), prop::collection::vec(any_vm(), 0..=8)),
        several(0, 3).prop_flat_map(|hosts| {
            let count = hosts.len();
            (Just(hosts), prop::collection::vec(0..8_usize, count))
                .prop_map(|(hosts, storages)| hosts.into_iter().zip(storages).collect::<Vec<_>>())
        }),
        (0..=2_usize, several(1, 8)),
    )
        .prop_map(|(places, (l3s, ranges, storages, stores), (images, vms), volumes, (accounts, owners))| {
            let (zones, clusters, hosts, l2s) = places;
            Shape { zones, clusters, hosts, l2s, l3s, ranges, storages, stores, images, vms, volumes, accounts, owners }
        })
}
