//! What the templates of a dialect may name, and what is put in for it.

use std::borrow::Cow;

use super::{BadVersion, Code, Rejection, Retry};
use crate::base::template::{self, Escape, Meaning};

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

/// A template of a dialect, split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template(template::Template<Field>);

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
    /// Splits `text` and puts in what is known of `code` already.
    pub(super) fn compile(
        text: &str,
        code: Code,
        status: u16,
        escape: Escape,
    ) -> Result<Template, BadTemplate> {
        template::Template::compile(text, escape, |word| known(word, code, status)).map(Template)
    }

    /// The whole text, if nothing in it depends on the request.
    pub(super) fn fixed(&self) -> Option<&str> {
        self.0.fixed()
    }

    /// The text for one refusal.
    pub(super) fn render(&self, rejection: &Rejection, request_id: &str) -> String {
        self.0.fill(|field| value(field, rejection, request_id))
    }

    /// The text with a number where a number may come and a word elsewhere: to check its form at load.
    pub(super) fn sample(&self) -> String {
        self.0.fill(|field| match field {
            Field::RetryAfter => Cow::Borrowed("1"),
            Field::Detail | Field::RequestId | Field::Limit | Field::Host | Field::Scope => {
                Cow::Borrowed("x")
            }
        })
    }
}

/// What a placeholder stands for. A new [`Code`] has to say here which placeholders it knows.
fn known(word: &str, code: Code, status: u16) -> Result<Meaning<Field>, BadTemplate> {
    let absent = |placeholder| {
        Err(BadTemplate::Absent {
            placeholder,
            code: code.as_str(),
        })
    };
    match word {
        "code" => Ok(Meaning::Now(code.as_str().into())),
        "title" => Ok(Meaning::Now(code.title().into())),
        "status" => Ok(Meaning::Now(status.to_string().into())),
        "request_id" => Ok(Meaning::Later(Field::RequestId)),
        "detail" => Ok(match fixed_detail(code) {
            Some(detail) => Meaning::Now(detail.into()),
            None => Meaning::Later(Field::Detail),
        }),
        "retry_after" => match code {
            Code::RateLimited
            | Code::Overloaded
            | Code::AuthorityUnavailable
            | Code::StoreUnavailable
            | Code::RegionUnavailable
            | Code::UpstreamNotReady
            | Code::LockedOut
            | Code::AccountSuspended => Ok(Meaning::Later(Field::RetryAfter)),
            _ => absent("retry_after"),
        },
        "limit" => match code {
            Code::RateLimited
            | Code::ItemCapExceeded
            | Code::BodyTooLarge
            | Code::ParameterOutOfRange
            | Code::VersionUnsupported => Ok(Meaning::Later(Field::Limit)),
            _ => absent("limit"),
        },
        "host" if code == Code::WrongRegion => Ok(Meaning::Later(Field::Host)),
        "host" => absent("host"),
        "scope" if code == Code::ScopeMissing => Ok(Meaning::Later(Field::Scope)),
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
            Rejection::RateLimited(limited) => Cow::Borrowed(limited.limit.as_str()),
            Rejection::ItemCapExceeded { max, .. } => Cow::Owned(max.to_string()),
            Rejection::BodyTooLarge { limit } => Cow::Owned(limit.to_string()),
            Rejection::ParameterOutOfRange(range) => Cow::Owned(range.max.to_string()),
            Rejection::VersionUnsupported(BadVersion::TooNew { newest }) => Cow::Borrowed(newest),
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
        Rejection::VersionUnsupported(bad) => Cow::Owned(match bad {
            BadVersion::Missing => "Say for which version of the API the call is.".to_owned(),
            BadVersion::Malformed => "Name one version, in numbers with dots between them.".to_owned(),
            BadVersion::TooNew { newest } => format!("The newest version here is {newest}."),
        }),
        Rejection::ParameterOutOfRange(range) => Cow::Owned(format!(
            "`{}` is a whole number from {} to {}.",
            range.name, range.min, range.max
        )),
        Rejection::RateLimited(limited) => try_again(limited.retry_after_seconds),
        Rejection::LockedOut { retry_after_seconds }
        | Rejection::UpstreamNotReady { retry_after_seconds }
        | Rejection::AccountSuspended { retry_after_seconds } => try_again(*retry_after_seconds),
        other => Cow::Borrowed(fixed_detail(other.code()).unwrap_or_default()),
    }
}

fn try_again(seconds: u64) -> Cow<'static, str> {
    match seconds {
        // What nearly every refusal of a limit says.
        1 => Cow::Borrowed("Try again in 1 s."),
        _ => Cow::Owned(format!("Try again in {seconds} s.")),
    }
}

/// The sentence of the codes whose sentence never changes.
fn fixed_detail(code: Code) -> Option<&'static str> {
    Some(match code {
        Code::BadRequest
        | Code::ItemCapExceeded
        | Code::BodyTooLarge
        | Code::WrongRegion
        | Code::RateLimited
        | Code::VersionUnsupported
        | Code::ParameterOutOfRange
        | Code::UpstreamNotReady
        | Code::LockedOut
        | Code::AccountSuspended => return None,
        Code::TenantInvalid => "The tenant that the call names is not one valid tenant identifier.",
        Code::MediaTypeUnsupported => {
            "Say in Content-Type what the body is; and send what this service takes."
        }
        Code::CredentialsMissing => "Sign in, or send a token in the Authorization header.",
        Code::CredentialsInvalid => "The token is malformed, revoked or not meant for this service.",
        Code::TokenExpired => "Get a new token and try again.",
        Code::SessionEnded => "Sign in again.",
        Code::SignInFailed => "Check the name and the password, or wait a while after several attempts.",
        Code::ClientUnknown => "Check the client's identifier and its secret.",
        Code::ScopeMissing => "The token was issued without a scope that this call needs.",
        Code::RoleMissing => "The caller has no role that allows this call.",
        Code::TenantForbidden => "The caller may not act on the tenant that the call names.",
        Code::SignInNeeded => "The Location header says where.",
        Code::ProviderRefused => "Begin again; if it is refused again, ask whoever runs this service.",
        Code::CsrfFailed => {
            "Send the value that came with the sign-in in the header that this service reads it from."
        }
        Code::AccountInactive => {
            "The account is not approved, or is switched off. Ask whoever runs this service."
        }
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
        | Code::AuthorityUnavailable
        | Code::StoreUnavailable => "Try again later.",
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn compiled(text: &str, code: Code) -> Result<Template, BadTemplate> {
        Template::compile(text, code, 400, Escape::Json)
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

    proptest! {
        #[test]
        fn nothing_makes_the_compiler_panic(text in "[{}a-z_\" ]{0,40}") {
            let _ = compiled(&text, Code::RateLimited);
        }
    }
}
