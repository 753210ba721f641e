//! Frames as bytes (RFC 9113 section 4.1): written without any check, so that a case can be wrong on purpose.

use std::fmt;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PUSH_PROMISE: u8 = 5;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;
/// A type that nobody has registered.
pub const UNKNOWN: u8 = 0xbb;

pub const END_STREAM: u8 = 0x1;
pub const ACK: u8 = 0x1;
pub const END_HEADERS: u8 = 0x4;
pub const PADDED: u8 = 0x8;
pub const WITH_PRIORITY: u8 = 0x20;
/// A whole request or trailer section in one frame.
pub const WHOLE: u8 = END_STREAM | END_HEADERS;

/// The largest payload that needs no leave (section 4.2).
pub const MAX_FRAME: usize = 16_384;
/// The flow-control windows at the start (section 6.9.2).
pub const WINDOW: usize = 65_535;

/// An error code (section 7).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Code(pub u32);

pub const NO_ERROR: Code = Code(0);
pub const PROTOCOL_ERROR: Code = Code(1);
pub const FLOW_CONTROL_ERROR: Code = Code(3);
pub const STREAM_CLOSED: Code = Code(5);
pub const FRAME_SIZE_ERROR: Code = Code(6);
pub const REFUSED_STREAM: Code = Code(7);
pub const CANCEL: Code = Code(8);
pub const ENHANCE_YOUR_CALM: Code = Code(11);

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            0 => "NO_ERROR",
            1 => "PROTOCOL_ERROR",
            2 => "INTERNAL_ERROR",
            3 => "FLOW_CONTROL_ERROR",
            4 => "SETTINGS_TIMEOUT",
            5 => "STREAM_CLOSED",
            6 => "FRAME_SIZE_ERROR",
            7 => "REFUSED_STREAM",
            8 => "CANCEL",
            9 => "COMPRESSION_ERROR",
            10 => "CONNECT_ERROR",
            11 => "ENHANCE_YOUR_CALM",
            12 => "INADEQUATE_SECURITY",
            13 => "HTTP_1_1_REQUIRED",
            other => return write!(f, "error {other:#x}"),
        })
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    /// All 32 bits: the reserved one can be set.
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frame {
    pub fn new(kind: u8, flags: u8, stream: u32, payload: impl Into<Vec<u8>>) -> Frame {
        Frame {
            kind,
            flags,
            stream,
            payload: payload.into(),
        }
    }

    pub fn data(flags: u8, stream: u32, payload: impl Into<Vec<u8>>) -> Frame {
        Frame::new(DATA, flags, stream, payload)
    }

    pub fn headers(flags: u8, stream: u32, block: impl Into<Vec<u8>>) -> Frame {
        Frame::new(HEADERS, flags, stream, block)
    }

    pub fn continuation(flags: u8, stream: u32, block: impl Into<Vec<u8>>) -> Frame {
        Frame::new(CONTINUATION, flags, stream, block)
    }

    /// A PRIORITY frame that depends on `parent`.
    pub fn priority(stream: u32, parent: u32) -> Frame {
        let mut payload = parent.to_be_bytes().to_vec();
        payload.push(15);
        Frame::new(PRIORITY, 0, stream, payload)
    }

    pub fn reset(stream: u32, code: Code) -> Frame {
        Frame::new(RST_STREAM, 0, stream, code.0.to_be_bytes())
    }

    pub fn settings(entries: &[(u16, u32)]) -> Frame {
        let mut payload = Vec::new();
        for (id, value) in entries {
            payload.extend_from_slice(&id.to_be_bytes());
            payload.extend_from_slice(&value.to_be_bytes());
        }
        Frame::new(SETTINGS, 0, 0, payload)
    }

    pub fn settings_ack() -> Frame {
        Frame::new(SETTINGS, ACK, 0, [])
    }

    pub fn ping(payload: [u8; 8]) -> Frame {
        Frame::new(PING, 0, 0, payload)
    }

    pub fn goaway(last: u32, code: Code) -> Frame {
        let mut payload = last.to_be_bytes().to_vec();
        payload.extend_from_slice(&code.0.to_be_bytes());
        Frame::new(GOAWAY, 0, 0, payload)
    }

    pub fn window_update(stream: u32, increment: u32) -> Frame {
        Frame::new(WINDOW_UPDATE, 0, stream, increment.to_be_bytes())
    }

    pub fn bytes(&self) -> Vec<u8> {
        let length = u32::try_from(self.payload.len()).expect("24 bits").to_be_bytes();
        let mut bytes = length[1..].to_vec();
        bytes.push(self.kind);
        bytes.push(self.flags);
        bytes.extend_from_slice(&self.stream.to_be_bytes());
        bytes.extend_from_slice(&self.payload);
        bytes
    }

    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag == flag
    }

    /// The 32 bits at `at` of the payload.
    pub fn word(&self, at: usize) -> u32 {
        u32::from_be_bytes(self.payload[at..at + 4].try_into().expect("four bytes"))
    }
}
