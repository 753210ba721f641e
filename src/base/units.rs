//! Quantities whose unit is part of the text: `30s`, `1MiB`, `7/s`. A bare number is refused.

use std::num::NonZeroU32;
use std::time::Duration;

/// How many calls a token bucket lets through: `tokens` every `per`, and at most `burst` at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Quota {
    /// Tokens that come back every `per`.
    pub tokens: NonZeroU32,
    /// The period of `tokens`; more than zero.
    pub per: Duration,
    /// Capacity of the bucket, in tokens.
    pub burst: NonZeroU32,
}

/// Reads a duration: a sum of `<whole number><unit>` with units `ms`, `s`, `m`, `h`, `d`, largest first: `1m 30s`, `500ms`.
///
/// # Errors
/// A sentence that says what is wrong.
pub fn duration(text: &str) -> Result<Duration, String> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err("a duration is missing; write for example `30s`".to_owned());
    }
    let mut total = Duration::ZERO;
    let mut last_unit = u64::MAX;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, after) = rest.split_at(digits);
        let letters = after.len() - after.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
        let (unit, after) = after.split_at(letters);
        let count: u64 = number
            .parse()
            .map_err(|_| format!("`{text}` is not a duration; write for example `30s`"))?;
        let millis = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "" => {
                return Err(format!(
                    "`{text}` has no unit; write `{text}s` for seconds (units: ms, s, m, h, d)"
                ));
            }
            other => {
                return Err(format!(
                    "unknown unit `{other}` in `{text}` (units: ms, s, m, h, d)"
                ));
            }
        };
        if millis >= last_unit {
            return Err(format!("the units of `{text}` must go from large to small"));
        }
        last_unit = millis;
        total = count
            .checked_mul(millis)
            .and_then(|ms| total.checked_add(Duration::from_millis(ms)))
            .ok_or_else(|| format!("`{text}` is too long"))?;
        rest = after.trim_start();
    }
    Ok(total)
}

/// Reads a size in bytes: `<whole number><unit>` with units `B`, `KiB`, `MiB`, `GiB`.
///
/// # Errors
/// A sentence that says what is wrong.
pub fn size(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let count: u64 = number
        .parse()
        .map_err(|_| format!("`{text}` is not a size; write for example `64KiB`"))?;
    let factor: u64 = match unit.trim() {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "" => {
            return Err(format!(
                "`{text}` has no unit; write `{text}B` for bytes (units: B, KiB, MiB, GiB)"
            ));
        }
        other => {
            return Err(format!(
                "unknown unit `{other}` in `{text}` (units: B, KiB, MiB, GiB)"
            ));
        }
    };
    count
        .checked_mul(factor)
        .ok_or_else(|| format!("`{text}` is too large"))
}

/// Reads a rate: `<whole number>/<unit>` with units `s`, `m`, `h`, `d`: `7/s`, `100/m`.
///
/// # Errors
/// A sentence that says what is wrong.
pub fn rate(text: &str) -> Result<(NonZeroU32, Duration), String> {
    let example = || format!("`{text}` is not a rate; write for example `7/s` (units: s, m, h, d)");
    let (number, unit) = text.trim().split_once('/').ok_or_else(example)?;
    let tokens: u32 = number.trim().parse().map_err(|_| example())?;
    let tokens = NonZeroU32::new(tokens)
        .ok_or_else(|| format!("`{text}` lets nothing through; a rate is at least `1/d`"))?;
    let seconds = match unit.trim() {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(example()),
    };
    Ok((tokens, Duration::from_secs(seconds)))
}

impl Quota {
    /// The rate as [`rate`] reads it; of a period that has no unit of its own, what comes in a day, rounded up.
    pub fn rate_text(&self) -> String {
        let unit = match self.per.as_secs() {
            1 => "s",
            60 => "m",
            3_600 => "h",
            86_400 => "d",
            _ => {
                let day = f64::from(self.tokens.get()) * 86_400.0 / self.per.as_secs_f64();
                return format!("{}/d", day.ceil());
            }
        };
        format!("{}/{unit}", self.tokens)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_rate_that_was_read_is_written_as_it_was() {
        for text in ["7/s", "100/m", "1/h", "4294967295/d"] {
            let (tokens, per) = rate(text).unwrap();
            let quota = Quota {
                tokens,
                per,
                burst: tokens,
            };
            assert_eq!(quota.rate_text(), text);
        }
    }

    use super::*;

    #[test]
    fn a_bare_number_is_refused_with_the_text_to_write_instead() {
        assert_eq!(
            duration("30").unwrap_err(),
            "`30` has no unit; write `30s` for seconds (units: ms, s, m, h, d)"
        );
        assert_eq!(
            size("64").unwrap_err(),
            "`64` has no unit; write `64B` for bytes (units: B, KiB, MiB, GiB)"
        );
    }

    #[test]
    fn units_are_part_of_the_text() {
        assert_eq!(duration("1m 30s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(size("1MiB"), Ok(1 << 20));
        assert_eq!(
            rate("7/s").map(|(n, per)| (n.get(), per)),
            Ok((7, Duration::from_secs(1)))
        );
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "s", "1s 1m", "1x", "99999999999999999999s", "-1s", "1.5s"] {
            assert!(duration(text).is_err(), "{text}");
        }
        for text in ["", "KiB", "1KB", "18446744073709551615GiB"] {
            assert!(size(text).is_err(), "{text}");
        }
        for text in ["", "7", "0/s", "7/x", "/s", "-1/s"] {
            assert!(rate(text).is_err(), "{text}");
        }
    }
}
