//! The name of one request, through all logs.

use http::HeaderValue;

/// A request's name: 32 hexadecimal digits of randomness, or what a trusted proxy called it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// Made of 128 random bits.
    pub fn from_random(bits: [u8; 16]) -> RequestId {
        let mut digits = [0; 32];
        super::trace_context::write_hex(&bits, &mut digits);
        // Hexadecimal digits are always a field value.
        RequestId(HeaderValue::from_bytes(&digits).unwrap_or_else(|_| HeaderValue::from_static("0")))
    }

    /// What a *trusted* proxy called the request: 1 to 128 letters, digits and `-_.:+/=@`. `None` for anything else, so
    /// that it can stand in a log line, a header and a JSON string as it is.
    pub fn accept(value: &HeaderValue) -> Option<RequestId> {
        let bytes = value.as_bytes();
        let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:+/=@".contains(byte);
        ((1..=128).contains(&bytes.len()) && bytes.iter().all(allowed)).then(|| RequestId(value.clone()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    /// The text as a field value; shared.
    pub fn value(&self) -> &HeaderValue {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_32_hexadecimal_digits() {
        assert_eq!(RequestId::from_random([0xa5; 16]).as_str(), "a5".repeat(16));
    }

    #[test]
    fn an_id_that_would_need_escaping_is_not_taken_over() {
        for good in ["a", "0af7651916cd43dd8448eb211c80319c", "svc:1/2+3=.x@y_z-"] {
            assert_eq!(
                RequestId::accept(&HeaderValue::from_static(good))
                    .unwrap()
                    .as_str(),
                good
            );
        }
        for bad in ["", " ", "a b", "a\"b", "a,b", "a<b", "a{b}"] {
            assert!(
                RequestId::accept(&HeaderValue::from_str(bad).unwrap()).is_none(),
                "{bad:?}"
            );
        }
        assert!(RequestId::accept(&HeaderValue::from_str(&"a".repeat(129)).unwrap()).is_none());
    }
}
