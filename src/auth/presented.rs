//! What a request shows of its sender, as far as recognising it needs it.

use http::header::ACCEPT;
use http::{HeaderMap, HeaderName, Method};

use crate::http::origin::Scheme;

/// What a request brings.
#[derive(Debug, Clone, Copy)]
pub struct Presented<'r> {
    /// Its fields.
    pub headers: &'r HeaderMap,
    /// Its method.
    pub method: &'r Method,
    /// Its path, in normal form.
    pub path: &'r str,
    /// Its query, byte for byte.
    pub query: Option<&'r str>,
    /// What the client spoke: by TLS here, or by word of a trusted proxy.
    pub scheme: Scheme,
    /// Host, and port if it named one, as it came.
    pub authority: &'r str,
}

impl<'r> Presented<'r> {
    /// A `GET` over `https` with these fields: what most tests ask by.
    pub fn get(headers: &'r HeaderMap) -> Presented<'r> {
        Presented {
            headers,
            method: &Method::GET,
            path: "/",
            query: None,
            scheme: Scheme::Https,
            authority: "localhost",
        }
    }

    /// Does a browser open a page with it? What a browser says itself (`Sec-Fetch-Mode`, Fetch Metadata) comes before what can
    /// be guessed from `Accept`.
    pub fn is_page(&self) -> bool {
        if !matches!(*self.method, Method::GET | Method::HEAD) {
            return false;
        }
        let says = |name: HeaderName| self.headers.get(name).and_then(|value| value.to_str().ok());
        match says(HeaderName::from_static("sec-fetch-mode")) {
            Some(mode) => mode == "navigate",
            None => says(ACCEPT).is_some_and(|accept| accept.contains("text/html")),
        }
    }

    /// May it change something? All methods but those that are defined as safe (RFC 9110 section 9.2.1).
    pub fn is_unsafe(&self) -> bool {
        !matches!(
            *self.method,
            Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE
        )
    }
}
