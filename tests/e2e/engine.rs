//! An engine that records what reaches it, byte for byte, and answers as a test planned.
//!
//! A test plans, and finds its requests again, by the value of the header `x-case`.

mod answers;

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::AsyncWriteExt;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{JoinHandle, JoinSet};

use crate::http1::{self, Framing, Head, Reader};
use crate::wait::until;
pub(crate) use answers::{ndjson, sse, whole};

/// What the engine does with one request.
pub(crate) enum Plan {
    /// These bytes are the answer, head included.
    Bytes(Vec<u8>),
    /// The request's body is the answer's.
    Echo,
    /// A chunked answer of this content type, step by step.
    Steps(&'static str, UnboundedReceiver<Step>),
    /// No answer, until the gateway gives up.
    Silence,
    /// The connection is closed without an answer.
    Close,
}

/// A step of a chunked answer; it is complete when the sender is dropped.
pub(crate) enum Step {
    Chunk(Vec<u8>),
    /// The connection breaks here.
    Cut,
}

/// A request as the engine got it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Which of the engine's connections brought it.
    pub(crate) connection: usize,
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) chunked: bool,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Vec<(String, Vec<u8>)>,
}

pub(crate) struct Engine {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
    server: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    plans: Mutex<HashMap<String, VecDeque<Plan>>>,
    seen: Mutex<Vec<Seen>>,
    connections: AtomicUsize,
}

// === impl Engine ===

impl Engine {
    pub(crate) async fn start() -> Self {
        Self::start_on(SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    pub(crate) async fn start_on(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.expect("the engine's port");
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State::default());
        let server = tokio::spawn(serve(listener, Arc::clone(&state)));
        Self { address, state, server }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Plans the answer to the next request of a case that has no plan yet.
    pub(crate) fn plan(&self, case: &str, plan: Plan) {
        self.state.plans.lock().unwrap().entry(case.to_owned()).or_default().push_back(plan);
    }

    /// Plans a chunked answer that the test releases.
    pub(crate) fn plan_steps(&self, case: &str, content: &'static str) -> UnboundedSender<Step> {
        let (sender, receiver) = unbounded_channel();
        self.plan(case, Plan::Steps(content, receiver));
        sender
    }

    /// The requests of a case so far.
    pub(crate) fn seen(&self, case: &str) -> Vec<Seen> {
        let seen = self.state.seen.lock().unwrap();
        seen.iter().filter(|seen| seen.one("x-case").as_deref() == Some(case)).cloned().collect()
    }

    /// All requests that went over a connection.
    pub(crate) fn seen_on(&self, connection: usize) -> Vec<Seen> {
        let seen = self.state.seen.lock().unwrap();
        seen.iter().filter(|seen| seen.connection == connection).cloned().collect()
    }

    /// Waits for the first request of a case.
    pub(crate) async fn request(&self, case: &str) -> Seen {
        until("the engine has the request", async || self.seen(case).into_iter().next()).await
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Takes the connections with it, as a dying engine does.
        self.server.abort();
    }
}

// === impl Seen ===

impl Seen {
    pub(crate) fn all(&self, name: &str) -> Vec<String> {
        http1::all(&self.headers, name)
    }

    pub(crate) fn one(&self, name: &str) -> Option<String> {
        self.all(name).into_iter().next()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("the engine got JSON")
    }

    /// Names of headers and trailers that are ours in any spelling, sorted.
    pub(crate) fn stamped(&self) -> Vec<String> {
        let mut names: Vec<String> = self
            .headers
            .iter()
            .chain(&self.trailers)
            .map(|(name, _)| name.to_ascii_lowercase())
            .filter(|name| name.replace('_', "-").starts_with("x-attach-"))
            .collect();
        names.sort();
        names
    }
}

// === serving ===

async fn serve(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let number = state.connections.fetch_add(1, Ordering::Relaxed);
        connections.spawn(converse(stream, number, Arc::clone(&state)));
        while connections.try_join_next().is_some() {}
    }
}

async fn converse(stream: TcpStream, connection: usize, state: Arc<State>) {
    let (read, mut write) = stream.into_split();
    let mut reader = Reader::new(read);
    while let Some(head) = reader.head().await {
        let framing = head.framing(Framing::Length(0));
        let Ok((body, trailers)) = reader.body(framing).await else { return };
        let mut start = head.start.split(' ');
        let seen = Seen {
            connection,
            method: start.next().unwrap_or_default().to_owned(),
            target: start.next().unwrap_or_default().to_owned(),
            headers: head.headers.clone(),
            chunked: framing == Framing::Chunked,
            body,
            trailers,
        };
        state.seen.lock().unwrap().push(seen.clone());
        let plan = state.next_plan(&head).unwrap_or_else(|| answers::usual(&seen));
        if act(plan, &seen, &mut write, &mut reader).await.is_none() {
            return;
        }
    }
}

impl State {
    fn next_plan(&self, head: &Head) -> Option<Plan> {
        self.plans.lock().unwrap().get_mut(&head.one("x-case")?)?.pop_front()
    }
}

/// Carries out a plan; none when the connection is to be closed.
async fn act(
    plan: Plan,
    seen: &Seen,
    write: &mut OwnedWriteHalf,
    reader: &mut Reader<tokio::net::tcp::OwnedReadHalf>,
) -> Option<()> {
    match plan {
        Plan::Bytes(bytes) => write.write_all(&bytes).await.ok(),
        Plan::Echo => {
            let content = seen.one("content-type").unwrap_or_else(|| "text/plain".to_owned());
            write.write_all(&whole(200, &content, &seen.body)).await.ok()
        }
        Plan::Steps(content, steps) => stream(content, steps, write).await,
        Plan::Silence => {
            // Until the gateway closes the connection.
            reader.head().await;
            None
        }
        Plan::Close => None,
    }
}

async fn stream(
    content: &str,
    mut steps: UnboundedReceiver<Step>,
    write: &mut OwnedWriteHalf,
) -> Option<()> {
    let head =
        format!("HTTP/1.1 200 OK\r\nContent-Type: {content}\r\nTransfer-Encoding: chunked\r\n\r\n");
    write.write_all(head.as_bytes()).await.ok()?;
    while let Some(step) = steps.recv().await {
        let Step::Chunk(bytes) = step else { return None };
        let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
        chunk.extend(bytes);
        chunk.extend(b"\r\n");
        write.write_all(&chunk).await.ok()?;
    }
    write.write_all(b"0\r\n\r\n").await.ok()
}
