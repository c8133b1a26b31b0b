//! What the VMs of one `vm_id` share: data with compare-and-swap, and queues.

use std::collections::{BTreeMap, VecDeque};

use super::guest::Status;

/// Shared data. Its numbers grow over all keys, from 1.
#[derive(Default)]
pub struct SharedData {
    values: BTreeMap<String, (Vec<u8>, u32)>,
    last_cas: u32,
}

impl SharedData {
    /// The value and its number.
    pub fn get(&self, key: &str) -> Option<&(Vec<u8>, u32)> {
        self.values.get(key)
    }

    /// Stores a value. A number other than 0 must be the stored one's; on a new key it is ignored,
    /// so creating a key is never exclusive.
    pub fn set(&mut self, key: &str, value: Vec<u8>, cas: u32) -> Result<(), Status> {
        if let Some((_, known)) = self.values.get(key)
            && cas != 0
            && cas != *known
        {
            return Err(Status::CasMismatch);
        }
        self.last_cas += 1;
        self.values.insert(key.to_owned(), (value, self.last_cas));
        Ok(())
    }
}

/// One shared queue.
struct Queue {
    name: String,
    /// Thread that registered it last: it alone is told of entries.
    consumer: usize,
    entries: VecDeque<Vec<u8>>,
}

/// Shared queues; ids count from 1.
#[derive(Default)]
pub struct Queues {
    queues: Vec<Queue>,
    /// Entries whose consumer is yet to be told: `(thread, queue id)`.
    pub events: VecDeque<(usize, u32)>,
}

impl Queues {
    /// Gets or creates a queue. Each registration takes the events over.
    pub fn register(&mut self, name: &str, thread: usize) -> u32 {
        let index = self.queues.iter().position(|queue| queue.name == name).unwrap_or_else(|| {
            let entries = VecDeque::new();
            self.queues.push(Queue { name: name.to_owned(), consumer: thread, entries });
            self.queues.len() - 1
        });
        self.queues[index].consumer = thread;
        index as u32 + 1
    }

    /// The id of a queue that somebody registered.
    pub fn resolve(&self, name: &str) -> Option<u32> {
        let index = self.queues.iter().position(|queue| queue.name == name)?;
        Some(index as u32 + 1)
    }

    /// Takes the oldest entry.
    pub fn dequeue(&mut self, id: u32) -> Result<Vec<u8>, Status> {
        self.queue(id)?.entries.pop_front().ok_or(Status::Empty)
    }

    /// Adds an entry; there is no limit.
    pub fn enqueue(&mut self, id: u32, entry: Vec<u8>) -> Result<(), Status> {
        let queue = self.queue(id)?;
        queue.entries.push_back(entry);
        let consumer = queue.consumer;
        self.events.push_back((consumer, id));
        Ok(())
    }

    fn queue(&mut self, id: u32) -> Result<&mut Queue, Status> {
        let index = (id as usize).checked_sub(1).ok_or(Status::NotFound)?;
        self.queues.get_mut(index).ok_or(Status::NotFound)
    }
}
