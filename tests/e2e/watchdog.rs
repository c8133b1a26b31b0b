//! Ends a gateway that outlives this process. What tests share is never dropped, and a test run
//! may be interrupted; neither may leave an Envoy behind.

use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Waits for its input to end, which it does with us however we end; a gateway that does not
/// stop in time takes its whole process group with it.
const SCRIPT: &str = r#"
read -r _
kill -TERM "$1" || exit 0
for _ in 1 2 3 4 5 6 7 8 9 10; do
    kill -0 "$1" || break
    sleep 1
done
kill -KILL -- "-$1"
rm -rf -- "$2"
"#;

/// Stands guard until it is dropped.
pub(crate) struct Watchdog(Child);

impl Watchdog {
    pub(crate) fn over(pid: u32, dir: &Path) -> Self {
        use std::os::unix::process::CommandExt;
        let child = Command::new("sh")
            .args(["-c", SCRIPT, "watchdog", &pid.to_string()])
            .arg(dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("sh");
        Self(child)
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
