//! Section 4: frames, their sizes, field blocks.

use crate::case::{asks, cases, deviates};
use crate::client::{Client, Outcome};
use crate::frame::*;
use crate::hpack::{self, Block, Written};
use crate::scene::Expected::{Connection, Harmless};
use crate::scene::Scene;

/// Sends a block as a whole request on stream 1.
async fn block(it: &mut Scene, block: Block) -> Outcome {
    it.client.send(&[Frame::headers(WHOLE, 1, block)]).await;
    it.client.outcome(1).await
}

/// Begins a field block on stream 1 and goes on with `frame` instead of CONTINUATION.
async fn interleaved(it: &mut Scene, frame: Frame) -> Outcome {
    let rest = Frame::continuation(END_HEADERS, 1, Vec::new());
    it.client
        .send(&[Frame::headers(END_STREAM, 1, Block::get("/refused")), frame, rest])
        .await;
    it.client.end().await
}

/// What the library behind the gateway says where the RFC has a code of its own.
const COMPRESSION: &str = "COMPRESSION_ERROR; the connection ends, with the less specific code";
const FRAME_SIZE: &str = "FRAME_SIZE_ERROR; the connection ends, with the less specific code";

cases![
    (
        section_4_1_a_frame_of_unknown_type_is_ignored,
        "A frame of a type that is unknown is ignored and discarded, on the connection and on a stream.",
        asks(Harmless),
        async |it: &mut Scene| {
            it.client
                .send(&[
                    Frame::new(UNKNOWN, 0xff, 0, [0; 40]),
                    Frame::new(UNKNOWN, 0, 7, []),
                    Frame::headers(END_HEADERS, 1, Block::post("/length")),
                    Frame::new(UNKNOWN, WHOLE, 1, [7; 100]),
                    Frame::data(END_STREAM, 1, "abc"),
                ])
                .await;
            let answer = it.client.answer(1).await;
            assert_eq!(answer.body, b"3");
            Outcome::Answer(answer.status)
        }
    ),
    (
        section_4_1_flags_without_a_meaning_are_ignored,
        "Flags that a frame type does not define are ignored.",
        asks(Harmless),
        async |it: &mut Scene| {
            it.client
                .send(&[
                    Frame::new(SETTINGS, !ACK, 0, []),
                    Frame::new(WINDOW_UPDATE, 0xff, 0, 100_u32.to_be_bytes()),
                    Frame::headers(END_HEADERS | 0xd2, 1, Block::post("/length")),
                    Frame::data(END_STREAM | 0xf6, 1, "abc"),
                    Frame::new(PRIORITY, 0xff, 1, [0, 0, 0, 0, 1]),
                    Frame::new(PING, !ACK, 0, *b"whatever"),
                ])
                .await;
            let answer = it.client.answer(1).await;
            assert_eq!(answer.body, b"3");
            it.client.look_again();
            it.client
                .find(|frame| frame.kind == PING && frame.payload == b"whatever")
                .await;
            Outcome::Answer(answer.status)
        }
    ),
    (
        section_4_1_flags_without_a_meaning_are_left_unset,
        "Flags that a frame type does not define are not set in what the server sends.",
        asks(Harmless),
        async |it: &mut Scene| {
            it.client
                .send(&[
                    Frame::headers(WHOLE, 1, Block::get("/next")),
                    Frame::ping(*b"whatever"),
                ])
                .await;
            it.client.answer(1).await;
            let outcome = it.client.serves(3).await;
            for frame in &it.client.log {
                let defined = match frame.kind {
                    DATA => END_STREAM | PADDED,
                    HEADERS => END_STREAM | END_HEADERS | PADDED | WITH_PRIORITY,
                    SETTINGS | PING => ACK,
                    CONTINUATION => END_HEADERS,
                    _ => 0,
                };
                assert_eq!(frame.flags & !defined, 0, "{frame:?}");
            }
            outcome
        }
    ),
    (
        section_4_1_the_reserved_bit_is_ignored,
        "The reserved bit before the stream identifier is ignored.",
        asks(Harmless),
        async |it: &mut Scene| {
            it.client
                .send(&[
                    Frame::new(PING, 0, 1 << 31, *b"whatever"),
                    Frame::headers(END_HEADERS, 1 << 31 | 1, Block::post("/length")),
                    Frame::data(END_STREAM, 1 << 31 | 1, "abc"),
                ])
                .await;
            let answer = it.client.answer(1).await;
            assert_eq!(answer.body, b"3");
            Outcome::Answer(answer.status)
        }
    ),
    (
        section_4_1_the_reserved_bit_is_left_unset,
        "The reserved bit is unset in what the server sends.",
        asks(Harmless),
        async |it: &mut Scene| {
            let outcome = it.client.serves(1).await;
            assert!(it.client.log.iter().all(|frame| frame.stream >> 31 == 0));
            outcome
        }
    ),
    (
        section_4_2_a_payload_of_16384_bytes_is_taken,
        "Frames with a payload of up to 2^14 bytes are received.",
        asks(Harmless),
        async |it: &mut Scene| {
            it.client
                .send(&[
                    Frame::new(UNKNOWN, 0, 0, vec![1; MAX_FRAME]),
                    Frame::headers(END_HEADERS, 1, Block::post("/length")),
                    Frame::data(END_STREAM, 1, vec![1; MAX_FRAME]),
                ])
                .await;
            let answer = it.client.answer(1).await;
            assert_eq!(answer.body, b"16384");
            Outcome::Answer(answer.status)
        }
    ),
    (
        section_4_2_a_larger_data_frame_is_a_frame_size_error,
        "A frame larger than SETTINGS_MAX_FRAME_SIZE is an error FRAME_SIZE_ERROR, of the connection or the stream.",
        asks(Connection(FRAME_SIZE_ERROR)),
        async |it: &mut Scene| {
            it.client
                .send(&[
                    Frame::headers(END_HEADERS, 1, Block::post("/length")),
                    Frame::data(END_STREAM, 1, vec![1; MAX_FRAME + 1]),
                ])
                .await;
            it.client.outcome(1).await
        }
    ),
    (
        section_4_2_a_larger_headers_frame_is_a_connection_error_frame_size_error,
        "A frame with a field block that is too large is a connection error.",
        asks(Connection(FRAME_SIZE_ERROR)),
        async |it: &mut Scene| block(it, Block::get("/refused").field("x-long", "x".repeat(MAX_FRAME))).await
    ),
    (
        section_4_2_a_larger_settings_frame_is_a_connection_error_frame_size_error,
        "A SETTINGS frame that is too large is a connection error.",
        asks(Connection(FRAME_SIZE_ERROR)),
        async |it: &mut Scene| {
            it.client
                .send(&[Frame::settings(&vec![(0xbbbb, 0); MAX_FRAME / 6 + 1])])
                .await;
            it.client.end().await
        }
    ),
    (
        section_4_2_a_larger_frame_of_unknown_type_on_stream_0_is_a_connection_error_frame_size_error,
        "A frame on stream 0 that is too large is a connection error, whatever its type.",
        asks(Connection(FRAME_SIZE_ERROR)),
        async |it: &mut Scene| {
            it.client
                .send(&[Frame::new(UNKNOWN, 0, 0, vec![0; MAX_FRAME + 1])])
                .await;
            it.client.end().await
        }
    ),
    (
        section_4_2_a_headers_frame_too_short_for_its_priority_is_a_connection_error_frame_size_error,
        "A frame too small for what it must carry is FRAME_SIZE_ERROR; with a field block, of the connection.",
        deviates(Connection(PROTOCOL_ERROR), FRAME_SIZE),
        async |it: &mut Scene| {
            it.client
                .send(&[Frame::headers(WHOLE | WITH_PRIORITY, 1, [0; 4])])
                .await;
            it.client.end().await
        }
    ),
    (
        section_4_2_a_padded_headers_frame_without_a_pad_length_is_a_connection_error_frame_size_error,
        "A padded HEADERS frame without room for the pad length is a connection error FRAME_SIZE_ERROR.",
        deviates(Connection(PROTOCOL_ERROR), FRAME_SIZE),
        async |it: &mut Scene| {
            it.client.send(&[Frame::headers(WHOLE | PADDED, 1, [])]).await;
            it.client.end().await
        }
    ),
    (
        section_4_2_a_padded_data_frame_without_a_pad_length_is_a_frame_size_error,
        "A padded DATA frame without room for the pad length is an error FRAME_SIZE_ERROR.",
        deviates(Connection(PROTOCOL_ERROR), FRAME_SIZE),
        async |it: &mut Scene| {
            it.client
                .send(&[
                    Frame::headers(END_HEADERS, 1, Block::post("/length")),
                    Frame::data(END_STREAM | PADDED, 1, []),
                ])
                .await;
            it.client.outcome(1).await
        }
    ),
    (
        section_4_2_no_frame_larger_than_16384_bytes_is_sent_without_leave,
        "The server sends no frame larger than the client's SETTINGS_MAX_FRAME_SIZE, 2^14 at the start.",
        asks(Harmless),
        async |it: &mut Scene| {
            it.client
                .send(&[Frame::window_update(0, 1 << 20), Frame::settings(&[(4, 1 << 20)])])
                .await;
            it.client
                .send(&[Frame::headers(WHOLE, 1, Block::get("/big"))])
                .await;
            let answer = it.client.answer(1).await;
            assert_eq!(answer.body.len(), crate::backend::BIG);
            assert!(it.client.log.iter().all(|frame| frame.payload.len() <= MAX_FRAME));
            Outcome::Answer(answer.status)
        }
    ),
    (
        section_4_3_an_index_of_0_is_a_connection_error_compression_error,
        "A decoding error in a field block is a connection error COMPRESSION_ERROR: index 0 (RFC 7541 section 6.1).",
        deviates(Connection(PROTOCOL_ERROR), COMPRESSION),
        async |it: &mut Scene| block(it, Block::get("/refused").indexed(0)).await
    ),
    (
        section_4_3_an_index_beyond_the_tables_is_a_connection_error_compression_error,
        "The same for an index beyond both tables (RFC 7541 section 2.3.3).",
        deviates(Connection(PROTOCOL_ERROR), COMPRESSION),
        async |it: &mut Scene| block(it, Block::get("/refused").indexed(62)).await
    ),
    (
        section_4_3_an_integer_without_bounds_is_a_connection_error_compression_error,
        "The same for an integer that is too long (RFC 7541 section 5.1).",
        deviates(Connection(PROTOCOL_ERROR), COMPRESSION),
        async |it: &mut Scene| block(it, Block::get("/refused").raw(&[0xff; 12]).raw(&[0x7f])).await
    ),
    (
        section_4_3_a_string_beyond_the_block_is_a_connection_error_compression_error,
        "The same for a string that is longer than its block.",
        deviates(Connection(PROTOCOL_ERROR), COMPRESSION),
        async |it: &mut Scene| block(it, Block::get("/refused").raw(&[0, 5, b'x'])).await
    ),
    (
        section_4_3_huffman_padding_of_a_byte_is_a_connection_error_compression_error,
        "The same for Huffman padding longer than 7 bits (RFC 7541 section 5.2).",
        deviates(Connection(PROTOCOL_ERROR), COMPRESSION),
        async |it: &mut Scene| block(it, Block::get("/refused").raw(&[0, 1, b'x', 0x82, 0x07, 0xff])).await
    ),
    (
        section_4_3_huffman_padding_with_zeros_is_a_connection_error_compression_error,
        "The same for Huffman padding that is not the beginning of EOS (RFC 7541 section 5.2).",
        deviates(Connection(PROTOCOL_ERROR), COMPRESSION),
        async |it: &mut Scene| block(it, Block::get("/refused").raw(&[0, 1, b'x', 0x81, 0x00])).await
    ),
    (
        section_4_3_huffman_eos_in_a_string_is_a_connection_error_compression_error,
        "The same for EOS in a Huffman string (RFC 7541 section 5.2).",
        deviates(Connection(PROTOCOL_ERROR), COMPRESSION),
        async |it: &mut Scene| {
            block(
                it,
                Block::get("/refused").raw(&[0, 1, b'x', 0x84, 0xff, 0xff, 0xff, 0xff]),
            )
            .await
        }
    ),
    (
        section_4_3_a_table_size_above_the_limit_is_a_connection_error_compression_error,
        "The same for a dynamic table made larger than allowed (RFC 7541 section 6.3).",
        deviates(Connection(PROTOCOL_ERROR), COMPRESSION),
        async |it: &mut Scene| {
            // 4097: one more than the initial SETTINGS_HEADER_TABLE_SIZE.
            let update = Block::new().raw(&[0x3f, 0xe2, 0x1f]);
            block(it, update.raw(&Vec::from(Block::get("/refused")))).await
        }
    ),
    (
        section_4_3_a_table_size_after_a_field_is_a_connection_error_compression_error,
        "The same for a change of the table's size that is not at the beginning (RFC 7541 section 4.2).",
        deviates(Connection(PROTOCOL_ERROR), COMPRESSION),
        async |it: &mut Scene| block(it, Block::get("/refused").raw(&[0x20])).await
    ),
    (
        section_4_3_a_field_block_is_put_together_from_its_fragments,
        "A field block in fragments is concatenated, then decompressed: here one byte each, an empty one among them.",
        asks(Harmless),
        async |it: &mut Scene| {
            let whole: Vec<u8> = Block::get("/next").into();
            // Five CONTINUATION frames are as many as the gateway takes for a small block (CVE-2024-27919).
            let (first, rest) = whole.split_at(3);
            let (second, third) = rest.split_at(9);
            it.client
                .send(&[
                    Frame::headers(END_STREAM, 1, first),
                    Frame::continuation(0, 1, []),
                    Frame::continuation(0, 1, second),
                    Frame::continuation(END_HEADERS, 1, third),
                ])
                .await;
            it.client.outcome(1).await
        }
    ),
    (
        section_4_3_the_table_outlives_a_refused_request,
        "Field blocks of messages that are discarded change the dynamic table all the same.",
        asks(Harmless),
        async |it: &mut Scene| {
            // Malformed, but its entry 62 counts.
            let refused = Block::get("/refused")
                .remembered("x-kept", "yes")
                .field("connection", "close");
            it.client.send(&[Frame::headers(WHOLE, 1, refused)]).await;
            assert_eq!(it.client.outcome(1).await, Outcome::Stream(PROTOCOL_ERROR));
            it.client
                .send(&[Frame::headers(WHOLE, 3, Block::get("/kept").indexed(62))])
                .await;
            let outcome = it.client.outcome(3).await;
            assert_eq!(it.backend.request("/kept").await.headers["x-kept"], "yes");
            outcome
        }
    ),
    (
        section_4_3_the_table_outlives_a_refused_stream,
        "Field blocks of streams beyond the limit change the dynamic table all the same.",
        asks(Harmless),
        async |it: &mut Scene| {
            let held: Vec<_> = (0..100)
                .map(|n| Frame::headers(WHOLE, n * 2 + 1, Block::get("/held")))
                .collect();
            it.client.send(&held).await;
            let beyond = Block::get("/refused").remembered("x-kept", "yes");
            it.client.send(&[Frame::headers(WHOLE, 201, beyond)]).await;
            assert!(matches!(it.client.outcome(201).await, Outcome::Stream(_)));
            it.backend.release(100);
            it.client
                .find(|frame| frame.kind == DATA && frame.has(END_STREAM))
                .await;
            it.client
                .send(&[Frame::headers(WHOLE, 203, Block::get("/kept").indexed(62))])
                .await;
            let outcome = it.client.outcome(203).await;
            assert_eq!(it.backend.request("/kept").await.headers["x-kept"], "yes");
            outcome
        }
    ),
    (
        section_4_3_a_ping_within_a_field_block_is_a_connection_error_protocol_error,
        "A field block is a contiguous run of frames: no frame of another type comes between.",
        asks(Connection(PROTOCOL_ERROR)),
        async |it: &mut Scene| interleaved(it, Frame::ping([0; 8])).await
    ),
    (
        section_4_3_headers_of_another_stream_within_a_field_block_is_a_connection_error_protocol_error,
        "A field block is a contiguous run of frames: no frame of another stream comes between.",
        asks(Connection(PROTOCOL_ERROR)),
        async |it: &mut Scene| interleaved(it, Frame::headers(WHOLE, 3, Block::get("/refused"))).await
    ),
    (
        section_4_3_1_the_answers_keep_to_the_clients_table_size,
        "The encoder uses no larger dynamic table than the client's SETTINGS_HEADER_TABLE_SIZE allows, and says so first.",
        asks(Harmless),
        async |it: &mut Scene| {
            it.client = Client::with_settings(it.address, &[(1, 0)]).await;
            for stream in [1, 3, 5] {
                assert_eq!(it.client.serves(stream).await, Outcome::Answer(200));
            }
            let blocks: Vec<_> = it
                .client
                .log
                .iter()
                .filter(|frame| frame.kind == HEADERS)
                .collect();
            let entries: Vec<_> = blocks.iter().map(|frame| hpack::read(&frame.payload)).collect();
            assert_eq!(
                entries[0][0],
                Written::Size(0),
                "the change is the first thing in the first block"
            );
            for entry in entries.iter().flatten() {
                assert!(
                    !matches!(entry, Written::Indexed(62..)),
                    "an entry of an empty table: {entry:?}"
                );
                assert!(
                    !matches!(entry, Written::Literal { name: 62.., .. }),
                    "a name of an empty table: {entry:?}"
                );
            }
            it.client.serves(7).await
        }
    ),
];
