//! Payment card numbers: a brand's prefix and length, and the Luhn check digit (ISO/IEC 7812-1).

use super::Found;

/// 13 to 19 digits, single spaces or dashes between them.
pub(super) const PATTERN: &str = r"\b[2-6](?:[ -]?[0-9]){12,18}\b";

/// Whether the digits can be a card's.
pub(super) fn is_card(found: &Found<'_>) -> bool {
    // Part of a decimal fraction, an identifier or a longer dashed number.
    let (before, after) = found.neighbours();
    if before.is_some_and(|c| matches!(c, '.' | '-' | '+' | '/' | '#')) || after == Some('-') {
        return false;
    }
    let digits: Vec<u8> = found
        .secret()
        .bytes()
        .filter(u8::is_ascii_digit)
        .map(|digit| digit.wrapping_sub(b'0'))
        .collect();
    is_brand(&digits) && luhn(&digits)
}

/// Prefixes and lengths of the brands in use.
fn is_brand(digits: &[u8]) -> bool {
    let prefix = digits
        .iter()
        .take(4)
        .fold(0u32, |sum, digit| sum.saturating_mul(10).saturating_add(u32::from(*digit)));
    match (prefix, digits.len()) {
        (4000..=4999, 13 | 16 | 19) // Visa
        | (2221..=2720 | 5100..=5599, 16) // Mastercard
        | (3400..=3499 | 3700..=3799, 15) // American Express
        | (3000..=3059 | 3600..=3699 | 3800..=3999, 14) // Diners Club
        | (3528..=3589, 16..=19) // JCB
        | (6011 | 6440..=6599, 16..=19) // Discover
        | (6200..=6299, 16..=19) // UnionPay
        | (5018 | 5020 | 5038 | 5893 | 6304 | 6759 | 6761..=6763, 13..=19) => true, // Maestro
        _ => false,
    }
}

fn luhn(digits: &[u8]) -> bool {
    let sum = digits.iter().rev().enumerate().fold(0u32, |sum, (place, digit)| {
        let digit = u32::from(*digit);
        let doubled = digit.saturating_mul(2);
        let value = match place % 2 {
            0 => digit,
            _ if doubled > 9 => doubled.saturating_sub(9),
            _ => doubled,
        };
        sum.saturating_add(value)
    });
    sum % 10 == 0
}
