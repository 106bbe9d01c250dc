-- Jobs keep the order in which they were accepted, tell a repeated call from another one, and can be cancelled. A job that
-- waits for its turn is in phase Waiting: nothing of it has been done.
ALTER TABLE job ADD COLUMN number INTEGER NOT NULL DEFAULT 0;
ALTER TABLE job ADD COLUMN call_digest TEXT NOT NULL DEFAULT '';
ALTER TABLE job ADD COLUMN cancelled_by TEXT;
UPDATE job SET number = placed.number
FROM (SELECT uuid, row_number() OVER (ORDER BY accepted_date, uuid) AS number FROM job) AS placed
WHERE placed.uuid = job.uuid;
DROP INDEX job_open;
CREATE INDEX job_open ON job (number) WHERE finished_date IS NULL;

-- An operation that was submitted to be run on its own; `api_id` is its job.
CREATE TABLE long_job (
    uuid TEXT PRIMARY KEY, name TEXT, description TEXT, api_id TEXT NOT NULL, job_name TEXT NOT NULL, job_data TEXT NOT NULL,
    job_result TEXT, target_resource_uuid TEXT, management_node_uuid TEXT NOT NULL, create_date INTEGER NOT NULL,
    last_op_date INTEGER NOT NULL, state TEXT NOT NULL
) WITHOUT ROWID;
CREATE UNIQUE INDEX long_job_api ON long_job (api_id);
