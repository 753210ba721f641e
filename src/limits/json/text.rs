//! Strings of JSON (RFC 8259 section 7), decoded piece by piece: escapes resolved, UTF-8 checked (RFC 3629
//! section 4).

use super::Fault;

/// The place in a string, after its opening quotation mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Text {
    Plain,
    Backslash,
    /// In the digits of `\u`: so many are missing, value so far, the high surrogate before it.
    Hex {
        missing: u8,
        value: u32,
        high: Option<u32>,
    },
    /// After a high surrogate: a backslash must come.
    LowBackslash(u32),
    /// After that, a `u`.
    LowU(u32),
    /// In a UTF-8 sequence: so many bytes are missing, the next one lies between `least` and `most`.
    Sequence {
        missing: u8,
        least: u8,
        most: u8,
    },
}

/// What reading on in a string gives.
#[derive(Debug)]
pub(super) enum Piece<'b> {
    /// Bytes of the string, which stand in the text as they are.
    Bytes(&'b [u8]),
    /// A character that was escaped.
    Character(char),
    /// Nothing yet.
    Pending,
    /// The closing quotation mark.
    End,
}

impl Text {
    /// Reads a piece off the front of `bytes`, which is not empty; also gives what follows the piece.
    pub(super) fn read<'b>(&mut self, bytes: &'b [u8]) -> Result<(Piece<'b>, &'b [u8]), Fault> {
        if *self == Text::Plain {
            // Most of a string is passed over in one go.
            let plain = bytes
                .iter()
                .position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20 | 0x80..))
                .unwrap_or(bytes.len());
            if plain > 0 {
                let (run, rest) = bytes.split_at(plain);
                return Ok((Piece::Bytes(run), rest));
            }
        }
        let Some((&byte, rest)) = bytes.split_first() else {
            return Ok((Piece::Pending, bytes));
        };
        let piece = match *self {
            Text::Plain => match byte {
                b'"' => Piece::End,
                b'\\' => self.pending(Text::Backslash),
                _ => {
                    *self = sequence_begins(byte)?;
                    Piece::Bytes(bytes.get(..1).unwrap_or_default())
                }
            },
            Text::Backslash => match byte {
                b'"' | b'\\' | b'/' => self.character(char::from(byte)),
                b'b' => self.character('\u{8}'),
                b'f' => self.character('\u{c}'),
                b'n' => self.character('\n'),
                b'r' => self.character('\r'),
                b't' => self.character('\t'),
                b'u' => self.pending(hex(None)),
                _ => return Err(Fault::Malformed),
            },
            Text::Hex { missing, value, high } => {
                let digit = char::from(byte).to_digit(16).ok_or(Fault::Malformed)?;
                let value = value << 4 | digit;
                match missing {
                    1 => self.escape_ends(value, high)?,
                    _ => self.pending(Text::Hex {
                        missing: missing - 1,
                        value,
                        high,
                    }),
                }
            }
            Text::LowBackslash(high) if byte == b'\\' => self.pending(Text::LowU(high)),
            Text::LowU(high) if byte == b'u' => self.pending(hex(Some(high))),
            Text::LowBackslash(_) | Text::LowU(_) => return Err(Fault::Malformed),
            Text::Sequence { missing, least, most } => {
                if !(least..=most).contains(&byte) {
                    return Err(Fault::Malformed);
                }
                *self = match missing {
                    1 => Text::Plain,
                    _ => Text::Sequence {
                        missing: missing - 1,
                        least: 0x80,
                        most: 0xbf,
                    },
                };
                Piece::Bytes(bytes.get(..1).unwrap_or_default())
            }
        };
        Ok((piece, rest))
    }

    fn pending<'b>(&mut self, next: Text) -> Piece<'b> {
        *self = next;
        Piece::Pending
    }

    fn character<'b>(&mut self, character: char) -> Piece<'b> {
        *self = Text::Plain;
        Piece::Character(character)
    }

    /// After the four digits of `\u`. A surrogate without its other half is refused: what it means is
    /// "unpredictable" (RFC 8259 section 8.2).
    fn escape_ends<'b>(&mut self, value: u32, high: Option<u32>) -> Result<Piece<'b>, Fault> {
        let code = match (high, value) {
            (None, 0xd800..=0xdbff) => return Ok(self.pending(Text::LowBackslash(value))),
            (Some(high), 0xdc00..=0xdfff) => 0x1_0000 + ((high - 0xd800) << 10 | (value - 0xdc00)),
            (Some(_), _) => return Err(Fault::Malformed),
            (None, value) => value,
        };
        let character = char::from_u32(code).ok_or(Fault::Malformed)?;
        Ok(self.character(character))
    }
}

/// Before the four digits of `\u`.
fn hex(high: Option<u32>) -> Text {
    Text::Hex {
        missing: 4,
        value: 0,
        high,
    }
}

/// The first byte of a character that is not ASCII, by the table of RFC 3629 section 4: no overlong forms, no
/// surrogates, nothing above U+10FFFF. Control characters come here too and must be escaped (RFC 8259 section
/// 7).
fn sequence_begins(byte: u8) -> Result<Text, Fault> {
    let (missing, least, most) = match byte {
        0xc2..=0xdf => (1, 0x80, 0xbf),
        0xe0 => (2, 0xa0, 0xbf),
        0xed => (2, 0x80, 0x9f),
        0xe1..=0xef => (2, 0x80, 0xbf),
        0xf0 => (3, 0x90, 0xbf),
        0xf1..=0xf3 => (3, 0x80, 0xbf),
        0xf4 => (3, 0x80, 0x8f),
        _ => return Err(Fault::Malformed),
    };
    Ok(Text::Sequence { missing, least, most })
}
