//! Floor 3: what form calls of a route must have before they go on: the version that they are for, the media type of their
//! body, parameters within their range. Each is off unless the configuration asks for it.

use http::header::{CONTENT_TYPE, TRANSFER_ENCODING};
use http::{HeaderMap, Request};

use crate::base::version::Version;
use crate::config::plan::{Presence, RangePlan, VersionRule};
use crate::http::body::Body;
use crate::http::only_field::OnlyField;
use crate::http::query;
use crate::rejection::{BadVersion, OutOfRange, Rejection};

/// The conditions of one route.
#[derive(Debug)]
pub struct Conditions {
    version: Option<Versions>,
    media_types: Box<[Box<str>]>,
    ranges: Box<[RangePlan]>,
}

/// Versions up to the backend's own.
#[derive(Debug)]
struct Versions {
    field: OnlyField,
    presence: Presence,
    newest: Version,
}

impl Conditions {
    /// Those of a route; `None` when there are none. `version` is the rule of the api with the newest version of the backend.
    pub fn new(
        version: Option<(&VersionRule, &Version)>,
        media_types: &[String],
        ranges: &[RangePlan],
    ) -> Option<Conditions> {
        if version.is_none() && media_types.is_empty() && ranges.is_empty() {
            return None;
        }
        Some(Conditions {
            version: version.map(|(rule, newest)| Versions {
                field: OnlyField::new(rule.header.clone()),
                presence: rule.presence,
                newest: newest.clone(),
            }),
            media_types: media_types.iter().map(|media| media.as_str().into()).collect(),
            ranges: ranges.into(),
        })
    }

    /// Lets a call on that has the form. `query` is its query, byte for byte. Does not allocate unless it refuses, or a
    /// parameter of a range is percent-encoded.
    ///
    /// # Errors
    /// [`Rejection::VersionUnsupported`], [`Rejection::MediaTypeUnsupported`], [`Rejection::ParameterOutOfRange`].
    pub fn check(&self, request: &Request<Body>, query: Option<&str>) -> Result<(), Rejection> {
        if let Some(versions) = &self.version {
            versions.check(request.headers())?;
        }
        if !self.media_types.is_empty() && has_content(request) && !self.takes(request.headers()) {
            return Err(Rejection::MediaTypeUnsupported);
        }
        let Some(query) = query else { return Ok(()) };
        match self.ranges.iter().find(|range| !is_within(range, query)) {
            Some(range) => Err(Rejection::ParameterOutOfRange(Box::new(OutOfRange {
                name: range.name.clone(),
                min: range.min,
                max: range.max,
            }))),
            None => Ok(()),
        }
    }

    /// One field, and its media type is one of ours, whatever its parameters.
    fn takes(&self, headers: &HeaderMap) -> bool {
        let mut lines = headers.get_all(CONTENT_TYPE).iter();
        let (Some(line), None) = (lines.next(), lines.next()) else {
            return false;
        };
        let media = line.as_bytes().split(|byte| *byte == b';').next();
        let media = media.unwrap_or_default().trim_ascii();
        let mut known = self.media_types.iter();
        known.any(|known| known.as_bytes().eq_ignore_ascii_case(media))
    }
}

impl Versions {
    fn check(&self, headers: &HeaderMap) -> Result<(), Rejection> {
        let bad = |why| Err(Rejection::VersionUnsupported(why));
        let Ok(found) = self.field.read(headers) else {
            return bad(BadVersion::Malformed);
        };
        let Some(value) = found else {
            return match self.presence {
                Presence::Optional => Ok(()),
                Presence::Required => bad(BadVersion::Missing),
            };
        };
        match value.to_str().ok().and_then(|text| self.newest.compared(text)) {
            Some(order) if order.is_le() => Ok(()),
            Some(_) => bad(BadVersion::TooNew {
                newest: self.newest.as_str().into(),
            }),
            None => bad(BadVersion::Malformed),
        }
    }
}

/// Is there a body with something in it, as far as the header says?
fn has_content(request: &Request<Body>) -> bool {
    match request.body().declared() {
        Some(length) => length > 0,
        None => request.headers().contains_key(TRANSFER_ENCODING) || !request.body().is_empty_now(),
    }
}

