use proptest::prelude::*;
use serde_json::json;

use super::*;

fn holds(text: &str) -> bool {
    let value = json!({
        "status": 200, "size": "1500", "path": "/healthz", "user": {"role": "admin"}, "tags": ["a", "b"],
        "ok": true, "nothing": null, "other": 200, "took": 0.25,
    });
    Expression::parse(text).unwrap_or_else(|e| panic!("{text}: {e}")).is_true(&value)
}

#[test]
fn conditions_that_hold() {
    for text in [
        r#"status == 200 && path == "/healthz""#,
        "status == other",
        "size > 900",
        "took < 1 and took >= .25e0 or ok",
        "!(status != 200)",
        "user.role in ['admin', 'root']",
        "status in [200, 204]",
        r#"path contains "health" and tags contains 'b'"#,
        r"path matches /^\/h.*z$/",
        "exists nothing && !exists missing",
        "missing == null && nothing == null",
        "ok",
        "not missing > 1",
    ] {
        assert!(holds(text), "{text}");
    }
}

#[test]
fn conditions_that_do_not_hold() {
    for text in
        ["status == 404", "missing > 1", "missing == 'x'", "path > 5", "tags contains 'c'", "status", "ok && missing"]
    {
        assert!(!holds(text), "{text}");
    }
}

#[test]
fn and_binds_closer_than_or() {
    assert!(holds("ok || missing && missing"));
    assert!(!holds("(ok || missing) && missing"));
}

#[test]
fn errors_name_the_place() {
    for (text, position) in [
        ("status = 200", 8),
        ("status == 200 &&", 17),
        ("a == 1 b == 2", 8),
        ("(a == 1", 8),
        ("a matches /(/", 11),
        ("ü == 'x", 6),
        ("a in [1 2]", 9),
        ("", 1),
    ] {
        assert_eq!(Expression::parse(text).unwrap_err().position, position, "{text}");
    }
    assert!(Expression::parse(&"(".repeat(100_000)).is_err());
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "[a-c \"'()!&|=<>/\\\\\\[\\],.0-9éi-n]{0,40}") {
        let _ = Expression::parse(&text);
    }
}
