-- What a job has for itself besides the locks that its call names: other jobs wait for it. What `goes` is being deleted:
-- nothing new may refer to it. `resource` is an id, or the two ids of an attachment.
CREATE TABLE claim (
    resource TEXT PRIMARY KEY, job_uuid TEXT NOT NULL, goes INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX claim_job ON claim (job_uuid);

-- The plan of a deletion. What is done of it is kept until the job ends: its error says so.
CREATE TABLE deletion_part (
    job_uuid TEXT NOT NULL, number INTEGER NOT NULL, part TEXT NOT NULL, is_done INTEGER NOT NULL,
    PRIMARY KEY (job_uuid, number)
) WITHOUT ROWID;
