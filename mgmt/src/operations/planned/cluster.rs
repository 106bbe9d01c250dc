//! 4.2: clusters.

use uuid::Uuid;

use crate::{inventories, planned};

planned! {
    /// Updates a cluster.
    UpdateCluster, "4.2.4", Put "/clusters/{uuid}/actions", Job -> Cluster; {
        /// The cluster.
        uuid: Uuid;
        /// Its name.
        name: Option<String>, max_length 255;
        /// Free text.
        description: Option<String>, max_length 2048;
    }

    /// Enables or disables a cluster.
    ChangeClusterState, "4.2.5", Put "/clusters/{uuid}/actions", Job -> Cluster; {
        /// The cluster.
        uuid: Uuid;
        /// Which way its state changes.
        state_event: String, values &["enable", "disable"];
    }

    /// Upgrades the operating systems of the hosts of a cluster.
    UpdateClusterOS, "4.2.6", Put "/clusters/{uuid}/actions", Job -> LongJob; {
        /// The cluster.
        uuid: Uuid;
        /// Packages that are not upgraded.
        exclude_packages: Option<Vec<String>>, nonempty true;
        /// The id the job gets.
        resource_uuid: Option<Uuid>;
    }
}

inventories! {
    /// A long job.
    LongJob {
        uuid: Uuid, name: String, description: String, apiId: String, jobName: String, jobData: String,
        jobResult: String, targetResourceUuid: Uuid, managementNodeUuid: Uuid, createDate: Timestamp,
        lastOpDate: Timestamp, state: String,
    }
}
