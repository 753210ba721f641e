//! Section 5: streams, their states, windows, errors.

use crate::case::{asks, cases, deviates};
use crate::client::{Client, Outcome};
use crate::frame::*;
use crate::hpack::Block;
use crate::scene::Expected::{Connection, Harmless, Stream};
use crate::scene::{NO_TABLE, Scene};

/// A request on `stream` that waits at the backend: the stream is half-closed (remote).
async fn held(it: &mut Scene, stream: u32) {
    it.client
        .send(&[Frame::headers(WHOLE, stream, Block::get("/held"))])
        .await;
    it.backend.arrivals(1).await;
}

/// A request on stream 1 that was answered: the stream is closed.
async fn closed(it: &mut Scene) {
    it.client
        .send(&[Frame::headers(WHOLE, 1, Block::get("/next"))])
        .await;
    assert_eq!(it.client.answer(1).await.status, 200);
}

/// A stream 1 that the gateway has reset, for a malformed request whose body was still to come.
async fn reset_by_the_gateway(it: &mut Scene) {
    it.client
        .send(&[Frame::headers(
            END_HEADERS,
            1,
            Block::post("/refused").field("connection", "close"),
        )])
        .await;
    assert_eq!(it.client.outcome(1).await, Outcome::Stream(PROTOCOL_ERROR));
}

/// A stream 1 that was begun, with its body to come, and reset by the client.
async fn reset_by_the_client(it: &mut Scene) {
    it.client
        .send(&[
            Frame::headers(END_HEADERS, 1, Block::post("/length")),
            Frame::reset(1, CANCEL),
        ])
        .await;
    it.client.round_trip().await.expect("the connection goes on");
}

const STREAM: &str =
    "a stream error STREAM_CLOSED, which may be made a connection error (5.4.1); the code is less specific";

