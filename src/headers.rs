//! Header names, and one pass over a request's headers that finds what the flow needs.

/// `X-Attach-User`: the verified `sub`.
pub const USER: &str = "x-attach-user";
/// `X-Attach-Issuer`: the verified `iss`.
pub const ISSUER: &str = "x-attach-issuer";
/// `X-Attach-Session`: the session id.
pub const SESSION: &str = "x-attach-session";
/// `X-Attach-Agent`: the acting client.
pub const AGENT: &str = "x-attach-agent";
/// `X-Attach-Scope`: granted scopes, for the mirror-service only.
pub const SCOPE: &str = "x-attach-scope";
/// `X-Attach-Task`: names the task in an answer.
pub const TASK: &str = "x-attach-task";
/// `X-Session-ID`: the trace id of a chain of agents.
pub const TRACE_SESSION: &str = "x-session-id";

const OWN_PREFIX: &str = "x-attach-";

/// What is known of a request from its headers; borrowed from the host's copy of them.
#[derive(Debug, Default)]
pub struct RequestHead<'a> {
    /// `:method`.
    pub method: &'a [u8],
    /// `:path`, as Envoy normalized it; not text if it is not UTF-8.
    pub path: &'a [u8],
    /// `:authority`.
    pub authority: &'a [u8],
    /// Values of every `Authorization`.
    pub authorization: Vec<&'a [u8]>,
    /// `User-Agent`.
    pub user_agent: &'a [u8],
    /// `Origin`.
    pub origin: Option<&'a [u8]>,
    /// `Access-Control-Request-Method`: makes an OPTIONS a preflight.
    pub preflight_method: Option<&'a [u8]>,
    /// `Access-Control-Request-Headers` of a preflight.
    pub preflight_headers: Option<&'a [u8]>,
    /// `X-Session-ID`; `None` too if it comes more than once.
    pub trace_session: Option<&'a [u8]>,
    /// `traceparent`; `None` too if it comes more than once.
    pub traceparent: Option<&'a [u8]>,
    /// `tracestate` is there.
    pub has_tracestate: bool,
    /// `Content-Length`.
    pub content_length: Option<u64>,
    /// `Content-Type`.
    pub content_type: Option<&'a [u8]>,
    /// `Content-Encoding`.
    pub content_encoding: Option<&'a [u8]>,
    /// `X-Attach-*` values, for a gateway that trusts the one before it.
    pub stamped: Stamped<'a>,
    /// Names that no upstream may see as the client sent them.
    pub foreign: Vec<&'a str>,
}

/// Identity headers as they came, believed in mode `trusted` only.
#[derive(Debug, Default)]
pub struct Stamped<'a> {
    /// [`USER`].
    pub user: Option<&'a [u8]>,
    /// [`ISSUER`].
    pub issuer: Option<&'a [u8]>,
    /// [`SESSION`].
    pub session: Option<&'a [u8]>,
    /// [`AGENT`].
    pub agent: Option<&'a [u8]>,
}

impl<'a> RequestHead<'a> {
    /// Reads the headers in one pass.
    #[must_use]
    pub fn read(headers: &'a [(String, Vec<u8>)]) -> Self {
        let mut head = Self::default();
        let (mut sessions, mut parents) = (0_usize, 0_usize);
        for (name, value) in headers {
            match name.as_str() {
                ":method" => head.method = value,
                ":path" => head.path = value,
                ":authority" => head.authority = value,
                "authorization" => head.authorization.push(value),
                "user-agent" => head.user_agent = value,
                "origin" => head.origin = Some(value),
                "access-control-request-method" => head.preflight_method = Some(value),
                "access-control-request-headers" => head.preflight_headers = Some(value),
                "content-length" => head.content_length = parse_length(value),
                "content-type" => head.content_type = Some(value),
                "content-encoding" => head.content_encoding = Some(value),
                "tracestate" => head.has_tracestate = true,
                TRACE_SESSION => {
                    sessions = sessions.saturating_add(1);
                    head.trace_session = Some(value);
                }
                "traceparent" => {
                    parents = parents.saturating_add(1);
                    head.traceparent = Some(value);
                }
                other => head.read_foreign(other, value),
            }
        }
        if sessions > 1 {
            head.trace_session = None;
        }
        if parents > 1 {
            head.traceparent = None;
        }
        head
    }

