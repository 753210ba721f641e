//! The configurations that are shipped load; what is generated from the types is fresh; what is wrong never panics, and
//! never shows a secret.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise"
)]

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use tollgate::config;
use tollgate::config::diagnostic::Diagnostic;
use tollgate::config::plan::{
    AccessPlan, HostPattern, ItemCount, KeySource, LimitKey, ListenerMode, Plan, RoutePlan, TargetPlan,
    WrongDoor,
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn nothing_set(_: &str) -> Option<String> {
    None
}

/// A folder with a certificate and its key, and an environment that names them.
struct Material {
    folder: tempfile::TempDir,
}

impl Material {
    fn new() -> Material {
        let folder = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(folder.path().join("chain.pem"), made.cert.pem()).unwrap();
        std::fs::write(folder.path().join("key.pem"), made.signing_key.serialize_pem()).unwrap();
        Material { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    fn variable(&self, name: &str) -> Option<String> {
        let value = match name {
            "TLS_CERTIFICATE" => self.path("chain.pem").display().to_string(),
            "TLS_KEY" => self.path("key.pem").display().to_string(),
            "ISSUER" => "https://login.example.com/".to_owned(),
            "KEYS_URL" => "https://login.example.com/jwks.json".to_owned(),
            "ADDRESS" => "https://gateway.example.com".to_owned(),
            "CENTRAL_ADDRESS" => "https://central.example.com".to_owned(),
            "CONTROLLER_ADDRESS" => "https://controller.example.com".to_owned(),
            "PORTAL_ADDRESS" => "https://portal.example.com".to_owned(),
            "VCENTER_ADDRESS" => "https://vcenter.example.com".to_owned(),
            "STORE" => self.path("tollgate.db").display().to_string(),
            "ADMIN_PASSWORD" => "$argon2id$v=19$m=8,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".to_owned(),
            "PORTAL_SECRET" | "LINKS_KEY" | "SF_SECRET" => "of-forty-characters-as-the-rules-ask-for".to_owned(),
            "SF_AUTHORIZATION" | "SF_TOKEN" | "SF_INTROSPECTION" | "SF_ISSUER" => "https://sf.example.com/x".to_owned(),
            "KEYS" => self.path("keys").display().to_string(),
            "CONTROLLER_KEYS" => self.path("controller-keys").display().to_string(),
            "PORTAL_KEYS" => self.path("portal-keys").display().to_string(),
            "VCENTER_KEYS" => self.path("vcenter-keys").display().to_string(),
            "OPERATOR_TOKEN" => self
                .write("operator.token", "the-operators-token")
                .display()
                .to_string(),
            _ => return None,
        };
        Some(value)
    }
}

fn said(found: &[Diagnostic]) -> String {
    found
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n\n")
}

fn load(path: &Path, environment: &dyn Fn(&str) -> Option<String>) -> Plan {
    config::load(path, environment).unwrap_or_else(|found| panic!("{}", said(&found)))
}

fn shipped(name: &str) -> Plan {
    let material = Material::new();
    let several = name.ends_with("four-front-doors.yaml");
    let plan = load(&root().join("config").join(name), &|variable| match variable {
        // Each of them takes every host where it is alone.
        "CONTROLLER_HOST" | "PORTAL_HOST" | "VCENTER_HOST" if several => {
            Some(variable.to_lowercase().replace('_', "."))
        }
        _ => material.variable(variable),
    });
    // Its clients send their secrets in the query (ARUBA-97), and whoever runs it should hear that.
    let has_such_clients = several || name.ends_with("aruba-central.yaml");
    let known = |code: &str| has_such_clients && code == "secrets-in-query";
    assert!(
        plan.warnings.iter().all(|warning| known(warning.code)),
        "{}",
        said(&plan.warnings)
    );
    plan
}

#[test]
fn every_shipped_configuration_loads_and_points_editors_to_the_schema() {
    let mut seen = 0;
    for (folder, schema) in [
        ("config", "tollgate.schema.json"),
        ("config/examples", "../tollgate.schema.json"),
    ] {
        for entry in std::fs::read_dir(root().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "yaml") {
                continue;
            }
            seen += 1;
            shipped(
                path.strip_prefix(root().join("config"))
                    .unwrap()
                    .to_str()
                    .unwrap(),
            );
            points_to(&path, schema);
        }
    }
    assert!(seen >= 8, "{seen}");
    // These are loaded by those that include them.
    for entry in std::fs::read_dir(root().join("config/front-doors")).unwrap() {
        points_to(&entry.unwrap().path(), "../tollgate.schema.json");
    }
}

fn points_to(path: &Path, schema: &str) {
    let text = std::fs::read_to_string(path).unwrap();
    let line = format!("# yaml-language-server: $schema={schema}");
    assert_eq!(text.lines().next(), Some(line.as_str()), "{}", path.display());
}

#[test]
fn the_first_configuration_starts_as_it_is_on_loopback() {
    let plan = load(&root().join("config/tollgate.yaml"), &nothing_set);
    assert_eq!(plan.listeners[0].address.to_string(), "127.0.0.1:8080");
    assert_eq!(plan.listeners[0].mode, ListenerMode::Plain);
    assert_eq!(plan.admin.unwrap().address.to_string(), "127.0.0.1:9901");
    let public: Vec<&str> = plan.apis[0]
        .routes
        .iter()
        .filter(|route| route.access == AccessPlan::Public)
        .map(|route| route.path.as_str())
        .collect();
    assert_eq!(public, ["/health"]);
    assert!(
        plan.files
            .iter()
            .any(|file| file.ends_with("keys/example-public.pem")),
        "{:?}",
        plan.files
    );
}

#[test]
fn the_sidecar_has_one_worker_and_a_backend_on_loopback() {
    let plan = shipped("sidecar.yaml");
    assert_eq!(plan.server.workers, config::plan::Workers::Sharded(1));
    assert_eq!(plan.backends[0].endpoints[0].host, "127.0.0.1");
    assert!(matches!(plan.issuers[0].keys[0], KeySource::Url(_)));
}

#[test]
fn both_dialects_load_and_the_standard_one_is_the_first() {
    let material = Material::new();
    let standard = root().join("config/dialects/standard.yaml");
    let file = material.write(
        "t.yaml",
        &format!(
            "listeners: [{{ address: 127.0.0.1:0 }}]\ndialects: {{ mine: {{ file: {} }} }}\napis:\n  a: {{ hosts: ['*'], \
             dialect: mine, routes: [{{ path: /, public: true, to: gone }}] }}\n",
            standard.display()
        ),
    );
    let plan = load(&file, &nothing_set);
    assert_eq!(plan.dialects[0].name, "standard");
    assert_eq!(plan.dialects[1].rows.len(), 9);
    assert!(plan.files.contains(&standard), "{:?}", plan.files);
}

fn aruba() -> Plan {
    shipped("examples/aruba-central.yaml")
}

fn route<'p>(plan: &'p Plan, name: &str) -> &'p RoutePlan {
    plan.apis[0]
        .routes
        .iter()
        .find(|route| route.name.as_str() == name)
        .unwrap_or_else(|| panic!("no route {name}"))
}

