ALTER TABLE l3_network ADD COLUMN router_interface_ip TEXT;

-- A VM that runs may have an address kept for its next start.
CREATE INDEX used_ip_used_for ON used_ip (used_for);

-- Which ISO image is in which drive was known of VMs that were made from one alone.
INSERT INTO system_tag (uuid, resource_uuid, resource_type, tag, kind, inherent, create_date, last_op_date)
SELECT lower(hex(randomblob(16))), vm.uuid, 'VmInstanceVO', 'iso::' || image.uuid || '::0', 'System', 1, vm.create_date, vm.create_date
FROM vm_instance vm JOIN image ON image.uuid = vm.image_uuid
WHERE image.media_type = 'ISO';
