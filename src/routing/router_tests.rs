use proptest::prelude::*;

use super::*;

const HOST: &str = "api.example.com";

fn router(routes: &[(&str, &[Method])]) -> Router<String> {
    let mut builder = Builder::new();
    builder.host(HostMatch::Exact(HOST.to_owned()), 0);
    for (path, methods) in routes {
        builder.route(0, path, methods, (*path).to_owned()).unwrap();
    }
    builder.build()
}

fn found<'r>(router: &'r Router<String>, path: &'r str) -> Option<&'r str> {
    router
        .find(HOST, path, &Method::GET)
        .ok()
        .map(|found| found.payload.as_str())
}

fn miss(router: &Router<String>, host: &str, path: &str, method: &Method) -> Miss {
    router
        .find(host, path, method)
        .map(|found| found.payload.clone())
        .unwrap_err()
}

#[test]
fn what_nobody_declared_is_not_there() {
    let router = router(&[("/a", &[])]);
    assert_eq!(
        miss(&router, "other.example.com", "/a", &Method::GET),
        Miss {
            api: None,
            kind: MissKind::NoHost
        }
    );
    assert_eq!(miss(&router, "", "/a", &Method::GET).kind, MissKind::NoHost);
    for path in ["/", "/b", "/a/", "/a/b", "/A", "/aa", "*", ""] {
        let expected = Miss {
            api: Some(0),
            kind: MissKind::NoRoute,
        };
        assert_eq!(miss(&router, HOST, path, &Method::GET), expected, "{path}");
    }
}

#[test]
fn a_literal_beats_a_capture_and_a_capture_beats_a_tail() {
    let router = router(&[
        ("/a/b", &[]),
        ("/a/{x}", &[]),
        ("/a/{*rest}", &[]),
        ("/{*rest}", &[]),
    ]);
    assert_eq!(found(&router, "/a/b"), Some("/a/b"));
    assert_eq!(found(&router, "/a/c"), Some("/a/{x}"));
    assert_eq!(found(&router, "/a/b/c"), Some("/a/{*rest}"));
    assert_eq!(found(&router, "/a/"), Some("/a/{*rest}"));
    assert_eq!(found(&router, "/a"), Some("/{*rest}"));
    assert_eq!(found(&router, "/"), Some("/{*rest}"));
}

#[test]
fn a_branch_that_leads_nowhere_is_left_again() {
    let router = router(&[("/a/b/c", &[]), ("/a/{x}/d", &[]), ("/{y}/b/{z}/e", &[])]);
    assert_eq!(found(&router, "/a/b/d"), Some("/a/{x}/d"));
    assert_eq!(found(&router, "/a/b/c/e"), Some("/{y}/b/{z}/e"));
    let found = router.find(HOST, "/a/b/q/e", &Method::GET).unwrap();
    assert_eq!(
        (found.captures.get("y"), found.captures.get("z")),
        (Some("a"), Some("q"))
    );
    assert_eq!(found.captures.get("x"), None);
}

#[test]
fn a_slash_at_the_end_means_something() {
    let router = router(&[("/a", &[]), ("/b/", &[]), ("/c/{x}", &[]), ("/d/{x}/", &[])]);
    for path in ["/a/", "/b", "/c/", "/c/x/", "/d/x", "/d/", "/d//"] {
        assert_eq!(found(&router, path), None, "{path}");
    }
    for path in ["/a", "/b/", "/c/x", "/d/x/"] {
        assert!(found(&router, path).is_some(), "{path}");
    }
}

#[test]
fn a_tail_may_be_empty_but_needs_its_slash() {
    let router = router(&[("/a/{*rest}", &[])]);
    for (path, rest) in [("/a/", Some("")), ("/a/b/c/", Some("b/c/")), ("/a", None)] {
        let found = router.find(HOST, path, &Method::GET).ok();
        assert_eq!(found.and_then(|found| found.captures.get("rest")), rest, "{path}");
    }
}

