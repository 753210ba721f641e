//! Small templates: text with `{placeholder}`s, split once at load.

use std::borrow::Cow;

use super::{Code, Rejection, Retry};

/// What a template may name. What is known at load is put in then and is no field any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    /// A sentence about this very refusal.
    Detail,
    /// The request's name.
    RequestId,
    /// Whole seconds.
    RetryAfter,
    /// The limit's name, or the number that was exceeded.
    Limit,
    /// The host of the right door.
    Host,
    /// The scopes that would have done.
    Scope,
}

/// How values are made safe for the text around them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Escape {
    /// As they are.
    None,
    /// Inside a JSON string (RFC 8259 section 7).
    Json,
    /// Inside HTML or XML text or a quoted attribute.
    Markup,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Field(Field),
}

/// A template, split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template {
    parts: Vec<Part>,
    escape: Escape,
    /// Length of all text, to reserve.
    text: usize,
}

/// Why a template cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadTemplate {
    /// A placeholder that does not exist.
    #[error(
        "unknown placeholder `{{{0}}}`; there are code, title, detail, status, request_id, retry_after, limit, host, scope"
    )]
    Unknown(String),
    /// A placeholder that this refusal has no value for.
    #[error("`{{{placeholder}}}` has no value in `{code}`")]
    Absent {
        /// The placeholder.
        placeholder: &'static str,
        /// The refusal.
        code: &'static str,
    },
}

impl Template {
    /// Splits `text`. A brace that does not enclose a word of lower-case letters and `_` is text, so JSON can be written
    /// as it is.
    pub(super) fn compile(
        text: &str,
        code: Code,
        status: u16,
        escape: Escape,
    ) -> Result<Template, BadTemplate> {
        let mut parts: Vec<Part> = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(open) = rest.find('{') {
            let (before, from_brace) = rest.split_at(open);
            literal.push_str(before);
            let after = from_brace.strip_prefix('{').unwrap_or_default();
            let word = after
                .find(|c: char| !(c.is_ascii_lowercase() || c == '_'))
                .unwrap_or(after.len());
            let (word, behind) = after.split_at(word);
            match behind.strip_prefix('}') {
                Some(behind) if !word.is_empty() => {
                    match known(word, code, status)? {
                        Value::Now(value) => literal.push_str(&escaped(&value, escape)),
                        Value::Later(field) => {
                            if !literal.is_empty() {
                                parts.push(Part::Text(std::mem::take(&mut literal)));
                            }
                            parts.push(Part::Field(field));
                        }
                    }
                    rest = behind;
                }
                _ => {
                    literal.push('{');
                    rest = after;
                }
            }
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Text(literal));
        }
        let text = parts
            .iter()
            .map(|part| match part {
                Part::Text(text) => text.len(),
                Part::Field(_) => 0,
            })
            .sum();
        Ok(Template { parts, escape, text })
    }

    /// The whole text, if nothing in it depends on the request.
    pub(super) fn fixed(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The text for one refusal.
    pub(super) fn render(&self, rejection: &Rejection, request_id: &str) -> String {
        self.fill(|field| value(field, rejection, request_id))
    }

    /// The text with a number where a number may come and a word elsewhere: to check its form at load.
    pub(super) fn sample(&self) -> String {
        self.fill(|field| match field {
            Field::RetryAfter => Cow::Borrowed("1"),
            Field::Detail | Field::RequestId | Field::Limit | Field::Host | Field::Scope => {
                Cow::Borrowed("x")
            }
        })
    }

    fn fill<'v>(&self, value: impl Fn(Field) -> Cow<'v, str>) -> String {
        let mut text = String::with_capacity(self.text + 64);
        for part in &self.parts {
            match part {
                Part::Text(literal) => text.push_str(literal),
                Part::Field(field) => text.push_str(&escaped(&value(*field), self.escape)),
            }
        }
        text
    }
}

