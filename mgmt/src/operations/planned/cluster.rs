//! 4.2: clusters.

use uuid::Uuid;

use crate::planned;

planned! {
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
