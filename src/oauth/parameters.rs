//! The parameters of a request, from where they may stand.
//!
//! RFC 6749 has them in the form and each once. Scripts of some products send everything in the query, some of it twice, with
//! a body that means nothing; an api may allow that, and then what is said twice must be the same.

use http::HeaderMap;

use super::call::is_plain;
use super::errors::{OAuthError, Refused};
use crate::config::plan::ParameterPlaces;
use crate::http::form::{self, BadForm, Bounds};

/// The parameters that endpoints here know. In the query of an endpoint that takes a form they are refused: the client has
/// put a secret where it ends up in logs, and must learn of it.
const KNOWN: [&str; 20] = [
    "actor_token",
    "actor_token_type",
    "assertion",
    "audience",
    "client_assertion",
    "client_assertion_type",
    "client_id",
    "client_secret",
    "code",
    "code_verifier",
    "grant_type",
    "redirect_uri",
    "refresh_token",
    "requested_token_type",
    "resource",
    "scope",
    "subject_token",
    "subject_token_type",
    "token",
    "token_type_hint",
];

/// What may be given more than once (RFC 8693 section 2.1).
const LISTS: [&str; 2] = ["audience", "resource"];

/// The parameters of one request: nothing is there in two ways.
#[derive(Debug)]
pub(super) struct Parameters<'t> {
    query: Option<form::Parameters<'t>>,
    form: Option<form::Parameters<'t>>,
}

impl<'t> Parameters<'t> {
    /// Reads what stands in `query` and `body`, as far as `places` allows.
    ///
    /// # Errors
    /// `invalid_request`.
    pub(super) fn read(
        places: ParameterPlaces,
        query: Option<&'t str>,
        headers: &HeaderMap,
        body: &'t [u8],
    ) -> Result<Parameters<'t>, Refused> {
        let query = query.map(|query| read(query.as_bytes())).transpose()?;
        let parameters = match places {
            ParameterPlaces::Form => {
                let misplaced =
                    |query: &form::Parameters<'_>| query.iter().any(|(name, _)| KNOWN.contains(&name));
                if query.as_ref().is_some_and(misplaced) {
                    return Err(OAuthError::InvalidRequest
                        .because("Parameters belong into the body, and not into the query"));
                }
                if !body.is_empty() && !form::is_form(headers) {
                    return Err(OAuthError::InvalidRequest
                        .because("The body is not of the type application/x-www-form-urlencoded"));
                }
                Parameters {
                    query: None,
                    form: read_body(headers, body)?,
                }
            }
            ParameterPlaces::Query => {
                if !body.is_empty() && form::is_form(headers) {
                    return Err(OAuthError::InvalidRequest
                        .because("Parameters belong into the query, and not into the body"));
                }
                Parameters { query, form: None }
            }
            ParameterPlaces::QueryOrForm => Parameters {
                query,
                form: if form::is_form(headers) {
                    read_body(headers, body)?
                } else {
                    None
                },
            },
        };
        parameters.check_repeated(match places {
            ParameterPlaces::Form => Repeats::Never,
            ParameterPlaces::Query | ParameterPlaces::QueryOrForm => Repeats::Alike,
        })?;
        Ok(parameters)
    }

    /// The parameters of an authorization request, which come as one text (a query, or a form).
    ///
    /// # Errors
    /// `invalid_request` for what is no such text. What is repeated is found by [`Parameters::once`].
    pub(super) fn of_text(text: &'t [u8]) -> Result<Parameters<'t>, Refused> {
        Ok(Parameters {
            query: Some(read(text)?),
            form: None,
        })
    }

    /// Refuses what is there in two ways:
    ///
    /// > Request and response parameters MUST NOT be included more than once. (RFC 6749 section 3.2)
    pub(super) fn check_repeated(&self, repeats: Repeats) -> Result<(), Refused> {
        let mut pairs: Vec<(&str, &str)> = self.iter().filter(|(name, _)| !LISTS.contains(name)).collect();
        // Stable: the values of one name keep their order, which does not matter here.
        pairs.sort_by_key(|(name, _)| *name);
        let is_two_ways = |two: &[(&str, &str)]| match (two, repeats) {
            ([one, other], Repeats::Never) => one.0 == other.0,
            ([one, other], Repeats::Alike) => one.0 == other.0 && one.1 != other.1,
            _ => false,
        };
        if pairs.windows(2).any(is_two_ways) {
            return Err(OAuthError::InvalidRequest.because("A parameter is repeated"));
        }
        Ok(())
    }

    /// The value of a parameter, if there is one:
    ///
    /// > Parameters sent without a value MUST be treated as if they were omitted from the request. (RFC 6749 section 3.2)
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.iter()
            .filter(|(own, _)| *own == name)
            .map(|(_, value)| value)
            .find(|value| !value.is_empty())
    }

    /// The same for one that must be there.
    ///
    /// # Errors
    /// `invalid_request` with this sentence.
    pub(super) fn required(&self, name: &str, missing: &'static str) -> Result<&str, Refused> {
        self.get(name).ok_or(OAuthError::InvalidRequest.because(missing))
    }

    /// The only value of a parameter where the whole was not checked for repetitions.
    ///
    /// # Errors
    /// `invalid_request` for two that differ, or for any two where `repeats` has it so.
    pub(super) fn once(&self, name: &'static str, repeats: Repeats) -> Result<Option<&str>, Refused> {
        let mut values = self.all(name);
        let first = values.next();
        if values.any(|other| repeats == Repeats::Never || Some(other) != first) {
            return Err(OAuthError::InvalidRequest.because("A parameter is repeated"));
        }
        Ok(first.filter(|value| !value.is_empty()))
    }

    /// All values of a parameter that may be given more than once, without those that are empty or come again.
    pub(super) fn distinct(&self, name: &'static str) -> Vec<&str> {
        let mut values: Vec<&str> = self.all(name).filter(|value| !value.is_empty()).collect();
        values.sort_unstable();
        values.dedup();
        values
    }

    fn all(&self, name: &'static str) -> impl Iterator<Item = &str> {
        self.iter()
            .filter(move |(own, _)| *own == name)
            .map(|(_, value)| value)
    }

    fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let parts = [&self.query, &self.form];
        parts.into_iter().flatten().flat_map(form::Parameters::iter)
    }
}

/// May a parameter be there more than once?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeats {
    /// No.
    Never,
    /// With the same value.
    Alike,
}

fn read_body<'t>(headers: &HeaderMap, body: &'t [u8]) -> Result<Option<form::Parameters<'t>>, Refused> {
    if body.is_empty() {
        return Ok(None);
    }
    if !is_plain(headers) {
        return Err(OAuthError::InvalidRequest.because("The body must not be compressed"));
    }
    read(body).map(Some)
}

fn read(text: &[u8]) -> Result<form::Parameters<'_>, Refused> {
    form::Parameters::read(text, Bounds::USUAL).map_err(|bad| {
        OAuthError::InvalidRequest.because(match bad {
            BadForm::TooLarge | BadForm::TooMany => "There are too many parameters",
            BadForm::Escape | BadForm::Encoding => "The parameters are not form-encoded UTF-8",
        })
    })
}
