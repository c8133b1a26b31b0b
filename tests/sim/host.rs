//! A fake Envoy: a proxy-wasm host (ABI 0.2.1) whose behaviour is state, not a script.
//!
//! It runs the built filter as Envoy's V8 would: header maps and bodies exist in their phases
//! only, callouts belong to the root context, shared data is one map for all VMs, a trap ends a
//! VM. Clock, randomness and peers are the test's. Start at [`Proxy`].

mod callout;
mod calls;
mod events;
mod exchange;
mod guest;
mod handle;
mod headers;
mod imports;
mod metrics;
mod module;
mod properties;
mod proxy;
mod reply;
mod request;
mod shared;
mod signature;
mod state;
mod stream;
mod vm;
mod world;

pub use callout::{Answer, Call};
pub use handle::{Outcome, Reply, Stream};
pub use headers::Headers;
pub use module::filter;
pub use proxy::Proxy;
pub use request::Request;
pub use stream::Passed;
pub use world::Options;
