//! Event ids.

use super::hex;

/// A UUID of version 7 (RFC 9562 section 5.7): 48 bits of Unix milliseconds, then 74 of the
/// random bits; ids of different milliseconds sort by time.
#[must_use]
pub fn uuid_v7(now_ms: u64, random: [u8; 10]) -> String {
    let [_, _, t0, t1, t2, t3, t4, t5] = now_ms.to_be_bytes();
    let [r0, r1, r2, r3, r4, r5, r6, r7, r8, r9] = random;
    let version = (r0 & 0x0f) | 0x70;
    let variant = (r2 & 0x3f) | 0x80;
    let text = hex(&[t0, t1, t2, t3, t4, t5, version, r1, variant, r3, r4, r5, r6, r7, r8, r9]);
    let mut id = String::with_capacity(36);
    for (at, digit) in text.chars().enumerate() {
        if matches!(at, 8 | 12 | 16 | 20) {
            id.push('-');
        }
        id.push(digit);
    }
    id
}
