#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::arithmetic_side_effects)]

use super::super::capture::{Capture, Exchange};
use super::*;
use crate::dice::Dice;

fn encoded(path: &str, request: &[u8], response: &[u8]) -> Vec<u8> {
    let mut capture = Capture::new(MAX_CAPTURE);
    capture.request_chunk(request.len(), request);
    capture.response_chunk(7, response.len(), response);
    let mut out = Vec::new();
    capture.encode(Exchange { path: path.to_owned(), ..Exchange::default() }, &mut out);
    out
}

/// How many records are read before the fault, and the fault.
fn read(batch: &[u8]) -> (usize, Option<WireFault>) {
    let mut records = Records::new(batch);
    let mut good = 0;
    loop {
        match records.next() {
            None => return (good, None),
            Some(Ok(_)) => good += 1,
            Some(Err(fault)) => {
                assert_eq!(records.next(), None, "nothing follows a fault");
                return (good, Some(fault));
            }
        }
    }
}

/// A line with one field replaced.
fn line(field: &str, value: &str) -> Vec<u8> {
    let record = encoded("/", b"", b"");
    let mut line: serde_json::Value = serde_json::from_slice(&record).unwrap();
    line[field] = serde_json::from_str(value).unwrap();
    let mut line = serde_json::to_vec(&line).unwrap();
    line.push(b'\n');
    line
}

#[test]
fn bodies_travel_as_they_are() {
    let all: Vec<u8> = (0..=255).collect();
    let bodies: [&[u8]; 5] = [b"", b"\n", b"{}\n{}\n", &all, &vec![b'\n'; MAX_CAPTURE]];
    let mut batch = Vec::new();
    for request in bodies {
        for response in bodies {
            batch.extend(encoded("/\"\\\u{1}\u{e9}", request, response));
        }
    }
    let mut records = Records::new(&batch);
    for request in bodies {
        for response in bodies {
            let record = records.next().unwrap().unwrap();
            assert_eq!(record.meta.path, "/\"\\\u{1}\u{e9}");
            assert!(record.request == request && record.response == response);
        }
    }
    assert_eq!(records.next(), None);
}

#[test]
fn the_line_tells_the_lengths_of_what_follows_whatever_it_was_given() {
    let (meta, _, _) = Capture::new(10).finish(Exchange::default());
    let mut batch = Vec::new();
    encode(&Meta { request_len: 9, ..meta.clone() }, b"in", b"out", &mut batch);
    encode(&meta, b"", b"", &mut batch);
    let lengths: Vec<_> = Records::new(&batch)
        .map(|record| record.map(|record| (record.meta.request_len, record.meta.response_len)))
        .collect();
    assert_eq!(lengths, [Ok((2, 3)), Ok((0, 0))]);
}

