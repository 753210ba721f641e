//! Counts the elements of one array in a JSON text while the text arrives.
//!
//! Strict RFC 8259, UTF-8 included; nothing is built, only the place in the text is known. The array is named
//! by a JSON Pointer (RFC 6901). Where two readers could disagree about which array that is, the text is
//! refused: a member name on the way that occurs twice (RFC 8259 section 4: "the behavior of software that
//! receives such an object is unpredictable"), or one that differs only in case, which some readers take for
//! the same.

mod number;
mod text;

use number::Number;
use text::{Piece, Text};

/// Deepest nesting that is read. What is nested deeper is refused, since readers differ there too (RFC 8259
/// section 9).
pub const DEEPEST: u32 = 64;

/// Why a text is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It is not JSON, or not JSON that every reader takes for the same.
    #[error("not JSON of the expected shape")]
    Malformed,
    /// The array has more elements than allowed.
    #[error("more elements than allowed")]
    TooMany,
}

/// A count in progress. Feed it every byte, then [`Counter::finish`]. After a fault it must not be fed again.
#[derive(Debug)]
pub struct Counter<'p> {
    pointer: &'p [String],
    most: u64,
    count: u64,
    state: State,
    /// Open containers, and for each whether it is an object: the innermost is the lowest bit.
    depth: u32,
    objects: u64,
    /// What is known of the open containers that lie on the pointer's way, from the outermost.
    way: Vec<OnWay>,
    /// The value that comes next lies on the way.
    next_on_way: bool,
    /// Depth inside the counted array, once it is open.
    counted_at: Option<u32>,
    /// What the string that is being read is for.
    used: Use,
    /// The member name being read, as far as it can still be the one looked for.
    name: Name,
    /// What becomes of a text that is one string.
    unwrap: Unwrap<'p>,
}

#[derive(Debug)]
enum Unwrap<'p> {
    /// A string at the top is decoded and counted.
    Allowed,
    /// This is happening.
    Running(Box<Counter<'p>>),
    /// This text came out of a string already.
    Forbidden,
}

#[derive(Debug, Default)]
struct OnWay {
    /// Object: the member looked for was there already.
    seen: bool,
    /// Array: number of the element that is being read or comes next.
    element: u64,
}

#[derive(Debug, Default)]
struct Name {
    bytes: Vec<u8>,
    /// Longer than anything that could match; no longer collected.
    hopeless: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// A value must come.
    Value,
    /// After `[`: a value or `]`.
    FirstElement,
    /// After `{`: a name or `}`.
    FirstName,
    /// After `,` in an object: a name.
    Name,
    /// After a name: `:`.
    Colon,
    /// After a value: `,` or the end of the container.
    After,
    Text(Text),
    Number(Number),
    /// In `true`, `false` or `null`: what is still missing.
    Word(&'static [u8]),
    /// After the only value.
    End,
}

/// What becomes of a string's characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    /// A value that does not matter.
    Skip,
    /// A member name that is not on the way.
    SkipName,
    /// A member name on the way.
    Collect,
    /// The content of the string is what is counted.
    Unwrap,
}

impl<'p> Counter<'p> {
    /// A counter for the array at `pointer` (decoded segments; none: the text itself), which refuses element
    /// `most` + 1. A text that is one JSON string is decoded, once, and its content is counted.
    pub fn new(pointer: &'p [String], most: u64) -> Counter<'p> {
        Counter::with(pointer, most, Unwrap::Allowed)
    }

    fn with(pointer: &'p [String], most: u64, unwrap: Unwrap<'p>) -> Counter<'p> {
        Counter {
            pointer,
            most,
            count: 0,
            state: State::Value,
            depth: 0,
            objects: 0,
            way: Vec::new(),
            next_on_way: true,
            counted_at: None,
            used: Use::Skip,
            name: Name::default(),
            unwrap,
        }
    }

