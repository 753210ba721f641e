//! From host, path and method to a route.
//!
//! The host decides first: an exact name beats a suffix, a longer suffix a shorter one, and "any" comes last. If the
//! host that was found has no route for the path, no other host is asked. Then the path decides: the most specific
//! pattern (literal, then capture, then tail, segment by segment). Only then the method: a place that has routes but
//! none for the method answers 405, and no less specific pattern is asked, since that could be a less strict route.
//!
//! Several apis may share a host; their routes lie in one tree and must not be in each other's way.

use hashbrown::HashMap;
use http::{HeaderValue, Method};

use super::tree::{Spans, Tree};
use crate::http::path;
use crate::http::pattern::{Pattern, PatternError};

/// Which hosts an api answers to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HostMatch {
    /// This name or address, as [`crate::http::head::Head::host`] gives it: lower case, without port and brackets.
    Exact(String),
    /// Any name that ends with this and is longer: `.example.com`.
    Suffix(String),
    /// Any host, also none.
    Any,
}

/// Why a route cannot be added.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// The path is no pattern.
    #[error("the path {0}")]
    Pattern(#[from] PatternError),
    /// The api has no host, so nothing could reach the route.
    #[error("the api has no host")]
    NoHost,
    /// Another route answers the same requests.
    #[error("`{path}` of api {api} answers the same path and method already")]
    Taken {
        /// The other route's pattern.
        path: String,
        /// The other route's api.
        api: usize,
    },
}

/// Finds routes. Built once, read without allocating, except for paths that lenient servers read as another.
#[derive(Debug)]
pub struct Router<T> {
    routes: Vec<Route<T>>,
    hosts: Hosts,
    trees: Vec<HostTree>,
}

#[derive(Debug)]
struct Route<T> {
    api: usize,
    path: String,
    names: Box<[Box<str>]>,
    payload: T,
}

#[derive(Debug)]
struct HostTree {
    tree: Tree,
    /// All apis of the host; the first speaks for what is found nowhere.
    apis: Vec<usize>,
}

#[derive(Debug, Default)]
struct Hosts {
    exact: HashMap<String, usize, foldhash::fast::RandomState>,
    suffix: HashMap<String, usize, foldhash::fast::RandomState>,
    any: Option<usize>,
}

impl Hosts {
    fn find(&self, host: &str) -> Option<usize> {
        if let Some(tree) = self.exact.get(host) {
            return Some(*tree);
        }
        if !self.suffix.is_empty() {
            // From the left: the first suffix that is known is the longest one. The first byte is no part of one.
            let dots = host.bytes().enumerate().skip(1).filter(|(_, byte)| *byte == b'.');
            for (dot, _) in dots {
                if let Some(tree) = host.get(dot..).and_then(|suffix| self.suffix.get(suffix)) {
                    return Some(*tree);
                }
            }
        }
        self.any
    }
}

/// Collects hosts and routes.
#[derive(Debug)]
pub struct Builder<T> {
    router: Router<T>,
}

impl<T> Default for Builder<T> {
    fn default() -> Builder<T> {
        Builder::new()
    }
}

impl<T> Builder<T> {
    /// A builder without routes.
    pub fn new() -> Builder<T> {
        Builder {
            router: Router {
                routes: Vec::new(),
                hosts: Hosts::default(),
                trees: Vec::new(),
            },
        }
    }

    /// Makes `api` answer to a host. All hosts of an api come before its first route.
    pub fn host(&mut self, pattern: HostMatch, api: usize) {
        let Router { hosts, trees, .. } = &mut self.router;
        let fresh = trees.len();
        let tree = match pattern {
            HostMatch::Exact(name) => *hosts.exact.entry(name.to_ascii_lowercase()).or_insert(fresh),
            HostMatch::Suffix(name) => *hosts.suffix.entry(name.to_ascii_lowercase()).or_insert(fresh),
            HostMatch::Any => *hosts.any.get_or_insert(fresh),
        };
        if tree == fresh {
            trees.push(HostTree {
                tree: Tree::default(),
                apis: Vec::new(),
            });
        }
        if let Some(host) = trees.get_mut(tree)
            && !host.apis.contains(&api)
        {
            host.apis.push(api);
        }
    }