#[test]
fn broken_batches_are_refused() {
    let record = encoded("/", b"in", b"out");
    let with = |extra: &[u8]| [&record, extra].concat();
    let long = |len: usize| {
        let short = encoded("", b"", b"");
        let mut bytes = encoded(&"x".repeat(len + 1 - short.len()), b"", b"");
        assert_eq!(bytes.len(), len + 1);
        bytes.extend_from_slice(&record);
        bytes
    };
    let rows: Vec<(Vec<u8>, usize, Option<WireFault>)> = vec![
        (Vec::new(), 0, None),
        (record.clone(), 1, None),
        (with(&record), 2, None),
        (with(b"junk"), 1, Some(WireFault::Unterminated)),
        (with(b"junk\n"), 1, Some(WireFault::NotMeta)),
        (with(b"\n"), 1, Some(WireFault::NotMeta)),
        (with(b"\0"), 1, Some(WireFault::Unterminated)),
        (with(b"{}\n"), 1, Some(WireFault::NotMeta)),
        (with(b"[]\n"), 1, Some(WireFault::NotMeta)),
        (with(b"{\"v\":1}\n"), 1, Some(WireFault::NotMeta)),
        (with(b"{\"v\":2}\n"), 1, Some(WireFault::Version(2))),
        (line("v", "0"), 0, Some(WireFault::Version(0))),
        (line("v", "2"), 0, Some(WireFault::Version(2))),
        (line("v", "\"1\""), 0, Some(WireFault::NotMeta)),
        (line("v", "4294967296"), 0, Some(WireFault::NotMeta)),
        (line("kind", "\"other\""), 0, Some(WireFault::NotMeta)),
        (line("status", "65536"), 0, Some(WireFault::NotMeta)),
        (line("request_len", "-1"), 0, Some(WireFault::NotMeta)),
        (line("request_len", "1.5"), 0, Some(WireFault::NotMeta)),
        (line("request_len", "1"), 0, Some(WireFault::Overrun)),
        (line("response_len", "1"), 0, Some(WireFault::Overrun)),
        (line("request_len", "4294967295"), 0, Some(WireFault::Overrun)),
        (line("request_len", "4294967296"), 0, Some(WireFault::NotMeta)),
        (line("marks", "[[1,2],[3]]"), 0, Some(WireFault::NotMeta)),
        (line("marks", &format!("[{}[1,1]]", "[0,0],".repeat(15))), 1, None),
        (line("marks", &format!("[{}[1,1]]", "[0,0],".repeat(16))), 0, Some(WireFault::NotMeta)),
        (long(MAX_LINE), 2, None),
        (long(MAX_LINE + 1), 0, Some(WireFault::LineTooLong)),
        (vec![b' '; MAX_LINE], 0, Some(WireFault::Unterminated)),
        (vec![b' '; MAX_LINE + 1], 0, Some(WireFault::LineTooLong)),
        (b"{\"v\":1,\"v\":1}\n".to_vec(), 0, Some(WireFault::NotMeta)),
        (b"{\"id\":\"\xff\",\"v\":1}\n".to_vec(), 0, Some(WireFault::NotMeta)),
    ];
    for (at, (batch, good, fault)) in rows.into_iter().enumerate() {
        assert_eq!(read(&batch), (good, fault), "row {at}");
    }
}

#[test]
fn a_torn_batch_gives_its_whole_records_and_one_fault() {
    let record = encoded("/api/chat", b"{\"a\":1}\n", b"answer\n");
    let batch = [record.clone(), record.clone()].concat();
    for at in 0..=batch.len() {
        let whole = at / record.len();
        let torn = at % record.len();
        let (good, fault) = read(&batch[..at]);
        assert_eq!((good, fault.is_some()), (whole, torn != 0), "torn at {at}");
    }
}

#[test]
fn mutated_batches_never_give_more_than_they_hold() {
    let record = encoded("/api/chat", b"{\"a\":1}\n", b"answer\n");
    let batch = [record.clone(), record.clone(), record].concat();
    let mut dice = Dice(3);
    let mut faults = 0;
    for _ in 0..20_000 {
        let mut broken = batch.clone();
        for _ in 0..=dice.roll(3) {
            let at = dice.roll(broken.len());
            match dice.roll(3) {
                0 => broken[at] = u8::try_from(dice.roll(256)).unwrap(),
                1 => drop(broken.remove(at)),
                _ => broken.insert(at, b"0123456789\n\",}"[dice.roll(14)]),
            }
        }
        let mut held = 0;
        for record in Records::new(&broken) {
            match record {
                Ok(record) => held += record.request.len() + record.response.len() + 1,
                Err(_) => faults += 1,
            }
        }
        assert!(held <= broken.len());
    }
    assert!(faults > 5_000, "only {faults} faults");
}

#[test]
fn faults_say_nothing_of_the_batch() {
    let rows = [
        (WireFault::LineTooLong, "a record's line is longer than 262144 bytes"),
        (WireFault::Unterminated, "the last line has no end"),
        (WireFault::NotMeta, "a record's line is not the JSON of a record"),
        (WireFault::Version(7), "record version 7 is not between 1 and 1"),
        (WireFault::Overrun, "a record's bodies reach past the end of the batch"),
    ];
    for (fault, text) in rows {
        assert_eq!(fault.to_string(), text);
    }
}
