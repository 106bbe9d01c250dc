-- Who owns which resource. What was there before accounts could be made is the operator's.
CREATE TABLE account_resource_ref (
    resource_uuid TEXT PRIMARY KEY, account_uuid TEXT NOT NULL REFERENCES account, resource_type TEXT NOT NULL,
    create_date INTEGER NOT NULL, last_op_date INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX account_resource_ref_account ON account_resource_ref (account_uuid, resource_type, resource_uuid);
INSERT INTO account_resource_ref
    SELECT owned.uuid, account.uuid, owned.type, owned.create_date, owned.create_date
    FROM (SELECT uuid FROM account WHERE name = 'admin') AS account,
         (SELECT uuid, 'VmInstanceVO' AS type, create_date FROM vm_instance
          UNION ALL SELECT uuid, 'VmNicVO', create_date FROM vm_nic
          UNION ALL SELECT uuid, 'VolumeVO', create_date FROM volume
          UNION ALL SELECT uuid, 'ImageVO', create_date FROM image
          UNION ALL SELECT uuid, 'InstanceOfferingVO', create_date FROM instance_offering
          UNION ALL SELECT uuid, 'DiskOfferingVO', create_date FROM disk_offering
          UNION ALL SELECT uuid, 'L3NetworkVO', create_date FROM l3_network
          UNION ALL SELECT uuid, 'AffinityGroupVO', create_date FROM affinity_group
          UNION ALL SELECT uuid, 'LongJobVO', create_date FROM long_job) AS owned;

-- What an account may use of another one's: it has a receiver, or is for all.
CREATE TABLE shared_resource (
    resource_uuid TEXT NOT NULL, owner_account_uuid TEXT NOT NULL, receiver_account_uuid TEXT, to_public INTEGER NOT NULL,
    resource_type TEXT NOT NULL, create_date INTEGER NOT NULL, last_op_date INTEGER NOT NULL
);
CREATE UNIQUE INDEX shared_resource_once ON shared_resource (resource_uuid, coalesce(receiver_account_uuid, ''));
CREATE INDEX shared_resource_receiver ON shared_resource (receiver_account_uuid, resource_type, resource_uuid);
CREATE INDEX shared_resource_public ON shared_resource (resource_type, resource_uuid) WHERE to_public = 1;

CREATE INDEX session_account ON session (account_uuid);
-- The session of the call: changing a password ends all others.
ALTER TABLE job ADD COLUMN session_uuid TEXT;

-- Who called what, newest last, by rowid.
CREATE TABLE audit (
    uuid TEXT PRIMARY KEY, account_uuid TEXT, session_mark TEXT, api_name TEXT NOT NULL, resource_uuids TEXT,
    client_address TEXT, job_uuid TEXT, state TEXT NOT NULL, error_code TEXT, duration INTEGER,
    create_date INTEGER NOT NULL, last_op_date INTEGER NOT NULL, makes INTEGER NOT NULL
);
CREATE INDEX audit_account ON audit (account_uuid);
CREATE INDEX audit_job ON audit (job_uuid) WHERE job_uuid IS NOT NULL;
CREATE INDEX audit_create_date ON audit (create_date);
