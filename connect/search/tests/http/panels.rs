//! Whole requests as Grafana's panels, annotations and variables make them, with every key that they carry.

use serde_json::{Value, json};

use crate::harness::{Server, T0, ids, with_source};

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
const LAST: i64 = T0 + 12 * 600_000;

/// The filter of every panel; with a query beside it, Grafana makes it one of a list.
fn time_filter() -> Value {
    json!({"range":{"@timestamp":{"format":"epoch_millis","gte":T0,"lte":LAST}}})
}

fn histogram(settings: &Value) -> Value {
    let mut histogram = json!({
        "field":"@timestamp","min_doc_count":0,"extended_bounds":{"min":T0,"max":LAST},"format":"epoch_millis"
    });
    histogram.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    json!({ "date_histogram": histogram })
}

/// A time series panel: one metric over time.
async fn over_time(server: &Server, interval: Value, metric: Value) -> Value {
    let mut aggregation = histogram(&interval);
    aggregation["aggs"] = json!({ "1": metric });
    server.msearch(json!({"size":0,"query":{"bool":{"filter":time_filter()}},"aggs":{"2":aggregation}})).await
}

fn values(answer: &Value) -> Vec<f64> {
    let buckets = answer["aggregations"]["2"]["buckets"].as_array().unwrap_or_else(|| panic!("{answer}"));
    buckets.iter().map(|bucket| bucket["1"]["value"].as_f64().unwrap()).collect()
}

#[tokio::test]
async fn logs_and_their_volume_come_in_one_answer() {
    let server = Server::with_logs().await;
    let answer = server
        .msearch(json!({
            "aggs":{"1":histogram(&json!({"fixed_interval":"3600000ms"}))},
            "docvalue_fields":["@timestamp"],
            "fields":[{"field":"@timestamp","format":"strict_date_optional_time_nanos"}],
            "highlight":{"fields":{"*":{}},"fragment_size":2_147_483_647,"post_tags":["@/HIGHLIGHT@"],"pre_tags":["@HIGHLIGHT@"]},
            "query":{"bool":{"filter":time_filter()}},
            "script_fields":{},
            "size":3,
            "sort":{"@timestamp":{"order":"desc","unmapped_type":"boolean"},"_doc":{"order":"desc"}},
        }))
        .await;
    assert_eq!(ids(&answer), ["t-0-11", "t-0-10", "t-0-9"]);
    assert_eq!(answer["hits"]["hits"][0]["fields"]["@timestamp"], json!(["2026-11-23T09:50:00.000Z"]));
    assert!(answer["hits"]["hits"][0].get("highlight").is_none(), "nothing was searched for: {answer}");
    let counts: Vec<_> =
        answer["aggregations"]["1"]["buckets"].as_array().unwrap().iter().map(|b| b["doc_count"].clone()).collect();
    assert_eq!(counts, [json!(6), json!(6), json!(0)]);
}

#[tokio::test]
async fn a_raw_document_panel_shows_the_source_beside_the_time() {
    let server = Server::with_logs().await;
    let answer = server
        .msearch(json!({
            "docvalue_fields":["@timestamp"],
            "query":{"bool":{"filter":[time_filter(),{"query_string":{"analyze_wildcard":true,"query":"kubernetes.pod:api-4"}}]}},
            "script_fields":{},
            "size":500,
            "sort":{"@timestamp":{"order":"desc","unmapped_type":"boolean"},"_doc":{"order":"desc"}},
        }))
        .await;
    assert_eq!(ids(&answer), ["t-0-4"]);
    let hit = &answer["hits"]["hits"][0];
    assert_eq!((&hit["_source"]["kubernetes"]["pod"], &hit["_index"]), (&json!("api-4"), &json!("logs-2026.11.23")));
    assert!(hit["fields"]["@timestamp"][0].is_string(), "{hit}");
}

