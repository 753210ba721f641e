//! HTTP/2 written byte by byte, for what a well-behaved client cannot send.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::client::PATIENCE;

/// One HTTP/2 frame (RFC 9113 section 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A field that is not indexed, without Huffman coding (RFC 7541 section 6.2.2).
fn field(name: &str, value: &str) -> Vec<u8> {
    let mut bytes = vec![0];
    for text in [name, value] {
        match u8::try_from(text.len()).unwrap_or(u8::MAX) {
            short @ 0..127 => bytes.push(short),
            _ => {
                bytes.push(127);
                let mut rest = text.len() - 127;
                while rest >= 128 {
                    bytes.push(u8::try_from(rest % 128).unwrap() | 128);
                    rest /= 128;
                }
                bytes.push(u8::try_from(rest).unwrap());
            }
        }
        bytes.extend(text.as_bytes());
    }
    bytes
}

/// One request over HTTP/2, written byte by byte; true if its stream was answered with 200.
pub async fn over_http2(address: SocketAddr, head: &[(&str, &str)], trailers: &[(&str, &str)]) -> bool {
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(4, 0, 0, &[]));
    let block: Vec<u8> = head.iter().flat_map(|(name, value)| field(name, value)).collect();
    if trailers.is_empty() {
        bytes.extend(frame(1, 0x5, 1, &block));
    } else {
        bytes.extend(frame(1, 0x4, 1, &block));
        bytes.extend(frame(0, 0, 1, b"abc"));
        let block: Vec<u8> = trailers
            .iter()
            .flat_map(|(name, value)| field(name, value))
            .collect();
        bytes.extend(frame(1, 0x5, 1, &block));
    }
    let mut stream = tokio::net::TcpStream::connect(address)
        .await
        .expect("a connection");
    stream.write_all(&bytes).await.expect("to write");
    let answered = async {
        let mut ok = false;
        loop {
            let mut head = [0; 9];
            if stream.read_exact(&mut head).await.is_err() {
                return ok;
            }
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; usize::try_from(length).unwrap()];
            if stream.read_exact(&mut payload).await.is_err() {
                return ok;
            }
            let on_stream = head[5..9] == [0, 0, 0, 1];
            match head[3] {
                // `:status 200` is entry 8 of the static table.
                1 if on_stream => ok |= payload.first() == Some(&0x88),
                3 if on_stream => return false,
                7 => return ok,
                _ => {}
            }
            if on_stream && matches!(head[3], 0 | 1) && head[4] & 1 == 1 {
                return ok;
            }
        }
    };
    tokio::time::timeout(PATIENCE, answered)
        .await
        .expect("an end of the stream")
}
