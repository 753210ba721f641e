//! What becomes of a route's path towards the backend.

use super::scope::Scope;
use crate::config::plan::Rewrite;
use crate::config::raw::{RawRewrite, RawRoute};
use crate::config::suggest;
use crate::config::text;

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
            Rewrite::Template(template.value.0.clone())
        }
    }
}
