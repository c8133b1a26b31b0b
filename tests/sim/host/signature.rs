//! The foreign function `verify_signature`: what BoringSSL says in Envoy, said by ring.
//!
//! RSA is PKCS#1 v1.5 only and ECDSA signatures are DER, so PSS, Ed25519 and JOSE's raw R||S
//! fail here as they do there.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{self, UnparsedPublicKey, VerificationAlgorithm};

use super::guest::Status;

/// The arguments: a protobuf message of five fields.
#[derive(Default)]
struct Arguments {
    hash: String,
    der: Vec<u8>,
    signature: Vec<u8>,
    text: Vec<u8>,
    pem: String,
}

/// Checks a signature; the answer is a protobuf message (result = 1, error = 2).
pub fn verify(data: &[u8]) -> Result<Vec<u8>, Status> {
    let arguments = parse(data).ok_or(Status::BadArgument)?;
    let key = match (arguments.der.is_empty(), arguments.pem.is_empty()) {
        (false, true) => arguments.der.clone(),
        (true, false) => pem(&arguments.pem).unwrap_or_default(),
        _ => return Err(Status::BadArgument),
    };
    let hash = arguments.hash.to_ascii_lowercase();
    if !["sha1", "sha224", "sha256", "sha384", "sha512"].contains(&hash.as_str()) {
        return Ok(failure(&format!("{} is not supported.", arguments.hash)));
    }
    let Some((algorithm, key)) = algorithm(&key, &hash) else {
        return Ok(failure("Failed to initialize digest verify."));
    };
    match UnparsedPublicKey::new(algorithm, key).verify(&arguments.text, &arguments.signature) {
        Ok(()) => Ok(vec![0x08, 0x01]),
        Err(_) => Ok(failure("Failed to verify digest. Error code: 0")),
    }
}

fn failure(text: &str) -> Vec<u8> {
    let mut message = vec![0x12, text.len() as u8];
    message.extend_from_slice(text.as_bytes());
    message
}

fn parse(mut data: &[u8]) -> Option<Arguments> {
    let mut arguments = Arguments::default();
    while !data.is_empty() {
        let tag = varint(&mut data)?;
        let length = usize::try_from(varint(&mut data)?).ok()?;
        let value = data.get(..length)?.to_vec();
        data = &data[length..];
        match tag {
            0x0A => arguments.hash = String::from_utf8(value).ok()?,
            0x12 => arguments.der = value,
            0x1A => arguments.signature = value,
            0x22 => arguments.text = value,
            0x2A => arguments.pem = String::from_utf8(value).ok()?,
            _ => return None,
        }
    }
    Some(arguments)
}

fn varint(data: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = data.split_first()?;
        *data = rest;
        number |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn pem(text: &str) -> Option<Vec<u8>> {
    let body: String = text.lines().filter(|line| !line.starts_with("-----")).collect();
    STANDARD.decode(body).ok()
}

/// The algorithm that a DER SubjectPublicKeyInfo and a hash name, and the key in ring's form.
fn algorithm<'a>(
    spki: &'a [u8],
    hash: &str,
) -> Option<(&'static dyn VerificationAlgorithm, &'a [u8])> {
    const RSA: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x01];
    const EC: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01];
    const P256: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07];
    const P384: &[u8] = &[0x2B, 0x81, 0x04, 0x00, 0x22];
    let (outer, _) = element(spki, 0x30)?;
    let (identifier, rest) = element(outer, 0x30)?;
    let (bits, _) = element(rest, 0x03)?;
    let (kind, parameters) = element(identifier, 0x06)?;
    let key = bits.strip_prefix(&[0])?;
    let curve = element(parameters, 0x06).map(|(curve, _)| curve);
    let algorithm: &'static dyn VerificationAlgorithm = match (kind, curve, hash) {
        (RSA, _, "sha256") => &signature::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
        (RSA, _, "sha384") => &signature::RSA_PKCS1_2048_8192_SHA384,
        (RSA, _, "sha512") => &signature::RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY,
        (EC, Some(P256), "sha256") => &signature::ECDSA_P256_SHA256_ASN1,
        (EC, Some(P256), "sha384") => &signature::ECDSA_P256_SHA384_ASN1,
        (EC, Some(P384), "sha256") => &signature::ECDSA_P384_SHA256_ASN1,
        (EC, Some(P384), "sha384") => &signature::ECDSA_P384_SHA384_ASN1,
        _ => return None,
    };
    Some((algorithm, key))
}

/// The content of a DER element with that tag, and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (first, rest) = der.split_first()?;
    let (length, rest) = rest.split_first()?;
    let (length, rest) = match length {
        0x81 => (usize::from(*rest.first()?), &rest[1..]),
        0x82 => (usize::from(*rest.first()?) << 8 | usize::from(*rest.get(1)?), &rest[2..]),
        short if *short < 0x80 => (usize::from(*short), rest),
        _ => return None,
    };
    (*first == tag && rest.len() >= length).then(|| rest.split_at(length))
}
