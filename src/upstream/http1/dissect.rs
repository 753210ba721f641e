//! An answer taken apart without a connection: what fuzzers and benches look at.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, Response};

use super::BadAnswer;
use super::decoder::{Decoder, Part};
use super::head::{self, Search};

/// An answer, taken apart.
#[derive(Debug)]
pub struct Dissected {
    /// Its head; the body is what has come of it.
    pub answer: Response<Vec<u8>>,
    /// Its trailers.
    pub trailers: Option<HeaderMap>,
    /// The body has ended by its framing.
    pub is_whole: bool,
    /// Another answer may follow on the connection.
    pub is_kept: bool,
    /// Bytes behind the answer; of an answer that is not whole, the trailers that have come without their end.
    pub rest: Bytes,
}

/// Reads `bytes`, an answer to a request with `method`, as they would come in reads of `piece` bytes. `None` when the head
/// does not end in them.
///
/// # Errors
/// [`BadAnswer`] where the connection would be given up.
pub fn dissect(bytes: &[u8], piece: usize, method: &Method) -> Result<Option<Dissected>, BadAnswer> {
    let mut pieces = bytes.chunks(piece.max(1));
    let (mut input, mut search) = (BytesMut::new(), Search::default());
    let head = loop {
        if let Some(head) = search.take(&mut input)? {
            break head;
        }
        let Some(piece) = pieces.next() else {
            return Ok(None);
        };
        input.extend_from_slice(piece);
    };
    let head::Read {
        answer,
        mut decoder,
        keep,
    } = head::read(&head, method, HeaderMap::new())?;
    let (body, trailers) = body(&mut decoder, &mut input, &mut pieces)?;
    let is_whole = decoder.is_over();
    input.extend(pieces.flatten());
    Ok(Some(Dissected {
        answer: answer.map(|()| body),
        trailers,
        is_whole,
        is_kept: keep,
        rest: input.freeze(),
    }))
}

fn body<'b>(
    decoder: &mut Decoder,
    input: &mut BytesMut,
    pieces: &mut impl Iterator<Item = &'b [u8]>,
) -> Result<(Vec<u8>, Option<HeaderMap>), BadAnswer> {
    let mut body = Vec::new();
    loop {
        match decoder.next(input)? {
            Part::Data(data) => body.extend_from_slice(&data),
            Part::Trailers(trailers) => return Ok((body, Some(trailers))),
            Part::End => return Ok((body, None)),
            Part::More => match pieces.next() {
                Some(piece) => input.extend_from_slice(piece),
                None => {
                    decoder.ends_here();
                    return Ok((body, None));
                }
            },
        }
    }
}
