//! W3C Trace Context: `traceparent` and `tracestate`.

use http::{HeaderMap, HeaderValue};

use super::names::{TRACEPARENT, TRACESTATE};

/// A `traceparent` of version 00: `00-<32 hex>-<16 hex>-<2 hex>`, 55 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent {
    /// Names the whole trace; not all zero.
    pub trace: [u8; 16],
    /// Names one step of it; not all zero.
    pub span: [u8; 8],
    /// Bit 0: sampled. Bit 1: the trace id is random (level 2). The others are zero.
    pub flags: u8,
}

/// The length of a version 00 field.
const LENGTH: usize = 55;
/// The flags whose meaning is known; others must not be passed on (section 3.2.2.5).
const KNOWN_FLAGS: u8 = 0b11;
/// Members of a `tracestate` at most (section 3.3.1.1).
const MEMBERS: usize = 32;
/// Bytes of a `tracestate` that are passed on at most: the specification asks for at least 512 (section 3.3.1.5).
const STATE_BYTES: usize = 2_048;

impl TraceParent {
    /// Reads a field. `None` for anything that is not exactly a parent: the caller begins a new trace then, as section
    /// 3.2.4 asks for. A later version is read by the fields that version 00 has.
    pub fn parse(value: &[u8]) -> Option<TraceParent> {
        let (head, rest) = value.split_at_checked(LENGTH)?;
        let [version_high, version_low, b'-', rest_of_head @ ..] = head else {
            return None;
        };
        let version = hex::<1>(&[*version_high, *version_low])?;
        match version {
            [0xff] => return None,
            [0] if !rest.is_empty() => return None,
            _ if !rest.is_empty() && !rest.starts_with(b"-") => return None,
            _ => {}
        }
        let (trace, rest) = rest_of_head.split_at_checked(32)?;
        let (span, rest) = rest.strip_prefix(b"-")?.split_at_checked(16)?;
        let trace = hex::<16>(trace)?;
        let span = hex::<8>(span)?;
        let [flags] = hex::<1>(rest.strip_prefix(b"-")?)?;
        (trace != [0; 16] && span != [0; 8]).then_some(TraceParent {
            trace,
            span,
            flags: flags & KNOWN_FLAGS,
        })
    }

    /// The trace of a request: continues the one that exactly one valid `traceparent` names, with a step of its own,
    /// else begins a new one that is not sampled (the gateway records no spans, so it does not claim to).
    ///
    /// `random` gives the new step its id, and the new trace. Also says whether the client's `tracestate` still belongs
    /// to the trace.
    pub fn continue_or_begin(headers: &HeaderMap, random: [u8; 24]) -> (TraceParent, State) {
        let mut trace = [0; 16];
        let mut span = [0; 8];
        for (to, from) in trace.iter_mut().chain(span.iter_mut()).zip(random) {
            *to = from;
        }
        // All zero is not allowed; that it ever happens is a matter of 2^-64.
        if span == [0; 8] {
            span = [1; 8];
        }
        if trace == [0; 16] {
            trace = [1; 16];
        }
        let mut lines = headers.get_all(TRACEPARENT).iter();
        let parent = match (lines.next(), lines.next()) {
            (Some(line), None) => TraceParent::parse(line.as_bytes()),
            _ => None,
        };
        match parent {
            Some(parent) => (TraceParent { span, ..parent }, State::of(headers)),
            None => (
                TraceParent {
                    trace,
                    span,
                    flags: 0,
                },
                State::Foreign,
            ),
        }
    }

    /// The field's value.
    pub fn value(&self) -> HeaderValue {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        if let Some(digits) = text.get_mut(3..35) {
            write_hex(&self.trace, digits);
        }
        if let Some(digits) = text.get_mut(36..52) {
            write_hex(&self.span, digits);
        }
        if let Some(digits) = text.get_mut(53..55) {
            write_hex(&[self.flags], digits);
        }
        // Digits and hyphens are always a field value.
        HeaderValue::from_bytes(&text).unwrap_or_else(|_| HeaderValue::from_static(""))
    }

    /// The trace's id as text, for logs.
    pub fn trace_text(&self) -> String {
        let mut digits = [0; 32];
        write_hex(&self.trace, &mut digits);
        String::from_utf8_lossy(&digits).into_owned()
    }
}

/// Does the `tracestate` that came with a request belong to its trace?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It does (or there is none): it is passed on as it came.
    Kept,
    /// It belongs to a trace that could not be read, or breaks its own grammar: it is dropped.
    Foreign,
}

