//! What indexes and fields there are: `_field_caps`, `_mapping`, `_resolve/index`, `_cat/indices`.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use tantivy::schema::Type;

use super::App;
use super::answer::ErrorAnswer;
use crate::index::name::wildcard_matches;
use crate::index::schema::{MESSAGE, TIMESTAMP};
use crate::index::shard::{FieldTypes, Shard};
use crate::index::shards::size_bytes;
use crate::limits::FIELD_NAME_DEPTH_MAX;
use std::sync::Arc;

type Params = Query<HashMap<String, String>>;

pub(super) async fn caps(State(app): State<App>, params: Params) -> Result<Json<Value>, ErrorAnswer> {
    field_caps(app, "*".to_owned(), params).await
}

pub(super) async fn caps_of_index(
    State(app): State<App>,
    Path(index): Path<String>,
    params: Params,
) -> Result<Json<Value>, ErrorAnswer> {
    field_caps(app, index, params).await
}

async fn field_caps(app: App, index: String, params: Params) -> Result<Json<Value>, ErrorAnswer> {
    let wanted: Vec<String> = params.get("fields").map_or("*", String::as_str).split(',').map(str::to_owned).collect();
    blocking(move || {
        let shards = shards(&app, &index);
        let names: Vec<&str> = shards.iter().map(|shard| shard.name().as_str()).collect();
        let mut fields = Map::new();
        for (field, types) in field_types(&shards)? {
            if !wanted.iter().any(|pattern| wildcard_matches(pattern, &field)) {
                continue;
            }
            let caps = types.iter().map(|name| {
                let caps = json!({
                    "type": name,
                    "metadata_field": false,
                    "searchable": true,
                    "aggregatable": *name != "text",
                });
                ((*name).to_owned(), caps)
            });
            fields.insert(field, Value::Object(caps.collect()));
        }
        Ok(json!({ "indices": names, "fields": fields }))
    })
    .await
}

pub(super) async fn mapping(State(app): State<App>) -> Result<Json<Value>, ErrorAnswer> {
    mappings(app, "*".to_owned()).await
}

pub(super) async fn mapping_of_index(
    State(app): State<App>,
    Path(index): Path<String>,
) -> Result<Json<Value>, ErrorAnswer> {
    mappings(app, index).await
}

async fn mappings(app: App, index: String) -> Result<Json<Value>, ErrorAnswer> {
    blocking(move || {
        let mut mappings = Map::new();
        for shard in shards(&app, &index) {
            let mut properties = Map::new();
            for (field, types) in field_types(std::slice::from_ref(&shard))? {
                if let Some(name) = types.first() {
                    let path: Vec<&str> = field.splitn(FIELD_NAME_DEPTH_MAX, '.').collect();
                    insert_property(&mut properties, &path, name);
                }
            }
            mappings.insert(shard.name().to_string(), json!({ "mappings": { "properties": properties } }));
        }
        Ok(Value::Object(mappings))
    })
    .await
}

/// A path is both a value and an object in some documents: then it is shown as an object.
fn insert_property(properties: &mut Map<String, Value>, path: &[&str], type_name: &str) {
    let [name, rest @ ..] = path else { return };
    let entry = properties.entry((*name).to_owned()).or_insert_with(|| json!({}));
    if rest.is_empty() {
        if entry.get("properties").is_none() {
            *entry = json!({ "type": type_name });
        }
        return;
    }
    if entry.get("properties").is_none() {
        *entry = json!({ "properties": {} });
    }
    if let Some(properties) = entry["properties"].as_object_mut() {
        insert_property(properties, rest, type_name);
    }
}

pub(super) async fn resolve(State(app): State<App>, Path(index): Path<String>) -> Json<Value> {
    let shards = shards(&app, &index);
    let names: Vec<Value> =
        shards.iter().map(|shard| json!({ "name": shard.name().as_str(), "attributes": ["open"] })).collect();
    let mut aliases: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for shard in &shards {
        aliases.entry(shard.name().base()).or_default().push(shard.name().as_str());
    }
    let aliases: Vec<Value> =
        aliases.into_iter().map(|(name, indices)| json!({ "name": name, "indices": indices })).collect();
    Json(json!({ "indices": names, "aliases": aliases, "data_streams": [] }))
}

