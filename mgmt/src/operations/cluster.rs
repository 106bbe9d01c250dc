//! 4.2: clusters.

use gantry_common::id::{ClusterUuid, ZoneUuid};
use serde_json::Value;

use super::{
    changing::{SWITCHES, change},
    making::{made, make, put_tags, readable_name, require},
};
use crate::{
    api::{Operation, job, query},
    change_description, change_state,
    clock::Timestamp,
    deletes,
    deletion::deletes,
    failure::Failure,
    job::{JobOperation, Step},
    operation,
    resource::{AdminState, Cluster, Zone},
    store::Tx,
};

/// The operations of this chapter.
pub fn operations() -> Vec<Operation> {
    vec![
        job::<CreateCluster>(),
        deletes::<DeleteCluster>(),
        change::<UpdateCluster>(),
        change::<ChangeClusterState>(),
        query::<QueryCluster>(Cluster::declaration),
    ]
}

operation! {
    /// Makes a cluster.
    CreateCluster, "4.2.1", Post "/clusters", Job -> Cluster; {
        /// The zone it is in.
        zone_uuid: ZoneUuid;
        /// Its name.
        name: String, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
        /// The hypervisor of its hosts.
        hypervisor_type: String, values &["KVM", "Simulator", "baremetal"];
        /// Its kind.
        kind as "type": Option<String>, values &["zstack", "baremetal"];
        /// The id it gets.
        resource_uuid: Option<ClusterUuid>;
    }
}

impl JobOperation for CreateCluster {
    type State = Option<ClusterUuid>;

    fn locks(&self) -> Vec<String> {
        vec![self.zone_uuid.to_string()]
    }

    fn steps() -> Vec<Step<Self>> {
        vec![Step::record("record the cluster", |tx, run| {
            let params = run.params;
            require::<Zone>(tx, "zoneUuid", params.zone_uuid)?;
            if params.hypervisor_type != "KVM" {
                return Err(Failure::argument(
                    "hypervisorType",
                    &params.hypervisor_type,
                    "this node runs KVM hosts: use KVM",
                ));
            }
            let uuid = params.resource_uuid.unwrap_or_else(ClusterUuid::random);
            let now = Timestamp::now();
            make(
                tx,
                &Cluster {
                    uuid,
                    name: readable_name(&params.name)?,
                    description: params.description.clone(),
                    state: AdminState::Enabled,
                    hypervisor_type: params.hypervisor_type.clone(),
                    zone_uuid: params.zone_uuid,
                    kind: "zstack".to_owned(),
                    create_date: now,
                    last_op_date: now,
                },
            )?;
            put_tags::<Cluster>(tx, uuid, &params.system_tags, &params.user_tags)?;
            *run.state = Some(uuid);
            Ok(())
        })]
    }

    fn reply(&self, tx: &Tx<'_>, state: &Self::State) -> Result<Value, Failure> {
        made::<Cluster>(tx, *state)
    }
}

operation! {
    /// Deletes a cluster with its hosts; its networks and storages are detached.
    DeleteCluster, "4.2.2", Delete "/clusters/{uuid}", Job; {
        /// The cluster.
        uuid: ClusterUuid;
        /// How dependents are treated.
        delete_mode: Option<String>, values &["Permissive", "Enforcing"];
    }
}

deletes!(DeleteCluster of Cluster);

operation! {
    /// Queries clusters.
    QueryCluster, "4.2.3", Get "/clusters" | "/clusters/{uuid}", Sync -> [Cluster]; {}
}

operation! {
    /// Gives a cluster another name or description.
    UpdateCluster, "4.2.4", Put "/clusters/{uuid}/actions", Job -> Cluster; {
        /// The cluster.
        uuid: ClusterUuid;
        /// Its new name.
        name: Option<String>, max_length 255;
        /// Its new description.
        description: Option<String>, max_length 2048;
    }
}

change_description!(UpdateCluster of Cluster);

operation! {
    /// Enables or disables a cluster. The hosts of a disabled one take no new VMs.
    ChangeClusterState, "4.2.5", Put "/clusters/{uuid}/actions", Job -> Cluster; {
        /// The cluster.
        uuid: ClusterUuid;
        /// What is to happen.
        state_event: String, values SWITCHES;
    }
}

change_state!(ChangeClusterState of Cluster);
