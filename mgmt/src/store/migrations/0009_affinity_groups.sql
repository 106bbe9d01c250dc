CREATE TABLE affinity_group (
    uuid TEXT PRIMARY KEY, name TEXT NOT NULL, description TEXT, policy TEXT NOT NULL, version TEXT NOT NULL,
    kind TEXT NOT NULL, appliance TEXT NOT NULL, state TEXT NOT NULL,
    create_date INTEGER NOT NULL, last_op_date INTEGER NOT NULL
) WITHOUT ROWID;

-- A VM is in one group at the most.
CREATE TABLE affinity_group_usage (
    uuid TEXT PRIMARY KEY, affinity_group_uuid TEXT NOT NULL REFERENCES affinity_group,
    resource_uuid TEXT NOT NULL UNIQUE, resource_type TEXT NOT NULL,
    create_date INTEGER NOT NULL, last_op_date INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX affinity_group_usage_group ON affinity_group_usage (affinity_group_uuid, resource_uuid);
