//! Section 3: how a connection starts.

use crate::case::{asks, cases};
use crate::client::{Client, Outcome, PREFACE};
use crate::frame::*;
use crate::hpack::Block;
use crate::scene::Expected::{Answer, End, Harmless};
use crate::scene::{NO_TABLE, Scene};

/// Sends the preface and these frames in one piece on a new connection, and says what became of it.
async fn opening(it: &mut Scene, frames: &[Frame]) -> Outcome {
    it.client = Client::silent(it.address).await;
    let mut bytes = PREFACE.to_vec();
    bytes.extend(frames.iter().flat_map(Frame::bytes));
    it.client.bytes(&bytes).await;
    it.client.outcome(1).await
}

cases![
    (
        section_3_1_an_upgrade_from_http_1_to_h2c_is_not_taken,
        "An HTTP/1.1 request with `Upgrade: h2c` is not answered with 101: the way was removed from the protocol.",
        asks(Answer(200)),
        async |it: &mut Scene| {
            let mut plain = Client::silent(it.address).await;
            let request = "GET /next HTTP/1.1\r\nHost: api.test\r\nConnection: Upgrade, HTTP2-Settings, close\r\n\
                           Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n";
            plain.bytes(request.as_bytes()).await;
            let answer = String::from_utf8_lossy(&plain.rest().await).into_owned();
            let status = answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3));
            Outcome::Answer(status.expect("a status line").parse().expect("a status"))
        }
    ),
    (
        section_3_2_over_tls_alpn_chooses_h2,
        "HTTP/2 over TLS is agreed on by ALPN under the name `h2`.",
        asks(Harmless),
        async |it: &mut Scene| {
            let (client, agreed) = it.over_tls(&["h2", "http/1.1"]).await.expect("a handshake");
            assert_eq!(agreed.as_deref(), Some(&b"h2"[..]));
            it.client = client;
            it.client.greet(&[NO_TABLE]).await;
            it.client.serves(1).await
        }
    ),
    (
        section_3_2_over_tls_alpn_never_chooses_h2c,
        "`h2c` is not chosen by a server in ALPN.",
        asks(End),
        async |it: &mut Scene| match it.over_tls(&["h2c"]).await {
            Ok((mut client, agreed)) => {
                assert_ne!(agreed.as_deref(), Some(&b"h2c"[..]));
                client.bytes(PREFACE).await;
                client.end().await
            }
            Err(_) => Outcome::Closed,
        }
    ),
    (
        section_3_2_over_tls_the_server_sends_its_preface,
        "When TLS is agreed on, the server sends a connection preface.",
        asks(Harmless),
        async |it: &mut Scene| {
            let (client, _) = it.over_tls(&["h2"]).await.expect("a handshake");
            it.client = client;
            // Not a byte of HTTP/2 was sent by the client yet.
            let first = it.client.next().await.expect("a preface");
            assert_eq!((first.kind, first.flags, first.stream), (SETTINGS, 0, 0));
            it.client.look_again();
            it.client.greet(&[NO_TABLE]).await;
            it.client.serves(1).await
        }
    ),
    (
        section_3_3_with_prior_knowledge_the_server_sends_its_preface,
        "To a client that begins with the preface on a plain socket the server sends its own.",
        asks(Harmless),
        async |it: &mut Scene| {
            it.client = Client::silent(it.address).await;
            it.client.bytes(PREFACE).await;
            let first = it.client.next().await.expect("a preface");
            assert_eq!((first.kind, first.flags, first.stream), (SETTINGS, 0, 0));
            it.client
                .send(&[Frame::settings(&[NO_TABLE]), Frame::settings_ack()])
                .await;
            it.client.serves(1).await
        }
    ),
    (
        section_3_4_the_first_frame_from_the_server_is_settings,
        "The first frame that the server sends is SETTINGS, not an acknowledgement and not an answer.",
        asks(Harmless),
        async |it: &mut Scene| {
            let headers = Frame::headers(WHOLE, 1, Block::get("/next"));
            let outcome = opening(it, &[Frame::settings(&[NO_TABLE]), headers]).await;
            let first = &it.client.log[0];
            assert_eq!((first.kind, first.flags, first.stream), (SETTINGS, 0, 0));
            outcome
        }
    ),
    (
        section_3_4_the_settings_of_the_clients_preface_are_acknowledged,
        "The SETTINGS of the client's preface are acknowledged after the server's own were sent.",
        asks(Harmless),
        async |it: &mut Scene| {
            let mut client = Client::silent(it.address).await;
            client.bytes(PREFACE).await;
            client.send(&[Frame::settings(&[NO_TABLE])]).await;
            client
                .find(|frame| frame.kind == SETTINGS && frame.has(ACK))
                .await;
            assert_eq!(client.log[0].flags, 0, "its own first");
            it.client = client;
            it.client.serves(1).await
        }
    ),
    (
        section_3_4_frames_may_follow_the_preface_before_the_servers_has_come,
        "A client may send requests at once, without waiting for the server's preface.",
        asks(Harmless),
        async |it: &mut Scene| {
            let headers = Frame::headers(WHOLE, 1, Block::get("/next"));
            opening(it, &[Frame::settings(&[NO_TABLE]), headers]).await
        }
    ),
    (
        section_3_4_an_invalid_preface_ends_the_connection,
        "An invalid connection preface is a connection error PROTOCOL_ERROR; the GOAWAY may be left out.",
        asks(End),
        async |it: &mut Scene| {
            let (client, _) = it.over_tls(&["h2"]).await.expect("a handshake");
            it.client = client;
            it.client.bytes(b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n").await;
            it.client.send(&[Frame::settings(&[])]).await;
            it.client.end().await
        }
    ),
    (
        section_3_4_an_http_1_request_over_an_h2_agreement_ends_the_connection,
        "After ALPN agreed on `h2` anything but the preface is a connection error PROTOCOL_ERROR.",
        asks(End),
        async |it: &mut Scene| {
            let (client, _) = it.over_tls(&["h2"]).await.expect("a handshake");
            it.client = client;
            it.client
                .bytes(b"GET /refused HTTP/1.1\r\nHost: api.test\r\n\r\n")
                .await;
            it.client.end().await
        }
    ),
    (
        section_3_4_a_broken_preface_on_a_plain_socket_is_not_served,
        "A preface with a wrong end on a plain socket is no request of HTTP/1.1 either.",
        asks(End),
        async |it: &mut Scene| {
            let mut plain = Client::silent(it.address).await;
            plain.bytes(b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n").await;
            plain.finish().await;
            let rest = plain.rest().await;
            assert!(
                rest.is_empty() || rest.starts_with(b"HTTP/1.1 4"),
                "{}",
                String::from_utf8_lossy(&rest)
            );
            Outcome::Closed
        }
    ),
    (
        section_3_4_a_preface_is_followed_by_settings_first,
        "The client's preface is followed by SETTINGS; another frame first makes the preface invalid. The GOAWAY may be left out.",
        asks(End),
        async |it: &mut Scene| {
            opening(
                it,
                &[
                    Frame::headers(WHOLE, 1, Block::get("/refused")),
                    Frame::settings(&[NO_TABLE]),
                ],
            )
            .await
        }
    ),
    (
        section_3_4_an_acknowledgement_is_not_the_settings_of_a_preface,
        "An acknowledgement that comes first is no preface either: nothing was there to acknowledge.",
        asks(End),
        async |it: &mut Scene| {
            let (client, _) = it.over_tls(&["h2"]).await.expect("a handshake");
            it.client = client;
            it.client.bytes(PREFACE).await;
            it.client
                .send(&[Frame::settings_ack(), Frame::settings(&[NO_TABLE])])
                .await;
            it.client
                .send(&[Frame::headers(WHOLE, 1, Block::get("/refused"))])
                .await;
            it.client.outcome(1).await
        }
    ),
    (
        section_3_4_a_preface_may_come_in_pieces,
        "However the preface and its SETTINGS are cut into segments, they are one preface.",
        asks(Harmless),
        async |it: &mut Scene| {
            let (client, _) = it.over_tls(&["h2"]).await.expect("a handshake");
            it.client = client;
            let mut bytes = PREFACE.to_vec();
            bytes.extend(Frame::settings(&[NO_TABLE]).bytes());
            // Over TLS each piece is a record of its own.
            for piece in bytes.chunks(5) {
                it.client.bytes(piece).await;
            }
            it.client.serves(1).await
        }
    ),
];
