//! What stands in `deploy/` fits the program: manifests render and are valid, and the flags, paths, ports and times in them are those
//! of the program and of the configurations beside them.
//!
//! `make setup` installs the validators. A test whose validator is missing says so and passes over; with CI=true it fails.
//! `kubectl` is the exception: it is used where there is one.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test may stop at the first surprise, and looks for tools in the environment"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;
use tollgate::base::units;

const KUSTOMIZATIONS: [&str; 2] = [
    "deploy/kubernetes/front-door",
    "deploy/kubernetes/sidecar/example",
];
/// Oldest and newest schema that the manifests are held against: native sidecars came with 1.29.
const KUBERNETES: [&str; 2] = ["1.29", "1.37"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A program of the virtual environment or of the `PATH`.
fn tool(name: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::iter::once(root().join("target/venv/bin"))
        .chain(std::env::split_paths(&folders))
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}

/// As [`tool`]; without it the test passes over, which CI does not accept.
fn needed(name: &str) -> Option<PathBuf> {
    let found = tool(name);
    if found.is_none() {
        assert!(
            std::env::var("CI").as_deref() != Ok("true"),
            "{name} is missing; `make setup` installs it"
        );
        eprintln!("passed over: {name} is missing; `make setup` installs it");
    }
    found
}

fn run(command: &mut Command) -> Output {
    command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

fn documents(yaml: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(yaml).unwrap_or_else(|error| panic!("{error}\n{yaml}"))
}

/// The manifests as they lie there, without patches: what every machine can check.
fn plain_manifests() -> Vec<PathBuf> {
    let mut out = Vec::new();
    for folder in KUSTOMIZATIONS {
        for entry in std::fs::read_dir(root().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if !matches!(name, "kustomization.yaml" | "tollgate.yaml") {
                out.push(path);
            }
        }
    }
    out
}

/// The manifests with patches and ConfigMaps, where there is a kubectl.
fn rendered(folder: &str) -> Option<String> {
    let Some(kubectl) = tool("kubectl") else {
        eprintln!("passed over: no kubectl to render {folder}");
        return None;
    };
    let output = run(Command::new(kubectl).args(["kustomize"]).arg(root().join(folder)));
    assert!(output.status.success(), "{}", said(&output));
    Some(String::from_utf8(output.stdout).unwrap())
}

fn validate(files: &[PathBuf]) {
    let Some(validator) = needed("kubernetes-validate") else {
        return;
    };
    for version in KUBERNETES {
        let output = run(Command::new(&validator)
            .args(["--strict", "--quiet", "-k", version])
            .args(files));
        assert!(output.status.success(), "Kubernetes {version}: {}", said(&output));
    }
}

/// Every workload with its containers, init containers too.
fn containers(documents: &[Value]) -> Vec<(&Value, &Value)> {
    documents
        .iter()
        .filter_map(|document| Some((document, document.pointer("/spec/template/spec")?)))
        .flat_map(|(document, pod)| {
            ["containers", "initContainers"]
                .into_iter()
                .filter_map(|key| pod.get(key)?.as_array())
                .flatten()
                .map(move |container| (document, container))
        })
        .collect()
}

fn words(value: &Value) -> Vec<String> {
    value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|word| word.as_str().map(str::to_owned))
        .collect()
}

/// The command and the flags must be those of the program.
fn assert_command_exists(words: &[String]) {
    let command = words.first().unwrap();
    let output = run(Command::new(env!("CARGO_BIN_EXE_tollgate")).args([command, "--help"]));
    assert!(output.status.success(), "tollgate {command}: {}", said(&output));
    let help = said(&output);
    for flag in words.iter().filter(|word| word.starts_with("--")) {
        let known = help
            .split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'))
            .any(|word| word == flag);
        assert!(known, "`tollgate {}`: no flag {flag}", words.join(" "));
    }
}

/// A configuration with the paths of the container replaced by files that are there.
fn assert_configuration_loads(yaml: &str) {
    let folder = tempfile::tempdir().unwrap();
    let (chain, key) = (folder.path().join("chain.pem"), folder.path().join("key.pem"));
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(&chain, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let yaml = yaml
        .replace("/etc/tollgate-tls/tls.crt", chain.to_str().unwrap())
        .replace("/etc/tollgate-tls/tls.key", key.to_str().unwrap());
    let file = folder.path().join("tollgate.yaml");
    std::fs::write(&file, yaml).unwrap();
    if let Err(findings) = tollgate::config::load(&file, &|_| None) {
        panic!("{findings:#?}");
    }
}

#[test]
fn the_manifests_are_valid_as_they_lie_there() {
    validate(&plain_manifests());
}

#[test]
fn the_rendered_manifests_are_valid() {
    let folder = tempfile::tempdir().unwrap();
    for kustomization in KUSTOMIZATIONS {
        let Some(yaml) = rendered(kustomization) else {
            return;
        };
        let file = folder.path().join("rendered.yaml");
        std::fs::write(&file, yaml).unwrap();
        validate(&[file]);
    }
}

#[test]
fn the_sidecar_is_a_native_one_and_starts_before_the_application() {
    let patch = &documents(&text("deploy/kubernetes/sidecar/component/patch.yaml"))[0];
    let sidecar = patch.pointer("/spec/template/spec/initContainers/0").unwrap();
    assert_eq!(sidecar["restartPolicy"], "Always");
    assert!(sidecar["startupProbe"].is_object());
    let Some(yaml) = rendered("deploy/kubernetes/sidecar/example") else {
        return;
    };
    let documents = documents(&yaml);
    let deployment = documents
        .iter()
        .find(|document| document["kind"] == "Deployment")
        .unwrap();
    let pod = deployment.pointer("/spec/template/spec").unwrap();
    assert_eq!(pod.pointer("/initContainers/0/name").unwrap(), "tollgate");
    assert_eq!(pod.pointer("/containers/0/name").unwrap(), "application");
}

#[test]
fn every_container_is_locked_down_and_names_commands_that_exist() {
    let mut all: Vec<Value> = plain_manifests()
        .iter()
        .flat_map(|path| documents(&std::fs::read_to_string(path).unwrap()))
        .collect();
    all.extend(documents(&text("deploy/kubernetes/sidecar/component/patch.yaml")));
    let found = containers(&all);
    assert_eq!(found.len(), 3, "front door, sidecar, example");
    for (_, container) in found {
        let name = &container["name"];
        assert_command_exists(&words(&container["args"]));
        let security = &container["securityContext"];
        assert_eq!(security["allowPrivilegeEscalation"], false, "{name}");
        assert_eq!(security["readOnlyRootFilesystem"], true, "{name}");
        assert_eq!(words(&security["capabilities"]["drop"]), ["ALL"], "{name}");
        assert!(container.pointer("/resources/limits/memory").is_some(), "{name}");
    }
}

#[test]
fn configurations_load_and_agree_with_ports_and_grace_of_their_manifests() {
    for (manifest, configuration) in [
        (
            "deploy/kubernetes/front-door/deployment.yaml",
            "deploy/kubernetes/front-door/tollgate.yaml",
        ),
        (
            "deploy/kubernetes/sidecar/component/patch.yaml",
            "deploy/kubernetes/sidecar/component/tollgate.yaml",
        ),
    ] {
        let yaml = text(configuration);
        assert_configuration_loads(&yaml);
        let configuration = &documents(&yaml)[0];
        let manifest = &documents(&text(manifest))[0];
        let listens: Vec<&str> = configuration["listeners"]
            .as_array()
            .unwrap()
            .iter()
            .chain([&configuration["admin"]])
            .map(|listener| listener["address"].as_str().unwrap())
            .collect();
        let all = std::slice::from_ref(manifest);
        let (_, gateway) = containers(all)
            .into_iter()
            .find(|(_, container)| container["name"] == "tollgate")
            .unwrap();
        let ports: Vec<String> = gateway["ports"]
            .as_array()
            .unwrap()
            .iter()
            .map(|port| format!("0.0.0.0:{}", port["containerPort"]))
            .collect();
        assert_eq!(listens, ports, "listeners, then admin");
        let drain = units::duration(
            configuration
                .pointer("/server/drain/max")
                .unwrap()
                .as_str()
                .unwrap(),
        )
        .unwrap();
        let grace = manifest
            .pointer("/spec/template/spec/terminationGracePeriodSeconds")
            .unwrap()
            .as_u64()
            .unwrap();
        assert!(
            drain < Duration::from_secs(grace),
            "a drain of {drain:?} within {grace} s"
        );
        let mounts: Vec<&str> = gateway["volumeMounts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|mount| mount["mountPath"].as_str().unwrap())
            .collect();
        let named = words(&gateway["args"]);
        let file = named.iter().find(|word| word.starts_with('/')).unwrap();
        assert!(
            mounts
                .iter()
                .any(|mount| Path::new(file).parent() == Some(Path::new(mount))),
            "{file} in {mounts:?}"
        );
    }
}

#[test]
fn the_container_file_passes_hadolint_and_starts_a_command_that_exists() {
    let path = "deploy/container/Containerfile";
    let file = text(path);
    let list = |key: &str| -> Vec<String> {
        let line = file
            .lines()
            .rev()
            .find_map(|line| line.strip_prefix(key))
            .unwrap();
        serde_json::from_str(line).unwrap()
    };
    assert_eq!(list("ENTRYPOINT "), ["/usr/bin/tollgate"]);
    assert_command_exists(&list("CMD "));
    let last_stage = file.split("\nFROM ").last().unwrap();
    assert!(last_stage.contains("USER 65532:65532"), "not root, by number");
    let toolchain = text("rust-toolchain.toml");
    let version = toolchain
        .lines()
        .find_map(|line| line.strip_prefix("channel = "))
        .unwrap()
        .trim_matches('"');
    assert!(
        file.contains(&format!("rust:{version}-slim")),
        "the toolchain of rust-toolchain.toml"
    );
    let Some(hadolint) = needed("hadolint") else {
        return;
    };
    let output = run(Command::new(hadolint).arg(root().join(path)));
    assert!(output.status.success(), "{}", said(&output));
}

#[test]
fn the_systemd_unit_verifies_and_calls_commands_that_exist() {
    let path = "deploy/systemd/tollgate.service";
    let unit = text(path);
    let value = |key: &str| unit.lines().find_map(|line| line.strip_prefix(key)).unwrap();
    for line in unit.lines().filter(|line| line.starts_with("Exec")) {
        let (_, command) = line.split_once('=').unwrap();
        if let Some(arguments) = command.strip_prefix("/usr/bin/tollgate ") {
            assert_command_exists(&arguments.split(' ').map(str::to_owned).collect::<Vec<_>>());
        } else {
            assert_eq!(command, "/bin/kill -HUP $MAINPID");
        }
    }
    assert_eq!(
        value("RestartPreventExitStatus="),
        "64 78",
        "the codes that starting again would not help"
    );
    assert!(value("TimeoutStopSec=").parse::<u64>().unwrap() > 30);
    let Some(systemd_analyze) = tool("systemd-analyze") else {
        eprintln!("passed over: no systemd-analyze");
        return;
    };
    // A copy that names a program which is there: whether the paths exist is a question to the target machine.
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("tollgate.service");
    std::fs::write(&copy, unit.replace("/usr/bin/tollgate", "/bin/true")).unwrap();
    let output = run(Command::new(systemd_analyze).arg("verify").arg(&copy));
    let said = said(&output);
    let about: Vec<&str> = said
        .lines()
        .filter(|line| line.contains("tollgate.service"))
        .collect();
    assert!(about.is_empty(), "{about:?}");
}
