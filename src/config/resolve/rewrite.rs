//! What becomes of a route's path towards the backend.

use super::scope::Scope;
use crate::config::node::Mark;
use crate::config::plan::Rewrite;
use crate::config::raw::{RawRewrite, RawRoute};
use crate::config::suggest;
use crate::config::text;
use crate::http::path;

pub(super) fn resolve(raw: &RawRoute, scope: &mut Scope<'_>) -> Rewrite {
    let path = &raw.path.value.0;
    match raw.rewrite.as_ref().map(|at| &at.value) {
        None => Rewrite::Keep,
        Some(RawRewrite::StripPrefix(prefix)) => {
            let text = &prefix.value.0;
            let rest = path.strip_prefix(text.trim_end_matches('/'));
            if !rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
                scope.error(
                    "contradiction",
                    prefix.mark,
                    format!("`{}` is not a prefix of `{path}`", prefix.shown(text)),
                    "whole segments, as they stand in `path`",
                );
            }
            Rewrite::StripPrefix(text.clone())
        }
        Some(RawRewrite::Template(template)) => {
            let known: Vec<&str> = text::captures(path).collect();
            for name in text::captures(&template.value.0).filter(|name| !known.contains(name)) {
                let hint = if known.is_empty() {
                    "the path captures nothing".to_owned()
                } else {
                    format!("the path captures {}", suggest::list(known.iter().copied()))
                };
                let message = format!(
                    "`{path}` captures no `{name}`{}",
                    suggest::did_you_mean(name, known.iter().copied())
                );
                scope.error("unknown-name", template.mark, message, hint);
            }
            check_normal(&template.value.0, template.mark, scope);
            Rewrite::Template(template.value.0.clone())
        }
    }
}

/// What a template makes is forwarded, so it has to be a path that no server reads in another way, as far as that can be
/// seen here: captures are in normal form, and only a tail in the middle can spoil it.
fn check_normal(template: &str, mark: Mark, scope: &mut Scope<'_>) {
    let filled: Vec<&str> = template
        .split('/')
        .map(|segment| if segment.starts_with('{') { "x" } else { segment })
        .collect();
    let filled = filled.join("/");
    let (why, hint) = match path::normalise(&filled) {
        Ok(normal) if normal == filled => return,
        Ok(_) => {
            // Braces are no characters of a path, so the normal form has them escaped.
            let normal = path::normalise(template).unwrap_or_default();
            let normal = normal.replace("%7B", "{").replace("%7D", "}");
            (String::new(), format!("write `{normal}`"))
        }
        Err(why) => (
            format!(": {why}"),
            "write the path as the backend is to see it".to_owned(),
        ),
    };
    let message = format!("`{template}` is not in the normal form of a path{why}");
    scope.error("not-normal", mark, message, hint);
}
