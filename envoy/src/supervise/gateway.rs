//! A whole gateway: Envoy, the mirror-service, their ports and their directory.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::task::JoinHandle;

use super::child::Program;
use super::keeper::Keeper;
use super::ports::{Port, reserve};
use super::{Options, StartError, drain, envoy, mirror};
use crate::bootstrap::Placement;
use crate::data_dir::{DataDir, Lock};
use crate::discovery;
use crate::settings::Settings;

/// What the mirror-service accepted is on disk already; it only finishes what it is at.
const MIRROR_END_PATIENCE: Duration = Duration::from_secs(30);

/// A gateway that runs. Dropping it kills its children; [`Gateway::stop`] lets them finish.
#[derive(Debug)]
pub struct Gateway {
    settings: Settings,
    options: Options,
    listen: Port,
    metrics: Port,
    generation: u32,
    envoy: envoy::Running,
    mirror: Option<Mirror>,
    /// What finishes its streams under an earlier configuration.
    retiring: Vec<JoinHandle<()>>,
    data: DataDir,
    _lock: Lock,
}

/// The mirror-service, and how it was started.
#[derive(Debug)]
struct Mirror {
    program: Program,
    keeper: Keeper,
}

impl Gateway {
    /// Starts a gateway and returns when it listens.
    ///
    /// # Errors
    /// Why it cannot start; nothing is left running then.
    pub async fn start(mut settings: Settings, options: Options) -> Result<Self, StartError> {
        let data = DataDir::open(&settings.data_dir)?;
        let lock = data.lock()?;
        data.remove_stale_sockets();
        raise_file_limit();
        let listen = reserve("ATTACH_LISTEN", settings.listen)?;
        let metrics = reserve("ATTACH_METRICS_LISTEN", settings.metrics_listen)?;
        settings.listen = listen.address;
        settings.metrics_listen = metrics.address;
        let placement = placement(&settings, &data, 0).await?;
        let prepared = envoy::prepare(&settings, &placement, &data, 0, &options).await?;
        // They need not wait for each other: what is captured first waits in the filter. If one
        // fails, the other is dropped and so killed.
        let program = mirror::program(&settings, &data, &options);
        let (mirror, envoy) = tokio::try_join!(Mirror::start_if(program, &data), prepared.start())?;
        Ok(Self {
            settings,
            options,
            listen,
            metrics,
            generation: 0,
            envoy,
            mirror,
            retiring: Vec::new(),
            data,
            _lock: lock,
        })
    }

    /// Takes over other settings: a new Envoy starts beside the old one on the same port, then
    /// the old one finishes its streams.
    ///
    /// # Errors
    /// Why the old settings stay.
    pub async fn reload(&mut self, mut settings: Settings) -> Result<(), StartError> {
        if settings.data_dir != self.settings.data_dir {
            let from = self.settings.data_dir.clone();
            return Err(StartError::DataDirChanged { from, to: settings.data_dir });
        }
        let listen = moved("ATTACH_LISTEN", &self.listen, &mut settings.listen)?;
        let metrics = moved("ATTACH_METRICS_LISTEN", &self.metrics, &mut settings.metrics_listen)?;
        self.generation = self.generation.saturating_add(1);
        let placement = placement(&settings, &self.data, self.generation).await?;
        let prepared =
            envoy::prepare(&settings, &placement, &self.data, self.generation, &self.options)
                .await?;
        let no_longer_needed = self.change_mirror(&settings).await?;
        let envoy = match prepared.start().await {
            Ok(envoy) => envoy,
            Err(error) => {
                self.mirror = no_longer_needed.or(self.mirror.take());
                return Err(error);
            }
        };
        let old = std::mem::replace(&mut self.envoy, envoy);
        self.retiring.retain(|task| !task.is_finished());
        self.retiring.push(tokio::spawn(async move {
            drain::drain(old).await;
            if let Some(mirror) = no_longer_needed {
                mirror.keeper.terminate(MIRROR_END_PATIENCE).await;
            }
        }));
        self.settings = settings;
        if let Some(port) = listen {
            self.listen = port;
        }
        if let Some(port) = metrics {
            self.metrics = port;
        }
        Ok(())
    }

