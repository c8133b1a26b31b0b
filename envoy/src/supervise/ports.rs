//! Ports for Envoy: free before it starts, and kept for it.
//!
//! Envoy listens with SO_REUSEPORT, so two Envoys on one port would split the traffic without
//! a word. Hence the port is first bound without that option, which fails if anybody has it;
//! then it is held by a socket that never listens: Envoy can join it, others cannot.

use std::fs;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with, sockopt};

/// Holds a port while it lives.
#[derive(Debug)]
pub(crate) struct Port {
    /// With the port that was chosen, if 0 was asked for.
    pub(crate) address: SocketAddr,
    _held: OwnedFd,
}

/// Why Envoy could not listen there.
#[derive(Debug, thiserror::Error)]
#[error("{setting}: {address} {problem}")]
pub struct PortError {
    /// The setting that names the address.
    setting: &'static str,
    address: SocketAddr,
    problem: String,
}

/// Takes the address for Envoy.
pub(crate) fn reserve(setting: &'static str, address: SocketAddr) -> Result<Port, PortError> {
    let fault =
        |error: std::io::Error| PortError { setting, address, problem: problem(&error, address) };
    let address = TcpListener::bind(address).and_then(|probe| probe.local_addr()).map_err(fault)?;
    let _held = hold(address).map_err(|error| fault(error.into()))?;
    Ok(Port { address, _held })
}

fn hold(address: SocketAddr) -> rustix::io::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    sockopt::set_socket_reuseport(&socket, true)?;
    bind(&socket, &address)?;
    Ok(socket)
}

fn problem(error: &std::io::Error, address: SocketAddr) -> String {
    match error.kind() {
        ErrorKind::AddrInUse => {
            let holder = holder(address.port()).map(|holder| format!(" by {holder}"));
            format!("is in use{}; stop that, or set another address", holder.unwrap_or_default())
        }
        ErrorKind::AddrNotAvailable => {
            "is no address of this machine; set one that is, or 0.0.0.0 for all".to_owned()
        }
        ErrorKind::PermissionDenied => {
            "needs more rights (ports below 1024 do); set a higher port".to_owned()
        }
        _ => format!("cannot be listened on ({error}); set another address"),
    }
}

/// The process that listens on a port, as far as /proc shows it.
fn holder(port: u16) -> Option<String> {
    let mut inodes = Vec::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let table = fs::read_to_string(table).unwrap_or_default();
        let listeners = table.lines().filter_map(|line| listener(line, port));
        inodes.extend(listeners.map(|inode| format!("socket:[{inode}]")));
    }
    let processes = fs::read_dir("/proc").ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    // Not `self` and its like, which are other names of a process.
    let numbered = |path: &PathBuf| {
        path.file_name()
            .is_some_and(|name| name.to_str().is_some_and(|name| name.parse::<u32>().is_ok()))
    };
    let found = processes.filter(numbered).find(|process| {
        let files = fs::read_dir(process.join("fd")).into_iter().flatten().filter_map(Result::ok);
        files
            .filter_map(|file| fs::read_link(file.path()).ok())
            .any(|link| inodes.iter().any(|inode| link.as_os_str() == inode.as_str()))
    })?;
    let name = fs::read_to_string(found.join("comm")).ok()?;
    Some(format!("`{}` (process {})", name.trim(), found.file_name()?.to_str()?))
}

/// The inode of a listening socket: `0: 0100007F:1F90 00000000:0000 0A ... inode`.
fn listener(line: &str, port: u16) -> Option<&str> {
    const LISTEN: &str = "0A";
    let mut fields = line.split_whitespace();
    let (_, local) = fields.nth(1)?.rsplit_once(':')?;
    let state = fields.nth(1)?;
    let same = u16::from_str_radix(local, 16).ok() == Some(port);
    fields.nth(5).filter(|_| same && state == LISTEN)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[test]
    fn a_free_port_is_chosen_and_held() {
        let port = reserve("ATTACH_LISTEN", "127.0.0.1:0".parse().unwrap()).unwrap();
        assert_ne!(port.address.port(), 0);
        assert_eq!(TcpListener::bind(port.address).unwrap_err().kind(), ErrorKind::AddrInUse);
        let joined = hold(port.address).unwrap();
        drop((port, joined));
    }

    #[test]
    fn a_busy_port_names_the_setting_and_the_process() {
        let busy = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = busy.local_addr().unwrap();
        let error = reserve("ATTACH_LISTEN", address).unwrap_err().to_string();
        assert!(error.starts_with(&format!("ATTACH_LISTEN: {address} is in use by `")), "{error}");
        assert!(error.contains(&format!("(process {})", std::process::id())), "{error}");
    }

    #[test]
    fn somebody_elses_address_is_refused() {
        let error =
            reserve("ATTACH_LISTEN", "192.0.2.1:0".parse().unwrap()).unwrap_err().to_string();
        assert!(error.contains("no address of this machine"), "{error}");
    }

    #[test]
    fn the_kernels_table_is_read() {
        let line = "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 40242 1 0000000000000000 100 0 0 10 0";
        assert_eq!(listener(line, 8080), Some("40242"));
        assert_eq!(listener(line, 8081), None);
        assert_eq!(listener(&line.replace(" 0A ", " 01 "), 8080), None);
        assert_eq!(listener("  sl  local_address rem_address   st", 8080), None);
    }
}
