//! What must hold in the inventory and on the hosts whatever was deleted.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use gantry_common::id::HostUuid;
use gantry_mgmt::{
    deletion::{RULES, Then},
    failure::Failure,
    resource::{self, *},
    store::Tx,
};
use rusqlite::{Connection, types::Value};

use super::{double::Thing, inventory::Target};

/// The inventory as the file holds it.
pub struct Inventory {
    connection: Connection,
}

/// Kept when the inventory is emptied: the node's own.
const KEPT: [&str; 6] =
    ["account", "node_fact", "global_config", "management_node", "network_service_provider", "console_proxy_agent"];

/// Differs from run to run and says nothing about what was deleted.
const UNSTEADY: [&str; 8] =
    ["create_date", "last_op_date", "status_reason", "facts", "foreign_domains", "used_ip_uuid", "status", "mac"];

impl Inventory {
    pub fn open(data: &Path) -> Self {
        let connection = Connection::open(data.join("gantry.db")).unwrap();
        connection.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
        Self { connection }
    }

    fn tables(&self) -> Vec<String> {
        let sql = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name";
        let mut statement = self.connection.prepare(sql).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    }

    pub fn empty(&self) {
        self.connection.pragma_update(None, "foreign_keys", "OFF").unwrap();
        for table in self.tables().into_iter().filter(|table| !KEPT.contains(&table.as_str())) {
            self.connection.execute(&format!("DELETE FROM {table}"), []).unwrap();
        }
        self.connection.execute("DELETE FROM account WHERE kind = 'Normal'", []).unwrap();
    }