#[test]
fn aruba_23_to_33_every_region_has_its_door_and_its_backends() {
    let plan = aruba();
    let doors: Vec<(&str, &str)> = plan
        .regions
        .iter()
        .map(|region| (region.name.as_str(), region.hosts[0].as_str()))
        .collect();
    assert_eq!(
        doors,
        [
            ("US-1", "app1-apigw.central.arubanetworks.com"),
            ("US-2", "apigw-prod2.central.arubanetworks.com"),
            ("US-WEST-4", "apigw-uswest4.central.arubanetworks.com"),
            ("EU-1", "eu-apigw.central.arubanetworks.com"),
            ("EU-3", "apigw-eucentral3.central.arubanetworks.com"),
            ("Canada-1", "apigw-ca.central.arubanetworks.com"),
            ("China-1", "apigw.central.arubanetworks.com.cn"),
            ("APAC-1", "api-ap.central.arubanetworks.com"),
            ("APAC-EAST1", "apigw-apaceast.central.arubanetworks.com"),
            ("APAC-SOUTH1", "apigw-apacsouth.central.arubanetworks.com"),
        ]
    );
    for (_, host) in doors {
        assert!(plan.apis[0].hosts.contains(&HostPattern::Exact(host.to_owned())));
    }
    for backend in &plan.backends {
        assert_eq!(backend.endpoints.len(), 10, "{}", backend.name);
    }
    assert_eq!(plan.apis[0].region.wrong_door, WrongDoor::Refuse);
}

