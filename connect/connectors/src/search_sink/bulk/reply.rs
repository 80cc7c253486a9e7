//! The answer to a bulk request, item by item.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;
use weir_connect_api::ConnectError;

/// What became of one document.
#[derive(Debug)]
pub(super) enum Outcome {
    Done,
    /// It can be taken later.
    Retry(String),
    /// It can never be taken.
    Bad(ConnectError),
}

#[derive(Deserialize)]
struct Reply {
    items: Vec<HashMap<String, Item>>,
}

#[derive(Deserialize)]
struct Item {
    status: u16,
    error: Option<Value>,
}

/// One outcome per item, whatever the answer's own `errors` says.
pub(super) fn outcomes(body: &[u8]) -> Result<Vec<Outcome>, serde_json::Error> {
    let reply: Reply = serde_json::from_slice(body)?;
    Ok(reply.items.into_iter().map(|item| item.into_iter().next().map_or_else(no_action, outcome)).collect())
}

fn no_action() -> Outcome {
    Outcome::Retry("_bulk gave an empty answer for a document".to_owned())
}

fn outcome((action, item): (String, Item)) -> Outcome {
    let answered = format!("{action} answered {}", item.status);
    match (item.status, action.as_str()) {
        (200..=299, _) => Outcome::Done,
        // The same document is there already, or a newer one.
        (409, "create" | "index" | "delete") | (404, "delete") => Outcome::Done,
        (409 | 429 | 500.., _) => Outcome::Retry(format!("{answered}: {}", reason(item.error.as_ref()))),
        // A role or a block that somebody can lift: a document must not be lost over it.
        (401 | 403, _) => Outcome::Retry(format!("{answered}: {}", reason(item.error.as_ref()))),
        // Reasons quote the document.
        _ => Outcome::Bad(ConnectError::record(answered).quoting(reason(item.error.as_ref()))),
    }
}

/// An error's type and reason, down to the cause that says most.
fn reason(error: Option<&Value>) -> String {
    let Some(error) = error else { return "no reason given".to_owned() };
    let text = |value: &Value, field: &str| value.get(field).and_then(Value::as_str).map(str::to_owned);
    match (text(error, "type"), text(error, "reason")) {
        (Some(kind), Some(reason)) => match error.get("caused_by").and_then(|cause| text(cause, "reason")) {
            Some(cause) => format!("{kind}: {reason}: {cause}"),
            None => format!("{kind}: {reason}"),
        },
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_judged_by_its_own_status() {
        let body = br#"{"took":1,"errors":false,"items":[
            {"create":{"status":201}}, {"create":{"status":409}}, {"index":{"status":409}}, {"update":{"status":409}},
            {"delete":{"status":404}}, {"create":{"status":429}}, {"create":{"status":503}}, {"create":{"status":403}},
            {"create":{"status":404}}, {"create":{"status":400,"error":{"type":"document_parsing_exception",
              "reason":"failed to parse field [a]","caused_by":{"reason":"For input string: \"x\""}}}}]}"#;
        let kinds: Vec<&str> = outcomes(body)
            .unwrap()
            .iter()
            .map(|outcome| match outcome {
                Outcome::Done => "done",
                Outcome::Retry(_) => "retry",
                Outcome::Bad(_) => "bad",
            })
            .collect();
        let expected = ["done", "done", "done", "retry", "done", "retry", "retry", "retry", "bad", "bad"];
        assert_eq!(kinds, expected);
        let last = outcomes(body).unwrap().pop().unwrap();
        let Outcome::Bad(error) = last else { panic!("{last:?}") };
        let reason = "document_parsing_exception: failed to parse field [a]: For input string: \"x\"";
        assert_eq!((error.message.as_str(), error.quote.as_deref()), ("create answered 400", Some(reason)));
    }
}
