//! How this crate opens SQLite databases, and what it makes of their faults.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::clock::{Millis, rfc3339};

/// Larger pages than the default: events are kilobytes, and fewer, larger writes are cheaper.
const PAGE_BYTES: u32 = 16 << 10;

/// What went wrong with a database, as far as it decides what to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// The file is damaged or no database at all: it is kept aside and a new one started.
    #[error("the database is damaged")]
    Corrupt,
    /// The disk is full.
    #[error("the disk is full")]
    Full,
    /// Another process holds it, or the disk fails: worth another try.
    #[error("the database cannot be used now")]
    Unavailable,
}

// === impl Trouble ===

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Corrupt,
            Some(ErrorCode::DiskFull) => Self::Full,
            _ if matches!(error, rusqlite::Error::InvalidColumnType(..)) => Self::Corrupt,
            _ => Self::Unavailable,
        }
    }
}

/// Opens for writing. A commit is on the disk when it returns: `synchronous=FULL` in WAL mode
/// survives a power cut.
pub(crate) fn open(path: &Path, schema: &str) -> Result<Connection, Trouble> {
    // SQLite gives its log the permissions of the database.
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
        .map_err(|_| Trouble::Unavailable)?;
    let db = Connection::open(path)?;
    db.busy_timeout(std::time::Duration::from_secs(5))?;
    db.pragma_update(None, "page_size", PAGE_BYTES)?;
    db.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "foreign_keys", false)?;
    db.pragma_update(None, "temp_store", "MEMORY")?;
    // A checkpoint every 64 MiB, and a log that does not stay larger than that.
    db.pragma_update(None, "wal_autocheckpoint", 4096)?;
    db.pragma_update(None, "journal_size_limit", 64 << 20)?;
    db.pragma_update(None, "cache_size", -(32 << 10))?;
    db.set_prepared_statement_cache_capacity(256);
    db.execute_batch(schema)?;
    Ok(db)
}

/// Opens for reading only.
pub(crate) fn open_reader(path: &Path) -> Result<Connection, Trouble> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    db.busy_timeout(std::time::Duration::from_secs(5))?;
    db.pragma_update(None, "temp_store", "MEMORY")?;
    db.pragma_update(None, "cache_size", -(16 << 10))?;
    db.set_prepared_statement_cache_capacity(512);
    Ok(db)
}

/// Renames a damaged database and its log, so that nothing is lost to whoever looks at it.
/// Gives the new name.
pub(crate) fn keep_aside(path: &Path, now: Millis) -> std::io::Result<PathBuf> {
    let stamp = rfc3339(now).replace([':', '.'], "-");
    let aside = with_suffix(path, &format!(".damaged-{stamp}"));
    for suffix in ["-wal", "-shm"] {
        let from = with_suffix(path, suffix);
        if from.exists() {
            std::fs::rename(&from, with_suffix(&aside, suffix))?;
        }
    }
    std::fs::rename(path, &aside)?;
    Ok(aside)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// Bytes that the database holds, without the pages it could give back.
pub(crate) fn used_bytes(db: &Connection) -> Result<u64, Trouble> {
    let number = |name: &str| -> Result<u64, Trouble> {
        Ok(db.pragma_query_value(None, name, |row| row.get::<_, i64>(0))?.unsigned_abs())
    };
    let pages = number("page_count")?.saturating_sub(number("freelist_count")?);
    Ok(pages.saturating_mul(number("page_size")?))
}
