//! Cheap frames in great numbers: the memory of the program stays within a bound, and a good client on a connection of
//! its own is answered meanwhile (CVE-2023-44487, CVE-2025-8671, CVE-2024-27919, CVE-2019-9511 to 9518, CVE-2026-105297).

use std::future::Future;
use std::time::Duration;

use crate::backend::Backend;
use crate::client::{Client, Outcome, PREFACE};
use crate::frame::*;
use crate::hpack::Block;
use crate::process::Process;
use crate::scene::NO_TABLE;

/// What a flood may cost: more than one connection's buffers, far less than what it sends.
const MEMORY: usize = 48 << 20;
/// Requests of the good client during a flood.
const GOOD: u32 = 200;
/// When a flood is given up.
const GUARD: Duration = Duration::from_secs(60);

/// Lets `attack` run while a good client asks, and looks at the program's memory after each answer. The attack goes on
/// until the good client is done; one that ends earlier was stopped by the gateway.
async fn under(attack: impl AsyncFn(&Process, &Backend)) {
    let backend = Backend::start().await;
    let process = Process::start(backend.address);
    let good = async {
        let mut client = Client::with_settings(process.address, &[NO_TABLE]).await;
        // The first answers warm what stays warm: buffers, connections to the backend.
        for n in 0..20 {
            assert_eq!(client.serves(n * 2 + 1).await, Outcome::Answer(200));
        }
        let before = process.memory();
        for n in 20..20 + GOOD {
            assert_eq!(
                client.serves(n * 2 + 1).await,
                Outcome::Answer(200),
                "the good client"
            );
            let grown = process.memory().saturating_sub(before);
            assert!(grown < MEMORY, "{grown} bytes more than before, at answer {n}");
        }
    };
    let attack = attack(&process, &backend);
    tokio::time::timeout(GUARD, both(attack, good))
        .await
        .expect("the good client to be answered");
    // Whatever the flood left behind: a new connection is served.
    let mut late = Client::with_settings(process.address, &[NO_TABLE]).await;
    assert_eq!(late.serves(1).await, Outcome::Answer(200));
}

/// Waits for `good`, and polls `attack` until then; for both when the attack has an end of its own.
async fn both(attack: impl Future<Output = ()>, good: impl Future<Output = ()>) {
    let (mut attack, mut good) = (std::pin::pin!(attack), std::pin::pin!(good));
    tokio::select! {
        () = &mut attack => good.await,
        () = &mut good => {}
    }
}

/// Sends these frames again and again, reading nothing, until the gateway closes.
async fn forever(process: &Process, mut frames: impl FnMut(u32) -> Vec<Frame>) {
    let mut client = Client::silent(process.address).await;
    client.bytes(PREFACE).await;
    client.send(&[Frame::settings(&[])]).await;
    for round in 0.. {
        let bytes: Vec<u8> = frames(round).iter().flat_map(Frame::bytes).collect();
        if client.push(&bytes).await.is_err() {
            return;
        }
    }
}

/// What became of an attack that is read to its end.
async fn verdict(process: &Process, frames: impl FnMut(u32) -> Vec<Frame>, rounds: u32) -> Outcome {
    let mut client = Client::with_settings(process.address, &[NO_TABLE]).await;
    let bytes: Vec<u8> = (0..rounds)
        .flat_map(frames)
        .flat_map(|frame| frame.bytes())
        .collect();
    let _ = client.push(&bytes).await;
    client.end().await
}

fn is_calmed(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Connection(ENHANCE_YOUR_CALM) | Outcome::Closed)
}

#[tokio::test]
async fn flood_of_resets_before_the_answer_ends_the_connection() {
    let pair = |n: u32| {
        let stream = n * 2 + 1;
        vec![
            Frame::headers(WHOLE, stream, Block::get("/held")),
            Frame::reset(stream, CANCEL),
        ]
    };
    under(async |process, backend| {
        let outcome = verdict(process, pair, 10_000).await;
        assert!(is_calmed(outcome), "{outcome:?}");
        assert!(backend.begun().iter().filter(|target| *target == "/held").count() < 1000);
        forever(process, pair).await;
    })
    .await;
}

#[tokio::test]
async fn flood_of_resets_after_the_request_arrived_takes_the_backend_s_work_back() {
    under(async |process, backend| {
        let mut client = Client::with_settings(process.address, &[NO_TABLE]).await;
        // One at a time, so that no limit on resets in a heap sees them.
        for n in 0..300 {
            let before = backend.begun().iter().filter(|target| *target == "/held").count();
            client
                .send(&[Frame::headers(WHOLE, n * 2 + 1, Block::get("/held"))])
                .await;
            backend.requests_for("/held", before + 1).await;
            client.send(&[Frame::reset(n * 2 + 1, CANCEL)]).await;
            if client.round_trip().await.is_none() {
                break;
            }
        }
        backend.nobody_held().await;
    })
    .await;
}

#[tokio::test]
async fn flood_of_resets_that_the_gateway_is_made_to_send_ends_the_connection() {
    let made = |n: u32| {
        let stream = n * 2 + 1;
        vec![
            Frame::headers(END_HEADERS, stream, Block::post("/held")),
            // Above the maximum: a stream error FLOW_CONTROL_ERROR.
            Frame::window_update(stream, (1 << 31) - 1),
        ]
    };
    under(async |process, _| {
        let outcome = verdict(process, made, 5000).await;
        assert!(is_calmed(outcome), "{outcome:?}");
        forever(process, made).await;
    })
    .await;
}