#[test]
fn the_method_decides_last_and_never_widens_the_search() {
    let router = router(&[
        ("/a/b", &[Method::POST, Method::PUT]),
        ("/a/{x}", &[Method::GET]),
        ("/any", &[]),
        ("/both", &[]),
    ]);
    let refused = miss(&router, HOST, "/a/b", &Method::GET);
    assert_eq!(
        refused,
        Miss {
            api: Some(0),
            kind: MissKind::Method {
                allow: "POST, PUT".parse().unwrap()
            }
        }
    );
    let refused = miss(&router, HOST, "/a/x", &Method::DELETE);
    assert_eq!(
        refused.kind,
        MissKind::Method {
            allow: "GET, HEAD".parse().unwrap()
        }
    );
    assert_eq!(
        router.find(HOST, "/a/x", &Method::HEAD).unwrap().payload,
        "/a/{x}"
    );
    assert!(
        router.find(HOST, "/a/x", &Method::OPTIONS).is_err(),
        "OPTIONS is not invented"
    );
    let other = Method::from_bytes(b"PROPFIND").unwrap();
    assert!(router.find(HOST, "/any", &other).is_ok());
    let lower = Method::from_bytes(b"get").unwrap();
    assert!(
        router.find(HOST, "/a/x", &lower).is_err(),
        "methods are case-sensitive (RFC 9110 section 9.1)"
    );
}

#[test]
fn a_route_that_names_the_method_beats_one_for_any() {
    let mut builder = Builder::new();
    builder.host(HostMatch::Any, 0);
    builder.route(0, "/a", &[], "any").unwrap();
    builder.route(0, "/a", &[Method::GET], "get").unwrap();
    let router = builder.build();
    assert_eq!(*router.find("x", "/a", &Method::HEAD).unwrap().payload, "get");
    assert_eq!(*router.find("x", "/a", &Method::POST).unwrap().payload, "any");
}

#[test]
fn hosts_exact_then_longest_suffix_then_any() {
    let mut builder = Builder::new();
    for (api, pattern) in [
        HostMatch::Exact("a.example.com".to_owned()),
        HostMatch::Suffix(".example.com".to_owned()),
        HostMatch::Suffix(".eu.example.com".to_owned()),
        HostMatch::Exact("10.0.0.1".to_owned()),
        HostMatch::Exact("::1".to_owned()),
        HostMatch::Any,
    ]
    .into_iter()
    .enumerate()
    {
        builder.host(pattern, api);
        builder.route(api, "/", &[], api).unwrap();
    }
    let router = builder.build();
    for (host, api) in [
        ("a.example.com", 0),
        ("b.example.com", 1),
        ("x.b.example.com", 1),
        ("b.eu.example.com", 2),
        ("eu.example.com", 1),
        ("example.com", 5),
        (".example.com", 5),
        ("badexample.com", 5),
        ("10.0.0.1", 3),
        ("::1", 4),
        ("", 5),
    ] {
        assert_eq!(router.find(host, "/", &Method::GET).unwrap().api, api, "{host}");
    }
}

#[test]
fn a_host_without_the_path_does_not_ask_a_less_specific_host() {
    let mut builder = Builder::new();
    builder.host(HostMatch::Exact("a".to_owned()), 0);
    builder.host(HostMatch::Any, 1);
    builder.route(0, "/x", &[], 0).unwrap();
    builder.route(1, "/{*rest}", &[], 1).unwrap();
    let router = builder.build();
    assert_eq!(
        router.find("a", "/y", &Method::GET).unwrap_err(),
        Miss {
            api: Some(0),
            kind: MissKind::NoRoute
        }
    );
}

#[test]
fn apis_may_share_a_host_unless_they_are_in_each_others_way() {
    let mut builder = Builder::new();
    for api in 0..2 {
        builder.host(HostMatch::Exact("a".to_owned()), api);
    }
    builder.host(HostMatch::Exact("b".to_owned()), 1);
    builder.route(0, "/x/{id}", &[Method::GET], 0).unwrap();
    builder.route(1, "/x/{name}", &[Method::PUT], 1).unwrap();
    assert_eq!(
        builder.route(1, "/x/{other}", &[Method::POST, Method::GET], 2),
        Err(Conflict::Taken {
            path: "/x/{id}".to_owned(),
            api: 0
        })
    );
    let router = builder.build();
    let put = router.find("a", "/x/7", &Method::PUT).unwrap();
    assert_eq!(
        (put.api, put.captures.get("name"), put.captures.get("id")),
        (1, Some("7"), None)
    );
    assert!(router.find("b", "/x/7", &Method::GET).is_err());
}

