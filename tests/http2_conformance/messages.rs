//! Section 8: requests and answers in HTTP/2.

use crate::case::{asks, cases, deviates};
use crate::client::Outcome;
use crate::frame::*;
use crate::hpack::{self, Block, Written};
use crate::scene::Expected::{Answer, Connection, Harmless, Stream};
use crate::scene::Scene;

/// Sends a whole request.
async fn whole(it: &mut Scene, block: Block) -> Outcome {
    it.client.send(&[Frame::headers(WHOLE, 1, block)]).await;
    it.client.outcome(1).await
}

/// A request whose name or value no message may have.
async fn with_field(it: &mut Scene, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Outcome {
    whole(it, Block::get("/refused").field(name, value)).await
}

/// Pseudo-fields as given, without any of the usual ones.
fn only(fields: &[(&str, &str)]) -> Block {
    fields
        .iter()
        .fold(Block::new(), |block, (name, value)| block.field(name, value))
}

/// A POST whose declared and real lengths differ.
async fn length(it: &mut Scene, declared: &str, frames: &[Frame]) -> Outcome {
    let mut all = vec![Frame::headers(
        END_HEADERS,
        1,
        Block::post("/length").field("content-length", declared),
    )];
    all.extend_from_slice(frames);
    it.client.send(&all).await;
    it.client.outcome(1).await
}

/// A request of two bytes with these trailers.
async fn trailers(it: &mut Scene, path: &str, flags: u8, block: Block) -> Outcome {
    it.client
        .send(&[
            Frame::headers(END_HEADERS, 1, Block::post(path)),
            Frame::data(0, 1, "ab"),
            Frame::headers(flags, 1, block),
        ])
        .await;
    it.client.outcome(1).await
}

cases![
    (
        section_8_1_a_request_with_body_and_trailers_is_answered,
        "A request is HEADERS, DATA, and trailers in HEADERS with END_STREAM.",
        asks(Harmless),
        async |it: &mut Scene| {
            let outcome = trailers(it, "/trailers", WHOLE, Block::new().field("x-sum", "1")).await;
            assert_eq!(
                it.backend.request("/trailers").await.body.as_deref(),
                Some(&b"ab"[..])
            );
            outcome
        }
    ),
    (
        section_8_1_a_second_header_section_without_end_stream_is_malformed,
        "HEADERS after the head without END_STREAM are malformed: a stream error PROTOCOL_ERROR.",
        asks(Stream(PROTOCOL_ERROR)),
        async |it: &mut Scene| trailers(it, "/length", END_HEADERS, Block::new().field("x-sum", "1")).await
    ),
    (
        section_8_1_an_expectation_of_100_does_not_end_the_stream,
        "An interim answer comes before the final one; a client that expects 100 gets one (RFC 9110 section 10.1.1).",
        deviates(
            Harmless,
            "a 100; the server's library cannot send one, and a client that goes on by itself, as it must, is answered",
        ),
        async |it: &mut Scene| {
            let head = Block::post("/length")
                .field("expect", "100-continue")
                .field("content-length", "2");
            it.client.send(&[Frame::headers(END_HEADERS, 1, head)]).await;
            it.backend.arrivals(1).await;
            it.client.send(&[Frame::data(END_STREAM, 1, "ab")]).await;
            let answer = it.client.answer(1).await;
            assert_eq!(answer.body, b"2");
            assert_eq!(
                it.client.count(HEADERS, 1),
                1,
                "no interim answer yet: the row is out of date"
            );
            Outcome::Answer(answer.status)
        }
    ),
    (
        section_8_1_the_answer_to_head_has_no_data,
        "The answer to HEAD ends with its HEADERS or an empty DATA frame.",
        asks(Harmless),
        async |it: &mut Scene| {
            let head = only(&[
                (":method", "HEAD"),
                (":scheme", "http"),
                (":path", "/next"),
                (":authority", "api.test"),
            ]);
            it.client.send(&[Frame::headers(WHOLE, 1, head)]).await;
            let answer = it.client.answer(1).await;
            assert_eq!(answer.body, b"");
            Outcome::Answer(answer.status)
        }
    ),
    (
        section_8_1_1_a_content_length_above_the_data_is_malformed,
        "A content-length above the sum of the DATA frames is malformed: a stream error PROTOCOL_ERROR.",
        asks(Stream(PROTOCOL_ERROR)),
        async |it: &mut Scene| length(it, "10", &[Frame::data(END_STREAM, 1, "abc")]).await
    ),
    (
        section_8_1_1_a_content_length_below_the_data_is_malformed,
        "A content-length below the sum of the DATA frames is malformed.",
        asks(Stream(PROTOCOL_ERROR)),
        async |it: &mut Scene| {
            length(
                it,
                "4",
                &[Frame::data(0, 1, "abc"), Frame::data(END_STREAM, 1, "abc")],
            )
            .await
        }
    ),
    (
        section_8_1_1_a_content_length_without_data_is_malformed,
        "A content-length on HEADERS with END_STREAM is malformed unless it is 0.",
        asks(Stream(PROTOCOL_ERROR)),
        async |it: &mut Scene| whole(it, Block::post("/refused").field("content-length", "1")).await
    ),
    (
        section_8_1_1_a_content_length_that_ends_with_trailers_is_held_too,
        "A content-length above the sum of the DATA frames before the trailers is malformed.",
        asks(Stream(PROTOCOL_ERROR)),
        async |it: &mut Scene| {
            let trailers = Frame::headers(WHOLE, 1, Block::new().field("x-sum", "1"));
            length(it, "10", &[Frame::data(0, 1, "abc"), trailers]).await
        }
    ),
    (
        section_8_1_1_two_content_lengths_that_differ_are_malformed,
        "Two different content-lengths cannot both be the sum of the DATA frames.",
        asks(Stream(PROTOCOL_ERROR)),
        async |it: &mut Scene| {
            let head = Block::post("/refused")
                .field("content-length", "3")
                .field("content-length", "4");
            it.client
                .send(&[
                    Frame::headers(END_HEADERS, 1, head),
                    Frame::data(END_STREAM, 1, "abc"),
                ])
                .await;
            it.client.outcome(1).await
        }
    ),
    (
        section_8_1_1_a_content_length_that_is_no_number_is_malformed,
        "A content-length that is no number is not the sum of the DATA frames.",
        asks(Stream(PROTOCOL_ERROR)),
        async |it: &mut Scene| {
            let head = Block::post("/refused").field("content-length", "+3");
            it.client
                .send(&[
                    Frame::headers(END_HEADERS, 1, head),
                    Frame::data(END_STREAM, 1, "abc"),
                ])
                .await;
            it.client.outcome(1).await
        }
    ),
    (
        section_8_1_1_a_broken_body_never_looks_whole_at_the_backend,
        "An intermediary does not forward a malformed request: the backend sees that the body broke off.",
        asks(Stream(PROTOCOL_ERROR)),
        async |it: &mut Scene| {
            let head = Block::post("/broken").field("content-length", "4");
            it.client
                .send(&[Frame::headers(END_HEADERS, 1, head), Frame::data(0, 1, "ab")])
                .await;
            it.backend.arrivals(1).await;
            it.client.send(&[Frame::data(END_STREAM, 1, "cdef")]).await;
            let outcome = it.client.outcome(1).await;
            assert_eq!(it.backend.request("/broken").await.body, None);
            outcome
        }
    ),
    (
        section_8_2_an_upper_case_name_is_malformed,
        "Field names are in lower case; a request with another is malformed.",
        asks(Connection(PROTOCOL_ERROR)),
        async |it: &mut Scene| with_field(it, "X-Upper", "1").await
    ),
    (
        section_8_2_1_a_name_with_a_space_is_malformed,
        "A field name has no characters from 0x00 to 0x20.",
        asks(Connection(PROTOCOL_ERROR)),
        async |it: &mut Scene| with_field(it, "x y", "1").await
    ),
    (
        section_8_2_1_a_name_with_a_line_break_is_malformed,
        "A field name has no line breaks.",
        asks(Connection(PROTOCOL_ERROR)),
        async |it: &mut Scene| with_field(it, "x: 1\r\ny", "1").await
    ),
    (
        section_8_2_1_a_name_with_nul_is_malformed,
        "A field name has no NUL.",
        asks(Connection(PROTOCOL_ERROR)),
        async |it: &mut Scene| with_field(it, "x\0y", "1").await
    ),
    (
        section_8_2_1_a_name_above_0x7e_is_malformed,
        "A field name has no characters from 0x7f to 0xff.",
        asks(Connection(PROTOCOL_ERROR)),
        async |it: &mut Scene| with_field(it, b"x\xffy", "1").await
    ),
    (
        section_8_2_1_a_name_with_a_colon_is_malformed,
        "A field name has no colon but the first of a pseudo-field.",
        asks(Connection(PROTOCOL_ERROR)),
        async |it: &mut Scene| with_field(it, "x:y", "1").await
    ),
    (
        section_8_2_1_an_empty_name_is_malformed,
        "A field name is a token of at least one character (RFC 9110 section 5.1).",
        asks(Connection(PROTOCOL_ERROR)),
        async |it: &mut Scene| with_field(it, "", "1").await
    ),
    (
        section_8_2_1_a_value_with_nul_is_malformed,
        "A field value has no NUL.",
        asks(Connection(PROTOCOL_ERROR)),
        async |it: &mut Scene| with_field(it, "x", "a\0b").await
    ),
    (
        section_8_2_1_a_value_with_cr_is_malformed,
        "A field value has no CR.",
        asks(Connection(PROTOCOL_ERROR)),
        async |it: &mut Scene| with_field(it, "x", "a\rb").await
    ),
    (
        section_8_2_1_a_value_with_lf_is_malformed,
        "A field value has no LF.",
        asks(Connection(PROTOCOL_ERROR)),
        async |it: &mut Scene| with_field(it, "x", "a\r\nx-tenant-id: other").await
    ),
    (
        section_8_2_1_a_value_that_begins_with_a_space_is_malformed,
        "A field value does not begin with a space or tab.",
        asks(Answer(400)),
        async |it: &mut Scene| with_field(it, "x", " a").await
    ),
    (
        section_8_2_1_a_value_that_ends_with_a_tab_is_malformed,
        "A field value does not end with a space or tab.",
        asks(Answer(400)),
        async |it: &mut Scene| with_field(it, "x", "a\t").await
    ),
    (
        section_8_2_1_an_invalid_value_in_trailers_is_malformed,
        "What holds for fields holds for trailers.",
        asks(Connection(PROTOCOL_ERROR)),
        async |it: &mut Scene| trailers(it, "/length", WHOLE, Block::new().field("x-sum", "a\r\nb")).await
    ),
    (
        section_8_2_2_connection_is_malformed,
        "A request with a connection-specific field is malformed: connection.",
        asks(Stream(PROTOCOL_ERROR)),
        async |it: &mut Scene| with_field(it, "connection", "close").await
    ),
    (
        section_8_2_2_keep_alive_is_malformed,
        "A request with a connection-specific field is malformed: keep-alive.",
        asks(Stream(PROTOCOL_ERROR)),
        async |it: &mut Scene| with_field(it, "keep-alive", "timeout=5").await
    ),
    (
        section_8_2_2_proxy_connection_is_malformed,
        "A request with a connection-specific field is malformed: proxy-connection.",
        asks(Stream(PROTOCOL_ERROR)),
        async |it: &mut Scene| with_field(it, "proxy-connection", "keep-alive").await
    ),
    (
        section_8_2_2_transfer_encoding_is_malformed,
        "A request with a connection-specific field is malformed: transfer-encoding.",
        asks(Stream(PROTOCOL_ERROR)),
        async |it: &mut Scene| with_field(it, "transfer-encoding", "chunked").await
    ),
    (
        section_8_2_2_upgrade_is_malformed,
        "A request with a connection-specific field is malformed: upgrade.",
        asks(Stream(PROTOCOL_ERROR)),
        async |it: &mut Scene| with_field(it, "upgrade", "websocket").await
    ),
    (
        section_8_2_2_te_other_than_trailers_is_malformed,
        "te has no other value than trailers.",
        asks(Stream(PROTOCOL_ERROR)),
        async |it: &mut Scene| with_field(it, "te", "trailers, gzip").await
    ),
    (
        section_8_2_2_te_trailers_is_taken,
        "te may be trailers.",
        asks(Harmless),
        async |it: &mut Scene| whole(it, Block::get("/next").field("te", "trailers")).await
    ),
    (
        section_8_2_2_answers_have_no_connection_specific_fields,
        "An answer from a backend of HTTP/1.1 loses its connection-specific fields: a strict client takes it.",
        asks(Harmless),
        async |it: &mut Scene| {
            // hyper's client refuses an answer with such a field, as the section asks of it.
            let tcp = tokio::net::TcpStream::connect(it.address)
                .await
                .expect("to connect");
            let io = hyper_util::rt::TokioIo::new(tcp);
            let executor = hyper_util::rt::TokioExecutor::new();
            let (mut sender, connection) = hyper::client::conn::http2::handshake(executor, io)
                .await
                .expect("a handshake");
            let task = tokio::spawn(connection);
            let request = http::Request::get("http://api.test/hops")
                .body(http_body_util::Empty::<bytes::Bytes>::new())
                .expect("a request");
            let answer = sender.send_request(request).await.expect("an answer");
            assert!(!answer.headers().contains_key("connection"));
            assert!(
                !answer.headers().contains_key("x-hop"),
                "named by connection: {answer:?}"
            );
            assert!(answer.headers().contains_key("x-end"));
            task.abort();
            Outcome::Answer(answer.status().as_u16())
        }
    ),
    (
        section_8_2_3_cookie_crumbs_are_joined_for_the_backend,
        "Several cookie fields become one, joined with a semicolon and a space, before they leave HTTP/2.",
        asks(Harmless),
        async |it: &mut Scene| {
            let crumbs = Block::get("/cookies")
                .field("cookie", "a=1")
                .field("x", "y")
                .field("cookie", "b=2; c=3");
            let outcome = whole(it, crumbs.field("cookie", "d=4")).await;
            let seen = it.backend.request("/cookies").await;
            let cookies: Vec<_> = seen.headers.get_all("cookie").iter().collect();
            assert_eq!(cookies, ["a=1; b=2; c=3; d=4"]);
            outcome
        }
    ),
    (
        section_8_3_an_unknown_pseudo_field_is_malformed,
        "A pseudo-field that is not defined is malformed.",
        asks(Connection(PROTOCOL_ERROR)),
        async |it: &mut Scene| with_field(it, ":tenant", "1").await
    ),
    (
        section_8_3_a_pseudo_field_of_answers_is_malformed,
        "A pseudo-field of answers in a request is malformed.",
        asks(Stream(PROTOCOL_ERROR)),
        async |it: &mut Scene| with_field(it, ":status", "200").await
    ),
    (
        section_8_3_protocol_without_leave_is_malformed,
        "`:protocol` is a pseudo-field of an extension (RFC 8441) that the gateway does not offer.",
        asks(Stream(PROTOCOL_ERROR)),
        async |it: &mut Scene| {
            let connect = only(&[
                (":method", "CONNECT"),
                (":protocol", "websocket"),
                (":scheme", "http"),
            ]);
            whole(
                it,
                connect.field(":path", "/refused").field(":authority", "api.test"),
            )
            .await
        }
    ),
    (
        section_8_3_a_pseudo_field_after_a_field_is_malformed,
        "Pseudo-fields come before all fields.",
        asks(Stream(PROTOCOL_ERROR)),
        async |it: &mut Scene| {
            let late = only(&[
                (":method", "GET"),
                (":scheme", "http"),
                (":path", "/refused"),
                ("x", "y"),
            ]);
            whole(it, late.field(":authority", "api.test")).await
        }
    ),
    (
        section_8_3_a_pseudo_field_twice_is_malformed,
        "No pseudo-field comes twice: `:path`.",
        asks(Stream(PROTOCOL_ERROR)),
        async |it: &mut Scene| whole(it, Block::get("/refused").field(":path", "/refused/again")).await
    ),
    (
        section_8_3_an_authority_twice_is_malformed,
        "No pseudo-field comes twice: `:authority`.",
        asks(Stream(PROTOCOL_ERROR)),
        async |it: &mut Scene| whole(it, Block::get("/refused").field(":authority", "api.test")).await
    ),
    (
        section_8_3_a_pseudo_field_in_trailers_is_malformed,
        "Trailers have no pseudo-fields.",
        deviates(
            Harmless,
            "a stream error PROTOCOL_ERROR; the library drops the pseudo-field, and nobody behind it sees one",
        ),
        async |it: &mut Scene| {
            let pseudo = Block::new().field(":path", "/refused").field("x-sum", "1");
            let outcome = trailers(it, "/trailers", WHOLE, pseudo).await;
            let seen = it.backend.request("/trailers").await;
            assert_eq!(seen.body.as_deref(), Some(&b"ab"[..]));
            let names = seen.trailers.iter().flat_map(http::HeaderMap::keys);
            assert!(names.into_iter().all(|name| name == "x-sum"));
            outcome
        }
    ),
    (
        section_8_3_1_a_request_without_method_is_malformed,
        "A request has exactly one `:method`.",
        asks(Stream(PROTOCOL_ERROR)),
        async |it: &mut Scene| {
            whole(
                it,
                only(&[
                    (":scheme", "http"),
                    (":path", "/refused"),
                    (":authority", "api.test"),
                ]),
            )
            .await
        }
    ),
    (
        section_8_3_1_a_request_without_scheme_is_malformed,
        "A request has exactly one `:scheme`.",
        asks(Stream(PROTOCOL_ERROR)),
        async |it: &mut Scene| {
            whole(
                it,
                only(&[
                    (":method", "GET"),
                    (":path", "/refused"),
                    (":authority", "api.test"),
                ]),
            )
            .await
        }
    ),
    (
        section_8_3_1_a_request_without_path_is_malformed,
        "A request has exactly one `:path`.",
        asks(Stream(PROTOCOL_ERROR)),
        async |it: &mut Scene| {
            whole(
                it,
                only(&[
                    (":method", "GET"),
                    (":scheme", "http"),
                    (":authority", "api.test"),
                ]),
            )
            .await
        }
    ),
    (
        section_8_3_1_an_empty_path_is_malformed,
        "`:path` is not empty.",
        asks(Stream(PROTOCOL_ERROR)),
        async |it: &mut Scene| whole(it, Block::get("")).await
    ),
    (
        section_8_3_1_a_path_that_does_not_begin_with_a_slash_is_malformed,
        "`:path` begins with a slash, or is the asterisk of OPTIONS.",
        asks(Stream(PROTOCOL_ERROR)),
        async |it: &mut Scene| whole(it, Block::get("refused")).await
    ),
    (
        section_8_3_1_an_asterisk_is_for_options_only,
        "`:path` is an asterisk for OPTIONS only.",
        asks(Answer(400)),
        async |it: &mut Scene| whole(it, Block::get("*")).await
    ),
    (
        section_8_3_1_userinfo_in_the_authority_is_refused,
        "`:authority` has no userinfo.",
        asks(Answer(400)),
        async |it: &mut Scene| {
            let head = only(&[(":method", "GET"), (":scheme", "http"), (":path", "/refused")]);
            whole(it, head.field(":authority", "user:word@api.test")).await
        }
    ),
    (
        section_8_3_1_a_host_that_disagrees_with_the_authority_is_refused,
        "A server may treat a request whose host differs from `:authority` as malformed; the gateway does.",
        asks(Answer(400)),
        async |it: &mut Scene| whole(it, Block::get("/refused").field("host", "other.test")).await
    ),
    (
        section_8_3_1_the_backends_host_is_the_authority,
        "An intermediary that forwards in HTTP/1.1 makes one Host from `:authority`.",
        asks(Harmless),
        async |it: &mut Scene| {
            let outcome = whole(it, Block::get("/host").field("host", "api.test")).await;
            let seen = it.backend.request("/host").await;
            assert_eq!(seen.headers.get_all("host").iter().count(), 1);
            outcome
        }
    ),
    (
        section_8_3_1_a_host_without_an_authority_is_taken,
        "A request that came from HTTP/1.1 may have host and no `:authority`.",
        asks(Harmless),
        async |it: &mut Scene| {
            let head = only(&[
                (":method", "GET"),
                (":scheme", "http"),
                (":path", "/next"),
                ("host", "api.test"),
            ]);
            whole(it, head).await
        }
    ),
    (
        section_8_3_1_a_request_that_names_no_host_is_refused,
        "A request with neither `:authority` nor host names no target (RFC 9110 section 7.2).",
        asks(Answer(400)),
        async |it: &mut Scene| {
            whole(
                it,
                only(&[(":method", "GET"), (":scheme", "http"), (":path", "/refused")]),
            )
            .await
        }
    ),
    (
        section_8_3_1_an_empty_authority_is_refused,
        "For http and https `:authority` is not empty where it comes.",
        asks(Stream(PROTOCOL_ERROR)),
        async |it: &mut Scene| {
            let head = only(&[(":method", "GET"), (":scheme", "http"), (":path", "/refused")]);
            whole(it, head.field(":authority", "")).await
        }
    ),
    (
        section_8_3_2_answers_have_one_status_first_and_no_other_pseudo_field,
        "An answer has one `:status`, before its fields, and no other pseudo-field.",
        asks(Harmless),
        async |it: &mut Scene| {
            let outcome = it.client.serves(1).await;
            let head = it
                .client
                .log
                .iter()
                .find(|frame| frame.kind == HEADERS)
                .expect("an answer");
            // 1 to 14 of the static table are the pseudo-fields (RFC 7541 appendix A).
            let is_pseudo = |entry: &&Written| {
                matches!(
                    entry,
                    Written::Indexed(1..=14) | Written::Literal { name: 1..=14, .. }
                )
            };
            assert_eq!(hpack::read(&head.payload).iter().filter(is_pseudo).count(), 1);
            outcome
        }
    ),
    (
        section_8_4_a_client_cannot_push,
        "A server treats PUSH_PROMISE as a connection error PROTOCOL_ERROR.",
        asks(Connection(PROTOCOL_ERROR)),
        async |it: &mut Scene| {
            it.client.send(&[Frame::settings(&[(2, 1)])]).await;
            let promise = Block::new()
                .raw(&[0, 0, 0, 2])
                .raw(&Vec::from(Block::get("/refused")));
            it.client
                .send(&[
                    Frame::headers(END_HEADERS, 1, Block::post("/length")),
                    Frame::new(PUSH_PROMISE, END_HEADERS, 1, promise),
                ])
                .await;
            it.client.end().await
        }
    ),
    (
        section_8_5_connect_with_scheme_and_path_is_malformed,
        "CONNECT has neither `:scheme` nor `:path`.",
        asks(Stream(PROTOCOL_ERROR)),
        async |it: &mut Scene| {
            let connect = only(&[(":method", "CONNECT"), (":scheme", "http"), (":path", "/refused")]);
            whole(it, connect.field(":authority", "api.test:443")).await
        }
    ),
    (
        section_8_5_connect_without_an_authority_is_refused,
        "CONNECT has an `:authority`, with host and port.",
        asks(Answer(501)),
        async |it: &mut Scene| whole(it, only(&[(":method", "CONNECT")])).await
    ),
    (
        section_8_5_connect_is_not_a_way_through,
        "A well-formed CONNECT is refused: the gateway tunnels nowhere.",
        asks(Answer(501)),
        async |it: &mut Scene| {
            whole(
                it,
                only(&[(":method", "CONNECT"), (":authority", "refused.test:443")]),
            )
            .await
        }
    ),
    (
        section_8_7_a_refused_stream_was_not_processed,
        "REFUSED_STREAM is a promise that nothing was processed: the backend has not seen the request.",
        asks(Stream(REFUSED_STREAM)),
        async |it: &mut Scene| {
            let held: Vec<_> = (0..100)
                .map(|n| Frame::headers(WHOLE, n * 2 + 1, Block::get("/held")))
                .collect();
            it.client.send(&held).await;
            it.client
                .send(&[Frame::headers(WHOLE, 201, Block::get("/refused"))])
                .await;
            let outcome = it.client.outcome(201).await;
            it.backend.arrivals(100).await;
            outcome
        }
    ),
];
