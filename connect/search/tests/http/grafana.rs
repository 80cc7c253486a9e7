//! What Grafana's Elasticsearch data source sends, over HTTP as it sends it, with the answers that its panels need.

use crate::harness::{Server, T0, ids};
use serde_json::{Value, json};

const HOUR: i64 = 3_600_000;
const LAST: i64 = T0 + 12 * 600_000;

fn time_range() -> Value {
    json!({"range":{"@timestamp":{"gte":T0,"lte":LAST,"format":"epoch_millis"}}})
}

fn query(text: &str) -> Value {
    json!({"bool":{"filter":[time_range(), {"query_string":{"analyze_wildcard":true,"query":text}}]}})
}

async fn aggs(server: &Server, text: &str, aggs: Value) -> Value {
    let answer = server.msearch(json!({"size":0,"query":query(text),"aggs":aggs})).await;
    answer["aggregations"].clone()
}

fn buckets(aggregation: &Value) -> Vec<(Value, u64)> {
    let buckets = aggregation["buckets"].as_array().unwrap();
    buckets.iter().map(|bucket| (bucket["key"].clone(), bucket["doc_count"].as_u64().unwrap())).collect()
}

#[tokio::test]
async fn the_data_source_is_accepted() {
    let server = Server::with_logs().await;
    let (status, headers, root) = server.get("/").await;
    assert_eq!((status, headers["x-elastic-product"].as_bytes()), (200, b"Elasticsearch".as_slice()));
    assert!(root["version"]["number"].as_str().unwrap().starts_with("8."), "{root}");
    assert_ne!(root["version"]["build_flavor"], "serverless");
    let (status, _, health) = server.get("/_cluster/health?wait_for_status=yellow").await;
    assert_eq!((status, &health["status"]), (200, &json!("green")));
}

#[tokio::test]
async fn errors_carry_the_product_header_too() {
    let server = Server::with_logs().await;
    let (status, headers, body) = server.get("/_no/such/thing").await;
    assert_eq!((status, headers.contains_key("x-elastic-product")), (400, true));
    assert!(body["error"]["reason"].as_str().unwrap().contains("/_no/such/thing"), "{body}");
}

#[tokio::test]
async fn fields_have_their_types() {
    let server = Server::with_logs().await;
    for path in ["/logs-*/_field_caps?fields=*", "/_field_caps?fields=*"] {
        let (_, _, caps) = server.get(path).await;
        let type_of = |field: &str| caps["fields"][field].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(type_of("@timestamp"), ["date"]);
        assert_eq!(type_of("message"), ["text"]);
        assert_eq!(type_of("level"), ["keyword"]);
        assert_eq!(type_of("status"), ["long"]);
        assert_eq!(type_of("took"), ["double"]);
        assert_eq!(type_of("kubernetes.pod"), ["keyword"]);
        assert_eq!(caps["fields"]["message"]["text"]["aggregatable"], false);
    }
    let (_, _, caps) = server.get("/logs-*/_field_caps?fields=@timestamp").await;
    assert_eq!(caps["fields"].as_object().unwrap().len(), 1);
    let (_, _, mapping) = server.get("/logs-2026.11.23/_mapping").await;
    let properties = &mapping["logs-2026.11.23"]["mappings"]["properties"];
    assert_eq!(properties["@timestamp"]["type"], "date");
    assert_eq!(properties["kubernetes"]["properties"]["pod"]["type"], "keyword");
}

#[tokio::test]
async fn indexes_are_listed() {
    let server = Server::with_logs().await;
    let (_, _, resolved) = server.get("/_resolve/index/logs*").await;
    assert_eq!(resolved["indices"][0]["name"], "logs-2026.11.23");
    assert_eq!(resolved["aliases"][0]["name"], "logs");
    let (_, _, cat) = server.get("/_cat/indices?format=json").await;
    assert_eq!((&cat[0]["index"], &cat[0]["docs.count"]), (&json!("logs-2026.11.23"), &json!("12")));
}

