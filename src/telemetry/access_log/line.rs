//! One line of the access log: a JSON object, written field by field as the facts come in.
//!
//! So a request needs one buffer and no copies of names it already has, and nothing at all when the log is off.

use std::fmt::{self, Display, Write as _};
use std::time::Duration;

macro_rules! fields {
    ($($variant:ident = $name:literal, $longest:expr, $says:literal;)+) => {
        /// A field of a line. Names are those of OpenTelemetry's semantic conventions where they have one.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Field { $(#[doc = $says] $variant),+ }

        impl Field {
            /// All fields.
            pub const ALL: &'static [Field] = &[$(Field::$variant),+];

            /// The key in the JSON object.
            pub fn name(self) -> &'static str {
                match self { $(Field::$variant => $name),+ }
            }

            /// What it says, one sentence for the manual.
            pub fn says(self) -> &'static str {
                match self { $(Field::$variant => $says),+ }
            }

            /// A longer text is cut after so many bytes: what a client sends must not fill the disk.
            fn longest(self) -> usize {
                match self { $(Field::$variant => $longest),+ }
            }
        }
    };
}

/// Longest value that comes from a name in the configuration, an identifier or the gateway itself.
const NAME: usize = 512;
/// Longest value that is a piece of the request target.
const TARGET: usize = 8 << 10;

fields! {
    Timestamp = "timestamp", NAME, "When the request began, RFC 3339 in UTC with milliseconds.";
    Method = "http.request.method", NAME, "Method.";
    Host = "server.address", NAME, "The host that the client asked for, lower case, without port.";
    Path = "url.path", TARGET, "Path in its normal form.";
    Query = "url.query", TARGET, "Query, redacted; not with `query: false`.";
    Scheme = "url.scheme", NAME, "`https` or `http`, as the client reached the gateway.";
    Version = "network.protocol.version", NAME, "HTTP version: `1.0`, `1.1`, `2`.";
    Client = "client.address", NAME, "The client's address, seen through trusted proxies.";
    Peer = "network.peer.address", NAME, "The address that the connection came from.";
    UserAgent = "user_agent.original", NAME, "The User-Agent field.";
    RequestId = "tollgate.request_id", NAME, "The request id that the backend gets and a refusal names.";
    TraceId = "trace_id", NAME, "W3C trace id, 32 hexadecimal digits.";
    Api = "tollgate.api", NAME, "The api's name.";
    Route = "http.route", NAME, "The route's name.";
    Credential = "tollgate.credential", NAME, "Kind of credential: `jwt`, `token`, `api-key`, `introspected`, `session`, `basic`.";
    Issuer = "tollgate.issuer", NAME, "The issuer that vouches for it, or the realm of the account.";
    Subject = "tollgate.subject", NAME, "Who called.";
    User = "tollgate.user", NAME, "The name of the account that called.";
    OauthClient = "tollgate.client", NAME, "The OAuth client that the token was issued to.";
    Customer = "tollgate.customer", NAME, "Whose quota was charged.";
    Tenant = "tollgate.tenant", NAME, "Whose data was touched.";
    Region = "tollgate.region", NAME, "The region of the call.";
    Backend = "tollgate.backend", NAME, "The backend.";
    Endpoint = "tollgate.endpoint", NAME, "The endpoint that answered, or the last one tried.";
    Attempts = "tollgate.attempts", NAME, "How often the request was sent to a backend.";
    UpstreamDuration = "tollgate.upstream.duration", NAME, "Seconds from sending it to the head of the backend's answer.";
    Status = "http.response.status_code", NAME, "The status that was sent; missing if none was.";
    Outcome = "tollgate.outcome", NAME, "`answered`, `refused`, `client_gone` or `upstream_cut`.";
    Refusal = "tollgate.refusal.code", NAME, "Code of the refusal.";
    RefusalDetail = "tollgate.refusal.detail", NAME, "What the client is not told about the refusal.";
    Limit = "tollgate.limit", NAME, "The limit that refused.";
    RequestBytes = "http.request.body.size", NAME, "Bytes of the request body that were read.";
    ResponseBytes = "http.response.body.size", NAME, "Bytes of the answer's body that were sent.";
    Duration = "http.server.request.duration", NAME, "Seconds from the head of the request to the end of the answer.";
}

/// Each field has its bit in [`Line::written`].
const _: () = assert!(Field::ALL.len() <= 64);

/// A line under construction. A field that is set twice keeps its first value: JSON with one key twice is read in two
/// ways.
#[derive(Debug)]
pub struct Line {
    text: String,
    written: u64,
}

impl Line {
    /// An empty object. The capacity fits a usual line, so that it is allocated once.
    pub(super) fn new() -> Line {
        let mut text = String::with_capacity(1 << 10);
        text.push('{');
        Line { text, written: 0 }
    }

    /// Sets a field to a text. Control characters are escaped, a text that is too long is cut.
    pub fn text(&mut self, field: Field, value: &str) {
        self.quoted(field, |escaped| escaped.write_str(value));
    }

