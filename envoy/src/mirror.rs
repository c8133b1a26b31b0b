//! `attach-gateway mirror`: the mirror-service, so that one file is enough.

pub use attach_mirror::cli::{Args, main};