#[tokio::test]
async fn flood_of_malformed_requests_ends_the_connection() {
    let malformed = |n: u32| {
        vec![Frame::headers(
            WHOLE,
            n * 2 + 1,
            Block::get("/refused").field("connection", "close"),
        )]
    };
    under(async |process, backend| {
        let outcome = verdict(process, malformed, 5000).await;
        assert!(is_calmed(outcome), "{outcome:?}");
        assert!(!backend.begun().iter().any(|target| target == "/refused"));
        forever(process, malformed).await;
    })
    .await;
}

#[tokio::test]
async fn flood_of_settings_does_not_grow_the_memory() {
    under(async |process, _| {
        forever(process, |_| {
            vec![Frame::settings(&[(4, 65_535), (5, 16_384)]); 1000]
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn flood_of_pings_does_not_grow_the_memory() {
    under(async |process, _| forever(process, |_| vec![Frame::ping([7; 8]); 1000]).await).await;
}

#[tokio::test]
async fn flood_of_priorities_and_unknown_frames_does_not_grow_the_memory() {
    under(async |process, _| {
        forever(process, |round| {
            (0..500)
                .flat_map(|n| {
                    [
                        Frame::priority((round * 500 + n) % 100_000 * 2 + 1, 0),
                        Frame::new(UNKNOWN, 0, 1, []),
                    ]
                })
                .collect()
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn flood_of_empty_data_frames_does_not_grow_the_memory() {
    under(async |process, _| {
        forever(process, |round| match round {
            0 => vec![Frame::headers(END_HEADERS, 1, Block::post("/held"))],
            _ => vec![Frame::data(0, 1, []); 1000],
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn flood_of_continuation_ends_the_connection() {
    let endless = |n: u32| match n {
        0 => vec![Frame::headers(END_STREAM, 1, Block::get("/refused"))],
        _ => vec![Frame::continuation(
            0,
            1,
            Block::new().field(format!("x-{n}"), "1"),
        )],
    };
    under(async |process, backend| {
        let outcome = verdict(process, endless, 10_000).await;
        assert!(is_calmed(outcome), "{outcome:?}");
        assert!(!backend.begun().iter().any(|target| target == "/refused"));
        forever(process, endless).await;
    })
    .await;
}

#[tokio::test]
async fn flood_of_references_to_one_large_field_is_refused() {
    // An entry of some 4,000 bytes, and a block that names it 12,000 times: 48 MB from 16 KB (CVE-2016-6581).
    let bomb = |n: u32| match n {
        0 => vec![Frame::headers(
            WHOLE,
            1,
            Block::get("/next").remembered("x-large", &"x".repeat(4000)),
        )],
        _ => vec![Frame::headers(
            WHOLE,
            n * 2 + 1,
            Block::get("/refused").raw(&[0x80 | 62; 12_000]),
        )],
    };
    under(async |process, backend| {
        let outcome = verdict(process, bomb, 200).await;
        assert!(is_calmed(outcome), "{outcome:?}");
        // And by a client that has not acknowledged the gateway's limit.
        forever(process, bomb).await;
        assert!(!backend.begun().iter().any(|target| target == "/refused"));
    })
    .await;
}

#[tokio::test]
async fn flood_of_field_lists_above_the_limit_is_refused_with_431() {
    let backend = Backend::start().await;
    let process = Process::start(backend.address);
    let mut client = Client::with_settings(process.address, &[NO_TABLE]).await;
    // A quarter more than SETTINGS_MAX_HEADER_LIST_SIZE, which is 6; in five frames.
    let entry = client.log[0]
        .payload
        .chunks(6)
        .find(|entry| entry[..2] == [0, 6])
        .expect("a limit");
    let limit = u32::from_be_bytes(entry[2..].try_into().expect("four bytes")) as usize;
    assert!(limit <= 64 << 10, "{limit}");
    let large = "x".repeat(limit / 4 - 100);
    let part = || Block::new().field("x", &large);
    client
        .send(&[
            Frame::headers(END_STREAM, 1, Block::get("/refused").raw(&Vec::from(part()))),
            Frame::continuation(0, 1, part()),
            Frame::continuation(0, 1, part()),
            Frame::continuation(0, 1, part()),
            Frame::continuation(END_HEADERS, 1, part()),
        ])
        .await;
    assert_eq!(client.outcome(1).await, Outcome::Answer(431));
    assert_eq!(client.serves(3).await, Outcome::Answer(200));
    assert!(!backend.begun().iter().any(|target| target == "/refused"));
}

#[tokio::test]
async fn flood_of_answers_that_nobody_takes_does_not_grow_the_memory() {
    under(async |process, _| {
        // Windows of 0: 100 answers of 256 KiB on each of four connections wait for ever (CVE-2019-9517).
        let mut stuck = Vec::new();
        for _ in 0..4 {
            let mut client = Client::with_settings(process.address, &[NO_TABLE, (4, 0)]).await;
            let asked: Vec<_> = (0..100)
                .map(|n| Frame::headers(WHOLE, n * 2 + 1, Block::get("/big")))
                .collect();
            client.send(&asked).await;
            for n in 0..100 {
                client.look_again();
                assert_eq!(client.outcome(n * 2 + 1).await, Outcome::Answer(200));
            }
            stuck.push(client);
        }
        std::future::pending::<()>().await;
    })
    .await;
}
