//! Documents and queries that nobody planned for: no answer may be a failure of the node.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use crate::harness::{Server, with_source};

/// The same fields with values of every type, in several segments.
async fn contradictory() -> Server {
    let mut deep = json!(1);
    for _ in 0..60 {
        deep = json!({ "d": deep });
    }
    let sources = [
        json!({"x":1,"message":"one","level":"a"}),
        json!({"x":"two","message":{"nested":"two"}}),
        json!({"x":{"y":3},"message":["three","drei"]}),
        json!({"x":[4,"four",null,{"y":"z"}],"level":7}),
        json!({"x":true,"level":null}),
        json!({"x":"2026-11-23T08:00:00Z","a.b":5}),
        json!({"x":1.5e300,"a":{"b":"six"}}),
        json!({"x":18_446_744_073_709_551_615_u64}),
        json!({"x":-9_223_372_036_854_775_808_i64,"":"empty key"," spaced key ":1,"k\"q":2}),
        json!({"x":"w".repeat(80_000),"long":"v ".repeat(50_000)}),
        json!({"deep":deep,"empty":[],"nothing":{}}),
        json!({"x":"","message":""}),
    ];
    let batches = sources.iter().enumerate().map(|(number, source)| vec![with_source(number as i64, source)]);
    Server::with_documents(batches.collect(), None).await
}

fn check(answer: &Value, asked: &Value) {
    let status = answer["status"].as_u64().unwrap_or_default();
    assert!(status == 200 || (400..500).contains(&status), "{asked}: {answer}");
}

#[tokio::test]
async fn fields_of_several_types_are_found_sorted_and_aggregated() {
    let server = contradictory().await;
    let total = async |query: &str| {
        let answer = server.msearch(json!({"size":0,"query":{"query_string":{"query":query}}})).await;
        answer["hits"]["total"]["value"].as_u64().unwrap()
    };
    assert_eq!(total("*").await, 12);
    assert_eq!(total("x:1").await, 1);
    assert_eq!(total("x:two").await, 1);
    assert_eq!(total("x:four").await, 1);
    assert_eq!(total("x.y:3").await, 1);
    assert_eq!(total("x:true").await, 1);
    assert_eq!(total("message:drei").await, 1);
    assert_eq!(total("message.nested:two").await, 1);
    assert_eq!(total("a.b:5").await, 1);
    assert_eq!(total("a.b:six").await, 1);
    assert_eq!(total("x:www*").await, 1);
    for field in
        ["x", "x.y", "level", "a.b", "deep", "empty", "nothing", "", " spaced key ", "nosuch", "_id", "message"]
    {
        for order in ["asc", "desc"] {
            let body = json!({"size":5,"sort":[{field:{"order":order}},{"_doc":{"order":order}}],"fields":["*"],"highlight":{}});
            let answer = server.msearch(body.clone()).await;
            check(&answer, &body);
            if let Some(last) = answer["hits"]["hits"].as_array().and_then(|hits| hits.last()) {
                let mut next = body.clone();
                next["search_after"] = last["sort"].clone();
                check(&server.msearch(next.clone()).await, &next);
            }
        }
        for kind in ["terms", "avg", "min", "max", "cardinality", "percentiles", "extended_stats", "value_count"] {
            let body = json!({"size":0,"aggs":{"1":{kind:{"field":field}}}});
            check(&server.msearch(body.clone()).await, &body);
        }
        for settings in
            [json!({"fixed_interval":"1d"}), json!({"calendar_interval":"month","time_zone":"Europe/Berlin"})]
        {
            let mut settings = settings;
            settings["field"] = json!(field);
            let body = json!({"size":0,"aggs":{"1":{"date_histogram":settings}}});
            check(&server.msearch(body.clone()).await, &body);
        }
    }
}

#[test]
fn no_query_string_makes_the_node_fail() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = runtime.block_on(contradictory());
    let part = prop_oneof![
        "(x|x\\.y|level|message|a\\.b|@timestamp|_id|_seq|_exists_|deep):",
        "(AND|OR|NOT|\\+|-|!|&&|\\|\\|) ",
        "(two|1|-5|1.5|true|\"a b\"~2|支付|w\\*|\\?o\\?|/t.o/|two~1|\\[1 TO 9\\}|\\{a TO \\*\\]|>=3|<now-1d|2026-11-23)\\^?2? ?",
        "[()]",
    ];
    let query = proptest::collection::vec(part, 1..6).prop_map(|parts| parts.concat());
    let mut runner = TestRunner::new(Config { cases: 100, failure_persistence: None, ..Config::default() });
    let result = runner.run(&query, |query| {
        let body = json!({"size":2,"query":{"query_string":{"query":query}},"highlight":{},"aggs":{"1":{"filters":{"filters":{"f":{"query_string":{"query":query}}}}}}});
        check(&runtime.block_on(server.msearch(body.clone())), &body);
        Ok(())
    });
    result.unwrap();
}
