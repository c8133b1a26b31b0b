//! The program itself: sockets, signals, kills.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::arithmetic_side_effects, clippy::disallowed_methods)]

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use attach_filter::mirror::wire::{self, Kind, Meta, Outcome};
use tempfile::TempDir;

const ISSUER: &str = "https://id.example";

/// A running program.
struct Mirror {
    child: Child,
    socket: PathBuf,
}

fn command(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_attach-mirror"));
    command.env_clear().env("ATTACH_DATA_DIR", dir).stderr(Stdio::piped()).stdout(Stdio::null());
    command
}

/// What a program that does not start says, and its exit status.
fn refused(command: &mut Command) -> (String, Option<i32>) {
    let output = command.output().unwrap();
    (String::from_utf8_lossy(&output.stderr).into_owned(), output.status.code())
}

impl Mirror {
    fn start(dir: &Path) -> Self {
        let mut child = command(dir).spawn().unwrap();
        // It says when it listens.
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let mut seen = String::new();
        while !seen.contains("listens") {
            assert!(lines.read_line(&mut seen).unwrap() > 0, "it ended: {seen}");
        }
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        Self { child, socket: dir.join("mirror.sock") }
    }

    fn try_send(&self, method: &str, path: &str, body: &[u8]) -> Option<(u16, String)> {
        let mut stream = UnixStream::connect(&self.socket).ok()?;
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: m\r\nconnection: close\r\nx-attach-user: alice\r\n\
             x-attach-issuer: {ISSUER}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).ok()?;
        stream.write_all(body).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
    }

    fn send(&self, method: &str, path: &str, body: &[u8]) -> (u16, String) {
        self.try_send(method, path, body).expect("an answer")
    }

    fn number(&self, name: &str) -> u64 {
        let text = self.send("GET", "/metrics", b"").1;
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
        line.unwrap_or_else(|| panic!("{name} in {text}")).parse().unwrap()
    }

    /// Waits until everything is in the store.
    fn settled(&self) {
        while self.number("attach_outbox_waiting") + self.number("attach_store_unindexed") > 0 {
            std::thread::yield_now();
        }
    }

    fn ids(&self) -> Vec<String> {
        let mut ids = Vec::new();
        let mut cursor = String::new();
        loop {
            let (status, body) = self.send("GET", &format!("/mem/events?limit=100{cursor}"), b"");
            assert_eq!(status, 200, "{body}");
            let body: serde_json::Value = serde_json::from_str(&body).unwrap();
            let events = body["events"].as_array().unwrap();
            ids.extend(events.iter().map(|event| event["id"].as_str().unwrap().to_owned()));
            match body["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return ids,
            }
        }
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn stop(mut self) {
        self.signal("-TERM");
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
        assert!(!self.socket.exists());
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A record of `alice`, number `n`, with what it asks.
fn record(n: u64, prompt: &str) -> (String, Vec<u8>) {
    let id = format!("019b7ca9-8db3-7690-98db-{n:012x}");
    let meta = Meta {
        v: wire::VERSION,
        id: id.clone(),
        time_ms: 1_767_323_045_000 + n,
        kind: Kind::Chat,
        user: Some("alice".into()),
        issuer: Some(ISSUER.into()),
        agent: None,
        session: Some("s".into()),
        sid: "sid".into(),
        trace_id: None,
        task: None,
        method: "POST".into(),
        path: "/api/chat".into(),
        status: 200,
        outcome: Outcome::Complete,
        first_byte_ms: None,
        duration_ms: 1,
        request_bytes: 0,
        response_bytes: 0,
        request_len: 0,
        response_len: 0,
        truncated: false,
        request_type: None,
        response_type: Some("application/json".into()),
        request_encoding: None,
        response_encoding: None,
        marks: Vec::new(),
    };
    let body = serde_json::json!({"messages": [{"role": "user", "content": prompt}]}).to_string();
    let mut batch = Vec::new();
    wire::encode(&meta, body.as_bytes(), b"{\"done\":true}", &mut batch);
    (id, batch)
}

fn dir() -> TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn it_is_private_and_leaves_no_secret_on_the_disk() {
    let dir = dir();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let mirror = Mirror::start(dir.path());
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(dir.path()), 0o700);
    assert_eq!(mode(&mirror.socket), 0o600);
    let secret = format!("hf_{}", "aB3x".repeat(9));
    let (_, batch) = record(1, &format!("my token is {secret}, keep it"));
    assert_eq!(mirror.send("POST", "/ingest", &batch).0, 202);
    mirror.settled();
    assert!(mirror.send("GET", "/mem/events", b"").1.contains("[redacted:huggingface_token]"));
    let mut files = 0;
    for file in std::fs::read_dir(dir.path()).unwrap().map(|file| file.unwrap().path()) {
        let Ok(bytes) = std::fs::read(&file) else { continue };
        assert_eq!(mode(&file) & 0o077, 0, "{file:?}");
        assert!(!bytes.windows(secret.len()).any(|some| some == secret.as_bytes()), "{file:?}");
        files += 1;
    }
    assert!(files >= 5, "{files}");
    mirror.stop();
}

#[test]
fn nothing_acknowledged_is_lost_or_doubled_by_kills() {
    let dir = dir();
    let mut acknowledged = HashSet::new();
    let mut n = 0;
    for round in 0..8 {
        let mirror = Mirror::start(dir.path());
        let pid = mirror.child.id().to_string();
        // Killed in the middle of whatever it does by then.
        let killer = std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(20 + 13 * round));
            Command::new("kill").args(["-KILL", &pid]).status().unwrap()
        });
        loop {
            let batch: Vec<_> = (n..n + 20).map(|n| record(n, "some words to keep")).collect();
            let bytes: Vec<u8> = batch.iter().flat_map(|(_, bytes)| bytes.clone()).collect();
            match mirror.try_send("POST", "/ingest", &bytes) {
                Some((202, _)) => acknowledged.extend(batch.into_iter().map(|(id, _)| id)),
                // As a filter does: the same records again, after the restart.
                _ => break,
            }
            n += 20;
        }
        assert!(killer.join().unwrap().success());
    }
    let mirror = Mirror::start(dir.path());
    mirror.settled();
    let ids = mirror.ids();
    let unique: HashSet<&String> = ids.iter().collect();
    assert_eq!(unique.len(), ids.len(), "doubled");
    assert!(acknowledged.len() > 20);
    assert!(acknowledged.iter().all(|id| unique.contains(id)), "lost");
    mirror.stop();
}