enum Value {
    Now(Cow<'static, str>),
    Later(Field),
}

/// What a placeholder stands for. A new [`Code`] has to say here which placeholders it knows.
fn known(word: &str, code: Code, status: u16) -> Result<Value, BadTemplate> {
    let absent = |placeholder| {
        Err(BadTemplate::Absent {
            placeholder,
            code: code.as_str(),
        })
    };
    match word {
        "code" => Ok(Value::Now(code.as_str().into())),
        "title" => Ok(Value::Now(code.title().into())),
        "status" => Ok(Value::Now(status.to_string().into())),
        "request_id" => Ok(Value::Later(Field::RequestId)),
        "detail" => Ok(match fixed_detail(code) {
            Some(detail) => Value::Now(detail.into()),
            None => Value::Later(Field::Detail),
        }),
        "retry_after" => match code {
            Code::RateLimited | Code::Overloaded | Code::AuthorityUnavailable | Code::RegionUnavailable => {
                Ok(Value::Later(Field::RetryAfter))
            }
            _ => absent("retry_after"),
        },
        "limit" => match code {
            Code::RateLimited | Code::ItemCapExceeded | Code::BodyTooLarge => Ok(Value::Later(Field::Limit)),
            _ => absent("limit"),
        },
        "host" if code == Code::WrongRegion => Ok(Value::Later(Field::Host)),
        "host" => absent("host"),
        "scope" if code == Code::ScopeMissing => Ok(Value::Later(Field::Scope)),
        "scope" => absent("scope"),
        other => Err(BadTemplate::Unknown(other.to_owned())),
    }
}

fn value<'r>(field: Field, rejection: &'r Rejection, request_id: &'r str) -> Cow<'r, str> {
    match field {
        Field::RequestId => Cow::Borrowed(request_id),
        Field::Detail => detail(rejection),
        Field::RetryAfter => match rejection.retry() {
            Retry::After(seconds) => Cow::Owned(seconds.to_string()),
            Retry::Never | Retry::Safe => Cow::Borrowed(""),
        },
        Field::Limit => match rejection {
            Rejection::RateLimited(limited) => Cow::Borrowed(&limited.limit),
            Rejection::ItemCapExceeded { max, .. } => Cow::Owned(max.to_string()),
            Rejection::BodyTooLarge { limit } => Cow::Owned(limit.to_string()),
            _ => Cow::Borrowed(""),
        },
        Field::Host => match rejection {
            Rejection::WrongRegion(region) => Cow::Borrowed(&region.host),
            _ => Cow::Borrowed(""),
        },
        Field::Scope => match rejection {
            Rejection::ScopeMissing { needed } => Cow::Borrowed(needed.to_str().unwrap_or_default()),
            _ => Cow::Borrowed(""),
        },
    }
}

/// A sentence for the client. It says what the client can change, and nothing of how the gateway found out or of what
/// stands behind it; causes go to the log.
fn detail(rejection: &Rejection) -> Cow<'_, str> {
    match rejection {
        Rejection::BadRequest(reason) => Cow::Owned(sentence(&reason.to_string())),
        Rejection::ItemCapExceeded { max, .. } => {
            Cow::Owned(format!("One call may carry at most {max} items."))
        }
        Rejection::BodyTooLarge { limit } => Cow::Owned(format!("The body may have at most {limit} bytes.")),
        Rejection::WrongRegion(region) => Cow::Owned(format!("Send this call to {}.", region.host)),
        Rejection::RateLimited(limited) => {
            Cow::Owned(format!("Try again in {} s.", limited.retry_after_seconds))
        }
        other => Cow::Borrowed(fixed_detail(other.code()).unwrap_or_default()),
    }
}

/// The sentence of the codes whose sentence never changes.
fn fixed_detail(code: Code) -> Option<&'static str> {
    Some(match code {
        Code::BadRequest
        | Code::ItemCapExceeded
        | Code::BodyTooLarge
        | Code::WrongRegion
        | Code::RateLimited => return None,
        Code::TenantInvalid => "The tenant that the call names is not one valid tenant identifier.",
        Code::CredentialsMissing => "Send a bearer token in the Authorization header.",
        Code::CredentialsInvalid => "The token is malformed, revoked or not meant for this service.",
        Code::TokenExpired => "Get a new token and try again.",
        Code::ScopeMissing => "The token was issued without a scope that this call needs.",
        Code::RoleMissing => "The caller has no role that allows this call.",
        Code::TenantForbidden => "The caller may not act on the tenant that the call names.",
        Code::NoRoute => "Check the host name and the path.",
        Code::MethodNotAllowed => "The Allow header lists the methods that are there.",
        Code::RouteGone => "Use the current version of the API.",
        Code::UriTooLong => "Shorten the path or the query.",
        Code::HeadersTooLarge => "Send fewer or shorter header fields.",
        Code::ExpectationFailed => "The only expectation that is understood is 100-continue.",
        Code::RequestTimeout => "The rest of the request did not come in time.",
        Code::Internal => "Something went wrong here. The request's identifier helps to find out what.",
        Code::NotImplemented => "The method or the protocol feature is not supported.",
        Code::UpstreamUnreachable
        | Code::RegionUnavailable
        | Code::Overloaded
        | Code::AuthorityUnavailable => "Try again later.",
        Code::UpstreamInvalid => "The call may or may not have taken effect.",
        Code::UpstreamTimeout => "The call may or may not take effect later.",
    })
}

