//! Tokens that were verified before.
//!
//! Only verified tokens get in, so nobody can push others out with tokens that he made up. A
//! token is compared in full; the times are checked anew by whoever looks it up.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::rc::Rc;

use super::Identity;

/// What one entry costs beside its token and identity, bytes: the table's slot, two allocations.
const OVERHEAD: usize = 160;

/// A bounded map from token to identity. Two generations stand in for an exact order of use:
/// what is used moves to the young one; when that is full it becomes the old one, and what was
/// not used since the last time is forgotten.
pub(super) struct TokenCache {
    young: Generation,
    old: Generation,
    capacity: usize,
}

/// A verified token.
struct Entry {
    token: Box<[u8]>,
    identity: Rc<Identity>,
    key: [u8; 32],
}

#[derive(Default)]
struct Generation {
    entries: HashMap<u64, Entry, BuildHasherDefault<Mixed>>,
    weight: usize,
}

impl TokenCache {
    /// A cache that takes about `bytes` of memory at most.
    pub(super) fn new(bytes: usize) -> Self {
        Self { young: Generation::default(), old: Generation::default(), capacity: bytes / 2 }
    }

    /// The identity that this very token was verified to be.
    pub(super) fn get(&mut self, token: &[u8]) -> Option<&Rc<Identity>> {
        let slot = slot(token);
        if self.young.entries.get(&slot).is_none_or(|entry| *entry.token != *token) {
            let entry = self.old.take_if(slot, |entry| *entry.token == *token)?;
            self.insert_entry(slot, entry);
        }
        self.young.entries.get(&slot).map(|entry| &entry.identity)
    }

    /// Remembers a verified token. `key` is the fingerprint of the key that verified it.
    pub(super) fn insert(&mut self, token: &[u8], identity: Rc<Identity>, key: [u8; 32]) {
        let slot = slot(token);
        self.old.take_if(slot, |_| true);
        self.insert_entry(slot, Entry { token: token.into(), identity, key });
    }

    /// About how much memory is in use, bytes.
    pub(super) fn weight(&self) -> usize {
        self.young.weight.saturating_add(self.old.weight)
    }

    /// Forgets a token.
    pub(super) fn remove(&mut self, token: &[u8]) {
        for generation in [&mut self.young, &mut self.old] {
            generation.take_if(slot(token), |entry| *entry.token == *token);
        }
    }

    /// Forgets every token that does not pass: the identity and the key's fingerprint.
    pub(super) fn retain(&mut self, keep: impl Fn(&Identity, &[u8; 32]) -> bool) {
        for generation in [&mut self.young, &mut self.old] {
            let weight = &mut generation.weight;
            generation.entries.retain(|_, entry| {
                let kept = keep(&entry.identity, &entry.key);
                if !kept {
                    *weight = weight.saturating_sub(entry.weight());
                }
                kept
            });
        }
    }

    fn insert_entry(&mut self, slot: u64, entry: Entry) {
        let weight = entry.weight();
        if self.young.weight.saturating_add(weight) > self.capacity {
            self.old = std::mem::take(&mut self.young);
            self.old.take_if(slot, |_| true);
        }
        self.young.take_if(slot, |_| true);
        self.young.weight = self.young.weight.saturating_add(weight);
        self.young.entries.insert(slot, entry);
    }
}

impl Generation {
    fn take_if(&mut self, slot: u64, condition: impl Fn(&Entry) -> bool) -> Option<Entry> {
        if !self.entries.get(&slot).is_some_and(condition) {
            return None;
        }
        let entry = self.entries.remove(&slot)?;
        self.weight = self.weight.saturating_sub(entry.weight());
        Some(entry)
    }
}

impl Entry {
    fn weight(&self) -> usize {
        self.token.len().saturating_add(self.identity.weight()).saturating_add(OVERHEAD)
    }
}

/// Where a token is looked for. Its last 16 characters are part of the signature, which nobody
/// but the issuer can choose; so they are as good as a hash, and all that could be made with
/// others of the same end is a comparison that fails.
fn slot(token: &[u8]) -> u64 {
    let Some(([head, tail], [])) = token.last_chunk::<16>().map(|end| end.as_chunks::<8>()) else {
        return 0;
    };
    let (head, tail) = (u64::from_le_bytes(*head), u64::from_le_bytes(*tail));
    // Base64 leaves bits of every byte unused: spread the others over the whole word.
    let mixed = (head ^ tail.rotate_left(29)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed ^ (mixed >> 32)).wrapping_mul(0xD6E8_FEB8_6659_FD93)
}

/// Hands a [`slot`] on as it is.
#[derive(Default)]
struct Mixed(u64);

impl Hasher for Mixed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // Keys are u64, which have a method of their own.
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, slot: u64) {
        self.0 = slot;
    }
}
