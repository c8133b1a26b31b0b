//! Known answers were computed with Python's `hmac`, `hashlib` and `uuid`.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use super::trace::trace;
use super::uuid::uuid_v7;
use super::*;
use crate::config::Secret;

/// 00 01 02 … 1f.
const SECRET: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
const ID: &str = "https://id.example.com/";

fn key(secret: &str) -> Result<SessionKey, SessionKeyFault> {
    SessionKey::new(&Session::Secret(Secret(secret.to_owned())))
}

fn plain() -> SessionKey {
    SessionKey::new(&Session::Sha256).unwrap()
}

#[test]
fn session_ids_are_the_documented_hashes() {
    let long = "a".repeat(200);
    let rows: [(&str, &str, &str, &str, &str); 6] = [
        (
            ID,
            "alice",
            "curl/8.5.0",
            "a92995d95c220ae6f502b650b510a4a735c62f17a9beaaa100d4efd043230f5a",
            "d0ada3a1145d87581e98a32a25e46a27db1dda3f706c9582f05d61516283dae9",
        ),
        (
            ID,
            "alice",
            "",
            "ad34221a84195886da02b0a0c4f8a6eb5d4ae78cc1f01624d5bc9901f731bb60",
            "2bd806c97f0e00af1a1fc3328fa763a9269723c8db8fac4f93af71db186d6e90",
        ),
        (
            "",
            "",
            "",
            "7217ef9b45b09142c7104dc7c69dc446fa20825b250ca51264da202f8846da06",
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        ),
        (
            ID,
            "ali",
            "cecurl/8.5.0",
            "e172065d15125a677c6890be82addc635cc804b94ba4c5c798309b0b5bb672bd",
            "d0ada3a1145d87581e98a32a25e46a27db1dda3f706c9582f05d61516283dae9",
        ),
        (
            "https://id.example.com",
            "/alice",
            "curl/8.5.0",
            "6025f8caf3ea71018642442045ffc7cf0333a74c988d93337576fe9c834c12c5",
            "a3e17b081e36efe6734e6f18452930990a845aef3fb36b2a9627bd29701fd84b",
        ),
        (
            ID,
            "zo\u{eb}|\u{1f600}",
            &long,
            "c10685684c50b0f1c8ca2a4859fbaf373c72c1c1ff8c7b61477b348586dc9946",
            "5034f4152dc14a8fb93e930279d15b934b706b5e8b590100442242a5226fc904",
        ),
    ];
    let keyed = key(SECRET).unwrap();
    for (issuer, subject, agent, by_secret, by_sha) in rows {
        let agent = Some(agent.as_bytes());
        assert_eq!(keyed.id(issuer, subject, agent).as_str(), by_secret, "{issuer} {subject}");
        assert_eq!(plain().id(issuer, subject, agent).to_string(), by_sha, "{issuer} {subject}");
    }
}

#[test]
fn a_user_agent_is_bytes_and_its_absence_is_emptiness() {
    let keyed = key(SECRET).unwrap();
    let odd = Some(&b"\xff\xfe\x00"[..]);
    let expected = "809a2eb8f72e02604e5140b7f9287cf538c0b3e01c16e6febcd87fd071d1d288";
    assert_eq!(keyed.id("i", "s", odd).as_str(), expected);
    let expected = "36254b5760388798ec1988c165899fdb6488c95b2bde35668ecfd4559baf81cd";
    assert_eq!(plain().id("i", "s", odd).as_str(), expected);
    assert_eq!(keyed.id("i", "s", None), keyed.id("i", "s", Some(b"")));
    assert_eq!(plain().id("i", "s", None), plain().id("i", "s", Some(b"")));
}

#[test]
fn a_secret_longer_than_a_hash_block_is_used_whole() {
    let secret: Vec<u8> = (0..100_u32).map(|i| (i * 7 % 256) as u8).collect();
    let keyed = key(&URL_SAFE_NO_PAD.encode(secret)).unwrap();
    let expected = "3dd2309cc37dd7a070b3425939aaa22667aa9b5417bca150b05423501dadf3a2";
    assert_eq!(keyed.id("i", "s", Some(b"u")).as_str(), expected);
}

#[test]
fn weak_and_misspelt_secrets_are_refused() {
    let rows = [
        ("", SessionKeyFault::TooShort),
        (&SECRET[..41], SessionKeyFault::NotBase64Url), // 41 characters are no whole bytes
        (&SECRET[..40], SessionKeyFault::TooShort),
        ("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", SessionKeyFault::NotBase64Url),
        ("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh+/", SessionKeyFault::NotBase64Url),
        ("not a secret at all, only a long sentence of words", SessionKeyFault::NotBase64Url),
    ];
    for (secret, fault) in rows {
        assert_eq!(key(secret).map(|_| ()), Err(fault), "{secret}");
    }
}

#[test]
fn debug_output_has_no_key_in_it() {
    assert_eq!(format!("{:?}", key(SECRET).unwrap()), "SessionKey(keyed)");
    assert_eq!(format!("{:?}", plain()), "SessionKey(plain)");
}