#[tokio::test]
async fn the_logs_query_answers_rows_with_sort_fields_and_marks() {
    let server = Server::with_logs().await;
    let answer = server
        .msearch(json!({
            "size": 500,
            "query": query("finished"),
            "sort": {"@timestamp":{"order":"desc","unmapped_type":"boolean"},"_doc":{"order":"desc"}},
            "script_fields": {},
            "docvalue_fields": ["@timestamp"],
            "fields": [{"field":"@timestamp","format":"strict_date_optional_time_nanos"}],
            "highlight": {"fields":{"*":{}},"pre_tags":["@HIGHLIGHT@"],"post_tags":["@/HIGHLIGHT@"],"fragment_size":2147483647},
        }))
        .await;
    assert_eq!(answer["status"], 200);
    assert_eq!(answer["hits"]["total"], json!({"value":10,"relation":"eq"}));
    let first = &answer["hits"]["hits"][0];
    assert_eq!((&first["_id"], &first["_index"]), (&json!("t-0-9"), &json!("logs-2026.11.23")));
    assert_eq!(first["sort"], json!([T0 + 9 * 600_000, 9 * 1024]));
    assert_eq!(first["fields"]["@timestamp"][0], "2026-11-23T09:30:00.000Z");
    assert_eq!(first["_source"]["message"], "request 9 finished");
    assert_eq!(first["highlight"]["message"][0], "request 9 @HIGHLIGHT@finished@/HIGHLIGHT@");
    let times: Vec<i64> = rows(&answer).iter().map(|hit| hit["sort"][0].as_i64().unwrap()).collect();
    assert!(times.is_sorted_by(|a, b| a > b), "{times:?}");
}

fn rows(answer: &Value) -> &Vec<Value> {
    answer["hits"]["hits"].as_array().unwrap()
}

#[tokio::test]
async fn context_goes_both_ways_from_a_rows_sort() {
    let server = Server::with_logs().await;
    let page = async |order: &str, after: Value| {
        let sort = json!({"@timestamp":{"order":order},"_doc":{"order":order}});
        let body = json!({"size":3,"query":{"bool":{"filter":time_range()}},"sort":sort,"search_after":after});
        ids(&server.msearch(body).await)
    };
    let row = json!([T0 + 5 * 600_000, 5 * 1024]);
    assert_eq!(page("desc", row.clone()).await, ["t-0-4", "t-0-3", "t-0-2"]);
    assert_eq!(page("asc", row).await, ["t-0-6", "t-0-7", "t-0-8"]);
    // Only the time, as after a reload: rows of that very millisecond are left out.
    assert_eq!(page("asc", json!([T0 + 5 * 600_000])).await, ["t-0-6", "t-0-7", "t-0-8"]);
}

#[tokio::test]
async fn the_volume_histogram_counts_levels_over_time() {
    let server = Server::with_logs().await;
    let histogram = json!({
        "field":"@timestamp","fixed_interval":"1h","min_doc_count":0,
        "extended_bounds":{"min":T0 - HOUR,"max":LAST},"format":"epoch_millis"
    });
    let request = json!({"1":{
        "terms":{"field":"level","size":500,"order":{"_count":"desc"},"min_doc_count":0,"missing":"unknown"},
        "aggs":{"2":{"date_histogram":histogram}}
    }});
    let result = aggs(&server, "*", request).await;
    assert_eq!(buckets(&result["1"]).len(), 4, "{result}");
    let error = result["1"]["buckets"].as_array().unwrap().iter().find(|bucket| bucket["key"] == "error").unwrap();
    let over_time = buckets(&error["2"]);
    assert_eq!(over_time, [(json!(T0 - HOUR), 0), (json!(T0), 2), (json!(T0 + HOUR), 2), (json!(T0 + 2 * HOUR), 0)]);
    assert_eq!(error["2"]["buckets"][1]["key_as_string"], T0.to_string());
    let missing = result["1"]["buckets"].as_array().unwrap().iter().find(|bucket| bucket["key"] == "unknown").unwrap();
    assert_eq!(missing["doc_count"], 1);
}

