//! From files to the plan: read, include, interpolate, check, resolve; all diagnostics or a plan.

use std::path::Path;

use super::diagnostic::{Diagnostic, Severity};
use super::findings::Findings;
use super::include::Loader;
use super::node::Node;
use super::plan::Plan;
use super::raw::RawRoot;
use super::read::from_node;
use super::resolve::{self, Declared};
use super::shape;
use super::source::Files;

/// Reads the configuration in `path` and everything that it names.
///
/// # Errors
/// Everything that is wrong with it, in the order of the files, warnings included.
pub fn load(path: &Path, environment: &dyn Fn(&str) -> Option<String>) -> Result<Plan, Vec<Diagnostic>> {
    let mut files = Files::default();
    let mut findings = Findings::default();
    let mut loader = Loader {
        files: &mut files,
        findings: &mut findings,
        environment,
    };
    let root = loader.load(path);
    finish(root, files, findings, environment)
}

/// Reads a configuration from text. `name` stands for the file in diagnostics, and relative names start from its folder.
///
/// # Errors
/// As [`load`].
pub fn load_text(
    text: &str,
    name: &str,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Plan, Vec<Diagnostic>> {
    let mut files = Files::default();
    let mut findings = Findings::default();
    let mut loader = Loader {
        files: &mut files,
        findings: &mut findings,
        environment,
    };
    let root = loader.load_text(Path::new(name), text.to_owned());
    finish(root, files, findings, environment)
}

fn finish(
    root: Option<Node>,
    files: Files,
    mut findings: Findings,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Plan, Vec<Diagnostic>> {
    let plan = root.and_then(|root| plan(root, &files, &mut findings, environment));
    let errors = findings.errors();
    let diagnostics = findings.finish(&files);
    match plan {
        Some(mut plan) if errors == 0 => {
            plan.warnings = diagnostics;
            Ok(plan)
        }
        Some(_) | None => {
            debug_assert!(diagnostics.iter().any(|found| found.severity == Severity::Error));
            Err(diagnostics)
        }
    }
}

fn plan(
    mut root: Node,
    files: &Files,
    findings: &mut Findings,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Option<Plan> {
    let declared = Declared::of(&root);
    shape::check(&mut root, findings);
    match from_node::<RawRoot>(&root) {
        Ok(raw) => Some(resolve::plan(raw, &declared, files, environment, findings)),
        Err(failure) => {
            // The check has taken out whatever the raw types refuse. What it missed, or a file that is no map, is said
            // without the value, which may be a secret.
            if findings.errors() == 0 {
                findings.error("bad-value", failure.mark.unwrap_or(root.mark), failure.message);
            }
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_configuration_is_a_plan_with_the_defaults_of_the_schema() {
        let text = "listeners: [{ address: 127.0.0.1:0 }]\n\
                    apis:\n  a:\n    hosts: [\"*\"]\n    routes:\n      - { path: '/{*rest}', public: true, to: { respond: { body: hi } } }\n";
        let plan = load_text(text, "t.yaml", &|_| None).unwrap_or_else(|found| {
            panic!(
                "{}",
                found
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join("\n")
            )
        });
        assert_eq!(plan.server.timeouts.idle, std::time::Duration::from_secs(75));
        assert_eq!(plan.server.max_connections_per_address, 256);
        assert_eq!(plan.apis[0].routes[0].name.as_str(), "/{*rest}");
        assert_eq!(plan.apis[0].routes[0].place, "t.yaml:6");
        assert_eq!(plan.apis[0].routes[0].body_limit, 10 << 20);
        assert!(plan.warnings.is_empty());
    }
}
