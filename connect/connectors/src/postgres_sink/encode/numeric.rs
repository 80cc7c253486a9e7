//! Decimal text to Postgres' `numeric`, exactly.
//!
//! ```text
//! i16 count of digits | i16 weight of the first | u16 sign: 0, 0x4000, 0xC000 for NaN | u16 scale | i16 digits …
//! ```
//! A digit is a group of four decimal ones; the weight counts groups left of the decimal point, less one.

const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xC000;
/// Postgres' limits of digits before and behind the decimal point; also keeps a hostile exponent small.
const INTEGER_DIGITS_MAX: i64 = 131_072;
const SCALE_MAX: i64 = 16_383;

/// Appends the value of `text` (`-12.50`, `1e3`, `NaN`); `false` if it is none.
pub(in crate::postgres_sink) fn write(text: &str, out: &mut Vec<u8>) -> bool {
    if text.eq_ignore_ascii_case("nan") {
        header(out, 0, 0, NAN, 0);
        return true;
    }
    let Some(number) = Decimal::parse(text) else { return false };
    // Positions count from the decimal point: the first digit stands `point` digits before it.
    let significant = number.integer.len() + number.fraction.len();
    let digit = |i: usize| match number.integer.get(i) {
        Some(digit) => *digit,
        None => number.fraction[i - number.integer.len()],
    };
    let Some(first) = (0..significant).find(|i| digit(*i) != b'0') else {
        header(out, 0, 0, 0, number.scale());
        return number.scale() <= SCALE_MAX;
    };
    let point = number.integer.len() as i64 + number.exponent;
    if point - first as i64 > INTEGER_DIGITS_MAX || number.scale() > SCALE_MAX {
        return false;
    }
    let weight = (point - first as i64 - 1).div_euclid(4);
    // The first group may begin before the first digit: with zeros.
    let mut place = point - (weight + 1) * 4;
    let start = out.len();
    header(out, 0, weight, if number.negative { NEGATIVE } else { 0 }, number.scale());
    let (mut count, mut trailing_zeros) = (0_u16, 0_u16);
    while place < significant as i64 {
        let group = (place..place + 4).fold(0_i16, |group, i| {
            let digit = usize::try_from(i).ok().filter(|i| *i < significant).map_or(b'0', digit);
            group * 10 + i16::from(digit - b'0')
        });
        out.extend_from_slice(&group.to_be_bytes());
        count += 1;
        trailing_zeros = if group == 0 { trailing_zeros + 1 } else { 0 };
        place += 4;
    }
    out.truncate(out.len() - usize::from(trailing_zeros) * 2);
    out[start..start + 2].copy_from_slice(&(count - trailing_zeros).to_be_bytes());
    true
}

fn header(out: &mut Vec<u8>, count: u16, weight: i64, sign: u16, scale: i64) {
    out.extend_from_slice(&count.to_be_bytes());
    out.extend_from_slice(&(weight as i16).to_be_bytes());
    out.extend_from_slice(&sign.to_be_bytes());
    out.extend_from_slice(&(scale as u16).to_be_bytes());
}

struct Decimal<'a> {
    negative: bool,
    integer: &'a [u8],
    fraction: &'a [u8],
    exponent: i64,
}

impl<'a> Decimal<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (negative, text) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (integer, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let is_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        if (integer.is_empty() && fraction.is_empty()) || !is_digits(integer) || !is_digits(fraction) {
            return None;
        }
        let (integer, fraction) = (integer.as_bytes(), fraction.as_bytes());
        if integer.len() + fraction.len() > (INTEGER_DIGITS_MAX + SCALE_MAX) as usize {
            return None;
        }
        Some(Self { negative, integer, fraction, exponent: i64::from(exponent) })
    }

    /// Digits behind the decimal point: trailing zeros count, as Postgres shows them.
    fn scale(&self) -> i64 {
        (self.fraction.len() as i64 - self.exponent).max(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Postgres would print.
    fn shown(bytes: &[u8]) -> String {
        let word = |i: usize| u16::from_be_bytes([bytes[i * 2], bytes[i * 2 + 1]]);
        let (count, weight, sign, scale) = (word(0), word(1) as i16, word(2), usize::from(word(3)));
        if sign == NAN {
            return "NaN".to_owned();
        }
        let group = |place: i16| {
            let index = weight - place;
            if (0..count as i16).contains(&index) { word(4 + index as usize) } else { 0 }
        };
        let integer: String = (0..=weight.max(0)).rev().map(|place| format!("{:04}", group(place))).collect();
        let fraction: String = (1..=scale.div_ceil(4) as i16).map(|i| format!("{:04}", group(-i))).collect();
        let integer = match integer.trim_start_matches('0') {
            "" => "0",
            digits => digits,
        };
        let sign = if sign == NEGATIVE { "-" } else { "" };
        if scale == 0 { format!("{sign}{integer}") } else { format!("{sign}{integer}.{}", &fraction[..scale]) }
    }

    #[test]
    fn decimals_keep_every_digit() {
        for (text, expected) in [
            ("0", "0"),
            ("-0.00", "0.00"),
            ("1", "1"),
            ("10000", "10000"),
            ("12345678901234567890.123456789", "12345678901234567890.123456789"),
            ("-0.1", "-0.1"),
            ("0.00001", "0.00001"),
            ("1.10", "1.10"),
            ("1e3", "1000"),
            ("1.5E-7", "0.00000015"),
            ("123e-2", "1.23"),
            ("NaN", "NaN"),
        ] {
            let mut out = Vec::new();
            assert!(write(text, &mut out), "{text}");
            assert_eq!(shown(&out), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_decimal_or_too_large_is_refused() {
        for text in ["", "-", ".", "1.2.3", "1e", "0x10", "1,5", "1e200000", "1e-20000", "0e-99999", "١"] {
            assert!(!write(text, &mut Vec::new()), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_decimal_reads_back(integer in 0_u64.., fraction in "[0-9]{1,30}", negative: bool) {
            let sign = if negative { "-" } else { "" };
            let text = format!("{sign}{integer}.{fraction}");
            let mut out = Vec::new();
            proptest::prop_assert!(write(&text, &mut out));
            let zero = integer == 0 && fraction.bytes().all(|b| b == b'0');
            let expected = if zero { text.trim_start_matches('-') } else { &text };
            proptest::prop_assert_eq!(shown(&out), expected);
        }
    }
}
