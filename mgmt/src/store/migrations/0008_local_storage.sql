-- What lies on which host's local storage: the volumes' own rows say it.
CREATE VIEW local_storage_resource_ref AS
    SELECT uuid AS resource_uuid, primary_storage_uuid, host_uuid, size, 'VolumeVO' AS resource_type, create_date, last_op_date
    FROM volume WHERE primary_storage_uuid IS NOT NULL AND host_uuid IS NOT NULL;

-- Jobs that have a cached image in hand: those that need it where no volume's row says so yet, and those that evict it.
CREATE TABLE cached_image_claim (
    image_uuid TEXT NOT NULL, primary_storage_uuid TEXT NOT NULL, host_uuid TEXT NOT NULL, job_uuid TEXT NOT NULL,
    evicts INTEGER NOT NULL, PRIMARY KEY (image_uuid, primary_storage_uuid, host_uuid, job_uuid)
) WITHOUT ROWID;
CREATE INDEX cached_image_claim_job ON cached_image_claim (job_uuid);

-- Whether any volume on a host stands on an image is found without reading the volumes.
DROP INDEX volume_image;
CREATE INDEX volume_image ON volume (root_image_uuid, primary_storage_uuid, host_uuid);
