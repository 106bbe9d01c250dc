//! 5.1: L2 networks.

use gantry_common::{
    agent::{EnsureBridge, RemoveBridge},
    error::ErrorKind,
    id::{ClusterUuid, HostUuid, L2NetworkUuid, ZoneUuid},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    changing::change,
    making::{made, make, put_tags, readable_name, require},
};
use crate::{
    api::{Caller, Operation, SyncOperation, job, query, sync},
    change_description,
    cleanup::{Cleanup, clean_up},
    clock::Timestamp,
    deletes,
    deletion::deletes,
    detaches,
    failure::Failure,
    job::{JobOperation, Run, Step},
    network, operation,
    query::inventory_reply,
    resource::{Cluster, ConnectionStatus, Host, L2Network, L2NetworkClusterRef, Zone},
    store::{SqlValue, Tx},
};

/// The operations of this chapter.
pub fn operations() -> Vec<Operation> {
    vec![
        job::<CreateL2NoVlanNetwork>(),
        deletes::<DeleteL2Network>(),
        job::<AttachL2NetworkToCluster>(),
        deletes::<DetachL2NetworkFromCluster>(),
        change::<UpdateL2Network>(),
        sync::<GetL2NetworkTypes>(),
        query::<QueryL2Network>(L2Network::declaration),
    ]
}

/// The kind of L2 networks without VLAN.
const NO_VLAN: &str = "L2NoVlanNetwork";

operation! {
    /// Makes an L2 network without VLAN.
    CreateL2NoVlanNetwork, "5.1.5", Post "/l2-networks/no-vlan", Job -> L2Network; {
        /// Its name.
        name: String, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// The zone it is in.
        zone_uuid: ZoneUuid;
        /// The hosts' interface that carries it.
        physical_interface: String, max_length 1024;
        /// Its kind.
        kind as "type": Option<String>;
        /// The id it gets.
        resource_uuid: Option<L2NetworkUuid>;
    }
}

impl JobOperation for CreateL2NoVlanNetwork {
    type State = Option<L2NetworkUuid>;

    fn locks(&self) -> Vec<String> {
        vec![self.zone_uuid.to_string()]
    }

    fn steps() -> Vec<Step<Self>> {
        vec![Step::record("record the L2 network", |tx, run| {
            let params = run.params;
            require::<Zone>(tx, "zoneUuid", params.zone_uuid)?;
            let physical_interface = network::interface_name("physicalInterface", &params.physical_interface)?;
            let uuid = params.resource_uuid.unwrap_or_else(L2NetworkUuid::random);
            let now = Timestamp::now();
            make(
                tx,
                &L2Network {
                    uuid,
                    name: readable_name(&params.name)?,
                    description: params.description.clone(),
                    zone_uuid: params.zone_uuid,
                    physical_interface,
                    kind: NO_VLAN.to_owned(),
                    create_date: now,
                    last_op_date: now,
                },
            )?;
            put_tags::<L2Network>(tx, uuid, &params.system_tags, &params.user_tags)?;
            *run.state = Some(uuid);
            Ok(())
        })]
    }

    fn reply(&self, tx: &Tx<'_>, state: &Self::State) -> Result<Value, Failure> {
        made::<L2Network>(tx, *state)
    }
}

operation! {
    /// Deletes an L2 network with its L3 networks; VMs lose their interfaces on them and are stopped for it.
    DeleteL2Network, "5.1.8", Delete "/l2-networks/{uuid}", Job; {
        /// The L2 network.
        uuid: L2NetworkUuid;
        /// How dependents are treated.
        delete_mode: Option<String>, values &["Permissive", "Enforcing"];
    }
}

deletes!(DeleteL2Network of L2Network);

/// The hosts of a cluster that took part in a change of its networks.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct OnHosts {
    hosts: Vec<HostUuid>,
}

operation! {
    /// Brings an L2 network to a cluster: a bridge on each of its hosts.
    AttachL2NetworkToCluster, "5.1.12", Post "/l2-networks/{l2NetworkUuid}/clusters/{clusterUuid}", Job -> L2Network; {
        /// The L2 network.
        l2_network_uuid: L2NetworkUuid;
        /// The cluster.
        cluster_uuid: ClusterUuid;
    }
}

impl JobOperation for AttachL2NetworkToCluster {
    type State = OnHosts;

    fn locks(&self) -> Vec<String> {
        vec![self.l2_network_uuid.to_string(), self.cluster_uuid.to_string()]
    }

