//! Item caps (ARUBA-11 to 18): what is above the cap is refused, never cut down, and nothing is sent on
//! before the count.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use http_body::Frame;
use http_body_util::BodyExt;
use proptest::prelude::*;
use tollgate::config::plan::{ItemCapPlan, ItemCount};
use tollgate::http::body::{Body, BodyError};
use tollgate::limits::items::ItemCap;
use tollgate::rejection::{BadRequest, Code, Rejection};

/// Until when a counted body must be there.
const WITHIN: Duration = Duration::from_secs(60);

fn query_cap() -> ItemCap {
    let count = ItemCount::Query("limit".to_owned());
    ItemCap::new(&ItemCapPlan { max: 50, count }, ItemCap::HOLD, WITHIN)
}

fn body_cap(hold: u64) -> ItemCap {
    let count = ItemCount::Body(vec!["devices".to_owned()]);
    ItemCap::new(&ItemCapPlan { max: 50, count }, hold, WITHIN)
}

/// A client's body that arrives in pieces, and counts how many were taken.
struct Pieces {
    pieces: std::vec::IntoIter<Bytes>,
    taken: Arc<AtomicUsize>,
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.pieces.next().map(|piece| {
            self.taken.fetch_add(1, Ordering::Relaxed);
            Ok(Frame::data(piece))
        }))
    }
}

fn pieces(pieces: Vec<Bytes>) -> (Body, Arc<AtomicUsize>) {
    let taken = Arc::new(AtomicUsize::new(0));
    let body = Pieces {
        pieces: pieces.into_iter(),
        taken: Arc::clone(&taken),
    };
    let body = body.map_err(|never| -> Box<dyn std::error::Error + Send + Sync> { match never {} });
    (Body::boxed(body.boxed_unsync()), taken)
}

fn chunked(text: &[u8], size: usize) -> (Body, Arc<AtomicUsize>) {
    pieces(text.chunks(size).map(Bytes::copy_from_slice).collect())
}

fn run<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

/// What the cap says of `body`, and the bytes that would be sent on.
fn check(cap: &ItemCap, headers: &HeaderMap, body: Body) -> Result<Bytes, Rejection> {
    run(async {
        let body = cap.check_body(headers, body).await?;
        Ok(body
            .collect()
            .await
            .map_err(|_| Rejection::Internal(0))?
            .to_bytes())
    })
}

/// A client that sends a blank every second and never comes to an end.
struct Drip(tokio::time::Interval);

