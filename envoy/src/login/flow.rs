//! One sign-in from the issuer's address to a token.

use reqwest::Client;

use super::cache::{Cache, Remembered};
use super::metadata::{Metadata, is_safe};
use super::poll::{Answer, End, Poll};
use super::wire::{Http, Started, Tokens, Which};
use super::{Code, Error, Options, Prompt, Timer, shown};

const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// A sign-in about to happen.
pub struct Login<'a, T, P> {
    /// Calls the issuer. It must not follow redirects: they could carry a code elsewhere.
    pub client: &'a Client,
    /// Who signs in where.
    pub options: &'a Options,
    /// The time.
    pub timer: &'a T,
    /// The person.
    pub prompt: &'a P,
}

/// A finished sign-in.
#[derive(Debug)]
pub struct Outcome {
    tokens: Tokens,
}

impl Outcome {
    /// The token to present to the gateway.
    #[must_use]
    pub fn token(&self) -> &str {
        self.tokens.bearer().0
    }
}

impl<T: Timer, P: Prompt> Login<'_, T, P> {
    /// Signs in: by what is remembered if that still works, else by asking the person.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn run(&self) -> Result<Outcome, Error> {
        let mut http = Http { client: self.client, options: self.options, secret_in_body: false };
        let metadata = Metadata::fetch(&http, &self.options.issuer).await?;
        let methods = &metadata.token_endpoint_auth_methods_supported;
        http.secret_in_body = methods.iter().any(|m| m == "client_secret_post");
        if let Some(tokens) = self.renewed(&http, &metadata).await? {
            return Ok(Outcome { tokens });
        }
        let tokens = self.asked(&http, &metadata).await?;
        self.say_which(&tokens);
        self.remember(&tokens);
        Ok(Outcome { tokens })
    }

    /// Forgets what is remembered. `false`: there was nothing.
    ///
    /// # Errors
    /// The file cannot be removed.
    pub fn forget(&self) -> std::io::Result<bool> {
        self.cache().map_or(Ok(false), |cache| cache.forget())
    }

    fn cache(&self) -> Option<Cache> {
        let dir = self.options.cache.as_deref()?;
        Some(Cache::new(dir, &self.options.issuer, &self.options.client_id))
    }

    // === what is remembered ===

    /// Tokens by the remembered refresh token; `None` if there is none that is good.
    async fn renewed(&self, http: &Http<'_>, meta: &Metadata) -> Result<Option<Tokens>, Error> {
        let Some(cache) = self.cache() else {
            return Ok(None);
        };
        if cache.load().is_none() {
            return Ok(None);
        }
        // Held until the successor of a rotated token is on the disk.
        let Ok(_lock) = cache.lock() else {
            return Ok(None);
        };
        let Some(mut known) = cache.load() else {
            return Ok(None);
        };
        if known.audience != self.options.audience || known.scope != self.remembered_scope() {
            return Ok(None);
        }
        let form =
            vec![("grant_type", "refresh_token"), ("refresh_token", known.refresh_token.as_str())];
        match http.token(&meta.token_endpoint, form).await? {
            (Answer::Granted(tokens), _) => {
                if let Some(next) = &tokens.refresh_token {
                    known.refresh_token.clone_from(next);
                    self.store(&cache, &known);
                }
                self.say_which(&tokens);
                Ok(Some(tokens))
            }
            (Answer::Error(code), _) => {
                self.prompt.note(&format!("The remembered sign-in no longer works ({code})."));
                // RFC 6749 section 5.2: this token is spent; other errors may pass.
                if code == "invalid_grant" {
                    drop(cache.forget());
                }
                Ok(None)
            }
            (Answer::Unreachable, _) => Err(Error::Unreachable {
                url: meta.token_endpoint.clone(),
                cause: "no usable answer".to_owned(),
            }),
        }
    }

    fn remember(&self, tokens: &Tokens) {
        let Some(cache) = self.cache().filter(|_| self.options.remember) else {
            return;
        };
        let Some(refresh_token) = tokens.refresh_token.clone() else {
            let note = "Not remembered: the issuer gave no refresh token. Allow offline_access \
                        for the client of OIDC_CLIENT_ID.";
            return self.prompt.note(note);
        };
        let remembered = Remembered {
            issuer: self.options.issuer.clone(),
            client_id: self.options.client_id.clone(),
            scope: self.remembered_scope(),
            audience: self.options.audience.clone(),
            refresh_token,
        };
        self.store(&cache, &remembered);
    }

    /// A later sign-in without `--remember` may use what one with it has stored.
    fn remembered_scope(&self) -> String {
        Options { remember: true, ..self.options.clone() }.scope()
    }

    fn store(&self, cache: &Cache, remembered: &Remembered) {
        if let Err(error) = cache.store(remembered) {
            self.prompt.note(&format!("Not remembered: {error}. Check ATTACH_DATA_DIR."));
        }
    }

    // === the device flow ===

    async fn asked(&self, http: &Http<'_>, meta: &Metadata) -> Result<Tokens, Error> {
        let Some(endpoint) = meta.device_authorization_endpoint.as_deref() else {
            return Err(Error::NoDeviceFlow { issuer: self.options.issuer.clone() });
        };
        self.warn_of_unlisted_scopes(meta);
        let started = self.started(http, endpoint).await?;
        let mut poll = Poll::new(self.timer.now(), started.lifetime(), started.interval());
        self.prompt.show(&code(&started, endpoint)?);
        loop {
            let pause = poll.wait(self.timer.now()).map_err(|end| ended(end, String::new()))?;
            self.timer.sleep(pause).await;
            // The lifetime may have ended while we slept.
            poll.wait(self.timer.now()).map_err(|end| ended(end, String::new()))?;
            let form = vec![("grant_type", DEVICE_GRANT), ("device_code", &started.device_code)];
            let (answer, description) = http.token(&meta.token_endpoint, form).await?;
            let answered = poll.answered(self.timer.now(), answer);
            if let Some(tokens) = answered.map_err(|end| ended(end, description))? {
                return Ok(tokens);
            }
        }
    }

    async fn started(&self, http: &Http<'_>, endpoint: &str) -> Result<Started, Error> {
        let scope = self.options.scope();
        let audience = self.options.audience.as_deref();
        match http.start(endpoint, &scope, audience).await {
            // Google refuses parameters that it does not know.
            Err(Error::Refused { code, .. }) if audience.is_some() && code == "invalid_request" => {
                http.start(endpoint, &scope, None).await
            }
            started => started,
        }
    }

    /// Issuers need not list every scope, so this is only said, not acted upon.
    fn warn_of_unlisted_scopes(&self, meta: &Metadata) {
        let listed = &meta.scopes_supported;
        let unlisted: Vec<_> = self
            .options
            .scopes
            .iter()
            .filter(|s| !listed.contains(s))
            .map(String::as_str)
            .collect();
        if !listed.is_empty() && !unlisted.is_empty() {
            self.prompt.note(&format!(
                "The issuer does not list the scope {}; if its page refuses the sign-in, set \
                 OIDC_SCOPES to what it knows.\n",
                unlisted.join(" ")
            ));
        }
    }

    fn say_which(&self, tokens: &Tokens) {
        match tokens.bearer().1 {
            Which::Access => {}
            Which::Id => self.prompt.note(&format!(
                "This issuer's access tokens are opaque, so this is the ID token. The gateway \
                 accepts it with OIDC_AUD={} and OIDC_SCOPES empty.",
                self.options.client_id
            )),
            Which::Opaque => self.prompt.note(
                "This token is not a JWT, so a gateway cannot verify it. Auth0 issues one when \
                 OIDC_AUD names an API.",
            ),
        }
    }
}

/// What the person is shown. The texts are the issuer's, the terminal is ours.
fn code(started: &Started, endpoint: &str) -> Result<Code, Error> {
    let usable = |address: &str| is_safe(address) && !address.chars().any(char::is_control);
    if !usable(&started.verification_uri) {
        return Err(Error::InsecureEndpoint(shown(&started.verification_uri)));
    }
    if started.user_code.is_empty() || started.device_code.is_empty() {
        return Err(Error::Unusable { url: endpoint.to_owned(), status: 200 });
    }
    Ok(Code {
        address: started.verification_uri.clone(),
        user_code: shown(&started.user_code),
        complete: started.verification_uri_complete.clone().filter(|address| usable(address)),
    })
}

fn ended(end: End, description: String) -> Error {
    match end {
        End::Denied => Error::Denied,
        End::Expired => Error::Expired,
        End::Refused(code) => Error::Refused { code, description },
    }
}