    fn read_foreign(&mut self, name: &'a str, value: &'a [u8]) {
        match name {
            USER => self.stamped.user = Some(value),
            ISSUER => self.stamped.issuer = Some(value),
            SESSION => self.stamped.session = Some(value),
            AGENT => self.stamped.agent = Some(value),
            _ => {}
        }
        if is_foreign(name) && !self.foreign.contains(&name) {
            self.foreign.push(name);
        }
    }
}

/// Whether a client's header of this name must not reach an upstream: our own names in every
/// spelling (servers that map headers to variables read `_` and `-` alike), and names by which a
/// client could steer Envoy's router or imitate what a proxy says of a request.
#[must_use]
pub fn is_foreign(name: &str) -> bool {
    is_own(name)
        || (name.contains('_') && spelled_like(name, TRACE_SESSION))
        || spelled_like(name, "x-forwarded-host")
        || (name.starts_with("x-envoy-")
            && !matches!(name, "x-envoy-external-address" | "x-envoy-internal"))
}

/// Whether the name is `X-Attach-…` in any spelling.
#[must_use]
pub fn is_own(name: &str) -> bool {
    name.get(..OWN_PREFIX.len()).is_some_and(|start| spelled_like(start, OWN_PREFIX))
}

fn spelled_like(name: &str, canonical: &str) -> bool {
    let fold = |byte: u8| if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
    name.len() == canonical.len() && name.bytes().zip(canonical.bytes()).all(|(a, b)| fold(a) == b)
}

fn parse_length(value: &[u8]) -> Option<u64> {
    std::str::from_utf8(value).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> Vec<(String, Vec<u8>)> {
        pairs.iter().map(|(n, v)| ((*n).to_owned(), v.as_bytes().to_vec())).collect()
    }

    #[test]
    fn our_names_are_foreign_in_every_spelling() {
        for name in [
            "x-attach-user",
            "X-Attach-User",
            "x_attach_user",
            "X_ATTACH-anything",
            "x-attach-",
            "x_session_id",
            "x-session_id",
            "x-forwarded-host",
            "x_forwarded_host",
            "x-envoy-original-path",
            "x-envoy-upstream-rq-timeout-ms",
            "x-envoy-retry-on",
        ] {
            assert!(is_foreign(name), "{name}");
        }
        for name in [
            "x-attach",
            "x-attached-user",
            "x-session-id",
            "x-forwarded-for",
            "x-envoy-external-address",
            "openai_organization",
            "é-attach-user",
        ] {
            assert!(!is_foreign(name), "{name}");
        }
    }

    #[test]
    fn one_pass_finds_what_the_flow_needs() {
        let headers = headers(&[
            (":method", "POST"),
            (":path", "/api/chat?x"),
            (":authority", "gw"),
            ("authorization", "Bearer a"),
            ("authorization", "Bearer b"),
            ("x-session-id", "s1"),
            ("X-Attach-User", "mallory"),
            ("x-attach-user", "eve"),
            ("x-attach-user", "eve2"),
            ("content-length", "12"),
        ]);
        let head = RequestHead::read(&headers);
        assert_eq!(head.method, b"POST");
        assert_eq!(head.authorization, [b"Bearer a", b"Bearer b"]);
        assert_eq!(head.trace_session, Some(&b"s1"[..]));
        assert_eq!(head.content_length, Some(12));
        assert_eq!(head.foreign, ["X-Attach-User", "x-attach-user"]);
        assert_eq!(head.user_agent, b"");
    }

    #[test]
    fn repeated_ids_count_as_none() {
        let headers = headers(&[
            ("x-session-id", "a"),
            ("x-session-id", "b"),
            ("traceparent", "a"),
            ("traceparent", "b"),
        ]);
        let head = RequestHead::read(&headers);
        assert_eq!((head.trace_session, head.traceparent), (None, None));
    }
}
