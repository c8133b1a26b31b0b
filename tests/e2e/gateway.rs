//! `attach-gateway run` as a process of its own, with nothing but the settings of a test.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::client;
use crate::engine::Engine;
use crate::issuer::{AUDIENCE, Issuer};
use crate::output::Output;
use crate::ports::free_port;
use crate::processes;
use crate::wait::until;
use crate::watchdog::Watchdog;

/// What is taken over from the environment: where Envoy is, or how to get it.
const PASSED_ON: [&str; 8] = [
    "PATH",
    "HOME",
    "ATTACH_ENVOY",
    "XDG_CACHE_HOME",
    "HTTPS_PROXY",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

/// Settings of a gateway that has not started.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) listen: SocketAddr,
    pub(crate) metrics: SocketAddr,
    settings: BTreeMap<String, String>,
    dir: Arc<TempDir>,
}

/// A gateway that runs.
pub(crate) struct Gateway {
    pub(crate) plan: Plan,
    child: Mutex<Child>,
    pid: u32,
    out: Output,
    err: Output,
    _watchdog: Watchdog,
}

/// How a gateway ended that was not meant to run.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

// === impl Plan ===

impl Plan {
    /// Without an issuer or an engine.
    pub(crate) fn bare() -> Self {
        let dir = tempfile::Builder::new().prefix("ag").tempdir().expect("a directory");
        let [listen, metrics] = [free_port(), free_port()];
        Self { listen, metrics, settings: BTreeMap::new(), dir: Arc::new(dir) }
            .set("ATTACH_LISTEN", listen)
            .set("ATTACH_METRICS_LISTEN", metrics)
            .set("ATTACH_CONCURRENCY", 2)
            .set("OIDC_AUD", AUDIENCE)
            .data_dir("data")
    }

    pub(crate) fn new(issuer: &Issuer, engine: &Engine) -> Self {
        Self::bare().set("OIDC_ISSUER", issuer.url()).set("ENGINE_URL", engine.url())
    }

    pub(crate) fn set(mut self, name: &str, value: impl ToString) -> Self {
        self.settings.insert(name.to_owned(), value.to_string());
        self
    }

    pub(crate) fn unset(mut self, name: &str) -> Self {
        self.settings.remove(name);
        self
    }

    /// Names the data directory, relative to this plan's own.
    fn data_dir(self, name: &str) -> Self {
        let dir = self.dir.path().join(name);
        self.set("ATTACH_DATA_DIR", dir.display())
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn data(&self) -> PathBuf {
        PathBuf::from(&self.settings["ATTACH_DATA_DIR"])
    }

    /// Starts it and waits until it is ready for everything.
    pub(crate) async fn start(&self) -> Gateway {
        self.start_until("/readyz").await
    }

    /// Starts it and waits until it answers, whatever its issuer or engine are like.
    pub(crate) async fn start_alive(&self) -> Gateway {
        self.start_until("/healthz").await
    }

    async fn start_until(&self, path: &str) -> Gateway {
        let gateway = self.spawn();
        let url = gateway.url(path);
        until("the gateway is ready", async || {
            if let Some(ended) = gateway.ended() {
                panic!("the gateway ended: {ended}\n{}", gateway.errors());
            }
            let answer = client::http().get(&url).send().await.ok()?;
            (answer.status() == 200).then_some(())
        })
        .await;
        gateway
    }

    fn spawn(&self) -> Gateway {
        let mut child = self.command().spawn().expect("attach-gateway");
        let pid = child.id();
        let out = Output::collect(child.stdout.take().unwrap());
        let err = Output::collect(child.stderr.take().unwrap());
        let watchdog = Watchdog::over(pid, self.dir());
        Gateway { plan: self.clone(), child: Mutex::new(child), pid, out, err, _watchdog: watchdog }
    }

    /// Runs it to its end, which is expected to come by itself.
    pub(crate) async fn fail(&self) -> Ended {
        let gateway = self.spawn();
        let status = gateway.wait().await;
        Ended { code: status.code(), out: gateway.output(), err: gateway.errors() }
    }

    fn command(&self) -> Command {
        use std::os::unix::process::CommandExt;
        let mut command = Command::new(env!("CARGO_BIN_EXE_attach-gateway"));
        let passed_on = |name: &str| PASSED_ON.contains(&name) || name.starts_with("PIP_");
        command
            .arg("run")
            .env_clear()
            .envs(std::env::vars().filter(|(name, _)| passed_on(name)))
            .envs(&self.settings)
            .current_dir(self.dir())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        command
    }
}

// === impl Gateway ===

impl Gateway {
    pub(crate) fn address(&self) -> SocketAddr {
        self.plan.listen
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.plan.listen)
    }

    pub(crate) fn get(&self, path: &str) -> reqwest::RequestBuilder {
        client::http().get(self.url(path))
    }

    pub(crate) fn post(&self, path: &str) -> reqwest::RequestBuilder {
        client::http().post(self.url(path))
    }

    /// What it wrote to standard output: the access log.
    pub(crate) fn output(&self) -> String {
        self.out.text()
    }

    pub(crate) fn errors(&self) -> String {
        self.err.text()
    }

    /// The launcher's process id and those of all that it started.
    pub(crate) fn family(&self) -> Vec<u32> {
        processes::family(self.pid)
    }

    pub(crate) fn mirror_pid(&self) -> Option<u32> {
        let family = self.family();
        let children = family.get(1..).unwrap_or_default();
        processes::find(children, "mirror").or_else(|| processes::find(children, "attach-mirror"))
    }

    pub(crate) fn envoy_pid(&self) -> Option<u32> {
        processes::find(self.family().get(1..).unwrap_or_default(), "envoy")
    }

    pub(crate) fn signal(&self, signal: Signal) {
        signal_to(self.pid, signal);
    }

    /// Asks it to drain, and waits until it has.
    pub(crate) async fn stop(&self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait().await
    }

    pub(crate) async fn wait(&self) -> ExitStatus {
        until("the gateway ends", async || self.ended()).await
    }

    pub(crate) fn ended(&self) -> Option<ExitStatus> {
        let ended = self.child.lock().unwrap().try_wait().expect("a child of ours")?;
        self.out.finish();
        self.err.finish();
        Some(ended)
    }

    /// Requests that the public listener is at.
    pub(crate) async fn active_requests(&self) -> u64 {
        let series = r#"envoy_http_downstream_rq_active{envoy_http_conn_manager_prefix="attach"} "#;
        let text = self.metrics("/metrics").await;
        let value = text.lines().find_map(|line| line.strip_prefix(series)).expect("the metric");
        value.parse().expect("a number")
    }

    pub(crate) async fn metrics(&self, path: &str) -> String {
        let url = format!("http://{}{path}", self.plan.metrics);
        let answer = client::http().get(url).send().await.expect("the metrics listener");
        assert_eq!(answer.status(), 200, "{path}");
        answer.text().await.unwrap()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the gateway's errors\n{}\n---", self.errors());
        }
        let mut child = self.child.lock().unwrap();
        if !matches!(child.try_wait(), Ok(Some(_))) {
            // From the top, so that nobody is left who would start the others again.
            for pid in self.family() {
                signal_to(pid, Signal::KILL);
            }
            let _ = child.wait();
        }
    }
}

pub(crate) fn signal_to(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).expect("not 0");
    // One that is gone already is as good.
    let _ = kill_process(pid, signal);
}
