//! What the check says about mistakes, word for word: message, place, excerpt, caret and hint.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test may stop at the first surprise"
)]

use tollgate::config;

/// Everything that is said about this text, as `tollgate check` prints it.
fn said(text: &str) -> String {
    let environment = |name: &str| match name {
        "SHORT" => Some("canary".to_owned()),
        "LONG" => Some("canary".repeat(8)),
        _ => None,
    };
    let found = match config::load_text(text, "t.yaml", &environment) {
        Ok(plan) => panic!("this is good: {plan:#?}"),
        Err(found) => found,
    };
    // Whatever way a secret came in, it does not come out.
    assert!(!format!("{found:?}").contains("canary"), "{found:#?}");
    found
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n\n")
}

#[track_caller]
fn assert_said(text: &str, expected: &str) {
    let said = said(text);
    assert!(
        said == expected.trim_matches('\n'),
        "said:\n{said}\n\nexpected:\n{expected}"
    );
}

#[test]
fn an_unknown_key_is_answered_with_the_nearest_one() {
    assert_said(
        r#"server:
  worker: 2
listeners: [{ address: 127.0.0.1:0 }]
apis: { a: { hosts: ['*'], routes: [{ path: /, public: true, to: gone }] } }
"#,
        r#"
error[unknown-key]: unknown key `worker`, did you mean `workers`?
 --> t.yaml:2:3
  |
2 |   worker: 2
  |   ^^^^^^
  = hint: keys here are `connections`, `danger_guard_off`, `drain`, `head`, `http2`, `scheduler`, `timeouts`, `trusted-proxies`, `workers`
"#,
    );
}

#[test]
fn a_removed_key_is_answered_with_what_to_write_instead() {
    assert_said(
        r#"upstreams: {}
listeners: [{ address: 127.0.0.1:0 }]
apis: { a: { hosts: ['*'], routes: [{ path: /, public: true, to: gone }] } }
"#,
        r#"
error[removed-key]: `upstreams` is not a key any more
 --> t.yaml:1:1
  |
1 | upstreams: {}
  | ^^^^^^^^^
  = hint: write `backends:`, by name, each with `endpoints:` or `regions:`
"#,
    );
}

