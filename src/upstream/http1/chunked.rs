//! Chunked bodies (RFC 9112 section 7.1), read strictly: lines end in CRLF, sizes are hexadecimal digits that fit, and
//! extensions are bounded and dropped.

use bytes::{Buf, Bytes, BytesMut};
use http::HeaderMap;

use super::BadAnswer;
use super::head;

/// Digits of a chunk's size at most: what fits into 64 bits.
const DIGITS: u8 = 16;
/// Bytes of all extensions of one body at most. Nobody uses them; without a bound an endpoint could keep us reading.
const EXTENSIONS: u64 = 16 * 1024;
/// Bytes of the trailer section at most.
const TRAILERS: usize = 16 * 1024;

/// Where in a chunked body the reading is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In the digits of a size, so many of which have come.
    Size(u8),
    /// Behind the size: blanks, then an extension or the end of the line.
    BehindSize,
    /// In an extension.
    Extension,
    /// Behind the CR of a size's line.
    SizeLf,
    /// In the data.
    Data,
    /// Behind the data.
    DataCr,
    /// Behind the CR that follows the data.
    DataLf,
    /// In the trailer section. The bytes up to this place hold no end of it.
    Trailers(usize),
    /// Behind the end.
    Over,
}

/// What comes next in a chunked body.
#[derive(Debug)]
pub(super) enum Next {
    /// So many bytes of data are next, all of them there.
    Data(usize),
    /// The body ended, with trailers if it has any.
    Ended(Option<HeaderMap>),
    /// More has to be read.
    More,
}

/// Reads a chunked body.
#[derive(Debug)]
pub(super) struct Chunked {
    place: Place,
    /// Of the chunk: the size as read so far, then what is left of the data.
    left: u64,
    extensions: u64,
}

