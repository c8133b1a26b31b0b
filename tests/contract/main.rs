//! What other programs and other releases rely on, as files: a change of behaviour shows up as a
//! change of a golden file.

mod wire;
