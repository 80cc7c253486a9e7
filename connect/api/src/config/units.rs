//! Durations and sizes with their units.

use std::time::Duration;

/// `250`, `250ms`, `5s`, `1m`, `2h`, `7d`.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split_unit(text);
    let ms: f64 = match unit {
        "" | "ms" => 1.0,
        "s" => 1e3,
        "m" | "min" => 60e3,
        "h" => 3600e3,
        "d" => 86_400e3,
        _ => return Err(format!("`{text}` is not a duration: use ms, s, m, h or d, as in 5s")),
    };
    let number: f64 = number.parse().map_err(|_| format!("`{text}` is not a duration, as in 250ms or 5s"))?;
    Duration::try_from_secs_f64(number * ms / 1e3).map_err(|_| format!("`{text}` is not a duration that can be kept"))
}

/// `4096`, `64KiB`, `4MiB`, `1GB`; in bytes.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let (number, unit) = split_unit(text);
    let factor: u64 = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        _ => return Err(format!("`{text}` is not a size: use KiB, MiB, GiB, kB, MB or GB, as in 4MiB")),
    };
    let number: u64 = number.parse().map_err(|_| format!("`{text}` is not a size, as in 64KiB or 4MiB"))?;
    number.checked_mul(factor).ok_or_else(|| format!("`{text}` is more than a size can be"))
}

fn split_unit(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    (&text[..end], text[end..].trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_durations_take_units() {
        assert_eq!(parse_size("4MiB"), Ok(4 << 20));
        assert_eq!(parse_duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert!(parse_size("99999999999GiB").is_err());
    }
}
