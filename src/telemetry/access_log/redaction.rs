//! What of a query may be written to a log.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// Parameters that carry secrets by standard (RFC 6749, RFC 6750 section 2.3, RFC 7523, OpenID Connect), or in our own signed
/// URLs: their values are never written, whatever the configuration says.
pub(super) const ALWAYS: [&str; 12] = [
    "access_token",
    "assertion",
    "client_assertion",
    "client_secret",
    "code",
    "code_verifier",
    "id_token",
    "id_token_hint",
    "password",
    "refresh_token",
    "sig-value",
    "token",
];

/// What ties an answer of an authorization endpoint to its request. They are words of many APIs too (`?state=active`), so they
/// are hidden where the query is of such an exchange (RFC 6749 sections 4.1.1 and 4.1.2).
const OF_A_SIGN_IN: [&str; 2] = ["nonce", "state"];

/// By these such a query is known.
const SIGN_IN: [&str; 3] = ["code", "error", "response_type"];

/// Which parts of a query are hidden.
#[derive(Debug, Clone, Default)]
pub(super) struct Redaction {
    names: Vec<String>,
}

impl Redaction {
    /// Hides the values of these parameters beside those that are always hidden. Letter case does not matter.
    pub(super) fn new(names: &[String]) -> Redaction {
        Redaction {
            names: names.iter().map(|name| name.to_ascii_lowercase()).collect(),
        }
    }

    /// The query with `***` in place of what is hidden; the rest byte for byte.
    ///
    /// `&` and `;` both separate here, though the gateway itself takes only `&`: a log must hide what any reader of the
    /// query would take for a parameter.
    pub(super) fn apply<'q>(&self, query: &'q str) -> Cow<'q, str> {
        let is_sign_in = query
            .split(['&', ';'])
            .any(|part| name_of(part).is_some_and(|name| SIGN_IN.contains(&name.as_ref())));
        if !query.split(['&', ';']).any(|part| self.hides(part, is_sign_in)) {
            return Cow::Borrowed(query);
        }
        let mut shown = String::with_capacity(query.len());
        for part in query.split_inclusive(['&', ';']) {
            let end = part.len() - usize::from(part.ends_with(['&', ';']));
            let (pair, separator) = part.split_at(end);
            match pair.split_once('=') {
                Some((name, _)) if self.hides(pair, is_sign_in) => {
                    shown.push_str(name);
                    shown.push_str("=***");
                }
                Some(_) | None => shown.push_str(pair),
            }
            shown.push_str(separator);
        }
        Cow::Owned(shown)
    }

    fn hides(&self, pair: &str, is_sign_in: bool) -> bool {
        let Some(plain) = name_of(pair) else {
            return false;
        };
        // `password[]`, `user.password` and the like are the same thing to many frameworks.
        plain.split(['[', ']', '.']).any(|word| {
            ALWAYS.contains(&word)
                || (is_sign_in && OF_A_SIGN_IN.contains(&word))
                || self.names.iter().any(|hidden| hidden == word)
        }) || self.names.iter().any(|hidden| *hidden == plain)
    }
}

/// The name of a parameter that has a value, as any reader might take it. Allocates only for one that is written strangely.
fn name_of(pair: &str) -> Option<Cow<'_, str>> {
    let (name, _) = pair.split_once('=')?;
    let name = percent_decode_str(name).decode_utf8_lossy();
    let is_plain = |c: char| !c.is_whitespace() && c != '+' && !c.is_ascii_uppercase();
    if name.chars().all(is_plain) {
        return Some(name);
    }
    let letters = name.chars().filter(|c| !c.is_whitespace() && *c != '+');
    Some(Cow::Owned(letters.map(|c| c.to_ascii_lowercase()).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CANARY: &str = "canary-5f1d";

    #[test]
    fn values_of_secret_parameters_are_replaced_however_the_name_is_written() {
        let redaction = Redaction::new(&["Session".to_owned()]);
        for name in [
            "access_token",
            "ACCESS_TOKEN",
            "access%5Ftoken",
            "%61ccess_token",
            "+access_token",
            "client_secret",
            "code",
            "refresh_token",
            "password",
            "password[]",
            "user[password]",
            "session",
            "sessio%6E",
        ] {
            for query in [
                format!("{name}={CANARY}"),
                format!("a=1&{name}={CANARY}&b=2"),
                format!("a=1;{name}={CANARY}"),
                format!("{name}={CANARY}={CANARY}"),
                format!("{name}=&{name}={CANARY}"),
            ] {
                let shown = redaction.apply(&query);
                assert!(!shown.contains(CANARY), "{query} -> {shown}");
                assert!(shown.contains("=***"), "{query} -> {shown}");
            }
        }
    }

    #[test]
    fn the_state_of_a_sign_in_is_hidden_and_the_state_of_anything_else_is_not() {
        let redaction = Redaction::new(&[]);
        for (query, shown) in [
            ("code=x&state=y", "code=***&state=***"),
            ("state=y&error=access_denied", "state=***&error=access_denied"),
            (
                "response_type=code&client_id=a&st%61te=y&nonce=z",
                "response_type=code&client_id=a&st%61te=***&nonce=***",
            ),
            ("state=active&size=10", "state=active&size=10"),
        ] {
            assert_eq!(redaction.apply(query), shown);
        }
    }

    #[test]
    fn everything_else_stays_byte_for_byte() {
        let redaction = Redaction::new(&[]);
        for query in [
            "limit=50&offset=0",
            "flag",
            "code",
            "a=b=c&&x=%zz;",
            "filter=(a|b),c&decode=1",
            "",
        ] {
            assert_eq!(redaction.apply(query), query);
        }
        assert_eq!(
            redaction.apply("a=%20&code=x&flag&b=+"),
            "a=%20&code=***&flag&b=+"
        );
    }
}
