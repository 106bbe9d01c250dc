-- Which VMs a shareable volume is attached to. A storage that several hosts have fills it.
CREATE TABLE shareable_volume_vm_instance_ref (
    uuid TEXT PRIMARY KEY, volume_uuid TEXT NOT NULL REFERENCES volume, vm_instance_uuid TEXT NOT NULL REFERENCES vm_instance,
    device_id INTEGER NOT NULL, create_date INTEGER NOT NULL, last_op_date INTEGER NOT NULL,
    UNIQUE (volume_uuid, vm_instance_uuid)
) WITHOUT ROWID;
CREATE INDEX shareable_volume_vm_instance_ref_vm ON shareable_volume_vm_instance_ref (vm_instance_uuid);
