//! What a process writes, collected as it comes.

use std::io::Read;
use std::sync::{Arc, Mutex};

/// One of its two streams.
#[derive(Clone, Default)]
pub(crate) struct Output(Arc<Mutex<Vec<u8>>>);

impl Output {
    pub(crate) fn collect(mut from: impl Read + Send + 'static) -> Self {
        let output = Self::default();
        let into = Arc::clone(&output.0);
        std::thread::spawn(move || {
            let mut part = [0; 4096];
            while let Ok(length @ 1..) = from.read(&mut part) {
                into.lock().unwrap().extend_from_slice(&part[..length]);
            }
        });
        output
    }

    /// Waits, once the writers are gone, until all that they wrote is here.
    pub(crate) fn finish(&self) {
        for _ in 0..500 {
            if Arc::strong_count(&self.0) == 1 {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}
