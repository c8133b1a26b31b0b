//! What the demo prints: what runs where, and lines to paste into a shell.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::engine::MODEL;
use super::probe::Dialect;

/// The parts of a running demo, as people need to know them.
#[derive(Clone, Debug)]
pub(super) struct About {
    /// Where clients connect.
    pub(super) gateway: String,
    /// Where the metrics are.
    pub(super) metrics: String,
    /// The version of Envoy.
    pub(super) envoy: String,
    /// The engine's address.
    pub(super) engine: String,
    /// It is the one that the demo brings.
    pub(super) built_in: bool,
    pub(super) dialect: Dialect,
    pub(super) model: Option<String>,
    /// The issuer.
    pub(super) issuer: String,
    pub(super) data_dir: PathBuf,
    /// How to call this program in a shell.
    pub(super) program: String,
}

impl About {
    /// The route and body of a chat that asks `prompt`, which must need no escapes.
    pub(super) fn chat(&self, prompt: &str) -> (&'static str, String) {
        let model = Value::from(self.model.as_deref().unwrap_or(MODEL));
        let messages = format!(r#"[{{"role":"user","content":"{prompt}"}}]"#);
        match self.dialect {
            Dialect::Ollama => {
                ("/api/chat", format!(r#"{{"model":{model},"messages":{messages}}}"#))
            }
            Dialect::OpenAi => (
                "/v1/chat/completions",
                format!(r#"{{"model":{model},"stream":true,"messages":{messages}}}"#),
            ),
        }
    }

    /// What runs where.
    pub(super) fn parts(&self) -> String {
        let engine = match (self.built_in, &self.model) {
            (true, _) => "built in, answers by rote; set ENGINE_URL to use your own".to_owned(),
            (false, Some(model)) => format!("yours, model {model}"),
            (false, None) => "yours".to_owned(),
        };
        let data = self.data_dir.display();
        let lines = [
            (
                "gateway",
                self.gateway.as_str(),
                format!("Envoy {} with the Attach filter", self.envoy),
            ),
            ("engine", &self.engine, engine),
            ("issuer", &self.issuer, "believes any name; for this demo only".to_owned()),
            ("metrics", &self.metrics, "Prometheus".to_owned()),
            ("memory", &data.to_string(), "SQLite, removed at the end".to_owned()),
        ];
        let width = lines.iter().map(|(_, address, _)| address.len()).max().unwrap_or_default();
        let mut text = String::new();
        for (name, address, what) in lines {
            let _ = writeln!(text, "  {name:<8} {address:<width$}  {what}");
        }
        text
    }

    /// Lines for a shell, each of which works as it is.
    pub(super) fn commands(&self, token: &str) -> String {
        let Self { gateway, issuer, program, .. } = self;
        let auth = r#"-H "Authorization: Bearer $TOKEN""#;
        let (path, chat) = self.chat("Hello");
        let chat = quoted(&chat);
        let shorthand = match self.dialect {
            Dialect::Ollama => r#"{"prompt":"Hello"}"#,
            Dialect::OpenAi => r#"{"prompt":"Hello","stream":true}"#,
        };
        let models = match self.dialect {
            Dialect::Ollama => "/api/tags",
            Dialect::OpenAi => "/v1/models",
        };
        let mut commands = vec![
            ("a token of the demo issuer, valid for an hour", format!("TOKEN={token}")),
            ("without it: 401", format!("curl -i {gateway}{models}")),
            ("a chat, streamed", format!("curl -N {auth} -d {chat} {gateway}{path}")),
        ];
        if self.model.is_some() {
            let line = format!("curl -N {auth} -d '{shorthand}' {gateway}{path}");
            commands.push(("the same in short", line));
        }
        if self.dialect == Dialect::Ollama {
            let line = format!(r#"curl -N {auth} -d '{{"input":"Hello"}}' {gateway}/tasks/send"#);
            commands.push(("the same as a task", line));
        }
        commands.extend([
            ("find it again in memory", format!("curl {auth} '{gateway}/mem/search?q=Hello'")),
            (
                "sign in yourself, by the device flow",
                format!("TOKEN=$(OIDC_ISSUER={issuer} {program} login)"),
            ),
        ]);
        let lines = commands.iter().map(|(what, line)| format!("# {what}\n{line}\n"));
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// How a shell calls `program`: by its bare name if `PATH` leads to the same file.
pub(super) fn callable(program: &Path, path: Option<&std::ffi::OsStr>) -> String {
    let name = Path::new(program.file_name().unwrap_or_default());
    let first = path.and_then(|path| {
        std::env::split_paths(path).map(|dir| dir.join(name)).find(|file| file.is_file())
    });
    let real = |path: &Path| path.canonicalize().ok();
    match first {
        Some(found) if real(&found).is_some() && real(&found) == real(program) => {
            quoted(&name.display().to_string())
        }
        _ => quoted(&program.display().to_string()),
    }
}

/// One word of a POSIX shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%=".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::process::Command;

    use super::*;

    fn about(dialect: Dialect, model: Option<&str>) -> About {
        About {
            gateway: "http://127.0.0.1:8080".to_owned(),
            metrics: "http://127.0.0.1:9464/metrics".to_owned(),
            envoy: "1.40.0".to_owned(),
            engine: "http://127.0.0.1:11434".to_owned(),
            built_in: false,
            dialect,
            model: model.map(str::to_owned),
            issuer: "http://127.0.0.1:9000".to_owned(),
            data_dir: PathBuf::from("/tmp/attach-demo-0"),
            program: "attach-gateway".to_owned(),
        }
    }

    #[test]
    fn a_shell_takes_every_line_as_it_is() {
        // `curl` and the program become functions that print their arguments one a line.
        let prelude =
            "curl() { printf '<%s>\\n' \"$@\"; }\nattach-gateway() { echo \"$OIDC_ISSUER $1\"; }\n";
        let commands = about(Dialect::Ollama, Some("tiny:1b")).commands("a.b.c");
        let script = format!("set -eu\n{prelude}{commands}echo \"$TOKEN\"\n");
        let run = Command::new("bash").args(["-c", &script]).output().unwrap();
        let out = String::from_utf8(run.stdout).unwrap();
        assert!(run.status.success(), "{script}\n{}", String::from_utf8_lossy(&run.stderr));
        for expected in [
            "<-i>\n<http://127.0.0.1:8080/api/tags>\n",
            "<Authorization: Bearer a.b.c>\n",
            "<{\"model\":\"tiny:1b\",\"messages\":[{\"role\":\"user\",\"content\":\"Hello\"}]}>\n",
            "<{\"prompt\":\"Hello\"}>\n<http://127.0.0.1:8080/api/chat>\n",
            "<{\"input\":\"Hello\"}>\n<http://127.0.0.1:8080/tasks/send>\n",
            "<http://127.0.0.1:8080/mem/search?q=Hello>\n",
            "http://127.0.0.1:9000 login\n",
        ] {
            assert!(out.contains(expected), "{expected}\nnot in\n{out}");
        }
    }

    #[test]
    fn what_the_engine_cannot_do_is_not_offered() {
        let openai = about(Dialect::OpenAi, Some("m")).commands("t");
        assert!(openai.contains("/v1/chat/completions") && !openai.contains("/tasks/send"));
        let without = about(Dialect::Ollama, None).commands("t");
        assert!(!without.contains("prompt"));
    }

    #[test]
    fn the_program_is_called_by_its_name_only_where_that_is_it() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("attach gateway's");
        std::fs::write(&program, b"").unwrap();
        let path = Some(dir.path().as_os_str());
        assert_eq!(callable(&program, path), r"'attach gateway'\''s'");
        let full = program.display().to_string().replace('\'', r"'\''");
        assert_eq!(callable(&program, None), format!("'{full}'"));
        assert_eq!(quoted("/usr/bin/x"), "/usr/bin/x");
    }
}