#[test]
fn aruba_06_every_route_is_limited_to_seven_calls_a_second_per_customer() {
    let plan = aruba();
    let quota = plan.limits[0].quota;
    assert_eq!(
        (quota.tokens.get(), quota.per.as_secs(), quota.burst.get()),
        (7, 1, 7)
    );
    assert_eq!(plan.limits[0].per, [LimitKey::Customer]);
    for route in &plan.apis[0].routes {
        let limits: Vec<usize> = route.limits.iter().map(|limit| limit.index()).collect();
        let is_own = !matches!(route.target, TargetPlan::Backend { .. });
        // ARUBA-65: the steps to a token are counted for each application, and by address before somebody is known.
        assert!(
            if is_own {
                limits.iter().all(|limit| *limit != 0) && !limits.is_empty()
            } else {
                limits == [0]
            },
            "{}: {limits:?}",
            route.name
        );
    }
}

#[test]
fn aruba_11_to_18_four_routes_have_an_item_cap_and_no_other() {
    let plan = aruba();
    let capped: Vec<(&str, u64)> = plan.apis[0]
        .routes
        .iter()
        .filter_map(|route| route.items.as_ref().map(|items| (route.name.as_str(), items.max)))
        .collect();
    assert_eq!(
        capped,
        [
            ("GET:/msp_api/v1/customers", 50),
            ("GET:/msp_api/v1/customers/{customer_id}/devices", 50),
            ("GET:/msp_api/v1/devices", 50),
            ("PUT:/msp_api/v1/customers/{customer_id}/devices", 50),
        ]
    );
    let put = route(&plan, "PUT:/msp_api/v1/customers/{customer_id}/devices");
    assert_eq!(
        put.items.as_ref().unwrap().count,
        ItemCount::Body(vec!["devices".to_owned()])
    );
    let row = |code: &str| {
        let code = tollgate::rejection::Code::from_text(code).unwrap();
        let rows = &plan.dialects[1].rows;
        rows.iter()
            .find(|(row, _)| *row == code)
            .map(|(_, row)| row)
            .unwrap()
    };
    assert_eq!(row("item_cap_exceeded").status, 400);
    assert_eq!(
        row("item_cap_exceeded").body,
        r#"{"message":"LIMIT_REQUEST_EXCEEDED"}"#
    );
}

