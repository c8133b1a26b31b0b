//! Header bytes that are not text: Envoy passes them on, and the filter must live.

use crate::h2c;
use crate::raw::{exchange, head};
use crate::stage::plain;
use crate::wait::{run, unique};

const NOT_TEXT: &[u8] = b"a\xff\xfe\x80z";

fn line(name: &str, value: &[u8]) -> Vec<u8> {
    [name.as_bytes(), b": ", value].concat()
}

#[test]
fn over_http_1() {
    run(async {
        let stage = plain().await;
        let token = format!("Bearer {}", stage.issuer.token("alice"));
        for (name, status) in [
            ("X-Anything", 200),
            ("User-Agent", 200),
            ("X-Session-ID", 200),
            ("traceparent", 200),
            ("tracestate", 200),
            ("Origin", 200),
            ("X-Attach-User", 200),
            ("X-Request-Id", 200),
            ("Content-Type", 200),
            ("Accept", 200),
            ("Cookie", 200),
            ("Authorization", 400),
        ] {
            let case = unique("bytes");
            let lines = [line("x-case", case.as_bytes()), line("Authorization", token.as_bytes())];
            // In place of the token, not beside it.
            let count = if name == "Authorization" { 1 } else { 2 };
            let mut lines: Vec<&[u8]> = lines.iter().take(count).map(Vec::as_slice).collect();
            let odd = line(name, NOT_TEXT);
            lines.push(&odd);
            let answer = exchange(stage.gateway.address(), head("GET /api/tags", &lines)).await;
            assert_eq!(answer.status, status, "{name}: {}", String::from_utf8_lossy(&answer.body));
            let seen = stage.engine.seen(&case);
            assert_eq!(seen.len(), usize::from(status == 200), "{name}");
            if name == "X-Anything" {
                let kept = seen[0].headers.iter().any(|(_, value)| value == NOT_TEXT);
                assert!(kept, "the bytes were changed: {:?}", seen[0].headers);
            }
        }
        stage.assert_unharmed().await;
    });
}

#[test]
fn over_http_2() {
    run(async {
        let stage = plain().await;
        let token = format!("Bearer {}", stage.issuer.token("alice"));
        for (name, status) in [
            ("x-anything", 200),
            ("user-agent", 200),
            ("x-session-id", 200),
            ("authorization", 400),
        ] {
            let case = unique("bytes");
            let mut headers =
                vec![("x-case", case.as_bytes()), (name, NOT_TEXT), ("x-attach-user", NOT_TEXT)];
            if status == 200 {
                headers.push(("authorization", token.as_bytes()));
            }
            let post =
                h2c::Post { path: "/api/show", headers, body: b"{}".to_vec(), trailers: vec![] };
            let (found, _) = h2c::post(stage.gateway.address(), post).await;
            assert_eq!(found, status, "{name}");
            assert_eq!(stage.engine.seen(&case).len(), usize::from(status == 200), "{name}");
        }
        let trailers = vec![("x-checksum", NOT_TEXT), ("x-attach-user", NOT_TEXT)];
        let headers = vec![("authorization", token.as_bytes())];
        let post = h2c::Post { path: "/api/show", headers, body: b"{}".to_vec(), trailers };
        assert_eq!(h2c::post(stage.gateway.address(), post).await.0, 200);
        stage.assert_unharmed().await;
    });
}

#[test]
fn in_a_path_they_are_refused() {
    run(async {
        let stage = plain().await;
        let token = line("Authorization", format!("Bearer {}", stage.issuer.token("a")).as_bytes());
        let case = unique("bytes");
        let mut request =
            b"GET /api/\xff\xfe HTTP/1.1\r\nHost: x\r\nConnection: close\r\n".to_vec();
        request.extend(line("x-case", case.as_bytes()));
        request.extend(b"\r\n");
        request.extend(token);
        request.extend(b"\r\n\r\n");
        assert_eq!(exchange(stage.gateway.address(), request).await.status, 400);
        assert!(stage.engine.seen(&case).is_empty());
        stage.assert_unharmed().await;
    });
}
