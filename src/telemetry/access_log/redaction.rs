//! What of a query may be written to a log.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// Parameters that carry secrets by standard (RFC 6749, RFC 6750 section 2.3, RFC 7523, OpenID Connect), or in our own signed
/// URLs: their values
/// are never written, whatever the configuration says.
pub(super) const ALWAYS: [&str; 11] = [
    "access_token",
    "assertion",
    "client_assertion",
    "client_secret",
    "code",
    "code_verifier",
    "id_token",
    "password",
    "refresh_token",
    "sig-value",
    "token",
];

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
        if !query.split(['&', ';']).any(|part| self.hides(part)) {
            return Cow::Borrowed(query);
        }
        let mut shown = String::with_capacity(query.len());
        for part in query.split_inclusive(['&', ';']) {
            let end = part.len() - usize::from(part.ends_with(['&', ';']));
            let (pair, separator) = part.split_at(end);
            match pair.split_once('=') {
                Some((name, _)) if self.hides(pair) => {
                    shown.push_str(name);
                    shown.push_str("=***");
                }
                Some(_) | None => shown.push_str(pair),
            }
            shown.push_str(separator);
        }
        Cow::Owned(shown)
    }

    fn hides(&self, pair: &str) -> bool {
        let Some((name, _)) = pair.split_once('=') else {
            return false;
        };
        let plain: String = percent_decode_str(name)
            .decode_utf8_lossy()
            .chars()
            .filter(|c| !c.is_whitespace() && *c != '+')
            .map(|c| c.to_ascii_lowercase())
            .collect();
        // `password[]`, `user.password` and the like are the same thing to many frameworks.
        plain
            .split(['[', ']', '.'])
            .any(|word| ALWAYS.contains(&word) || self.names.iter().any(|hidden| hidden == word))
            || self.names.contains(&plain)
    }
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
