//! The demo's backend: an inventory API with 120 items and paging, one for each region. It shows what the gateway told
//! it about the caller.

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::stub::{SERVED_BY, fields};
use crate::http::query;

/// Items that each region has.
const ITEMS: u64 = 120;
/// Items on a page when the client asks for no number.
const PAGE: u64 = 20;
/// Bytes of a body at most.
const BODY: usize = 1 << 20;
/// What the gateway says about the caller: shown in every answer.
const TOLD: [&str; 6] = [
    "x-tenant-id",
    "x-customer-id",
    "x-user-id",
    "x-request-id",
    "traceparent",
    "x-forwarded-for",
];

/// Answers one request in the name of `region`.
pub(super) async fn answer(region: &'static str, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let body = match Limited::new(body, BODY).collect().await {
        Ok(whole) => whole.to_bytes(),
        Err(error) => {
            let why = json!({ "error": error.to_string() });
            return respond(region, StatusCode::PAYLOAD_TOO_LARGE, why);
        }
    };
    let told = told(&head.headers);
    let (status, mut content) = items(region, &head.method, head.uri.path(), head.uri.query(), &body);
    if let Value::Object(content) = &mut content {
        content.insert("the_gateway_told_us".to_owned(), told);
    }
    respond(region, status, content)
}

fn items(region: &str, method: &Method, path: &str, query: Option<&str>, body: &[u8]) -> (StatusCode, Value) {
    let item = |number: u64| json!({ "id": number, "name": format!("{region}-device-{number:03}") });
    let missing = || (StatusCode::NOT_FOUND, json!({ "error": "no such thing" }));
    let Some(rest) = path.strip_prefix("/inventory/items") else {
        return missing();
    };
    match (method.as_str(), rest) {
        ("GET" | "HEAD", "") => {
            let query = query.unwrap_or_default();
            let (Some(limit), Some(offset)) = (number(query, "limit", PAGE), number(query, "offset", 0))
            else {
                let why = json!({ "error": "limit and offset are whole numbers" });
                return (StatusCode::BAD_REQUEST, why);
            };
            let page: Vec<Value> = (1..=ITEMS)
                .skip(usize::try_from(offset).unwrap_or(usize::MAX))
                .take(usize::try_from(limit).unwrap_or(usize::MAX))
                .map(item)
                .collect();
            let content = json!({ "total": ITEMS, "offset": offset, "count": page.len(), "items": page });
            (StatusCode::OK, content)
        }
        ("GET" | "HEAD", one) => match one.strip_prefix('/').and_then(|number| number.parse().ok()) {
            Some(number) if (1..=ITEMS).contains(&number) => (StatusCode::OK, item(number)),
            Some(_) | None => missing(),
        },
        ("PUT" | "POST", "") => match serde_json::from_slice::<Value>(body)
            .ok()
            .as_ref()
            .and_then(|content| content.get("items"))
            .and_then(Value::as_array)
        {
            Some(items) => (StatusCode::OK, json!({ "stored": items.len() })),
            None => (
                StatusCode::BAD_REQUEST,
                json!({ "error": "send {\"items\": [...]}" }),
            ),
        },
        _ => (
            StatusCode::METHOD_NOT_ALLOWED,
            json!({ "error": "GET, PUT or POST" }),
        ),
    }
}

/// The last value of a query parameter as a number; `otherwise` without one, `None` if it is none.
fn number(query: &str, name: &str, otherwise: u64) -> Option<u64> {
    match query::values(query, name).last() {
        Some(text) => text.parse().ok(),
        None => Some(otherwise),
    }
}

fn told(headers: &HeaderMap) -> Value {
    let mut told = HeaderMap::new();
    for name in TOLD {
        for value in headers.get_all(name) {
            told.append(name, value.clone());
        }
    }
    fields(&told)
}

fn respond(region: &'static str, status: StatusCode, content: Value) -> Response<Full<Bytes>> {
    let text = serde_json::to_string_pretty(&content).unwrap_or_default() + "\n";
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(SERVED_BY, HeaderValue::from_static(region));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(method: Method, target: &str, body: &str) -> (u16, Value) {
        let (path, query) = target
            .split_once('?')
            .map_or((target, None), |(path, query)| (path, Some(query)));
        let (status, content) = items("us-1", &method, path, query, body.as_bytes());
        (status.as_u16(), content)
    }

    #[test]
    fn pages_cover_all_items_without_gaps() {
        let mut seen = Vec::new();
        for offset in [0, 50, 100, 150] {
            let (status, page) = ask(
                Method::GET,
                &format!("/inventory/items?limit=50&offset={offset}"),
                "",
            );
            assert_eq!(status, 200);
            seen.extend(
                page["items"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|item| item["id"].as_u64().unwrap()),
            );
        }
        assert_eq!(seen, (1..=120).collect::<Vec<_>>());
    }

    #[test]
    fn what_is_no_page_no_item_and_no_list_is_refused() {
        assert_eq!(ask(Method::GET, "/inventory/items?limit=x", "").0, 400);
        assert_eq!(ask(Method::GET, "/inventory/items/121", "").0, 404);
        assert_eq!(ask(Method::GET, "/inventory/items/7", "").0, 200);
        assert_eq!(ask(Method::GET, "/other", "").0, 404);
        assert_eq!(ask(Method::PUT, "/inventory/items", "{}").0, 400);
        assert_eq!(
            ask(Method::POST, "/inventory/items", "{\"items\":[1,2]}"),
            (200, json!({"stored": 2}))
        );
        assert_eq!(ask(Method::DELETE, "/inventory/items", "").0, 405);
    }
}
