//! One normal form of a path. What is decided on is what is forwarded: the same bytes.
//!
//! The normal form (RFC 3986 section 6.2.2): escapes of unreserved characters are decoded, all other escapes have
//! upper-case digits, what is no `pchar` is escaped, dot segments are resolved, doubled slashes are merged. Letter case
//! is kept: paths are case-sensitive (RFC 9110 section 4.2.3).
//!
//! What servers behind a gateway read in different ways has no normal form and is refused: encoded slashes and
//! backslashes, controls, invalid escapes, escapes that are no UTF-8, segments that hide dots or slashes behind a
//! second encoding, dot segments with parameters (`..;`), `..` beside a doubled slash, and `..` beyond the root.

use std::borrow::Cow;

/// Why a path has no normal form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// It does not begin with `/`.
    #[error("the path does not begin with a slash")]
    Relative,
    /// `%` without two hexadecimal digits after it.
    #[error("the path has an invalid escape")]
    Escape,
    /// A control character or a space, as it is or escaped; or `?` or `#`, which end a path.
    #[error("the path has a character that cannot be in a path")]
    Character,
    /// A backslash, or an escaped slash or backslash: one segment for some servers, two for others.
    #[error("the path has an encoded slash or a backslash")]
    Separator,
    /// Escapes that are no UTF-8, overlong forms among them.
    #[error("the path is not UTF-8")]
    NotUtf8,
    /// `..` leads out of the root.
    #[error("the path leads out of the root")]
    Climbs,
    /// Dots, slashes or controls that would appear after further decoding, or a dot segment with parameters.
    #[error("the path hides a dot segment or a slash")]
    Hidden,
    /// `..` together with a doubled slash: the result depends on which is resolved first.
    #[error("the path has a doubled slash beside a dot segment")]
    Ambiguous,
}

/// How often a segment is decoded to find out what it hides. What still has escapes then is refused; nobody sends it
/// in good faith, and it keeps the cost linear.
const DECODINGS: usize = 3;

/// The normal form of `path`: borrowed, after a single scan, if it has that form already.
///
/// Normalising twice gives the same as once. The result begins with `/` and has no dot segment and no empty segment
/// except a last one.
///
/// # Errors
/// [`PathError`] for what has no single meaning.
pub fn normalise(path: &str) -> Result<Cow<'_, str>, PathError> {
    if is_plainly_normal(path.as_bytes()) {
        return Ok(Cow::Borrowed(path));
    }
    let rest = path.strip_prefix('/').ok_or(PathError::Relative)?;
    let mut normal = Normal::with_capacity(path.len());
    for segment in rest.split('/') {
        normal.push(segment)?;
    }
    let text = normal.finish()?;
    Ok(if text == path {
        Cow::Borrowed(path)
    } else {
        Cow::Owned(text)
    })
}

/// Is `path` its own [normal form](normalise)?
pub fn is_normal(path: &str) -> bool {
    matches!(normalise(path), Ok(Cow::Borrowed(_)))
}

/// What lenient servers may take `path` (in normal form) for: escapes that were encoded again (`%2561`) decoded, escaped
/// reserved characters (`%2C`) too, parameters (`;x`) cut off, blanks at both ends of a segment and dots at its end dropped.
/// `None` when that is `path` itself.
///
/// The router uses it to refuse a path that another, perhaps stricter, route might stand for; it is never forwarded.
pub fn lenient_reading(path: &str) -> Option<String> {
    let bytes = path.as_bytes();
    let mut previous = b'/';
    let suspicious = bytes.iter().any(|byte| {
        let found = matches!(*byte, b';' | b'%') || (*byte == b'/' && previous == b'.');
        previous = *byte;
        found
    });
    if !suspicious && previous != b'.' {
        return None;
    }
    let further = decoded_further(path);
    let mut reading = String::with_capacity(path.len());
    for (index, segment) in further.split('/').enumerate() {
        if index > 0 {
            reading.push('/');
        }
        let start = reading.len();
        let mut rest = segment;
        while let Some(next) = rest.chars().next() {
            let reserved = rest.get(1..3).filter(|_| next == '%').and_then(reserved_of);
            let (character, length) = reserved.map_or((next, next.len_utf8()), |decoded| (decoded, 3));
            if character == ';' {
                break;
            }
            reading.push(character);
            rest = rest.get(length..).unwrap_or_default();
        }
        loop {
            let written = reading.get(start..).unwrap_or_default();
            let trimmed = written.strip_suffix("%20").or_else(|| written.strip_suffix('.'));
            let Some(trimmed) = trimmed.filter(|left| !left.is_empty()) else {
                break;
            };
            reading.truncate(start + trimmed.len());
        }
        while reading
            .get(start..)
            .is_some_and(|left| left.starts_with("%20") && left.len() > "%20".len())
        {
            reading.drain(start..start + "%20".len());
        }
    }
    (reading != path).then_some(reading)
}

