//! Cursors: where a page ended, opaque to whoever carries them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::StoreError;

/// Packs the values that a page ended at. `kind` keeps a cursor of one list from being used on
/// another.
pub(super) fn pack(kind: &str, values: &[&str]) -> String {
    URL_SAFE_NO_PAD.encode(format!("{kind} {}", values.join(" ")))
}

/// The `N` values of a cursor.
pub(super) fn unpack<const N: usize>(kind: &str, cursor: &str) -> Result<[String; N], StoreError> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| StoreError::BadCursor)?;
    let text = String::from_utf8(bytes).map_err(|_| StoreError::BadCursor)?;
    let mut parts = text.split(' ');
    if parts.next() != Some(kind) {
        return Err(StoreError::BadCursor);
    }
    let values: Vec<String> = parts.map(str::to_owned).collect();
    values.try_into().map_err(|_| StoreError::BadCursor)
}

/// As [`unpack`], for numbers.
pub(super) fn unpack_numbers<const N: usize>(
    kind: &str,
    cursor: &str,
) -> Result<[i64; N], StoreError> {
    let mut numbers = [0; N];
    for (number, text) in numbers.iter_mut().zip(unpack::<N>(kind, cursor)?) {
        *number = text.parse().map_err(|_| StoreError::BadCursor)?;
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_what_it_was_packed_from_and_nothing_else() {
        let cursor = pack("events", &["12", "-3"]);
        assert_eq!(unpack_numbers("events", &cursor), Ok([12, -3]));
        let bad = Err(StoreError::BadCursor);
        assert_eq!(unpack_numbers::<2>("search", &cursor), bad);
        assert_eq!(unpack_numbers::<3>("events", &cursor), Err(StoreError::BadCursor));
        for junk in ["", "!", "e30", &pack("events", &["a", "b"]), &pack("events", &["9e9", "1"])] {
            assert_eq!(unpack_numbers::<2>("events", junk), bad, "{junk}");
        }
    }
}
