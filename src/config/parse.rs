//! JSON text to [`Config`], telling every fault at once.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{Config, Fault, Mode, Rule};

impl Config {
    /// Reads the plugin configuration.
    ///
    /// # Errors
    /// Every fault with the path of its key: text that is not a JSON object, unknown or missing
    /// keys, values of another shape, and values that contradict each other.
    pub fn parse(text: &[u8]) -> Result<Self, Vec<Fault>> {
        let keys = match serde_json::from_slice(text) {
            Ok(Value::Object(keys)) => keys,
            Ok(_) => return Err(vec![Fault::new("", "the configuration is not a JSON object")]),
            Err(error) => {
                let place = format!("line {}, column {}", error.line(), error.column());
                return Err(vec![Fault::new(
                    "",
                    format!("the configuration is not JSON: {place}"),
                )]);
            }
        };
        let mut reader = Reader { keys, faults: Vec::new() };
        let config = reader.config();
        let mut faults = reader.rest();
        match config {
            Some(config) if faults.is_empty() => {
                faults = config.faults();
                if faults.is_empty() { Ok(config) } else { Err(faults) }
            }
            _ => Err(faults),
        }
    }

    /// What its shape cannot say. Issuers and the session key are checked where they are used.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut fault = |path: String, message: &str| faults.push(Fault::new(path, message));
        if !is_web_address(&self.public_url) {
            fault("public_url".into(), "must be http:// or https://, without a trailing slash");
        }
        for (index, origin) in self.cors_origins.iter().enumerate() {
            if !is_web_address(origin) {
                let path = format!("cors_origins[{index}]");
                fault(path, "must be an origin such as https://app.example.com; * is refused");
            }
        }
        if self.max_rewrite_body == 0 {
            fault("max_rewrite_body".into(), "must be at least 1 byte");
        }
        for (name, value) in
            [("engine.cluster", &self.engine.cluster), ("engine.authority", &self.engine.authority)]
        {
            if value.is_empty() {
                fault(name.into(), "must not be empty");
            }
        }
        for (index, rule) in self.rules.iter().enumerate() {
            if !is_rule_path(rule) {
                let path = format!("rules[{index}].path");
                fault(path, "must start with / and have * only as a last part: /internal/*");
            }
        }
        if self.mode == Mode::Require && self.issuers.is_empty() {
            fault("issuers".into(), "at least one issuer is needed in mode require");
        }
        faults
    }
}

struct Reader {
    keys: Map<String, Value>,
    faults: Vec<Fault>,
}

impl Reader {
    fn config(&mut self) -> Option<Config> {
        // Every key is read before the first `?`, so that no fault hides another.
        let public_url = self.required("public_url");
        let client_id = self.optional("client_id");
        let mode = self.optional("mode");
        let issuers = self.list("issuers");
        let origins = self.optional("origins");
        let session = self.required("session");
        let engine = self.required("engine");
        let mirror = self.optional("mirror");
        let cors_origins = self.list("cors_origins");
        let max_rewrite_body = self.optional("max_rewrite_body");
        let rules = self.list("rules");
        Some(Config {
            public_url: public_url?,
            client_id: client_id?.unwrap_or_else(|| "attach-cli".to_owned()),
            mode: mode?.unwrap_or_default(),
            issuers: issuers?,
            origins: origins?.unwrap_or_default(),
            session: session?,
            engine: engine?,
            mirror: mirror?,
            cors_origins: cors_origins?,
            max_rewrite_body: max_rewrite_body?.unwrap_or(1 << 20),
            rules: rules?,
        })
    }

    fn required<T: DeserializeOwned>(&mut self, key: &str) -> Option<T> {
        match self.keys.remove(key) {
            Some(value) => self.read(key, value),
            None => {
                self.faults.push(Fault::new(key, "is required"));
                None
            }
        }
    }

    /// The outer `None` is a fault.
    fn optional<T: DeserializeOwned>(&mut self, key: &str) -> Option<Option<T>> {
        match self.keys.remove(key) {
            None | Some(Value::Null) => Some(None),
            Some(value) => self.read(key, value).map(Some),
        }
    }

