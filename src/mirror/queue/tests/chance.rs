use std::collections::BTreeMap;

use super::*;
use crate::dice::Dice;

/// Chance drives a queue; a model that keeps only numbers says what must hold.
#[test]
fn nothing_is_lost_and_nothing_is_counted_twice_whatever_happens() {
    for seed in 0..300 {
        let mut dice = Dice(seed);
        let limit = 1_000 + dice.roll(600 << 10);
        let mut queue = Queue::new(limit);
        let mut sum = Counts::default();
        let mut flying: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        let (mut acknowledged, mut dropped) = (Vec::new(), 0);
        let (mut number, mut now) = (0_u64, 1_000_000_u64);
        for _ in 0..600 {
            let change = match dice.roll(8) {
                0..=3 => {
                    let change = queue.push(&record(number, 512), now);
                    number += 1;
                    dropped += change.dropped;
                    change
                }
                4 | 5 => {
                    if let Some((id, seen)) = next(&mut queue, now, 512) {
                        assert!(flying.len() < 2);
                        assert_eq!(flying.insert(id, seen), None);
                    }
                    Counts::default()
                }
                6 => {
                    now =
                        if dice.roll(20) == 0 { now - 5_000 } else { now + dice.roll(200) as u64 };
                    Counts::default()
                }
                _ => {
                    let Some(id) = flying.keys().copied().nth(dice.roll(flying.len())) else {
                        continue;
                    };
                    let outcome = match dice.roll(6) {
                        0 | 1 => Outcome::Accepted,
                        2 => Outcome::Malformed,
                        3 if dice.roll(4) == 0 => Outcome::Rejected,
                        _ => Outcome::Retry { after_ms: Some(dice.roll(3_000) as u64) },
                    };
                    let records = flying.remove(&id).unwrap();
                    let change = queue.settled(id, outcome, now);
                    if outcome == Outcome::Accepted {
                        assert_eq!(change.acknowledged, records.len() as i64);
                        acknowledged.extend(records);
                    }
                    dropped += change.dropped;
                    change
                }
            };
            assert_eq!(change.captured, change.acknowledged + change.dropped + change.waiting);
            sum = sum.plus(change);
            assert_eq!(queue.totals(), sum);
            assert_eq!(sum.captured, sum.acknowledged + sum.dropped + sum.waiting);
            assert_eq!(queue.bytes, usize::try_from(sum.waiting).unwrap() * 512);
            assert!(queue.bytes <= limit);
        }
        for id in flying.into_keys() {
            queue.settled(id, LATER, now);
        }
        queue.drain();
        now += 1_000;
        while let Some((id, seen)) = next(&mut queue, now, 512) {
            queue.settled(id, Outcome::Accepted, now);
            acknowledged.extend(seen);
        }
        assert_eq!((queue.waiting(), queue.bytes), (0, 0));
        assert_eq!(queue.totals().dropped, dropped);
        assert_eq!(acknowledged.len() as i64 + dropped, number as i64);
        acknowledged.sort_unstable();
        assert!(acknowledged.windows(2).all(|pair| pair[0] < pair[1]), "one arrived twice");
    }
}
