//! Which services can work: what the readiness checks of their backends say, with what is known of them beside it.

use std::sync::Arc;

use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::{Map, Value, json};

use crate::base::clock::UnixTime;
use crate::config::plan::RegionRef;
use crate::http::query;
use crate::oauth::answers;
use crate::oauth::asked::Asked;
use crate::rejection::{BadRequest, Rejection};
use crate::upstream::{Readiness, Ready, ReadyFacts};

/// The status endpoint.
#[derive(Debug)]
pub struct Status {
    parameter: String,
    services: Vec<Watched>,
}

/// A service that it is about.
#[derive(Debug)]
pub struct Watched {
    /// Its name.
    pub name: String,
    /// The newest version of the api that it speaks.
    pub version: Option<String>,
    /// What its checks say; `None` for one that answers from configuration and can always work.
    pub readiness: Option<Arc<Readiness>>,
    /// The names of regions, by index.
    pub regions: Arc<[String]>,
    /// What else is to be said.
    pub metadata: Option<Value>,
}

impl Status {
    /// The status of `services`, of which the query parameter `parameter` names one.
    pub fn new(parameter: String, services: Vec<Watched>) -> Status {
        Status { parameter, services }
    }

    /// Answers a request.
    ///
    /// # Errors
    /// [`Rejection::NoRoute`] for a service that is not there, [`Rejection::BadRequest`] for two.
    pub fn answer(&self, asked: &Asked<'_>) -> Result<Response<Bytes>, Rejection> {
        let mut named = query::values(asked.query.unwrap_or_default(), &self.parameter);
        let body = match (named.next(), named.next()) {
            (None, _) => {
                let all: Vec<Value> = self.services.iter().map(Watched::shown).collect();
                json!({"services": all})
            }
            (Some(name), None) => {
                let found = self.services.iter().find(|service| service.name == name);
                found.ok_or(Rejection::NoRoute)?.shown()
            }
            (Some(_), Some(_)) => return Err(Rejection::BadRequest(BadRequest::Parameters)),
        };
        Ok(answers::json(StatusCode::OK, body.to_string()))
    }
}

impl Watched {
    fn shown(&self) -> Value {
        let facts = self.readiness.as_ref().map(|readiness| readiness.facts());
        let mut regions: Vec<Option<RegionRef>> = Vec::new();
        for fact in facts.iter().flatten() {
            if !regions.contains(&fact.region) {
                regions.push(fact.region);
            }
        }
        let is_up = match &facts {
            Some(facts) => facts.iter().any(is_ready),
            None => true,
        };
        let mut shown = Map::new();
        shown.insert("service".to_owned(), self.name.clone().into());
        shown.insert("status".to_owned(), word(is_up).into());
        if let Some(version) = &self.version {
            shown.insert("version".to_owned(), version.clone().into());
        }
        if let Some(facts) = &facts {
            let of = regions.iter().map(|region| self.region(*region, facts)).collect();
            shown.insert("regions".to_owned(), Value::Array(of));
        }
        if let Some(metadata) = &self.metadata {
            shown.insert("metadata".to_owned(), metadata.clone());
        }
        Value::Object(shown)
    }

    /// One region: it can work while one of its endpoints can.
    fn region(&self, region: Option<RegionRef>, facts: &[ReadyFacts]) -> Value {
        let own = || facts.iter().filter(move |fact| fact.region == region);
        let is_up = own().any(is_ready);
        let alike = || own().filter(move |fact| is_ready(fact) == is_up);
        // Up since the first that is; down since the last that was.
        let since = if is_up {
            alike().filter_map(|fact| fact.since).min()
        } else {
            alike().filter_map(|fact| fact.since).max()
        };
        let checked = own().filter_map(|fact| fact.checked).max();
        let latency = alike().filter(|_| is_up).filter_map(|fact| fact.latency).min();
        let mut shown = Map::new();
        if let Some(name) = region.and_then(|region| self.regions.get(region.index())) {
            shown.insert("region".to_owned(), name.clone().into());
        }
        shown.insert("status".to_owned(), word(is_up).into());
        let mut time = |name: &str, at: Option<UnixTime>| {
            if let Some(at) = at {
                shown.insert(name.to_owned(), at.rfc3339().into());
            }
        };
        time("since", since);
        time("checked", checked);
        if let Some(latency) = latency {
            // Tenths of a millisecond are enough to see a trend.
            let millis = (latency.as_secs_f64() * 10_000.0).round() / 10.0;
            shown.insert("latency_ms".to_owned(), millis.into());
        }
        Value::Object(shown)
    }
}

fn is_ready(fact: &ReadyFacts) -> bool {
    fact.ready == Ready::Yes
}

fn word(is_up: bool) -> &'static str {
    if is_up { "available" } else { "unavailable" }
}
