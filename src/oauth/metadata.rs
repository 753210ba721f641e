//! What clients and services read about a token service: the metadata document (RFC 8414) and the key set (RFC 7517).

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Response};
use serde_json::{Map, Value, json};

use super::call::{Call, get_only};
use super::service::TokenService;
use crate::config::plan::MetadataPlan;
use crate::identity::{GrantType, Scope};
use crate::rejection::Rejection;

/// How long the key set may be kept. A key is published long before it signs, so this only decides how long one that was
/// revoked is believed elsewhere.
const KEEP_KEYS: HeaderValue = HeaderValue::from_static("public, max-age=300");

/// How long the metadata may be kept. It changes with the configuration.
const KEEP_METADATA: HeaderValue = HeaderValue::from_static("public, max-age=3600");

impl TokenService {
    /// The metadata document.
    ///
    /// # Errors
    /// [`Rejection::MethodNotAllowed`] for anything but GET and HEAD.
    pub fn metadata(&self, plan: &MetadataPlan, call: &Call<'_>) -> Result<Response<Bytes>, Rejection> {
        get_only(call.method)?;
        let document = Value::Object(self.document(plan)).to_string();
        Ok(public(
            HeaderValue::from_static("application/json"),
            KEEP_METADATA,
            document.into(),
        ))
    }

    /// The key set. A service of opaque tokens has an empty one.
    ///
    /// # Errors
    /// [`Rejection::MethodNotAllowed`] for anything but GET and HEAD.
    pub fn key_set(&self, call: &Call<'_>) -> Result<Response<Bytes>, Rejection> {
        get_only(call.method)?;
        let keys = match self.signing() {
            Some(signing) => signing.keys.published(),
            None => Bytes::from_static(b"{\"keys\":[]}"),
        };
        // RFC 7517 section 8.5.2.
        let media_type = HeaderValue::from_static("application/jwk-set+json");
        Ok(public(media_type, KEEP_KEYS, keys))
    }

    fn document(&self, plan: &MetadataPlan) -> Map<String, Value> {
        let MetadataPlan {
            service: _,
            authorization,
            token,
            revocation,
            introspection,
            keys,
        } = plan;
        let mut document = Map::new();
        // > Claims with zero elements MUST be omitted from the response. (section 3.2)
        let mut put = |name: &str, value: Value| {
            if value.as_array().is_none_or(|elements| !elements.is_empty()) {
                document.insert(name.to_owned(), value);
            }
        };
        put("issuer", json!(self.issuer()));
        // Required, whether there is an endpoint for it or not (section 2).
        put("response_types_supported", json!(["code"]));
        put(
            "scopes_supported",
            self.plan().scopes.scopes().map(Scope::as_str).collect(),
        );
        if let Some(url) = authorization {
            put("authorization_endpoint", json!(url));
            put("response_modes_supported", json!(["query"]));
            put("code_challenge_methods_supported", json!(["S256"]));
            // RFC 9207 section 3.
            put("authorization_response_iss_parameter_supported", json!(true));
        }
        if let Some(url) = token {
            put("token_endpoint", json!(url));
            put("token_endpoint_auth_methods_supported", json!(ANY_CLIENT));
        }
        put("grant_types_supported", self.grants(plan));
        if let Some(url) = revocation {
            put("revocation_endpoint", json!(url));
            put("revocation_endpoint_auth_methods_supported", json!(ANY_CLIENT));
        }
        if let Some(url) = introspection {
            put("introspection_endpoint", json!(url));
            put(
                "introspection_endpoint_auth_methods_supported",
                json!(WITH_SECRET),
            );
        }
        if let Some(url) = keys {
            put("jwks_uri", json!(url));
        }
        document
    }

    /// Those that a client can use by what the document names.
    fn grants(&self, plan: &MetadataPlan) -> Value {
        let is_there = |grant: &GrantType| match grant {
            GrantType::AuthorizationCode => plan.authorization.is_some(),
            GrantType::RefreshToken => self.plan().refresh.is_some(),
            GrantType::ClientCredentials | GrantType::TokenExchange => true,
        };
        GrantType::ALL
            .iter()
            .filter(|_| plan.token.is_some())
            .filter(|grant| is_there(grant))
            .map(|grant| grant.as_str())
            .collect()
    }
}

const ANY_CLIENT: [&str; 3] = ["client_secret_basic", "client_secret_post", "none"];
const WITH_SECRET: [&str; 2] = ["client_secret_basic", "client_secret_post"];

fn public(media_type: HeaderValue, keep: HeaderValue, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    let length = HeaderValue::from(response.body().len());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, media_type);
    headers.insert(CONTENT_LENGTH, length);
    headers.insert(CACHE_CONTROL, keep);
    response
}