/// `%2561` as `a`, `%252561` too, `%2520` as `%20`: what decoding again and again leaves, in normal form. Slashes and dot
/// segments do not appear by it: [`normalise`] has refused them.
fn decoded_further(path: &str) -> Cow<'_, str> {
    let mut all = Cow::Borrowed(path);
    while let Some(shorter) = decoded_once_more(&all) {
        all = Cow::Owned(shorter);
    }
    all
}

/// One step of [`decoded_further`]; `None` when nothing is left to do.
fn decoded_once_more(path: &str) -> Option<String> {
    let mut text = String::new();
    let mut rest = path;
    while let Some((before, after)) = rest.split_once("%25") {
        text.push_str(before);
        let digits = after
            .get(..2)
            .filter(|two| two.bytes().all(|digit| digit.is_ascii_hexdigit()));
        rest = match digits.map(|digits| (digits, u8::from_str_radix(digits, 16))) {
            Some((_, Ok(byte))) if is_unreserved(byte) => {
                text.push(char::from(byte));
                after.get(2..).unwrap_or_default()
            }
            Some((digits, _)) => {
                text.push('%');
                text.push_str(&digits.to_ascii_uppercase());
                after.get(2..).unwrap_or_default()
            }
            None => {
                text.push_str("%25");
                after
            }
        };
    }
    text.push_str(rest);
    (text.len() < path.len()).then_some(text)
}

/// Sub-delimiters, `:` and `@` may stand in a segment as they are (RFC 3986 section 3.3); escaping them makes a
/// different URI by the letter and the same one for most servers.
fn reserved_of(digits: &str) -> Option<char> {
    let byte = u8::from_str_radix(digits, 16).ok()?;
    matches!(
        byte,
        b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' | b':' | b'@'
    )
    .then_some(char::from(byte))
}

/// What a byte means to the quick scan.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Nothing: a `pchar` without a role.
    Plain,
    /// `/`, `.` and `;`: fine unless right after a slash.
    NotAfterSlash,
    /// Everything else asks for the long way.
    Other,
}

#[expect(
    clippy::indexing_slicing,
    reason = "done by the compiler, which would stop at a mistake"
)]
const CLASSES: [Class; 256] = {
    let mut classes = [Class::Other; 256];
    let mut index = 0;
    while index < 256 {
        let byte = index as u8;
        classes[index] = match byte {
            b'/' | b'.' | b';' => Class::NotAfterSlash,
            _ if is_pchar(byte) => Class::Plain,
            _ => Class::Other,
        };
        index += 1;
    }
    classes
};

/// Is this the normal form without any doubt? `false` only means that the long way decides.
fn is_plainly_normal(path: &[u8]) -> bool {
    let Some((b'/', rest)) = path.split_first() else {
        return false;
    };
    let mut after_slash = true;
    for byte in rest {
        match CLASSES.get(usize::from(*byte)) {
            Some(Class::Plain) => after_slash = false,
            Some(Class::NotAfterSlash) if !after_slash => after_slash = *byte == b'/',
            _ => return false,
        }
    }
    true
}

/// `pchar` of RFC 3986 section 3.3, without escapes.
const fn is_pchar(byte: u8) -> bool {
    is_unreserved(byte)
        || matches!(
            byte,
            b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' | b':' | b'@'
        )
}

/// `unreserved` of RFC 3986 section 2.3: the escape and the character are the same.
const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// A normal form being built.
struct Normal {
    /// `/segment/segment`.
    text: String,
    /// The last segment seen was empty or a dot segment, so the path ends with a slash.
    open: bool,
    merged: bool,
    climbed: bool,
    /// The present segment, decoded; kept for its memory.
    decoded: Vec<u8>,
}