impl State {
    fn of(headers: &HeaderMap) -> State {
        let mut members = 0;
        let mut bytes = 0;
        for line in headers.get_all(TRACESTATE) {
            bytes += line.len();
            for member in line.as_bytes().split(|byte| *byte == b',') {
                let member = member.trim_ascii();
                if member.is_empty() {
                    continue;
                }
                members += 1;
                if !is_member(member) {
                    return State::Foreign;
                }
            }
        }
        if members > MEMBERS || bytes > STATE_BYTES {
            State::Foreign
        } else {
            State::Kept
        }
    }
}

/// `key "=" value` (section 3.3.1.3).
fn is_member(member: &[u8]) -> bool {
    let Some(equals) = member.iter().position(|byte| *byte == b'=') else {
        return false;
    };
    let (key, value) = member.split_at(equals);
    let value = value.get(1..).unwrap_or_default();
    let key_character =
        |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-*/@".contains(byte);
    let value_character = |byte: &u8| matches!(byte, 0x20..=0x2b | 0x2d..=0x3c | 0x3e..=0x7e);
    key.first()
        .is_some_and(|first| first.is_ascii_lowercase() || first.is_ascii_digit())
        && key.len() <= 256
        && key.iter().all(key_character)
        && (1..=256).contains(&value.len())
        && value.iter().all(value_character)
}

/// `N` bytes from `2 * N` lower-case digits: the specification does not allow upper case.
fn hex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    if digits.len() != 2 * N {
        return None;
    }
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

/// Writes `bytes` as lower-case digits into `digits`, which has two places for each.
pub(super) fn write_hex(bytes: &[u8], digits: &mut [u8]) {
    let digit = |value: u8| {
        if value < 10 {
            b'0' + value
        } else {
            b'a' + value - 10
        }
    };
    for (pair, byte) in digits.chunks_exact_mut(2).zip(bytes) {
        if let [high, low] = pair {
            *high = digit(byte >> 4);
            *low = digit(byte & 15);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn headers(parents: &[&str], states: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in parents {
            headers.append(TRACEPARENT, HeaderValue::from_str(value).unwrap());
        }
        for value in states {
            headers.append(TRACESTATE, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn a_valid_parent_is_continued_with_a_step_of_our_own() {
        let (parent, state) = TraceParent::continue_or_begin(&headers(&[PARENT], &["a=b, c@d=e"]), [7; 24]);
        assert_eq!(
            parent.value(),
            "00-0af7651916cd43dd8448eb211c80319c-0707070707070707-01"
        );
        assert_eq!(state, State::Kept);
        assert_eq!(parent.trace_text(), "0af7651916cd43dd8448eb211c80319c");
    }

    #[test]
    fn what_is_no_parent_begins_a_new_trace_without_the_state() {
        for bad in [
            "",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "zz-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01x",
        ] {
            let (parent, state) = TraceParent::continue_or_begin(&headers(&[bad], &["a=b"]), [7; 24]);
            assert_eq!(
                parent,
                TraceParent {
                    trace: [7; 16],
                    span: [7; 8],
                    flags: 0
                },
                "{bad}"
            );
            assert_eq!(state, State::Foreign);
        }
        let (twice, _) = TraceParent::continue_or_begin(&headers(&[PARENT, PARENT], &[]), [7; 24]);
        assert_eq!(twice.trace, [7; 16]);
        let (zero, _) = TraceParent::continue_or_begin(&headers(&[], &[]), [0; 24]);
        assert!(TraceParent::parse(zero.value().as_bytes()).is_some());
    }

    #[test]
    fn a_later_version_is_read_and_unknown_flags_are_not_passed_on() {
        let later = "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-ff-more";
        let parent = TraceParent::parse(later.as_bytes()).unwrap();
        assert_eq!(
            parent.value(),
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03"
        );
    }

    #[test]
    fn a_state_that_breaks_its_grammar_is_dropped() {
        let many = vec!["a=b"; 33].join(",");
        for bad in ["a", "=b", "A=b", "a=", "a=b=c", "_a=b", many.as_str()] {
            let (_, state) = TraceParent::continue_or_begin(&headers(&[PARENT], &[bad]), [7; 24]);
            assert_eq!(state, State::Foreign, "{bad}");
        }
        let (_, state) = TraceParent::continue_or_begin(&headers(&[PARENT], &["a=b,,", "c=d e"]), [7; 24]);
        assert_eq!(state, State::Kept);
    }

    proptest! {
        #[test]
        fn every_parent_survives_writing_and_reading(trace in any::<[u8; 16]>(), span in any::<[u8; 8]>(), flags in 0_u8..4) {
            prop_assume!(trace != [0; 16] && span != [0; 8]);
            let parent = TraceParent { trace, span, flags };
            prop_assert_eq!(TraceParent::parse(parent.value().as_bytes()), Some(parent));
        }

        #[test]
        fn nothing_makes_the_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..70)) {
            let _ = TraceParent::parse(&bytes);
            let _ = is_member(&bytes);
        }
    }
}