#[test]
fn a_missing_key_is_named_with_its_meaning() {
    assert_said(
        r#"issuers:
  idp:
    issuer: https://idp.example/
    keys: { url: https://idp.example/k }
listeners: [{ address: 127.0.0.1:0 }]
apis: { a: { hosts: ['*'], routes: [{ path: /, public: true, to: gone }] } }
"#,
        r#"
error[missing-key]: `idp` needs `audience`
 --> t.yaml:3:5
  |
3 |     issuer: https://idp.example/
  |     ^
  = hint: `audience`: The `aud` claim must have one of these

error[missing-key]: `idp` needs `algorithms`
 --> t.yaml:3:5
  |
3 |     issuer: https://idp.example/
  |     ^
  = hint: `algorithms`: Accepted algorithms (RFC 7518 section 3.1, RFC 8037)
"#,
    );
}

#[test]
fn a_duration_without_unit_is_refused() {
    assert_said(
        r#"server: { timeouts: { idle: 30 } }
listeners: [{ address: 127.0.0.1:0 }]
apis: { a: { hosts: ['*'], routes: [{ path: /, public: true, to: gone }] } }
"#,
        r#"
error[bad-value]: `30` has no unit; write `30s` for seconds (units: ms, s, m, h, d)
 --> t.yaml:1:29
  |
1 | server: { timeouts: { idle: 30 } }
  |                             ^^
"#,
    );
}

#[test]
fn a_duration_with_an_unknown_unit_is_refused() {
    assert_said(
        r#"server: { timeouts: { idle: 30 sec } }
listeners: [{ address: 127.0.0.1:0 }]
apis: { a: { hosts: ['*'], routes: [{ path: /, public: true, to: gone }] } }
"#,
        r#"
error[bad-value]: `30 sec` has no unit; write `30 secs` for seconds (units: ms, s, m, h, d)
 --> t.yaml:1:29
  |
1 | server: { timeouts: { idle: 30 sec } }
  |                             ^^^^^^
"#,
    );
}

#[test]
fn a_duration_beyond_its_range_is_refused() {
    assert_said(
        r#"issuers:
  idp: { issuer: x, audience: a, algorithms: RS256, keys: { url: https://idp.example/k }, leeway: 2m }
listeners: [{ address: 127.0.0.1:0 }]
apis: { a: { hosts: ['*'], routes: [{ path: /, public: true, to: gone }] } }
"#,
        r#"
error[out-of-range]: `leeway` must be from 0ms to 60s, not 2m
 --> t.yaml:2:99
  |
2 |   idp: { issuer: x, audience: a, algorithms: RS256, keys: { url: https://idp.example/k }, leeway: 2m }
  |                                                                                                   ^^
"#,
    );
}

#[test]
fn a_size_without_unit_is_refused() {
    assert_said(
        r#"server: { head: { bytes: 65536 } }
listeners: [{ address: 127.0.0.1:0 }]
apis: { a: { hosts: ['*'], routes: [{ path: /, public: true, to: gone }] } }
"#,
        r#"
error[bad-value]: `65536` has no unit; write `65536B` for bytes (units: B, KiB, MiB, GiB)
 --> t.yaml:1:26
  |
1 | server: { head: { bytes: 65536 } }
  |                          ^^^^^
"#,
    );
}

#[test]
fn a_rate_that_lets_nothing_through_is_refused() {
    assert_said(
        r#"limits:
  l: { rate: 0/s, per: customer }
listeners: [{ address: 127.0.0.1:0 }]
apis: { a: { hosts: ['*'], routes: [{ path: /, public: true, to: gone }] } }
"#,
        r#"
error[bad-value]: `0/s` lets nothing through; a rate is at least `1/d`
 --> t.yaml:2:14
  |
2 |   l: { rate: 0/s, per: customer }
  |              ^^^
"#,
    );
}

#[test]
fn a_number_out_of_range_is_refused() {
    assert_said(
        r#"server: { workers: 5000 }
listeners: [{ address: 127.0.0.1:0 }]
apis: { a: { hosts: ['*'], routes: [{ path: /, public: true, to: gone }] } }
"#,
        r#"
error[out-of-range]: `workers` must be from 0 to 1024, not 5000
 --> t.yaml:1:20
  |
1 | server: { workers: 5000 }
  |                    ^^^^
"#,
    );
}

#[test]
fn a_number_where_text_belongs_is_refused_with_the_quotes_to_write() {
    assert_said(
        r#"customers:
  c: { plan: 7 }
listeners: [{ address: 127.0.0.1:0 }]
apis: { a: { hosts: ['*'], routes: [{ path: /, public: true, to: gone }] } }
"#,
        r#"
error[wrong-type]: `plan` must be text, not a number
 --> t.yaml:2:14
  |
2 |   c: { plan: 7 }
  |              ^
  = hint: put it in quotes: `"7"`
"#,
    );
}

#[test]
fn a_wrong_word_is_answered_with_the_nearest_one() {
    assert_said(
        r#"limits:
  l: { per: [customer, adress] }
listeners: [{ address: 127.0.0.1:0 }]
apis: { a: { hosts: ['*'], routes: [{ path: /, public: true, to: gone }] } }
"#,
        r#"
error[unknown-word]: an item of `per` cannot be `adress`, did you mean `address`?
 --> t.yaml:2:24
  |
2 |   l: { per: [customer, adress] }
  |                        ^^^^^^
  = hint: write one of `customer`, `tenant`, `subject`, `client`, `address`, `route`
"#,
    );
}

#[test]
fn a_list_where_a_map_belongs_is_refused() {
    assert_said(
        r#"regions: [us-1, eu-1]
listeners: [{ address: 127.0.0.1:0 }]
apis: { a: { hosts: ['*'], routes: [{ path: /, public: true, to: gone }] } }
"#,
        r#"
error[wrong-type]: `regions` must be a map, not a list
 --> t.yaml:1:10
  |
1 | regions: [us-1, eu-1]
  |          ^
  = hint: write `NAME: …`, one a line
"#,
    );
}

#[test]
fn a_key_without_a_value_is_refused() {
    assert_said(
        r#"listeners:
  - address: 127.0.0.1:0
    tls:
apis: { a: { hosts: ['*'], routes: [{ path: /, public: true, to: gone }] } }
"#,
        r#"
error[no-value]: `tls` has no value
 --> t.yaml:3:8
  |
3 |     tls:
  |        ^
  = hint: write a map (`{}` for an empty one) or remove the key
"#,
    );
}

#[test]
fn two_equal_keys_are_refused_with_the_place_of_the_first() {
    assert_said(
        r#"regions:
  us-1: { hosts: [a.test] }
  us-1: { hosts: [b.test] }
listeners: [{ address: 127.0.0.1:0 }]
apis: { a: { hosts: ['*'], routes: [{ path: /, public: true, to: gone }] } }
"#,
        r#"
error[duplicate-key]: `us-1` stands here twice
 --> t.yaml:3:3
  |
3 |   us-1: { hosts: [b.test] }
  |   ^^^^
  = hint: the first is on line 2
"#,
    );
}

#[test]
fn an_address_without_port_is_refused() {
    assert_said(
        r#"listeners:
  - address: 127.0.0.1
apis: { a: { hosts: ['*'], routes: [{ path: /, public: true, to: gone }] } }
"#,
        r#"
error[bad-value]: `127.0.0.1` has no port; write for example `127.0.0.1:8080` or `[::]:8443`
 --> t.yaml:2:14
  |
2 |   - address: 127.0.0.1
  |              ^^^^^^^^^
"#,
    );
}

#[test]
fn two_listeners_on_one_address_are_refused() {
    assert_said(
        r#"listeners:
  - address: 127.0.0.1:8080
  - address: 127.0.0.1:8080
admin: { address: 127.0.0.1:8080 }
apis: { a: { hosts: ['*'], routes: [{ path: /, public: true, to: gone }] } }
"#,
        r#"
error[duplicate-address]: two listeners on `127.0.0.1:8080`
 --> t.yaml:3:14
  |
3 |   - address: 127.0.0.1:8080
  |              ^^^^^^^^^^^^^^
  = hint: the first is at line 2

error[duplicate-address]: the admin listener and a listener for clients share `127.0.0.1:8080`
 --> t.yaml:4:19
  |
4 | admin: { address: 127.0.0.1:8080 }
  |                   ^^^^^^^^^^^^^^
  = hint: give the admin listener an address that clients do not reach
"#,
    );
}

#[test]
fn a_configuration_needs_a_listener_and_an_api() {
    assert_said(
        r#"admin: {}
"#,
        r#"
error[missing-key]: the configuration needs at least one listener
 --> t.yaml:1:1
  |
1 | admin: {}
  | ^
  = hint: write `listeners: [{ address: 127.0.0.1:8080 }]`

error[missing-key]: the configuration needs at least one api
 --> t.yaml:1:1
  |
1 | admin: {}
  | ^
  = hint: write `apis:`, by name, each with `hosts:` and `routes:`
"#,
    );
}

#[test]
fn a_tls_listener_cannot_redirect_and_needs_a_key() {
    assert_said(
        r#"listeners:
  - address: 127.0.0.1:0
    redirect: https
    tls: { certificate: none.pem }
apis: { a: { hosts: ['*'], routes: [{ path: /, public: true, to: gone }] } }
"#,
        r#"
error[contradiction]: a listener with `tls` cannot redirect to HTTPS: it is HTTPS
 --> t.yaml:3:15
  |
3 |     redirect: https
  |               ^^^^^
  = hint: give the redirect a listener of its own, without `tls`

error[missing-key]: a `certificate` without its `key`
 --> t.yaml:4:25
  |
4 |     tls: { certificate: none.pem }
  |                         ^^^^^^^^
  = hint: add `key: FILE`
"#,
    );
}

#[test]
fn a_dangling_backend_is_answered_with_the_nearest_one() {
    assert_said(
        r#"backends:
  things: { endpoints: [http://127.0.0.1:1] }
apis:
  a:
    hosts: ["*"]
    routes:
      - path: /
        public: true
        to: { backend: thing }
listeners: [{ address: 127.0.0.1:0 }]
"#,
        r#"
error[unknown-name]: there is no backend `thing`, did you mean `things`?
 --> t.yaml:9:24
  |
9 |         to: { backend: thing }
  |                        ^^^^^
  = hint: `backends:` has `things`
"#,
    );
}

#[test]
fn dangling_names_of_every_kind_are_found_in_one_run() {
    assert_said(
        r#"customers:
  c: { plan: gold, region: us, limits: { fast: { rate: 1/s } } }
backends:
  b: { regions: { us-2: [http://127.0.0.1:1] } }
apis:
  a:
    hosts: ["*"]
    dialect: central
    credentials: [bearer: idp]
    access: {}
    limits: [per-customer]
    region: { default: eu-1 }
    routes: [{ path: /, to: gone }]
listeners: [{ address: 127.0.0.1:0 }]
"#,
        r#"
error[unknown-name]: there is no plan `gold`
 --> t.yaml:2:14
  |
2 |   c: { plan: gold, region: us, limits: { fast: { rate: 1/s } } }
  |              ^^^^
  = hint: `plans:` declares none

error[unknown-name]: there is no region `us`
 --> t.yaml:2:28
  |
2 |   c: { plan: gold, region: us, limits: { fast: { rate: 1/s } } }
  |                            ^^
  = hint: `regions:` declares none

error[unknown-name]: there is no limit `fast`
 --> t.yaml:2:42
  |
2 |   c: { plan: gold, region: us, limits: { fast: { rate: 1/s } } }
  |                                          ^^^^
  = hint: `limits:` declares none

error[unknown-name]: there is no region `us-2`
 --> t.yaml:4:19
  |
4 |   b: { regions: { us-2: [http://127.0.0.1:1] } }
  |                   ^^^^
  = hint: `regions:` declares none

error[unknown-name]: there is no dialect `central`
 --> t.yaml:8:14
  |
8 |     dialect: central
  |              ^^^^^^^
  = hint: `dialects:` has `standard`

error[unknown-name]: there is no issuer `idp`
 --> t.yaml:9:27
  |
9 |     credentials: [bearer: idp]
  |                           ^^^
  = hint: `issuers:` declares none

error[unknown-name]: there is no limit `per-customer`
  --> t.yaml:11:14
   |
11 |     limits: [per-customer]
   |              ^^^^^^^^^^^^
   = hint: `limits:` declares none

error[unknown-name]: there is no region `eu-1`
  --> t.yaml:12:24
   |
12 |     region: { default: eu-1 }
   |                        ^^^^
   = hint: `regions:` declares none
"#,
    );
}

#[test]
fn a_route_with_neither_access_nor_public_is_refused() {
    assert_said(
        r#"apis:
  a:
    hosts: ["*"]
    routes:
      - path: /open
        public: true
        to: gone
      - path: /closed
        to: gone
listeners: [{ address: 127.0.0.1:0 }]
"#,
        r#"
error[no-access]: the route `/closed` has neither `access` nor `public: true`
 --> t.yaml:8:9
  |
8 |       - path: /closed
  |         ^
  = hint: write `access: {}` if a credential is enough, here or at the api
"#,
    );
}

#[test]
fn access_without_anybody_who_vouches_is_refused() {
    assert_said(
        r#"apis:
  a:
    hosts: ["*"]
    routes:
      - path: /
        access: {}
        to: gone
listeners: [{ address: 127.0.0.1:0 }]
"#,
        r#"
error[no-credentials]: the route `/` asks for access, but nobody can vouch for callers
 --> t.yaml:5:9
  |
5 |       - path: /
  |         ^
  = hint: add `credentials: [{ bearer: ISSUER }]`, here or at the api
"#,
    );
}

#[test]
fn two_issuers_with_one_name_in_tokens_are_refused_for_one_route() {
    assert_said(
        r#"issuers:
  people: { issuer: x, audience: web, algorithms: RS256, keys: { url: https://idp.example/k } }
  machines: { issuer: x, audience: api, algorithms: RS256, keys: { url: https://idp.example/k } }
apis:
  a:
    hosts: ["*"]
    access: {}
    credentials: [bearer: people]
    routes:
      - { path: /machines, credentials: [bearer: machines], to: gone }
      - { path: /, credentials: [bearer: people, bearer: machines], to: gone }
listeners: [{ address: 127.0.0.1:0 }]
"#,
        r#"
error[contradiction]: `machines` and `people` have the same `issuer`, so nothing tells which of them a token is for
  --> t.yaml:11:58
   |
11 |       - { path: /, credentials: [bearer: people, bearer: machines], to: gone }
   |                                                          ^^^^^^^^
   = hint: make them one issuer with both audiences, or give each its own routes
"#,
    );
}

#[test]
fn a_public_route_with_access_is_refused() {
    assert_said(
        r#"issuers:
  idp: { issuer: x, audience: a, algorithms: RS256, keys: { url: https://idp.example/k } }
apis:
  a:
    hosts: ["*"]
    credentials: [bearer: idp]
    routes:
      - path: /
        public: true
        access: { scopes: [read] }
        to: gone
listeners: [{ address: 127.0.0.1:0 }]
"#,
        r#"
error[contradiction]: the route is `public`, and asks for `access`
  --> t.yaml:10:17
   |
10 |         access: { scopes: [read] }
   |                 ^
   = hint: remove one of them
"#,
    );
}

#[test]
fn two_routes_for_the_same_calls_are_refused() {
    assert_said(
        r#"apis:
  a:
    hosts: ["*"]
    routes:
      - { path: "/a/{id}", methods: [GET, PUT], public: true, to: gone }
      - { path: "/a/{name}", methods: [PUT], public: true, to: gone }
listeners: [{ address: 127.0.0.1:0 }]
"#,
        r#"
error[duplicate-route]: two routes for `/a/{name}` with the same method
 --> t.yaml:6:17
  |
6 |       - { path: "/a/{name}", methods: [PUT], public: true, to: gone }
  |                 ^^^^^^^^^^^
  = hint: the first is at line 5
"#,
    );
}

#[test]
fn two_apis_on_one_host_are_refused() {
    assert_said(
        r#"apis:
  a: { hosts: [api.test], routes: [{ path: /, public: true, to: gone }] }
  b: { hosts: [API.test], routes: [{ path: /, public: true, to: gone }] }
listeners: [{ address: 127.0.0.1:0 }]
"#,
        r#"
error[duplicate-host]: the host `api.test` belongs to the api `a` already
 --> t.yaml:3:16
  |
3 |   b: { hosts: [API.test], routes: [{ path: /, public: true, to: gone }] }
  |                ^^^^^^^^
  = hint: it stands at line 2
"#,
    );
}

#[test]
fn a_path_that_no_request_can_have_is_refused() {
    assert_said(
        r#"apis:
  a:
    hosts: ["*"]
    routes:
      - { path: /a/../b, public: true, to: gone }
      - { path: "/{*rest}/b", public: true, to: gone }
      - { path: b, public: true, to: gone }
listeners: [{ address: 127.0.0.1:0 }]
"#,
        r#"
error[bad-value]: the path `/a/../b`: the segment `..` is read in different ways by different servers and is refused in requests
 --> t.yaml:5:17
  |
5 |       - { path: /a/../b, public: true, to: gone }
  |                 ^^^^^^^

error[bad-value]: the path `/{*rest}/b`: the tail `{*rest}` must be the last segment
 --> t.yaml:6:17
  |
6 |       - { path: "/{*rest}/b", public: true, to: gone }
  |                 ^^^^^^^^^^^^

error[bad-value]: the path `b`: must begin with `/`
 --> t.yaml:7:17
  |
7 |       - { path: b, public: true, to: gone }
  |                 ^
"#,
    );
}

#[test]
fn methods_are_case_sensitive_and_tunnels_are_never_given() {
    assert_said(
        r#"apis:
  a:
    hosts: ["*"]
    routes:
      - { path: /, methods: [get, CONNECT], public: true, to: gone }
listeners: [{ address: 127.0.0.1:0 }]
"#,
        r#"
error[bad-value]: methods are case-sensitive; write `GET`
 --> t.yaml:5:30
  |
5 |       - { path: /, methods: [get, CONNECT], public: true, to: gone }
  |                              ^^^

error[bad-value]: `CONNECT` asks for a tunnel, which is never given
 --> t.yaml:5:35
  |
5 |       - { path: /, methods: [get, CONNECT], public: true, to: gone }
  |                                   ^^^^^^^
"#,
    );
}

#[test]
fn a_limit_by_a_claim_that_nobody_maps_is_refused() {
    assert_said(
        r#"issuers:
  idp: { issuer: x, audience: a, algorithms: RS256, keys: { url: https://idp.example/k } }
limits:
  per-customer: { per: customer }
apis:
  a:
    hosts: ["*"]
    credentials: [bearer: idp]
    access: {}
    limits: [per-customer]
    routes: [{ path: /, to: gone }]
listeners: [{ address: 127.0.0.1:0 }]
"#,
        r#"
error[claim-not-mapped]: the limit `per-customer` counts per customer, but the issuer `idp` maps no such claim
  --> t.yaml:10:14
   |
10 |     limits: [per-customer]
   |              ^^^^^^^^^^^^
   = hint: add `claims: { customer: NAME }` to the issuer
"#,
    );
}

#[test]
fn a_header_for_a_claim_that_nobody_maps_is_refused() {
    assert_said(
        r#"issuers:
  idp: { issuer: x, audience: a, algorithms: RS256, keys: { url: https://idp.example/k } }
apis:
  a:
    hosts: ["*"]
    credentials: [bearer: idp]
    access: {}
    headers: { tenant: X-Tenant-ID, customer: X_Tenant_ID }
    region: { from: claim }
    routes: [{ path: /, to: gone }]
listeners: [{ address: 127.0.0.1:0 }]
"#,
        r#"
error[claim-not-mapped]: `x-tenant-id` carries the tenant, but the issuer `idp` maps neither tenant nor customer
 --> t.yaml:8:24
  |
8 |     headers: { tenant: X-Tenant-ID, customer: X_Tenant_ID }
  |                        ^^^^^^^^^^^
  = hint: add `claims: { tenant: NAME }` to the issuer

error[duplicate]: `customer` and `tenant` go to the backend under one name, `x_tenant_id`
 --> t.yaml:8:47
  |
8 |     headers: { tenant: X-Tenant-ID, customer: X_Tenant_ID }
  |                                               ^^^^^^^^^^^
  = hint: give each a name of its own

error[claim-not-mapped]: `x_tenant_id` carries the customer, but the issuer `idp` maps no such claim
 --> t.yaml:8:47
  |
8 |     headers: { tenant: X-Tenant-ID, customer: X_Tenant_ID }
  |                                               ^^^^^^^^^^^
  = hint: add `claims: { customer: NAME }` to the issuer

error[claim-not-mapped]: the region is to come from a claim, but no issuer of this api maps one
 --> t.yaml:9:21
  |
9 |     region: { from: claim }
  |                     ^^^^^
  = hint: add `claims: { region: NAME }` to the issuer, or remove `claim` here
"#,
    );
}

#[test]
fn a_limit_by_identity_on_a_public_route_is_refused() {
    assert_said(
        r#"limits:
  per-customer: { per: customer }
apis:
  a:
    hosts: ["*"]
    routes:
      - path: /
        public: true
        limits: [per-customer]
        to: gone
listeners: [{ address: 127.0.0.1:0 }]
"#,
        r#"
error[limit-needs-identity]: the limit `per-customer` counts by who is calling, and on a public route nobody is known
 --> t.yaml:9:18
  |
9 |         limits: [per-customer]
  |                  ^^^^^^^^^^^^
  = hint: use a limit `per: address`, or ask for `access`
"#,
    );
}

#[test]
fn hs256_needs_a_secret_and_a_secret_needs_hs256() {
    assert_said(
        r#"issuers:
  one: { issuer: x, audience: a, algorithms: [HS256], keys: { url: https://idp.example/k } }
  two: { issuer: x, audience: a, algorithms: [ES256], keys: { secret: { environment: LONG } } }
  three: { issuer: x, audience: a, algorithms: [none], keys: { url: https://idp.example/k } }
listeners: [{ address: 127.0.0.1:0 }]
apis: { a: { hosts: ['*'], routes: [{ path: /, public: true, to: gone }] } }
"#,
        r#"
error[algorithm-without-key]: HS256 is signed with a shared secret, and `keys` has none
 --> t.yaml:2:47
  |
2 |   one: { issuer: x, audience: a, algorithms: [HS256], keys: { url: https://idp.example/k } }
  |                                               ^^^^^
  = hint: add `keys: { secret: { file: FILE } }`, or remove HS256

error[algorithm-without-key]: this algorithm needs a public key, and `keys` has only a secret
 --> t.yaml:3:47
  |
3 |   two: { issuer: x, audience: a, algorithms: [ES256], keys: { secret: { environment: LONG } } }
  |                                               ^^^^^
  = hint: add `keys: { file: FILE }` or `keys: { url: URL }`

error[algorithm-without-key]: a `secret` is for HS256, which `algorithms` does not accept
 --> t.yaml:3:71
  |
3 |   two: { issuer: x, audience: a, algorithms: [ES256], keys: { secret: { environment: LONG } } }
  |                                                                       ^
  = hint: add HS256 to `algorithms`, or remove the secret

error[bad-value]: `none` means an unsigned token, which is never accepted
 --> t.yaml:4:49
  |
4 |   three: { issuer: x, audience: a, algorithms: [none], keys: { url: https://idp.example/k } }
  |                                                 ^^^^
"#,
    );
}

#[test]
fn a_short_secret_is_refused_without_being_shown() {
    assert_said(
        r#"issuers:
  one: { issuer: x, audience: a, algorithms: [HS256], keys: { secret: { environment: SHORT } } }
  two: { issuer: x, audience: a, algorithms: [HS256], keys: { secret: { environment: UNSET } } }
listeners: [{ address: 127.0.0.1:0 }]
apis: { a: { hosts: ['*'], routes: [{ path: /, public: true, to: gone }] } }
"#,
        r#"
error[secret-too-short]: the secret in the environment variable `SHORT` has 6 bytes; it needs at least 32
 --> t.yaml:2:86
  |
2 |   one: { issuer: x, audience: a, algorithms: [HS256], keys: { secret: { environment: SHORT } } }
  |                                                                                      ^^^^^
  = hint: make one with `openssl rand -base64 48`

error[variable-not-set]: the environment variable `UNSET` is not set
 --> t.yaml:3:86
  |
3 |   two: { issuer: x, audience: a, algorithms: [HS256], keys: { secret: { environment: UNSET } } }
  |                                                                                      ^^^^^
  = hint: set it to the secret, at least 32 bytes
"#,
    );
}

#[test]
fn a_secret_in_the_file_is_refused_without_being_shown() {
    assert_said(
        r#"issuers:
  one: { issuer: x, audience: a, algorithms: [HS256], keys: { secret: canary-canary } }
listeners: [{ address: 127.0.0.1:0 }]
apis: { a: { hosts: ['*'], routes: [{ path: /, public: true, to: gone }] } }
"#,
        r#"
error[wrong-type]: `secret` cannot be text
 --> t.yaml:2:71
  |
2 |   one: { issuer: x, audience: a, algorithms: [HS256], keys: { secret: ***
  |                                                                       ^^^
  = hint: write a map with one of `file`, `environment`
"#,
    );
}

#[test]
fn a_key_file_that_is_not_there_is_refused() {
    assert_said(
        r#"issuers:
  one: { issuer: x, audience: a, algorithms: [ES256], keys: { file: keys/none.pem } }
listeners: [{ address: 127.0.0.1:0 }]
apis: { a: { hosts: ['*'], routes: [{ path: /, public: true, to: gone }] } }
"#,
        r#"
error[file-unreadable]: cannot read `keys/none.pem`: there is no such file
 --> t.yaml:2:69
  |
2 |   one: { issuer: x, audience: a, algorithms: [ES256], keys: { file: keys/none.pem } }
  |                                                                     ^^^^^^^^^^^^^
  = hint: names are relative to the file that they stand in
"#,
    );
}

#[test]
fn keys_have_exactly_one_source_and_come_by_https() {
    assert_said(
        r#"issuers:
  one: { issuer: x, audience: a, algorithms: [ES256], keys: {} }
  two: { issuer: x, audience: [], algorithms: [ES256], keys: { url: http://idp.example/k } }
  three: { issuer: x, audience: a, algorithms: [ES256], keys: { url: http://127.0.0.1/k, file: k.pem } }
listeners: [{ address: 127.0.0.1:0 }]
apis: { a: { hosts: ['*'], routes: [{ path: /, public: true, to: gone }] } }
"#,
        r#"
error[one-of]: `keys` names no source
 --> t.yaml:2:61
  |
2 |   one: { issuer: x, audience: a, algorithms: [ES256], keys: {} }
  |                                                             ^
  = hint: one of `file`, `url`, `secret`

error[empty-list]: `audience` names nobody
 --> t.yaml:3:31
  |
3 |   two: { issuer: x, audience: [], algorithms: [ES256], keys: { url: http://idp.example/k } }
  |                               ^
  = hint: name what the tokens for this gateway carry in `aud`; without it a token for another service is taken here

error[plain-http]: keys are fetched by `https`, or by `http` from a loopback address
 --> t.yaml:3:69
  |
3 |   two: { issuer: x, audience: [], algorithms: [ES256], keys: { url: http://idp.example/k } }
  |                                                                     ^^^^^^^^^^^^^^^^^^^^
  = hint: whoever is on the way could forge every token; `danger_plain_http: true` accepts that

error[one-of]: `keys` takes exactly one of `file`, `url` and `secret`
 --> t.yaml:4:63
  |
4 |   three: { issuer: x, audience: a, algorithms: [ES256], keys: { url: http://127.0.0.1/k, file: k.pem } }
  |                                                               ^
  = hint: several sources are a list: `keys: [{ file: … }, { url: … }]`
"#,
    );
}

#[test]
fn deadlines_towards_a_backend_contain_each_other() {
    assert_said(
        r#"backends:
  b:
    endpoints: [http://127.0.0.1:1]
    timeouts: { connect: 5s, first-byte: 2s, whole: 1s }
listeners: [{ address: 127.0.0.1:0 }]
apis: { a: { hosts: ['*'], routes: [{ path: /, public: true, to: gone }] } }
"#,
        r#"
error[contradiction]: `connect` is longer than `first-byte`, which includes it
 --> t.yaml:4:26
  |
4 |     timeouts: { connect: 5s, first-byte: 2s, whole: 1s }
  |                          ^^
  = hint: connect ≤ first-byte ≤ whole

error[contradiction]: `first-byte` is longer than `whole`, which includes it
 --> t.yaml:4:42
  |
4 |     timeouts: { connect: 5s, first-byte: 2s, whole: 1s }
  |                                          ^^
  = hint: connect ≤ first-byte ≤ whole
"#,
    );
}

#[test]
fn an_endpoint_is_scheme_host_and_port() {
    assert_said(
        r#"backends:
  a: { endpoints: [10.0.0.1:80] }
  b: { endpoints: [http://10.0.0.1/v1] }
  c: { endpoints: [http://user:canary@10.0.0.1] }
  d: {}
  e: { endpoints: [http://10.0.0.1], tls: {} }
listeners: [{ address: 127.0.0.1:0 }]
apis: { a: { hosts: ['*'], routes: [{ path: /, public: true, to: gone }] } }
"#,
        r#"
error[bad-value]: `10.0.0.1:80` needs `http://` or `https://` in front
 --> t.yaml:2:20
  |
2 |   a: { endpoints: [10.0.0.1:80] }
  |                    ^^^^^^^^^^^

error[bad-value]: `http://10.0.0.1/v1` has a path; an endpoint is scheme, host and port (a route can `rewrite`)
 --> t.yaml:3:20
  |
3 |   b: { endpoints: [http://10.0.0.1/v1] }
  |                    ^^^^^^^^^^^^^^^^^^

error[bad-value]: an endpoint takes no user or password
 --> t.yaml:4:20
  |
4 |   c: { endpoints: [http://***@10.0.0.1] }
  |                    ^^^^^^^^^^^^^^^^^^^^^^

error[missing-key]: the backend `d` has no endpoint
 --> t.yaml:5:3
  |
5 |   d: {}
  |   ^
  = hint: add `endpoints: [http://HOST:PORT]`, `regions:` or `respond:`

error[contradiction]: `tls` is for `https` endpoints, and this backend has none
 --> t.yaml:6:43
  |
6 |   e: { endpoints: [http://10.0.0.1], tls: {} }
  |                                           ^
  = hint: write the endpoints as `https://…`, or remove `tls`
"#,
    );
}

#[test]
fn a_region_that_no_backend_serves_is_refused() {
    assert_said(
        r#"regions:
  us-1: { hosts: [us.test] }
  eu-1: { hosts: [eu.test] }
backends:
  b: { regions: { us-1: [http://127.0.0.1:1] } }
apis:
  a:
    hosts: regions
    routes: [{ path: /, public: true, to: { backend: b } }]
listeners: [{ address: 127.0.0.1:0 }]
"#,
        r#"
error[region-unreachable]: no backend of the api `a` serves `eu-1`
 --> t.yaml:7:3
  |
7 |   a:
  |   ^
  = hint: add the region to a backend, or `endpoints:` that serve every region
"#,
    );
}

#[test]
fn an_item_cap_counts_one_thing() {
    assert_said(
        r#"apis:
  a:
    hosts: ["*"]
    routes:
      - { path: /a, public: true, items: { query: limit, body: /x }, to: gone }
      - { path: /b, public: true, items: { body: x, max: 5 }, to: gone }
      - { path: /c, public: true, items: { query: limit, max: 0 }, to: gone }
listeners: [{ address: 127.0.0.1:0 }]
"#,
        r#"
error[one-of]: `items` takes exactly one of `query` and `body`
 --> t.yaml:5:42
  |
5 |       - { path: /a, public: true, items: { query: limit, body: /x }, to: gone }
  |                                          ^
  = hint: `query: NAME` for a parameter, `body: /pointer` for an array in the body

error[bad-value]: `x` is not a JSON Pointer; write `/x`
 --> t.yaml:6:50
  |
6 |       - { path: /b, public: true, items: { body: x, max: 5 }, to: gone }
  |                                                  ^

error[out-of-range]: `max` must be from 1 to 1000000000, not 0
 --> t.yaml:7:63
  |
7 |       - { path: /c, public: true, items: { query: limit, max: 0 }, to: gone }
  |                                                               ^
"#,
    );
}

#[test]
fn a_target_is_one_thing() {
    assert_said(
        r#"apis:
  a:
    hosts: ["*"]
    routes:
      - { path: /a, public: true, to: { backend: b, respond: {} } }
      - { path: /b, public: true, to: { bakend: b } }
      - { path: /c, public: true, to: gonne }
listeners: [{ address: 127.0.0.1:0 }]
"#,
        r#"
error[one-of]: `to` takes exactly one key
 --> t.yaml:5:53
  |
5 |       - { path: /a, public: true, to: { backend: b, respond: {} } }
  |                                                     ^^^^^^^
  = hint: one of `backend`, `respond`, `sign-in`, `sign-out`, `authorize`, `authorize-step`, `mint-client`, `token`, `revoke`, `delete-token`, `introspect`, `metadata` and 9 more

error[unknown-key]: unknown key `bakend`, did you mean `backend`?
 --> t.yaml:6:41
  |
6 |       - { path: /b, public: true, to: { bakend: b } }
  |                                         ^^^^^^
  = hint: keys here are `backend`, `respond`, `sign-in`, `sign-out`, `authorize`, `authorize-step`, `mint-client`, `token`, `revoke`, `delete-token`, `introspect`, `metadata` and 9 more

error[unknown-word]: `to` cannot be `gonne`, did you mean `gone`?
 --> t.yaml:7:39
  |
7 |       - { path: /c, public: true, to: gonne }
  |                                       ^^^^^
  = hint: write `gone` or a map with one of `backend`, `respond`, `sign-in`, `sign-out`, `authorize`, `authorize-step`, `mint-client`, `token`, `revoke`, `delete-token`, `introspect`, `metadata` and 9 more
"#,
    );
}

#[test]
fn a_rewrite_fits_its_path() {
    assert_said(
        r#"backends:
  b: { endpoints: [http://127.0.0.1:1] }
apis:
  a:
    hosts: ["*"]
    routes:
      - { path: "/a/{id}", public: true, rewrite: { strip-prefix: /b }, to: { backend: b } }
      - { path: "/b/{id}", public: true, rewrite: { template: "/c/{ids}" }, to: { backend: b } }
      - { path: /c, public: true, rewrite: { strip-prefix: /c }, to: gone }
listeners: [{ address: 127.0.0.1:0 }]
"#,
        r#"
error[contradiction]: `/b` is not a prefix of `/a/{id}`
 --> t.yaml:7:67
  |
7 |       - { path: "/a/{id}", public: true, rewrite: { strip-prefix: /b }, to: { backend: b } }
  |                                                                   ^^
  = hint: whole segments, as they stand in `path`

error[unknown-name]: `/b/{id}` captures no `ids`, did you mean `id`?
 --> t.yaml:8:63
  |
8 |       - { path: "/b/{id}", public: true, rewrite: { template: "/c/{ids}" }, to: { backend: b } }
  |                                                               ^^^^^^^^^^
  = hint: the path captures `id`

error[contradiction]: `rewrite` is for calls to a backend
 --> t.yaml:9:44
  |
9 |       - { path: /c, public: true, rewrite: { strip-prefix: /c }, to: gone }
  |                                            ^
  = hint: remove it, or write `to: { backend: NAME }`
"#,
    );
}

#[test]
fn a_rewrite_makes_a_path_in_normal_form() {
    assert_said(
        r#"backends:
  b: { endpoints: [http://127.0.0.1:1] }
apis:
  a:
    hosts: ["*"]
    routes:
      - { path: "/a/{id}", public: true, rewrite: { template: "/x/{id}/../y" }, to: { backend: b } }
      - { path: "/b/{id}", public: true, rewrite: { template: "/x//{id}" }, to: { backend: b } }
      - { path: "/c/{id}", public: true, rewrite: { template: "/%78/{id}" }, to: { backend: b } }
      - { path: "/d/{id}", public: true, rewrite: { template: "/x/%2e%2E/%2E%2e/{id}" }, to: { backend: b } }
      - { path: "/f/{id}", public: true, rewrite: { template: "/x%2f/{id}" }, to: { backend: b } }
      - { path: "/g/{id}", public: true, rewrite: { template: "/x\\y/{id}" }, to: { backend: b } }
      - { path: "/h/{id}", public: true, rewrite: { template: "/%7B/{id}/;v=1/" }, to: { backend: b } }
      - { path: "/i/{id}", public: true, rewrite: { template: "/%7B/{id}/a;v=1/" }, to: { backend: b } }
listeners: [{ address: 127.0.0.1:0 }]
"#,
        r#"
error[not-normal]: `/x/{id}/../y` is not in the normal form of a path
 --> t.yaml:7:63
  |
7 |       - { path: "/a/{id}", public: true, rewrite: { template: "/x/{id}/../y" }, to: { backend: b } }
  |                                                               ^^^^^^^^^^^^^^
  = hint: write `/x/y`

error[not-normal]: `/x//{id}` is not in the normal form of a path
 --> t.yaml:8:63
  |
8 |       - { path: "/b/{id}", public: true, rewrite: { template: "/x//{id}" }, to: { backend: b } }
  |                                                               ^^^^^^^^^^
  = hint: write `/x/{id}`

error[not-normal]: `/%78/{id}` is not in the normal form of a path
 --> t.yaml:9:63
  |
9 |       - { path: "/c/{id}", public: true, rewrite: { template: "/%78/{id}" }, to: { backend: b } }
  |                                                               ^^^^^^^^^^^
  = hint: write `/x/{id}`

error[not-normal]: `/x/%2e%2E/%2E%2e/{id}` is not in the normal form of a path: the path leads out of the root
  --> t.yaml:10:63
   |
10 |       - { path: "/d/{id}", public: true, rewrite: { template: "/x/%2e%2E/%2E%2e/{id}" }, to: { backend: b } }
   |                                                               ^^^^^^^^^^^^^^^^^^^^^^^
   = hint: write the path as the backend is to see it

error[not-normal]: `/x%2f/{id}` is not in the normal form of a path: the path has an encoded slash or a backslash
  --> t.yaml:11:63
   |
11 |       - { path: "/f/{id}", public: true, rewrite: { template: "/x%2f/{id}" }, to: { backend: b } }
   |                                                               ^^^^^^^^^^^^
   = hint: write the path as the backend is to see it

error[bad-value]: `/x\y/{id}` has the character '\\', which no path has
  --> t.yaml:12:63
   |
12 |       - { path: "/g/{id}", public: true, rewrite: { template: "/x\\y/{id}" }, to: { backend: b } }
   |                                                               ^^^^^^^^^^^^

error[not-normal]: `/%7B/{id}/;v=1/` is not in the normal form of a path: the path hides a dot segment or a slash
  --> t.yaml:13:63
   |
13 |       - { path: "/h/{id}", public: true, rewrite: { template: "/%7B/{id}/;v=1/" }, to: { backend: b } }
   |                                                               ^^^^^^^^^^^^^^^^^
   = hint: write the path as the backend is to see it
"#,
    );
}

#[test]
fn a_dialect_names_codes_and_placeholders_that_exist() {
    assert_said(
        r#"dialects:
  d:
    rate_limitd: { status: 429 }
    no_route: { json: { m: "{detial}" } }
    route_gone: { content-type: application/json, body: "{" }
listeners: [{ address: 127.0.0.1:0 }]
apis: { a: { hosts: ['*'], routes: [{ path: /, public: true, to: gone }] } }
"#,
        r#"
error[unknown-key]: unknown key `rate_limitd`, did you mean `rate_limited`?
 --> t.yaml:3:5
  |
3 |     rate_limitd: { status: 429 }
  |     ^^^^^^^^^^^
  = hint: keys here are `account_inactive`, `account_suspended`, `authority_unavailable`, `bad_request`, `body_too_large`, `client_unknown`, `credentials_invalid`, `credentials_missing`, `csrf_failed`, `expectation_failed`, `file`, `headers_too_large` and 30 more

error[unknown-placeholder]: nothing is put in place of `{detial}`, did you mean `detail`?
 --> t.yaml:4:23
  |
4 |     no_route: { json: { m: "{detial}" } }
  |                       ^
  = hint: there are `code`, `title`, `detail`, `status`, `request_id`, `retry_after`, `limit`, `host`, `scope`

error[bad-look]: the body of `route_gone` is not JSON: EOF while parsing an object at line 1 column 1
 --> t.yaml:5:17
  |
5 |     route_gone: { content-type: application/json, body: "{" }
  |                 ^
"#,
    );
}

#[test]
fn a_variable_that_is_not_set_is_named_with_its_hint() {
    assert_said(
        r#"admin: { address: "${ADMIN}" }
issuers:
  idp: { issuer: "${ISSUER:?who signs}", audience: "${}", algorithms: RS256, keys: { url: https://idp.example/k } }
listeners: [{ address: 127.0.0.1:0 }]
apis: { a: { hosts: ['*'], routes: [{ path: /, public: true, to: gone }] } }
"#,
        r#"
error[variable-not-set]: the environment variable `ADMIN` is not set
 --> t.yaml:1:19
  |
1 | admin: { address: "${ADMIN}" }
  |                   ^^^^^^^^^^
  = hint: set it, or give a default: `${ADMIN:-…}`

error[variable-not-set]: the environment variable `ISSUER` is not set
 --> t.yaml:3:18
  |
3 |   idp: { issuer: "${ISSUER:?who signs}", audience: "${}", algorithms: RS256, keys: { url: https://idp.example/k } }
  |                  ^^^^^^^^^^^^^^^^^^^^^^
  = hint: who signs

error[bad-interpolation]: `${}` names no variable
 --> t.yaml:3:52
  |
3 |   idp: { issuer: "${ISSUER:?who signs}", audience: "${}", algorithms: RS256, keys: { url: https://idp.example/k } }
  |                                                    ^^^^^
  = hint: write `${NAME}`, `${NAME:-default}` or `${NAME:?hint}`
"#,
    );
}

#[test]
fn what_a_variable_stands_for_is_not_shown() {
    assert_said(
        r#"admin: { address: "${SHORT}" }
server: { workers: "${SHORT}", timeouts: { idle: "${SHORT}" } }
apis: { a: { hosts: ["${SHORT}!"], dialect: "${SHORT}", routes: [{ path: /, public: true, to: gone }] } }
listeners: [{ address: 127.0.0.1:0 }]
"#,
        r#"
error[bad-value]: what `${SHORT}` stands for is not of the form `address`
 --> t.yaml:1:19
  |
1 | admin: { address: "${SHORT}" }
  |                   ^^^^^^^^^^

error[wrong-type]: `workers` must be a whole number, which `${SHORT}` does not stand for
 --> t.yaml:2:20
  |
2 | server: { workers: "${SHORT}", timeouts: { idle: "${SHORT}" } }
  |                    ^^^^^^^^^^

error[bad-value]: what `${SHORT}` stands for is not of the form `duration`
 --> t.yaml:2:50
  |
2 | server: { workers: "${SHORT}", timeouts: { idle: "${SHORT}" } }
  |                                                  ^^^^^^^^^^

error[bad-value]: what `${SHORT}!` stands for is not a host name
 --> t.yaml:3:22
  |
3 | apis: { a: { hosts: ["${SHORT}!"], dialect: "${SHORT}", routes: [{ path: /, public: true, to: gone }] } }
  |                      ^^^^^^^^^^^

error[unknown-name]: there is no dialect `${SHORT}`
 --> t.yaml:3:45
  |
3 | apis: { a: { hosts: ["${SHORT}!"], dialect: "${SHORT}", routes: [{ path: /, public: true, to: gone }] } }
  |                                             ^^^^^^^^^^
  = hint: `dialects:` has `standard`
"#,
    );
}

#[test]
fn a_file_that_is_no_yaml_is_refused_with_the_place() {
    assert_said(
        r#"listeners:
  - address: [
apis: { a: { hosts: ['*'], routes: [{ path: /, public: true, to: gone }] } }
"#,
        r#"
error[yaml-syntax]: this is no YAML: unclosed bracket '['
 --> t.yaml:2:14
  |
2 |   - address: [
  |              ^
"#,
    );
}

#[test]
fn bounds_of_drain_head_and_connections_do_not_contradict() {
    assert_said(
        r#"server:
  drain: { min: 1m, max: 10s }
  head: { bytes: 8KiB, target: 16KiB }
  connections: { max: 10, per-address: 100 }
listeners: [{ address: 127.0.0.1:0 }]
apis: { a: { hosts: ['*'], routes: [{ path: /, public: true, to: gone }] } }
"#,
        r#"
error[contradiction]: `min` of the drain is longer than its `max`
 --> t.yaml:2:17
  |
2 |   drain: { min: 1m, max: 10s }
  |                 ^^
  = hint: connections are accepted for `min`, and cut at `max`

error[contradiction]: the request `target` may be longer than the whole head
 --> t.yaml:3:32
  |
3 |   head: { bytes: 8KiB, target: 16KiB }
  |                                ^^^^^
  = hint: `bytes` is the bound of the whole head, the target included

error[contradiction]: `per-address` is more than `max`
 --> t.yaml:4:40
  |
4 |   connections: { max: 10, per-address: 100 }
  |                                        ^^^
  = hint: one address could then shut out all others
"#,
    );
}

#[test]
fn a_name_outside_the_grammar_is_refused() {
    assert_said(
        r#"regions: { "us 1": {} }
customers: { "a,b": {} }
listeners: [{ address: 127.0.0.1:0 }]
apis: { a: { hosts: ['*'], routes: [{ path: /, public: true, to: gone }] } }
"#,
        r#"
error[bad-name]: the name of this region has the character ' ', which is not allowed here
 --> t.yaml:1:12
  |
1 | regions: { "us 1": {} }
  |            ^^^^^^
  = hint: names are made of letters, digits and `-_.:@/|+=~`

error[bad-name]: the name of this customer has the character ',', which is not allowed here
 --> t.yaml:2:14
  |
2 | customers: { "a,b": {} }
  |              ^^^^^
  = hint: names are made of letters, digits and `-_.:@/|+=~`
"#,
    );
}

#[test]
fn mistakes_of_every_pass_are_found_in_one_run() {
    assert_said(
        r#"server: { workrs: 2 }
limits:
  per-customer: { rate: 7, per: customer }
backends:
  good: { endpoints: [http://127.0.0.1:1], timeouts: { conect: 1s } }
  bad: { endpoints: [127.0.0.1:1] }
apis:
  a:
    hosts: ["*"]
    limits: [per-customer, per-adress]
    routes:
      - { path: /a, public: true, to: { backend: bad } }
      - { path: /b, public: true, to: { backend: god } }
      - { path: /c, to: { backend: good } }
listeners: [{ address: 127.0.0.1:0 }]
"#,
        r#"
error[unknown-key]: unknown key `workrs`, did you mean `workers`?
 --> t.yaml:1:11
  |
1 | server: { workrs: 2 }
  |           ^^^^^^
  = hint: keys here are `connections`, `danger_guard_off`, `drain`, `head`, `http2`, `scheduler`, `timeouts`, `trusted-proxies`, `workers`

error[bad-value]: `7` is not a rate; write for example `7/s` (units: s, m, h, d)
 --> t.yaml:3:25
  |
3 |   per-customer: { rate: 7, per: customer }
  |                         ^

error[unknown-key]: unknown key `conect`, did you mean `connect`?
 --> t.yaml:5:56
  |
5 |   good: { endpoints: [http://127.0.0.1:1], timeouts: { conect: 1s } }
  |                                                        ^^^^^^
  = hint: keys here are `connect`, `first-byte`, `idle`, `whole`

error[bad-value]: `127.0.0.1:1` needs `http://` or `https://` in front
 --> t.yaml:6:22
  |
6 |   bad: { endpoints: [127.0.0.1:1] }
  |                      ^^^^^^^^^^^

error[unknown-name]: there is no limit `per-adress`
  --> t.yaml:10:28
   |
10 |     limits: [per-customer, per-adress]
   |                            ^^^^^^^^^^
   = hint: `limits:` has `per-customer`

error[unknown-name]: there is no backend `god`, did you mean `good`?
  --> t.yaml:13:50
   |
13 |       - { path: /b, public: true, to: { backend: god } }
   |                                                  ^^^
   = hint: `backends:` has `good`, `bad`

error[no-access]: the route `/c` has neither `access` nor `public: true`
  --> t.yaml:14:9
   |
14 |       - { path: /c, to: { backend: good } }
   |         ^
   = hint: write `access: {}` if a credential is enough, here or at the api
"#,
    );
}

#[test]
fn a_log_filter_that_would_switch_the_log_off_and_a_log_in_no_folder_are_found() {
    assert_said(
        r#"listeners: [{ address: 127.0.0.1:0 }]
apis: { a: { hosts: ['*'], routes: [{ path: /, public: true, to: gone }] } }
telemetry:
  access-log: { file: /nonexistent/access.log }
  log: { level: inof }
"#,
        r#"
error[folder-missing]: the folder of `/nonexistent/access.log` is not there
 --> t.yaml:4:23
  |
4 |   access-log: { file: /nonexistent/access.log }
  |                       ^^^^^^^^^^^^^^^^^^^^^^^
  = hint: make it, so that the gateway's user can write to it

error[bad-value]: `inof` is no level; write `error`, `warn`, `info`, `debug` or `trace`, or a filter such as `info,tollgate=debug`
 --> t.yaml:5:17
  |
5 |   log: { level: inof }
  |                 ^^^^
"#,
    );
    assert_said(
        r#"listeners: [{ address: 127.0.0.1:0 }]
apis: { a: { hosts: ['*'], routes: [{ path: /, public: true, to: gone }] } }
telemetry:
  access-log: { file: /nonexistent/access.log }
  log: { level: "warn,tollgate::upstream=debug" }
"#,
        r#"
error[folder-missing]: the folder of `/nonexistent/access.log` is not there
 --> t.yaml:4:23
  |
4 |   access-log: { file: /nonexistent/access.log }
  |                       ^^^^^^^^^^^^^^^^^^^^^^^
  = hint: make it, so that the gateway's user can write to it
"#,
    );
}

#[test]
fn versions_ranges_and_media_types_are_what_they_say() {
    assert_said(
        r#"listeners: [{ address: 127.0.0.1:0 }]
backends:
  b: { endpoints: ["http://127.0.0.1:1"], version: 1.x }
  c: { endpoints: ["http://127.0.0.1:1"] }
apis:
  a:
    hosts: ["*"]
    version: { header: X-Version }
    media-types: [json]
    routes:
      - { path: /a, public: true, ranges: { size: { min: 2, max: 1 } }, to: { backend: c } }
"#,
        r#"
error[bad-value]: `1.x` is not a version; write numbers with dots, `30.2.1`
 --> t.yaml:3:52
  |
3 |   b: { endpoints: ["http://127.0.0.1:1"], version: 1.x }
  |                                                    ^^^

error[contradiction]: calls say for which version they are, and the backend `c` has none to compare it with
 --> t.yaml:8:14
  |
8 |     version: { header: X-Version }
  |              ^
  = hint: add `version: 1.0.0` to the backend: the newest that it speaks

error[bad-value]: `json` is not a media type; write for example `application/json`
 --> t.yaml:9:19
  |
9 |     media-types: [json]
  |                   ^^^^

error[contradiction]: no number is from 2 to 1
  --> t.yaml:11:51
   |
11 |       - { path: /a, public: true, ranges: { size: { min: 2, max: 1 } }, to: { backend: c } }
   |                                                   ^
   = hint: `min` is the least and `max` the most
"#,
    );
}

#[test]
fn a_status_is_about_backends_that_are_asked_and_headers_that_decide_are_different_ones() {
    assert_said(
        r#"listeners: [{ address: 127.0.0.1:0 }]
customers:
  x: { uuid: same }
  y: { uuid: same }
backends:
  b: { endpoints: ["http://127.0.0.1:1"], version: 1.0.0 }
apis:
  a:
    hosts: ["*"]
    tenant-selector: X-Tenant
    tenant-uuid-selector: X_Tenant
    version: { header: X-Version }
    headers: { roles: x.version, tenant-uuid: X-Tenant }
    routes:
      - { path: /a, public: true, to: { status: { services: { s: { backend: b } } } } }
      - { path: /b, public: true, to: { status: {} } }
"#,
        r#"
error[duplicate]: two customers have the UUID `same`
 --> t.yaml:4:14
  |
4 |   y: { uuid: same }
  |              ^^^^
  = hint: the first is at line 3

error[duplicate]: `tenant-uuid-selector` and `tenant-selector` are one header, `x_tenant`
  --> t.yaml:11:27
   |
11 |     tenant-uuid-selector: X_Tenant
   |                           ^^^^^^^^
   = hint: give each a name of its own

error[contradiction]: `x.version` is the header of the `version`, so it cannot carry the roles
  --> t.yaml:13:23
   |
13 |     headers: { roles: x.version, tenant-uuid: X-Tenant }
   |                       ^^^^^^^^^
   = hint: give it another name

error[contradiction]: `x-tenant` is the `tenant-selector`, so it cannot carry the tenant-uuid
  --> t.yaml:13:47
   |
13 |     headers: { roles: x.version, tenant-uuid: X-Tenant }
   |                                               ^^^^^^^^
   = hint: give it another name

error[contradiction]: nobody asks the backend `b` whether it can work
  --> t.yaml:15:77
   |
15 |       - { path: /a, public: true, to: { status: { services: { s: { backend: b } } } } }
   |                                                                             ^
   = hint: add `ready: { path: /health }` to the backend

error[empty-list]: the status is about no service
  --> t.yaml:16:49
   |
16 |       - { path: /b, public: true, to: { status: {} } }
   |                                                 ^
   = hint: write `services: { NAME: { backend: BACKEND } }`
"#,
    );
}

#[test]
fn what_signing_in_elsewhere_asks_for_is_found_in_one_run() {
    assert_said(
        r##"listeners: [{ address: 127.0.0.1:0 }]
store: memory
realms: { r: {} }
token-services: { s: { realm: r, issuer: "https://a.example", audience: [a], scopes: { all: every } } }
providers:
  p:
    issuer-in-answers: true
    authorization: http://login.example.com/authorize
    token: http://login.example.com/token
    client: { id: portal }
    judge: t
apis:
  a:
    hosts: ["*"]
    session: { realm: r, cookie: same, csrf: {} }
    sign-ins:
      one:
        provider: q
        redirect-uri: /back
        cookie: same
        csrf: { rotate: each-use }
        same-site: strict
        lifetime: 1m
        idle: 1h
        after: //evil.example
        after-sign-out: "https://portal.example.com/#top"
    credentials: [signed-in: two]
    access: {}
    routes:
      - { path: /in, methods: [GET], access: {}, to: { begin-sign-in: one } }
      - { path: /out, methods: [GET], public: true, to: { end-sign-in: one } }
"##,
        r##"
error[contradiction]: answers are to say who they are of, and nothing says who that should be
 --> t.yaml:7:24
  |
7 |     issuer-in-answers: true
  |                        ^^^^
  = hint: add `issuer`

error[plain-http]: a provider is spoken to by `https`, or by `http` at a loopback address
 --> t.yaml:8:20
  |
8 |     authorization: http://login.example.com/authorize
  |                    ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  = hint: whoever is on the way could sign in as anybody; `danger_plain_http: true` accepts that

error[plain-http]: a provider is spoken to by `https`, or by `http` at a loopback address
 --> t.yaml:9:12
  |
9 |     token: ***
  |            ^^^
  = hint: whoever is on the way could sign in as anybody; `danger_plain_http: true` accepts that

error[unknown-name]: there is no token service `t`, did you mean `s`?
  --> t.yaml:11:12
   |
11 |     judge: t
   |            ^
   = hint: `token-services:` has `s`

error[unknown-name]: there is no provider `q`, did you mean `p`?
  --> t.yaml:18:19
   |
18 |         provider: q
   |                   ^
   = hint: `providers:` has `p`

error[bad-value]: `/back` is not an absolute URL without a fragment
  --> t.yaml:19:23
   |
19 |         redirect-uri: /back
   |                       ^^^^^
   = hint: write for example `https://portal.example.com/portal/callback`

error[duplicate]: the cookie `same` is another session's
  --> t.yaml:20:17
   |
20 |         cookie: same
   |                 ^^^^
   = hint: give each a cookie of its own

error[duplicate]: the cookie `csrftoken` is another session's
  --> t.yaml:21:15
   |
21 |         csrf: { rotate: each-use }
   |               ^
   = hint: give each a cookie of its own

error[contradiction]: the CSRF value of these sessions does not change
  --> t.yaml:21:15
   |
21 |         csrf: { rotate: each-use }
   |               ^
   = hint: remove `rotate`

error[contradiction]: the browser comes back from another site, and would not bring the cookies of the sign-in
  --> t.yaml:22:20
   |
22 |         same-site: strict
   |                    ^^^^^^
   = hint: write `same-site: lax`

error[contradiction]: `idle` is longer than `lifetime`
  --> t.yaml:24:15
   |
24 |         idle: 1h
   |               ^^
   = hint: idle ≤ lifetime

error[bad-value]: this is not a path of this host
  --> t.yaml:25:16
   |
25 |         after: //evil.example
   |                ^^^^^^^^^^^^^^
   = hint: write for example `/portal/`

error[bad-value]: `https://portal.example.com/#top` is not an absolute URL without a fragment
  --> t.yaml:26:25
   |
26 |         after-sign-out: "https://portal.example.com/#top"
   |                         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
   = hint: write for example `https://portal.example.com/portal/callback`

error[unknown-name]: the api has no sign-in `two`
  --> t.yaml:27:30
   |
27 |     credentials: [signed-in: two]
   |                              ^^^
   = hint: there are `one`

error[contradiction]: the beginning of a sign-in is for callers whom nobody knows yet
  --> t.yaml:30:54
   |
30 |       - { path: /in, methods: [GET], access: {}, to: { begin-sign-in: one } }
   |                                                      ^
   = hint: write `public: true` instead of `access`; it asks for what it needs itself

error[contradiction]: a sign-out is not called by GET
  --> t.yaml:31:33
   |
31 |       - { path: /out, methods: [GET], public: true, to: { end-sign-in: one } }
   |                                 ^^^
   = hint: write `methods: [POST]`
"##,
    );
}

#[test]
fn a_sign_in_elsewhere_comes_back_to_its_own_route_and_has_cookies_of_its_own() {
    assert_said(
        r##"listeners: [{ address: 127.0.0.1:0 }]
store: memory
realms: { r: {} }
token-services: { s: { realm: r, issuer: "https://a.example", audience: [a], scopes: { all: every } } }
providers:
  p:
    authorization: https://login.example.com/authorize
    token: https://login.example.com/token
    client: { id: portal }
    judge: s
apis:
  a:
    hosts: ["*"]
    sign-ins:
      one: { provider: p, redirect-uri: "https://portal.example.com/back", cookie: one }
      two: { provider: p, redirect-uri: "https://portal.example.com/back2", cookie: two, csrf: { cookie: one } }
    access: {}
    routes:
      - { path: /in, methods: [GET], public: true, to: { begin-sign-in: one } }
      - { path: /back, methods: [GET], public: true, to: { finish-sign-in: one } }
      - { path: /other, methods: [GET], public: true, to: { finish-sign-in: two } }
      - { path: /out, methods: [POST], credentials: [signed-in: one], to: { end-sign-in: one } }
"##,
        r##"
error[contradiction]: the provider sends browsers back to `/back2`, and they are taken at `/other`
  --> t.yaml:16:41
   |
16 |       two: { provider: p, redirect-uri: "https://portal.example.com/back2", cookie: two, csrf: { cookie: one } }
   |                                         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
   = hint: write the path of the route in the URL

error[duplicate]: the cookie `one` is another session's
  --> t.yaml:16:106
   |
16 |       two: { provider: p, redirect-uri: "https://portal.example.com/back2", cookie: two, csrf: { cookie: one } }
   |                                                                                                          ^^^
   = hint: give each a cookie of its own

error[contradiction]: a sign-out is for callers whom nobody knows yet
  --> t.yaml:22:75
   |
22 |       - { path: /out, methods: [POST], credentials: [signed-in: one], to: { end-sign-in: one } }
   |                                                                           ^
   = hint: write `public: true` instead of `access`; it asks for what it needs itself
"##,
    );
}

#[test]
fn signed_urls_and_nodes_are_what_they_say() {
    assert_said(
        r##"listeners: [{ address: 127.0.0.1:0 }]
store: memory
realms: { r: {} }
token-services: { s: { realm: r, issuer: "https://a.example", audience: [a], scopes: { all: every } } }
signed-urls:
  none: { keys: {} }
  odd: { keys: { "a b": { environment: LONG }, short: { environment: SHORT } } }
apis:
  a:
    hosts: ["*"]
    credentials: [bearer: s]
    access: {}
    routes:
      - path: /links
        methods: [POST]
        credentials: [bearer: s, signed-url: odd]
        to: { sign-url: { keys: oddd, paths: [], lifetime: 2h, longest: 1h } }
      - { path: /tokens, methods: [GET, POST], to: { enrolment-tokens: { service: s, scopes: [al], lifetime: 2d, longest: 1d } } }
      - { path: /join, methods: [POST], public: true, to: { enrol: { service: s } } }
      - { path: /join2, methods: [POST], to: { enrol: { service: s, token: /token, scopes: [all] } } }
      - { path: "/nodes/{uuid}", methods: [GET, POST], to: { nodes: { service: s } } }
"##,
        r##"
error[empty-list]: `none` has no key
 --> t.yaml:6:9
  |
6 |   none: { keys: {} }
  |         ^
  = hint: write `keys: { k1: { file: FILE } }` with 32 random bytes or more in the file

error[bad-name]: `a b` cannot stand in a URL as it is
 --> t.yaml:7:18
  |
7 |   odd: { keys: { "a b": { environment: LONG }, short: { environment: SHORT } } }
  |                  ^^^^^
  = hint: up to 32 letters, digits, `-`, `_` and `.`

error[secret-too-short]: the secret in the environment variable `SHORT` has 6 bytes; it needs at least 32
 --> t.yaml:7:70
  |
7 |   odd: { keys: { "a b": { environment: LONG }, short: { environment: SHORT } } }
  |                                                                      ^^^^^
  = hint: make one with `openssl rand -base64 48`

error[unknown-name]: there is no set of keys `oddd`, did you mean `odd`?
  --> t.yaml:17:33
   |
17 |         to: { sign-url: { keys: oddd, paths: [], lifetime: 2h, longest: 1h } }
   |                                 ^^^^
   = hint: `signed-urls:` has `none`, `odd`

error[empty-list]: no path may be signed
  --> t.yaml:17:46
   |
17 |         to: { sign-url: { keys: oddd, paths: [], lifetime: 2h, longest: 1h } }
   |                                              ^
   = hint: write patterns of routes: `paths: ["/files/{*rest}"]`

error[contradiction]: `lifetime` is longer than `longest`
  --> t.yaml:17:60
   |
17 |         to: { sign-url: { keys: oddd, paths: [], lifetime: 2h, longest: 1h } }
   |                                                            ^^
   = hint: lifetime ≤ longest

error[unknown-scope]: the token service `s` has no scope `al`, did you mean `all`?
  --> t.yaml:18:95
   |
18 |       - { path: /tokens, methods: [GET, POST], to: { enrolment-tokens: { service: s, scopes: [al], lifetime: 2d, longest: 1d } } }
   |                                                                                               ^^
   = hint: add it to the service's `scopes`

error[contradiction]: `lifetime` is longer than `longest`
  --> t.yaml:18:110
   |
18 |       - { path: /tokens, methods: [GET, POST], to: { enrolment-tokens: { service: s, scopes: [al], lifetime: 2d, longest: 1d } } }
   |                                                                                                              ^^
   = hint: lifetime ≤ longest

error[contradiction]: on a public route a node joins by an enrolment token, and nothing says where it stands
  --> t.yaml:19:68
   |
19 |       - { path: /join, methods: [POST], public: true, to: { enrol: { service: s } } }
   |                                                                    ^
   = hint: write `token: /token`, or `access: {}` at the route so that the caller lets the node in

error[contradiction]: the caller is known and lets the node in, so no enrolment token is read
  --> t.yaml:20:76
   |
20 |       - { path: /join2, methods: [POST], to: { enrol: { service: s, token: /token, scopes: [all] } } }
   |                                                                            ^^^^^^
   = hint: write `public: true` at the route, or remove `token`

error[contradiction]: a node that joins by a token gets the scopes that the token was made with
  --> t.yaml:20:92
   |
20 |       - { path: /join2, methods: [POST], to: { enrol: { service: s, token: /token, scopes: [all] } } }
   |                                                                                            ^
   = hint: write `scopes` where enrolment tokens are made

error[contradiction]: the list of nodes is not called by POST
  --> t.yaml:21:49
   |
21 |       - { path: "/nodes/{uuid}", methods: [GET, POST], to: { nodes: { service: s } } }
   |                                                 ^^^^
   = hint: write `methods: [GET, HEAD, DELETE]`
"##,
    );
}
