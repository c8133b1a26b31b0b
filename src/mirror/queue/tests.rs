#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::arithmetic_side_effects)]

mod chance;

use super::*;

const LATER: Outcome = Outcome::Retry { after_ms: None };

/// A record that names itself: 8 bytes of its number, then padding.
fn record(number: u64, len: usize) -> Vec<u8> {
    let mut bytes = number.to_be_bytes().to_vec();
    bytes.resize(len.max(8), b'.');
    bytes
}

/// The numbers of the records in a body whose records all have `len` bytes.
fn numbers(body: &[u8], len: usize) -> Vec<u64> {
    body.chunks(len).map(|record| u64::from_be_bytes(record[..8].try_into().unwrap())).collect()
}

/// Polls; the attempt's id and the numbers of its records.
fn next(queue: &mut Queue, now: u64, len: usize) -> Option<(u64, Vec<u64>)> {
    let batch = queue.poll(now)?;
    let seen = numbers(batch.body, len);
    assert_eq!(seen.len(), batch.records);
    Some((batch.id, seen))
}

fn filled(records: u64, len: usize, now: u64) -> Queue {
    let mut queue = Queue::new(8 << 20);
    for number in 0..records {
        assert_eq!(queue.push(&record(number, len), now).waiting, 1);
    }
    queue
}

#[test]
fn a_lone_record_waits_for_company_but_not_long() {
    let mut queue = filled(1, 10, 1_000);
    for now in [1_000, 1_025, 1_049] {
        assert_eq!(queue.poll(now), None);
    }
    queue.push(&record(1, 10), 1_049);
    assert_eq!(next(&mut queue, 1_050, 10).unwrap().1, [0, 1]);
    assert_eq!(queue.poll(1_050), None);
}

#[test]
fn a_full_batch_leaves_at_once() {
    let mut queue = filled(64, 10, 0);
    assert_eq!(next(&mut queue, 0, 10).unwrap().1.len(), 64);
    let mut queue = filled(63, 10, 0);
    assert_eq!(queue.poll(0), None);
    let mut queue = filled(4, 64 << 10, 0);
    assert_eq!(next(&mut queue, 0, 64 << 10).unwrap().1, [0, 1, 2, 3]);
    let mut queue = filled(3, 64 << 10, 0);
    assert_eq!(queue.poll(0), None);
}

#[test]
fn a_draining_queue_waits_for_nothing() {
    let mut queue = filled(1, 10, 0);
    queue.drain();
    let (id, _) = next(&mut queue, 0, 10).unwrap();
    assert_eq!(queue.waiting(), 1);
    queue.settled(id, Outcome::Accepted, 0);
    assert_eq!((queue.waiting(), queue.poll(0)), (0, None));
}

#[test]
fn two_batches_are_under_way_at_most() {
    let mut queue = filled(64 * 3, 10, 0);
    let (first, _) = next(&mut queue, 0, 10).unwrap();
    assert!(queue.poll(0).is_some());
    assert_eq!(queue.poll(0), None);
    queue.settled(first, Outcome::Accepted, 0);
    assert_eq!(next(&mut queue, 0, 10).unwrap().1[0], 128);
}

#[test]
fn what_does_not_fit_is_dropped_newest_first() {
    let mut queue = Queue::new(100);
    assert_eq!(
        queue.push(&record(0, 60), 0),
        Counts { captured: 1, waiting: 1, ..Counts::default() }
    );
    let dropped = Counts { captured: 1, dropped: 1, ..Counts::default() };
    assert_eq!(queue.push(&record(1, 41), 0), dropped);
    assert_eq!(queue.push(&record(2, 40), 0).waiting, 1);
    assert_eq!(queue.push(&record(3, 8), 0), dropped);
    // Under way still counts; acknowledged does not.
    let id = queue.poll(50).unwrap().id;
    assert_eq!(queue.push(&record(4, 8), 50), dropped);
    queue.settled(id, Outcome::Accepted, 50);
    assert_eq!(queue.push(&record(5, 100), 50).waiting, 1);
    let totals = Counts { captured: 6, acknowledged: 2, dropped: 3, waiting: 1 };
    assert_eq!(queue.totals(), totals);
}

