//! Signatures checked by the host: its foreign function `verify_signature`.

use proxy_wasm::hostcalls;

use crate::auth::{HostVerifier, Unsupported};

/// Envoy's BoringSSL.
pub(super) struct Host;

impl HostVerifier for Host {
    fn verify(
        &self,
        hash: &'static str,
        spki_der: &[u8],
        signature: &[u8],
        text: &[u8],
    ) -> Result<bool, Unsupported> {
        let size = text.len().saturating_add(spki_der.len()).saturating_add(ROOM_FOR_THE_REST);
        let mut arguments = Vec::with_capacity(size);
        field(&mut arguments, 1, hash.as_bytes());
        field(&mut arguments, 2, spki_der);
        field(&mut arguments, 3, signature);
        field(&mut arguments, 4, text);
        match hostcalls::call_foreign_function("verify_signature", Some(&arguments)) {
            // VerifySignatureResult: field 1, a bool, is there only when true.
            Ok(result) => Ok(result.is_some_and(|bytes| bytes.starts_with(&[0x08, 0x01]))),
            Err(_) => Err(Unsupported),
        }
    }
}

/// Hash name, signature of any usual key, tags and lengths.
const ROOM_FOR_THE_REST: usize = 640;

/// A length-delimited protobuf field of VerifySignatureArguments.
fn field(out: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    out.push(number << 3 | 2);
    let mut length = bytes.len();
    while length > 0x7f {
        out.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(bytes);
}
