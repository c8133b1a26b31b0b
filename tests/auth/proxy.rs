//! A proxy of several workers, as far as their keys go: the shared map with Envoy's rules, the
//! callouts with an issuer behind them that does as it is told, and a clock that can jump.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use attach_filter::auth::{
    Authenticator, CasMismatch, Fetch, FetchOutcome, HostVerifier, NoHost, SharedData, UnixMillis,
    Unsupported, Verdict,
};
use attach_filter::config::Config;
use ring::signature as sig;

/// Envoy's shared data: numbers start at 1 and grow with every write to any key; the number is
/// ignored when the key is new.
#[derive(Clone, Default)]
pub(crate) struct Shared(Rc<RefCell<Map>>);

#[derive(Default)]
struct Map {
    values: HashMap<String, (Vec<u8>, u32)>,
    last: u32,
    pub(crate) writes: u64,
}

impl SharedData for Shared {
    fn get(&self, key: &str) -> Option<(Vec<u8>, u32)> {
        self.0.borrow().values.get(key).filter(|(value, _)| !value.is_empty()).cloned()
    }

    fn set(&mut self, key: &str, value: &[u8], cas: Option<u32>) -> Result<(), CasMismatch> {
        let mut map = self.0.borrow_mut();
        let current = map.values.get(key).map(|(_, number)| *number);
        if let (Some(current), Some(cas)) = (current, cas.filter(|cas| *cas != 0))
            && current != cas
        {
            return Err(CasMismatch);
        }
        map.last += 1;
        map.writes += 1;
        let number = map.last;
        map.values.insert(key.to_owned(), (value.to_vec(), number));
        Ok(())
    }
}

impl Shared {
    pub(crate) fn writes(&self) -> u64 {
        self.0.borrow().writes
    }

    pub(crate) fn keys(&self) -> Vec<String> {
        self.0.borrow().values.keys().cloned().collect()
    }

    pub(crate) fn corrupt(&self) {
        for (value, _) in self.0.borrow_mut().values.values_mut() {
            *value = b"junk".to_vec();
        }
    }
}

/// The shared data as a worker sees it that is held up just before its first write.
pub(crate) struct HeldUp<'a> {
    pub(crate) inner: Shared,
    /// What the others do meanwhile.
    pub(crate) meanwhile: Option<&'a mut dyn FnMut()>,
}

impl SharedData for HeldUp<'_> {
    fn get(&self, key: &str) -> Option<(Vec<u8>, u32)> {
        self.inner.get(key)
    }

    fn set(&mut self, key: &str, value: &[u8], cas: Option<u32>) -> Result<(), CasMismatch> {
        if let Some(meanwhile) = self.meanwhile.take() {
            meanwhile();
        }
        self.inner.set(key, value, cas)
    }
}

/// The host's `verify_signature`, which is BoringSSL's: RSA with PKCS #1 v1.5, ECDSA in DER,
/// keys as SubjectPublicKeyInfo.
pub(crate) struct Boring;

impl HostVerifier for Boring {
    fn verify(
        &self,
        hash: &'static str,
        spki: &[u8],
        signature: &[u8],
        text: &[u8],
    ) -> Result<bool, Unsupported> {
        // AlgorithmIdentifier is the first element; the key is the bit string after it.
        let (algorithm, key) = open(spki);
        let verifier: &dyn sig::VerificationAlgorithm = match (algorithm, hash) {
            (Kind::Rsa, "sha256") => &sig::RSA_PKCS1_2048_8192_SHA256,
            (Kind::Rsa, "sha384") => &sig::RSA_PKCS1_2048_8192_SHA384,
            (Kind::Rsa, "sha512") => &sig::RSA_PKCS1_2048_8192_SHA512,
            (Kind::P256, "sha256") => &sig::ECDSA_P256_SHA256_ASN1,
            (Kind::P384, "sha384") => &sig::ECDSA_P384_SHA384_ASN1,
            other => panic!("the host is asked for {other:?}"),
        };
        Ok(sig::UnparsedPublicKey::new(verifier, key).verify(text, signature).is_ok())
    }
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Rsa,
    P256,
    P384,
}

fn open(spki: &[u8]) -> (Kind, &[u8]) {
    let inner = element(spki, 0x30).0;
    let (algorithm, rest) = element(inner, 0x30);
    let (bits, rest) = element(rest, 0x03);
    assert!(rest.is_empty());
    let kind = match algorithm.len() {
        13 => Kind::Rsa,
        19 => Kind::P256,
        16 => Kind::P384,
        other => panic!("an algorithm of {other} bytes"),
    };
    (kind, bits.strip_prefix(&[0]).unwrap())
}

/// The content of the first DER element, and what follows it.
fn element(der: &[u8], tag: u8) -> (&[u8], &[u8]) {
    assert_eq!(der[0], tag);
    let (length, start) = match der[1] {
        short @ 0..=0x7F => (usize::from(short), 2),
        0x81 => (usize::from(der[2]), 3),
        0x82 => (usize::from(der[2]) * 256 + usize::from(der[3]), 4),
        other => panic!("a length that begins with {other:#x}"),
    };
    (&der[start..start + length], &der[start + length..])
}

