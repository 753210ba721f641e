//! Which application a request names, before anybody is known: for limits, and for endpoints that need one.

use http::HeaderMap;

use crate::config::plan::ClientSource;
use crate::http::authorization;
use crate::http::form::{Bounds, Parameters};
use crate::identity::ClientId;
use crate::rejection::{BadRequest, Rejection};

/// The application that a request names; `None` where it names none, or something that is no name of one.
///
/// # Errors
/// [`BadRequest::Parameters`] for a query that cannot be read, or names two.
pub fn named(
    source: &ClientSource,
    query: Option<&str>,
    headers: &HeaderMap,
) -> Result<Option<ClientId>, Rejection> {
    let unreadable = || Rejection::BadRequest(BadRequest::Parameters);
    let in_query = |name: &str| {
        let query = query.unwrap_or_default().as_bytes();
        let parameters = Parameters::read(query, Bounds::USUAL).map_err(|_| unreadable())?;
        let value = parameters.single(name).map_err(|_| unreadable())?;
        Ok(value.and_then(|value| ClientId::try_from(value).ok()))
    };
    match source {
        ClientSource::Query(name) => in_query(name),
        ClientSource::QueryOrBasic => match in_query("client_id")? {
            Some(client) => Ok(Some(client)),
            None => Ok(authorization::basic(headers)
                .ok()
                .flatten()
                .and_then(|basic| basic.form_decoded())
                .and_then(|basic| ClientId::try_from(basic.user()).ok())),
        },
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http::header::AUTHORIZATION;

    use super::*;

    fn of(source: &ClientSource, query: &str, headers: &HeaderMap) -> Result<Option<String>, ()> {
        named(source, Some(query), headers)
            .map(|client| client.map(|client| client.to_string()))
            .map_err(|_| ())
    }

    #[test]
    fn an_application_is_named_in_the_query_or_by_basic_and_once() {
        let none = HeaderMap::new();
        let query = ClientSource::Query("client_id".to_owned());
        assert_eq!(of(&query, "client_id=abc&x=1", &none), Ok(Some("abc".to_owned())));
        assert_eq!(of(&query, "x=1", &none), Ok(None));
        assert_eq!(of(&query, "client_id=a&client_id=a", &none), Err(()));
        assert_eq!(of(&query, "client_id=a%20b", &none), Ok(None));
        let mut basic = HeaderMap::new();
        // me%3Aself:pw
        basic.insert(AUTHORIZATION, HeaderValue::from_static("Basic bWUlM0FzZWxmOnB3"));
        assert_eq!(of(&query, "", &basic), Ok(None));
        let either = ClientSource::QueryOrBasic;
        assert_eq!(of(&either, "", &basic), Ok(Some("me:self".to_owned())));
        assert_eq!(of(&either, "client_id=abc", &basic), Ok(Some("abc".to_owned())));
    }
}