#[test]
fn a_stale_socket_is_replaced_and_a_running_service_is_not() {
    let dir = dir();
    Mirror::start(dir.path()).kill();
    assert!(dir.path().join("mirror.sock").exists());
    let mirror = Mirror::start(dir.path());
    let (said, code) = refused(&mut command(dir.path()));
    assert_eq!(code, Some(2));
    assert!(said.contains("another mirror-service uses the data directory"), "{said}");

    let elsewhere = self::dir();
    let listen = format!("unix:{}", mirror.socket.display());
    let (said, code) = refused(command(elsewhere.path()).env("MIRROR_LISTEN", listen));
    assert_eq!(code, Some(2));
    assert!(said.contains("MIRROR_LISTEN") && said.contains("running service"), "{said}");
    assert_eq!(mirror.send("GET", "/healthz", b"").0, 200);
    mirror.stop();
}

#[test]
fn bad_settings_end_with_2_and_name_themselves() {
    let dir = dir();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let long = format!("unix:{}/{}", dir.path().display(), "x".repeat(120));
    let in_file = format!("unix:{}", file.display());
    for (name, value, names) in [
        ("MEM_BACKEND", "mongo", "MEM_BACKEND"),
        ("MIRROR_LISTEN", "127.0.0.1:0", "MIRROR_TOKEN"),
        ("MIRROR_LISTEN", "unix:relative", "MIRROR_LISTEN"),
        ("MIRROR_LISTEN", long.as_str(), "too long"),
        ("MIRROR_LISTEN", in_file.as_str(), "no socket"),
        ("ATTACH_DATA_DIR", file.to_str().unwrap(), "ATTACH_DATA_DIR"),
        ("ATTACH_DATA_DIR", "/proc/nowhere", "ATTACH_DATA_DIR"),
    ] {
        let (said, code) = refused(command(dir.path()).env(name, value));
        assert_eq!(code, Some(2), "{name}={value}: {said}");
        assert!(said.contains(names), "{name}={value}: {said}");
    }
    assert!(file.exists(), "what is no socket is not removed");
    let output = command(dir.path()).arg("--help").stdout(Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&output.stdout).contains("MIRROR_LISTEN"));
    assert_eq!(refused(command(dir.path()).arg("--nonsense")).1, Some(2));
}

