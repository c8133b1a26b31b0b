//! Events as objects of the class, and back.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::clock::{self, rfc3339};
use crate::event::{Event, Owner};
use crate::store::Session;

use super::schema::CLASS;

/// Namespace of object ids: the UUIDv5 of `attach-gateway.memory-event` in the DNS namespace,
/// fixed for ever, because ids are what makes a retry harmless.
fn namespace() -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_DNS, b"attach-gateway.memory-event")
}

/// The id of an event's object.
pub(super) fn id(event: &Event) -> Uuid {
    Uuid::new_v5(&namespace(), event.id.as_bytes())
}

/// A digest of issuer and user, 64 hex characters; also the name of the owner's tenant.
pub(super) fn owner_key(owner: &Owner) -> String {
    let mut digest = Sha256::new();
    // The length keeps `a` + `bc` from being `ab` + `c`.
    digest.update(owner.issuer.len().to_string());
    digest.update([0]);
    digest.update(&owner.issuer);
    digest.update(&owner.user);
    digest.finalize().iter().fold(String::new(), |mut key, byte| {
        // Writing to a String cannot fail.
        let _ = write!(key, "{byte:02x}");
        key
    })
}

/// The object of an event. What is unknown is left out; objects are replaced as a whole, so
/// nothing of an older one stays.
pub(super) fn of(event: &Event, multi_tenancy: bool) -> Option<Value> {
    let Value::Object(mut properties) = serde_json::to_value(event).ok()? else { return None };
    properties.remove("id");
    properties.retain(|_, value| !value.is_null());
    let owner = owner_key(&event.owner());
    properties.insert("event_id".into(), event.id.to_string().into());
    properties.insert("time".into(), rfc3339(event.time).into());
    properties.insert("redactions".into(), serde_json::to_string(&event.redactions).ok()?.into());
    properties.insert("owner".into(), owner.clone().into());
    let mut object = json!({"class": CLASS, "id": id(event), "properties": properties});
    if multi_tenancy && let Some(map) = object.as_object_mut() {
        map.insert("tenant".into(), owner.into());
    }
    Some(object)
}

/// The event of what a query gives.
pub(super) fn event(object: &Value) -> Option<Event> {
    let mut properties: Map<String, Value> = object.as_object()?.clone();
    let id = properties.remove("event_id")?;
    properties.insert("id".into(), id);
    let redactions = properties.get("redactions").and_then(Value::as_str).unwrap_or("{}");
    let redactions = serde_json::from_str(redactions).ok()?;
    properties.insert("redactions".into(), redactions);
    serde_json::from_value(Value::Object(properties)).ok()
}

/// The session of a group of an aggregation.
pub(super) fn session(group: &Value) -> Option<Session> {
    let text = |path: &str| group.pointer(path).and_then(Value::as_str);
    Some(Session {
        id: text("/groupedBy/value").filter(|id| !id.is_empty())?.to_owned(),
        first: clock::parse_rfc3339(text("/time/minimum")?)?,
        last: clock::parse_rfc3339(text("/time/maximum")?)?,
        events: group.pointer("/meta/count")?.as_u64()?,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use crate::event::tests::chat;

    #[test]
    fn an_event_survives_the_way_there_and_back() {
        let mut event = chat("alice", "s", 1_767_323_045_678, "hi");
        event.redactions.insert("jwt".into(), 2);
        let object = of(&event, true).unwrap();
        assert_eq!(object["tenant"], object["properties"]["owner"]);
        assert_eq!(object["properties"].get("agent"), None);
        // As a query gives it: what was left out is null.
        let mut given = object["properties"].clone();
        given["agent"] = Value::Null;
        given["trace_id"] = Value::Null;
        assert_eq!(super::event(&given), Some(event));
    }

    #[test]
    fn ids_and_owners_are_fixed_for_ever() {
        let mut event = chat("alice", "s", 1, "hi");
        event.id = Uuid::nil();
        assert_eq!(id(&event).to_string(), "c4853c00-d6f5-576d-8a04-68e5019742e8");
        let key = |issuer: &str, user: &str| {
            owner_key(&Owner { issuer: issuer.into(), user: user.into() })
        };
        assert_ne!(key("a", "bc"), key("ab", "c"));
        assert_eq!(key("i", "u").len(), 64);
    }
}
