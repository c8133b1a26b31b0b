#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::*;
use crate::event::tests::chat;
use crate::testing::{dir, unlog};

fn open(path: &Path) -> (Outbox, Arc<Stats>) {
    open_limited(path, u64::MAX)
}

fn open_limited(path: &Path, max_bytes: u64) -> (Outbox, Arc<Stats>) {
    let stats = Arc::new(Stats::default());
    let outbox =
        Outbox::open(path.join("outbox.db"), max_bytes, Clock::system(), Arc::clone(&stats));
    (outbox.unwrap(), stats)
}

fn entry(user: &str, session: &str, time: Millis) -> Entry {
    Entry::pack(&chat(user, session, time, "words")).unwrap()
}

async fn ids(outbox: &Outbox) -> Vec<Uuid> {
    let waiting = outbox.next(10_000, usize::MAX).await.unwrap();
    waiting.into_iter().map(|waiting| waiting.event.id).collect()
}

#[tokio::test]
async fn what_was_kept_is_there_after_a_restart_in_order_and_once() {
    let dir = dir();
    let (outbox, stats) = open(dir.path());
    let entries: Vec<Entry> = (0..5).map(|n| entry("a", "s", n)).collect();
    let kept = outbox.keep(entries.clone()).await.unwrap();
    assert_eq!(kept, Kept { new: 5, ..Kept::default() });
    let again = outbox.keep(entries[2..].to_vec()).await.unwrap();
    assert_eq!(again, Kept { duplicate: 3, ..Kept::default() });
    assert_eq!(stats.outbox_waiting.get(), 5);
    drop(outbox);

    let (outbox, stats) = open(dir.path());
    assert_eq!(stats.outbox_waiting.get(), 5);
    let wanted: Vec<Uuid> = entries.iter().map(|entry| entry.id).collect();
    assert_eq!(ids(&outbox).await, wanted);
    let first = outbox.next(2, usize::MAX).await.unwrap();
    let settled = first.iter().map(|waiting| Settled { seq: waiting.seq, refused: None });
    outbox.done(settled.collect()).await.unwrap();
    assert_eq!(ids(&outbox).await, wanted[2..]);
    assert_eq!(outbox.next(10, 1).await.unwrap().len(), 1, "bytes bound it too");
    assert_eq!(stats.outbox_waiting.get(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_that_come_together_are_all_kept() {
    let dir = dir();
    let (outbox, stats) = open(dir.path());
    let tasks: Vec<_> = (0..100)
        .map(|n| {
            let outbox = outbox.clone();
            tokio::spawn(async move { outbox.keep(vec![entry("a", "s", n)]).await })
        })
        .collect();
    let mut kept = 0;
    for task in tasks {
        kept += task.await.unwrap().unwrap().new;
    }
    assert_eq!(kept, 100);
    assert_eq!(ids(&outbox).await.len(), 100);
    assert_eq!(stats.outbox_waiting.get(), 100);
}

#[tokio::test]
async fn a_refused_event_is_set_aside_with_its_reason() {
    let dir = dir();
    let (outbox, stats) = open(dir.path());
    outbox.keep(vec![entry("a", "s", 1), entry("a", "s", 2)]).await.unwrap();
    let waiting = outbox.next(1, usize::MAX).await.unwrap();
    let refused = Settled { seq: waiting[0].seq, refused: Some("too odd".into()) };
    outbox.done(vec![refused]).await.unwrap();
    assert_eq!(stats.outbox_waiting.get(), 1);
    let db = rusqlite::Connection::open(dir.path().join("outbox.db")).unwrap();
    let reason: String = db.query_row("SELECT reason FROM refused", [], |row| row.get(0)).unwrap();
    assert_eq!(reason, "too odd");
}

#[tokio::test]
async fn an_erased_session_leaves_and_late_records_of_it_are_dropped() {
    let dir = dir();
    let (outbox, _) = open(dir.path());
    let owner = |user: &str| Owner { issuer: "https://id.example".into(), user: user.into() };
    let late = entry("a", "s", 50);
    outbox.keep(vec![entry("a", "s", 10), entry("a", "t", 10), entry("b", "s", 10)]).await.unwrap();
    assert!(outbox.holds(Some(owner("a")), "s".into()).await.unwrap());
    assert!(!outbox.holds(Some(owner("b")), "t".into()).await.unwrap());
    assert_eq!(outbox.erase(Some(owner("a")), "s".into(), 100).await.unwrap(), 1);
    assert_eq!(ids(&outbox).await.len(), 2);
    drop(outbox);
    let (outbox, _) = open(dir.path());
    let kept = outbox.keep(vec![late.clone(), entry("a", "s", 101), entry("b", "s", 50)]).await;
    assert_eq!(kept.unwrap(), Kept { new: 2, duplicate: 0, erased: 1 });
    // Marks do not stay for ever.
    outbox.tidy(100 + 8 * 24 * 60 * 60 * 1000).await.unwrap();
    assert_eq!(outbox.keep(vec![late]).await.unwrap().new, 1);
    // Everybody's session of that name.
    assert_eq!(outbox.erase(None, "s".into(), u64::MAX).await.unwrap(), 4);
}

#[tokio::test]
async fn a_full_outbox_refuses_and_takes_again_when_there_is_room() {
    let dir = dir();
    let (outbox, _) = open_limited(dir.path(), 600_000);
    let mut refused = None;
    for n in 0..200 {
        let mut event = chat("a", "s", n, "x");
        event.prompt = Some("x".repeat(10_000));
        if let Err(refusal) = outbox.keep(vec![Entry::pack(&event).unwrap()]).await {
            refused = Some(refusal);
            break;
        }
    }
    assert_eq!(refused, Some(Refusal::Full));
    let waiting = outbox.next(1000, usize::MAX).await.unwrap();
    let settled = waiting.iter().map(|waiting| Settled { seq: waiting.seq, refused: None });
    outbox.done(settled.collect()).await.unwrap();
    assert_eq!(outbox.keep(vec![entry("a", "s", 999)]).await.unwrap().new, 1);
}

#[tokio::test]
async fn a_file_that_is_no_database_is_kept_aside_and_a_new_one_started() {
    let dir = dir();
    std::fs::write(dir.path().join("outbox.db"), "something else entirely, ".repeat(1000)).unwrap();
    let (outbox, stats) = open(dir.path());
    assert_eq!(stats.databases_set_aside.get(), 1);
    assert_eq!(outbox.keep(vec![entry("a", "s", 1)]).await.unwrap().new, 1);
    let aside = std::fs::read_dir(dir.path())
        .unwrap()
        .filter_map(|file| file.unwrap().file_name().into_string().ok())
        .find(|name| name.starts_with("outbox.db.damaged-"))
        .unwrap();
    assert!(std::fs::read_to_string(dir.path().join(aside)).unwrap().starts_with("something"));
}

#[tokio::test]
async fn damage_while_it_works_costs_what_is_unreadable_and_nothing_else() {
    let dir = dir();
    let path = dir.path().join("outbox.db");
    let (outbox, _) = open(dir.path());
    let entries: Vec<Entry> = (0..300)
        .map(|n| {
            let mut event = chat("a", "s", n, "x");
            event.prompt = Some("x".repeat(3_000));
            Entry::pack(&event).unwrap()
        })
        .collect();
    outbox.keep(entries).await.unwrap();
    drop(outbox);
    // Everything in the main file, then a torn write in the middle of it.
    unlog(&path).await;
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    let len = file.metadata().unwrap().len();
    file.write_all_at(&[0xA5; 16 << 10], len / 2 / (16 << 10) * (16 << 10)).unwrap();

    let (outbox, stats) = open(dir.path());
    let saved = ids(&outbox).await.len();
    assert_eq!(stats.databases_set_aside.get(), 1);
    assert!((200..300).contains(&saved), "{saved} of 300");
    assert_eq!(outbox.keep(vec![entry("a", "s", 999)]).await.unwrap().new, 1);
    assert_eq!(stats.outbox_waiting.get(), saved as u64 + 1);
}

#[tokio::test]
async fn a_torn_log_costs_only_what_was_never_acknowledged() {
    let dir = dir();
    let (outbox, _) = open(dir.path());
    outbox.keep((0..20).map(|n| entry("a", "s", n)).collect()).await.unwrap();
    // As the machine stopped: a copy of the files, with half a commit at the end of the log.
    let torn = self::dir();
    for name in ["outbox.db", "outbox.db-wal"] {
        std::fs::copy(dir.path().join(name), torn.path().join(name)).unwrap();
    }
    let log = std::fs::OpenOptions::new().append(true).open(torn.path().join("outbox.db-wal"));
    std::io::Write::write_all(&mut log.unwrap(), &[0x5A; 9_999]).unwrap();
    let (outbox, stats) = open(torn.path());
    assert_eq!(ids(&outbox).await.len(), 20);
    assert_eq!(stats.databases_set_aside.get(), 0);
}

#[tokio::test]
async fn a_disk_that_is_full_refuses_and_recovers() {
    let dir = dir();
    let path = dir.path().join("outbox.db");
    let (outbox, stats) = open(dir.path());
    outbox.keep(vec![entry("a", "s", 1)]).await.unwrap();
    drop(outbox);
    // The page limit belongs to a connection, so a full disk is played by the limit of ours.
    let mut database = database::Database::open(&path).unwrap();
    database.limit_pages();
    let mut event = chat("a", "s", 2, "x");
    event.prompt = Some("x".repeat(1 << 20));
    let large = Entry::pack(&event).unwrap();
    let full = database.commit(|database| database.keep(std::slice::from_ref(&large)));
    assert_eq!(full, Err(Trouble::Full));
    let small = database.commit(|database| database.waiting());
    assert_eq!(small, Ok(1));
    drop(database);
    let (outbox, _) = open(dir.path());
    assert_eq!(outbox.keep(vec![large]).await.unwrap().new, 1);
    assert_eq!(stats.databases_set_aside.get(), 0);
}
