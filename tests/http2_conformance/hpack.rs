//! As much of HPACK (RFC 7541) as the cases need: field blocks of literals, and a reader that finds `:status` in an
//! answer and tells in which ways a block was written.

/// `:method: GET` in the static table (RFC 7541 appendix A).
const METHOD_GET: u8 = 2;
const METHOD_POST: u8 = 3;
const SCHEME_HTTP: u8 = 6;

/// An integer with a prefix of `bits` bits after `first` (section 5.1).
fn integer(out: &mut Vec<u8>, first: u8, bits: u32, value: usize) {
    let limit = (1_usize << bits) - 1;
    if value < limit {
        out.push(first | u8::try_from(value).expect("a prefix"));
        return;
    }
    out.push(first | u8::try_from(limit).expect("a prefix"));
    let mut rest = value - limit;
    while rest >= 128 {
        out.push(u8::try_from(rest % 128).expect("seven bits") | 0x80);
        rest /= 128;
    }
    out.push(u8::try_from(rest).expect("seven bits"));
}

/// A string without Huffman coding (section 5.2).
fn string(out: &mut Vec<u8>, text: &[u8]) {
    integer(out, 0, 7, text.len());
    out.extend_from_slice(text);
}

/// A field block in the making.
#[derive(Debug, Clone, Default)]
pub struct Block(Vec<u8>);

impl Block {
    pub fn new() -> Block {
        Block::default()
    }

    /// `GET http://api.test<path>`.
    pub fn get(path: &str) -> Block {
        Block::new()
            .indexed(METHOD_GET)
            .indexed(SCHEME_HTTP)
            .field(":path", path)
            .field(":authority", "api.test")
    }

    /// `POST http://api.test<path>`.
    pub fn post(path: &str) -> Block {
        Block::new()
            .indexed(METHOD_POST)
            .indexed(SCHEME_HTTP)
            .field(":path", path)
            .field(":authority", "api.test")
    }

    /// An entry of a table.
    pub fn indexed(mut self, index: u8) -> Block {
        self.0.push(0x80 | index);
        self
    }

    /// A field that no table remembers (section 6.2.2).
    pub fn field(self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Block {
        self.literal(0, name.as_ref(), value.as_ref())
    }

    /// A field that the dynamic table remembers (section 6.2.1); the next entry is 62.
    pub fn remembered(self, name: &str, value: &str) -> Block {
        self.literal(0x40, name.as_bytes(), value.as_bytes())
    }

    fn literal(mut self, first: u8, name: &[u8], value: &[u8]) -> Block {
        self.0.push(first);
        string(&mut self.0, name);
        string(&mut self.0, value);
        self
    }

    /// Bytes as they are.
    pub fn raw(mut self, bytes: &[u8]) -> Block {
        self.0.extend_from_slice(bytes);
        self
    }
}

impl From<Block> for Vec<u8> {
    fn from(block: Block) -> Vec<u8> {
        block.0
    }
}

/// How one entry of a block was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// An entry of a table.
    Indexed(usize),
    /// A literal: the index of its name or 0, whether the dynamic table is to remember it, and the value as it stands.
    Literal {
        name: usize,
        remembered: bool,
        value: Text,
    },
    /// A change of the dynamic table's size.
    Size(usize),
}

/// A string as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    huffman: bool,
    bytes: Vec<u8>,
}

/// Reads a block without a dynamic table. Panics when it is not well formed: the gateway wrote it.
pub fn read(block: &[u8]) -> Vec<Written> {
    let mut rest = block;
    let mut entries = Vec::new();
    while let Some(first) = rest.first().copied() {
        entries.push(if first & 0x80 != 0 {
            Written::Indexed(take_integer(&mut rest, 7))
        } else if first & 0xe0 == 0x20 {
            Written::Size(take_integer(&mut rest, 5))
        } else {
            let remembered = first & 0x40 != 0;
            let name = take_integer(&mut rest, if remembered { 6 } else { 4 });
            if name == 0 {
                take_string(&mut rest);
            }
            Written::Literal {
                name,
                remembered,
                value: take_string(&mut rest),
            }
        });
    }
    entries
}

fn take_integer(rest: &mut &[u8], bits: u32) -> usize {
    let limit = (1_usize << bits) - 1;
    let mut value = usize::from(take(rest)) & limit;
    if value == limit {
        let mut shift = 0;
        loop {
            let byte = take(rest);
            value += usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
    }
    value
}

fn take_string(rest: &mut &[u8]) -> Text {
    let huffman = rest[0] & 0x80 != 0;
    let length = take_integer(rest, 7);
    let (bytes, after) = rest.split_at(length);
    *rest = after;
    Text {
        huffman,
        bytes: bytes.to_vec(),
    }
}

fn take(rest: &mut &[u8]) -> u8 {
    let byte = rest[0];
    *rest = &rest[1..];
    byte
}

/// `:status` of an answer: the first entry after changes of the table's size (section 8.3 of RFC 9113).
pub fn status(block: &[u8]) -> u16 {
    let entry = read(block)
        .into_iter()
        .find(|entry| !matches!(entry, Written::Size(_)))
        .expect("a field");
    match entry {
        // Appendix A, 8 to 14.
        Written::Indexed(index @ 8..=14) => [200, 204, 206, 304, 400, 404, 500][index - 8],
        Written::Literal {
            name: 8..=14, value, ..
        } => digits(&value),
        Written::Indexed(_) | Written::Literal { .. } | Written::Size(_) => {
            panic!("an answer that does not begin with :status")
        }
    }
}

/// A number in digits. Of the Huffman code (appendix B) only the digits are known here: 0, 1 and 2 are the codes 0, 1
/// and 2 in five bits, 3 to 9 are 25 to 31 in six.
fn digits(text: &Text) -> u16 {
    if !text.huffman {
        return std::str::from_utf8(&text.bytes)
            .expect("digits")
            .parse()
            .expect("digits");
    }
    let mut bits = text
        .bytes
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |at| u16::from(byte >> at & 1)));
    let mut number = 0;
    for _ in 0..3 {
        let five = (0..5).fold(0, |code, _| code * 2 + bits.next().expect("a digit"));
        let digit = match five {
            0..=2 => five,
            _ => five * 2 + bits.next().expect("a digit") - 22,
        };
        number = number * 10 + digit;
    }
    number
}

#[test]
fn a_status_is_read_in_each_of_the_three_ways_of_writing_it() {
    assert_eq!(status(&[0x88]), 200);
    assert_eq!(status(&[0x20, 0x8d]), 404);
    assert_eq!(status(&[0x08, 3, b'4', b'3', b'1']), 431);
    // 4, 2, 1 are 011010 00010 00001, then a 1 of padding... in 16 bits.
    assert_eq!(status(&[0x48, 0x82, 0b0110_1000, 0b0100_0001]), 421);
    // 4, 0, 3 are 011010 00000 011001, then padding.
    assert_eq!(status(&[0x48, 0x83, 0b0110_1000, 0b0000_1100, 0b1111_1111]), 403);
}