    pub fn count(&self, sql: &str) -> i64 {
        self.connection.query_row(sql, [], |row| row.get(0)).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// All that the resources' tables and the promises hold.
    pub fn digest(&self) -> BTreeMap<String, BTreeSet<String>> {
        let own = ["notification", "gc_job", "job", "long_job", "session", "claim", "deletion_part", "system_tag"];
        let tables = self.tables().into_iter();
        let tables = tables.filter(|table| !KEPT.contains(&table.as_str()) && !own.contains(&table.as_str()));
        tables.map(|table| (table.clone(), self.rows(&table))).collect()
    }

    fn rows(&self, table: &str) -> BTreeSet<String> {
        let mut statement = self.connection.prepare(&format!("SELECT * FROM {table}")).unwrap();
        let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let mut rows = statement.query([]).unwrap();
        let mut found = BTreeSet::new();
        while let Some(row) = rows.next().unwrap() {
            let fields = names
                .iter()
                .enumerate()
                .filter(|(_, name)| !(UNSTEADY.contains(&name.as_str()) || table == "used_ip" && *name == "uuid"));
            let texts: Vec<String> =
                fields.map(|(index, name)| format!("{name}={:?}", row.get::<_, Value>(index).unwrap())).collect();
            found.insert(texts.join(" "));
        }
        found
    }

    pub fn has(&self, target: &Target) -> bool {
        let table = resource::by_name(target.row.0).unwrap().table;
        let mut statement =
            self.connection.prepare("SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk").unwrap();
        let key: Vec<String> = statement.query_map([table], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        let terms: Vec<String> =
            key.iter().zip(&target.row.1).map(|(name, value)| format!("{name} = '{value}'")).collect();
        self.count(&format!("SELECT count(*) FROM {table} WHERE {}", terms.join(" AND "))) > 0
    }

    /// Every reference leads somewhere, every address and every promise belongs to somebody, and no deletion is under way.
    pub fn is_whole(&self) {
        for rule in RULES.iter().filter(|rule| !matches!(rule.then, Then::Remembers | Then::Apart)) {
            let (from, to) = (rule.declaration().unwrap().table, resource::by_name(rule.to).unwrap());
            let column = rule.column;
            let dangling = self.count(&format!(
                "SELECT count(*) FROM {from} WHERE {column} IS NOT NULL
                 AND NOT EXISTS (SELECT 1 FROM {} AS other WHERE other.{} = {from}.{column})",
                to.table,
                to.key().name
            ));
            assert_eq!(dangling, 0, "{}.{column} names what there is not", rule.from);
        }
        for owned in resource::ALL.iter().filter(|declaration| declaration.scope.is_owned()) {
            let (table, key, kind) = (owned.table, owned.key().name, owned.type_name());
            let of_nobody = self.count(&format!(
                "SELECT count(*) FROM {table} WHERE {key} NOT IN (SELECT resource_uuid FROM account_resource_ref)"
            ));
            let of_nothing = self.count(&format!(
                "SELECT (SELECT count(*) FROM account_resource_ref WHERE resource_type = '{kind}'
                             AND resource_uuid NOT IN (SELECT {key} FROM {table}))
                      + (SELECT count(*) FROM shared_resource WHERE resource_type = '{kind}'
                             AND resource_uuid NOT IN (SELECT {key} FROM {table}))"
            ));
            assert_eq!((of_nobody, of_nothing), (0, 0), "{kind}: owned by nobody, owned or shared and not there");
        }
        for (what, sql) in [
            ("an account that there is not has something", "SELECT
                (SELECT count(*) FROM account_resource_ref WHERE account_uuid NOT IN (SELECT uuid FROM account))
                + (SELECT count(*) FROM shared_resource WHERE owner_account_uuid NOT IN (SELECT uuid FROM account)
                    OR receiver_account_uuid NOT IN (SELECT uuid FROM account))"),
            ("an address that nobody has is taken", "SELECT count(*) FROM used_ip WHERE
                NOT EXISTS (SELECT 1 FROM vm_nic WHERE used_ip_uuid = used_ip.uuid)
                AND NOT EXISTS (SELECT 1 FROM l3_network WHERE uuid = l3_network_uuid AND service_address = used_ip.ip)"),
            ("a network's services answer on an address that is not taken", "SELECT count(*) FROM l3_network WHERE
                service_address IS NOT NULL AND NOT EXISTS (SELECT 1 FROM used_ip WHERE l3_network_uuid = l3_network.uuid
                AND ip = service_address)"),
            ("a VM that does not run is promised a host", "SELECT count(*) FROM vm_allocation WHERE
                NOT EXISTS (SELECT 1 FROM vm_instance WHERE uuid = vm_uuid AND host_uuid = vm_allocation.host_uuid)"),
            ("a VM that runs is promised nothing", "SELECT count(*) FROM vm_instance WHERE host_uuid IS NOT NULL
                AND NOT EXISTS (SELECT 1 FROM vm_allocation WHERE vm_uuid = uuid)"),
            ("storage is promised to nobody", "SELECT count(*) FROM storage_allocation AS a WHERE
                NOT EXISTS (SELECT 1 FROM volume WHERE uuid = holder_uuid AND host_uuid = a.host_uuid)
                AND NOT EXISTS (SELECT 1 FROM image_cache AS c WHERE c.image_uuid = holder_uuid AND c.host_uuid = a.host_uuid
                    AND c.primary_storage_uuid = a.primary_storage_uuid)"),
            ("a volume is promised nothing", "SELECT count(*) FROM volume WHERE
                NOT EXISTS (SELECT 1 FROM storage_allocation WHERE holder_uuid = uuid)"),
            ("an image is cached on a host that there is not", "SELECT count(*) FROM image_cache WHERE
                host_uuid NOT IN (SELECT uuid FROM host)"),
            ("a host's capacity is not its total less its promises", "SELECT count(*) FROM host WHERE
                available_cpu_capacity <> max(0, total_cpu_capacity
                    - (SELECT coalesce(sum(cpu_num), 0) FROM vm_allocation WHERE host_uuid = uuid))
                OR available_memory_capacity <> max(0, total_memory_capacity
                    - (SELECT coalesce(sum(memory_bytes), 0) FROM vm_allocation WHERE host_uuid = uuid))"),
            ("a storage's capacity is not its total less its promises", "SELECT count(*) FROM local_storage_host AS l WHERE
                available_bytes <> max(0, total_bytes - (SELECT coalesce(sum(bytes), 0) FROM storage_allocation AS a
                    WHERE a.host_uuid = l.host_uuid AND a.primary_storage_uuid = l.primary_storage_uuid))"),
            ("a host has a storage that its cluster is not on", "SELECT count(*) FROM local_storage_host AS l WHERE
                NOT EXISTS (SELECT 1 FROM host JOIN primary_storage_cluster_ref AS r USING (cluster_uuid)
                    WHERE host.uuid = l.host_uuid AND r.primary_storage_uuid = l.primary_storage_uuid)"),
            ("an image is nowhere", "SELECT count(*) FROM image WHERE
                NOT EXISTS (SELECT 1 FROM image_backup_storage_ref WHERE image_uuid = uuid)"),
            ("a VM has no root volume", "SELECT count(*) FROM vm_instance WHERE root_volume_uuid IS NULL"),
            ("a VM's default network is none of its own", "SELECT count(*) FROM vm_instance WHERE
                default_l3_network_uuid IS NOT NULL AND NOT EXISTS (SELECT 1 FROM vm_nic
                    WHERE vm_instance_uuid = vm_instance.uuid AND l3_network_uuid = default_l3_network_uuid)"),
            ("a VM is in hand", "SELECT count(*) FROM vm_instance WHERE state IN
                ('Starting', 'Stopping', 'Destroying', 'Expunging', 'Rebooting')"),
            ("something is claimed", "SELECT count(*) FROM claim"),
            ("a plan is kept", "SELECT count(*) FROM deletion_part"),
        ] {
            assert_eq!(self.count(sql), 0, "{what}");
        }
    }
}

/// What a machine is to have by the inventory.
pub fn expected(tx: &Tx<'_>, machine: HostUuid) -> Result<BTreeSet<Thing>, Failure> {
    let mut things = BTreeSet::new();
    if tx.get::<Machine>(machine)?.is_some() {
        things.insert(Thing::Agent);
    }
    let host = tx.get::<Host>(machine)?;
    for vm in tx.all::<VmInstance>()?.into_iter().filter(|vm| vm.host_uuid == Some(machine)) {
        things.insert(Thing::Domain(vm.uuid));
        let nics = tx.all::<VmNic>()?.into_iter().filter(|nic| nic.vm_instance_uuid == vm.uuid);
        things.extend(nics.map(|nic| Thing::Interface(vm.uuid, nic.uuid)));
    }
    for volume in tx.all::<Volume>()?.into_iter().filter(|volume| volume.host_uuid == Some(machine)) {
        things.extend(volume.install_path.map(Thing::File));
    }
    for copy in tx.all::<ImageBackupStorageRef>()? {
        if tx.get::<BackupStorage>(copy.backup_storage_uuid)?.is_some_and(|store| store.machine_uuid == machine) {
            things.insert(Thing::File(copy.install_path));
        }
    }
    things.extend(tx.images_cached_on(machine)?.into_iter().map(|cached| Thing::File(cached.install_path)));
    let Some(host) = host else { return Ok(things) };
    for link in tx.all::<L2NetworkClusterRef>()?.into_iter().filter(|link| link.cluster_uuid == host.cluster_uuid) {
        things.insert(Thing::Bridge(link.l2_network_uuid));
        for l3 in tx.all::<L3Network>()?.into_iter().filter(|l3| l3.l2_network_uuid == link.l2_network_uuid) {
            let served =
                tx.all::<NetworkServiceL3NetworkRef>()?.iter().any(|service| service.l3_network_uuid == l3.uuid);
            things.extend(served.then_some(Thing::Network(l3.uuid)));
        }
    }
    Ok(things)
}