#[test]
fn conflicts_are_found_when_a_route_is_added() {
    let mut builder = Builder::new();
    assert_eq!(builder.route(0, "/a", &[], ()), Err(Conflict::NoHost));
    builder.host(HostMatch::Any, 0);
    builder.route(0, "/a", &[], ()).unwrap();
    assert!(matches!(
        builder.route(0, "/a", &[], ()),
        Err(Conflict::Taken { .. })
    ));
    builder.route(0, "/{*a}", &[Method::GET], ()).unwrap();
    assert!(matches!(
        builder.route(0, "/{*b}", &[Method::GET], ()),
        Err(Conflict::Taken { .. })
    ));
    assert!(matches!(
        builder.route(0, "/{*b}/c", &[], ()),
        Err(Conflict::Pattern(_))
    ));
}

#[test]
fn a_lenient_reading_is_no_way_around_a_stricter_route() {
    let router = router(&[
        ("/admin", &[]),
        ("/a:b", &[]),
        ("/{*rest}", &[]),
        ("/files/{name}", &[]),
    ]);
    for path in ["/admin;x=y", "/admin%3Bx", "/admin%20", "/admin.", "/a%3Ab"] {
        assert_eq!(
            miss(&router, HOST, path, &Method::GET).kind,
            MissKind::NoRoute,
            "{path}"
        );
    }
    for path in [
        "/files/a;v=1",
        "/files/a%2Cb",
        "/files/a.",
        "/public;x",
        "/files/a%20b.txt",
    ] {
        assert!(found(&router, path).is_some(), "{path}");
    }
}

#[test]
fn ten_thousand_routes_are_all_found() {
    let paths: Vec<String> = (0..10_000)
        .map(|n| match n % 3 {
            0 => format!("/flat{n}"),
            1 => format!("/v{}/things{n}/{{id}}/parts", n % 7),
            _ => format!("/v{}/other/{{id}}/sub{n}/{{*rest}}", n % 7),
        })
        .collect();
    let mut builder = Builder::new();
    builder.host(HostMatch::Any, 0);
    for (index, path) in paths.iter().enumerate() {
        builder.route(0, path, &[], index).unwrap();
    }
    let router = builder.build();
    for (index, path) in paths.iter().enumerate() {
        let concrete = path.replace("{id}", "x-1").replace("{*rest}", "p/q");
        assert_eq!(
            *router.find("h", &concrete, &Method::GET).unwrap().payload,
            index,
            "{path}"
        );
    }
}

/// The rule, slowly: of all patterns that match, the one whose segments are the most specific from the left.
fn reference<'p>(patterns: &'p [String], path: &str) -> Option<&'p String> {
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    let rank = |pattern: &String| -> Option<Vec<u8>> {
        let parts: Vec<&str> = pattern.split('/').skip(1).collect();
        let mut ranks = Vec::new();
        for (index, part) in parts.iter().enumerate() {
            if part.starts_with("{*") {
                return (index < segments.len()).then(|| {
                    ranks.push(2);
                    ranks
                });
            }
            let segment = segments.get(index)?;
            if part.starts_with('{') {
                if segment.is_empty() {
                    return None;
                }
                ranks.push(1);
            } else if part == segment {
                ranks.push(0);
            } else {
                return None;
            }
        }
        (parts.len() == segments.len()).then_some(ranks)
    };
    patterns
        .iter()
        .filter_map(|pattern| Some((rank(pattern)?, pattern)))
        .min()
        .map(|(_, pattern)| pattern)
}

fn pattern() -> impl Strategy<Value = String> {
    let segment = prop::sample::select(vec!["a", "b", "{}", "{}"]);
    (
        prop::collection::vec(segment, 0..4),
        prop::sample::select(vec!["", "/", "/{*t}"]),
    )
        .prop_map(|(segments, end)| {
            let mut text = String::new();
            for (index, segment) in segments.iter().enumerate() {
                text.push('/');
                text.push_str(&segment.replace("{}", &format!("{{c{index}}}")));
            }
            text.push_str(end);
            if text.is_empty() { "/".to_owned() } else { text }
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn the_router_agrees_with_a_slow_reference(
        patterns in prop::collection::vec(pattern(), 1..12),
        path in "(/[abc]?){1,5}",
    ) {
        let mut patterns = patterns;
        patterns.sort();
        patterns.dedup();
        let routes: Vec<(&str, &[Method])> = patterns.iter().map(|p| (p.as_str(), &[][..])).collect();
        let router = router(&routes);
        prop_assert_eq!(found(&router, &path), reference(&patterns, &path).map(String::as_str));
    }
}
