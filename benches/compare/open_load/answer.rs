//! Answers, read piece by piece as they come.

use std::mem;

use httparse::{EMPTY_HEADER, Header, Response, Status};

/// What an incomplete head or chunk line may hold back, in bytes.
const HELD: usize = 64 * 1024;

/// Header fields in a head.
const FIELDS: usize = 100;

/// What matters of an answer that came whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The connection can carry the next request.
    pub(crate) keeps: bool,
}

/// Reads the answers of one connection to GET requests, one after another.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    /// Bytes that do not make a whole head or line yet. Empty as a rule: an answer mostly comes in one piece.
    held: Vec<u8>,
    part: Part,
}

/// Which part of the answer comes next.
#[derive(Debug, Clone, Copy, Default)]
enum Part {
    #[default]
    Head,
    /// So many bytes of body.
    Sized(Answer, u64),
    ChunkSize(Answer),
    /// So many bytes of a chunk.
    Chunk(Answer, u64),
    /// The line end after a chunk.
    ChunkEnd(Answer),
    Trailer(Answer),
    /// A body that ends with the connection.
    UntilEnd(Answer),
}

/// What one look at the bytes gave.
enum Step {
    /// So many bytes are used up, and what comes after them.
    Taken(usize, Part),
    /// The answer is whole with so many bytes.
    Whole(usize, Answer),
    /// These bytes are not enough.
    More,
}

impl Reader {
    /// Takes what came. `None`: the answer goes on. An error says what is wrong with it; the connection is of no use then.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<Option<Answer>, String> {
        if self.held.is_empty() {
            return self.take(bytes);
        }
        let mut all = mem::take(&mut self.held);
        all.extend_from_slice(bytes);
        self.take(&all)
    }

    /// The server has closed the connection: is that the answer's end?
    pub(crate) fn end(&self) -> Result<Answer, String> {
        match self.part {
            Part::UntilEnd(answer) => Ok(answer),
            Part::Head if self.held.is_empty() => {
                Err("the connection was closed before an answer came".to_owned())
            }
            _ => Err("the connection was closed in the middle of an answer".to_owned()),
        }
    }

    fn take(&mut self, mut bytes: &[u8]) -> Result<Option<Answer>, String> {
        loop {
            match self.part.step(bytes)? {
                Step::Taken(count, next) => {
                    self.part = next;
                    bytes = bytes.get(count..).unwrap_or_default();
                }
                Step::Whole(count, answer) => {
                    self.part = Part::Head;
                    return match bytes.get(count..) {
                        None | Some([]) => Ok(Some(answer)),
                        // One request is under way at a time, so these belong to none.
                        Some(_) => Err("more came than the answer's head announced".to_owned()),
                    };
                }
                Step::More if bytes.len() > HELD => {
                    return Err(format!(
                        "a head or a line of the answer is longer than {HELD} bytes"
                    ));
                }
                Step::More => {
                    self.held.extend_from_slice(bytes);
                    return Ok(None);
                }
            }
        }
    }
}

impl Part {
    fn step(self, bytes: &[u8]) -> Result<Step, String> {
        Ok(match self {
            Self::Head => return head(bytes),
            Self::Sized(answer, left) => match of(bytes, left) {
                (count, 0) => Step::Whole(count, answer),
                (0, _) => Step::More,
                (count, left) => Step::Taken(count, Self::Sized(answer, left)),
            },
            Self::ChunkSize(answer) => match httparse::parse_chunk_size(bytes) {
                Ok(Status::Partial) => Step::More,
                Ok(Status::Complete((count, 0))) => Step::Taken(count, Self::Trailer(answer)),
                Ok(Status::Complete((count, size))) => Step::Taken(count, Self::Chunk(answer, size)),
                Err(_invalid) => return Err("a chunk of the answer has no readable size".to_owned()),
            },
            Self::Chunk(answer, left) => match of(bytes, left) {
                (count, 0) => Step::Taken(count, Self::ChunkEnd(answer)),
                (0, _) => Step::More,
                (count, left) => Step::Taken(count, Self::Chunk(answer, left)),
            },
            Self::ChunkEnd(answer) => match bytes {
                [b'\r', b'\n', ..] => Step::Taken(2, Self::ChunkSize(answer)),
                [] | [b'\r'] => Step::More,
                _ => return Err("a chunk of the answer is longer than its size".to_owned()),
            },
            Self::Trailer(answer) => match memchr::memchr(b'\n', bytes) {
                None => Step::More,
                Some(end) if matches!(bytes.get(..end), Some([] | [b'\r'])) => Step::Whole(end + 1, answer),
                Some(end) => Step::Taken(end + 1, self),
            },
            Self::UntilEnd(_) if bytes.is_empty() => Step::More,
            Self::UntilEnd(_) => Step::Taken(bytes.len(), self),
        })
    }
}

/// How many of these bytes belong to what still lacks so many, and how many it lacks then.
fn of(bytes: &[u8], left: u64) -> (usize, u64) {
    let count = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
    (count, left.saturating_sub(count as u64))
}

/// Reads a head, and from it how the body ends.
fn head(bytes: &[u8]) -> Result<Step, String> {
    let mut fields = [EMPTY_HEADER; FIELDS];
    let mut response = Response::new(&mut fields);
    let size = match response.parse(bytes) {
        Ok(Status::Complete(size)) => size,
        Ok(Status::Partial) => return Ok(Step::More),
        Err(error) => return Err(format!("the answer is no HTTP/1 ({error})")),
    };
    let status = response.code.unwrap_or(0);
    let named = |name: &'static str| {
        let fields = response.headers.iter();
        fields.filter(move |field| field.name.eq_ignore_ascii_case(name))
    };
    let says = |word| named("connection").any(|field| has_word(field, word));
    let answer = Answer {
        status,
        keeps: !says("close") && (response.version == Some(1) || says("keep-alive")),
    };
    match status {
        101 => return Err("the server switches to another protocol, which was not asked for".to_owned()),
        // Said beforehand; the answer follows.
        100..200 => return Ok(Step::Taken(size, Part::Head)),
        204 | 304 => return Ok(Step::Whole(size, answer)),
        _ => {}
    }
    // The coding decides before the length, and the last coding is the outer one.
    if let Some(coding) = named("transfer-encoding").next_back() {
        let is_chunked = last_word(coding).is_some_and(|word| word.eq_ignore_ascii_case(b"chunked"));
        return Ok(Step::Taken(
            size,
            if is_chunked {
                Part::ChunkSize(answer)
            } else {
                until_end(answer)
            },
        ));
    }
    let mut length = None;
    for field in named("content-length") {
        let said = std::str::from_utf8(field.value)
            .ok()
            .and_then(|text| text.trim().parse::<u64>().ok())
            .ok_or("the answer has no readable Content-Length")?;
        if length.is_some_and(|before| before != said) {
            return Err("the answer has two lengths".to_owned());
        }
        length = Some(said);
    }
    Ok(match length {
        Some(length) => Step::Taken(size, Part::Sized(answer, length)),
        None => Step::Taken(size, until_end(answer)),
    })
}

fn until_end(answer: Answer) -> Part {
    Part::UntilEnd(Answer {
        keeps: false,
        ..answer
    })
}

/// Is this one of the words of a list?
fn has_word(field: &Header<'_>, word: &str) -> bool {
    words(field).any(|found| found.eq_ignore_ascii_case(word.as_bytes()))
}

fn last_word<'a>(field: &Header<'a>) -> Option<&'a [u8]> {
    words(field).last()
}

fn words<'a>(field: &Header<'a>) -> impl Iterator<Item = &'a [u8]> + use<'a> {
    field.value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}