#[tokio::test]
async fn panels_of_a_dashboard_are_answered_in_their_order() {
    let server = Server::with_logs().await;
    let header = json!({"ignore_unavailable":true,"index":"logs-2026.11.22,logs-2026.11.23"});
    let panel = |field: &str| {
        let terms = json!({"terms":{"field":field,"size":10,"order":{"_key":"desc"}},"aggs":{
            "2":{"date_histogram":{"field":"@timestamp","fixed_interval":"1h","min_doc_count":0,
                "extended_bounds":{"min":T0,"max":LAST},"format":"epoch_millis"},
                "aggs":{"1":{"max":{"field":"took"}},"3":{"min":{"field":"took"}}}}}});
        json!({"size":0,"query":{"bool":{"filter":time_filter()}},"aggs":{"4":terms}})
    };
    let body = format!("{header}\n{}\n{header}\n{}\n", panel("host"), panel("level"));
    let (status, _, answer) = server.post("/_msearch?max_concurrent_shard_requests=5", body.clone()).await;
    assert_eq!(status, 200);
    let keys = |index: usize| {
        let buckets = answer["responses"][index]["aggregations"]["4"]["buckets"].as_array().unwrap();
        buckets.iter().map(|bucket| bucket["key"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(
        (keys(0), keys(1)),
        (vec!["web-02".into(), "web-01".into()], vec!["warn".into(), "info".into(), "error".into()])
    );
    let first = &answer["responses"][0]["aggregations"]["4"]["buckets"][0]["2"]["buckets"][0];
    assert_eq!((&first["3"]["value"], &first["1"]["value"]), (&json!(10.5), &json!(50.5)));
    assert_eq!(answer["responses"][0]["hits"]["total"], json!({"value":12,"relation":"eq"}));
    // Clients from before Elasticsearch 7 know totals as numbers.
    let (_, _, answer) = server.post("/_msearch?rest_total_hits_as_int=true", body).await;
    assert_eq!(answer["responses"][1]["hits"]["total"], 12);
}

#[tokio::test]
async fn annotations_ask_for_times_in_either_of_two_fields() {
    let server = Server::with_logs().await;
    let between = |field: &str| json!({"range":{field:{"from":T0,"to":T0 + HOUR,"format":"epoch_millis"}}});
    let answer = server
        .msearch(json!({
            "query":{"bool":{"filter":[
                {"bool":{"should":[between("@timestamp"), between("seen")],"minimum_should_match":1}},
                {"query_string":{"query":"level:warn"}}
            ]}},
            "size":10_000,
        }))
        .await;
    let mut found = ids(&answer);
    found.sort();
    assert_eq!(found, ["t-0-1", "t-0-4"]);
}

#[tokio::test]
async fn variables_are_the_terms_of_a_field_in_order() {
    let server = Server::with_logs().await;
    let terms = json!({"1":{"terms":{"field":"host","size":500,"order":{"_key":"asc"}}}});
    let filter = json!([time_filter(), {"query_string":{"analyze_wildcard":true,"query":"level:error"}}]);
    let answer = server.msearch(json!({"size":0,"query":{"bool":{"filter":filter}},"aggs":terms})).await;
    let buckets = answer["aggregations"]["1"]["buckets"].as_array().unwrap();
    let keys: Vec<_> = buckets.iter().map(|bucket| bucket["key"].as_str().unwrap()).collect();
    assert_eq!(keys, ["web-01", "web-02"]);
}

#[tokio::test]
async fn a_rate_is_an_amount_per_unit_of_time() {
    let server = Server::with_logs().await;
    let hourly = || json!({"fixed_interval":"1h"});
    let sums = values(&over_time(&server, hourly(), json!({"sum":{"field":"took"}})).await);
    assert_eq!(sums, [153.0, 513.0, 0.0]);
    for (rate, expected) in [
        (json!({"field":"took","unit":"minute","mode":"sum"}), sums.iter().map(|sum| sum / 60.0).collect::<Vec<_>>()),
        (json!({"field":"took"}), sums.clone()),
        (json!({"field":"took","unit":"day"}), sums.iter().map(|sum| sum * 24.0).collect()),
        (json!({"field":"took","unit":"second","mode":"value_count"}), vec![6.0 / 3600.0, 6.0 / 3600.0, 0.0]),
        (json!({"unit":"hour"}), vec![6.0, 6.0, 0.0]),
    ] {
        let found = values(&over_time(&server, hourly(), json!({ "rate": rate })).await);
        assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-9), "{rate}: {found:?} {expected:?}");
        assert_eq!(found.len(), expected.len());
    }
}

#[tokio::test]
async fn a_rate_follows_the_true_length_of_days_and_months() {
    let at = |number: i64, time: &str| with_source(number, &json!({"@timestamp":time,"took":30.0}));
    // Berlin's clocks went back on 2026-10-25: that day had 25 hours.
    let documents = vec![at(0, "2026-10-24T12:00:00Z"), at(1, "2026-10-25T12:00:00Z"), at(2, "2026-10-26T12:00:00Z")];
    let server = Server::with_documents(vec![documents], None).await;
    let rates = async |histogram: Value, unit: &str| {
        let mut aggregation = json!({"date_histogram":histogram});
        aggregation["date_histogram"]["field"] = json!("@timestamp");
        aggregation["aggs"] = json!({"1":{"rate":{"field":"took","unit":unit}}});
        server.msearch(json!({"size":0,"aggs":{"2":aggregation}})).await
    };
    let daily = values(&rates(json!({"calendar_interval":"1d","time_zone":"Europe/Berlin"}), "hour").await);
    assert_eq!(daily, [30.0 / 24.0, 30.0 / 25.0, 30.0 / 24.0]);
    let monthly = json!({"calendar_interval":"1M"});
    assert_eq!(values(&rates(monthly.clone(), "year").await), [1080.0]);
    assert_eq!(values(&rates(monthly, "day").await), [90.0 / 31.0]);
    let refused = rates(json!({"fixed_interval":"30d"}), "month").await;
    assert!(refused["error"]["reason"].as_str().unwrap().contains("calendar interval"), "{refused}");
}

#[tokio::test]
async fn weeks_quarters_and_years_are_calendar_intervals() {
    let server = Server::with_logs().await;
    let count = json!({"value_count":{"field":"took"}});
    for interval in ["1w", "1M", "1q", "1y"] {
        let answer = over_time(&server, json!({"calendar_interval":interval}), count.clone()).await;
        assert_eq!(values(&answer), [12.0], "{interval}: {answer}");
        assert!(answer["aggregations"]["2"]["buckets"][0]["key"].as_i64().unwrap() <= T0 - 8 * HOUR);
    }
    let shifted =
        over_time(&server, json!({"fixed_interval":"1d","offset":"+6h","time_zone":"Europe/Berlin"}), count).await;
    assert_eq!(shifted["aggregations"]["2"]["buckets"][0]["key"], json!(T0 - 3 * HOUR), "{shifted}");
    assert_eq!((T0 - 8 * HOUR) % DAY, 0);
}

#[tokio::test]
async fn what_is_not_there_says_so_and_what_to_do() {
    let server = Server::with_logs().await;
    for (aggregation, part) in [
        (json!({"geohash_grid":{"field":"place","precision":3}}), "no geo points"),
        (json!({"nested":{"path":"kubernetes"},"aggs":{"1":{"terms":{"field":"kubernetes.pod"}}}}), "path.field"),
        (json!({"top_metrics":{"metrics":[{"field":"took"}],"size":"1","sort":[{"@timestamp":"desc"}]}}), "raw data"),
        (json!({"rate":{"field":"took","unit":"hour"}}), "below a date histogram"),
        (json!({"rate":{"field":"took","unit":"fortnight"}}), "fortnight"),
        (json!({"avg":{"field":"took","script":"_value * 2"}}), "scripts"),
    ] {
        let answer = server.msearch(json!({"size":0,"aggs":{"2":aggregation}})).await;
        let reason = answer["error"]["reason"].as_str().unwrap_or_default();
        assert!(reason.contains(part) && answer["status"] == 400, "{aggregation}: {answer}");
    }
}
