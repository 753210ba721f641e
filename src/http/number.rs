//! Numbers as field values.

use http::HeaderValue;

/// `number` in decimal digits. 0 and 1, which most of the numbers in our answers are, cost nothing.
pub fn value(number: u64) -> HeaderValue {
    match number {
        0 => HeaderValue::from_static("0"),
        1 => HeaderValue::from_static("1"),
        _ => HeaderValue::from(number),
    }
}

#[cfg(test)]
mod tests {
    use super::value;

    #[test]
    fn every_number_is_its_digits() {
        for number in [0, 1, 2, 10, 429, u64::MAX] {
            assert_eq!(value(number).to_str().unwrap(), number.to_string());
        }
    }
}