impl Chunked {
    pub(super) fn new() -> Chunked {
        Chunked {
            place: Place::Size(0),
            left: 0,
            extensions: 0,
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.place == Place::Over
    }

    /// Bytes of the current chunk that are still to come.
    pub(super) fn left(&self) -> u64 {
        match self.place {
            Place::Data => self.left,
            Place::Size(_)
            | Place::BehindSize
            | Place::Extension
            | Place::SizeLf
            | Place::DataCr
            | Place::DataLf
            | Place::Trailers(_)
            | Place::Over => 0,
        }
    }

    /// Goes on in `input`, from which framing is removed. Data that is announced must be taken off before the next call.
    ///
    /// # Errors
    /// [`BadAnswer::Chunk`] and [`BadAnswer::Trailers`].
    pub(super) fn next(&mut self, input: &mut BytesMut) -> Result<Next, BadAnswer> {
        loop {
            match self.place {
                Place::Over => return Ok(Next::Ended(None)),
                Place::Data => {
                    let here = usize::try_from(self.left).map_or(input.len(), |left| left.min(input.len()));
                    if here == 0 {
                        return Ok(Next::More);
                    }
                    self.left -= here as u64;
                    if self.left == 0 {
                        self.place = Place::DataCr;
                    }
                    return Ok(Next::Data(here));
                }
                Place::Trailers(from) => {
                    let Some(end) = head::end(input, from) else {
                        if input.len() > TRAILERS {
                            return Err(BadAnswer::Trailers);
                        }
                        // The last line may be cut off: it is looked at again from its beginning.
                        let line = input
                            .iter()
                            .rposition(|byte| *byte == b'\n')
                            .map_or(0, |at| at + 1);
                        self.place = Place::Trailers(line);
                        return Ok(Next::More);
                    };
                    let section = input.split_to(end).freeze();
                    self.place = Place::Over;
                    return Ok(Next::Ended(trailers(&section)?));
                }
                Place::Size(_)
                | Place::BehindSize
                | Place::Extension
                | Place::SizeLf
                | Place::DataCr
                | Place::DataLf => {
                    let Some(byte) = input.first().copied() else {
                        return Ok(Next::More);
                    };
                    input.advance(1);
                    self.step(byte)?;
                }
            }
        }
    }

    /// One byte of framing.
    fn step(&mut self, byte: u8) -> Result<(), BadAnswer> {
        self.place = match (self.place, byte) {
            (Place::Size(digits), _) if digits < DIGITS && byte.is_ascii_hexdigit() => {
                let digit = char::from(byte).to_digit(16).ok_or(BadAnswer::Chunk)?;
                self.left = self
                    .left
                    .checked_mul(16)
                    .and_then(|size| size.checked_add(u64::from(digit)))
                    .ok_or(BadAnswer::Chunk)?;
                Place::Size(digits + 1)
            }
            (Place::Size(1..), b'\r') | (Place::BehindSize | Place::Extension, b'\r') => Place::SizeLf,
            (Place::Size(1..) | Place::BehindSize, b' ' | b'\t') => self.extension(Place::BehindSize)?,
            (Place::Size(1..) | Place::BehindSize, b';') => self.extension(Place::Extension)?,
            // A line feed alone ends no line here, though lenient recipients take it for one.
            (Place::Extension, byte) if byte != b'\n' => self.extension(Place::Extension)?,
            (Place::SizeLf, b'\n') if self.left == 0 => Place::Trailers(0),
            (Place::SizeLf, b'\n') => Place::Data,
            (Place::DataCr, b'\r') => Place::DataLf,
            (Place::DataLf, b'\n') => Place::Size(0),
            _ => return Err(BadAnswer::Chunk),
        };
        Ok(())
    }

    fn extension(&mut self, place: Place) -> Result<Place, BadAnswer> {
        self.extensions += 1;
        if self.extensions > EXTENSIONS {
            return Err(BadAnswer::Chunk);
        }
        Ok(place)
    }
}

/// The fields of a trailer section that ends with its empty line; `None` for an empty one.
fn trailers(section: &Bytes) -> Result<Option<HeaderMap>, BadAnswer> {
    let mut lines = [httparse::EMPTY_HEADER; head::FIELDS];
    let httparse::Status::Complete((length, lines)) =
        httparse::parse_headers(section, &mut lines).map_err(|_| BadAnswer::Trailers)?
    else {
        return Err(BadAnswer::Trailers);
    };
    if length != section.len() {
        return Err(BadAnswer::Trailers);
    }
    if lines.is_empty() {
        return Ok(None);
    }
    let mut fields = HeaderMap::with_capacity(lines.len());
    for line in lines {
        let name = http::HeaderName::from_bytes(line.name.as_bytes()).map_err(|_| BadAnswer::Trailers)?;
        let value = http::HeaderValue::from_maybe_shared(section.slice_ref(line.value))
            .map_err(|_| BadAnswer::Trailers)?;
        fields.append(name, value);
    }
    Ok(Some(fields))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The data, the trailers, and what is left behind.
    type Whole = (Vec<u8>, Option<HeaderMap>, Vec<u8>);

    /// Reads `text` in pieces of `piece` bytes; the error is `None` when it stops before its end.
    fn read(text: &[u8], piece: usize) -> Result<Whole, Option<BadAnswer>> {
        let (mut chunked, mut input, mut data) = (Chunked::new(), BytesMut::new(), Vec::new());
        let mut pieces = text.chunks(piece);
        loop {
            match chunked.next(&mut input).map_err(Some)? {
                Next::Data(count) => data.extend_from_slice(&input.split_to(count)),
                Next::Ended(trailers) => {
                    let mut rest = input.to_vec();
                    rest.extend(pieces.flatten());
                    return Ok((data, trailers, rest));
                }
                Next::More => input.extend_from_slice(pieces.next().ok_or(None)?),
            }
        }
    }

    #[test]
    fn it_reads_the_same_in_pieces_of_any_size() {
        let text = b"5\r\nhello\r\nA ; x=\"y\"\r\n0123456789\r\n00\r\nx-a: 1\r\nx-b: 2\r\n\r\nrest";
        for piece in 1..=text.len() {
            let (data, trailers, rest) = read(text, piece).unwrap();
            assert_eq!(data, b"hello0123456789");
            assert_eq!(trailers.unwrap().len(), 2);
            assert_eq!(rest, b"rest");
        }
    }

    #[test]
    fn what_is_not_exactly_a_chunk_is_refused() {
        for text in [
            &b"5\nhello\r\n0\r\n\r\n"[..],
            b"5\r\nhello\n0\r\n\r\n",
            b"5\r\nhelloXX\r\n0\r\n\r\n",
            b"\r\n",
            b";x\r\n",
            b" 5\r\n",
            b"-5\r\n",
            b"+5\r\n",
            b"0x5\r\n",
            b"5 5\r\n",
            b"5\rhello",
            b"5;x\nhello\r\n0\r\n\r\n",
            b"ffffffffffffffff0\r\n",
            b"00000000000000005\r\n",
        ] {
            for piece in [1, text.len()] {
                assert_eq!(
                    read(text, piece).err(),
                    Some(Some(BadAnswer::Chunk)),
                    "{}",
                    text.escape_ascii()
                );
            }
        }
        assert_eq!(
            read(b"0\r\nx a: 1\r\n\r\n", 1).err(),
            Some(Some(BadAnswer::Trailers))
        );
    }

    #[test]
    fn extensions_and_trailers_are_bounded() {
        let long = [b"1;".as_slice(), &b"x".repeat(20 * 1024)].concat();
        assert_eq!(read(&long, 1024).err(), Some(Some(BadAnswer::Chunk)));
        let spread = b"1;xxxxxxxx\r\na\r\n".repeat(2_000);
        assert_eq!(read(&spread, 1024).err(), Some(Some(BadAnswer::Chunk)));
        let long = [b"0\r\nx-a: ".as_slice(), &b"x".repeat(20 * 1024)].concat();
        assert_eq!(read(&long, 1024).err(), Some(Some(BadAnswer::Trailers)));
    }

    #[test]
    fn a_body_that_stops_anywhere_is_not_over() {
        let text = b"5\r\nhello\r\n0\r\nx-a: 1\r\n\r\n";
        for end in 0..text.len() {
            assert_eq!(read(&text[..end], 3).err(), Some(None), "{end}");
        }
    }
}
