//! Sizes and durations as people write them: `64MiB`, `1KiB`, `500ms`, `2s`, `3h`.
//!
//! Whole numbers with a unit only: nothing is guessed, and decimal units (MB) are refused rather than misread.

use std::time::Duration;

/// A size in bytes: a number with `B`, `KiB`, `MiB` or `GiB`.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text)?;
    let factor: u64 = match unit {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(format!("expected a size such as 64MiB (units B, KiB, MiB, GiB), found {text:?}")),
    };
    number.checked_mul(factor).ok_or_else(|| format!("{text} is too large"))
}

/// A duration: a number with `ms`, `s`, `m` or `h`.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split(text)?;
    let millis: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(format!("expected a duration such as 500ms or 2s (units ms, s, m, h), found {text:?}")),
    };
    number.checked_mul(millis).map(Duration::from_millis).ok_or_else(|| format!("{text} is too large"))
}

fn split(text: &str) -> Result<(u64, &str), String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number = number.parse().map_err(|_| format!("expected a whole number with a unit, found {text:?}"))?;
    Ok((number, unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_durations() {
        assert_eq!(parse_bytes("64MiB"), Ok(64 << 20));
        assert_eq!(parse_bytes("0B"), Ok(0));
        assert_eq!(parse_duration("1500ms"), Ok(Duration::from_millis(1500)));
        assert_eq!(parse_duration("3h"), Ok(Duration::from_secs(10_800)));
        for bad in ["", "64", "64MB", "MiB", "-1B", "1.5GiB", "99999999999GiB", "6 4B"] {
            assert!(parse_bytes(bad).is_err(), "{bad}");
        }
        for bad in ["", "5", "5sec", "1 s", "99999999999999999h"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }
}
