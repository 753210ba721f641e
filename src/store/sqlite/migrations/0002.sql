-- A second identifier of a customer, by which clients may select it as a tenant.
ALTER TABLE customers ADD COLUMN uuid TEXT;
CREATE UNIQUE INDEX customers_by_uuid ON customers (uuid) WHERE uuid IS NOT NULL;

-- Tokens by which nodes join, and the nodes that have.
CREATE TABLE enrolments (
    realm TEXT NOT NULL,
    id BLOB NOT NULL,
    digest BLOB NOT NULL,
    hint TEXT NOT NULL,
    metadata TEXT NOT NULL,
    customer TEXT,
    tenant TEXT,
    scopes TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    node TEXT,
    used_at INTEGER,
    PRIMARY KEY (realm, id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX enrolments_by_token ON enrolments (realm, digest);
CREATE INDEX enrolments_by_end ON enrolments (expires_at) WHERE node IS NULL;

CREATE TABLE nodes (
    realm TEXT NOT NULL,
    uuid TEXT NOT NULL,
    id BLOB NOT NULL,
    customer TEXT,
    tenant TEXT,
    metadata TEXT NOT NULL,
    joined_at INTEGER NOT NULL,
    let_in_by TEXT NOT NULL,
    last_seen INTEGER,
    mark BLOB NOT NULL,
    PRIMARY KEY (realm, uuid)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX nodes_by_mark ON nodes (mark);

-- Sessions of those who signed in somewhere else.
CREATE TABLE remote_sessions (
    digest BLOB NOT NULL PRIMARY KEY,
    sign_in TEXT NOT NULL,
    csrf BLOB NOT NULL,
    sealed BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    idle INTEGER NOT NULL,
    ends_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX remote_sessions_by_end ON remote_sessions (ends_at);