#[test]
fn clients_1_2_refusals_carry_what_existing_clients_act_on() {
    let plan = aruba();
    let rows = &plan.dialects[plan.apis[0].dialect.index()].rows;
    for (code, row) in rows {
        match code.as_str() {
            "rate_limited" => {
                assert_eq!(row.status, 429);
                assert_eq!(row.headers[0].0, "x-ratelimit-remaining-second");
                assert_eq!(row.headers[0].1, "0");
                assert_eq!(row.body, r#"{"message":"API rate limit exceeded"}"#);
            }
            "credentials_missing" | "credentials_invalid" | "token_expired" => {
                assert_eq!(row.status, 401);
                assert!(row.body.contains("invalid_token"), "{}", row.body);
            }
            _ => {}
        }
    }
}

#[test]
fn aruba_58_to_62_a_provider_names_a_tenant_in_a_header() {
    let plan = aruba();
    assert_eq!(plan.apis[0].tenant_selector.name.as_ref().unwrap(), "tenantid");
    let provider = &plan.customers[0];
    assert_eq!(
        provider.tenants[0].tenant.as_str(),
        "267958b55d5a463e94a302c20f4a6b68"
    );
    assert_eq!(
        provider.tenants[0].roles.as_ref().unwrap()[0].as_str(),
        "readonly"
    );
    assert_eq!(provider.region.unwrap().index(), 0);
}

#[test]
fn aruba_55_paths_go_to_the_backend_as_they_came() {
    let plan = aruba();
    let monitoring = route(&plan, "GET,HEAD:/monitoring/{*rest}");
    assert!(matches!(
        monitoring.target,
        TargetPlan::Backend {
            rewrite: config::plan::Rewrite::Keep,
            ..
        }
    ));
}

/// Compares a committed file with what would be generated now.
fn assert_fresh(name: &str, generated: &str, command: &str) {
    let committed = std::fs::read_to_string(root().join(name)).unwrap_or_default();
    assert!(
        committed == generated,
        "{name} is not what the types say; write it anew with\n  cargo run --quiet -- {command} > {name}"
    );
}

#[test]
fn the_committed_schema_is_fresh() {
    assert_fresh(
        "config/tollgate.schema.json",
        &config::schema::published(),
        "check --print schema",
    );
}

#[test]
fn the_reference_page_is_fresh() {
    assert_fresh(
        "docs/configuration.md",
        &config::reference::page(),
        "check --print reference",
    );
}

#[test]
fn every_key_of_the_schema_has_a_meaning() {
    fn look(schema: &serde_json::Value, place: &str, missing: &mut Vec<String>) {
        let properties = schema.get("properties").and_then(serde_json::Value::as_object);
        for (name, property) in properties.into_iter().flatten() {
            if property.get("description").is_none() {
                missing.push(format!("{place}.{name}"));
            }
        }
    }
    let schema: serde_json::Value = serde_json::from_str(&config::schema::published()).unwrap();
    let mut missing = Vec::new();
    look(&schema, "root", &mut missing);
    for (name, definition) in schema["$defs"].as_object().unwrap() {
        look(definition, name, &mut missing);
    }
    assert!(missing.is_empty(), "{missing:?}");
}

const REST: &str = "listeners: [{ address: 127.0.0.1:0 }]\n\
                    apis: { a: { hosts: ['*'], routes: [{ path: /, public: true, to: gone }] } }\n";

#[test]
fn includes_are_joined_relative_to_the_file_that_names_them_and_all_are_watched() {
    let material = Material::new();
    std::fs::create_dir(material.path("parts")).unwrap();
    material.write(
        "parts/limits.yaml",
        "limits: { one: { per: customer } }\ninclude: more/deep.yaml\n",
    );
    std::fs::create_dir(material.path("parts/more")).unwrap();
    material.write(
        "parts/more/deep.yaml",
        "limits: { two: { per: address } }\nlisteners: [{ address: '[::1]:0' }]\n",
    );
    let file = material.write("t.yaml", &format!("include: [parts/limits.yaml]\n{REST}"));
    let plan = load(&file, &nothing_set);
    let limits: Vec<&str> = plan.limits.iter().map(|limit| limit.name.as_str()).collect();
    assert_eq!(limits, ["one", "two"]);
    assert_eq!(plan.listeners.len(), 2);
    assert_eq!(
        plan.files,
        [
            file,
            material.path("parts/limits.yaml"),
            material.path("parts/more/deep.yaml")
        ]
    );
}

#[test]
fn a_name_in_two_files_is_refused_with_both_places_and_a_cycle_ends() {
    let material = Material::new();
    material.write(
        "b.yaml",
        "admin: {}\nlimits:\n  one: { per: customer }\ninclude: [t.yaml, none.yaml]\n",
    );
    let file = material.write(
        "t.yaml",
        &format!("admin: {{}}\nlimits: {{ one: {{ per: address }} }}\ninclude: b.yaml\n{REST}"),
    );
    let found = config::load(&file, &nothing_set).unwrap_err();
    let here = material.folder.path().display().to_string();
    let said = said(&found).replace(&format!("{here}/"), "");
    assert_eq!(
        said,
        "\
error[duplicate-key]: `admin` stands in two files
 --> b.yaml:1:1
  |
1 | admin: {}
  | ^^^^^
  = hint: the first is at t.yaml:1

error[duplicate-key]: `one` stands under `limits` in two files
 --> b.yaml:3:3
  |
3 |   one: { per: customer }
  |   ^^^
  = hint: the first is at t.yaml:2

error[include-cycle]: `t.yaml` includes itself
 --> b.yaml:4:11
  |
4 | include: [t.yaml, none.yaml]
  |           ^^^^^^

error[file-unreadable]: cannot read `none.yaml`: there is no such file
 --> b.yaml:4:19
  |
4 | include: [t.yaml, none.yaml]
  |                   ^^^^^^^^^"
    );
}

#[test]
fn a_missing_include_is_said_once_and_not_for_every_name_that_it_would_have_declared() {
    let material = Material::new();
    let text = "include: '${PART}.yaml'\nlisteners: [{ address: 127.0.0.1:0 }]\napis: { a: { hosts: ['*'], limits: [slow], \
                routes: [{ path: /, public: true, to: { backend: b } }] } }\n";
    let file = material.write("t.yaml", text);
    let environment = |name: &str| (name == "PART").then(|| "limits".to_owned());
    let found = config::load(&file, &environment).unwrap_err();
    assert_eq!(found.len(), 1, "{}", said(&found));
    assert_eq!(
        found[0].message,
        "cannot read `${PART}.yaml`: there is no such file"
    );
    material.write(
        "limits.yaml",
        "limits: { slow: { per: route } }\nbackends: { b: { endpoints: ['http://127.0.0.1:1'] } }\n",
    );
    assert_eq!(load(&file, &environment).limits.len(), 1);
}

#[test]
fn check_exits_with_0_or_78_and_says_the_same_as_text_and_as_json() {
    let material = Material::new();
    let check = |name: &str, format: &str| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_tollgate"))
            .current_dir(material.folder.path())
            .args(["check", "--config", name, "--format", format])
            .output()
            .unwrap();
        (
            output.status.code().unwrap(),
            String::from_utf8(output.stdout).unwrap(),
        )
    };
    material.write("good.yaml", REST);
    material.write("bad.yaml", &format!("server: {{ worker: 1 }}\n{REST}"));
    assert_eq!(check("good.yaml", "text"), (0, "good.yaml: good\n".to_owned()));
    let (code, text) = check("bad.yaml", "text");
    assert_eq!(code, 78);
    assert!(
        text.starts_with("error[unknown-key]: unknown key `worker`, did you mean `workers`?\n"),
        "{text}"
    );
    assert!(text.ends_with("\n\nbad.yaml: 1 error\n"), "{text}");
    let (code, text) = check("bad.yaml", "json");
    assert_eq!(code, 78);
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["ok"], false);
    let found = &document["diagnostics"][0];
    assert_eq!(
        (
            found["line"].as_u64(),
            found["column"].as_u64(),
            found["length"].as_u64()
        ),
        (Some(1), Some(11), Some(6))
    );
    assert_eq!(
        (&found["file"], &found["code"]),
        (&"bad.yaml".into(), &"unknown-key".into())
    );
    assert_eq!(
        check("good.yaml", "json"),
        (0, "{\"diagnostics\":[],\"ok\":true}\n".to_owned())
    );
    assert_eq!(check("none.yaml", "text").0, 78);
}