    /// Reads the next bytes of the text.
    ///
    /// # Errors
    /// [`Fault`], as soon as it is certain.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let mut rest = bytes;
        while let Some((&byte, after)) = rest.split_first() {
            rest = match self.state {
                State::Text(text) => self.text(text, rest)?,
                State::Number(number) => match number.next(byte)? {
                    Some(next) => {
                        self.state = State::Number(next);
                        after
                    }
                    // The byte belongs to what follows.
                    None => {
                        self.value_ends();
                        rest
                    }
                },
                State::Word(missing) => {
                    let (&expected, missing) = missing.split_first().ok_or(Fault::Malformed)?;
                    if byte != expected {
                        return Err(Fault::Malformed);
                    }
                    if missing.is_empty() {
                        self.value_ends();
                    } else {
                        self.state = State::Word(missing);
                    }
                    after
                }
                // RFC 8259 section 2: insignificant whitespace.
                _ if matches!(byte, b' ' | b'\t' | b'\n' | b'\r') => after,
                State::Value => {
                    self.value_begins(byte)?;
                    after
                }
                State::FirstElement => {
                    if byte == b']' {
                        self.close(false)?;
                    } else {
                        self.value_begins(byte)?;
                    }
                    after
                }
                State::FirstName => {
                    if byte == b'}' {
                        self.close(true)?;
                    } else {
                        self.name_begins(byte)?;
                    }
                    after
                }
                State::Name => {
                    self.name_begins(byte)?;
                    after
                }
                State::Colon => {
                    if byte != b':' {
                        return Err(Fault::Malformed);
                    }
                    self.state = State::Value;
                    after
                }
                State::After => {
                    match (byte, self.in_object()) {
                        (b',', true) => self.state = State::Name,
                        (b',', false) => self.next_element(),
                        (b'}', true) => self.close(true)?,
                        (b']', false) => self.close(false)?,
                        _ => return Err(Fault::Malformed),
                    }
                    after
                }
                State::End => return Err(Fault::Malformed),
            };
        }
        Ok(())
    }

    /// The text has ended: how many elements the array has; 0 if there is none at that place.
    ///
    /// # Errors
    /// [`Fault::Malformed`] if the text ends too early.
    pub fn finish(mut self) -> Result<u64, Fault> {
        if let State::Number(number) = self.state
            && number.is_complete()
        {
            self.value_ends();
        }
        if self.state != State::End {
            return Err(Fault::Malformed);
        }
        match self.unwrap {
            Unwrap::Running(content) => content.finish(),
            Unwrap::Allowed | Unwrap::Forbidden => Ok(self.count),
        }
    }

    fn in_object(&self) -> bool {
        self.objects & 1 == 1
    }

    /// The innermost open container, if it lies on the way.
    fn here(&mut self) -> Option<&mut OnWay> {
        if self.counted_at.is_none() && usize::try_from(self.depth).is_ok_and(|depth| depth == self.way.len())
        {
            self.way.last_mut()
        } else {
            None
        }
    }

    /// The pointer's segment that must match inside the innermost container on the way.
    fn segment(&self) -> Option<&'p str> {
        let depth = self.way.len().checked_sub(1)?;
        self.pointer.get(depth).map(String::as_str)
    }

    fn value_begins(&mut self, byte: u8) -> Result<(), Fault> {
        if self.counted_at == Some(self.depth) {
            self.count += 1;
            if self.count > self.most {
                return Err(Fault::TooMany);
            }
        }
        let on_way = std::mem::take(&mut self.next_on_way);
        let target = on_way && self.way.len() == self.pointer.len();
        let whole = self.depth == 0;
        match byte {
            b'[' => {
                self.open(false)?;
                if target {
                    self.counted_at = Some(self.depth);
                } else if on_way {
                    self.way.push(OnWay::default());
                    self.next_on_way = self.element_matches(0);
                }
                self.state = State::FirstElement;
                return Ok(());
            }
            b'"' if whole => {
                let Unwrap::Allowed = self.unwrap else {
                    return Err(Fault::Malformed);
                };
                let content = Counter::with(self.pointer, self.most, Unwrap::Forbidden);
                self.unwrap = Unwrap::Running(Box::new(content));
                self.text_begins(Use::Unwrap);
                return Ok(());
            }
            // What is counted is there and is no array.
            _ if target => return Err(Fault::Malformed),
            b'{' => {
                self.open(true)?;
                if on_way {
                    self.way.push(OnWay::default());
                }
                self.state = State::FirstName;
            }
            b'"' => self.text_begins(Use::Skip),
            b't' => self.state = State::Word(b"rue"),
            b'f' => self.state = State::Word(b"alse"),
            b'n' => self.state = State::Word(b"ull"),
            _ => self.state = State::Number(Number::begins(byte).ok_or(Fault::Malformed)?),
        }
        Ok(())
    }

    fn value_ends(&mut self) {
        self.state = if self.depth == 0 { State::End } else { State::After };
    }

    fn open(&mut self, object: bool) -> Result<(), Fault> {
        if self.depth == DEEPEST {
            return Err(Fault::Malformed);
        }
        self.depth += 1;
        self.objects = self.objects << 1 | u64::from(object);
        Ok(())
    }

    fn close(&mut self, object: bool) -> Result<(), Fault> {
        if self.in_object() != object || self.depth == 0 {
            return Err(Fault::Malformed);
        }
        if self.counted_at == Some(self.depth) {
            self.counted_at = None;
        } else if self.here().is_some() {
            self.way.pop();
        }
        self.next_on_way = false;
        self.depth -= 1;
        self.objects >>= 1;
        self.value_ends();
        Ok(())
    }

    /// After `,` in an array.
    fn next_element(&mut self) {
        self.state = State::Value;
        let Some(here) = self.here() else { return };
        here.element += 1;
        let element = here.element;
        self.next_on_way = self.element_matches(element);
    }

    /// RFC 6901 section 4: an array index has digits only, and no leading zeros.
    fn element_matches(&self, element: u64) -> bool {
        self.segment().is_some_and(|segment| {
            segment.bytes().all(|byte| byte.is_ascii_digit())
                && (segment == "0" || !segment.starts_with('0'))
                && segment.parse() == Ok(element)
        })
    }

    fn name_begins(&mut self, byte: u8) -> Result<(), Fault> {
        if byte != b'"' {
            return Err(Fault::Malformed);
        }
        let used = if self.here().is_some() {
            Use::Collect
        } else {
            Use::SkipName
        };
        self.name.bytes.clear();
        self.name.hopeless = false;
        self.text_begins(used);
        Ok(())
    }

    fn name_ends(&mut self) -> Result<(), Fault> {
        let (Some(segment), false) = (self.segment(), self.name.hopeless) else {
            return Ok(());
        };
        if self.name.bytes == segment.as_bytes() {
            let twice = self
                .here()
                .is_none_or(|here| std::mem::replace(&mut here.seen, true));
            if twice {
                return Err(Fault::Malformed);
            }
            self.next_on_way = true;
            return Ok(());
        }
        let name = std::str::from_utf8(&self.name.bytes).map_err(|_| Fault::Malformed)?;
        if folded(name) == folded(segment) {
            return Err(Fault::Malformed);
        }
        Ok(())
    }

    fn text_begins(&mut self, used: Use) {
        self.used = used;
        self.state = State::Text(Text::Plain);
    }

    /// Reads on in a string; gives back what follows the part that was read.
    fn text<'b>(&mut self, mut text: Text, bytes: &'b [u8]) -> Result<&'b [u8], Fault> {
        let (piece, rest) = text.read(bytes)?;
        self.state = State::Text(text);
        match piece {
            Piece::Bytes(bytes) => self.emit(bytes)?,
            Piece::Character(character) => self.emit(character.encode_utf8(&mut [0; 4]).as_bytes())?,
            Piece::Pending => {}
            Piece::End => self.text_ends()?,
        }
        Ok(rest)
    }

    /// Hands on decoded bytes of a string.
    fn emit(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        match self.used {
            Use::Skip | Use::SkipName => Ok(()),
            Use::Collect => {
                // Folding changes a name's length by less than a factor of three in either direction.
                let longest = self
                    .segment()
                    .map_or(0, |segment| segment.len().saturating_mul(3));
                if self.name.bytes.len() + bytes.len() > longest {
                    self.name.hopeless = true;
                } else if !self.name.hopeless {
                    self.name.bytes.extend_from_slice(bytes);
                }
                Ok(())
            }
            Use::Unwrap => match &mut self.unwrap {
                Unwrap::Running(content) => content.feed(bytes),
                Unwrap::Allowed | Unwrap::Forbidden => Err(Fault::Malformed),
            },
        }
    }

    fn text_ends(&mut self) -> Result<(), Fault> {
        match self.used {
            Use::Skip | Use::Unwrap => self.value_ends(),
            Use::SkipName => self.state = State::Colon,
            Use::Collect => {
                self.state = State::Colon;
                self.name_ends()?;
            }
        }
        Ok(())
    }
}

/// Upper case, then lower: so that also `ſ` is an `s`, and the Kelvin sign a `k`, as some readers have it.
fn folded(text: &str) -> String {
    text.to_uppercase().to_lowercase()
}

#[cfg(test)]
mod tests;
