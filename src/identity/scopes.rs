//! Lists of scopes (RFC 6749 section 3.3), and which methods a scope lets through.

use http::Method;

use super::{BadId, Scope};

/// Most bytes of a `scope` parameter: more is looked at by nobody.
pub const LONGEST: usize = 4 << 10;
/// Most scopes in one parameter.
pub const MOST: usize = 64;

/// Why a text is no list of scopes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadScopes {
    /// More than [`LONGEST`] bytes.
    #[error("is longer than {LONGEST} bytes")]
    TooLong,
    /// More than [`MOST`] scopes.
    #[error("has more than {MOST} scopes")]
    TooMany,
    /// One of them is no scope-token.
    #[error("has a scope that {0}")]
    Scope(#[source] BadId),
}

/// Reads `scope-token *( SP scope-token )`: each scope once, in the order in which they come first. Blanks more than needed
/// say nothing; a text of blanks alone is no scope.
///
/// # Errors
/// What is no such list, or too large a one; size and number are looked at first.
pub fn parse(text: &str) -> Result<Vec<Scope>, BadScopes> {
    if text.len() > LONGEST {
        return Err(BadScopes::TooLong);
    }
    let words = || text.split(' ').filter(|word| !word.is_empty());
    if words().nth(MOST).is_some() {
        return Err(BadScopes::TooMany);
    }
    let mut scopes: Vec<Scope> = Vec::new();
    for word in words() {
        let scope = Scope::try_from(word).map_err(BadScopes::Scope)?;
        if !scopes.contains(&scope) {
            scopes.push(scope);
        }
    }
    Ok(scopes)
}

/// Scopes as a `scope` parameter says them.
pub fn joined(scopes: &[Scope]) -> String {
    scopes.iter().map(Scope::as_str).collect::<Vec<_>>().join(" ")
}

/// The methods that a scope lets through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Methods {
    /// Whatever the route allows.
    Every,
    /// These, and `HEAD` with `GET` (RFC 9110 section 9.3.2).
    These(Vec<Method>),
}

impl Methods {
    fn allow(&self, method: &Method) -> bool {
        match self {
            Methods::Every => true,
            Methods::These(methods) => {
                methods.contains(method) || (method == Method::HEAD && methods.contains(&Method::GET))
            }
        }
    }
}

/// What the scopes of an api are worth, such as `all` for every method and `read` for `GET`. A scope that is not listed lets
/// nothing through.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ScopeMethods(Vec<(Scope, Methods)>);

impl ScopeMethods {
    /// The scopes in the order in which a refusal names them.
    pub fn new(scopes: Vec<(Scope, Methods)>) -> ScopeMethods {
        ScopeMethods(scopes)
    }

    /// All of them, in the same order.
    pub fn scopes(&self) -> impl Iterator<Item = &Scope> {
        self.0.iter().map(|(scope, _)| scope)
    }

    /// Does one of `scopes` let `method` through?
    pub fn allow(&self, scopes: &[Scope], method: &Method) -> bool {
        self.enough_for(method).any(|enough| scopes.contains(enough))
    }

    /// The scopes each of which would do for `method`: what a refusal asks for (RFC 6750 section 3).
    pub fn enough_for(&self, method: &Method) -> impl Iterator<Item = &Scope> {
        self.0
            .iter()
            .filter(move |(_, methods)| methods.allow(method))
            .map(|(scope, _)| scope)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scopes(words: &[&str]) -> Vec<Scope> {
        words.iter().map(|word| Scope::try_from(*word).unwrap()).collect()
    }

    #[test]
    fn scopes_keep_their_order_and_come_once() {
        assert_eq!(parse("write read write"), Ok(scopes(&["write", "read"])));
        assert_eq!(parse("  read  "), Ok(scopes(&["read"])));
        assert_eq!(parse(""), Ok(vec![]));
        assert_eq!(joined(&scopes(&["write", "read"])), "write read");
        assert_eq!(joined(&[]), "");
    }

    #[test]
    fn what_is_no_list_of_scopes_is_refused() {
        for text in ["a\tb", "a\nb", "\"a\"", "a\\b", "ä", "a\u{a0}b", "a\0"] {
            assert!(matches!(parse(text), Err(BadScopes::Scope(_))), "{text:?}");
        }
        assert_eq!(parse(&"a".repeat(LONGEST + 1)), Err(BadScopes::TooLong));
        assert_eq!(parse(&"a ".repeat(MOST)), Ok(scopes(&["a"])));
        assert_eq!(parse(&"a ".repeat(MOST + 1)), Err(BadScopes::TooMany));
        assert_eq!(parse(&"a ".repeat(25_000)), Err(BadScopes::TooLong));
    }

    #[test]
    fn a_scope_lets_its_methods_through_and_an_unknown_one_none() {
        let map = ScopeMethods::new(vec![
            (
                Scope::try_from("read").unwrap(),
                Methods::These(vec![Method::GET]),
            ),
            (Scope::try_from("all").unwrap(), Methods::Every),
        ]);
        let allow = |words: &[&str], method: Method| map.allow(&scopes(words), &method);
        assert!(allow(&["read"], Method::GET) && allow(&["read"], Method::HEAD));
        assert!(!allow(&["read"], Method::POST) && !allow(&["read"], Method::OPTIONS));
        assert!(allow(&["read", "all"], Method::DELETE) && allow(&["all"], Method::GET));
        assert!(!allow(&["ALL", "write"], Method::GET) && !allow(&[], Method::GET));
        let named = |method| joined(&map.enough_for(&method).cloned().collect::<Vec<_>>());
        assert_eq!(named(Method::GET), "read all");
        assert_eq!(named(Method::PUT), "all");
    }

    proptest! {
        #[test]
        fn what_is_joined_is_read_again(text in "[ -~]{0,80}") {
            if let Ok(scopes) = parse(&text) {
                prop_assert_eq!(parse(&joined(&scopes)), Ok(scopes));
            }
        }
    }
}