#[test]
fn a_file_that_is_not_there_is_one_diagnostic_without_a_place() {
    let found = config::load(Path::new("/nowhere/t.yaml"), &nothing_set).unwrap_err();
    assert_eq!(
        said(&found),
        "error[file-unreadable]: cannot read `/nowhere/t.yaml`: there is no such file"
    );
}

#[test]
fn a_private_key_is_refused_where_a_public_one_belongs() {
    let material = Material::new();
    let issuer = |keys: &str| {
        format!(
            "issuers: {{ i: {{ issuer: x, audience: a, algorithms: ES256, keys: {{ file: {keys} }} }} }}\n{REST}"
        )
    };
    material.write(
        "private.json",
        r#"{"kty":"EC","crv":"P-256","x":"a","y":"b","d":"canary"}"#,
    );
    material.write("empty.json", r#"{"keys":[]}"#);
    material.write("oct.json", r#"{"keys":[{"kty":"oct","k":"canary"}]}"#);
    for (name, message) in [
        ("key.pem", "holds a private key"),
        ("private.json", "holds a private key"),
        ("empty.json", "has no key"),
        ("oct.json", "holds a shared secret"),
    ] {
        let file = material.write("t.yaml", &issuer(name));
        let found = config::load(&file, &nothing_set).unwrap_err();
        assert!(
            found.len() == 1 && found[0].message.contains(message),
            "{name}: {}",
            said(&found)
        );
        assert!(!format!("{found:?}").contains("canary"));
    }
    let file = material.write("t.yaml", &issuer("chain.pem"));
    assert!(matches!(
        load(&file, &nothing_set).issuers[0].keys[0],
        KeySource::Pem(_)
    ));
}

#[test]
fn a_secret_is_in_the_plan_and_in_no_debug_output() {
    let material = Material::new();
    let canary = "canary".repeat(8);
    material.write("secret", &format!("{canary}\r\n"));
    let file = material.write(
        "t.yaml",
        &format!(
            "issuers:\n  i:\n    issuer: x\n    audience: a\n    algorithms: HS256\n    keys:\n      - secret: {{ file: secret }}\n      \
             - secret: {{ environment: SECRET }}\n{REST}"
        ),
    );
    let plan = load(&file, &|name| (name == "SECRET").then(|| canary.clone()));
    for keys in &plan.issuers[0].keys {
        let KeySource::Secret(secret) = keys else {
            panic!("{keys:?}")
        };
        assert_eq!(secret.reveal(), canary.as_bytes());
    }
    assert!(!format!("{plan:?}").contains("canary"));
    assert!(plan.files.contains(&material.path("secret")));
}

/// Ways to write a secret where it does not belong, or next to another mistake.
#[test]
fn a_secret_that_stands_in_the_file_is_in_no_diagnostic() {
    let wrong = [
        "issuers: { i: { keys: { secret: canary } } }",
        "issuers:\n  i:\n    keys:\n      secret: |\n        canary\n        canary2\n",
        "issuers:\n  i:\n    keys:\n      secret: { fil: canary }\n",
        "issuers:\n  i:\n    keys:\n      secret: [canary, canary]\n",
        "issuers:\n  i:\n    keys:\n      secret: { environment: canary canary }\n",
        "issuers: { i: { issuer: x, audience: a, algorithms: HS256, keys: { secret: { environment: acanary1 } } } }",
        "issuers:\n  i:\n    keys:\n      secert: canary\n",
        "issuers:\n  i:\n    keys:\n      password: canary\n      client-secret: canary\n",
        "issuers:\n  i:\n    keys:\n      secret: canary: x\n",
        "issuers:\n  i:\n    keys:\n      secret: \"canary\n",
        "issuers:\n  i:\n    keys:\n      secret: canary\n      secret: canary\n",
        "issuers: { i: { keys: { url: 'https://canary:canary@idp.example/' } } }",
        "backends: { b: { endpoints: ['http://canary@10.0.0.1'] } }",
        "admin: { address: '${CANARY}' }\nregions: { '${CANARY}': '${CANARY}' }\nserver: { workers: '${CANARY}' }",
        "issuers: { i: { issuer: x, audience: a, algorithms: '${CANARY}', keys: { file: '${CANARY}' } } }",
        "backends: { b: { endpoints: ['${CANARY}'], timeouts: { connect: '${CANARY}' } } }",
        "apis: { a: { hosts: '${CANARY}:1', dialect: '${CANARY}', credentials: [bearer: '${CANARY}'], \
         routes: [{ path: '${CANARY}', to: '${CANARY}' }, { path: /, methods: '${CANARY}', to: { backend: '${CANARY}' } }] } }",
        "dialects: { d: { no_route: { headers: { '${CANARY}': '${CANARY}' }, content-type: '${CANARY}' } } }",
        "include: ['${CANARY}']",
        "limits: { l: { rate: '${CANARY}', per: '${CANARY}' } }\ncustomers: { c: { plan: '${CANARY}' } }",
    ];
    for text in wrong {
        let environment = |name: &str| (name == "CANARY").then(|| "canary".to_owned());
        let found = config::load_text(text, "t.yaml", &environment).unwrap_err();
        let said = format!("{found:?}\n{}", said(&found));
        assert!(!said.contains("canary"), "{text}\n\n{said}");
    }
}

#[test]
fn a_danger_that_is_switched_on_is_a_warning_at_every_start() {
    let text = format!(
        "server: {{ danger_guard_off: true }}\nissuers:\n  i: {{ issuer: x, audience: a, algorithms: ES256, keys: {{ url: http://idp.test/, \
         danger_plain_http: true }} }}\n{REST}"
    );
    let plan =
        config::load_text(&text, "t.yaml", &nothing_set).unwrap_or_else(|found| panic!("{}", said(&found)));
    let codes: Vec<&str> = plan.warnings.iter().map(|warning| warning.code).collect();
    assert_eq!(codes, ["danger", "danger"]);
}

#[test]
fn what_a_reload_cannot_change_is_named() {
    let plan = |text: &str| config::load_text(&format!("{text}{REST}"), "t.yaml", &nothing_set).unwrap();
    let old = plan("server: { workers: 2 }\nadmin: {}\n");
    assert!(
        config::restart_needed(
            &old,
            &plan("server: { workers: 2 }\nadmin: {}\nlimits: { l: { per: route } }\n")
        )
        .is_empty()
    );
    let new = plan("server: { scheduler: stealing }\n");
    assert_eq!(
        config::restart_needed(&old, &new),
        [
            "`server.workers` changes from 2 sharded to stealing, one a core",
            "the address of `admin` changes from 127.0.0.1:9901 to none",
        ]
    );
}

#[test]
fn what_a_listener_speaks_and_how_calls_are_logged_changes_only_with_a_restart() {
    let material = Material::new();
    let plan = |listener: &str, rest: &str| {
        let text = format!(
            "listeners: [{{ address: 127.0.0.1:8080{listener} }}]\n{rest}\
             apis: {{ a: {{ hosts: ['*'], routes: [{{ path: /, public: true, to: gone }}] }} }}\n"
        );
        load(&material.write("t.yaml", &text), &nothing_set)
    };
    let tls = ", tls: { certificate: chain.pem, key: key.pem }";
    let redirect = ", redirect: https";
    let redirect_to = ", redirect: https, redirect-port: 8443";
    let modes = [
        ("", "plain"),
        (tls, "TLS"),
        (redirect, "redirect"),
        (redirect_to, "redirect to port 8443"),
    ];
    for (before, was) in modes {
        for (after, is) in modes {
            let found = config::restart_needed(&plan(before, ""), &plan(after, ""));
            if was == is {
                assert!(found.is_empty(), "{found:?}");
            } else {
                assert_eq!(
                    found,
                    [format!(
                        "`listeners` change from 127.0.0.1:8080 ({was}) to 127.0.0.1:8080 ({is})"
                    )]
                );
            }
        }
    }
    let logged = |keys: &str| plan("", &format!("telemetry: {{ access-log: {{ {keys} }} }}\n"));
    for (old, new, says) in [
        (plan("", ""), logged(""), "it is switched on"),
        (logged(""), plan("", ""), "it is switched off"),
        (
            logged("query: true"),
            logged("query: false, redact: [pin]"),
            "`query`, `redact`",
        ),
    ] {
        assert_eq!(
            config::restart_needed(&old, &new),
            [format!("`telemetry.access-log` changes: {says}")]
        );
    }
}

#[test]
fn what_the_tests_of_the_gateway_and_the_manual_write_means_what_they_think() {
    let text = "
server: { workers: 1 }
listeners: [{ address: 127.0.0.1:0 }]
regions: { us-1: { hosts: [us.test] } }
issuers:
  idp:
    issuer: https://idp.example/
    audience: [api]
    algorithms: [ES256]
    keys: { url: https://idp.example/k }
    claims: { customer: customer_id, region: region, roles: roles }
limits:
  per-customer: { rate: 7/h, per: customer }
  default: { per: [route, address] }
plans:
  gold: { per-customer: { rate: 3/d } }
customers:
  gold-1: { plan: gold }
  own-1: { plan: gold, limits: { per-customer: { rate: 2/d, burst: 5 } } }
backends:
  us: { endpoints: ['http://127.0.0.1:1'] }
apis:
  api:
    hosts: [api.test, '*.api.test']
    credentials: [{ bearer: idp }]
    access: {}
    limits: [per-customer, default]
    routes:
      - { path: /open, public: true, to: { backend: us }, deprecated: 2026-01-01 }
      - { path: '/strip/{*rest}', rewrite: { strip-prefix: /strip }, limits: [], to: { backend: us } }
      - { path: /admin, access: { any-role: admin, scopes: [a, b] }, to: gone }
";
    let plan =
        config::load_text(text, "t.yaml", &nothing_set).unwrap_or_else(|found| panic!("{}", said(&found)));
    assert_eq!(
        plan.limits[0].quota.burst.get(),
        7,
        "the burst is the number of the rate"
    );
    assert_eq!(
        (
            plan.limits[1].quota.tokens.get(),
            plan.limits[1].quota.per.as_secs()
        ),
        (7, 1)
    );
    let quota = |customer: usize| plan.customers[customer].quotas[0].1;
    assert_eq!((quota(0).tokens.get(), quota(0).burst.get()), (3, 3));
    assert_eq!((quota(1).tokens.get(), quota(1).burst.get()), (2, 5));
    let routes = &plan.apis[0].routes;
    assert_eq!(
        routes[0].limits.len(),
        1,
        "only what counts by address is inherited by a public route"
    );
    assert_eq!(routes[0].deprecated.as_ref().unwrap(), "@1767225600");
    assert!(routes[1].limits.is_empty());
    assert!(matches!(routes[2].target, TargetPlan::Gone));
    let AccessPlan::Required {
        roles_any,
        scopes_all,
        ..
    } = &routes[2].access
    else {
        panic!()
    };
    assert_eq!((roles_any.len(), scopes_all.len()), (1, 2));
}

/// Texts made of the words that a configuration has, so that mutations reach the last passes.
fn mutated() -> impl Strategy<Value = String> {
    let sources: Vec<String> = [
        "tollgate.yaml",
        "front-door.yaml",
        "front-doors/aruba-central.yaml",
        "dialects/central.yaml",
    ]
    .iter()
    .map(|name| std::fs::read_to_string(root().join("config").join(name)).unwrap())
    .collect();
    let splice = prop_oneof![
        Just(String::new()),
        Just("\n".to_owned()),
        Just("${".to_owned()),
        Just("*a".to_owned()),
        Just("&a ".to_owned()),
        Just("{".to_owned()),
        Just("]".to_owned()),
        Just(": ".to_owned()),
        Just("- ".to_owned()),
        Just("!!str ".to_owned()),
        Just("<<: ".to_owned()),
        Just("\u{feff}\u{0}\t".to_owned()),
        Just("18446744073709551616".to_owned()),
        Just(".nan".to_owned()),
        Just("~".to_owned()),
        ".{0,6}",
    ];
    let edits = proptest::collection::vec((any::<prop::sample::Index>(), 0usize..12, splice), 1..6);
    (prop::sample::select(sources), edits).prop_map(|(source, edits)| {
        let mut characters: Vec<char> = source.chars().collect();
        for (at, cut, new) in edits {
            let start = at.index(characters.len() + 1);
            let end = (start + cut).min(characters.len());
            characters.splice(start..end, new.chars());
        }
        characters.into_iter().collect()
    })
}

/// Loads, and prints whatever comes of it: no text may panic on the way.
fn survives(text: &str) {
    match config::load_text(text, "config/t.yaml", &|_| Some("x".to_owned())) {
        Ok(plan) => drop(format!("{plan:?}")),
        Err(found) => {
            assert!(!found.is_empty());
            drop(said(&found));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn mutated_configurations_never_panic(text in mutated()) {
        survives(&text);
    }

    #[test]
    fn any_text_never_panics(text in "(?s).{0,400}") {
        survives(&text);
    }

    #[test]
    fn any_bytes_of_a_file_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("t.yaml");
        std::fs::write(&file, &bytes).unwrap();
        if let Err(found) = config::load(&file, &nothing_set) {
            drop(said(&found));
        }
    }
}
