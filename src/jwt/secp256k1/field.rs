//! Numbers modulo p, the coordinates of points.
// What the macros write is not documented, and they use what newer versions call otherwise.
#![allow(missing_docs, unreachable_pub, deprecated, clippy::arithmetic_side_effects)]

use elliptic_curve::bigint::U256;
use elliptic_curve::ff::PrimeField;
use elliptic_curve::ops::BatchInvert;
use elliptic_curve::subtle::{Choice, ConstantTimeEq, CtOption};

/// p = 2^256 - 2^32 - 977.
const MODULUS_HEX: &str = "fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f";

primefield::monty_field_params! {
    name: FieldParams,
    modulus: MODULUS_HEX,
    uint: U256,
    byte_order: primefield::ByteOrder::BigEndian,
    multiplicative_generator: 3,
    doc: "Montgomery parameters of p."
}

primefield::monty_field_element! {
    name: FieldElement,
    params: FieldParams,
    uint: U256,
    doc: "A number modulo p."
}

primefield::monty_field_arithmetic! {
    name: FieldElement,
    params: FieldParams,
    uint: U256
}

impl BatchInvert for FieldElement {}