#[test]
fn a_clients_session_id_is_taken_only_if_it_is_plain() {
    let longest = "x".repeat(64);
    let too_long = "x".repeat(65);
    let random = [0x0a, 0xff, 0x00, 0x9c];
    let made = "0aff009c";
    let rows: [(Option<&[u8]>, &str); 14] = [
        (None, made),
        (Some(b""), made),
        (Some(b"a"), "a"),
        (Some(b"A-b_c.9"), "A-b_c.9"),
        (Some(longest.as_bytes()), &longest),
        (Some(too_long.as_bytes()), made),
        (Some(b"a b"), made),
        (Some(b" a"), made),
        (Some(b"a,b"), made),
        (Some(b"a\r\nx: y"), made),
        (Some(b"a\0"), made),
        (Some(b"../../etc"), made),
        (Some("\u{e9}".as_bytes()), made),
        (Some(b"\xff\xfe"), made),
    ];
    for (client, expected) in rows {
        assert_eq!(trace_session(client, random), expected, "{client:?}");
    }
}

#[test]
fn valid_traces_go_on_and_others_begin_anew() {
    const T: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    let valid = format!("00-{T}-00f067aa0ba902b7-01");
    let rows: [(String, bool); 22] = [
        (valid.clone(), true),
        (format!("00-{T}-00f067aa0ba902b7-00"), true),
        (format!("00-{T}-00f067aa0ba902b7-ff"), true),
        (format!("cc-{T}-00f067aa0ba902b7-01"), true),
        (format!("cc-{T}-00f067aa0ba902b7-01-what-the-future-brings"), true),
        (format!("cc-{T}-00f067aa0ba902b7-01-"), true),
        (format!("cc-{T}-00f067aa0ba902b7-01."), false),
        (format!("cc-{T}-00f067aa0ba902b7-011"), false),
        (format!("00-{T}-00f067aa0ba902b7-01-more"), false),
        (format!("00-{T}-00f067aa0ba902b7-01-"), false),
        (format!("ff-{T}-00f067aa0ba902b7-01"), false),
        (format!("00-{T}-0000000000000000-01"), false),
        (format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)), false),
        (valid.to_uppercase(), false),
        (format!("0-{T}-00f067aa0ba902b7-001"), false),
        (format!("00_{T}_00f067aa0ba902b7_01"), false),
        (format!("00-{T}-00f067aa0ba902b-701"), false),
        (format!(" {valid}"), false),
        (valid[..54].to_owned(), false),
        (format!("{valid},{valid}"), false),
        (format!("00-{}g-00f067aa0ba902b7-01", &T[..31]), false),
        (String::new(), false),
    ];
    for (header, kept) in rows {
        let seen = trace(Some(header.as_bytes()), [0xab; 24]);
        assert_eq!(seen.kept, kept, "{header}");
        if kept {
            assert_eq!((seen.header.as_str(), seen.trace_id.as_str()), (header.as_str(), T));
        } else {
            let fresh = format!("00-{0}{0}-{0}-01", "ab".repeat(8));
            assert_eq!((seen.header, seen.trace_id), (fresh, "ab".repeat(16)), "{header}");
        }
    }
}

#[test]
fn odd_bytes_in_a_trace_are_no_trace() {
    let accents = "\u{e9}".repeat(40);
    let odd: [&[u8]; 3] = [b"\xff\xfe", &[b'0'; 60][..], accents.as_bytes()];
    for header in odd {
        assert!(!trace(Some(header), [1; 24]).kept);
    }
}

#[test]
fn a_new_trace_is_valid_even_without_randomness() {
    let first = trace(None, [0; 24]);
    assert_eq!(first.header, format!("00-{}1-{}1-01", "0".repeat(31), "0".repeat(15)));
    let again = trace(Some(first.header.as_bytes()), [0xee; 24]);
    assert!(again.kept);
    assert_eq!(again.trace_id, first.trace_id);
}

#[test]
fn uuids_have_the_layout_of_version_7() {
    let rows = [
        // RFC 9562 appendix A.6.
        (
            0x017f_22e2_79b0,
            [0x0c, 0xc3, 0x18, 0xc4, 0xdc, 0x0c, 0x0c, 0x07, 0x39, 0x8f],
            "017f22e2-79b0-7cc3-98c4-dc0c0c07398f",
        ),
        (0, [0; 10], "00000000-0000-7000-8000-000000000000"),
        ((1 << 48) - 1, [0xff; 10], "ffffffff-ffff-7fff-bfff-ffffffffffff"),
        (1 << 48, [0; 10], "00000000-0000-7000-8000-000000000000"),
        (1_700_000_000_000, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], "018bcfe5-6800-7001-8203-040506070809"),
    ];
    for (now_ms, random, expected) in rows {
        assert_eq!(uuid_v7(now_ms, random), expected);
    }
    assert!(uuid_v7(1_700_000_000_001, [0; 10]) > uuid_v7(1_700_000_000_000, [0xff; 10]));
}
