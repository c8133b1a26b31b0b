//! Gateways that many tests share.

use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::client::Answer;
use crate::engine::{Engine, Seen};
use crate::gateway::{Gateway, Plan};
use crate::issuer::Issuer;
use crate::wait::unique;

/// A gateway with its issuer and its engine.
pub(crate) struct Stage {
    pub(crate) issuer: Issuer,
    pub(crate) engine: Engine,
    pub(crate) gateway: Gateway,
}

/// The origin that [`plain`] allows to call from a browser.
pub(crate) const ORIGIN: &str = "http://app.test";

/// What [`tuned`] sends to its engine as a token.
pub(crate) const API_KEY: &str = "sk-engine-of-the-house";

/// The largest body that [`tuned`] rewrites.
pub(crate) const MAX_REWRITE: usize = 4096;

/// As few settings as can be.
pub(crate) async fn plain() -> &'static Stage {
    static STAGE: OnceCell<Stage> = OnceCell::const_new();
    STAGE.get_or_init(|| Stage::start(|plan| plan.set("ATTACH_CORS_ORIGINS", ORIGIN))).await
}

/// With a model, an API key and a base path of the engine, a low limit and plain session ids.
pub(crate) async fn tuned() -> &'static Stage {
    static STAGE: OnceCell<Stage> = OnceCell::const_new();
    STAGE
        .get_or_init(|| async {
            let (issuer, engine) = (Issuer::start().await, Engine::start().await);
            let plan = Plan::new(&issuer, &engine)
                .set("ENGINE_URL", format!("{}/base", engine.url()))
                .set("ENGINE_API_KEY", API_KEY)
                .set("ENGINE_MODEL", "house-model")
                .set("ATTACH_MAX_REWRITE_BODY", MAX_REWRITE)
                .set("ATTACH_SESSION", "sha256");
            let gateway = plan.start().await;
            Stage { issuer, engine, gateway }
        })
        .await
}

impl Stage {
    /// Starts one with settings of its own.
    pub(crate) async fn start(settings: impl FnOnce(Plan) -> Plan) -> Self {
        let (issuer, engine) = (Issuer::start().await, Engine::start().await);
        let gateway = settings(Plan::new(&issuer, &engine)).start().await;
        Self { issuer, engine, gateway }
    }

    /// A request of this user, with a case of its own.
    pub(crate) fn signed(
        &self,
        request: reqwest::RequestBuilder,
        user: &str,
    ) -> (String, reqwest::RequestBuilder) {
        let case = unique("case");
        let request = request.bearer_auth(self.issuer.token(user)).header("x-case", &case);
        (case, request)
    }

    /// Sends a chat, asserts that it was answered, and gives what the engine saw.
    pub(crate) async fn chat(&self, user: &str, prompt: &str) -> Seen {
        let (case, request) = self.signed(self.gateway.post("/api/chat"), user);
        let answer = Answer::to(request.json(&chat(prompt))).await;
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
        self.engine.request(&case).await
    }

    /// Asserts that ordinary requests are served and that no worker had to start its filter
    /// again.
    pub(crate) async fn assert_unharmed(&self) {
        for _ in 0..4 {
            self.chat("somebody", "still there?").await;
        }
        let metrics = self.gateway.metrics("/metrics").await;
        let reloads: Vec<&str> = metrics
            .lines()
            .filter(|line| line.starts_with("envoy_wasm_attach_vm_reload"))
            .collect();
        assert!(!reloads.is_empty(), "the metric is gone");
        assert!(reloads.iter().all(|line| line.ends_with(" 0")), "a filter trapped: {reloads:?}");
    }
}

/// An ordinary chat body.
pub(crate) fn chat(prompt: &str) -> Value {
    json!({"model": "tiny", "messages": [{"role": "user", "content": prompt}]})
}
