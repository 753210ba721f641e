//! Section 6: each type of frame.

use crate::case::{asks, cases, deviates};
use crate::client::{Client, Outcome};
use crate::frame::*;
use crate::hpack::Block;
use crate::scene::Expected::{Connection, Either, Harmless, Stream};
use crate::scene::{NO_TABLE, Scene};

/// Sends one frame and says what became of the connection.
async fn one(it: &mut Scene, frame: Frame) -> Outcome {
    it.client.send(&[frame]).await;
    it.client.end().await
}

/// Opens stream 1 with its body to come, then sends a frame, and says what became of the stream.
async fn on_open(it: &mut Scene, frame: Frame) -> Outcome {
    it.client
        .send(&[Frame::headers(END_HEADERS, 1, Block::post("/length")), frame])
        .await;
    it.client.outcome(1).await
}

const FRAME_SIZE: &str = "FRAME_SIZE_ERROR; the connection ends, with the less specific code";

cases![
    (
        section_6_1_data_on_stream_0_is_a_connection_error_protocol_error,
        "DATA on stream 0 is a connection error PROTOCOL_ERROR.",
        asks(Connection(PROTOCOL_ERROR)),
        async |it: &mut Scene| one(it, Frame::data(0, 0, "x")).await
    ),
    (
        section_6_1_padding_as_long_as_the_payload_is_a_connection_error_protocol_error,
        "Padding of DATA as long as its payload or longer is a connection error PROTOCOL_ERROR.",
        asks(Connection(PROTOCOL_ERROR)),
        async |it: &mut Scene| on_open(it, Frame::data(PADDED, 1, [3, 0, 0])).await
    ),
    (
        section_6_1_padding_is_no_content,
        "The padding of DATA is taken off; a pad length of 0 and a payload of nothing but padding are fine.",
        asks(Harmless),
        async |it: &mut Scene| {
            it.client
                .send(&[
                    Frame::headers(END_HEADERS, 1, Block::post("/padded")),
                    Frame::data(PADDED, 1, [2, b'a', 0, 0]),
                    Frame::data(PADDED, 1, [0, b'b']),
                    Frame::data(PADDED | END_STREAM, 1, [3, 0, 0, 0]),
                ])
                .await;
            let outcome = it.client.outcome(1).await;
            assert_eq!(
                it.backend.request("/padded").await.body.as_deref(),
                Some(&b"ab"[..])
            );
            outcome
        }
    ),
    (
        section_6_1_padding_counts_in_flow_control,
        "Pad length and padding count in flow control: the gateway opens the windows again by as much.",
        asks(Harmless),
        async |it: &mut Scene| {
            it.client
                .send(&[Frame::headers(END_HEADERS, 1, Block::post("/length"))])
                .await;
            // A frame of one byte of content and 255 of padding; without the padding the windows would never open.
            let mut padded = vec![0; 257];
            padded[0] = 255;
            let (mut stream, mut connection) = (WINDOW, WINDOW);
            for _ in 0..1000 {
                while stream < padded.len() || connection < padded.len() {
                    let update = it.client.find(|frame| frame.kind == WINDOW_UPDATE).await;
                    match update.stream {
                        0 => connection += update.word(0) as usize,
                        _ => stream += update.word(0) as usize,
                    }
                }
                it.client.send(&[Frame::data(PADDED, 1, padded.clone())]).await;
                (stream, connection) = (stream - padded.len(), connection - padded.len());
            }
            it.client.send(&[Frame::data(END_STREAM, 1, [])]).await;
            let answer = it.client.answer(1).await;
            assert_eq!(answer.body, b"1000");
            Outcome::Answer(answer.status)
        }
    ),
    (
        section_6_2_headers_on_stream_0_is_a_connection_error_protocol_error,
        "HEADERS on stream 0 is a connection error PROTOCOL_ERROR.",
        asks(Connection(PROTOCOL_ERROR)),
        async |it: &mut Scene| one(it, Frame::headers(WHOLE, 0, Block::get("/refused"))).await
    ),
    (
        section_6_2_padding_beyond_the_field_block_is_a_connection_error_protocol_error,
        "Padding of HEADERS that leaves no room for the field block is an error PROTOCOL_ERROR.",
        asks(Connection(PROTOCOL_ERROR)),
        async |it: &mut Scene| one(it, Frame::headers(WHOLE | PADDED, 1, [5, 0x82, 0, 0])).await
    ),
    (
        section_6_2_padding_is_no_part_of_the_field_block,
        "The padding of HEADERS is taken off, with and without priority fields.",
        asks(Harmless),
        async |it: &mut Scene| {
            let padded = Block::new()
                .raw(&[4])
                .raw(&Vec::from(Block::get("/next")))
                .raw(&[0; 4]);
            it.client.send(&[Frame::headers(WHOLE | PADDED, 1, padded)]).await;
            assert_eq!(it.client.outcome(1).await, Outcome::Answer(200));
            let padded = Block::new()
                .raw(&[4, 0, 0, 0, 0, 15])
                .raw(&Vec::from(Block::get("/next")))
                .raw(&[0; 4]);
            it.client
                .send(&[Frame::headers(WHOLE | PADDED | WITH_PRIORITY, 3, padded)])
                .await;
            it.client.outcome(3).await
        }
    ),
    (
        section_6_2_headers_without_end_headers_are_followed_by_continuation,
        "HEADERS without END_HEADERS followed by anything but its CONTINUATION is a connection error PROTOCOL_ERROR.",
        asks(Connection(PROTOCOL_ERROR)),
        async |it: &mut Scene| {
            it.client
                .send(&[
                    Frame::headers(0, 1, Block::post("/refused")),
                    Frame::data(END_STREAM, 1, "x"),
                ])
                .await;
            it.client.end().await
        }
    ),
    (
        section_6_3_priority_on_stream_0_is_a_connection_error_protocol_error,
        "PRIORITY on stream 0 is a connection error PROTOCOL_ERROR.",
        asks(Connection(PROTOCOL_ERROR)),
        async |it: &mut Scene| one(it, Frame::priority(0, 1)).await
    ),
    (
        section_6_3_priority_of_another_length_is_a_stream_error_frame_size_error,
        "A PRIORITY frame whose length is not 5 is a stream error FRAME_SIZE_ERROR (or a connection error, 5.4.1).",
        deviates(Connection(PROTOCOL_ERROR), FRAME_SIZE),
        async |it: &mut Scene| on_open(it, Frame::new(PRIORITY, 0, 1, [0; 4])).await
    ),
    (
        section_6_3_priority_leaves_an_idle_stream_idle,
        "PRIORITY does not change the state of any stream: one with a high identifier does not close lower ones.",
        asks(Harmless),
        async |it: &mut Scene| {
            it.client.send(&[Frame::priority(99, 0)]).await;
            it.client.serves(1).await
        }
    ),
    (
        section_6_4_rst_stream_on_stream_0_is_a_connection_error_protocol_error,
        "RST_STREAM on stream 0 is a connection error PROTOCOL_ERROR.",
        asks(Connection(PROTOCOL_ERROR)),
        async |it: &mut Scene| one(it, Frame::reset(0, CANCEL)).await
    ),
    (
        section_6_4_rst_stream_of_an_idle_stream_is_a_connection_error_protocol_error,
        "RST_STREAM of an idle stream is a connection error PROTOCOL_ERROR.",
        asks(Connection(PROTOCOL_ERROR)),
        async |it: &mut Scene| {
            assert_eq!(it.client.serves(1).await, Outcome::Answer(200));
            one(it, Frame::reset(3, CANCEL)).await
        }
    ),
    (
        section_6_4_rst_stream_of_another_length_is_a_connection_error_frame_size_error,
        "A RST_STREAM frame whose length is not 4 is a connection error FRAME_SIZE_ERROR.",
        deviates(Connection(PROTOCOL_ERROR), FRAME_SIZE),
        async |it: &mut Scene| on_open(it, Frame::new(RST_STREAM, 0, 1, [0; 5])).await
    ),
    (
        section_6_4_after_rst_stream_nothing_more_is_sent_on_the_stream,
        "After a RST_STREAM the receiver sends nothing more on the stream.",
        asks(Harmless),
        async |it: &mut Scene| {
            it.client
                .send(&[Frame::headers(WHOLE, 1, Block::get("/big"))])
                .await;
            it.client.find(|frame| frame.kind == DATA).await;
            it.client.send(&[Frame::reset(1, CANCEL)]).await;
            it.client.round_trip().await.expect("the connection goes on");
            let before = it.client.log.iter().filter(|frame| frame.stream == 1).count();
            it.client.send(&[Frame::window_update(0, 1 << 20)]).await;
            let outcome = it.client.serves(3).await;
            assert_eq!(
                it.client.log.iter().filter(|frame| frame.stream == 1).count(),
                before
            );
            outcome
        }
    ),
    (
        section_6_5_settings_ack_with_a_payload_is_a_connection_error_frame_size_error,
        "SETTINGS with ACK and a payload is a connection error FRAME_SIZE_ERROR.",
        deviates(Connection(PROTOCOL_ERROR), FRAME_SIZE),
        async |it: &mut Scene| one(it, Frame::new(SETTINGS, ACK, 0, [0, 3, 0, 0, 0, 1])).await
    ),
    (
        section_6_5_settings_on_a_stream_is_a_connection_error_protocol_error,
        "SETTINGS on a stream other than 0 is a connection error PROTOCOL_ERROR.",
        asks(Connection(PROTOCOL_ERROR)),
        async |it: &mut Scene| one(it, Frame::new(SETTINGS, 0, 1, [0, 3, 0, 0, 0, 1])).await
    ),
    (
        section_6_5_settings_with_a_length_of_no_multiple_of_6_is_a_connection_error_frame_size_error,
        "SETTINGS whose length is no multiple of 6 is a connection error FRAME_SIZE_ERROR.",
        deviates(Connection(PROTOCOL_ERROR), FRAME_SIZE),
        async |it: &mut Scene| one(it, Frame::new(SETTINGS, 0, 0, [0, 3, 0, 0, 0])).await
    ),
    (
        section_6_5_2_enable_push_of_2_is_a_connection_error_protocol_error,
        "SETTINGS_ENABLE_PUSH other than 0 and 1 is a connection error PROTOCOL_ERROR.",
        asks(Connection(PROTOCOL_ERROR)),
        async |it: &mut Scene| one(it, Frame::settings(&[(2, 2)])).await
    ),
    (
        section_6_5_2_the_server_does_not_enable_push,
        "A server sets SETTINGS_ENABLE_PUSH to 0 or not at all.",
        asks(Harmless),
        async |it: &mut Scene| {
            let entries: Vec<_> = it.client.log[0].payload.chunks(6).collect();
            assert!(
                entries
                    .iter()
                    .all(|entry| entry[..2] != [0, 2] || entry[2..] == [0; 4]),
                "{entries:?}"
            );
            it.client.serves(1).await
        }
    ),
    (
        section_6_5_2_a_client_may_allow_or_forbid_push,
        "SETTINGS_ENABLE_PUSH of 0 and 1 are taken, and nothing is pushed.",
        asks(Harmless),
        async |it: &mut Scene| {
            it.client
                .send(&[Frame::settings(&[(2, 1)]), Frame::settings(&[(2, 0)])])
                .await;
            it.client.serves(1).await
        }
    ),
    (
        section_6_5_2_a_window_above_the_maximum_is_a_connection_error_flow_control_error,
        "SETTINGS_INITIAL_WINDOW_SIZE above 2^31-1 is a connection error FLOW_CONTROL_ERROR.",
        deviates(
            Connection(PROTOCOL_ERROR),
            "FLOW_CONTROL_ERROR; the connection ends, with the less specific code"
        ),
        async |it: &mut Scene| one(it, Frame::settings(&[(4, 1 << 31)])).await
    ),
    (
        section_6_5_2_a_frame_size_below_16384_is_a_connection_error_protocol_error,
        "SETTINGS_MAX_FRAME_SIZE below 2^14 is a connection error PROTOCOL_ERROR.",
        asks(Connection(PROTOCOL_ERROR)),
        async |it: &mut Scene| one(it, Frame::settings(&[(5, 16_383)])).await
    ),
    (
        section_6_5_2_a_frame_size_above_16777215_is_a_connection_error_protocol_error,
        "SETTINGS_MAX_FRAME_SIZE above 2^24-1 is a connection error PROTOCOL_ERROR.",
        asks(Connection(PROTOCOL_ERROR)),
        async |it: &mut Scene| one(it, Frame::settings(&[(5, 1 << 24)])).await
    ),
    (
        section_6_5_2_the_values_at_the_bounds_are_taken,
        "The smallest and the largest value of each setting are taken.",
        asks(Harmless),
        async |it: &mut Scene| {
            it.client
                .send(&[
                    Frame::settings(&[(3, 0), (4, 0), (5, 16_384), (6, 0)]),
                    Frame::settings(&[
                        (3, u32::MAX),
                        (4, (1 << 31) - 1),
                        (5, (1 << 24) - 1),
                        (6, u32::MAX),
                    ]),
                ])
                .await;
            it.client.serves(1).await
        }
    ),
    (
        section_6_5_2_an_unknown_setting_is_ignored,
        "A setting with an unknown identifier is ignored, and the others of the frame are not.",
        asks(Harmless),
        async |it: &mut Scene| {
            it.client
                .send(&[Frame::settings(&[(0xbbbb, 7), (4, 1), (0xcccc, 7)])])
                .await;
            let outcome = it.client.serves(1).await;
            assert_eq!(it.client.find(|frame| frame.kind == DATA).await.payload.len(), 1);
            outcome
        }
    ),
    (
        section_6_5_3_the_last_value_of_a_setting_holds,
        "Settings are processed in the order in which they appear.",
        asks(Harmless),
        async |it: &mut Scene| {
            it.client
                .send(&[Frame::settings(&[(4, 0), (4, 100), (4, 1)])])
                .await;
            let outcome = it.client.serves(1).await;
            assert_eq!(it.client.find(|frame| frame.kind == DATA).await.payload.len(), 1);
            outcome
        }
    ),
    (
        section_6_5_3_settings_are_acknowledged,
        "Each SETTINGS frame is acknowledged at once, with an empty frame.",
        asks(Harmless),
        async |it: &mut Scene| {
            let acknowledged = |client: &Client| {
                client
                    .log
                    .iter()
                    .filter(|frame| frame.kind == SETTINGS && frame.has(ACK))
                    .count()
            };
            let before = acknowledged(&it.client);
            it.client
                .send(&[
                    Frame::settings(&[]),
                    Frame::settings(&[(3, 5)]),
                    Frame::settings(&[(4, 9)]),
                ])
                .await;
            it.client.round_trip().await.expect("the connection goes on");
            assert_eq!(acknowledged(&it.client) - before, 3);
            assert!(
                it.client
                    .log
                    .iter()
                    .all(|f| f.kind != SETTINGS || !f.has(ACK) || f.payload.is_empty())
            );
            it.client.serves(1).await
        }
    ),
    (
        section_6_6_push_promise_from_a_client_is_a_connection_error_protocol_error,
        "A client cannot push: PUSH_PROMISE from it is a connection error PROTOCOL_ERROR (8.4 says so too).",
        asks(Connection(PROTOCOL_ERROR)),
        async |it: &mut Scene| {
            let promise = Block::new()
                .raw(&[0, 0, 0, 2])
                .raw(&Vec::from(Block::get("/refused")));
            on_open(it, Frame::new(PUSH_PROMISE, END_HEADERS, 1, promise)).await
        }
    ),
    (
        section_6_6_push_promise_on_stream_0_is_a_connection_error_protocol_error,
        "PUSH_PROMISE on stream 0 is a connection error PROTOCOL_ERROR.",
        asks(Connection(PROTOCOL_ERROR)),
        async |it: &mut Scene| {
            let promise = Block::new()
                .raw(&[0, 0, 0, 2])
                .raw(&Vec::from(Block::get("/refused")));
            one(it, Frame::new(PUSH_PROMISE, END_HEADERS, 0, promise)).await
        }
    ),
    (
        section_6_7_a_ping_is_echoed,
        "A PING is answered with the same payload and ACK.",
        asks(Harmless),
        async |it: &mut Scene| {
            it.client
                .send(&[Frame::ping([1, 2, 3, 4, 5, 6, 7, 8]), Frame::ping([0xff; 8])])
                .await;
            let echo = it.client.find(|frame| frame.kind == PING).await;
            assert_eq!(echo, Frame::new(PING, ACK, 0, [1, 2, 3, 4, 5, 6, 7, 8]));
            let echo = it.client.find(|frame| frame.kind == PING).await;
            assert_eq!(echo, Frame::new(PING, ACK, 0, [0xff; 8]));
            it.client.serves(1).await
        }
    ),
    (
        section_6_7_a_ping_with_ack_is_not_answered,
        "A PING with ACK is not answered.",
        asks(Harmless),
        async |it: &mut Scene| {
            it.client.send(&[Frame::new(PING, ACK, 0, *b"unasked!")]).await;
            it.client.round_trip().await.expect("the connection goes on");
            let outcome = it.client.serves(1).await;
            assert!(!it.client.log.iter().any(|frame| frame.payload == b"unasked!"));
            outcome
        }
    ),
    (
        section_6_7_a_ping_on_a_stream_is_a_connection_error_protocol_error,
        "PING on a stream other than 0 is a connection error PROTOCOL_ERROR.",
        asks(Connection(PROTOCOL_ERROR)),
        async |it: &mut Scene| one(it, Frame::new(PING, 0, 1, [0; 8])).await
    ),
    (
        section_6_7_a_ping_of_another_length_is_a_connection_error_frame_size_error,
        "A PING whose length is not 8 is a connection error FRAME_SIZE_ERROR.",
        deviates(Connection(PROTOCOL_ERROR), FRAME_SIZE),
        async |it: &mut Scene| one(it, Frame::new(PING, 0, 0, [0; 7])).await
    ),
    (
        section_6_8_goaway_on_a_stream_is_a_connection_error_protocol_error,
        "GOAWAY on a stream other than 0 is a connection error PROTOCOL_ERROR.",
        asks(Connection(PROTOCOL_ERROR)),
        async |it: &mut Scene| {
            let mut goaway = Frame::goaway(0, NO_ERROR);
            goaway.stream = 1;
            one(it, goaway).await
        }
    ),
    (
        section_6_8_a_client_that_says_goodbye_still_gets_its_answers,
        "Streams that were begun before a GOAWAY are finished.",
        asks(Harmless),
        async |it: &mut Scene| {
            it.client
                .send(&[Frame::headers(WHOLE, 1, Block::get("/held"))])
                .await;
            it.backend.arrivals(1).await;
            it.client.send(&[Frame::goaway(0, NO_ERROR)]).await;
            it.backend.release(1);
            let outcome = it.client.outcome(1).await;
            // The gateway may close now; the next check wants a connection.
            it.client = it.another().await;
            outcome
        }
    ),
    (
        section_6_8_the_last_stream_id_of_goaway_never_goes_up,
        "When a server says goodbye, a later GOAWAY never names a higher stream; streams in flight are finished.",
        asks(Harmless),
        async |it: &mut Scene| {
            it.client
                .send(&[Frame::headers(WHOLE, 1, Block::get("/held"))])
                .await;
            it.backend.arrivals(1).await;
            // A plan for a drain: goodbye at once, the rest when the held request is done.
            let drain = it.gateway.drain();
            let watch = async {
                let client = &mut it.client;
                let first = client.find(|frame| frame.kind == GOAWAY).await;
                assert_eq!((first.word(0), first.word(4)), ((1 << 31) - 1, NO_ERROR.0));
                it.backend.release(1);
                let mut last = first.word(0);
                let mut status = None;
                while let Some(frame) = client.next().await {
                    match frame.kind {
                        GOAWAY => {
                            assert!(frame.word(0) <= last);
                            assert_eq!(frame.word(4), NO_ERROR.0);
                            last = frame.word(0);
                        }
                        PING if !frame.has(ACK) => {
                            client.send(&[Frame::new(PING, ACK, 0, frame.payload)]).await
                        }
                        HEADERS if frame.stream == 1 => status = Some(crate::hpack::status(&frame.payload)),
                        _ => {}
                    }
                }
                assert_eq!(last, 1);
                status
            };
            let (_, status) = tokio::join!(drain, watch);
            assert_eq!(status, Some(200));
            // The checks that follow want a gateway.
            *it = Scene::start().await;
            it.client.serves(1).await
        }
    ),
    (
        section_6_9_an_increment_of_0_on_a_stream_is_an_error_protocol_error,
        "WINDOW_UPDATE with an increment of 0 is a stream error PROTOCOL_ERROR (or a connection error, 5.4.1).",
        asks(Connection(PROTOCOL_ERROR)),
        async |it: &mut Scene| on_open(it, Frame::window_update(1, 0)).await
    ),
    (
        section_6_9_an_increment_of_0_on_the_connection_is_a_connection_error_protocol_error,
        "WINDOW_UPDATE with an increment of 0 for the connection is a connection error.",
        asks(Connection(PROTOCOL_ERROR)),
        async |it: &mut Scene| one(it, Frame::window_update(0, 0)).await
    ),
    (
        section_6_9_the_reserved_bit_of_the_increment_is_ignored,
        "The reserved bit before the increment is ignored.",
        asks(Harmless),
        async |it: &mut Scene| {
            it.client = Client::with_settings(it.address, &[NO_TABLE, (4, 0)]).await;
            it.client
                .send(&[Frame::headers(WHOLE, 1, Block::get("/next"))])
                .await;
            it.client.send(&[Frame::window_update(1, 1 << 31 | 1)]).await;
            let outcome = it.client.outcome(1).await;
            assert_eq!(it.client.find(|frame| frame.kind == DATA).await.payload.len(), 1);
            outcome
        }
    ),
    (
        section_6_9_window_update_of_another_length_is_a_connection_error_frame_size_error,
        "A WINDOW_UPDATE whose length is not 4 is a connection error FRAME_SIZE_ERROR.",
        deviates(Connection(PROTOCOL_ERROR), FRAME_SIZE),
        async |it: &mut Scene| one(it, Frame::new(WINDOW_UPDATE, 0, 0, [0, 0, 1])).await
    ),
    (
        section_6_9_window_update_on_a_closed_stream_is_no_error,
        "WINDOW_UPDATE on a half-closed or closed stream is no error.",
        asks(Harmless),
        async |it: &mut Scene| {
            assert_eq!(it.client.serves(1).await, Outcome::Answer(200));
            it.client
                .find(|frame| frame.stream == 1 && frame.has(END_STREAM))
                .await;
            it.client.send(&[Frame::window_update(1, 100)]).await;
            it.client.serves(3).await
        }
    ),
    (
        section_6_9_data_in_error_counts_for_the_connections_window,
        "DATA counts toward the connection's window even if it is in error, and the window is opened again for it.",
        asks(Harmless),
        async |it: &mut Scene| {
            assert_eq!(it.client.serves(1).await, Outcome::Answer(200));
            // On a closed stream: a stream error STREAM_CLOSED each. 80 are more than the window of 1 MiB, and fewer than
            // the errors that the gateway bears with.
            it.client.pour(1, 80).await;
            it.client.serves(3).await
        }
    ),
    (
        section_6_9_1_a_streams_window_beyond_the_maximum_is_a_stream_error_flow_control_error,
        "A WINDOW_UPDATE that takes a stream's window above 2^31-1 is a stream error FLOW_CONTROL_ERROR.",
        asks(Stream(FLOW_CONTROL_ERROR)),
        async |it: &mut Scene| on_open(it, Frame::window_update(1, (1 << 31) - 1)).await
    ),
    (
        section_6_9_1_the_connections_window_beyond_the_maximum_is_a_connection_error_flow_control_error,
        "A WINDOW_UPDATE that takes the connection's window above 2^31-1 is a connection error FLOW_CONTROL_ERROR.",
        asks(Connection(FLOW_CONTROL_ERROR)),
        async |it: &mut Scene| one(it, Frame::window_update(0, (1 << 31) - 1)).await
    ),
    (
        section_6_9_1_the_connections_window_holds_back_all_streams,
        "Neither window is exceeded: with wide windows of streams the connection's still holds.",
        asks(Harmless),
        async |it: &mut Scene| {
            it.client = Client::with_settings(it.address, &[NO_TABLE, (4, 1 << 20)]).await;
            it.client
                .send(&[
                    Frame::headers(WHOLE, 1, Block::get("/big")),
                    Frame::headers(WHOLE, 3, Block::get("/big")),
                ])
                .await;
            let mut got = 0;
            while got < WINDOW {
                got += it.client.find(|frame| frame.kind == DATA).await.payload.len();
            }
            it.client.round_trip().await.expect("the connection goes on");
            it.client.round_trip().await.expect("the connection goes on");
            let all: usize = it
                .client
                .log
                .iter()
                .filter(|frame| frame.kind == DATA)
                .map(|frame| frame.payload.len())
                .sum();
            assert_eq!(all, WINDOW);
            it.client.send(&[Frame::window_update(0, 1 << 20)]).await;
            it.client.serves(5).await
        }
    ),
    (
        section_6_9_1_a_client_beyond_its_window_is_a_flow_control_error,
        "DATA beyond the window that the gateway gave is an error FLOW_CONTROL_ERROR, of the stream or the connection.",
        asks(Either(FLOW_CONTROL_ERROR)),
        async |it: &mut Scene| {
            it.client
                .send(&[Frame::headers(END_HEADERS, 1, Block::post("/held"))])
                .await;
            let flood: Vec<_> = (0..512).map(|_| Frame::data(0, 1, vec![0; MAX_FRAME])).collect();
            it.client.send(&flood).await;
            it.client.outcome(1).await
        }
    ),
    (
        section_6_9_2_a_changed_initial_window_changes_open_streams,
        "A new SETTINGS_INITIAL_WINDOW_SIZE changes the windows of open streams by the difference.",
        asks(Harmless),
        async |it: &mut Scene| {
            it.client = Client::with_settings(it.address, &[NO_TABLE, (4, 10)]).await;
            it.client
                .send(&[Frame::headers(WHOLE, 1, Block::get("/big"))])
                .await;
            assert_eq!(it.client.find(|frame| frame.kind == DATA).await.payload.len(), 10);
            it.client.send(&[Frame::settings(&[(4, 15)])]).await;
            assert_eq!(it.client.find(|frame| frame.kind == DATA).await.payload.len(), 5);
            it.client.send(&[Frame::reset(1, CANCEL)]).await;
            it.client.serves(3).await
        }
    ),
    (
        section_6_9_2_a_window_may_become_negative,
        "A window can become negative; nothing is sent until updates have made it positive.",
        asks(Harmless),
        async |it: &mut Scene| {
            it.client = Client::with_settings(it.address, &[NO_TABLE, (4, 10)]).await;
            it.client
                .send(&[Frame::headers(WHOLE, 1, Block::get("/big"))])
                .await;
            assert_eq!(it.client.find(|frame| frame.kind == DATA).await.payload.len(), 10);
            // -6, then 0: nothing yet. Then 3.
            it.client
                .send(&[Frame::settings(&[(4, 4)]), Frame::window_update(1, 6)])
                .await;
            it.client.round_trip().await.expect("the connection goes on");
            it.client.round_trip().await.expect("the connection goes on");
            assert_eq!(it.client.count(DATA, 1), 1);
            it.client.send(&[Frame::window_update(1, 3)]).await;
            assert_eq!(it.client.find(|frame| frame.kind == DATA).await.payload.len(), 3);
            it.client.send(&[Frame::reset(1, CANCEL)]).await;
            it.client.serves(3).await
        }
    ),
    (
        section_6_9_2_settings_do_not_change_the_connections_window,
        "SETTINGS_INITIAL_WINDOW_SIZE does not change the connection's window.",
        asks(Harmless),
        async |it: &mut Scene| {
            it.client.send(&[Frame::settings(&[(4, 1 << 20)])]).await;
            it.client
                .send(&[Frame::headers(WHOLE, 1, Block::get("/big"))])
                .await;
            let mut got = 0;
            while got < WINDOW {
                got += it.client.find(|frame| frame.kind == DATA).await.payload.len();
            }
            it.client.send(&[Frame::settings(&[(4, 1 << 21)])]).await;
            it.client.round_trip().await.expect("the connection goes on");
            it.client.round_trip().await.expect("the connection goes on");
            let all: usize = it
                .client
                .log
                .iter()
                .filter(|frame| frame.kind == DATA)
                .map(|frame| frame.payload.len())
                .sum();
            assert_eq!(all, WINDOW);
            it.client.send(&[Frame::window_update(0, 1 << 20)]).await;
            it.client.serves(3).await
        }
    ),
    (
        section_6_9_2_a_setting_that_overflows_a_window_is_a_connection_error_flow_control_error,
        "A SETTINGS_INITIAL_WINDOW_SIZE that takes a window above 2^31-1 is a connection error FLOW_CONTROL_ERROR.",
        asks(Connection(FLOW_CONTROL_ERROR)),
        async |it: &mut Scene| {
            it.client
                .send(&[Frame::headers(END_HEADERS, 1, Block::post("/length"))])
                .await;
            it.client
                .send(&[
                    Frame::window_update(1, 1 << 30),
                    Frame::settings(&[(4, (1 << 31) - 1)]),
                ])
                .await;
            it.client.end().await
        }
    ),
    (
        section_6_10_continuation_on_stream_0_is_a_connection_error_protocol_error,
        "CONTINUATION on stream 0 is a connection error PROTOCOL_ERROR.",
        asks(Connection(PROTOCOL_ERROR)),
        async |it: &mut Scene| {
            it.client
                .send(&[
                    Frame::headers(END_STREAM, 1, Block::get("/refused")),
                    Frame::continuation(END_HEADERS, 0, []),
                ])
                .await;
            it.client.end().await
        }
    ),
    (
        section_6_10_continuation_of_another_stream_is_a_connection_error_protocol_error,
        "CONTINUATION of another stream than the HEADERS before is a connection error PROTOCOL_ERROR.",
        asks(Connection(PROTOCOL_ERROR)),
        async |it: &mut Scene| {
            it.client
                .send(&[
                    Frame::headers(END_STREAM, 1, Block::get("/refused")),
                    Frame::continuation(END_HEADERS, 3, []),
                ])
                .await;
            it.client.end().await
        }
    ),
    (
        section_6_10_continuation_without_headers_is_a_connection_error_protocol_error,
        "CONTINUATION that no HEADERS precedes is a connection error PROTOCOL_ERROR.",
        asks(Connection(PROTOCOL_ERROR)),
        async |it: &mut Scene| one(it, Frame::continuation(END_HEADERS, 1, Block::get("/refused"))).await
    ),
    (
        section_6_10_continuation_after_end_headers_is_a_connection_error_protocol_error,
        "CONTINUATION after END_HEADERS is a connection error PROTOCOL_ERROR.",
        asks(Connection(PROTOCOL_ERROR)),
        async |it: &mut Scene| on_open(
            it,
            Frame::continuation(END_HEADERS, 1, Block::new().field("x", "y"))
        )
        .await
    ),
    (
        section_6_10_continuation_after_the_last_continuation_is_a_connection_error_protocol_error,
        "CONTINUATION after one with END_HEADERS is a connection error PROTOCOL_ERROR.",
        asks(Connection(PROTOCOL_ERROR)),
        async |it: &mut Scene| {
            it.client
                .send(&[
                    Frame::headers(0, 1, Block::post("/length")),
                    Frame::continuation(END_HEADERS, 1, []),
                    Frame::continuation(END_HEADERS, 1, []),
                ])
                .await;
            it.client.end().await
        }
    ),
    (
        section_6_10_continuation_followed_by_data_is_a_connection_error_protocol_error,
        "CONTINUATION without END_HEADERS followed by another frame is a connection error PROTOCOL_ERROR.",
        asks(Connection(PROTOCOL_ERROR)),
        async |it: &mut Scene| {
            it.client
                .send(&[
                    Frame::headers(0, 1, Block::post("/refused")),
                    Frame::continuation(0, 1, []),
                    Frame::data(END_STREAM, 1, "x"),
                ])
                .await;
            it.client.end().await
        }
    ),
];