/// What the issuer says to a request.
#[derive(Clone)]
pub(crate) enum Reply {
    Ok(String),
    Cached(String, &'static str),
    Status(u16, String),
    Large(usize),
    Failed,
    /// Says nothing, until the host gives up.
    Hang,
}

/// A proxy: workers that tick, and callouts that take their time.
pub(crate) struct Proxy {
    pub(crate) now: u64,
    /// Between two ticks, milliseconds.
    pub(crate) step: u64,
    pub(crate) shared: Shared,
    pub(crate) workers: Vec<Authenticator>,
    /// By `authority` and path.
    pub(crate) issuer: BTreeMap<String, Reply>,
    /// How long the issuer takes, milliseconds.
    pub(crate) delay: u64,
    /// Every request that reached an issuer: when, and for what.
    pub(crate) log: Vec<(u64, String)>,
    calls: Vec<Call>,
}

struct Call {
    worker: usize,
    fetch: Fetch,
    due: u64,
    reply: Reply,
}

pub(crate) const TICK: u64 = 25;

impl Proxy {
    pub(crate) fn new(config: &Config, workers: usize) -> Self {
        let number = |worker| u64::try_from(worker).unwrap() * 7919 + 13;
        Self {
            now: 1_800_000_000_000,
            step: TICK,
            shared: Shared::default(),
            workers: (0..workers)
                .map(|worker| Authenticator::new(config, number(worker)).unwrap())
                .collect(),
            issuer: BTreeMap::new(),
            delay: 0,
            log: Vec::new(),
            calls: Vec::new(),
        }
    }

    pub(crate) fn serve(&mut self, url: &str, reply: Reply) {
        self.issuer.insert(url.to_owned(), reply);
    }

    /// Requests for exactly this address so far.
    pub(crate) fn fetches(&self, url: &str) -> usize {
        self.log.iter().filter(|(_, asked)| asked == url).count()
    }

    /// Lets all workers tick and the answers that are due arrive.
    pub(crate) fn tick(&mut self) {
        self.now += self.step;
        self.deliver();
        for worker in 0..self.workers.len() {
            let fetches = self.workers[worker].poll(UnixMillis(self.now), &mut self.shared.clone());
            fetches.into_iter().for_each(|fetch| self.send(worker, fetch));
        }
        self.deliver();
    }

    pub(crate) fn run(&mut self, milliseconds: u64) {
        let end = self.now + milliseconds;
        while self.now < end {
            self.tick();
        }
    }

    /// The answers to what was asked so far will not come.
    pub(crate) fn forget_calls(&mut self) {
        self.calls.clear();
    }

    fn send(&mut self, worker: usize, fetch: Fetch) {
        let url = format!("{}://{}{}", fetch.scheme.as_str(), fetch.authority, fetch.path);
        let reply = self.issuer.get(&url).cloned().unwrap_or(Reply::Failed);
        let timeout = u64::try_from(fetch.timeout.as_millis()).unwrap();
        let due = self.now + if matches!(reply, Reply::Hang) { timeout } else { self.delay };
        self.log.push((self.now, url));
        let (due, reply) = if due > self.now + timeout {
            (self.now + timeout, Reply::Failed)
        } else {
            (due, reply)
        };
        self.calls.push(Call { worker, fetch, due, reply });
    }

    fn deliver(&mut self) {
        while let Some(index) = self.calls.iter().position(|call| call.due <= self.now) {
            let call = self.calls.remove(index);
            self.answer(&call);
        }
    }

    fn answer(&mut self, call: &Call) {
        let filler;
        let response = |status, cache: Option<&'static str>, body| FetchOutcome::Response {
            status,
            cache_control: cache.map(str::as_bytes),
            body,
        };
        let outcome = match &call.reply {
            Reply::Ok(body) => response(200, None, body.as_bytes()),
            Reply::Cached(body, control) => response(200, Some(control), body.as_bytes()),
            Reply::Status(status, body) => response(*status, None, body.as_bytes()),
            Reply::Large(size) => {
                filler = vec![b' '; *size];
                response(200, None, filler.as_slice())
            }
            Reply::Failed | Reply::Hang => FetchOutcome::Failed,
        };
        let worker = &mut self.workers[call.worker];
        let now = UnixMillis(self.now);
        let next = worker.fetched(call.fetch.id, outcome, now, &mut self.shared.clone());
        next.into_iter().for_each(|fetch| self.send(call.worker, fetch));
    }

    /// Moves the clock without letting anybody notice; callouts keep to the time that passes.
    pub(crate) fn jump(&mut self, milliseconds: i64) {
        self.now = self.now.checked_add_signed(milliseconds).unwrap();
        for call in &mut self.calls {
            call.due = call.due.checked_add_signed(milliseconds).unwrap();
        }
    }

    pub(crate) fn ask(&mut self, worker: usize, token: &str) -> Verdict {
        self.workers[worker].authenticate(token.as_bytes(), UnixMillis(self.now), &NoHost)
    }

    /// Asks as the filter does: again whenever there is news, for at most this long.
    pub(crate) fn wait(&mut self, worker: usize, token: &str, patience: u64) -> Verdict {
        let end = self.now + patience;
        let mut verdict = self.ask(worker, token);
        while verdict == Verdict::Pending && self.now < end {
            let before = self.workers[worker].generation();
            self.tick();
            if self.workers[worker].generation() != before {
                verdict = self.ask(worker, token);
            }
        }
        verdict
    }
}
