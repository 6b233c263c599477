//! Durations and sizes as people type them: `500ms`, `6s`, `2m`, `1KiB`, `64B`.
//!
//! A number without a unit is refused, because it would mean something else to everyone.

use std::time::Duration;

/// Reads a duration: a whole number with ms, s, m or h.
///
/// # Errors
/// What is accepted, in words.
pub fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split(text);
    let number: u64 = number.parse().map_err(|_| expected_duration(text))?;
    let millis = match unit {
        "ms" => Some(number),
        "s" => number.checked_mul(1000),
        "m" => number.checked_mul(60_000),
        "h" => number.checked_mul(3_600_000),
        _ => None,
    };
    millis.map(Duration::from_millis).ok_or_else(|| expected_duration(text))
}

/// Reads a size in bytes: a whole number with B, KiB or MiB.
///
/// # Errors
/// What is accepted, in words.
pub fn size(text: &str) -> Result<usize, String> {
    let expected = || format!("{text:?} is not a size such as 100B, 1KiB or 1MiB");
    let (number, unit) = split(text);
    let number: usize = number.parse().map_err(|_| expected())?;
    let factor = match unit {
        "B" => 1,
        "KiB" => 1024,
        "MiB" => 1024 * 1024,
        _ => return Err(expected()),
    };
    number.checked_mul(factor).ok_or_else(expected)
}

fn expected_duration(text: &str) -> String {
    format!("{text:?} is not a duration such as 500ms, 6s or 2m")
}

fn split(text: &str) -> (&str, &str) {
    let end = text.find(|one: char| !one.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_required_and_read() {
        let millis = |text| duration(text).ok().map(|duration| duration.as_millis());
        assert_eq!(["500ms", "6s", "2m", "1h"].map(millis), [Some(500), Some(6000), Some(120_000), Some(3_600_000)]);
        assert_eq!(["", "6", "s", "-1s", "1.5s", "6 s", "99999999999999999999s"].map(millis), [None; 7]);
        let bytes = |text| size(text).ok();
        assert_eq!(["64B", "1KiB", "1MiB"].map(bytes), [Some(64), Some(1024), Some(1_048_576)]);
        assert_eq!(["", "1", "1kb", "KiB", "99999999999999999MiB"].map(bytes), [None; 5]);
    }
}
