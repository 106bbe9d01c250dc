CREATE TABLE global_config (
    category TEXT NOT NULL, name TEXT NOT NULL, description TEXT NOT NULL, default_value TEXT NOT NULL, value TEXT NOT NULL,
    PRIMARY KEY (category, name)
) WITHOUT ROWID;

CREATE TABLE management_node (
    uuid TEXT PRIMARY KEY, host_name TEXT NOT NULL, join_date INTEGER NOT NULL, heart_beat INTEGER NOT NULL
) WITHOUT ROWID;

-- Newest last, by rowid.
CREATE TABLE notification (
    uuid TEXT PRIMARY KEY, name TEXT NOT NULL, content TEXT NOT NULL, arguments TEXT NOT NULL, sender TEXT NOT NULL,
    status TEXT NOT NULL, resource_uuid TEXT, resource_type TEXT, kind TEXT NOT NULL, time INTEGER NOT NULL,
    create_date INTEGER NOT NULL, last_op_date INTEGER NOT NULL
);
CREATE INDEX notification_resource ON notification (resource_uuid);

-- Clean-up that a host could not do when it was due, in the order in which it was owed, by rowid.
CREATE TABLE gc_job (
    uuid TEXT PRIMARY KEY, name TEXT NOT NULL, runner_class TEXT NOT NULL, context TEXT NOT NULL, status TEXT NOT NULL,
    management_node_uuid TEXT NOT NULL, kind TEXT NOT NULL, create_date INTEGER NOT NULL, last_op_date INTEGER NOT NULL,
    machine_uuid TEXT NOT NULL, attempts INTEGER NOT NULL
);
CREATE INDEX gc_job_machine ON gc_job (machine_uuid);
INSERT INTO gc_job
    SELECT lower(hex(randomblob(16))), 'gc-on-host-' || machine_uuid, json_extract(command, '$.what'), command, 'Idle',
           (SELECT value FROM node_fact WHERE name = 'uuid'), 'EventBased', create_date, create_date, machine_uuid, 0
    FROM owed_cleanup ORDER BY id;
DROP TABLE owed_cleanup;