    /// Restarts the mirror-service if its settings changed; the filter's queue holds what is
    /// captured meanwhile. One that is not needed any more is handed back, as the old Envoy
    /// has yet to deliver to it.
    async fn change_mirror(&mut self, settings: &Settings) -> Result<Option<Mirror>, StartError> {
        let wanted = mirror::program(settings, &self.data, &self.options);
        let running = self.mirror.as_ref().map(|mirror| &mirror.program);
        if wanted.as_ref() == running {
            return Ok(None);
        }
        let old = self.mirror.take();
        let Some(wanted) = wanted else { return Ok(old) };
        let Some(old) = old else {
            self.mirror = Some(Mirror::start(wanted, &self.data).await?);
            return Ok(None);
        };
        // One outbox, one service: the old one must be gone first.
        old.keeper.terminate(MIRROR_END_PATIENCE).await;
        match Mirror::start(wanted, &self.data).await {
            Ok(mirror) => self.mirror = Some(mirror),
            Err(error) => {
                self.mirror = Some(Mirror::start(old.program, &self.data).await?);
                return Err(error);
            }
        }
        Ok(None)
    }

    /// Ends in order: no request is cut, what was captured reaches the mirror-service.
    /// Dropping the future ends everything at once.
    pub async fn stop(self) {
        let Self { envoy, mirror, retiring, data, .. } = self;
        drain::drain(envoy).await;
        for task in retiring {
            let _ = task.await;
        }
        if let Some(mirror) = mirror {
            mirror.keeper.terminate(MIRROR_END_PATIENCE).await;
        }
        // The bootstrap holds secrets; nobody needs it any more.
        data.remove_stale_sockets();
    }

    /// Ends at once: requests are cut.
    pub async fn kill(self) {
        let Self { envoy, mirror, retiring, .. } = self;
        retiring.iter().for_each(JoinHandle::abort);
        envoy.keeper.kill().await;
        if let Some(mirror) = mirror {
            mirror.keeper.kill().await;
        }
    }

    /// Where clients connect, as seen from this machine.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.settings.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.listen.address)
    }

    /// The settings it runs with, ports filled in.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The public listener.
    #[must_use]
    pub fn listen(&self) -> SocketAddr {
        self.listen.address
    }

    /// The metrics listener.
    #[must_use]
    pub fn metrics(&self) -> SocketAddr {
        self.metrics.address
    }

    /// The data directory.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        self.data.path()
    }

    /// Envoy's process, unless it is being started again.
    #[must_use]
    pub fn envoy_pid(&self) -> Option<u32> {
        self.envoy.keeper.pid()
    }

    /// The mirror-service's process, unless it is being started again or not ours.
    #[must_use]
    pub fn mirror_pid(&self) -> Option<u32> {
        self.mirror.as_ref()?.keeper.pid()
    }
}

impl Mirror {
    async fn start_if(
        program: Option<Program>,
        data: &DataDir,
    ) -> Result<Option<Self>, StartError> {
        match program {
            Some(program) => Self::start(program, data).await.map(Some),
            None => Ok(None),
        }
    }

    async fn start(program: Program, data: &DataDir) -> Result<Self, StartError> {
        let keeper = mirror::start(program.clone(), &data.mirror_socket()).await?;
        Ok(Self { program, keeper })
    }
}

async fn placement(
    settings: &Settings,
    data: &DataDir,
    generation: u32,
) -> Result<Placement, StartError> {
    Ok(Placement {
        admin_socket: data.admin_socket(generation),
        mirror_socket: data.mirror_socket(),
        filter: data.extract_filter()?,
        session: data.session(&settings.session)?,
        key_servers: discovery::key_servers(settings).await,
    })
}

/// A new port if the address changed; port 0 keeps the one that was chosen.
fn moved(
    setting: &'static str,
    now: &Port,
    wanted: &mut SocketAddr,
) -> Result<Option<Port>, StartError> {
    let any_port = wanted.ip() == now.address.ip() && wanted.port() == 0;
    if any_port || *wanted == now.address {
        *wanted = now.address;
        return Ok(None);
    }
    let port = reserve(setting, *wanted)?;
    *wanted = port.address;
    Ok(Some(port))
}

/// A stream holds two descriptors; the usual soft limit of 1,024 would end at 500 of them.
/// Children inherit it.
fn raise_file_limit() {
    const ENOUGH: u64 = 65_536;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.unwrap_or(ENOUGH).min(ENOUGH);
    if current.is_some_and(|current| current < wanted) {
        // Less is no reason not to start: Envoy refuses connections that it has no room for.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum });
    }
}