cases![
    (
        section_5_1_data_on_an_idle_stream_is_a_connection_error_protocol_error,
        "On an idle stream anything but HEADERS and PRIORITY is a connection error PROTOCOL_ERROR: DATA.",
        asks(Connection(PROTOCOL_ERROR)),
        async |it: &mut Scene| {
            it.client.send(&[Frame::data(END_STREAM, 1, "x")]).await;
            it.client.end().await
        }
    ),
    (
        section_5_1_rst_stream_on_an_idle_stream_is_a_connection_error_protocol_error,
        "On an idle stream: RST_STREAM.",
        asks(Connection(PROTOCOL_ERROR)),
        async |it: &mut Scene| {
            it.client.send(&[Frame::reset(1, CANCEL)]).await;
            it.client.end().await
        }
    ),
    (
        section_5_1_window_update_on_an_idle_stream_is_a_connection_error_protocol_error,
        "On an idle stream: WINDOW_UPDATE.",
        asks(Connection(PROTOCOL_ERROR)),
        async |it: &mut Scene| {
            it.client.send(&[Frame::window_update(1, 100)]).await;
            it.client.end().await
        }
    ),
    (
        section_5_1_priority_is_taken_in_every_state,
        "PRIORITY may come on a stream that is idle, open, half-closed or closed.",
        asks(Harmless),
        async |it: &mut Scene| {
            it.client
                .send(&[Frame::priority(1, 0), Frame::priority(9, 7)])
                .await;
            it.client
                .send(&[
                    Frame::headers(END_HEADERS, 1, Block::post("/length")),
                    Frame::priority(1, 0),
                    Frame::data(END_STREAM, 1, "abc"),
                    Frame::priority(1, 3),
                ])
                .await;
            assert_eq!(it.client.answer(1).await.body, b"3");
            it.client.send(&[Frame::priority(1, 0)]).await;
            it.client.serves(3).await
        }
    ),
    (
        section_5_1_data_on_a_half_closed_stream_is_a_stream_error_stream_closed,
        "After END_STREAM anything but WINDOW_UPDATE, PRIORITY and RST_STREAM is a stream error STREAM_CLOSED: DATA.",
        deviates(Connection(PROTOCOL_ERROR), STREAM),
        async |it: &mut Scene| {
            held(it, 1).await;
            it.client.send(&[Frame::data(END_STREAM, 1, "x")]).await;
            it.client.outcome(1).await
        }
    ),
    (
        section_5_1_headers_on_a_half_closed_stream_is_a_stream_error_stream_closed,
        "After END_STREAM: HEADERS.",
        deviates(Connection(PROTOCOL_ERROR), STREAM),
        async |it: &mut Scene| {
            held(it, 1).await;
            it.client
                .send(&[Frame::headers(WHOLE, 1, Block::new().field("x-late", "1"))])
                .await;
            it.client.outcome(1).await
        }
    ),
    (
        section_5_1_window_update_on_a_half_closed_stream_is_taken,
        "After END_STREAM WINDOW_UPDATE and PRIORITY are taken, and the answer still comes.",
        asks(Harmless),
        async |it: &mut Scene| {
            held(it, 1).await;
            it.client
                .send(&[Frame::window_update(1, 100), Frame::priority(1, 0)])
                .await;
            it.backend.release(1);
            it.client.outcome(1).await
        }
    ),
    (
        section_5_1_rst_stream_on_a_half_closed_stream_is_taken,
        "After END_STREAM RST_STREAM is taken: nothing more is sent on the stream.",
        asks(Harmless),
        async |it: &mut Scene| {
            held(it, 1).await;
            it.client.send(&[Frame::reset(1, CANCEL)]).await;
            it.client.round_trip().await.expect("the connection goes on");
            it.backend.release(1);
            let outcome = it.client.serves(3).await;
            assert_eq!(it.client.log.iter().filter(|frame| frame.stream == 1).count(), 0);
            outcome
        }
    ),
    (
        section_5_1_data_on_a_closed_stream_ends_stream_or_connection_with_stream_closed,
        "On a stream that both sides have ended: DATA is an error STREAM_CLOSED, of the stream or the connection.",
        asks(Stream(STREAM_CLOSED)),
        async |it: &mut Scene| {
            closed(it).await;
            it.client.send(&[Frame::data(END_STREAM, 1, "x")]).await;
            it.client.outcome(1).await
        }
    ),
    (
        section_5_1_headers_on_a_closed_stream_is_a_connection_error,
        "On a stream that both sides have ended: HEADERS is a connection error (STREAM_CLOSED, or PROTOCOL_ERROR for the identifier).",
        asks(Connection(PROTOCOL_ERROR)),
        async |it: &mut Scene| {
            closed(it).await;
            it.client
                .send(&[Frame::headers(WHOLE, 1, Block::get("/refused"))])
                .await;
            it.client.outcome(1).await
        }
    ),
    (
        section_5_1_window_update_and_rst_stream_on_a_closed_stream_are_ignored,
        "WINDOW_UPDATE and RST_STREAM that crossed the end of the answer are ignored.",
        asks(Harmless),
        async |it: &mut Scene| {
            closed(it).await;
            it.client
                .send(&[Frame::window_update(1, 100), Frame::reset(1, CANCEL)])
                .await;
            it.client.serves(3).await
        }
    ),
    (
        section_5_1_data_after_the_clients_reset_is_an_error_stream_closed,
        "On a stream that the client has reset: DATA is an error STREAM_CLOSED, of the stream or the connection.",
        asks(Stream(STREAM_CLOSED)),
        async |it: &mut Scene| {
            reset_by_the_client(it).await;
            it.client.send(&[Frame::data(END_STREAM, 1, "x")]).await;
            it.client.outcome(1).await
        }
    ),
    (
        section_5_1_headers_after_the_clients_reset_is_a_connection_error,
        "On a stream that the client has reset: HEADERS is a connection error (for the identifier, 5.1.1, or STREAM_CLOSED).",
        asks(Connection(PROTOCOL_ERROR)),
        async |it: &mut Scene| {
            reset_by_the_client(it).await;
            it.client
                .send(&[Frame::headers(WHOLE, 1, Block::new().field("x-late", "1"))])
                .await;
            it.client.outcome(1).await
        }
    ),
    (
        section_5_1_frames_that_crossed_the_gateways_reset_are_ignored,
        "Frames that were under way when the gateway reset the stream are processed minimally and discarded.",
        asks(Harmless),
        async |it: &mut Scene| {
            // All in one piece: the client cannot know of the reset yet.
            it.client
                .send(&[
                    Frame::headers(
                        END_HEADERS,
                        1,
                        Block::post("/refused").field("connection", "close"),
                    ),
                    Frame::window_update(1, 100),
                    Frame::priority(1, 0),
                    Frame::data(0, 1, "abc"),
                    Frame::headers(WHOLE, 1, Block::new().remembered("x-trailer", "1")),
                ])
                .await;
            assert_eq!(it.client.outcome(1).await, Outcome::Stream(PROTOCOL_ERROR));
            it.client.serves(3).await
        }
    ),
    (
        section_5_1_data_that_crossed_the_gateways_reset_counts_for_the_connection,
        "DATA that is discarded counts toward the connection's window, which the gateway opens again.",
        asks(Harmless),
        async |it: &mut Scene| {
            reset_by_the_gateway(it).await;
            // More than the connection's window of 1 MiB in all, each only after there is room.
            it.client.pour(1, 192).await;
            it.client.serves(3).await
        }
    ),
    (
        section_5_1_1_an_even_stream_id_is_a_connection_error_protocol_error,
        "Streams of a client have odd identifiers.",
        asks(Connection(PROTOCOL_ERROR)),
        async |it: &mut Scene| {
            it.client
                .send(&[Frame::headers(WHOLE, 2, Block::get("/refused"))])
                .await;
            it.client.end().await
        }
    ),
    (
        section_5_1_1_a_stream_id_that_goes_down_is_a_connection_error_protocol_error,
        "The identifier of a new stream is greater than those of all streams before.",
        asks(Connection(PROTOCOL_ERROR)),
        async |it: &mut Scene| {
            it.client
                .send(&[Frame::headers(WHOLE, 5, Block::get("/next"))])
                .await;
            it.client.answer(5).await;
            it.client
                .send(&[Frame::headers(WHOLE, 3, Block::get("/refused"))])
                .await;
            it.client.outcome(3).await
        }
    ),
    (
        section_5_1_1_a_skipped_stream_id_is_a_closed_stream,
        "A stream with a lower identifier than one in use is closed: DATA on it is an error.",
        asks(Stream(STREAM_CLOSED)),
        async |it: &mut Scene| {
            it.client
                .send(&[Frame::headers(WHOLE, 5, Block::get("/next"))])
                .await;
            it.client.answer(5).await;
            it.client.send(&[Frame::data(END_STREAM, 3, "x")]).await;
            it.client.outcome(3).await
        }
    ),
    (
        section_5_1_1_skipping_stream_ids_is_allowed,
        "A client may skip identifiers, up to the largest there is.",
        asks(Harmless),
        async |it: &mut Scene| {
            assert_eq!(it.client.serves(101).await, Outcome::Answer(200));
            it.client.serves((1 << 31) - 1).await
        }
    ),
    (
        section_5_1_2_a_stream_beyond_the_limit_is_refused,
        "A stream beyond SETTINGS_MAX_CONCURRENT_STREAMS is a stream error PROTOCOL_ERROR or REFUSED_STREAM.",
        asks(Stream(REFUSED_STREAM)),
        async |it: &mut Scene| {
            let limit = it.client.log[0]
                .payload
                .chunks(6)
                .find(|entry| entry[..2] == [0, 3])
                .expect("the limit");
            assert_eq!(limit[2..], 100_u32.to_be_bytes());
            let held: Vec<_> = (0..100)
                .map(|n| Frame::headers(WHOLE, n * 2 + 1, Block::get("/held")))
                .collect();
            it.client.send(&held).await;
            it.client
                .send(&[Frame::headers(WHOLE, 201, Block::get("/refused"))])
                .await;
            it.client.outcome(201).await
        }
    ),
    (
        section_5_1_2_a_stream_that_ended_makes_room_for_another,
        "Only streams that are open or half-closed count.",
        asks(Harmless),
        async |it: &mut Scene| {
            for stream in 0..150 {
                assert_eq!(it.client.serves(stream * 2 + 1).await, Outcome::Answer(200));
            }
            it.client.serves(999).await
        }
    ),
    (
        section_5_2_1_no_more_is_sent_than_the_windows_allow,
        "A sender respects the receiver's limits: without an update no more than 65,535 bytes come.",
        asks(Harmless),
        async |it: &mut Scene| {
            it.client
                .send(&[Frame::headers(WHOLE, 1, Block::get("/big"))])
                .await;
            let mut got = 0;
            while got < WINDOW {
                got += it.client.find(|frame| frame.kind == DATA).await.payload.len();
            }
            assert_eq!(got, WINDOW);
            // Two round trips and a whole answer without a byte of body later there is still no more.
            it.client.round_trip().await.expect("the connection goes on");
            let head = Block::new()
                .indexed(6)
                .field(":method", "HEAD")
                .field(":path", "/next");
            it.client
                .send(&[Frame::headers(WHOLE, 3, head.field(":authority", "api.test"))])
                .await;
            let outcome = it.client.outcome(3).await;
            it.client.round_trip().await.expect("the connection goes on");
            let all: usize = it
                .client
                .log
                .iter()
                .filter(|frame| frame.kind == DATA)
                .map(|frame| frame.payload.len())
                .sum();
            assert_eq!(all, WINDOW);
            outcome
        }
    ),
    (
        section_5_2_1_only_data_is_held_back_by_windows,
        "Frames other than DATA are not subject to flow control: an answer's head comes with a window of 0.",
        asks(Harmless),
        async |it: &mut Scene| {
            it.client = Client::with_settings(it.address, &[NO_TABLE, (4, 0)]).await;
            let outcome = it.client.serves(1).await;
            it.client.round_trip().await.expect("the connection goes on");
            assert_eq!(it.client.count(DATA, 1), 0);
            outcome
        }
    ),
    (
        section_5_2_2_a_receiver_reads_on_while_its_sender_is_held_back,
        "Frames are read and acted on while the windows are shut, or WINDOW_UPDATE would never be seen.",
        asks(Harmless),
        async |it: &mut Scene| {
            it.client = Client::with_settings(it.address, &[NO_TABLE, (4, 0)]).await;
            it.client
                .send(&[Frame::headers(WHOLE, 1, Block::get("/big"))])
                .await;
            assert_eq!(it.client.outcome(1).await, Outcome::Answer(200));
            it.client
                .send(&[Frame::window_update(1, 1 << 20), Frame::window_update(0, 1 << 20)])
                .await;
            it.client.look_again();
            let answer = it.client.answer(1).await;
            assert_eq!(answer.body.len(), crate::backend::BIG);
            Outcome::Answer(answer.status)
        }
    ),
    (
        section_5_3_2_priority_in_headers_changes_nothing,
        "The deprecated priority fields are read and need no action.",
        asks(Harmless),
        async |it: &mut Scene| {
            let block = Block::new()
                .raw(&[0x80, 0, 0, 0, 255])
                .raw(&Vec::from(Block::get("/next")));
            it.client
                .send(&[Frame::headers(WHOLE | WITH_PRIORITY, 1, block)])
                .await;
            it.client.outcome(1).await
        }
    ),
    (
        section_5_3_2_a_stream_that_depends_on_itself_is_a_stream_error_protocol_error,
        "RFC 7540 made a stream's dependency on itself a stream error; RFC 9113 is silent, so either is right.",
        asks(Stream(PROTOCOL_ERROR)),
        async |it: &mut Scene| {
            let block = Block::new()
                .raw(&[0, 0, 0, 1, 15])
                .raw(&Vec::from(Block::get("/refused")));
            it.client
                .send(&[Frame::headers(WHOLE | WITH_PRIORITY, 1, block)])
                .await;
            it.client.outcome(1).await
        }
    ),
    (
        section_5_4_1_after_a_connection_error_the_connection_is_closed,
        "After GOAWAY for an error the TCP connection is closed; the GOAWAY names the last stream that was taken.",
        asks(Connection(PROTOCOL_ERROR)),
        async |it: &mut Scene| {
            assert_eq!(it.client.serves(1).await, Outcome::Answer(200));
            assert_eq!(it.client.serves(7).await, Outcome::Answer(200));
            it.client.send(&[Frame::data(0, 0, "x")]).await;
            // Waits until the connection is closed.
            let outcome = it.client.end().await;
            if let Some(goaway) = it.client.log.iter().find(|frame| frame.kind == GOAWAY) {
                assert_eq!(goaway.word(0), 7);
            }
            outcome
        }
    ),
    (
        section_5_4_2_a_stream_error_leaves_other_streams_alone,
        "An error of one stream does not affect the processing of others.",
        asks(Harmless),
        async |it: &mut Scene| {
            held(it, 1).await;
            it.client
                .send(&[Frame::headers(
                    WHOLE,
                    3,
                    Block::get("/refused").field("connection", "close"),
                )])
                .await;
            assert_eq!(it.client.outcome(3).await, Outcome::Stream(PROTOCOL_ERROR));
            it.backend.release(1);
            it.client.outcome(1).await
        }
    ),
    (
        section_5_4_2_rst_stream_is_not_answered_with_rst_stream,
        "A RST_STREAM is never sent in response to a RST_STREAM.",
        asks(Harmless),
        async |it: &mut Scene| {
            reset_by_the_client(it).await;
            it.client
                .send(&[Frame::reset(1, CANCEL), Frame::reset(1, PROTOCOL_ERROR)])
                .await;
            let outcome = it.client.serves(3).await;
            assert_eq!(it.client.count(RST_STREAM, 1), 0);
            outcome
        }
    ),
    (
        section_5_4_2_rst_stream_is_the_last_frame_of_a_stream,
        "After the gateway's RST_STREAM it sends nothing more on the stream, whatever comes.",
        asks(Harmless),
        async |it: &mut Scene| {
            reset_by_the_gateway(it).await;
            it.client.send(&[Frame::reset(1, CANCEL)]).await;
            let outcome = it.client.serves(3).await;
            assert_eq!(it.client.log.iter().filter(|frame| frame.stream == 1).count(), 1);
            outcome
        }
    ),
    (
        section_5_5_unknown_values_of_extensible_elements_are_ignored,
        "Unknown settings, frame types and error codes are ignored.",
        asks(Harmless),
        async |it: &mut Scene| {
            it.client
                .send(&[
                    Frame::settings(&[(0xbbbb, u32::MAX), (0, 1), (9, 9)]),
                    Frame::new(UNKNOWN, 0, 0, [1, 2, 3]),
                    Frame::headers(END_HEADERS, 1, Block::post("/length")),
                    Frame::reset(1, Code(0xdead_beef)),
                ])
                .await;
            it.client.serves(3).await
        }
    ),
    (
        section_5_5_an_extension_frame_within_a_field_block_is_a_connection_error_protocol_error,
        "A frame of unknown type in the middle of a field block is a connection error PROTOCOL_ERROR.",
        asks(Connection(PROTOCOL_ERROR)),
        async |it: &mut Scene| {
            it.client
                .send(&[
                    Frame::headers(END_STREAM, 1, Block::get("/refused")),
                    Frame::new(UNKNOWN, 0, 0, []),
                    Frame::continuation(END_HEADERS, 1, []),
                ])
                .await;
            it.client.end().await
        }
    ),
];
