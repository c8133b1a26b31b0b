#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;

const INTERVAL: Duration = Duration::from_secs(5);
const LIFETIME: Duration = Duration::from_secs(60);

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn request() -> Request {
    Request {
        client: "cli".to_owned(),
        scopes: vec!["chat:run".to_owned()],
        audience: "attach".to_owned(),
    }
}

fn open() -> Grants {
    let mut grants = Grants::default();
    assert!(grants.begin(at(0), ("device", "BCDF-GHJK"), (LIFETIME, INTERVAL), request()));
    grants
}

#[test]
fn every_answer_of_the_token_endpoint() {
    let approve = || Some(Decision::Approve { sub: "alice".to_owned() });
    let granted = Grant { sub: "alice".to_owned(), request: request() };
    // (name, decision, earlier poll, poll at, device code, client, what comes)
    let rows = [
        ("not decided", None, None, 1, "device", "cli", Err(Refusal::AuthorizationPending)),
        ("approved", approve(), None, 1, "device", "cli", Ok(granted.clone())),
        ("denied", Some(Decision::Deny), None, 1, "device", "cli", Err(Refusal::AccessDenied)),
        ("too early", approve(), Some(1), 5, "device", "cli", Err(Refusal::SlowDown)),
        ("in time", approve(), Some(1), 6, "device", "cli", Ok(granted)),
        ("expired", approve(), None, 60, "device", "cli", Err(Refusal::ExpiredToken)),
        (
            "expired, denied",
            Some(Decision::Deny),
            None,
            61,
            "device",
            "cli",
            Err(Refusal::ExpiredToken),
        ),
        ("unknown code", approve(), None, 1, "other", "cli", Err(Refusal::InvalidGrant)),
        ("another client", approve(), None, 1, "device", "else", Err(Refusal::InvalidGrant)),
    ];
    for (name, decision, earlier, poll, code, client, expected) in rows {
        let mut grants = open();
        if let Some(earlier) = earlier {
            assert_eq!(grants.poll(at(earlier), code, client), Err(Refusal::AuthorizationPending));
        }
        if let Some(decision) = decision {
            assert!(grants.decide(at(1), "bcdfghjk", decision), "{name}");
        }
        assert_eq!(grants.poll(at(poll), code, client), expected, "{name}");
    }
}

#[test]
fn slow_down_adds_five_seconds_each_time() {
    let mut grants = open();
    let polls = [
        (0, Refusal::AuthorizationPending),
        (4, Refusal::SlowDown),
        (13, Refusal::SlowDown),
        (28, Refusal::AuthorizationPending),
    ];
    for (time, expected) in polls {
        assert_eq!(grants.poll(at(time), "device", "cli"), Err(expected), "at {time} s");
    }
}

#[test]
fn a_grant_is_handed_out_once() {
    let mut grants = open();
    assert!(grants.decide(at(1), "BCDF GHJK", Decision::Approve { sub: "alice".to_owned() }));
    assert!(grants.poll(at(2), "device", "cli").is_ok());
    assert_eq!(grants.poll(at(9), "device", "cli"), Err(Refusal::InvalidGrant));
}

#[test]
fn a_code_is_decided_once_and_only_while_it_lives() {
    let mut grants = open();
    assert_eq!(grants.asked(at(1), "bcdf-ghjk"), Some(&request()));
    assert_eq!(grants.asked(at(60), "bcdf-ghjk"), None);
    assert!(!grants.decide(at(60), "BCDF-GHJK", Decision::Deny));
    assert!(grants.decide(at(1), "BCDF-GHJK", Decision::Deny));
    assert!(!grants.decide(at(1), "BCDF-GHJK", Decision::Approve { sub: "eve".to_owned() }));
    assert_eq!(grants.asked(at(1), "BCDF-GHJK"), None);
}

#[test]
fn a_used_refresh_token_ends_its_family() {
    let mut grants = Grants::default();
    let grant = Grant { sub: "alice".to_owned(), request: request() };
    grants.remember("one", grant.clone());
    grants.remember("other", grant.clone());
    assert_eq!(grants.rotate("one", "two", "else"), Err(Refusal::InvalidGrant));
    assert_eq!(grants.rotate("one", "two", "cli"), Ok(grant.clone()));
    assert_eq!(grants.rotate("one", "three", "cli"), Err(Refusal::InvalidGrant));
    assert_eq!(grants.rotate("two", "four", "cli"), Err(Refusal::InvalidGrant));
    assert_eq!(grants.rotate("other", "five", "cli"), Ok(grant));
}

#[test]
fn open_sign_ins_are_bounded_and_old_ones_make_room() {
    let mut grants = Grants::default();
    for n in 0..MAX_PENDING {
        let codes = (n.to_string(), format!("U{n}"));
        assert!(grants.begin(at(0), (&codes.0, &codes.1), (LIFETIME, INTERVAL), request()));
    }
    assert!(!grants.begin(at(1), ("more", "M"), (LIFETIME, INTERVAL), request()));
    let later = LIFETIME.saturating_add(AFTERLIFE);
    assert!(grants.begin(later, ("more", "M"), (LIFETIME, INTERVAL), request()));
}
