//! A volume moves to another host, within its storage.

use gantry_common::{
    error::ErrorKind,
    id::{HostUuid, VolumeUuid},
};
use serde_json::{Value, json};

use super::{
    super::{candidates::Candidates, making::require},
    admission::LocalVolume,
    moving::{Destination, VolumeMove},
};
use crate::{
    api::{Caller, SyncOperation},
    failure::Failure,
    operation,
    query::{Condition, Query, Test, run},
    resource::{AdminState, Host, LocalStorageResourceRef},
    settings::Values,
    store::{SqlValue, Tx},
};

operation! {
    /// Moves a volume on local storage to another host: a data volume that no VM has, or the root volume of a stopped VM,
    /// which starts there from then on. The file goes from host to host and is checked; the original is deleted when the
    /// copy has taken its place.
    LocalStorageMigrateVolume, "4.4.15.3",
        Put "/primary-storage/local-storage/volumes/{volumeUuid}/actions", Job -> LocalStorageResourceRef; {
        /// The volume.
        volume_uuid: VolumeUuid;
        /// The host it goes to.
        dest_host_uuid: HostUuid;
    }
}

fn admit(tx: &Tx<'_>, settings: &Values, volume: &LocalVolume, host: &Host) -> Result<(), Failure> {
    volume.admit_move()?;
    volume.admit_leaving_host(tx)?;
    if volume.is_on(host.uuid) {
        let details = format!("volume '{}' is on host '{}' already", volume.volume.name, host.name);
        return Err(Failure::new(ErrorKind::Refused, details));
    }
    if host.state != AdminState::Enabled {
        let details = format!("host '{}' is {}: enable it", host.name, host.state);
        return Err(Failure::new(ErrorKind::StateForbids, details));
    }
    volume.admit_place(tx, settings, &volume.storage, host)?;
    volume.admit_networks(tx, host)
}

impl VolumeMove for LocalStorageMigrateVolume {
    fn volume(&self) -> VolumeUuid {
        self.volume_uuid
    }

    fn destination(&self, tx: &Tx<'_>, settings: &Values, volume: &LocalVolume) -> Result<Destination, Failure> {
        let host = require::<Host>(tx, "destHostUuid", self.dest_host_uuid)?;
        admit(tx, settings, volume, &host)?;
        Ok(Destination { storage: volume.storage.clone(), host })
    }

    fn reply(&self, tx: &Tx<'_>) -> Result<Value, Failure> {
        let test = Test::In(vec![self.volume_uuid.to_string()], false);
        let conditions = vec![Condition { path: vec!["resourceUuid".to_owned()], test }];
        let query = Query { conditions, ..Query::default() };
        let mut found = run(tx, LocalStorageResourceRef::declaration(), &query)?;
        let moved = found["inventories"].get_mut(0).map(Value::take);
        let missing = || Failure::new(ErrorKind::Internal, "the volume that moved is in no record");
        Ok(json!({ "inventory": moved.ok_or_else(missing)? }))
    }
}

operation! {
    /// Lists the hosts that a volume on local storage can be moved to, and why not to the others of its zone.
    LocalStorageGetVolumeMigratableHosts, "4.4.15.5",
        Get "/volumes/{volumeUuid}/migration-target-hosts", Sync -> { inventories: [Host], details: [Exclusion] }; {
        /// The volume.
        volume_uuid: VolumeUuid;
    }
}

impl SyncOperation for LocalStorageGetVolumeMigratableHosts {
    async fn answer(self, caller: Caller) -> Result<Value, Failure> {
        let settings = caller.node.settings.now();
        let look = move |tx: &Tx<'_>| {
            let volume = LocalVolume::find(tx, self.volume_uuid)?;
            let hosts = tx.find::<Host>(&[("zone_uuid", volume.storage.zone_uuid.to_sql())])?;
            let check = |host: &Host| admit(tx, &settings, &volume, host);
            Candidates::sift(hosts, |host| &host.name, check)?.reply(tx)
        };
        caller.node.store.read(look).await
    }
}
