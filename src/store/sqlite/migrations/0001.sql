-- Schema version 1. Migrations go forward only; one that was released is not edited.
--
-- Times are seconds since 1970. Ids of users and families are 16 bytes, digests 32 (SHA-256). Lists of scopes and roles are
-- separated by spaces, which neither grammar has; what is richer is JSON. Nothing refers to anything by a foreign key: users
-- and applications may also stand in the configuration, and a revoked family outlives both.

CREATE TABLE users (
    realm TEXT NOT NULL,
    id BLOB NOT NULL,
    name TEXT NOT NULL,
    key TEXT NOT NULL,
    state TEXT NOT NULL,
    password BLOB,
    customer TEXT,
    roles TEXT NOT NULL,
    tenants TEXT NOT NULL,
    default_tenant TEXT,
    reach TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    PRIMARY KEY (realm, id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX users_by_key ON users (realm, key);

CREATE TABLE applications (
    realm TEXT NOT NULL,
    client_id TEXT NOT NULL,
    name TEXT NOT NULL,
    secret BLOB,
    redirect_uris TEXT NOT NULL,
    owner BLOB,
    customer TEXT,
    tenant TEXT,
    scopes TEXT NOT NULL,
    grants TEXT NOT NULL,
    state TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    PRIMARY KEY (realm, client_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX applications_by_owner ON applications (realm, owner) WHERE owner IS NOT NULL;

CREATE TABLE customers (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    region TEXT,
    quotas TEXT NOT NULL,
    tenants TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE attempts (
    realm TEXT NOT NULL,
    key TEXT NOT NULL,
    count INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    since INTEGER NOT NULL,
    last INTEGER NOT NULL,
    locked_until INTEGER,
    forget_at INTEGER NOT NULL,
    PRIMARY KEY (realm, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX attempts_by_end ON attempts (forget_at);

CREATE TABLE sessions (
    digest BLOB NOT NULL PRIMARY KEY,
    realm TEXT NOT NULL,
    user BLOB NOT NULL,
    client_id TEXT,
    csrf BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    idle INTEGER NOT NULL,
    -- The earlier of expires_at and last_seen + idle.
    ends_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_by_user ON sessions (realm, user);
CREATE INDEX sessions_by_end ON sessions (ends_at);

CREATE TABLE codes (
    digest BLOB NOT NULL PRIMARY KEY,
    realm TEXT NOT NULL,
    client_id TEXT NOT NULL,
    user BLOB NOT NULL,
    customer TEXT,
    tenant TEXT,
    scopes TEXT NOT NULL,
    roles TEXT NOT NULL,
    redirect_uri TEXT,
    challenge BLOB,
    issued_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    -- What came of it; NULL until it is redeemed.
    family BLOB
) STRICT, WITHOUT ROWID;
CREATE INDEX codes_unused ON codes (realm, user, client_id) WHERE family IS NULL;
CREATE INDEX codes_unused_by_end ON codes (expires_at) WHERE family IS NULL;
CREATE INDEX codes_by_family ON codes (family) WHERE family IS NOT NULL;

CREATE TABLE families (
    id BLOB NOT NULL PRIMARY KEY,
    realm TEXT NOT NULL,
    client_id TEXT NOT NULL,
    user BLOB,
    customer TEXT,
    tenant TEXT,
    scopes TEXT NOT NULL,
    roles TEXT NOT NULL,
    origin TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    ends_at INTEGER,
    revoked_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX families_by_age ON families (realm, created_at, id);
CREATE INDEX families_by_user ON families (realm, user, created_at, id) WHERE user IS NOT NULL;
CREATE INDEX families_by_client ON families (realm, client_id, created_at, id);
CREATE INDEX families_by_end ON families (expires_at);

-- The key is `o` and a digest, or `j` and a jti.
CREATE TABLE access (
    key BLOB NOT NULL PRIMARY KEY,
    family BLOB NOT NULL,
    issued_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    -- NULL: the family's.
    scopes TEXT,
    revoked INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX access_by_end ON access (expires_at);

-- Used ones stay as long as their family, so that their reuse is seen.
CREATE TABLE refresh (
    digest BLOB NOT NULL PRIMARY KEY,
    family BLOB NOT NULL,
    generation INTEGER NOT NULL,
    issued_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at INTEGER,
    state TEXT NOT NULL,
    -- The access token that was issued with it.
    access BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX refresh_by_family ON refresh (family);

-- Access tokens that the store did not issue, and that are refused.
CREATE TABLE denied (
    realm TEXT NOT NULL,
    key BLOB NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (realm, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX denied_by_end ON denied (until);

CREATE TABLE audit (
    seq INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    realm TEXT,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail TEXT NOT NULL
) STRICT;

-- For other processes with the same file, and for caches that start late. The newest is never deleted, so numbers grow.
CREATE TABLE changes (
    seq INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    realm TEXT,
    subject BLOB NOT NULL,
    until INTEGER
) STRICT;