#[test]
fn records_that_no_batch_can_hold_are_dropped() {
    let mut queue = Queue::new(usize::MAX);
    assert_eq!(queue.push(&[], 0).dropped, 1);
    assert_eq!(queue.push(&vec![0; MAX_BATCH + 1], 0).dropped, 1);
    queue.push(&record(0, 8), 0);
    queue.push(&vec![0; MAX_BATCH], 0);
    assert_eq!(queue.poll(0).unwrap().body.len(), 8);
    assert_eq!(queue.poll(0).unwrap().body.len(), MAX_BATCH);
}

#[test]
fn failures_pause_everything_and_the_pause_stops_growing() {
    let mut queue = filled(64 * 2, 10, 0);
    let mut now = 0;
    for pause in [100, 200, 400, 500, 500, 500] {
        let (id, seen) = next(&mut queue, now, 10).unwrap();
        assert_eq!(seen[0], 0, "the oldest goes first");
        assert_eq!(queue.settled(id, LATER, now), Counts::default());
        assert_eq!(queue.poll(now + pause - 1), None);
        now += pause;
    }
    let (id, _) = next(&mut queue, now, 10).unwrap();
    assert_eq!(queue.poll(now), None, "one at a time until it is accepted");
    queue.settled(id, Outcome::Accepted, now);
    let (id, _) = next(&mut queue, now, 10).unwrap();
    queue.settled(id, LATER, now);
    assert_eq!(queue.poll(now + 99), None);
    assert!(queue.poll(now + 100).is_some(), "pauses begin anew after a success");
}

#[test]
fn two_failures_at_once_make_one_pause() {
    let mut queue = filled(64 * 2, 10, 0);
    let (first, _) = next(&mut queue, 0, 10).unwrap();
    let (second, _) = next(&mut queue, 0, 10).unwrap();
    queue.settled(second, LATER, 0);
    queue.settled(first, LATER, 1);
    let (id, seen) = next(&mut queue, 100, 10).unwrap();
    assert_eq!(seen[0], 0);
    queue.settled(id, Outcome::Accepted, 100);
    assert_eq!(next(&mut queue, 100, 10).unwrap().1[0], 64);
}

#[test]
fn retry_after_is_heeded_within_reason() {
    for (asked, pause) in [(0, 100), (50, 100), (300, 300), (1_000, 1_000), (3_600_000, 1_000)] {
        let mut queue = filled(1, 10, 0);
        let (id, _) = next(&mut queue, 50, 10).unwrap();
        queue.settled(id, Outcome::Retry { after_ms: Some(asked) }, 50);
        assert_eq!(queue.poll(50 + pause - 1), None, "{asked}");
        let (id, _) = next(&mut queue, 50 + pause, 10).unwrap();
        queue.settled(id, LATER, 1_050);
        assert!(queue.poll(1_050 + 500).is_some(), "{asked}");
    }
}

#[test]
fn a_clock_set_back_delays_nothing() {
    let day = 86_400_000;
    let mut queue = filled(1, 10, day);
    let (id, _) = next(&mut queue, 0, 10).unwrap();
    queue.settled(id, LATER, day);
    let (id, _) = next(&mut queue, 0, 10).unwrap();
    queue.settled(id, LATER, 0);
    assert_eq!(queue.poll(199), None);
    let (id, _) = next(&mut queue, day, 10).unwrap();
    assert_eq!(queue.settled(id, Outcome::Accepted, u64::MAX).acknowledged, 1);
}

#[test]
fn a_refused_batch_is_given_up_whole() {
    let mut queue = filled(3, 10, 0);
    let (id, _) = next(&mut queue, 50, 10).unwrap();
    let given_up = Counts { dropped: 3, waiting: -3, ..Counts::default() };
    assert_eq!(queue.settled(id, Outcome::Rejected, 50), given_up);
    assert_eq!(queue.totals(), Counts { captured: 3, dropped: 3, ..Counts::default() });
}