pub(super) async fn cat(State(app): State<App>, params: Params) -> Result<Response, ErrorAnswer> {
    cat_indices(app, "*".to_owned(), params).await
}

pub(super) async fn cat_index(
    State(app): State<App>,
    Path(index): Path<String>,
    params: Params,
) -> Result<Response, ErrorAnswer> {
    cat_indices(app, index, params).await
}

async fn cat_indices(app: App, index: String, params: Params) -> Result<Response, ErrorAnswer> {
    const COLUMNS: [&str; 6] = ["health", "status", "index", "docs.count", "docs.deleted", "store.size"];
    let Json(rows) = blocking(move || {
        let row = |shard: &Arc<Shard>| {
            let searcher = shard.searcher();
            let deleted: u64 =
                searcher.segment_readers().iter().map(|reader| u64::from(reader.num_deleted_docs())).sum();
            json!({
                "health": "green",
                "status": "open",
                "index": shard.name().as_str(),
                "docs.count": searcher.num_docs().to_string(),
                "docs.deleted": deleted.to_string(),
                "store.size": format!("{}b", size_bytes(shard.dir())),
            })
        };
        Ok(Value::from(shards(&app, &index).iter().map(row).collect::<Vec<_>>()))
    })
    .await?;
    if params.get("format").is_some_and(|format| format == "json") {
        return Ok(Json(rows).into_response());
    }
    let mut text = String::new();
    if params.contains_key("v") {
        text.push_str(&COLUMNS.join(" "));
        text.push('\n');
    }
    for row in rows.as_array().into_iter().flatten() {
        let cells: Vec<&str> = COLUMNS.iter().filter_map(|column| row[*column].as_str()).collect();
        text.push_str(&cells.join(" "));
        text.push('\n');
    }
    Ok(text.into_response())
}

fn shards(app: &App, index: &str) -> Vec<Arc<Shard>> {
    let expressions: Vec<String> = index.split(',').map(str::to_owned).collect();
    app.node.inner().shards.matching(&expressions)
}

/// Elasticsearch's type names of the fields of some shards, by field.
fn field_types(shards: &[Arc<Shard>]) -> Result<BTreeMap<String, BTreeSet<&'static str>>, ErrorAnswer> {
    let mut all: BTreeMap<String, BTreeSet<&'static str>> = BTreeMap::new();
    if shards.is_empty() {
        return Ok(all);
    }
    all.insert(TIMESTAMP.to_owned(), ["date"].into());
    all.insert(MESSAGE.to_owned(), ["text"].into());
    for shard in shards {
        let types: Arc<FieldTypes> = shard.field_types().map_err(|error| failed(&error))?;
        for (path, types) in types.iter() {
            all.entry(path.clone()).or_default().extend(types.iter().map(|of| type_name(*of)));
        }
    }
    Ok(all)
}

fn type_name(of: Type) -> &'static str {
    match of {
        Type::U64 | Type::I64 => "long",
        Type::F64 => "double",
        Type::Bool => "boolean",
        Type::Date => "date",
        Type::IpAddr => "ip",
        Type::Json => "object",
        Type::Str | Type::Facet | Type::Bytes | Type::Custom => "keyword",
    }
}

fn failed(error: &impl std::fmt::Display) -> ErrorAnswer {
    ErrorAnswer::new(StatusCode::INTERNAL_SERVER_ERROR, "exception", error.to_string())
}

async fn blocking(
    work: impl FnOnce() -> Result<Value, ErrorAnswer> + Send + 'static,
) -> Result<Json<Value>, ErrorAnswer> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map(Json),
        Err(error) => Err(failed(&error)),
    }
}
