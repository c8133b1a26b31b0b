//! What Linux says of the processes of a gateway.

use std::collections::HashSet;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};

/// The process and all that it started, itself first.
pub(crate) fn family(pid: u32) -> Vec<u32> {
    let all: Vec<(u32, u32)> = pids().filter_map(|pid| Some((pid, parent(pid)?))).collect();
    let mut family = vec![pid];
    let mut next = 0;
    while let Some(parent) = family.get(next).copied() {
        family.extend(all.iter().filter(|(_, p)| *p == parent).map(|(pid, _)| *pid));
        next += 1;
    }
    family
}

/// The member of the family whose arguments contain this word as a whole, or as a file name.
pub(crate) fn find(family: &[u32], word: &str) -> Option<u32> {
    let named = |arg: &str| arg == word || arg.rsplit('/').next() == Some(word);
    family.iter().copied().find(|pid| arguments(*pid).iter().take(2).any(|arg| named(arg)))
}

pub(crate) fn arguments(pid: u32) -> Vec<String> {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    line.split(|byte| *byte == 0)
        .filter(|arg| !arg.is_empty())
        .map(|arg| String::from_utf8_lossy(arg).into_owned())
        .collect()
}

/// The addresses on which these processes accept TCP connections.
pub(crate) fn listening(family: &[u32]) -> Vec<SocketAddr> {
    let sockets: HashSet<String> = family.iter().flat_map(|pid| sockets(*pid)).collect();
    let mut found = Vec::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        for line in fs::read_to_string(table).unwrap_or_default().lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            // 0A is TCP_LISTEN.
            if fields[3] == "0A" && sockets.contains(fields[9]) {
                found.push(address(fields[1]));
            }
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

fn pids() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").expect("/proc");
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before it is in parentheses and may contain anything.
    let mut rest = stat.rsplit_once(')')?.1.split_whitespace();
    (rest.next()? != "Z").then(|| rest.next()?.parse().ok())?
}

/// Inode numbers of a process's sockets.
fn sockets(pid: u32) -> Vec<String> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else { return Vec::new() };
    entries
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .filter_map(|link| {
            let link = link.to_string_lossy().into_owned();
            Some(link.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned())
        })
        .collect()
}

/// `0100007F:1F90`; an IPv6 address, which none of ours should be, shows as `0.0.0.0`.
fn address(text: &str) -> SocketAddr {
    let (ip, port) = text.split_once(':').expect("address");
    let ip = u32::from_str_radix(ip, 16).map_or(Ipv4Addr::UNSPECIFIED, |ip| {
        let [a, b, c, d] = ip.to_le_bytes();
        Ipv4Addr::new(a, b, c, d)
    });
    SocketAddr::from((ip, u16::from_str_radix(port, 16).expect("port")))
}
