//! The curve of ES256K (RFC 8812), on RustCrypto's generic curve arithmetic.
//!
//! Those crates' own `k256` is several times as fast and unrolls its field arithmetic: 45 KB of
//! the filter, for an algorithm that is off unless somebody lists it. This is the same generic
//! code that P-384 runs on, given other constants (SEC 2 section 2.4.1), and it is only ever
//! used with public values.

mod field;
mod scalar;

use ecdsa::{EcdsaCurve, Signature, hazmat};
use elliptic_curve::array::typenum::U32;
use elliptic_curve::bigint::{Odd, U256};
use elliptic_curve::hazmat::FieldArithmetic;
use elliptic_curve::point::{AffineCoordinates as _, PointCompression};
use elliptic_curve::{Curve, CurveArithmetic, PrimeCurve, PrimeCurveArithmetic};
use primeorder::{PrimeCurveParams, mul_backend, point_arithmetic};

use field::FieldElement;
use scalar::Scalar;

/// The order n of the group.
const ORDER_HEX: &str = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";

/// The curve y² = x³ + 7 over the field of p elements.
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq, PartialOrd, Ord)]
#[allow(unreachable_pub)] // the macros give public traits to the types that name it
pub struct Secp256k1;

impl Curve for Secp256k1 {
    type FieldBytesSize = U32;
    type Uint = U256;
    const ORDER: Odd<U256> = Odd::<U256>::from_be_hex(ORDER_HEX);
}

impl PrimeCurve for Secp256k1 {}

impl PointCompression for Secp256k1 {
    const COMPRESS_POINTS: bool = false;
}

impl EcdsaCurve for Secp256k1 {
    // RFC 8812 section 3.2 accepts either value of S.
    const NORMALIZE_S: bool = false;
}

impl CurveArithmetic for Secp256k1 {
    type AffinePoint = primeorder::AffinePoint<Self>;
    type ProjectivePoint = primeorder::ProjectivePoint<Self>;
    type Scalar = Scalar;
}

impl FieldArithmetic for Secp256k1 {
    type FieldElement = FieldElement;
}

impl PrimeCurveArithmetic for Secp256k1 {
    type CurveGroup = primeorder::ProjectivePoint<Self>;
}

impl PrimeCurveParams for Secp256k1 {
    type PointArithmetic = point_arithmetic::EquationAIsZero;
    type Backend = mul_backend::VariableOnly;

    const EQUATION_A: FieldElement = FieldElement::ZERO;
    const EQUATION_B: FieldElement = FieldElement::from_u64(7);
    const GENERATOR: (FieldElement, FieldElement) = (
        FieldElement::from_hex_vartime(
            "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798",
        ),
        FieldElement::from_hex_vartime(
            "483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8",
        ),
    );
}

/// A public key.
pub(crate) struct PublicKey(primeorder::ProjectivePoint<Secp256k1>);

impl PublicKey {
    /// The point of these coordinates; `None` if it is not on the curve.
    pub(crate) fn new(x: &[u8; 32], y: &[u8; 32]) -> Option<Self> {
        let point = primeorder::AffinePoint::from_coordinates(x.into(), y.into());
        Option::<primeorder::AffinePoint<Secp256k1>>::from(point).map(|point| Self(point.into()))
    }

    /// Whether `signature` is R and S of this key for that SHA-256.
    pub(crate) fn verify(&self, hash: &[u8; 32], signature: &[u8]) -> bool {
        Signature::<Secp256k1>::from_slice(signature)
            .is_ok_and(|signature| hazmat::verify_prehashed(&self.0, hash, &signature).is_ok())
    }
}
