//! The class `MemoryEvent`: made exactly, or checked and completed.

use reqwest::Method;
use serde_json::{Value, json};

use crate::store::StoreError;

use super::client::{Client, Failure};

/// The class.
pub(super) const CLASS: &str = "MemoryEvent";

/// How a property is indexed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    /// Only kept.
    Kept,
    /// Filtered by its whole value.
    Filtered,
    /// Compared and sorted.
    Compared,
    /// Searched by words.
    Searched,
}

use Use::{Compared, Filtered, Kept, Searched};

/// Properties: name, data type, index. `owner` is a digest of issuer and user, because equal
/// texts are not always equal to an index.
const PROPERTIES: &[(&str, &str, Use)] = &[
    ("event_id", "text", Compared),
    ("owner", "text", Filtered),
    ("time", "date", Compared),
    ("kind", "text", Filtered),
    ("user", "text", Filtered),
    ("issuer", "text", Filtered),
    ("agent", "text", Filtered),
    ("session", "text", Filtered),
    ("sid", "text", Filtered),
    ("trace_id", "text", Filtered),
    ("method", "text", Kept),
    ("path", "text", Filtered),
    ("model", "text", Filtered),
    ("status", "int", Filtered),
    ("outcome", "text", Filtered),
    ("prompt", "text", Searched),
    ("answer", "text", Searched),
    ("finish_reason", "text", Kept),
    ("input_tokens", "int", Kept),
    ("output_tokens", "int", Kept),
    ("first_byte_ms", "int", Kept),
    ("first_token_ms", "int", Kept),
    ("duration_ms", "int", Kept),
    ("tokens_per_second", "number", Kept),
    ("request_bytes", "int", Kept),
    ("response_bytes", "int", Kept),
    ("truncated", "boolean", Kept),
    ("redactions", "text", Kept),
];

fn property(name: &str, kind: &str, used: Use) -> Value {
    let mut property = json!({
        "name": name,
        "dataType": [kind],
        "indexFilterable": matches!(used, Filtered | Compared),
        "indexSearchable": used == Searched,
    });
    if let Some(map) = property.as_object_mut() {
        if kind == "text" {
            let tokens = if used == Searched { "word" } else { "field" };
            map.insert("tokenization".into(), tokens.into());
        } else if used == Compared {
            map.insert("indexRangeFilters".into(), true.into());
        }
    }
    property
}

fn class(multi_tenancy: bool) -> Value {
    let properties: Vec<Value> =
        PROPERTIES.iter().map(|(name, kind, used)| property(name, kind, *used)).collect();
    json!({
        "class": CLASS,
        "description": "An exchange through Attach Gateway",
        "vectorizer": "none",
        "invertedIndexConfig": {"stopwords": {"preset": "none"}},
        "multiTenancyConfig": {"enabled": multi_tenancy, "autoTenantCreation": multi_tenancy},
        "properties": properties,
    })
}

/// Makes the class, or checks that the one there is usable and adds what it lacks.
pub(super) async fn ensure(client: &Client, multi_tenancy: bool) -> Result<(), StoreError> {
    let path = format!("/v1/schema/{CLASS}");
    let known = match client.call(Method::GET, &path, None).await {
        Ok(known) => known,
        Err(Failure::Refused { status: 404, .. }) => {
            match client.call(Method::POST, "/v1/schema", Some(&class(multi_tenancy))).await {
                Ok(_) => return Ok(()),
                // Somebody else has just made it.
                Err(Failure::Refused { status: 422, reason })
                    if reason.contains("already exists") =>
                {
                    client.call(Method::GET, &path, None).await?
                }
                Err(failure) => return Err(failure.into()),
            }
        }
        Err(failure) => return Err(failure.into()),
    };
    let tenants = known.pointer("/multiTenancyConfig/enabled").and_then(Value::as_bool);
    if tenants.unwrap_or(false) != multi_tenancy {
        return Err(unusable("has another multi-tenancy than WEAVIATE_MULTI_TENANCY says"));
    }
    let there = known.get("properties").and_then(Value::as_array).ok_or(Failure::Garbage)?;
    let mut missing = Vec::new();
    for (name, kind, used) in PROPERTIES {
        let found = there.iter().find(|property| property.get("name") == Some(&json!(name)));
        match found.and_then(|property| property.pointer("/dataType/0")) {
            Some(found) if found == kind => {}
            Some(found) => {
                return Err(unusable(&format!(
                    "has a property {name} of type {found} where {kind} is needed"
                )));
            }
            None => missing.push(property(name, kind, *used)),
        }
    }
    for property in missing {
        let path = format!("/v1/schema/{CLASS}/properties");
        client.call(Method::POST, &path, Some(&property)).await?;
    }
    Ok(())
}

fn unusable(what: &str) -> StoreError {
    StoreError::Unavailable(format!(
        "Weaviate's class {CLASS} {what}: rename or remove the class, or change the setting"
    ))
}

/// Names of all tenants.
pub(super) async fn tenants(client: &Client) -> Result<Vec<String>, StoreError> {
    let path = format!("/v1/schema/{CLASS}/tenants");
    let answer = client.call(Method::GET, &path, None).await?;
    let all = answer.as_array().ok_or(Failure::Garbage)?;
    let name = |tenant: &Value| tenant.get("name").and_then(Value::as_str).map(str::to_owned);
    Ok(all.iter().filter_map(name).collect())
}