impl Normal {
    fn with_capacity(bytes: usize) -> Normal {
        Normal {
            text: String::with_capacity(bytes),
            open: false,
            merged: false,
            climbed: false,
            decoded: Vec::new(),
        }
    }

    fn push(&mut self, segment: &str) -> Result<(), PathError> {
        if self.open && self.last_was_empty() {
            self.merged = true;
        }
        if segment.is_empty() {
            self.open = true;
            self.decoded.clear();
            return Ok(());
        }
        let before = self.text.len();
        self.text.push('/');
        self.write(segment)?;
        self.open = false;
        match self.decoded.as_slice() {
            b"." => {
                self.text.truncate(before);
                self.open = true;
            }
            b".." => {
                self.text.truncate(before);
                let parent = self.text.rfind('/').ok_or(PathError::Climbs)?;
                self.text.truncate(parent);
                self.open = true;
                self.climbed = true;
            }
            _ => refuse_hidden(&self.decoded)?,
        }
        Ok(())
    }

    /// An empty segment leaves nothing decoded; a dot segment leaves its dots.
    fn last_was_empty(&self) -> bool {
        self.decoded.is_empty()
    }

    /// Appends one segment in normal form and keeps what it decodes to.
    fn write(&mut self, segment: &str) -> Result<(), PathError> {
        self.decoded.clear();
        let mut bytes = segment.bytes();
        while let Some(byte) = bytes.next() {
            let escaped = byte == b'%';
            let byte = if escaped {
                hexadecimal(bytes.next(), bytes.next()).ok_or(PathError::Escape)?
            } else {
                byte
            };
            match byte {
                b'/' | b'\\' => return Err(PathError::Separator),
                0..=0x1f | 0x7f => return Err(PathError::Character),
                b' ' | b'?' | b'#' if !escaped => return Err(PathError::Character),
                _ => {}
            }
            if is_unreserved(byte) || (!escaped && is_pchar(byte)) {
                self.text.push(char::from(byte));
            } else {
                const DIGITS: [char; 16] = [
                    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F',
                ];
                self.text.push('%');
                for digit in [byte >> 4, byte & 15] {
                    self.text
                        .push(DIGITS.get(usize::from(digit)).copied().unwrap_or('0'));
                }
            }
            self.decoded.push(byte);
        }
        std::str::from_utf8(&self.decoded).map_err(|_| PathError::NotUtf8)?;
        Ok(())
    }

    fn finish(mut self) -> Result<String, PathError> {
        if self.merged && self.climbed {
            return Err(PathError::Ambiguous);
        }
        if self.open || self.text.is_empty() {
            self.text.push('/');
        }
        Ok(self.text)
    }
}

fn hexadecimal(high: Option<u8>, low: Option<u8>) -> Option<u8> {
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|value| u8::try_from(value).ok())
    };
    Some(digit(high?)? << 4 | digit(low?)?)
}

/// Refuses a segment that means something else to a server that decodes it again, cuts parameters off or trims
/// blanks.
fn refuse_hidden(once: &[u8]) -> Result<(), PathError> {
    let mut level = Cow::Borrowed(once);
    for _ in 0..DECODINGS {
        let name = level.split(|byte| *byte == b';').next().unwrap_or_default();
        let has_parameters = name.len() < level.len();
        let trimmed = name.trim_ascii();
        if matches!(trimmed, b"." | b"..") || (trimmed.is_empty() && has_parameters) {
            return Err(PathError::Hidden);
        }
        let Some(next) = decode_again(&level) else {
            return Ok(());
        };
        if next
            .iter()
            .any(|byte| matches!(byte, b'/' | b'\\' | 0..=0x1f | 0x7f))
        {
            return Err(PathError::Hidden);
        }
        level = Cow::Owned(next);
    }
    Err(PathError::Hidden)
}

/// One more decoding, or `None` when nothing is left to decode. A `%` that begins no escape stays.
fn decode_again(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    let mut changed = false;
    while let Some((first, after)) = rest.split_first() {
        let escape = match after {
            [high, low, ..] if *first == b'%' => hexadecimal(Some(*high), Some(*low)),
            _ => None,
        };
        decoded.push(escape.unwrap_or(*first));
        changed |= escape.is_some();
        rest = after
            .get(if escape.is_some() { 2 } else { 0 }..)
            .unwrap_or_default();
    }
    changed.then_some(decoded)
}

#[cfg(test)]
#[path = "path_tests.rs"]
mod tests;
