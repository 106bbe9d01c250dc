-- Where the caller reached the node, which is where its browser will reach it, too.
ALTER TABLE job ADD COLUMN origin TEXT;

CREATE TABLE console_proxy_agent (
    uuid TEXT PRIMARY KEY, description TEXT, management_ip TEXT NOT NULL, console_proxy_overridden_ip TEXT, kind TEXT NOT NULL,
    status TEXT NOT NULL, state TEXT NOT NULL, create_date INTEGER NOT NULL, last_op_date INTEGER NOT NULL
) WITHOUT ROWID;

-- Tokens that were not used yet.
CREATE TABLE console_access (
    token_digest TEXT PRIMARY KEY, vm_uuid TEXT NOT NULL REFERENCES vm_instance ON DELETE CASCADE,
    account_uuid TEXT NOT NULL REFERENCES account ON DELETE CASCADE, expires_date INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX console_access_vm ON console_access (vm_uuid);
CREATE INDEX console_access_account ON console_access (account_uuid);
-- A VM that stops, in whatever way that comes to be known, takes its tokens with it.
CREATE TRIGGER console_access_ends_with_the_run AFTER UPDATE OF host_uuid ON vm_instance
    WHEN NEW.host_uuid IS NOT OLD.host_uuid
    BEGIN DELETE FROM console_access WHERE vm_uuid = NEW.uuid; END;
