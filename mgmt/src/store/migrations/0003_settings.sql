CREATE TABLE global_config (
    category TEXT NOT NULL, name TEXT NOT NULL, description TEXT NOT NULL, default_value TEXT NOT NULL, value TEXT NOT NULL,
    PRIMARY KEY (category, name)
) WITHOUT ROWID;

CREATE TABLE management_node (
    uuid TEXT PRIMARY KEY, host_name TEXT NOT NULL, join_date INTEGER NOT NULL, heart_beat INTEGER NOT NULL
) WITHOUT ROWID;
