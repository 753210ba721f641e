//! Keys that once meant something: what to write instead.
//!
//! A key that is removed gets a line here in the same change, so that an old file is answered with a sentence and not
//! with "unknown key". The first lines are the words of the drafts that went before the first release.

/// A removed key: the path it stood at (`*` for any name, items of a list are `[]`), and what to do.
const TOMBSTONES: &[(&str, &str)] = &[
    ("front_doors", "write the doors as `apis:`, by name"),
    (
        "upstreams",
        "write `backends:`, by name, each with `endpoints:` or `regions:`",
    ),
    (
        "authenticators",
        "write `issuers:` and name them in an api's `credentials:`",
    ),
    (
        "rate_limits",
        "write `limits:`, by name, and name them in an api's or a route's `limits:`",
    ),
    (
        "listeners.[].mode",
        "write `tls:` or `redirect: https`; a listener with neither is plain",
    ),
    (
        "apis.*.routes.[].caps",
        "write `items: { query: NAME, max: 50 }` or `items: { body: /pointer, max: 50 }`",
    ),
    ("apis.*.routes.[].upstream", "write `to: { backend: NAME }`"),
    (
        "apis.*.routes.[].access.all-roles",
        "write `roles:`, which asks for all of them",
    ),
    (
        "apis.*.access.all-roles",
        "write `roles:`, which asks for all of them",
    ),
    (
        "apis.*.routes.[].access.all-scopes",
        "write `scopes:`, which asks for all of them",
    ),
    (
        "apis.*.access.all-scopes",
        "write `scopes:`, which asks for all of them",
    ),
];

/// What to write instead of `key` at this path, if it was a key once.
pub(super) fn find(path: &[String], key: &str) -> Option<&'static str> {
    TOMBSTONES
        .iter()
        .find(|(place, _)| {
            let mut wanted = place.split('.');
            let here = path.iter().map(String::as_str).chain([key]);
            let all = here.into_iter().all(|segment| match wanted.next() {
                Some("*") => true,
                Some("[]") => segment.is_empty(),
                Some(word) => word == segment,
                None => false,
            });
            all && wanted.next().is_none()
        })
        .map(|(_, instead)| *instead)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_removed_key_is_found_by_its_path_and_only_there() {
        let path = |parts: &[&str]| parts.iter().map(|part| (*part).to_owned()).collect::<Vec<_>>();
        assert!(find(&[], "upstreams").is_some());
        assert!(find(&path(&["backends"]), "upstreams").is_none());
        assert!(find(&path(&["apis", "any", "routes", ""]), "upstream").is_some());
        assert!(find(&path(&["apis", "any", "routes"]), "upstream").is_none());
    }
}
