//! Where an answer's body ends (RFC 9112 section 6.3).

use bytes::{Buf, Bytes, BytesMut};
use http::HeaderMap;

use super::BadAnswer;
use super::chunked::{Chunked, Next};

/// Data up to this size is copied out, so that the connection's buffer is its own again at once; larger data is given on
/// where it lies.
const COPIED: usize = 4 * 1024;

/// Reads the body off a connection's input.
#[derive(Debug)]
pub(super) struct Decoder(Kind);

#[derive(Debug)]
enum Kind {
    Length(u64),
    Chunked(Chunked),
    ToTheEnd,
    Over,
}

/// A step of reading.
#[derive(Debug)]
pub(super) enum Part {
    /// Some of the body.
    Data(Bytes),
    /// Its trailers, and its end.
    Trailers(HeaderMap),
    /// Its end.
    End,
    /// More has to be read first.
    More,
}

impl Decoder {
    /// No body, or none any more.
    pub(super) fn over() -> Decoder {
        Decoder(Kind::Over)
    }

    /// So many bytes.
    pub(super) fn length(length: u64) -> Decoder {
        Decoder(if length == 0 {
            Kind::Over
        } else {
            Kind::Length(length)
        })
    }

    /// Chunks.
    pub(super) fn chunked() -> Decoder {
        Decoder(Kind::Chunked(Chunked::new()))
    }

    /// All that comes until the connection ends.
    pub(super) fn to_the_end() -> Decoder {
        Decoder(Kind::ToTheEnd)
    }

    pub(super) fn is_to_the_end(&self) -> bool {
        matches!(self.0, Kind::ToTheEnd)
    }

    pub(super) fn is_over(&self) -> bool {
        match &self.0 {
            Kind::Over => true,
            Kind::Chunked(chunked) => chunked.is_over(),
            Kind::Length(_) | Kind::ToTheEnd => false,
        }
    }

    /// Bytes of data that are still to come, if that is known.
    pub(super) fn exact(&self) -> Option<u64> {
        match &self.0 {
            Kind::Over => Some(0),
            Kind::Length(left) => Some(*left),
            Kind::Chunked(_) | Kind::ToTheEnd => None,
        }
    }

    /// Bytes that are certainly still to come, as far as it is worth making room for them.
    pub(super) fn expected(&self) -> u64 {
        match &self.0 {
            Kind::Length(left) => *left,
            Kind::Chunked(chunked) => chunked.left(),
            Kind::ToTheEnd | Kind::Over => 0,
        }
    }

    /// The next part of the body in `input`.
    ///
    /// # Errors
    /// [`BadAnswer`] when the framing is broken.
    pub(super) fn next(&mut self, input: &mut BytesMut) -> Result<Part, BadAnswer> {
        let count = match &mut self.0 {
            Kind::Over => return Ok(Part::End),
            Kind::Chunked(chunked) => match chunked.next(input)? {
                Next::Data(count) => count,
                Next::Ended(Some(trailers)) => return Ok(Part::Trailers(trailers)),
                Next::Ended(None) => return Ok(Part::End),
                Next::More => return Ok(Part::More),
            },
            Kind::Length(left) => {
                let here = usize::try_from(*left).map_or(input.len(), |left| left.min(input.len()));
                *left -= here as u64;
                if *left == 0 {
                    self.0 = Kind::Over;
                }
                here
            }
            Kind::ToTheEnd => input.len(),
        };
        if count == 0 {
            return Ok(Part::More);
        }
        Ok(Part::Data(take(input, count)))
    }

    /// The connection has ended. Was that the body's end, as it should be?
    pub(super) fn ends_here(&mut self) -> bool {
        if self.is_to_the_end() {
            self.0 = Kind::Over;
        }
        self.is_over()
    }
}

/// The first `count` bytes.
fn take(input: &mut BytesMut, count: usize) -> Bytes {
    if count > COPIED {
        return input.split_to(count).freeze();
    }
    let data = Bytes::copy_from_slice(input.get(..count).unwrap_or_default());
    input.advance(count);
    data
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_of_a_length_ends_there_and_leaves_the_rest() {
        let mut decoder = Decoder::length(5);
        let mut input = BytesMut::from(&b"hel"[..]);
        assert!(matches!(decoder.next(&mut input), Ok(Part::Data(data)) if data == "hel"));
        assert!(matches!(decoder.next(&mut input), Ok(Part::More)));
        assert!(!decoder.ends_here());
        input.extend_from_slice(b"loEXTRA");
        assert!(matches!(decoder.next(&mut input), Ok(Part::Data(data)) if data == "lo"));
        assert!(decoder.is_over() && input == "EXTRA");
    }

    #[test]
    fn without_a_length_the_end_of_the_connection_is_the_end() {
        let mut decoder = Decoder::to_the_end();
        let mut input = BytesMut::from(&b"hello"[..]);
        assert!(matches!(decoder.next(&mut input), Ok(Part::Data(data)) if data == "hello"));
        assert!(matches!(decoder.next(&mut input), Ok(Part::More)));
        assert!(decoder.ends_here() && decoder.is_over());
    }

    #[test]
    fn large_data_is_not_copied() {
        let mut input = BytesMut::zeroed(10_000);
        let place = input.as_ptr();
        let mut decoder = Decoder::length(20_000);
        let Ok(Part::Data(data)) = decoder.next(&mut input) else {
            panic!("data")
        };
        assert_eq!((data.as_ptr(), data.len()), (place, 10_000));
        assert_eq!(decoder.exact(), Some(10_000));
    }
}