    /// Adds a route of `api`: a pattern, the methods it answers (none: any that no other route of the same pattern
    /// names), and what is to be found.
    ///
    /// # Errors
    /// [`Conflict`]. The builder is of no use after one.
    pub fn route(&mut self, api: usize, path: &str, methods: &[Method], payload: T) -> Result<(), Conflict> {
        let pattern = Pattern::parse(path)?;
        let Router { routes, trees, .. } = &mut self.router;
        let index = routes.len();
        let mut reachable = false;
        for host in trees.iter_mut().filter(|host| host.apis.contains(&api)) {
            reachable = true;
            host.tree.add(&pattern, methods, index).map_err(|other| {
                let other = routes.get(other);
                Conflict::Taken {
                    path: other.map_or_else(|| path.to_owned(), |other| other.path.clone()),
                    api: other.map_or(api, |other| other.api),
                }
            })?;
        }
        if !reachable {
            return Err(Conflict::NoHost);
        }
        let names = pattern.names().map(Box::from).collect();
        routes.push(Route {
            api,
            path: path.to_owned(),
            names,
            payload,
        });
        Ok(())
    }

    /// The finished router.
    pub fn build(self) -> Router<T> {
        self.router
    }
}

/// A route that answers a request.
#[derive(Debug)]
pub struct Found<'r, T> {
    /// What the route was added with.
    pub payload: &'r T,
    /// Its api.
    pub api: usize,
    /// What its captures stand for.
    pub captures: Captures<'r>,
}

/// What the captures of a pattern stand for in one path. Borrows from the path; nothing is allocated.
#[derive(Debug, Clone, Copy)]
pub struct Captures<'r> {
    path: &'r str,
    names: &'r [Box<str>],
    spans: Spans,
}

impl<'r> Captures<'r> {
    /// The part of the path that `name` stands for, in normal form (escapes and all).
    pub fn get(&self, name: &str) -> Option<&'r str> {
        let index = self.names.iter().position(|known| **known == *name)?;
        let (from, to) = self.spans.get(index)?;
        self.path.get(from..to)
    }

    /// Has the pattern no captures?
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}

/// No route answers the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Miss {
    /// Whose look the refusal has; `None` when not even the host is known.
    pub api: Option<usize>,
    /// What was not found.
    pub kind: MissKind,
}

/// What was not found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MissKind {
    /// The host.
    NoHost,
    /// The path; or a path that lenient servers would take for that of another route.
    NoRoute,
    /// The method.
    Method {
        /// The methods that are there (RFC 9110 section 10.2.1).
        allow: HeaderValue,
    },
}

impl<T> Router<T> {
    /// The route for `host` (as [`crate::http::head::Head::host`] gives it), `path` (in normal form) and `method`.
    ///
    /// A path that lenient servers read as another (`/admin;x`, `/admin%2E`, see [`path::lenient_reading`]) must lead to
    /// the same routes in both readings, else it is not found: a capture or a tail must not be a way around a stricter
    /// literal.
    ///
    /// # Errors
    /// [`Miss`]: whose look the refusal has, and what is not there.
    pub fn find<'r>(&'r self, host: &str, path: &'r str, method: &Method) -> Result<Found<'r, T>, Miss> {
        let Some(host) = self.hosts.find(host).and_then(|tree| self.trees.get(tree)) else {
            return Err(Miss {
                api: None,
                kind: MissKind::NoHost,
            });
        };
        let nowhere = || Miss {
            api: host.apis.first().copied(),
            kind: MissKind::NoRoute,
        };
        let (place, spans) = host.tree.find(path).ok_or_else(nowhere)?;
        if let Some(reading) = path::lenient_reading(path) {
            let same = host
                .tree
                .find(&reading)
                .is_some_and(|(other, _)| std::ptr::eq(place, other));
            if !same {
                return Err(nowhere());
            }
        }
        match place.choose(method).and_then(|route| self.routes.get(route)) {
            Some(route) => Ok(Found {
                payload: &route.payload,
                api: route.api,
                captures: Captures {
                    path,
                    names: &route.names,
                    spans,
                },
            }),
            None => Err(Miss {
                api: place
                    .first()
                    .and_then(|route| self.routes.get(route))
                    .map(|route| route.api),
                kind: MissKind::Method { allow: place.allow() },
            }),
        }
    }
}

#[cfg(test)]
#[path = "router_tests.rs"]
mod tests;