fn is_within(range: &RangePlan, query: &str) -> bool {
    query::values(query, &range.name).all(|value| {
        let is_whole = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
        is_whole && (value.parse::<u64>()).is_ok_and(|value| (range.min..=range.max).contains(&value))
    })
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;
    use crate::rejection::Code;

    fn request(fields: &[(&str, &str)], body: &'static str) -> Request<Body> {
        let mut request = Request::new(if body.is_empty() {
            Body::empty()
        } else {
            Body::full(body)
        });
        for (name, value) in fields {
            let name = HeaderName::try_from(*name).unwrap();
            request
                .headers_mut()
                .append(name, HeaderValue::from_str(value).unwrap());
        }
        request
    }

    fn versions(presence: Presence) -> Conditions {
        let rule = VersionRule {
            header: HeaderName::from_static("x-version"),
            presence,
        };
        Conditions::new(Some((&rule, &Version::parse("30.2.1").unwrap())), &[], &[]).unwrap()
    }

    fn code(outcome: Result<(), Rejection>) -> Option<Code> {
        outcome.err().map(|rejection| rejection.code())
    }

    #[test]
    fn versions_up_to_the_backends_own_pass_and_newer_ones_do_not() {
        let conditions = versions(Presence::Optional);
        for (fields, passes) in [
            (&[][..], true),
            (&[("x-version", "30.2.1")][..], true),
            (&[("x-version", "9.9.9")][..], true),
            (&[("x-version", "30.2.2")][..], false),
            (&[("x-version", "100.0.0")][..], false),
            (&[("x-version", "")][..], false),
            (&[("x-version", "latest")][..], false),
            (&[("x-version", "1"), ("x-version", "1")][..], false),
            (&[("x_version", "1")][..], false),
            (&[("x-version", "1"), ("x_version", "99")][..], false),
        ] {
            let outcome = conditions.check(&request(fields, ""), None);
            let expected = (!passes).then_some(Code::VersionUnsupported);
            assert_eq!(code(outcome), expected, "{fields:?}");
        }
        let outcome = versions(Presence::Required).check(&request(&[], ""), None);
        assert_eq!(code(outcome), Some(Code::VersionUnsupported));
    }

    #[test]
    fn a_body_is_of_a_media_type_that_is_taken_and_no_body_is_of_any() {
        let conditions = Conditions::new(None, &["application/json".to_owned()], &[]).unwrap();
        for (fields, body, passes) in [
            (&[][..], "", true),
            (&[("content-type", "text/plain")][..], "", true),
            (&[("content-type", "application/json")][..], "{}", true),
            (
                &[("content-type", "Application/JSON ; charset=utf-8")][..],
                "{}",
                true,
            ),
            (&[][..], "{}", false),
            (&[("content-type", "text/plain")][..], "{}", false),
            (&[("content-type", "application/json5")][..], "{}", false),
            (
                &[
                    ("content-type", "application/json"),
                    ("content-type", "application/json"),
                ][..],
                "{}",
                false,
            ),
        ] {
            let outcome = conditions.check(&request(fields, body), None);
            let expected = (!passes).then_some(Code::MediaTypeUnsupported);
            assert_eq!(code(outcome), expected, "{fields:?} {body}");
        }
    }

    #[test]
    fn every_occurrence_of_a_parameter_is_within_its_range() {
        let range = RangePlan {
            name: "page_size".to_owned(),
            min: 1,
            max: 200,
        };
        let conditions = Conditions::new(None, &[], &[range]).unwrap();
        for (query, passes) in [
            (None, true),
            (Some("page=0"), true),
            (Some("page_size=1"), true),
            (Some("page_size=200&page_size=1"), true),
            (Some("page_size=0"), false),
            (Some("page_size=201"), false),
            (Some("page_size=1&page_size=201"), false),
            (Some("page%5Fsize=201"), false),
            (Some("page_size"), false),
            (Some("page_size="), false),
            (Some("page_size=-1"), false),
            (Some("page_size=1.0"), false),
            (Some("page_size=%31"), true),
            (Some("page_size=99999999999999999999"), false),
        ] {
            let outcome = conditions.check(&request(&[], ""), query);
            let expected = (!passes).then_some(Code::ParameterOutOfRange);
            assert_eq!(code(outcome), expected, "{query:?}");
        }
    }

    #[test]
    fn a_route_that_asks_for_nothing_has_no_conditions() {
        assert!(Conditions::new(None, &[], &[]).is_none());
    }
}
