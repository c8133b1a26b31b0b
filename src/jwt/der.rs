//! The few shapes of DER (X.690) that are written here: public keys and ECDSA signatures.

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const SEQUENCE: u8 = 0x30;

/// `AlgorithmIdentifier` of RFC 3279 section 2.3.1: rsaEncryption with NULL.
const RSA: &[u8] =
    &[0x30, 0x0D, 0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x01, 0x05, 0x00];
/// `AlgorithmIdentifier` of RFC 5480 section 2.1.1: id-ecPublicKey with secp256r1.
pub(crate) const P256: &[u8] = &[
    0x30, 0x13, 0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01, 0x06, 0x08, 0x2A, 0x86, 0x48,
    0xCE, 0x3D, 0x03, 0x01, 0x07,
];
/// The same with secp384r1.
pub(crate) const P384: &[u8] = &[
    0x30, 0x10, 0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01, 0x06, 0x05, 0x2B, 0x81, 0x04,
    0x00, 0x22,
];

/// SubjectPublicKeyInfo of an RSA key; both numbers big-endian.
pub(crate) fn rsa_spki(n: &[u8], e: &[u8]) -> Vec<u8> {
    let key = element(SEQUENCE, &[&integer(n), &integer(e)]);
    spki(RSA, &key)
}

/// SubjectPublicKeyInfo of the uncompressed `point` on the curve that `algorithm` names.
pub(crate) fn ec_spki(algorithm: &[u8], point: &[u8]) -> Vec<u8> {
    spki(algorithm, point)
}

/// The `ECDSA-Sig-Value` (RFC 3279 section 2.2.3) of a JOSE signature, which is R and S one
/// after the other. `None` if its length is odd.
pub(crate) fn ecdsa_signature(raw: &[u8]) -> Option<Vec<u8>> {
    let (r, s) = raw.split_at_checked(raw.len().checked_div(2)?)?;
    (r.len() == s.len()).then(|| element(SEQUENCE, &[&integer(r), &integer(s)]))
}

fn spki(algorithm: &[u8], key: &[u8]) -> Vec<u8> {
    // No unused bits at the end of the bit string.
    element(SEQUENCE, &[algorithm, &element(BIT_STRING, &[&[0], key])])
}

fn integer(number: &[u8]) -> Vec<u8> {
    let digits = significant(number);
    match digits.first() {
        None => element(INTEGER, &[&[0]]),
        // A leading one bit would make it negative.
        Some(first) if *first >= 0x80 => element(INTEGER, &[&[0], digits]),
        Some(_) => element(INTEGER, &[digits]),
    }
}

/// A big-endian number without its leading zeros.
pub(crate) fn significant(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length = parts.iter().fold(0_usize, |sum, part| sum.saturating_add(part.len()));
    let mut out = Vec::with_capacity(length.saturating_add(6));
    out.push(tag);
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => out.push(short),
        _ => {
            let bytes = length.to_be_bytes();
            let digits = significant(&bytes);
            // A usize has at most eight bytes.
            out.push(0x80 | u8::try_from(digits.len()).unwrap_or(8));
            out.extend_from_slice(digits);
        }
    }
    parts.iter().for_each(|part| out.extend_from_slice(part));
    out
}
