//! Random schedules: requests, answers, faults, aborts and clock jumps in any order. Whatever
//! happens, nothing traps, nothing unverified passes, nothing hangs and every record is counted.

use std::collections::BTreeSet;

use crate::gateway::{Gateway, MIRROR, records};
use crate::host::{Answer, Headers, Options, Outcome, Stream};

const SEEDS: u64 = 24;
const STEPS: usize = 150;
const WORKERS: usize = 3;

/// A fixed sequence of numbers (SplitMix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        (mixed ^ (mixed >> 29)) % sides
    }

    fn pick<T: Clone>(&mut self, among: &[T]) -> T {
        among[self.roll(among.len() as u64) as usize].clone()
    }
}

/// A request, and whether its token is good.
struct Sent {
    stream: Stream,
    good: bool,
}

struct Chaos {
    gateway: Gateway,
    dice: Dice,
    sent: Vec<Sent>,
}

impl Chaos {
    fn new(seed: u64) -> Self {
        let options = Options { seed, ..Options::default() };
        let gateway = Gateway::cold(options, WORKERS, |config| {
            config["engine"]["model"] = "tiny".into();
        });
        Self { gateway, dice: Dice(seed), sent: Vec::new() }
    }

    fn step(&mut self) {
        match self.dice.roll(10) {
            0..=3 => self.request(),
            4 | 5 => self.answer_request(),
            6 | 7 => self.answer_callout(),
            8 => self.gateway.proxy.advance(self.dice.pick(&[1, 25, 100, 700, 3_000])),
            _ => self.disturb(),
        }
    }

    fn request(&mut self) {
        let proxy = &self.gateway.proxy;
        let token = self.gateway.issuer.token(proxy);
        let (token, good) = match self.dice.roll(4) {
            0 => (token.header("kid", format!("k{}", self.dice.roll(1_000))), false),
            1 => (token.claim("aud", "elsewhere"), false),
            _ => (token, true),
        };
        let worker = proxy.worker(self.dice.roll(WORKERS as u64) as usize);
        let path = self.dice.pick(&["/api/chat", "/api/generate", "/tasks/send", "/mem/events"]);
        let text = self.dice.pick(&[r#"{"prompt":"Hello"}"#, r#"{"messages":[]}"#, "junk"]);
        let middle = self.dice.roll(text.len() as u64) as usize;
        let chunks = vec![text.as_bytes()[..middle].to_vec(), text.as_bytes()[middle..].to_vec()];
        let mut request = worker.request("POST", path).bearer(&token.sign()).chunks(chunks);
        request = match self.dice.roll(4) {
            0 => request.trailers([("x-attach-user", "root"), ("x-checksum", "1")]),
            1 => request.end_with_last_chunk(),
            2 => request.open(),
            _ => request,
        };
        let stream = request.header("x-attach-user", "root").send();
        self.sent.push(Sent { stream, good });
    }

    fn answer_request(&mut self) {
        let live: Vec<usize> =
            (0..self.sent.len()).filter(|at| !self.sent[*at].stream.is_over()).collect();
        if live.is_empty() {
            return;
        }
        let stream = &self.sent[self.dice.pick(&live)].stream;
        let forwarded = matches!(stream.outcome(), Outcome::Forwarded(_));
        match (forwarded, self.dice.roll(6)) {
            (true, 0) => stream.respond(200, Headers::default(), &[b"an", b"swer"]),
            (true, 1) => stream.router_error(504, "response_timeout"),
            (true, 2) if stream.client_got().is_some() => stream.cut(),
            (true, 2 | 3) if stream.client_got().is_none() => {
                stream.respond_headers(200, Headers::default(), false);
            }
            (true, 4) if stream.client_got().is_some() => stream.respond_body("part", false),
            (_, 5) => stream.abort(),
            _ => stream.send(" ", true),
        }
    }

    fn answer_callout(&mut self) {
        let issuer = self.gateway.issuer.cluster.clone();
        for cluster in [issuer.as_str(), MIRROR] {
            let mut waiting = self.gateway.proxy.callouts(cluster);
            while !waiting.is_empty() {
                // In any order.
                let at = self.dice.roll(waiting.len() as u64) as usize;
                let callout = waiting.swap_remove(at);
                let good = if cluster == MIRROR {
                    Answer::status(202)
                } else {
                    self.gateway.issuer.answer(&callout.call)
                };
                let answer = match self.dice.roll(8) {
                    0 => Answer::Break,
                    1 => Answer::Refuse,
                    2 => Answer::status(500),
                    3 => Answer::Hang,
                    4 => Answer::After(self.dice.roll(6_000), Box::new(good)),
                    _ => good,
                };
                callout.answer(answer.clone());
                callout.answer(answer);
            }
        }
    }

    fn disturb(&mut self) {
        let proxy = &self.gateway.proxy;
        let issuer = self.gateway.issuer.cluster.clone();
        let cluster = self.dice.pick(&[issuer.as_str(), MIRROR]);
        match self.dice.roll(3) {
            0 => proxy.jump_wall_clock(self.dice.pick(&[-60_000, -1_000, 1_000, 60_000])),
            1 => proxy.set_cluster_open(cluster, false),
            _ => proxy.set_cluster_open(cluster, true),
        }
    }

    /// Everybody behaves again: all that waits is decided, all that is counted arrives.
    fn calm(&self) {
        let proxy = &self.gateway.proxy;
        for cluster in [self.gateway.issuer.cluster.as_str(), MIRROR] {
            proxy.set_cluster_open(cluster, true);
        }
        self.gateway.serve();
        proxy.advance(40_000);
        for Sent { stream, .. } in &self.sent {
            assert!(!stream.is_paused() || stream.is_over(), "a request hangs");
            stream.abort();
        }
        proxy.advance(10_000);
    }

    fn check(&self) {
        self.gateway.proxy.assert_no_trap();
        self.gateway.counters();
        for Sent { stream, good } in &self.sent {
            if let Outcome::Forwarded(passed) = stream.outcome() {
                assert!(good, "a bad token passed");
                let headers = passed.headers.expect("headers");
                let users: Vec<&[u8]> = headers.all("x-attach-user").collect();
                assert_eq!(users, [b"alice"]);
                assert!(passed.trailers.is_none_or(|map| map.get("x-attach-user").is_none()));
            }
        }
    }
}

#[test]
fn any_schedule_is_survived() {
    let mut reached_the_engine = 0;
    for seed in 0..SEEDS {
        let mut chaos = Chaos::new(seed);
        for _ in 0..STEPS {
            chaos.step();
            chaos.gateway.proxy.assert_no_trap();
        }
        chaos.check();
        chaos.calm();
        chaos.check();
        let [captured, acknowledged, waiting, dropped] = chaos.gateway.counters();
        assert_eq!((acknowledged, waiting, dropped), (captured, 0, 0), "seed {seed}");
        let batches = chaos.gateway.proxy.history(MIRROR);
        let mirrored = batches.iter().flat_map(|call| records(&call.body));
        let ids: BTreeSet<String> = mirrored.map(|record| record.meta.id).collect();
        assert_eq!(ids.len() as u64, captured, "seed {seed}");
        reached_the_engine += captured;
    }
    assert!(reached_the_engine > SEEDS, "the schedules refuse everything: they show nothing");
}