#[test]
fn over_tcp_every_request_needs_the_token() {
    let dir = dir();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut child = command(dir.path())
        .env("MIRROR_LISTEN", format!("127.0.0.1:{port}"))
        .env("MIRROR_TOKEN", "t0ken")
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap());
    let mut seen = String::new();
    while !seen.contains("listens") {
        assert!(lines.read_line(&mut seen).unwrap() > 0, "it ended: {seen}");
    }
    let status = |path: &str, authorization: &str| -> u16 {
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        let head = format!(
            "GET {path} HTTP/1.1\r\nhost: m\r\nconnection: close\r\nx-attach-user: alice\r\n{authorization}\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split(' ').nth(1).unwrap().parse().unwrap()
    };
    for path in ["/mem/events", "/metrics", "/mem/sessions"] {
        assert_eq!(status(path, ""), 401, "{path}");
        assert_eq!(status(path, "authorization: Bearer t0ke\r\n"), 401, "{path}");
        assert_eq!(status(path, "authorization: Basic t0ken\r\n"), 401, "{path}");
        assert_eq!(status(path, "authorization: bearer t0ken\r\n"), 200, "{path}");
    }
    assert_eq!(status("/healthz", ""), 200);
    assert_eq!(status("/nowhere", "authorization: Bearer t0ken\r\n"), 404);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn unreadable_batches_are_refused_and_their_readable_records_kept() {
    let dir = dir();
    let mirror = Mirror::start(dir.path());
    let (first, mut batch) = record(1, "readable");
    let (_, bad_id) = record(2, "bad id");
    let bad_id = String::from_utf8(bad_id).unwrap().replacen("019b7ca9", "not-hexa", 1);
    batch.extend(bad_id.into_bytes());
    let (third, more) = record(3, "readable too");
    batch.extend(more);
    batch.extend(b"{\"v\":1,\"id\"\nrest of something");
    let (status, body) = mirror.send("POST", "/ingest", &batch);
    assert_eq!(status, 400, "{body}");
    assert!(body.contains("invalid_body"), "{body}");
    assert_eq!(mirror.send("POST", "/ingest", &batch).0, 400);
    assert_eq!(mirror.send("POST", "/ingest", b"").0, 202);
    assert_eq!(mirror.send("GET", "/ingest", b"").0, 405);
    mirror.settled();
    let mut ids = mirror.ids();
    ids.sort();
    assert_eq!(ids, [first, third]);
    // Known to the outbox or to the store, as quick as they were.
    let known = mirror.number("attach_ingest_duplicate") + mirror.number("attach_store_known");
    assert_eq!((known, mirror.number("attach_store_stored")), (2, 2));
    mirror.stop();
}

#[test]
fn a_stop_under_load_hands_over_what_it_acknowledged() {
    let dir = dir();
    let mirror = Mirror::start(dir.path());
    let mut acknowledged = 0;
    for n in 0..50 {
        let bytes: Vec<u8> = (0..20).flat_map(|k| record(n * 20 + k, "words").1).collect();
        if mirror.send("POST", "/ingest", &bytes).0 == 202 {
            acknowledged += 20;
        }
    }
    mirror.stop();
    let stored: i64 = rusqlite::Connection::open(dir.path().join("memory.db"))
        .unwrap()
        .query_row("SELECT count(*) FROM events", [], |row| row.get(0))
        .unwrap();
    assert_eq!(stored, acknowledged);
}