#[tokio::test]
async fn metrics_are_computed_in_nested_buckets() {
    let server = Server::with_logs().await;
    let request = json!({"3":{
        "terms":{"field":"host.keyword","size":"10","order":{"_key":"asc"},"min_doc_count":1},
        "aggs":{"2":{
            "date_histogram":{"field":"@timestamp","fixed_interval":"1h","min_doc_count":1},
            "aggs":{
                "1":{"avg":{"field":"took"}},"4":{"sum":{"field":"took"}},"5":{"min":{"field":"took"}},
                "6":{"max":{"field":"took"}},"7":{"cardinality":{"field":"level"}},
                "8":{"extended_stats":{"field":"took","sigma":"2"}},
                "9":{"percentiles":{"field":"took","percents":["50","95"]}},
                "10":{"value_count":{"field":"took"}}
            }
        }}
    }});
    let result = aggs(&server, "*", request).await;
    assert_eq!(buckets(&result["3"]), [(json!("web-01"), 6), (json!("web-02"), 6)]);
    let bucket = &result["3"]["buckets"][0]["2"]["buckets"][0];
    assert_eq!((&bucket["key"], &bucket["doc_count"]), (&json!(T0), &json!(3)));
    // web-01 has the even numbers: 0.5, 20.5, 40.5.
    assert_eq!((&bucket["1"]["value"], &bucket["4"]["value"]), (&json!(20.5), &json!(61.5)));
    assert_eq!((&bucket["5"]["value"], &bucket["6"]["value"]), (&json!(0.5), &json!(40.5)));
    assert_eq!(bucket["7"]["value"].as_f64().unwrap(), 2.0);
    assert_eq!((&bucket["8"]["count"], bucket["8"]["std_deviation"].as_f64().unwrap().round()), (&json!(3), 16.0));
    assert!(bucket["8"]["std_deviation_bounds"]["upper"].as_f64().unwrap() > 50.0, "{bucket}");
    let median = bucket["9"]["values"]["50.0"].as_f64().unwrap();
    assert!((20.0..21.0).contains(&median), "{bucket}");
    assert!(bucket["9"]["values"]["95.0"].is_f64(), "{bucket}");
    assert_eq!(bucket["10"]["value"].as_f64().unwrap(), 3.0);
}