/// With a capital letter and a full stop.
fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(characters).chain(['.']).collect()
}

fn escaped(text: &str, escape: Escape) -> Cow<'_, str> {
    let needs = |character: char| match escape {
        Escape::None => false,
        // `<`, `>` and `&` need no escape in JSON; they get one in case a browser is told that it is something else.
        Escape::Json => {
            character < ' '
                || matches!(
                    character,
                    '"' | '\\' | '<' | '>' | '&' | '\u{7f}' | '\u{2028}' | '\u{2029}'
                )
        }
        Escape::Markup => matches!(character, '<' | '>' | '&' | '"' | '\''),
    };
    if !text.contains(needs) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match (escape, character) {
            (_, plain) if !needs(plain) => safe.push(plain),
            (Escape::Json, '"') => safe.push_str("\\\""),
            (Escape::Json, '\\') => safe.push_str("\\\\"),
            (Escape::Json, other) => safe.push_str(&format!("\\u{:04x}", u32::from(other))),
            (_, other) => safe.push_str(&format!("&#{};", u32::from(other))),
        }
    }
    Cow::Owned(safe)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn compiled(text: &str, code: Code) -> Result<Template, BadTemplate> {
        Template::compile(text, code, 400, Escape::Json)
    }

    #[test]
    fn braces_around_anything_but_a_word_are_text() {
        for text in [
            "{\"a\":{\"b\":{}}}",
            "{ code }",
            "{Code}",
            "{",
            "}{",
            "{code",
            "{a1}",
        ] {
            assert_eq!(
                compiled(text, Code::NoRoute).unwrap().fixed(),
                Some(text),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_known_at_load_is_put_in_at_load() {
        let template = compiled(
            "{\"c\":\"{code}\",\"s\":{status},\"t\":\"{title}\",\"d\":\"{detail}\"}",
            Code::NoRoute,
        )
        .unwrap();
        let fixed = template.fixed().unwrap();
        assert_eq!(
            fixed,
            "{\"c\":\"no_route\",\"s\":400,\"t\":\"Nothing is served here\",\"d\":\"Check the host name and the path.\"}"
        );
    }

    #[test]
    fn a_placeholder_that_has_no_value_is_refused_at_load() {
        assert_eq!(
            compiled("{codes}", Code::NoRoute),
            Err(BadTemplate::Unknown("codes".to_owned()))
        );
        for (word, code) in [
            ("retry_after", Code::NoRoute),
            ("limit", Code::NoRoute),
            ("host", Code::NoRoute),
            ("scope", Code::RoleMissing),
        ] {
            let refused = compiled(&format!("{{{word}}}"), code).unwrap_err();
            assert!(matches!(refused, BadTemplate::Absent { .. }), "{word}");
        }
    }

    #[test]
    fn markup_is_escaped_where_the_text_is_markup() {
        assert_eq!(
            escaped("<a href='\"'>&", Escape::Markup),
            "&#60;a href=&#39;&#34;&#39;&#62;&#38;"
        );
        assert_eq!(escaped("<>", Escape::None), "<>");
    }

    proptest! {
        #[test]
        fn what_is_put_into_json_comes_out_again(text in any::<String>()) {
            let json = format!("\"{}\"", escaped(&text, Escape::Json));
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }

        #[test]
        fn nothing_makes_the_compiler_panic(text in "[{}a-z_\" ]{0,40}") {
            let _ = compiled(&text, Code::RateLimited);
        }
    }
}
