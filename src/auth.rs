//! Who is calling: from the `Authorization` header to an [`Identity`] or a [`Denial`].

pub mod denial;

pub use denial::Denial;
