CREATE TABLE zone (
    uuid TEXT PRIMARY KEY, name TEXT NOT NULL, description TEXT, state TEXT NOT NULL, kind TEXT NOT NULL,
    create_date INTEGER NOT NULL, last_op_date INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE cluster (
    uuid TEXT PRIMARY KEY, name TEXT NOT NULL, description TEXT, state TEXT NOT NULL, hypervisor_type TEXT NOT NULL,
    zone_uuid TEXT NOT NULL REFERENCES zone, kind TEXT NOT NULL,
    create_date INTEGER NOT NULL, last_op_date INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX cluster_zone ON cluster (zone_uuid);

CREATE TABLE machine (
    uuid TEXT PRIMARY KEY, address TEXT NOT NULL UNIQUE, port INTEGER NOT NULL, host_key TEXT, status TEXT NOT NULL,
    status_reason TEXT, facts TEXT, foreign_domains TEXT NOT NULL, create_date INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE host (
    uuid TEXT PRIMARY KEY REFERENCES machine, zone_uuid TEXT NOT NULL REFERENCES zone, name TEXT NOT NULL,
    cluster_uuid TEXT NOT NULL REFERENCES cluster, description TEXT, management_ip TEXT NOT NULL UNIQUE,
    hypervisor_type TEXT NOT NULL, state TEXT NOT NULL, status TEXT NOT NULL,
    total_cpu_capacity INTEGER NOT NULL, available_cpu_capacity INTEGER NOT NULL, cpu_sockets INTEGER NOT NULL,
    total_memory_capacity INTEGER NOT NULL, available_memory_capacity INTEGER NOT NULL, cpu_num INTEGER NOT NULL,
    username TEXT NOT NULL, ssh_port INTEGER NOT NULL, create_date INTEGER NOT NULL, last_op_date INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX host_cluster ON host (cluster_uuid);
CREATE INDEX host_zone ON host (zone_uuid);

-- What each VM takes from its host. The host's available columns are its totals less the sum of these.
CREATE TABLE vm_allocation (
    vm_uuid TEXT PRIMARY KEY, host_uuid TEXT NOT NULL REFERENCES host, cpu_num INTEGER NOT NULL, memory_bytes INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX vm_allocation_host ON vm_allocation (host_uuid);

CREATE TABLE instance_offering (
    uuid TEXT PRIMARY KEY, name TEXT NOT NULL, description TEXT, cpu_num INTEGER NOT NULL, cpu_speed INTEGER NOT NULL,
    memory_size INTEGER NOT NULL, kind TEXT NOT NULL, allocator_strategy TEXT NOT NULL, sort_key INTEGER NOT NULL,
    state TEXT NOT NULL, create_date INTEGER NOT NULL, last_op_date INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE disk_offering (
    uuid TEXT PRIMARY KEY, name TEXT NOT NULL, description TEXT, disk_size INTEGER NOT NULL, sort_key INTEGER NOT NULL,
    state TEXT NOT NULL, kind TEXT NOT NULL, create_date INTEGER NOT NULL, last_op_date INTEGER NOT NULL,
    allocator_strategy TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE primary_storage (
    uuid TEXT PRIMARY KEY, zone_uuid TEXT NOT NULL REFERENCES zone, name TEXT NOT NULL, url TEXT NOT NULL, description TEXT,
    total_capacity INTEGER NOT NULL, available_capacity INTEGER NOT NULL, total_physical_capacity INTEGER NOT NULL,
    available_physical_capacity INTEGER NOT NULL, system_used_capacity INTEGER NOT NULL, kind TEXT NOT NULL,
    state TEXT NOT NULL, status TEXT NOT NULL, mount_path TEXT NOT NULL,
    create_date INTEGER NOT NULL, last_op_date INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX primary_storage_zone ON primary_storage (zone_uuid);

CREATE TABLE primary_storage_cluster_ref (
    primary_storage_uuid TEXT NOT NULL REFERENCES primary_storage, cluster_uuid TEXT NOT NULL REFERENCES cluster,
    PRIMARY KEY (primary_storage_uuid, cluster_uuid)
) WITHOUT ROWID;
CREATE INDEX primary_storage_cluster_ref_cluster ON primary_storage_cluster_ref (cluster_uuid);

-- A local primary storage has one capacity on each host.
CREATE TABLE local_storage_host (
    primary_storage_uuid TEXT NOT NULL REFERENCES primary_storage, host_uuid TEXT NOT NULL REFERENCES host,
    total_bytes INTEGER NOT NULL, available_bytes INTEGER NOT NULL, total_physical_bytes INTEGER NOT NULL,
    available_physical_bytes INTEGER NOT NULL, system_used_bytes INTEGER NOT NULL,
    PRIMARY KEY (primary_storage_uuid, host_uuid)
) WITHOUT ROWID;
CREATE INDEX local_storage_host_host ON local_storage_host (host_uuid);

-- What each volume and cached image takes from a local storage on a host.
CREATE TABLE storage_allocation (
    holder_uuid TEXT NOT NULL, primary_storage_uuid TEXT NOT NULL, host_uuid TEXT NOT NULL, bytes INTEGER NOT NULL,
    PRIMARY KEY (holder_uuid, primary_storage_uuid, host_uuid)
) WITHOUT ROWID;
CREATE INDEX storage_allocation_host ON storage_allocation (primary_storage_uuid, host_uuid);

CREATE TABLE image_cache (
    image_uuid TEXT NOT NULL, primary_storage_uuid TEXT NOT NULL REFERENCES primary_storage, host_uuid TEXT NOT NULL,
    install_path TEXT NOT NULL, actual_bytes INTEGER NOT NULL,
    PRIMARY KEY (image_uuid, primary_storage_uuid, host_uuid)
) WITHOUT ROWID;

CREATE TABLE backup_storage (
    uuid TEXT PRIMARY KEY, name TEXT NOT NULL, url TEXT NOT NULL, description TEXT, total_capacity INTEGER NOT NULL,
    available_capacity INTEGER NOT NULL, kind TEXT NOT NULL, state TEXT NOT NULL, status TEXT NOT NULL,
    hostname TEXT NOT NULL, username TEXT NOT NULL, ssh_port INTEGER NOT NULL,
    create_date INTEGER NOT NULL, last_op_date INTEGER NOT NULL, machine_uuid TEXT NOT NULL REFERENCES machine,
    UNIQUE (machine_uuid, url)
) WITHOUT ROWID;

CREATE TABLE backup_storage_zone_ref (
    backup_storage_uuid TEXT NOT NULL REFERENCES backup_storage, zone_uuid TEXT NOT NULL REFERENCES zone,
    PRIMARY KEY (backup_storage_uuid, zone_uuid)
) WITHOUT ROWID;
CREATE INDEX backup_storage_zone_ref_zone ON backup_storage_zone_ref (zone_uuid);

CREATE TABLE image (
    uuid TEXT PRIMARY KEY, name TEXT NOT NULL, description TEXT, state TEXT NOT NULL, status TEXT NOT NULL,
    size INTEGER NOT NULL, actual_size INTEGER NOT NULL, md5_sum TEXT, url TEXT NOT NULL, media_type TEXT NOT NULL,
    guest_os_type TEXT, kind TEXT NOT NULL, platform TEXT NOT NULL, format TEXT NOT NULL, system INTEGER NOT NULL,
    create_date INTEGER NOT NULL, last_op_date INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE image_backup_storage_ref (
    image_uuid TEXT NOT NULL REFERENCES image, backup_storage_uuid TEXT NOT NULL REFERENCES backup_storage,
    install_path TEXT NOT NULL, status TEXT NOT NULL, create_date INTEGER NOT NULL, last_op_date INTEGER NOT NULL,
    PRIMARY KEY (image_uuid, backup_storage_uuid)
) WITHOUT ROWID;
CREATE INDEX image_backup_storage_ref_storage ON image_backup_storage_ref (backup_storage_uuid);

CREATE TABLE l2_network (
    uuid TEXT PRIMARY KEY, name TEXT NOT NULL, description TEXT, zone_uuid TEXT NOT NULL REFERENCES zone,
    physical_interface TEXT NOT NULL, kind TEXT NOT NULL, create_date INTEGER NOT NULL, last_op_date INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX l2_network_zone ON l2_network (zone_uuid);

CREATE TABLE l2_network_cluster_ref (
    l2_network_uuid TEXT NOT NULL REFERENCES l2_network, cluster_uuid TEXT NOT NULL REFERENCES cluster,
    PRIMARY KEY (l2_network_uuid, cluster_uuid)
) WITHOUT ROWID;
CREATE INDEX l2_network_cluster_ref_cluster ON l2_network_cluster_ref (cluster_uuid);

CREATE TABLE l3_network (
    uuid TEXT PRIMARY KEY, name TEXT NOT NULL, description TEXT, kind TEXT NOT NULL, zone_uuid TEXT NOT NULL REFERENCES zone,
    l2_network_uuid TEXT NOT NULL REFERENCES l2_network, state TEXT NOT NULL, dns_domain TEXT, system INTEGER NOT NULL,
    category TEXT NOT NULL, create_date INTEGER NOT NULL, last_op_date INTEGER NOT NULL, mtu INTEGER, service_address TEXT
) WITHOUT ROWID;
CREATE INDEX l3_network_l2 ON l3_network (l2_network_uuid);

CREATE TABLE l3_network_dns (
    l3_network_uuid TEXT NOT NULL REFERENCES l3_network, dns TEXT NOT NULL, PRIMARY KEY (l3_network_uuid, dns)
);

CREATE TABLE l3_network_host_route (
    id INTEGER PRIMARY KEY, l3_network_uuid TEXT NOT NULL REFERENCES l3_network, prefix TEXT NOT NULL, nexthop TEXT NOT NULL,
    create_date INTEGER NOT NULL, last_op_date INTEGER NOT NULL, UNIQUE (l3_network_uuid, prefix)
);

CREATE TABLE ip_range (
    uuid TEXT PRIMARY KEY, l3_network_uuid TEXT NOT NULL REFERENCES l3_network, name TEXT NOT NULL, description TEXT,
    start_ip TEXT NOT NULL, end_ip TEXT NOT NULL, netmask TEXT NOT NULL, gateway TEXT NOT NULL, network_cidr TEXT NOT NULL,
    create_date INTEGER NOT NULL, last_op_date INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX ip_range_l3 ON ip_range (l3_network_uuid);

-- The unique constraint is what keeps an address from being given twice.
CREATE TABLE used_ip (
    uuid TEXT PRIMARY KEY, ip_range_uuid TEXT NOT NULL REFERENCES ip_range, l3_network_uuid TEXT NOT NULL REFERENCES l3_network,
    ip TEXT NOT NULL, netmask TEXT NOT NULL, gateway TEXT NOT NULL, used_for TEXT, ip_in_long INTEGER NOT NULL,
    create_date INTEGER NOT NULL, last_op_date INTEGER NOT NULL, UNIQUE (l3_network_uuid, ip_in_long)
) WITHOUT ROWID;
CREATE INDEX used_ip_range ON used_ip (ip_range_uuid);

CREATE TABLE network_service_provider (
    uuid TEXT PRIMARY KEY, name TEXT NOT NULL, description TEXT, kind TEXT NOT NULL, network_service_types TEXT NOT NULL,
    create_date INTEGER NOT NULL, last_op_date INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE network_service_l3_network_ref (
    l3_network_uuid TEXT NOT NULL REFERENCES l3_network,
    network_service_provider_uuid TEXT NOT NULL REFERENCES network_service_provider, network_service_type TEXT NOT NULL,
    PRIMARY KEY (l3_network_uuid, network_service_type)
) WITHOUT ROWID;

CREATE TABLE vm_instance (
    uuid TEXT PRIMARY KEY, name TEXT NOT NULL, description TEXT, zone_uuid TEXT, cluster_uuid TEXT, image_uuid TEXT NOT NULL,
    host_uuid TEXT, last_host_uuid TEXT, instance_offering_uuid TEXT NOT NULL, root_volume_uuid TEXT, platform TEXT NOT NULL,
    default_l3_network_uuid TEXT, kind TEXT NOT NULL, hypervisor_type TEXT NOT NULL, memory_size INTEGER NOT NULL,
    cpu_num INTEGER NOT NULL, cpu_speed INTEGER NOT NULL, allocator_strategy TEXT NOT NULL, create_date INTEGER NOT NULL,
    last_op_date INTEGER NOT NULL, state TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX vm_instance_name ON vm_instance (name);
CREATE INDEX vm_instance_host ON vm_instance (host_uuid);
CREATE INDEX vm_instance_cluster ON vm_instance (cluster_uuid);
CREATE INDEX vm_instance_zone ON vm_instance (zone_uuid);
CREATE INDEX vm_instance_image ON vm_instance (image_uuid);
CREATE INDEX vm_instance_offering ON vm_instance (instance_offering_uuid);
CREATE INDEX vm_instance_root_volume ON vm_instance (root_volume_uuid);

CREATE TABLE vm_nic (
    uuid TEXT PRIMARY KEY, vm_instance_uuid TEXT NOT NULL REFERENCES vm_instance,
    l3_network_uuid TEXT NOT NULL REFERENCES l3_network, ip TEXT NOT NULL, mac TEXT NOT NULL UNIQUE, netmask TEXT NOT NULL,
    gateway TEXT NOT NULL, meta_data TEXT, device_id INTEGER NOT NULL, internal_name TEXT NOT NULL,
    used_ip_uuid TEXT NOT NULL REFERENCES used_ip, create_date INTEGER NOT NULL, last_op_date INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX vm_nic_vm ON vm_nic (vm_instance_uuid);
CREATE INDEX vm_nic_l3 ON vm_nic (l3_network_uuid);
CREATE INDEX vm_nic_ip ON vm_nic (ip);
CREATE INDEX vm_nic_used_ip ON vm_nic (used_ip_uuid);

CREATE TABLE volume (
    uuid TEXT PRIMARY KEY, name TEXT NOT NULL, description TEXT, primary_storage_uuid TEXT REFERENCES primary_storage,
    vm_instance_uuid TEXT REFERENCES vm_instance, disk_offering_uuid TEXT, root_image_uuid TEXT, install_path TEXT,
    kind TEXT NOT NULL, format TEXT NOT NULL, size INTEGER NOT NULL, actual_size INTEGER, device_id INTEGER, state TEXT NOT NULL,
    status TEXT NOT NULL, create_date INTEGER NOT NULL, last_op_date INTEGER NOT NULL, is_shareable INTEGER NOT NULL,
    host_uuid TEXT
) WITHOUT ROWID;
CREATE INDEX volume_vm ON volume (vm_instance_uuid);
CREATE INDEX volume_storage ON volume (primary_storage_uuid);
CREATE INDEX volume_host ON volume (host_uuid);
CREATE INDEX volume_image ON volume (root_image_uuid);

CREATE TABLE system_tag (
    uuid TEXT PRIMARY KEY, resource_uuid TEXT NOT NULL, resource_type TEXT NOT NULL, tag TEXT NOT NULL, kind TEXT NOT NULL,
    inherent INTEGER NOT NULL, create_date INTEGER NOT NULL, last_op_date INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX system_tag_resource ON system_tag (resource_uuid);
CREATE INDEX system_tag_tag ON system_tag (tag);

CREATE TABLE user_tag (
    uuid TEXT PRIMARY KEY, resource_uuid TEXT NOT NULL, resource_type TEXT NOT NULL, tag TEXT NOT NULL, kind TEXT NOT NULL,
    create_date INTEGER NOT NULL, last_op_date INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX user_tag_resource ON user_tag (resource_uuid);
CREATE INDEX user_tag_tag ON user_tag (tag);

CREATE TABLE account (
    uuid TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, description TEXT, kind TEXT NOT NULL,
    create_date INTEGER NOT NULL, last_op_date INTEGER NOT NULL, password_hash TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE session (
    uuid TEXT PRIMARY KEY, account_uuid TEXT NOT NULL REFERENCES account, user_uuid TEXT NOT NULL,
    expired_date INTEGER NOT NULL, create_date INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX session_expired ON session (expired_date);

-- An accepted call. `phase` is Running, Undoing, Succeeded or Failed; `step` is the next step to do, or the last to undo.
CREATE TABLE job (
    uuid TEXT PRIMARY KEY, api TEXT NOT NULL, params TEXT NOT NULL, account_uuid TEXT NOT NULL, webhook TEXT,
    phase TEXT NOT NULL, step INTEGER NOT NULL, state TEXT NOT NULL, result TEXT, accepted_date INTEGER NOT NULL,
    finished_date INTEGER
) WITHOUT ROWID;
CREATE INDEX job_open ON job (accepted_date) WHERE finished_date IS NULL;
CREATE INDEX job_finished ON job (finished_date) WHERE finished_date IS NOT NULL;
CREATE INDEX job_webhook ON job (uuid) WHERE webhook IS NOT NULL;

-- Clean-up that a host could not do when it was due, done when it is back.
CREATE TABLE owed_cleanup (
    id INTEGER PRIMARY KEY, machine_uuid TEXT NOT NULL, command TEXT NOT NULL, create_date INTEGER NOT NULL
);
CREATE INDEX owed_cleanup_machine ON owed_cleanup (machine_uuid);

CREATE TABLE join_token (
    id TEXT PRIMARY KEY, secret TEXT NOT NULL, cluster_uuid TEXT, expires_date INTEGER NOT NULL, used_by TEXT
) WITHOUT ROWID;

CREATE TABLE node_fact (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
