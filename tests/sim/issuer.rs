//! An issuer of tokens: signs them, and serves discovery and key set as a peer of the proxy.

use std::cell::RefCell;
use std::rc::Rc;

use serde_json::{Map, Value, json};

use crate::host::{Answer, Call, Proxy};
use crate::signing::SigningKey;

/// An issuer with its keys. Clones share them.
#[derive(Clone)]
pub struct Issuer {
    /// `iss`: an origin.
    pub url: String,
    /// Its Envoy cluster.
    pub cluster: String,
    keys: Rc<RefCell<Vec<SigningKey>>>,
}

impl Issuer {
    /// An issuer with one P-256 key, `k1`.
    pub fn new(url: &str, cluster: &str) -> Self {
        let keys = Rc::new(RefCell::new(vec![SigningKey::p256("k1")]));
        Self { url: url.to_owned(), cluster: cluster.to_owned(), keys }
    }

    /// Replaces its keys.
    pub fn set_keys(&self, keys: Vec<SigningKey>) {
        *self.keys.borrow_mut() = keys;
    }

    /// Its first key.
    pub fn key(&self) -> SigningKey {
        self.keys.borrow()[0].clone()
    }

    /// The key set.
    pub fn jwks(&self) -> Value {
        json!({"keys": self.keys.borrow().iter().map(SigningKey::jwk).collect::<Vec<_>>()})
    }

    /// What it answers to a fetch.
    pub fn answer(&self, call: &Call) -> Answer {
        match call.path().as_str() {
            "/.well-known/openid-configuration" => {
                let jwks_uri = format!("{}/jwks", self.url);
                Answer::json(json!({"issuer": self.url, "jwks_uri": jwks_uri}).to_string())
            }
            "/jwks" => Answer::json(self.jwks().to_string()),
            _ => Answer::status(404),
        }
    }

    /// Answers the proxy's fetches from now on.
    pub fn serve(&self, proxy: &Proxy) {
        let issuer = self.clone();
        proxy.serve(&self.cluster, move |call| issuer.answer(call));
    }

    /// Key sets that the proxy has asked for so far.
    pub fn fetches(&self, proxy: &Proxy) -> usize {
        proxy.history(&self.cluster).iter().filter(|call| call.path() == "/jwks").count()
    }

    /// A token that is good now.
    pub fn token(&self, proxy: &Proxy) -> Token {
        let now = proxy.unix_seconds();
        let claims = json!({
            "iss": self.url,
            "sub": "alice",
            "aud": "attach",
            "iat": now,
            "exp": now + 3_600,
            "scope": "chat:run",
        });
        let key = self.key();
        let header = json!({"alg": key.algorithm(), "typ": "JWT", "kid": key.kid});
        let object = |value: Value| value.as_object().expect("an object").clone();
        Token { header: object(header), claims: object(claims), key }
    }
}

/// A token that is being made.
#[derive(Clone)]
#[must_use]
pub struct Token {
    header: Map<String, Value>,
    claims: Map<String, Value>,
    key: SigningKey,
}

impl Token {
    /// Sets a claim.
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims.insert(name.to_owned(), value.into());
        self
    }

    /// Takes a claim away.
    pub fn without(mut self, name: &str) -> Self {
        self.claims.remove(name);
        self
    }

    /// Sets a header parameter.
    pub fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.header.insert(name.to_owned(), value.into());
        self
    }

    /// Signs with another key than the header names.
    pub fn signed_by(mut self, key: &SigningKey) -> Self {
        self.key = key.clone();
        self
    }

    /// Names and uses another key.
    pub fn key(self, key: &SigningKey) -> Self {
        let kid = key.kid.clone();
        self.header("alg", key.algorithm()).header("kid", kid).signed_by(key)
    }

    /// The compact token.
    pub fn sign(self) -> String {
        self.key.sign(&Value::Object(self.header), &Value::Object(self.claims))
    }
}
