//! Is there an engine, what does it speak, and which model does it have?

use reqwest::{Client, Response, StatusCode};
use serde_json::Value;

/// How an engine is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// `/api/chat` and so on.
    Ollama,
    /// `/v1/chat/completions` and so on.
    OpenAi,
}

/// An engine that answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) dialect: Dialect,
    /// A model that can chat, if it has one.
    pub(super) model: Option<String>,
}

/// Asks the engine at `url` for its models; `None` if nobody answers.
pub(super) async fn probe(client: &Client, url: &str, key: Option<&str>) -> Option<Found> {
    let get = |path: &str| {
        let request = client.get(format!("{url}{path}"));
        match key {
            Some(key) => request.bearer_auth(key).send(),
            None => request.send(),
        }
    };
    let tags = get("/api/tags").await.ok()?;
    if let Some(list) = json(tags).await {
        return Some(Found {
            dialect: Dialect::Ollama,
            model: chat_model(&list, "models", "name"),
        });
    }
    let models = get("/v1/models").await.ok()?;
    match json(models).await {
        Some(list) => {
            Some(Found { dialect: Dialect::OpenAi, model: chat_model(&list, "data", "id") })
        }
        // It speaks HTTP, so it is for the user to know what it is.
        None => Some(Found { dialect: Dialect::Ollama, model: None }),
    }
}

async fn json(response: Response) -> Option<Value> {
    if response.status() != StatusCode::OK {
        return None;
    }
    response.json().await.ok()
}

/// The first model that is not made for embeddings.
fn chat_model(list: &Value, member: &str, name: &str) -> Option<String> {
    let models = list.get(member)?.as_array()?;
    let mut names = models.iter().filter_map(|model| {
        let family = model.pointer("/details/family").and_then(Value::as_str).unwrap_or_default();
        let name = model.get(name)?.as_str()?;
        (!family.contains("bert") && !name.contains("embed")).then(|| name.to_owned())
    });
    names.next()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use serde_json::json;

    use super::*;
    use crate::demo::engine::{Config, Engine};
    use crate::demo::testing;

    #[tokio::test]
    async fn an_engine_is_recognized() {
        let engine = Engine::start(Config::default()).await.unwrap();
        let found = probe(&testing::client(), &engine.url(), Some("key")).await.unwrap();
        assert_eq!(found.dialect, Dialect::Ollama);
        assert_eq!(found.model.as_deref(), Some("demo:latest"));
        engine.stop().await;
        assert_eq!(probe(&testing::client(), "http://127.0.0.1:1", None).await, None);
    }

    #[test]
    fn models_for_embeddings_are_passed_over() {
        let list = json!({"models": [
            {"name": "nomic-embed-text"},
            {"name": "minilm", "details": {"family": "bert"}},
            {"name": "tiny", "details": {"family": "llama"}},
        ]});
        assert_eq!(chat_model(&list, "models", "name").as_deref(), Some("tiny"));
        assert_eq!(chat_model(&json!({"models": []}), "models", "name"), None);
        assert_eq!(chat_model(&json!({"data": [{"id": "m"}]}), "data", "id").as_deref(), Some("m"));
    }
}
