-- Every column that a relation goes by leads an index, and where a relation leads to many rows the index also holds the
-- column that the condition goes on by, so that the rows themselves are not read.
DROP INDEX system_tag_tag;
CREATE INDEX system_tag_tag ON system_tag (tag, resource_uuid);
DROP INDEX user_tag_tag;
CREATE INDEX user_tag_tag ON user_tag (tag, resource_uuid);
DROP INDEX vm_nic_l3;
CREATE INDEX vm_nic_l3 ON vm_nic (l3_network_uuid, vm_instance_uuid);
DROP INDEX volume_storage;
CREATE INDEX volume_storage ON volume (primary_storage_uuid, vm_instance_uuid);
CREATE INDEX volume_disk_offering ON volume (disk_offering_uuid);
CREATE INDEX vm_instance_default_l3 ON vm_instance (default_l3_network_uuid);
CREATE INDEX l3_network_zone ON l3_network (zone_uuid);
CREATE INDEX network_service_l3_network_ref_provider ON network_service_l3_network_ref (network_service_provider_uuid);

-- What lists are commonly sorted or searched by. An index of a table without rowids ends with the key.
CREATE INDEX vm_instance_create_date ON vm_instance (create_date);
CREATE INDEX volume_name ON volume (name);
CREATE INDEX volume_create_date ON volume (create_date);
CREATE INDEX host_name ON host (name);
CREATE INDEX image_name ON image (name);
-- The rows of these are wide: what a page leaves out is counted off here.
CREATE INDEX vm_instance_uuid ON vm_instance (uuid);
CREATE INDEX vm_nic_uuid ON vm_nic (uuid);
CREATE INDEX volume_uuid ON volume (uuid);
