//! The guest's memory and the status numbers that host calls answer with.

use wasmtime::{Caller, Extern, Memory};

use super::state::HostState;

/// A host call's failure, by the ABI's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    NotFound = 1,
    BadArgument = 2,
    InvalidMemoryAccess = 6,
    Empty = 7,
    CasMismatch = 8,
    InternalFailure = 10,
    Unimplemented = 12,
}

/// The number of success.
const OK: u32 = 0;

/// Runs a host call. Before `_initialize` has returned none is allowed.
pub fn host_call(
    caller: Caller<'_, HostState>,
    call: impl FnOnce(&mut Guest<'_>) -> Result<(), Status>,
) -> u32 {
    let mut guest = Guest { caller };
    if !guest.state().ready {
        return Status::InternalFailure as u32;
    }
    match call(&mut guest) {
        Ok(()) => OK,
        Err(status) => status as u32,
    }
}

/// The VM that makes a host call.
pub struct Guest<'a> {
    caller: Caller<'a, HostState>,
}

impl<'a> Guest<'a> {
    /// For host calls that are allowed at any time.
    pub fn new(caller: Caller<'a, HostState>) -> Self {
        Self { caller }
    }

    /// The host's side of the VM.
    pub fn state(&mut self) -> &mut HostState {
        self.caller.data_mut()
    }

    fn memory(&mut self) -> Memory {
        match self.caller.get_export("memory") {
            Some(Extern::Memory(memory)) => memory,
            _ => panic!("the module exports no memory"),
        }
    }

    /// Bytes at an address.
    pub fn read(&mut self, at: u32, length: u32) -> Result<Vec<u8>, Status> {
        let memory = self.memory();
        let (start, length) = (at as usize, length as usize);
        let range = start..start.saturating_add(length);
        let bytes = memory.data(&self.caller).get(range).ok_or(Status::InvalidMemoryAccess)?;
        Ok(bytes.to_vec())
    }

    /// Text at an address; the SDK passes only UTF-8.
    pub fn text(&mut self, at: u32, length: u32) -> Result<String, Status> {
        String::from_utf8(self.read(at, length)?).map_err(|_| Status::BadArgument)
    }

    /// Writes at an address.
    pub fn write(&mut self, at: u32, bytes: &[u8]) -> Result<(), Status> {
        let memory = self.memory();
        memory.write(&mut self.caller, at as usize, bytes).map_err(|_| Status::InvalidMemoryAccess)
    }

    /// Writes a 32-bit number.
    pub fn write_u32(&mut self, at: u32, number: u32) -> Result<(), Status> {
        self.write(at, &number.to_le_bytes())
    }

    /// Writes a 64-bit number.
    pub fn write_u64(&mut self, at: u32, number: u64) -> Result<(), Status> {
        self.write(at, &number.to_le_bytes())
    }

    /// Hands bytes over in memory that the guest allocates; nothing is allocated for none.
    pub fn give(&mut self, pointer_at: u32, size_at: u32, bytes: &[u8]) -> Result<(), Status> {
        let mut pointer = 0;
        if !bytes.is_empty() {
            pointer = self.allocate(bytes.len() as u32)?;
            self.write(pointer, bytes)?;
        }
        self.write_u32(pointer_at, pointer)?;
        self.write_u32(size_at, bytes.len() as u32)
    }

    fn allocate(&mut self, size: u32) -> Result<u32, Status> {
        let allocate = ["proxy_on_memory_allocate", "malloc"]
            .iter()
            .find_map(|name| self.caller.get_export(name)?.into_func())
            .expect("the module exports an allocator");
        let allocate = allocate.typed::<u32, u32>(&self.caller).expect("allocator: u32 -> u32");
        allocate.call(&mut self.caller, size).map_err(|_| Status::InvalidMemoryAccess)
    }
}
