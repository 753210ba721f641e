//! The methods of the routes at one place of the tree.

use http::{HeaderValue, Method};

/// Routes that share a path, told apart by method.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    /// Which route answers which method; the one for any method, if there is one, is kept apart.
    choices: Vec<(Method, usize)>,
    any: Option<usize>,
    /// RFC 9110 section 10.2.1; unused while there is a route for any method.
    allow: HeaderValue,
}

impl Endpoint {
    pub(super) fn new() -> Endpoint {
        Endpoint {
            choices: Vec::new(),
            any: None,
            allow: HeaderValue::from_static(""),
        }
    }

    /// Adds `route` for `methods` (none: for any). `Err` names the route that has one of them already.
    pub(super) fn add(&mut self, methods: &[Method], route: usize) -> Result<(), usize> {
        if methods.is_empty() {
            return match self.any {
                Some(other) => Err(other),
                None => {
                    self.any = Some(route);
                    Ok(())
                }
            };
        }
        for method in methods {
            if let Some((_, other)) = self.choices.iter().find(|(known, _)| known == method) {
                return Err(*other);
            }
        }
        self.choices
            .extend(methods.iter().map(|method| (method.clone(), route)));
        self.allow = self.allowed();
        Ok(())
    }

    /// The route for `method`: one that names it, for `HEAD` one that names `GET` (RFC 9110 section 9.3.2), else the one
    /// for any method.
    pub(super) fn choose(&self, method: &Method) -> Option<usize> {
        let naming = |wanted: &Method| {
            self.choices
                .iter()
                .find(|(known, _)| known == wanted)
                .map(|(_, route)| *route)
        };
        naming(method)
            .or_else(|| {
                if method == Method::HEAD {
                    naming(&Method::GET)
                } else {
                    None
                }
            })
            .or(self.any)
    }

    /// A route of this place, to say whose it is.
    pub(super) fn first(&self) -> Option<usize> {
        self.choices.first().map(|(_, route)| *route).or(self.any)
    }

    /// The `Allow` field.
    pub(super) fn allow(&self) -> HeaderValue {
        self.allow.clone()
    }

    fn allowed(&self) -> HeaderValue {
        let mut names: Vec<&str> = self.choices.iter().map(|(method, _)| method.as_str()).collect();
        if names.contains(&"GET") && !names.contains(&"HEAD") {
            names.push("HEAD");
        }
        names.sort_unstable();
        // Methods are tokens (RFC 9110 section 9.1), so this is always a value.
        HeaderValue::from_str(&names.join(", ")).unwrap_or_else(|_| HeaderValue::from_static(""))
    }
}
