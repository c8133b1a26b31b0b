//! GraphQL queries. Every text from outside is a JSON string, whose escapes GraphQL shares.

use reqwest::Method;
use serde_json::{Value, json};

use crate::clock::{Millis, rfc3339};
use crate::store::{Filter, StoreError};

use super::client::{Client, Failure};
use super::object::owner_key;
use super::schema::CLASS;

/// Newest first.
pub(super) const NEWEST: &str =
    r#"[{path: ["time"], order: desc}, {path: ["event_id"], order: desc}]"#;

const FIELDS: &str = "event_id time kind user issuer agent session sid trace_id method path model \
    status outcome prompt answer finish_reason input_tokens output_tokens first_byte_ms \
    first_token_ms duration_ms tokens_per_second request_bytes response_bytes truncated redactions";

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

fn condition(property: &str, operator: &str, kind: &str, value: &str) -> String {
    format!("{{path: [\"{property}\"], operator: {operator}, {kind}: {}}}", quoted(value))
}

/// The conditions of a filter.
pub(super) fn conditions(filter: &Filter) -> Vec<String> {
    let text = |name: &str, value: &Option<String>| {
        value.as_ref().map(|value| condition(name, "Equal", "valueText", value))
    };
    let time = |operator: &str, at: Option<Millis>| {
        at.map(|at| condition("time", operator, "valueDate", &rfc3339(at)))
    };
    [
        text("owner", &filter.owner.as_ref().map(owner_key)),
        text("session", &filter.session),
        text("sid", &filter.sid),
        time("GreaterThanEqual", filter.since),
        time("LessThan", filter.until),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// What comes after the event of this time and id, newest first.
pub(super) fn before(time: Millis, id: &str) -> String {
    let at = rfc3339(time);
    format!(
        "{{operator: Or, operands: [{}, {{operator: And, operands: [{}, {}]}}]}}",
        condition("time", "LessThan", "valueDate", &at),
        condition("time", "Equal", "valueDate", &at),
        condition("event_id", "LessThan", "valueText", id),
    )
}

/// The argument `where`, if there are conditions.
pub(super) fn wherever(conditions: &[String]) -> String {
    match conditions {
        [] => String::new(),
        [only] => format!("where: {only} "),
        all => format!("where: {{operator: And, operands: [{}]}} ", all.join(", ")),
    }
}

/// The argument `bm25`: every word must be there.
pub(super) fn bm25(words: &str) -> String {
    format!(
        "bm25: {{query: {}, properties: [\"prompt\", \"answer\"], searchOperator: {{operator: And}}}} ",
        quoted(words)
    )
}

fn tenant(name: Option<&str>) -> String {
    name.map(|name| format!("tenant: {} ", quoted(name))).unwrap_or_default()
}

/// A query for events.
pub(super) fn get(name: Option<&str>, arguments: &str, extra: &str) -> String {
    format!("{{Get {{{CLASS}({}{arguments}) {{{FIELDS} {extra}}}}}}}", tenant(name))
}

/// A query for sessions: events by session, counted.
pub(super) fn sessions(name: Option<&str>, conditions: &[String], limit: usize) -> String {
    format!(
        "{{Aggregate {{{CLASS}({}{}groupBy: [\"session\"] limit: {limit}) \
         {{groupedBy {{value}} meta {{count}} time {{minimum maximum}}}}}}}}",
        tenant(name),
        wherever(conditions),
    )
}

/// Runs a query; gives the list under `kind`. A tenant that was never made has nothing.
pub(super) async fn run(
    client: &Client,
    query: &str,
    kind: &str,
) -> Result<Vec<Value>, StoreError> {
    let body = json!({"query": query});
    let mut answer = client.call(Method::POST, "/v1/graphql", Some(&body)).await?;
    // Faults of a query come with 200.
    if let Some(errors) = answer.get("errors").and_then(Value::as_array)
        && !errors.is_empty()
    {
        let says = |error: &Value| error.get("message").and_then(Value::as_str).map(is_no_tenant);
        if errors.iter().filter_map(says).any(|no_tenant| no_tenant) {
            return Ok(Vec::new());
        }
        return Err(StoreError::Unavailable("Weaviate cannot answer the query".into()));
    }
    match answer.pointer_mut(&format!("/data/{kind}/{CLASS}")).map(Value::take) {
        Some(Value::Array(found)) => Ok(found),
        Some(Value::Null) => Ok(Vec::new()),
        _ => Err(Failure::Garbage.into()),
    }
}

/// Whether the server says that a tenant is not there.
pub(super) fn is_no_tenant(message: &str) -> bool {
    message.contains("tenant not found") || message.contains("tenant does not exist")
}

/// A filter as REST takes it.
pub(super) fn json_filter(filter: &Filter) -> Value {
    let equal = |name: &str, value: String| json!({"path": [name], "operator": "Equal", "valueText": value});
    let mut operands = Vec::new();
    if let Some(owner) = &filter.owner {
        operands.push(equal("owner", owner_key(owner)));
    }
    if let Some(session) = &filter.session {
        operands.push(equal("session", session.clone()));
    }
    json!({"operator": "And", "operands": operands})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_outside_leaves_its_string() {
        let odd = "\"}){x}\\ \n\u{1}\u{e9}";
        let filter = Filter { session: Some(odd.into()), ..Filter::default() };
        let shown = wherever(&conditions(&filter));
        let inside = r#""\"}){x}\\ \n\u0001é""#;
        assert_eq!(
            shown,
            format!("where: {{path: [\"session\"], operator: Equal, valueText: {inside}}} ")
        );
        assert!(bm25(odd).contains(inside));
    }
}