#[tokio::test]
async fn terms_can_be_ordered_by_any_metric() {
    let server = Server::with_logs().await;
    let ordered = async |order: Value| {
        let request = json!({"2":{
            "terms":{"field":"level","size":2,"order":order},
            "aggs":{"1":{"avg":{"field":"took"}},"3":{"percentiles":{"field":"took","percents":["95"]}},"4":{"extended_stats":{"field":"took"}}}
        }});
        let result = aggs(&server, "*", request).await;
        buckets(&result["2"]).into_iter().map(|(key, _)| key.as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(ordered(json!({"1":"desc"})).await, ["error", "info"]);
    assert_eq!(ordered(json!({"3[95.0]":"desc"})).await, ["error", "warn"]);
    assert_eq!(ordered(json!({"4[min]":"asc"})).await, ["warn", "error"]);
    assert_eq!(ordered(json!({"_term":"desc"})).await, ["warn", "info"]);
}

#[tokio::test]
async fn filters_make_named_buckets_with_metrics_below() {
    let server = Server::with_logs().await;
    let request = json!({"2":{
        "filters":{"filters":{
            "slow":{"query_string":{"query":"took:>=60","analyze_wildcard":true}},
            "not info":{"query_string":{"query":"-level:\"info\"","analyze_wildcard":true}}
        }},
        "aggs":{"3":{"date_histogram":{"field":"@timestamp","fixed_interval":"1h","min_doc_count":0},"aggs":{"1":{"max":{"field":"took"}}}}}
    }});
    let result = aggs(&server, "*", request).await;
    assert_eq!(result["2"]["buckets"]["slow"]["doc_count"], 6);
    assert_eq!(result["2"]["buckets"]["not info"]["doc_count"], 9);
    assert_eq!(result["2"]["buckets"]["slow"]["3"]["buckets"][0]["1"]["value"], 110.5);
}

#[tokio::test]
async fn histograms_of_numbers() {
    let server = Server::with_logs().await;
    let request = json!({"2":{"histogram":{"field":"status","interval":"100","min_doc_count":1}}});
    let result = aggs(&server, "*", request).await;
    assert_eq!(buckets(&result["2"]), [(json!(200.0), 4), (json!(400.0), 4), (json!(500.0), 4)]);
}

#[tokio::test]
async fn pipelines_run_over_the_buckets_of_a_histogram() {
    let server = Server::with_logs().await;
    let request = json!({"2":{
        "date_histogram":{"field":"@timestamp","fixed_interval":"30m","min_doc_count":0},
        "aggs":{
            "1":{"sum":{"field":"took"}},
            "3":{"derivative":{"buckets_path":"1"}},
            "4":{"moving_avg":{"buckets_path":"_count","window":2,"model":"simple","predict":0}},
            "5":{"cumulative_sum":{"buckets_path":"1"}},
            "6":{"serial_diff":{"buckets_path":"1","lag":"2"}},
            "7":{"bucket_script":{"buckets_path":{"sum":"1","count":"_count"},"script":"params.sum / params.count"}},
            "8":{"moving_fn":{"buckets_path":"1","window":"3","script":"MovingFunctions.max(values)"}}
        }
    }});
    let result = aggs(&server, "*", request).await;
    let buckets = result["2"]["buckets"].as_array().unwrap();
    let values = |name: &str| buckets.iter().map(|bucket| bucket[name]["value"].as_f64()).collect::<Vec<_>>();
    assert_eq!(values("1"), [Some(31.5), Some(121.5), Some(211.5), Some(301.5)]);
    assert_eq!(values("3"), [None, Some(90.0), Some(90.0), Some(90.0)]);
    assert_eq!(values("4"), [None, Some(3.0), Some(3.0), Some(3.0)]);
    assert_eq!(values("5"), [Some(31.5), Some(153.0), Some(364.5), Some(666.0)]);
    assert_eq!(values("6"), [None, None, Some(180.0), Some(180.0)]);
    assert_eq!(values("7"), [Some(10.5), Some(40.5), Some(70.5), Some(100.5)]);
    assert_eq!(values("8"), [None, Some(31.5), Some(121.5), Some(211.5)]);
}

#[tokio::test]
async fn days_and_months_follow_the_zone() {
    let server = Server::with_logs().await;
    let histogram = async |settings: Value| {
        let mut settings = settings;
        settings["field"] = json!("@timestamp");
        let result =
            aggs(&server, "*", json!({"2":{"date_histogram":settings,"aggs":{"1":{"max":{"field":"took"}}}}})).await;
        result["2"]["buckets"].clone()
    };
    // 08:00 UTC is 17:00 in Tokyo, whose day began at 15:00 UTC the day before.
    let day = histogram(json!({"calendar_interval":"1d","time_zone":"Asia/Tokyo"})).await;
    assert_eq!(
        (&day[0]["key"], &day[0]["key_as_string"]),
        (&json!(T0 - 17 * HOUR), &json!("2026-11-23T00:00:00.000+09:00"))
    );
    assert_eq!((&day[0]["doc_count"], &day[0]["1"]["value"]), (&json!(12), &json!(110.5)));
    let month = histogram(json!({"calendar_interval":"month","time_zone":"Europe/Berlin","format":"yyyy-MM-dd"})).await;
    assert_eq!((month.as_array().unwrap().len(), &month[0]["key_as_string"]), (1, &json!("2026-11-01")));
    let bounds = json!({"min":"2026-10-15T00:00:00Z","max":LAST});
    let months = histogram(json!({"calendar_interval":"1M","min_doc_count":0,"extended_bounds":bounds})).await;
    let counts: Vec<_> =
        months.as_array().unwrap().iter().map(|bucket| bucket["doc_count"].as_u64().unwrap()).collect();
    assert_eq!(counts, [0, 12]);
    let fixed = histogram(json!({"fixed_interval":"12h","time_zone":"+05:30","min_doc_count":1})).await;
    assert_eq!(fixed[0]["key_as_string"], "2026-11-23T12:00:00.000+05:30");
}

#[tokio::test]
async fn queries_find_what_people_type() {
    let server = Server::with_logs().await;
    for (text, expected) in [
        ("level:error", 4),
        ("-level:\"info\"", 9),
        ("NOT level:info AND NOT level:error", 5),
        ("status:>=500", 4),
        ("status:[400 TO 503}", 4),
        ("status:503 AND host:web-01", 2),
        ("host:web*", 12),
        ("host:/web-0[2-9]/", 6),
        ("kubernetes.pod:\"api-7\"", 1),
        ("message:\"disk full\"", 1),
        ("\"full disk\"~3", 1),
        ("dsik~2", 1),
        ("支付", 1),
        ("message:支付失败", 1),
        ("支失", 0),
        ("_exists_:level", 11),
        ("NOT _exists_:level", 1),
        ("error", 4),
        ("web-02 AND finished", 5),
        ("level:(warn OR error) -status:404", 4),
        ("took:20.5", 1),
        ("ok:true", 6),
        ("seen:[2026-11-23T08:00:00Z TO 2026-11-23T08:30:00Z]", 4),
        ("nosuchfield:1", 0),
        ("", 12),
    ] {
        let answer = server.msearch(json!({"size":0,"query":query(text)})).await;
        assert_eq!(answer["hits"]["total"]["value"], json!(expected), "{text}: {answer}");
    }
}

#[tokio::test]
async fn a_wrong_query_is_an_error_of_its_own_and_says_where() {
    let server = Server::with_logs().await;
    let header = json!({"index":"logs-*","ignore_unavailable":true});
    let good = json!({"size":0,"query":query("*")});
    let bad = json!({"size":0,"query":query("level:(error")});
    let body = format!("{header}\n{bad}\n{header}\n{good}\n");
    let (status, _, answer) = server.post("/_msearch?max_concurrent_shard_requests=5", body).await;
    assert_eq!(status, 200);
    let error = &answer["responses"][0];
    assert_eq!((&error["status"], &error["error"]["type"]), (&json!(400), &json!("query_shard_exception")));
    assert!(error["error"]["reason"].as_str().unwrap().contains("position 12"), "{error}");
    assert!(error["error"]["root_cause"][0]["reason"].is_string());
    assert_eq!(answer["responses"][1]["hits"]["total"]["value"], 12);
}

#[tokio::test]
async fn indexes_that_do_not_exist_are_skipped() {
    let server = Server::with_logs().await;
    for (index, total) in [
        (json!("logs-2026.11.23,logs-2026.11.24"), 12),
        (json!(["logs-2026.11.22", "logs-2026.11.23"]), 12),
        (json!("logs"), 12),
        (json!("nothing-*"), 0),
        (json!("logs-*,-logs-2026.11.23"), 0),
    ] {
        let body =
            format!("{}\n{}\n", json!({"index":index}), json!({"size":1,"aggs":{"1":{"terms":{"field":"level"}}}}));
        let (_, _, answer) = server.post("/_msearch", body).await;
        let answer = &answer["responses"][0];
        assert_eq!(answer["hits"]["total"]["value"], json!(total), "{index}: {answer}");
        assert!(answer["aggregations"]["1"]["buckets"].is_array(), "{index}: {answer}");
    }
}

#[tokio::test]
async fn raw_data_and_single_documents() {
    let server = Server::with_logs().await;
    let (_, _, answer) = server
        .post("/logs/_search", json!({"size":2,"sort":[{"took":"desc"}],"_source":["took","level"]}).to_string())
        .await;
    assert_eq!(answer["hits"]["hits"][0]["_source"], json!({"took":110.5,"level":"error"}));
    assert_eq!(answer["hits"]["hits"][0]["sort"], json!([110.5]));
    let (_, _, answer) = server.post("/logs/_search", json!({"query":{"ids":{"values":["t-0-3"]}}}).to_string()).await;
    assert_eq!(ids(&answer), ["t-0-3"]);
    let (_, _, answer) = server.post("/logs/_count", json!({"query":{"term":{"level":"error"}}}).to_string()).await;
    assert_eq!(answer["count"], 4);
    let (_, _, answer) = server.get("/logs/_search?q=level:warn&size=1").await;
    assert_eq!((&answer["hits"]["total"]["value"], answer["hits"]["hits"].as_array().unwrap().len()), (&json!(4), 1));
}

#[tokio::test]
async fn limits_are_errors_and_the_node_goes_on() {
    let server = Server::with_logs().await;
    for body in [
        json!({"size":10_001}),
        json!({"from":9_999,"size":2}),
        json!({"size":0,"aggs":{"2":{"date_histogram":{"field":"@timestamp","fixed_interval":"1ms","min_doc_count":0}}}}),
        json!({"size":0,"aggs":{"2":{"date_histogram":{"field":"@timestamp","fixed_interval":"1s","extended_bounds":{"min":0,"max":T0}}}}}),
        json!({"size":0,"aggs":{"2":{"terms":{"field":"message"}}}}),
        json!({"size":0,"aggs":{"2":{"magic":{}}}}),
        json!({"query":{"query_string":{"query":"(".repeat(100)}}}),
    ] {
        let answer = server.msearch(body.clone()).await;
        assert!(answer["error"]["reason"].is_string() && answer["status"].as_u64().unwrap() >= 400, "{body}: {answer}");
    }
    assert_eq!(server.msearch(json!({})).await["hits"]["total"]["value"], 12);
}
