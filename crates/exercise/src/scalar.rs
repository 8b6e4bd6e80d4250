//! One value, as an exercise's file may give it.

use std::fmt;

use serde::Deserialize;

/// Text, a number, or yes or no.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged, expecting = "write text in quotes, a number, true or false")]
pub enum Scalar {
    /// `true` or `false`.
    Flag(bool),
    /// A whole number.
    Whole(i64),
    /// A number with a fraction: CPUs.
    Number(f64),
    /// Anything in quotes.
    Text(String),
}

impl Scalar {
    /// As a number: `20`, `"20"`, `"64M"` (2¹⁰ to the power of 1 to 4, as the kernel's memparse() reads it).
    pub(crate) fn number(&self) -> Option<f64> {
        match self {
            Scalar::Flag(_) => None,
            Scalar::Whole(number) => Some(*number as f64),
            Scalar::Number(number) => Some(*number),
            Scalar::Text(text) => number(text),
        }
    }

    /// The same scalar, with its text as `change` gives it.
    ///
    /// # Errors
    /// Those of `change`.
    pub(crate) fn try_map(
        &self,
        change: impl FnOnce(&str) -> Result<String, String>,
    ) -> Result<Scalar, String> {
        Ok(match self {
            Scalar::Text(text) => Scalar::Text(change(text)?),
            other => other.clone(),
        })
    }
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scalar::Flag(flag) => flag.fmt(f),
            Scalar::Whole(number) => number.fmt(f),
            Scalar::Number(number) => number.fmt(f),
            Scalar::Text(text) => text.fmt(f),
        }
    }
}

fn number(text: &str) -> Option<f64> {
    let text = text.trim();
    let power = text.chars().last().and_then(|last| "KMGT".find(last.to_ascii_uppercase()));
    let (digits, factor) = match power {
        Some(power) => (&text[..text.len() - 1], f64::from(1 << 10_u32).powi(power as i32 + 1)),
        None => (text, 1.0),
    };
    // Else "inf" and "nan" were numbers.
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-'));
    Some(digits.parse::<f64>().ok().filter(|_| plain)? * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_a_number() {
        let of = |text: &str| Scalar::Text(text.into()).number();
        assert_eq!(of("64M"), Some(67_108_864.0));
        assert_eq!(of("1.5"), Some(1.5));
        assert_eq!(of("2k"), Some(2048.0));
        for none in ["", "M", "inf", "nan", "fox", "64MB", "max", "éM", "é"] {
            assert_eq!(of(none), None, "{none}");
        }
    }
}
