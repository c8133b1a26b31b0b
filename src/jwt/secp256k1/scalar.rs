//! Numbers modulo n, the factors of points.
// What the macros write is not documented, and they use what newer versions call otherwise.
#![allow(missing_docs, unreachable_pub, deprecated, clippy::arithmetic_side_effects)]

use elliptic_curve::bigint::{ArrayEncoding, Limb, U256};
use elliptic_curve::ff::PrimeField;
use elliptic_curve::ops::{Reduce, ReduceNonZero};
use elliptic_curve::scalar::{FromUintUnchecked, IsHigh};
use elliptic_curve::subtle::{
    Choice, ConditionallySelectable, ConstantTimeEq, ConstantTimeGreater, CtOption,
};
use elliptic_curve::{Curve, FieldBytes};

use super::{ORDER_HEX, Secp256k1};

primefield::monty_field_params! {
    name: ScalarParams,
    modulus: ORDER_HEX,
    uint: U256,
    byte_order: primefield::ByteOrder::BigEndian,
    multiplicative_generator: 7,
    doc: "Montgomery parameters of n."
}

primefield::monty_field_element! {
    name: Scalar,
    params: ScalarParams,
    uint: U256,
    doc: "A number modulo n."
}

primefield::monty_field_arithmetic! {
    name: Scalar,
    params: ScalarParams,
    uint: U256
}

elliptic_curve::scalar_impls!(Secp256k1, Scalar);

primeorder::wnaf::impl_wnaf_size_for_scalar!(Scalar);

impl AsRef<Scalar> for Scalar {
    fn as_ref(&self) -> &Scalar {
        self
    }
}

impl FromUintUnchecked for Scalar {
    type Uint = U256;

    fn from_uint_unchecked(uint: U256) -> Self {
        Self::from_uint_unchecked(uint)
    }
}

impl IsHigh for Scalar {
    fn is_high(&self) -> Choice {
        const HALF: U256 = Secp256k1::ORDER.as_ref().shr_vartime(1);
        self.to_canonical().ct_gt(&HALF)
    }
}

impl Reduce<U256> for Scalar {
    /// The order is above 2^255: subtracting it once is enough.
    fn reduce(number: &U256) -> Self {
        let (less, borrow) = number.borrowing_sub(&Secp256k1::ORDER, Limb::ZERO);
        let is_below = Choice::from(u8::from(borrow != Limb::ZERO));
        Self::from_uint_unchecked(U256::conditional_select(&less, number, is_below))
    }
}

impl Reduce<FieldBytes<Secp256k1>> for Scalar {
    fn reduce(bytes: &FieldBytes<Secp256k1>) -> Self {
        Self::reduce(&U256::from_be_byte_array(*bytes))
    }
}

impl ReduceNonZero<U256> for Scalar {
    fn reduce_nonzero(number: &U256) -> Self {
        const LAST: U256 = Secp256k1::ORDER.as_ref().wrapping_sub(&U256::ONE);
        let (less, borrow) = number.borrowing_sub(&LAST, Limb::ZERO);
        let is_below = Choice::from(u8::from(borrow != Limb::ZERO));
        let reduced = U256::conditional_select(&less, number, is_below);
        Self::from_uint_unchecked(reduced.wrapping_add(&U256::ONE))
    }
}

impl ReduceNonZero<FieldBytes<Secp256k1>> for Scalar {
    fn reduce_nonzero(bytes: &FieldBytes<Secp256k1>) -> Self {
        Self::reduce_nonzero(&U256::from_be_byte_array(*bytes))
    }
}