    /// Sets a field to a text of bytes, as header values may be; what is not UTF-8 becomes U+FFFD.
    pub fn bytes(&mut self, field: Field, value: &[u8]) {
        self.text(field, &String::from_utf8_lossy(value));
    }

    /// Sets a field to what `value` displays.
    pub fn display(&mut self, field: Field, value: &dyn Display) {
        self.quoted(field, |escaped| write!(escaped, "{value}"));
    }

    fn quoted(&mut self, field: Field, write: impl FnOnce(&mut Escaped<'_>) -> fmt::Result) {
        if self.key(field) {
            self.text.push('"');
            let mut escaped = Escaped {
                text: &mut self.text,
                left: field.longest(),
            };
            // Only the end of the room is an error here; the mark says so in the line.
            if write(&mut escaped).is_err() {
                self.text.push('…');
            }
            self.text.push('"');
        }
    }

    /// Sets a field to a whole number.
    pub fn number(&mut self, field: Field, value: u64) {
        if self.key(field) {
            let _ = write!(self.text, "{value}");
        }
    }

    /// Sets a field to a duration in seconds, with microseconds.
    pub fn seconds(&mut self, field: Field, value: Duration) {
        if self.key(field) {
            let _ = write!(self.text, "{}.{:06}", value.as_secs(), value.subsec_micros());
        }
    }

    /// Ends the object and the line.
    pub(super) fn finish(mut self) -> String {
        self.text.push_str("}\n");
        self.text
    }

    /// Writes the key, unless it is there already.
    fn key(&mut self, field: Field) -> bool {
        let bit = 1 << (field as u64);
        if self.written & bit != 0 {
            return false;
        }
        if self.written != 0 {
            self.text.push(',');
        }
        self.written |= bit;
        // The names are constants without anything to escape.
        self.text.push('"');
        self.text.push_str(field.name());
        self.text.push_str("\":");
        true
    }
}

/// Writes into a JSON string (RFC 8259 section 7), at most `left` bytes of the value.
struct Escaped<'t> {
    text: &'t mut String,
    left: usize,
}

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, value: &str) -> fmt::Result {
        // Without branches, and looking at every byte, so that the compiler takes many at a time.
        let plain = |byte: u8| matches!(byte, b' '..=b'~') & (byte != b'"') & (byte != b'\\');
        if value.len() <= self.left && value.bytes().fold(true, |all, byte| all & plain(byte)) {
            self.text.push_str(value);
            self.left -= value.len();
            return Ok(());
        }
        for c in value.chars() {
            self.left = self.left.checked_sub(c.len_utf8()).ok_or(fmt::Error)?;
            match c {
                '"' => self.text.push_str("\\\""),
                '\\' => self.text.push_str("\\\\"),
                // Beyond what JSON asks for: DEL and the C1 controls drive terminals, U+2028 and U+2029 end lines for
                // some readers, U+202A to U+202E and U+2066 to U+2069 turn the text around for people.
                c if c.is_control()
                    || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}') =>
                {
                    write!(self.text, "\\u{:04x}", u32::from(c))?;
                }
                c => self.text.push(c),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: Line) -> serde_json::Value {
        let text = line.finish();
        assert_eq!(text.matches('\n').count(), 1);
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn whatever_a_client_sends_stays_one_line_of_json_without_control_characters() {
        let nasty = "a\"b\\c\r\nd\u{1b}[31m\u{7f}\u{9b}31m\u{2028}\u{202e}\t\0é漢";
        let mut line = Line::new();
        line.text(Field::Path, nasty);
        line.bytes(Field::UserAgent, b"x\xff\x1b]0;owned\x07");
        let text = line.finish();
        assert!(
            !text.trim_end_matches('\n').chars().any(char::is_control),
            "{text:?}"
        );
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read["url.path"], nasty);
        assert_eq!(read["user_agent.original"], "x\u{fffd}\u{1b}]0;owned\u{7}");
    }

    #[test]
    fn a_field_that_is_set_twice_keeps_its_first_value() {
        let mut line = Line::new();
        line.number(Field::Status, 200);
        line.number(Field::Status, 500);
        line.text(Field::Tenant, "t");
        assert_eq!(
            line.finish(),
            "{\"http.response.status_code\":200,\"tollgate.tenant\":\"t\"}\n"
        );
    }

    #[test]
    fn a_text_that_is_too_long_is_cut_and_marked() {
        let mut line = Line::new();
        line.text(Field::UserAgent, &"é".repeat(10_000));
        let read = read(line);
        let shown = read["user_agent.original"].as_str().unwrap();
        assert_eq!(shown.len(), NAME + '…'.len_utf8());
        assert!(shown.ends_with('…'));
    }

    #[test]
    fn durations_are_seconds() {
        let mut line = Line::new();
        line.seconds(Field::Duration, Duration::from_micros(1_000_042));
        assert_eq!(line.finish(), "{\"http.server.request.duration\":1.000042}\n");
    }

    #[test]
    fn no_two_fields_have_one_name() {
        let names: std::collections::BTreeSet<_> = Field::ALL.iter().map(|field| field.name()).collect();
        assert_eq!(names.len(), Field::ALL.len());
    }
}