#[test]
fn a_poisonous_record_is_isolated_and_the_others_arrive_in_order() {
    for records in [1, 2, 3, 7, 63] {
        for poison in 0..records {
            let mut queue = filled(records, 10, 0);
            let mut arrived = Vec::new();
            let mut polls = 0;
            while let Some((id, seen)) = next(&mut queue, 50, 10) {
                polls += 1;
                let bad = seen.contains(&poison);
                queue.settled(id, if bad { Outcome::Malformed } else { Outcome::Accepted }, 50);
                if !bad {
                    arrived.extend(seen);
                }
            }
            let expected: Vec<u64> = (0..records).filter(|number| *number != poison).collect();
            assert_eq!(arrived, expected, "{records} records, {poison} is bad");
            assert_eq!((queue.totals().dropped, queue.waiting()), (1, 0));
            assert!(polls <= 13, "{polls} polls");
        }
    }
}

#[test]
fn halves_keep_their_order_whichever_fails_first() {
    for first_fails_first in [true, false] {
        let mut queue = filled(4, 10, 0);
        let (id, _) = next(&mut queue, 50, 10).unwrap();
        queue.settled(id, Outcome::Malformed, 50);
        let (older, _) = next(&mut queue, 50, 10).unwrap();
        let (younger, _) = next(&mut queue, 50, 10).unwrap();
        let order = if first_fails_first { [older, younger] } else { [younger, older] };
        for id in order {
            queue.settled(id, LATER, 50);
        }
        let (id, seen) = next(&mut queue, 200, 10).unwrap();
        assert_eq!(seen, [0, 1]);
        queue.settled(id, Outcome::Accepted, 200);
        assert_eq!(next(&mut queue, 200, 10).unwrap().1, [2, 3]);
    }
}

#[test]
fn an_unknown_or_settled_attempt_changes_nothing() {
    let mut queue = filled(1, 10, 0);
    let (id, _) = next(&mut queue, 50, 10).unwrap();
    assert_eq!(queue.settled(id + 1, Outcome::Accepted, 50), Counts::default());
    queue.settled(id, LATER, 50);
    assert_eq!(queue.settled(id, Outcome::Accepted, 50), Counts::default());
    let (again, _) = next(&mut queue, 150, 10).unwrap();
    assert_ne!(id, again);
    assert_eq!(queue.settled(id, Outcome::Rejected, 150), Counts::default());
    assert_eq!(queue.settled(again, Outcome::Accepted, 150).acknowledged, 1);
    assert_eq!(queue.settled(again, Outcome::Accepted, 150), Counts::default());
}

#[test]
fn statuses_have_an_outcome() {
    let later = |after_ms| Outcome::Retry { after_ms };
    type Row = (Option<u16>, Option<&'static [u8]>, Outcome);
    let rows: [Row; 23] = [
        (Some(202), None, Outcome::Accepted),
        (Some(202), Some(b"1"), Outcome::Accepted),
        (Some(200), None, later(None)),
        (Some(204), None, later(None)),
        (Some(302), None, later(None)),
        (Some(400), None, Outcome::Malformed),
        (Some(413), None, Outcome::Malformed),
        (Some(401), None, Outcome::Retry { after_ms: None }),
        (Some(403), None, Outcome::Retry { after_ms: None }),
        (Some(404), None, Outcome::Retry { after_ms: None }),
        (Some(415), None, Outcome::Rejected),
        (Some(408), None, later(None)),
        (Some(429), Some(b"2"), later(Some(2_000))),
        (Some(429), Some(b" 2 "), later(Some(2_000))),
        (Some(429), Some(b"-2"), later(None)),
        (Some(429), Some(b"\xff"), later(None)),
        (Some(429), Some(b"99999999999999999999"), later(None)),
        (Some(503), Some(b"18446744073709551615"), later(Some(u64::MAX))),
        (Some(503), Some(b"Wed, 21 Oct 2015 07:28:00 GMT"), later(None)),
        (Some(500), None, later(None)),
        (Some(504), None, later(None)),
        (Some(0), None, later(None)),
        (None, None, later(None)),
    ];
    for (status, retry_after, outcome) in rows {
        assert_eq!(Outcome::of_status(status, retry_after), outcome, "{status:?} {retry_after:?}");
    }
}