    fn steps() -> Vec<Step<Self>> {
        vec![
            Step::record("check the cluster", |tx, run| {
                let l2 = require::<L2Network>(tx, "l2NetworkUuid", run.params.l2_network_uuid)?;
                let cluster = require::<Cluster>(tx, "clusterUuid", run.params.cluster_uuid)?;
                if l2.zone_uuid != cluster.zone_uuid {
                    return Err(Failure::argument(
                        "clusterUuid",
                        cluster.uuid,
                        "the cluster is in another zone than the L2 network",
                    ));
                }
                for other in network::l2_networks_of_cluster(tx, cluster.uuid)? {
                    if other.uuid != l2.uuid && other.physical_interface == l2.physical_interface {
                        return Err(Failure::new(
                            ErrorKind::Refused,
                            format!(
                                "cluster '{}' has L2 network '{}' on interface {} already: detach it first, or use another interface",
                                cluster.name, other.name, other.physical_interface
                            ),
                        ));
                    }
                }
                run.state.hosts = connected_hosts(tx, cluster.uuid)?;
                Ok(())
            }),
            Step::remote("make the bridges", make_bridges).undo_remote(|run: Run<Self>| async move {
                remove_bridges(run.params.l2_network_uuid, run.params.cluster_uuid, run).await
            }),
            Step::record("record the attachment", |tx, run| {
                link(tx, run.params.l2_network_uuid, run.params.cluster_uuid)
            }),
        ]
    }

    fn reply(&self, tx: &Tx<'_>, _state: &OnHosts) -> Result<Value, Failure> {
        inventory_reply::<L2Network>(tx, self.l2_network_uuid)
    }
}

async fn make_bridges(run: Run<AttachL2NetworkToCluster>) -> Result<OnHosts, Failure> {
    let l2_uuid = run.params.l2_network_uuid;
    let l2 = run.node.store.read(move |tx| require::<L2Network>(tx, "l2NetworkUuid", l2_uuid)).await?;
    for host in run.state.hosts.clone() {
        let command = EnsureBridge { bridge: network::bridge(&l2) };
        run.call(host, &host.to_string(), command).await?;
    }
    Ok(run.state)
}

fn link(tx: &Tx<'_>, l2_network_uuid: L2NetworkUuid, cluster_uuid: ClusterUuid) -> Result<(), Failure> {
    tx.link(&L2NetworkClusterRef { l2_network_uuid, cluster_uuid })?;
    Ok(())
}

fn connected_hosts(tx: &Tx<'_>, cluster: ClusterUuid) -> Result<Vec<HostUuid>, Failure> {
    let hosts = tx.find::<Host>(&[("cluster_uuid", cluster.to_sql())])?;
    Ok(hosts.into_iter().filter(|host| host.status == ConnectionStatus::Connected).map(|host| host.uuid).collect())
}

/// Takes the bridge from hosts, unless the network is attached after all.
async fn remove_bridges<O: JobOperation<State = OnHosts>>(
    l2_network: L2NetworkUuid,
    cluster: ClusterUuid,
    run: Run<O>,
) -> Result<OnHosts, Failure> {
    let found = run
        .node
        .store
        .read(move |tx| {
            let attached = network::l2_networks_of_cluster(tx, cluster)?.iter().any(|l2| l2.uuid == l2_network);
            Ok::<_, Failure>(tx.get::<L2Network>(l2_network)?.filter(|_| !attached))
        })
        .await?;
    let Some(l2) = found else { return Ok(run.state) };
    for host in &run.state.hosts {
        clean_up(&run.node, *host, Cleanup::Bridge(RemoveBridge { bridge: network::bridge(&l2) })).await?;
    }
    Ok(run.state)
}

operation! {
    /// Takes an L2 network from a cluster. The cluster's VMs that are on it are stopped, and keep their interfaces.
    DetachL2NetworkFromCluster, "5.1.13",
        Delete "/l2-networks/{l2NetworkUuid}/clusters/{clusterUuid}", Job -> L2Network; {
        /// The L2 network.
        l2_network_uuid: L2NetworkUuid;
        /// The cluster.
        cluster_uuid: ClusterUuid;
    }
}

detaches!(DetachL2NetworkFromCluster by L2NetworkClusterRef (l2_network_uuid: L2Network, cluster_uuid: Cluster));

operation! {
    /// Queries L2 networks.
    QueryL2Network, "5.1.9", Get "/l2-networks" | "/l2-networks/{uuid}", Sync -> [L2Network]; {}
}

operation! {
    /// Gives an L2 network another name or description.
    UpdateL2Network, "5.1.10", Put "/l2-networks/{uuid}/actions", Job -> L2Network; {
        /// The L2 network.
        uuid: L2NetworkUuid;
        /// Its new name.
        name: Option<String>, max_length 255;
        /// Its new description.
        description: Option<String>, max_length 2048;
    }
}

change_description!(UpdateL2Network of L2Network);

operation! {
    /// The kinds of L2 network that can be made.
    GetL2NetworkTypes, "5.1.11", Get "/l2-networks/types", Sync -> { types: [String] }; {}
}

impl SyncOperation for GetL2NetworkTypes {
    async fn answer(self, _caller: Caller) -> Result<Value, Failure> {
        Ok(json!({ "types": [NO_VLAN] }))
    }
}
