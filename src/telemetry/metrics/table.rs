//! Every metric of the gateway, in one table. `docs/metrics.md` is tested against it.

use prometheus::Registry;

use super::cells::{Cell, Counted, Counter, Gauge, Histogram, Level};
use super::family::{Description, Family};

macro_rules! table {
    ($($field:ident: $cell:ident = $name:literal, $unit:literal, [$($label:literal),*], $help:literal;)+) => {
        /// All metrics, in the order of the manual. Figures of the process itself (`process_*`) come on top.
        pub const TABLE: &[Description] = &[$(Description {
            name: $name,
            help: $help,
            unit: $unit,
            kind: <$cell as Cell>::KIND,
            labels: &[$($label),*],
        }),+];

        /// One family for each row.
        pub(super) struct Families {
            $(pub(super) $field: Family<$cell>,)+
        }

        impl Families {
            /// Makes them all and registers them.
            pub(super) fn register(registry: &Registry) -> Families {
                Families {
                    $($field: Family::register(registry, Description {
                        name: $name,
                        help: $help,
                        unit: $unit,
                        kind: <$cell as Cell>::KIND,
                        labels: &[$($label),*],
                    }),)+
                }
            }
        }
    };
}

table! {
    requests: Counter = "tollgate_requests_total", "requests", ["api", "route", "code"],
        "Requests ended, by status class, or by the code of the refusal or the way they broke off.";
    refusals: Counter = "tollgate_refusals_total", "requests", ["api", "code"],
        "Requests that the gateway itself refused, by the code of the refusal.";
    duration: Histogram = "http_server_request_duration_seconds", "seconds", ["api", "route", "status_class"],
        "Time from the head of a request to the last byte of its answer.";
    in_flight: Level = "tollgate_requests_in_flight", "requests", [],
        "Requests that are under way now.";

    connections_open: Level = "tollgate_connections_open", "connections", ["listener"],
        "Client connections that are open now.";
    connections_accepted: Counter = "tollgate_connections_accepted_total", "connections", ["listener"],
        "Client connections accepted.";
    connections_refused: Counter = "tollgate_connections_refused_total", "connections", ["listener", "reason"],
        "Client connections closed before their first request was served, by reason.";

    upstream_duration: Histogram = "tollgate_upstream_response_duration_seconds", "seconds", ["backend", "region"],
        "Time from sending a request to the head of the backend's answer.";
    upstream_attempts: Counter = "tollgate_upstream_attempts_total", "attempts", ["backend", "region", "endpoint"],
        "Requests sent to an endpoint, second tries included.";
    upstream_retries: Counter = "tollgate_upstream_retries_total", "attempts", ["backend", "region", "endpoint"],
        "Requests sent a second time, since the connection had closed before the first byte of an answer.";
    upstream_connects: Counter = "tollgate_upstream_connects_total", "connections", ["backend", "region", "endpoint"],
        "Connections opened to an endpoint.";
    upstream_connect_failures: Counter =
        "tollgate_upstream_connect_failures_total", "connections", ["backend", "region", "endpoint"],
        "Connections to an endpoint that could not be opened.";
    upstream_set_asides: Counter =
        "tollgate_upstream_set_asides_total", "times", ["backend", "region", "endpoint"],
        "Times that an address of an endpoint was set aside for a while, after a connection could not be opened.";
    upstream_in_flight: Gauge = "tollgate_upstream_requests_in_flight", "requests", ["backend", "region", "endpoint"],
        "Requests that an endpoint has not answered whole yet.";
    upstream_pooled: Gauge = "tollgate_upstream_connections_pooled", "connections", ["backend", "region", "endpoint"],
        "Connections kept to an endpoint: idle ones (HTTP/1.1) or open ones (HTTP/2).";
    upstream_addresses: Gauge = "tollgate_upstream_addresses", "addresses", ["backend", "region", "endpoint"],
        "Addresses of an endpoint; none at all means that its name did not resolve.";
    upstream_aside: Gauge = "tollgate_upstream_addresses_aside", "addresses", ["backend", "region", "endpoint"],
        "Addresses of an endpoint that are set aside now.";

    upstream_ready: Gauge = "tollgate_upstream_ready", "endpoints", ["backend", "region", "endpoint"],
        "1 while an endpoint says that it can work, for backends that are asked; else 0.";

    tokens_verified: Counter = "tollgate_tokens_verified_total", "tokens", ["issuer"],
        "Tokens whose signature and claims were verified and found good.";
    token_cache_hits: Counter = "tollgate_token_cache_hits_total", "tokens", ["issuer"],
        "Tokens that were known as verified already.";
    token_cache_misses: Counter = "tollgate_token_cache_misses_total", "tokens", ["issuer"],
        "Tokens that were not known and had to be verified.";
    tokens_refused: Counter = "tollgate_tokens_refused_total", "tokens", ["issuer", "reason"],
        "Tokens that were not accepted, by reason.";

    credential_hits: Counter = "tollgate_credential_cache_hits_total", "credentials", ["authority", "kind"],
        "Sessions, passwords and tokens of accounts, and introspected tokens, that were known already.";
    credential_misses: Counter = "tollgate_credential_cache_misses_total", "credentials", ["authority", "kind"],
        "Sessions, passwords and tokens of accounts, and introspected tokens, that were not known and had to be looked up.";
    credentials_refused: Counter = "tollgate_credentials_refused_total", "credentials", ["authority", "kind", "reason"],
        "Sessions, passwords and tokens of accounts, and introspected tokens, that were not accepted, by reason.";
    credentials_remembered: Gauge = "tollgate_credentials_remembered", "credentials", ["authority", "kind"],
        "Sessions, passwords and tokens of accounts, and introspected tokens, that are remembered now.";
    sign_ins: Counter = "tollgate_sign_ins_total", "attempts", ["realm", "outcome"],
        "Passwords presented, by what became of them.";
    password_hashes: Counted = "tollgate_password_hashes_total", "hashes", [],
        "Passwords hashed, to compare them or to store them.";
    introspections: Counter = "tollgate_introspections_total", "requests", ["issuer", "result"],
        "Questions to an introspection endpoint, by result.";
    introspection_duration: Histogram = "tollgate_introspection_duration_seconds", "seconds", ["issuer"],
        "Time from the question to an introspection endpoint to its answer.";

    limit_refusals: Counter = "tollgate_limit_refusals_total", "requests", ["limit"],
        "Requests that a limit refused.";
    limit_buckets: Gauge = "tollgate_limit_buckets", "buckets", ["limit"],
        "Buckets that a limit holds in memory.";

    keys: Gauge = "tollgate_keys", "keys", ["issuer"],
        "Verification keys of an issuer that are in use.";
    keys_refreshed: Gauge = "tollgate_keys_last_success_timestamp_seconds", "seconds", ["issuer"],
        "When an issuer's keys were last read or fetched, in seconds since 1970; 0 before the first time.";
    keys_refreshes: Counter = "tollgate_keys_refreshes_total", "refreshes", ["issuer", "result"],
        "Attempts to fetch an issuer's keys from a URL, by result.";

    reloads: Counter = "tollgate_reloads_total", "reloads", ["result"],
        "Attempts to load the configuration, the first one included, by result.";
    config_generation: Gauge = "tollgate_config_generation", "-", [],
        "How many configurations have been in use; 1 after the start.";
    config_loaded: Gauge = "tollgate_config_last_success_timestamp_seconds", "seconds", [],
        "When the configuration in use was loaded, in seconds since 1970.";
    config_current: Gauge = "tollgate_config_last_reload_successful", "-", [],
        "1 if the last attempt to load the configuration succeeded, else 0.";
    certificate_expiry: Gauge = "tollgate_certificate_expiry_timestamp_seconds", "seconds", ["certificate"],
        "When a certificate ends, in seconds since 1970.";

    access_log_lines: Counter = "tollgate_access_log_lines_total", "lines", [],
        "Lines handed to the access log.";
    access_log_dropped: Counter = "tollgate_access_log_dropped_total", "lines", [],
        "Lines of the access log that were lost, because they were written slower than they came or could not be.";
    program_log_dropped: Counted = "tollgate_program_log_dropped_total", "lines", [],
        "Lines of the program log that were lost, because they were written slower than they came.";
    state: Gauge = "tollgate_state", "-", ["state"],
        "1 for the state that the gateway is in, 0 for the others.";
    build: Gauge = "tollgate_build_info", "-", ["version"],
        "Always 1; the label says which version runs.";
}