impl http_body::Body for Drip {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0
            .poll_tick(task)
            .map(|_| Some(Ok(Frame::data(Bytes::from_static(b" ")))))
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_drips_is_counted_for_so_long_and_no_longer() {
    let drip = Drip(tokio::time::interval(Duration::from_secs(1)));
    let drip = drip.map_err(|never| -> Box<dyn std::error::Error + Send + Sync> { match never {} });
    let begin = tokio::time::Instant::now();
    let (body, fate) = Body::boxed(drip.boxed_unsync()).guarded(ItemCap::HOLD, WITHIN, None);
    let refusal = body_cap(ItemCap::HOLD)
        .check_body(&HeaderMap::new(), body)
        .await
        .unwrap_err();
    assert_eq!(refusal.code(), Code::RequestTimeout);
    assert_eq!(refusal.code().status(), 408);
    assert_eq!(begin.elapsed(), WITHIN);
    assert_eq!(fate.unwrap().failure(), Some(BodyError::Late));
}

fn devices(count: usize) -> Vec<u8> {
    let one = r#"{"serial":"CN1","mac":"00:11"}"#;
    format!(r#"{{"devices":[{}],"group":"g"}}"#, vec![one; count].join(",")).into_bytes()
}

#[test]
fn aruba_12_13_14_17_18_every_value_of_the_parameter_must_be_within_the_cap() {
    let cap = query_cap();
    for passing in [
        None,
        Some(""),
        Some("offset=0"),
        Some("limit=50"),
        Some("limit=0"),
        Some("limit=0050"),
        Some("limit=1&limit=50&offset=1000"),
        Some("LIMIT=1000"),
        Some("xlimit=1000&limitx=1000&x=limit"),
        Some("filter=(a|b),c&flag&l%69mit=5%30"),
    ] {
        assert!(cap.check_query(passing).is_ok(), "{passing:?}");
    }
    for above in [
        "limit=51",
        "limit=100",
        "limit=50&limit=51",
        "limit=1000&limit=50",
        "limit=50&l%69mit=51",
        "limit=5%31",
        "a;limit=51",
        "limit=18446744073709551615",
    ] {
        let refusal = cap.check_query(Some(above)).unwrap_err();
        assert_eq!(refusal.code(), Code::ItemCapExceeded, "{above}");
        assert_eq!(refusal.code().status(), 400, "{above}");
    }
    for nonsense in [
        "limit",
        "limit=",
        "limit=-1",
        "limit=%2B5",
        "limit=+5",
        "limit=5+",
        "limit=5.0",
        "limit=1e9",
        "limit=0x10",
        "limit=18446744073709551616",
        "limit=99999999999999999999999",
        "limit=all",
        "limit=50&limit=x",
        "limit=%EF%BC%95",
        "limit=%00",
        "limit=50%00",
        "limit=50,1000",
        "limit=50;x=1",
    ] {
        let refusal = cap.check_query(Some(nonsense)).unwrap_err();
        assert!(
            matches!(refusal, Rejection::BadRequest(BadRequest::ItemsQuery)),
            "{nonsense}: {refusal:?}"
        );
    }
    // ARUBA-15: a cap that counts bodies does not look at queries.
    assert!(body_cap(ItemCap::HOLD).check_query(Some("limit=1000")).is_ok());
}

#[test]
fn aruba_16_fifty_devices_pass_byte_for_byte_and_fifty_one_do_not_however_they_are_chunked() {
    let cap = body_cap(ItemCap::HOLD);
    for size in [1, 2, 7, 100, 10_000] {
        let text = devices(50);
        assert_eq!(
            check(&cap, &HeaderMap::new(), chunked(&text, size).0).unwrap(),
            text
        );
        let refusal = check(&cap, &HeaderMap::new(), chunked(&devices(51), size).0).unwrap_err();
        assert!(
            matches!(refusal, Rejection::ItemCapExceeded { found: 51, max: 50 }),
            "{refusal:?}"
        );
    }
    let text = devices(50);
    let passed = run(cap.check_body(&HeaderMap::new(), Body::full(text.clone()))).unwrap();
    assert!(passed.is_replayable(), "a counted body can be sent again");
    // A cap on the query leaves the body alone.
    assert_eq!(
        check(&query_cap(), &HeaderMap::new(), Body::full("[not json")).unwrap(),
        "[not json"
    );
}

#[test]
fn aruba_17_nothing_is_read_after_the_fifty_first_element_began() {
    let mut text = devices(10_000);
    let (body, taken) = chunked(&text, 16);
    assert!(check(&body_cap(ItemCap::HOLD), &HeaderMap::new(), body).is_err());
    let read = taken.load(Ordering::Relaxed) * 16;
    let until_51 = devices(50).len();
    assert!(read <= until_51 + 32, "{read} of {} bytes", text.len());
    // Also if what follows is broken.
    text.truncate(until_51);
    assert!(check(&body_cap(ItemCap::HOLD), &HeaderMap::new(), Body::full(text)).is_err());
}

#[test]
fn at_most_the_hold_is_held_and_more_is_413() {
    let cap = body_cap(1_000);
    let fits = format!(r#"{{"devices":[],"x":"{}"}}"#, "y".repeat(979)).into_bytes();
    assert_eq!(fits.len(), 1_000);
    assert!(check(&cap, &HeaderMap::new(), chunked(&fits, 64).0).is_ok());
    let over = format!(r#"{{"devices":[],"x":"{}"}}"#, "y".repeat(1_000_000)).into_bytes();
    let (body, taken) = chunked(&over, 100);
    let refusal = check(&cap, &HeaderMap::new(), body).unwrap_err();
    assert_eq!(refusal.code(), Code::BodyTooLarge);
    assert_eq!(taken.load(Ordering::Relaxed), 11);
    // A body that says its length is refused before it is read.
    assert_eq!(
        check(&cap, &HeaderMap::new(), Body::full(over))
            .unwrap_err()
            .code(),
        Code::BodyTooLarge
    );
    assert_eq!(ItemCap::HOLD, 1 << 20);
}

/// clients.md section 5, item 18: retries send a JSON string; chunked bodies have no length.
#[test]
fn aruba_16_a_body_that_is_a_json_string_is_counted_and_sent_on_as_it_came() {
    let cap = body_cap(ItemCap::HOLD);
    let encode = |text: Vec<u8>| serde_json::to_vec(&String::from_utf8(text).unwrap()).unwrap();
    let once = encode(devices(50));
    assert_eq!(check(&cap, &HeaderMap::new(), chunked(&once, 3).0).unwrap(), once);
    let above = encode(devices(51));
    assert_eq!(
        check(&cap, &HeaderMap::new(), chunked(&above, 3).0)
            .unwrap_err()
            .code(),
        Code::ItemCapExceeded
    );
    let twice = encode(once);
    assert!(matches!(
        check(&cap, &HeaderMap::new(), Body::full(twice)),
        Err(Rejection::BadRequest(BadRequest::ItemsBody))
    ));
}

#[test]
fn a_body_without_the_array_passes_and_one_that_cannot_be_counted_does_not() {
    let cap = body_cap(ItemCap::HOLD);
    for passing in ["", "{}", r#"{"group":"x"}"#, "null", "[1,2]", r#"{"devices":[]}"#] {
        assert_eq!(
            check(&cap, &HeaderMap::new(), Body::full(passing)).unwrap(),
            passing
        );
        let (body, _) = chunked(passing.as_bytes(), 1);
        assert_eq!(check(&cap, &HeaderMap::new(), body).unwrap(), passing);
    }
    assert!(check(&cap, &HeaderMap::new(), Body::empty()).unwrap().is_empty());
    assert!(
        check(
            &cap,
            &HeaderMap::new(),
            pieces(vec![Bytes::new(), Bytes::new()]).0
        )
        .unwrap()
        .is_empty()
    );
    for bad in [
        " ",
        "devices=1&devices=2",
        r#"{"devices":{}}"#,
        r#"{"devices":null}"#,
        r#"{"devices":[],"devices":[1]}"#,
        r#"{"Devices":[1]}"#,
        r#"{"devices":[1,2]} x"#,
        r#"{"devices":[1,2]"#,
        "\u{feff}{}",
    ] {
        assert!(
            matches!(
                check(&cap, &HeaderMap::new(), Body::full(bad)),
                Err(Rejection::BadRequest(BadRequest::ItemsBody))
            ),
            "{bad}"
        );
    }
}

#[test]
fn a_compressed_body_cannot_be_counted_and_is_refused() {
    let cap = body_cap(ItemCap::HOLD);
    for (coding, passes) in [
        ("identity", true),
        ("Identity", true),
        ("", true),
        ("identity, identity", true),
        ("gzip", false),
        ("identity, gzip", false),
        ("br", false),
        ("x-unknown", false),
    ] {
        let mut headers = HeaderMap::new();
        headers.append(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
        let answer = check(&cap, &headers, Body::full(devices(1)));
        assert_eq!(answer.is_ok(), passes, "{coding}: {answer:?}");
        // An empty body has nothing to count, whatever it claims to be.
        assert!(check(&cap, &headers, Body::empty()).is_ok());
    }
    let mut twice = HeaderMap::new();
    twice.append(header::CONTENT_ENCODING, HeaderValue::from_static("identity"));
    twice.append(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    assert!(check(&cap, &twice, Body::full(devices(1))).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_passes_is_sent_on_unchanged(
        count in 0usize..60,
        borders in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let text = devices(count);
        let mut borders: Vec<usize> = borders.iter().map(|border| border.index(text.len() + 1)).collect();
        borders.sort_unstable();
        let mut parts = Vec::new();
        let mut begin = 0;
        for end in borders.into_iter().chain([text.len()]) {
            parts.push(Bytes::copy_from_slice(&text[begin..end]));
            begin = end;
        }
        match check(&body_cap(ItemCap::HOLD), &HeaderMap::new(), pieces(parts).0) {
            Ok(sent) => {
                prop_assert!(count <= 50);
                prop_assert_eq!(&sent[..], &text[..]);
            }
            Err(refusal) => {
                prop_assert!(count > 50);
                prop_assert_eq!(refusal.code(), Code::ItemCapExceeded);
            }
        }
    }

    #[test]
    fn any_number_passes_if_and_only_if_it_is_within_the_cap(number in any::<u64>(), small in 0u64..100) {
        for number in [number, small] {
            let passes = query_cap().check_query(Some(&format!("offset=1&limit={number}"))).is_ok();
            prop_assert_eq!(passes, number <= 50);
        }
    }
}