    fn list<T: DeserializeOwned>(&mut self, key: &str) -> Option<Vec<T>> {
        match self.keys.remove(key) {
            None | Some(Value::Null) => Some(Vec::new()),
            Some(Value::Array(items)) => {
                let read: Vec<Option<T>> = items
                    .into_iter()
                    .enumerate()
                    .map(|(index, item)| self.read(&format!("{key}[{index}]"), item))
                    .collect();
                read.into_iter().collect()
            }
            Some(_) => {
                self.faults.push(Fault::new(key, "must be a list"));
                None
            }
        }
    }

    fn read<T: DeserializeOwned>(&mut self, path: &str, value: Value) -> Option<T> {
        serde_json::from_value(value)
            .map_err(|error| self.faults.push(Fault::new(path, shape(&error))))
            .ok()
    }

    fn rest(self) -> Vec<Fault> {
        let mut faults = self.faults;
        faults.extend(self.keys.keys().map(|key| Fault::new(key.as_str(), "unknown key")));
        faults
    }
}

/// serde's own words, without the value that it quotes: it may be a secret.
fn shape(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.strip_prefix("invalid type: ").and_then(|rest| rest.split_once("expected ")) {
        Some((_, expected)) => format!("expected {expected}"),
        None => text,
    }
}

fn is_web_address(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        !rest.is_empty()
            && !rest.ends_with('/')
            && rest.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\' | b'*'))
    })
}

fn is_rule_path(rule: &Rule) -> bool {
    let fixed = rule.path.strip_suffix("/*").unwrap_or(&rule.path);
    !fixed.contains('*') && (rule.path.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str = r#"{
        "public_url": "http://127.0.0.1:8080",
        "issuers": [{"issuer": "https://id", "audiences": ["a"]}],
        "session": "sha256",
        "engine": {"cluster": "e", "authority": "127.0.0.1:1"}
    }"#;

    #[test]
    fn the_least_configuration_gets_the_safe_defaults() {
        let config = Config::parse(LEAST.as_bytes()).unwrap();
        assert_eq!(config.mode, Mode::Require);
        assert_eq!(config.client_id, "attach-cli");
        assert_eq!(config.max_rewrite_body, 1 << 20);
        assert!(config.mirror.is_none());
        assert_eq!(config.issuers[0].algorithms.len(), 9);
    }

    #[test]
    fn what_is_serialized_is_read_back() {
        let config = Config::parse(LEAST.as_bytes()).unwrap();
        let text = serde_json::to_vec(&config).unwrap();
        assert_eq!(Config::parse(&text).unwrap(), config);
    }

    #[test]
    fn every_fault_is_told_at_once_with_its_path_and_no_secret() {
        let text = r#"{
            "public_url": "gw/",
            "mode": "open",
            "issuers": [{"issuer": "https://id"}, {"issuer": 1, "audiences": []}],
            "session": {"secret": 12345678},
            "engine": {"cluster": "e", "authority": "a", "api_kye": "s3cret"},
            "max_rewrite_body": -1,
            "enigne": {}
        }"#;
        let faults = Config::parse(text.as_bytes()).unwrap_err();
        let paths: Vec<&str> = faults.iter().map(|fault| fault.path.as_str()).collect();
        let expected =
            ["mode", "issuers[0]", "issuers[1]", "session", "engine", "max_rewrite_body", "enigne"];
        assert_eq!(paths, expected);
        let text: String = faults.iter().map(|fault| format!("{fault}\n")).collect();
        assert!(!text.contains("12345678") && !text.contains("s3cret"), "{text}");
    }

    #[test]
    fn contradictions_are_told_at_once() {
        let text = r#"{
            "public_url": "http://gw/", "session": "sha256",
            "engine": {"cluster": "", "authority": ""},
            "cors_origins": ["*"], "max_rewrite_body": 0,
            "rules": [{"path": "a*b"}, {"path": "/x/*/y"}, {"path": "/x/*"}]
        }"#;
        let faults = Config::parse(text.as_bytes()).unwrap_err();
        let paths: Vec<&str> = faults.iter().map(|fault| fault.path.as_str()).collect();
        let expected = [
            "public_url",
            "cors_origins[0]",
            "max_rewrite_body",
            "engine.cluster",
            "engine.authority",
            "rules[0].path",
            "rules[1].path",
            "issuers",
        ];
        assert_eq!(paths, expected);
    }

    #[test]
    fn what_is_not_an_object_is_one_fault() {
        for text in ["", "[]", "null", "{", "\u{feff}{}"] {
            assert_eq!(Config::parse(text.as_bytes()).unwrap_err().len(), 1, "{text:?}");
        }
    }
}
