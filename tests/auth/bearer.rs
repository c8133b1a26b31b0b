//! The `Authorization` header.

use attach_filter::auth::{Authenticator, Denial};

fn ask(values: &[&[u8]]) -> &'static str {
    match Authenticator::bearer(values) {
        Ok(b"a.b.c") => "a.b.c",
        Ok(_) => "another",
        Err(Denial::MissingToken) => "missing",
        Err(Denial::InvalidRequest(_)) => "malformed",
        Err(_) => "another denial",
    }
}

#[test]
fn one_bearer_token_is_found_or_the_request_is_refused() {
    let cases: &[(&[&[u8]], &str)] = &[
        (&[], "missing"),
        (&[b"Bearer a.b.c"], "a.b.c"),
        (&[b"bearer a.b.c"], "a.b.c"),
        (&[b"BEARER a.b.c"], "a.b.c"),
        (&[b"bEaReR a.b.c"], "a.b.c"),
        (&[b"Bearer  a.b.c"], "a.b.c"),
        (&[b"  Bearer a.b.c \t"], "a.b.c"),
        (&[b"Bearer a+b/c~d-e_f.g=="], "another"),
        (&[b""], "malformed"),
        (&[b"   "], "malformed"),
        (&[b"Bearer"], "malformed"),
        (&[b"Bearer "], "malformed"),
        (&[b"Bearer\ta.b.c"], "malformed"),
        (&[b"Bearera.b.c"], "malformed"),
        (&[b"a.b.c"], "malformed"),
        (&[b"Bearer a.b.c x"], "malformed"),
        (&[b"Bearer a=b"], "malformed"),
        (&[b"Bearer ="], "malformed"),
        (&[b"Bearer \"a.b.c\""], "malformed"),
        (&[b"Bearer token=a.b.c"], "malformed"),
        (&[b"Bearer a.b.c\0"], "malformed"),
        (&[b"Bearer a.b.c\xff\xfe"], "malformed"),
        (&[b"\xff\xfe"], "malformed"),
        (&[b"\xff Bearer a.b.c"], "malformed"),
        (&[b"Bearer: a.b.c"], "malformed"),
        (&[b"Bearer a.b.c", b"Bearer a.b.c"], "malformed"),
        (&[b"Bearer a.b.c", b"Basic YTpi"], "malformed"),
        (&[b"Bearer a.b.c,Bearer a.b.c"], "malformed"),
        (&[b"Bearer a.b.c, Bearer d.e.f"], "malformed"),
        (&[b"Bearer a.b.c,Basic YTpi"], "malformed"),
        (&[b"Basic YTpi,Bearer a.b.c"], "malformed"),
        (&[b"Basic YTpi, bearer a.b.c"], "malformed"),
        (&[b"Basic YTpi"], "missing"),
        (&[b"Digest username=\"a\", realm=\"b\""], "missing"),
        (&[b"DPoP a.b.c"], "missing"),
    ];
    for (values, wanted) in cases {
        let shown: Vec<_> = values.iter().map(|v| String::from_utf8_lossy(v)).collect();
        assert_eq!(ask(values), *wanted, "{shown:?}");
    }
}
