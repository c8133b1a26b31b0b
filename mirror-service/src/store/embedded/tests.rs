#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use std::path::Path;

use super::*;
use crate::event::tests::chat;
use crate::testing::{dir, unlog};

fn open(path: &Path, retention: Retention) -> (Embedded, Arc<Stats>) {
    let stats = Arc::new(Stats::default());
    let store =
        Embedded::open(path.join("memory.db"), retention, Clock::system(), Arc::clone(&stats));
    (store.unwrap(), stats)
}

fn page(limit: usize) -> Page {
    Page { limit, cursor: None }
}

async fn indexed(stats: &Stats) {
    while stats.store_unindexed.get() > 0 {
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
}

async fn count(store: &Embedded) -> usize {
    store.events(&Filter::default(), &page(100_000)).await.unwrap().items.len()
}

async fn found(store: &Embedded, words: &str) -> Vec<Hit> {
    store.search(words, &Filter::default(), &page(100)).await.unwrap().items
}

#[tokio::test]
async fn an_event_that_comes_twice_is_there_once_and_as_it_was() {
    let dir = dir();
    let (store, stats) = open(dir.path(), Retention::default());
    let event = chat("alice", "s", 5_000, "hello world");
    store.put(&[event.clone(), event.clone()]).await.unwrap();
    store.put(std::slice::from_ref(&event)).await.unwrap();
    indexed(&stats).await;
    let found = store.events(&Filter::default(), &page(10)).await.unwrap();
    assert_eq!(found.items, [event]);
    let sessions = store.sessions(&Filter::default(), &page(10)).await.unwrap();
    assert_eq!(sessions.items[0].events, 1);
    assert_eq!(self::found(&store, "world").await.len(), 1);
}

#[tokio::test]
async fn the_better_match_comes_first_and_shows_why() {
    let dir = dir();
    let (store, stats) = open(dir.path(), Retention::default());
    let filler = "many other words that say nothing of it at all ".repeat(30);
    store
        .put(&[
            chat("a", "s", 1, "zebra zebra zebra"),
            chat("a", "s", 2, &format!("{filler} zebra {filler}")),
            chat("a", "s", 3, "a horse"),
        ])
        .await
        .unwrap();
    indexed(&stats).await;
    let hits = found(&store, "ZEBRA").await;
    assert_eq!(hits.len(), 2);
    assert!(hits[0].score > hits[1].score);
    assert_eq!(hits[0].snippet, "zebra zebra zebra");
    assert!(
        hits[1].snippet.contains("zebra") && hits[1].snippet.len() < 300,
        "{}",
        hits[1].snippet
    );
    assert_eq!(found(&store, "horse zebra").await.len(), 0, "every word must be there");
    assert_eq!(found(&store, "horse answer").await.len(), 1, "in prompt or answer");
}

#[tokio::test]
async fn search_pages_through_every_shard() {
    let dir = dir();
    let (store, stats) = open(dir.path(), Retention::default());
    let total = 5 * 1_024 + 100;
    for from in (0..total).step_by(1_000) {
        let events: Vec<Event> = (from..total.min(from + 1_000))
            .map(|n| chat("a", "s", n, if n % 2_000 == 7 { "needle" } else { "hay" }))
            .collect();
        store.put(&events).await.unwrap();
    }
    indexed(&stats).await;
    assert_eq!(found(&store, "needle").await.len(), 3);
    // "answer" is everywhere and says nothing about rank; it must be there all the same.
    assert_eq!(found(&store, "needle answer").await.len(), 3);
    assert_eq!(found(&store, "needle hay").await.len(), 0);
    let mut seen = std::collections::HashSet::new();
    let mut page = page(600);
    loop {
        let hits = store.search("hay", &Filter::default(), &page).await.unwrap();
        assert!(hits.items.iter().all(|hit| seen.insert(hit.event.id)));
        match hits.next {
            Some(next) => page.cursor = Some(next),
            None => break,
        }
    }
    assert_eq!(seen.len() as u64, total - 3);
}

#[tokio::test]
async fn old_events_are_forgotten_everywhere() {
    let dir = dir();
    let retention = Retention { max_age_ms: Some(1_000), max_bytes: None };
    let (store, stats) = open(dir.path(), retention);
    let events: Vec<Event> = (0..1_500).map(|n| chat("a", "old", n, "ancient words")).collect();
    store.put(&events).await.unwrap();
    store
        .put(&[chat("a", "both", 900, "ancient"), chat("a", "both", 5_000, "recent words")])
        .await
        .unwrap();
    indexed(&stats).await;
    store.tidy(5_500).await.unwrap();
    assert_eq!(count(&store).await, 1);
    assert_eq!(stats.store_expired.get(), 1_501);
    assert_eq!(found(&store, "ancient").await.len(), 0);
    assert_eq!(found(&store, "recent").await.len(), 1);
    let sessions = store.sessions(&Filter::default(), &page(10)).await.unwrap().items;
    assert_eq!(sessions, [Session { id: "both".into(), first: 5_000, last: 5_000, events: 1 }]);
}

#[tokio::test]
async fn a_store_that_grows_too_large_forgets_the_oldest() {
    let dir = dir();
    let most = 6 << 20;
    let (store, stats) = open(dir.path(), Retention { max_age_ms: None, max_bytes: Some(most) });
    for from in 0..8 {
        let events: Vec<Event> = (0..500)
            .map(|n| {
                chat(
                    "a",
                    "s",
                    from * 500 + n,
                    &format!("number{n} {}", "lorem ipsum dolor ".repeat(100)),
                )
            })
            .collect();
        store.put(&events).await.unwrap();
    }
    indexed(&stats).await;
    store.tidy(10_000).await.unwrap();
    let left = store.events(&Filter::default(), &page(10_000)).await.unwrap().items;
    assert!((100..4_000).contains(&left.len()), "{}", left.len());
    assert_eq!(left[0].time, 3_999, "the newest stay");
    let db = rusqlite::Connection::open(dir.path().join("memory.db")).unwrap();
    assert!(crate::sqlite::used_bytes(&db).unwrap() <= most);
    assert_eq!(
        found(&store, "number499").await.len(),
        found(&store, "number499").await.len().min(8)
    );
    let ok: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(ok, "ok");
}

#[tokio::test]
async fn what_was_not_indexed_before_a_stop_is_indexed_after_it() {
    let dir = dir();
    {
        let (store, _) = open(dir.path(), Retention::default());
        let events: Vec<Event> =
            (0..5_000).map(|n| chat("a", "s", n, &format!("later n{n}"))).collect();
        store.put(&events).await.unwrap();
    }
    let (store, stats) = open(dir.path(), Retention::default());
    indexed(&stats).await;
    for n in ["n0", "n2500", "n4999"] {
        assert_eq!(found(&store, n).await.len(), 1, "{n}");
    }
}

#[tokio::test]
async fn a_damaged_memory_is_kept_aside_and_a_new_one_started() {
    let dir = dir();
    std::fs::write(dir.path().join("memory.db"), vec![7; 100_000]).unwrap();
    let (store, stats) = open(dir.path(), Retention::default());
    assert_eq!(stats.databases_set_aside.get(), 1);
    store.put(&[chat("a", "s", 1, "anew")]).await.unwrap();
    assert_eq!(count(&store).await, 1);
}

#[tokio::test]
async fn damage_that_a_query_finds_is_repaired_by_a_new_database() {
    let dir = dir();
    let path = dir.path().join("memory.db");
    {
        let (store, stats) = open(dir.path(), Retention::default());
        let events: Vec<Event> = (0..2_000).map(|n| chat("a", "s", n, "some words")).collect();
        store.put(&events).await.unwrap();
        indexed(&stats).await;
    }
    unlog(&path).await;
    let mut bytes = std::fs::read(&path).unwrap();
    let (page, from) = (16 << 10, bytes.len() / 3 / (16 << 10) * (16 << 10));
    bytes[from..from + 10 * page].fill(0xEE);
    std::fs::write(&path, bytes).unwrap();

    let (store, stats) = open(dir.path(), Retention::default());
    // Fails until the writer has looked at it; never for good.
    while store.events(&Filter::default(), &self::page(10_000)).await.is_err()
        || stats.databases_set_aside.get() == 0
    {
        tokio::task::yield_now().await;
    }
    store.put(&[chat("a", "s", 1, "anew")]).await.unwrap();
    indexed(&stats).await;
    assert_eq!(found(&store, "anew").await.len(), 1);
}

#[tokio::test]
async fn an_erased_session_leaves_no_words_behind() {
    let dir = dir();
    let (store, stats) = open(dir.path(), Retention::default());
    store.put(&[chat("a", "s", 1, "xylophone"), chat("b", "s", 2, "xylophone")]).await.unwrap();
    indexed(&stats).await;
    // One that is not indexed yet.
    let owner = Owner { issuer: "https://id.example".into(), user: "a".into() };
    assert_eq!(store.erase(Some(&owner), "s").await.unwrap(), 1);
    assert_eq!(store.erase(Some(&owner), "s").await.unwrap(), 0);
    assert_eq!(found(&store, "xylophone").await.len(), 1);
    assert_eq!(store.erase(None, "s").await.unwrap(), 1);
    assert_eq!(found(&store, "xylophone").await.len(), 0);
    let sessions = store.sessions(&Filter::default(), &page(10)).await.unwrap();
    assert!(sessions.items.is_empty());
    store.put(&[chat("a", "s", 3, "again")]).await.unwrap();
    assert_eq!(count(&store).await, 1);
}
