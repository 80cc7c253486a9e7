use serde_json::json;

use super::*;

fn parse_or(query: &str) -> Result<Expr, ParseError> {
    parse(query, &Options::default())
}

fn words(field: &str, text: &str) -> Expr {
    Expr::Words { field: Some(field.to_owned()).filter(|f| !f.is_empty()), text: text.to_owned(), slop: 0 }
}

fn wildcard(field: &str, pattern: &str) -> Expr {
    let field = Some(field.to_owned()).filter(|f| !f.is_empty());
    Expr::Pattern { field, pattern: PatternSource::Wildcard(pattern.to_owned()) }
}

fn range(field: &str, lower: Bound<Value>, upper: Bound<Value>) -> Expr {
    Expr::Range { field: field.to_owned(), lower, upper, time_zone: None }
}

#[test]
fn nothing_and_stars_match_all() {
    for query in ["", "  ", "*", "*:*"] {
        assert_eq!(parse_or(query).unwrap(), Expr::All, "{query:?}");
    }
}

#[test]
fn words_side_by_side_are_alternatives_by_default() {
    assert_eq!(parse_or("a b").unwrap(), Expr::any_of(vec![words("", "a"), words("", "b")]));
    let options = Options { default_operator: Operator::And, ..Options::default() };
    assert_eq!(parse("a b", &options).unwrap(), Expr::all_of(vec![words("", "a"), words("", "b")]));
}

#[test]
fn and_binds_tighter_than_or_and_symbols_mean_the_same() {
    let expected = Expr::any_of(vec![words("", "a"), Expr::all_of(vec![words("", "b"), words("", "c")])]);
    assert_eq!(parse_or("a OR b AND c").unwrap(), expected);
    assert_eq!(parse_or("a || b && c").unwrap(), expected);
    assert_eq!(parse_or("a||b&&c").unwrap(), expected);
}

#[test]
fn negation_has_four_spellings_and_may_stand_alone() {
    let expected = Expr::not(words("level", "INFO"));
    for query in ["-level:INFO", "NOT level:INFO", "!level:INFO", "- level:INFO", "-level:\"INFO\""] {
        assert_eq!(parse_or(query).unwrap(), expected, "{query}");
    }
    assert_eq!(parse_or("NOT NOT a").unwrap(), words("", "a"));
}

#[test]
fn plus_and_minus_decide_in_a_list() {
    let expected = Clauses {
        must: vec![words("", "a")],
        should: vec![words("", "b")],
        must_not: vec![words("", "c")],
        should_min: 0,
    };
    assert_eq!(parse_or("+a b -c").unwrap(), Expr::Bool(expected));
    let expected =
        Clauses { should: vec![words("", "a")], must_not: vec![words("", "b")], should_min: 1, ..Clauses::default() };
    assert_eq!(parse_or("a -b").unwrap(), Expr::Bool(expected));
    assert_eq!(parse_or("a OR NOT b").unwrap(), Expr::any_of(vec![words("", "a"), Expr::not(words("", "b"))]));
    let expected = Clauses { must: vec![words("", "a")], must_not: vec![words("", "b")], ..Clauses::default() };
    assert_eq!(parse_or("a AND NOT b").unwrap(), Expr::Bool(expected));
}

#[test]
fn a_field_holds_for_a_bracket() {
    assert_eq!(
        parse_or("level:(warn OR error)").unwrap(),
        Expr::any_of(vec![words("level", "warn"), words("level", "error")])
    );
}

#[test]
fn values_keep_dashes_colons_slashes_and_escapes() {
    assert_eq!(parse_or("host:web-01.example.com").unwrap(), words("host", "web-01.example.com"));
    assert_eq!(parse_or("at:12:30:00").unwrap(), words("at", "12:30:00"));
    assert_eq!(parse_or(r"path:\/api\/v1").unwrap(), words("path", "/api/v1"));
    assert_eq!(parse_or(r"a\:b").unwrap(), words("", "a:b"));
    assert_eq!(parse_or(r#"m:"say \"hi\"""#).unwrap(), words("m", "say \"hi\""));
    assert_eq!(parse_or("kubernetes.pod.name:x").unwrap(), words("kubernetes.pod.name", "x"));
}

#[test]
fn wildcards_and_what_is_escaped_in_them() {
    assert_eq!(parse_or("host:web*").unwrap(), wildcard("host", "web*"));
    assert_eq!(parse_or("we?t").unwrap(), wildcard("", "we?t"));
    assert_eq!(parse_or(r"a:x\*y*").unwrap(), wildcard("a", r"x\*y*"));
    assert_eq!(parse_or(r"a:x\*").unwrap(), words("a", "x*"));
    assert_eq!(parse_or("a:*").unwrap(), Expr::Exists { field: "a".to_owned() });
    assert_eq!(parse_or("_exists_:a.b").unwrap(), Expr::Exists { field: "a.b".to_owned() });
}

#[test]
fn ranges_and_comparisons() {
    let (four, five) = (json!("400"), json!("500"));
    assert_eq!(
        parse_or("status:[400 TO 500}").unwrap(),
        range("status", Bound::Included(four.clone()), Bound::Excluded(five.clone()))
    );
    assert_eq!(parse_or("status:{400 TO *]").unwrap(), range("status", Bound::Excluded(four), Bound::Unbounded));
    assert_eq!(parse_or("s:>=500").unwrap(), range("s", Bound::Included(five.clone()), Bound::Unbounded));
    assert_eq!(parse_or("s:< 500").unwrap(), range("s", Bound::Unbounded, Bound::Excluded(five)));
    assert_eq!(parse_or("t:>-5").unwrap(), range("t", Bound::Excluded(json!("-5")), Bound::Unbounded));
    let day = |d: &str| Bound::Included(json!(d));
    assert_eq!(
        parse_or("@timestamp:[2026-11-23 TO now-1h]").unwrap(),
        range("@timestamp", day("2026-11-23"), day("now-1h"))
    );
}

#[test]
fn slop_fuzziness_boost_and_regular_expressions() {
    assert_eq!(parse_or("\"a b\"~2").unwrap(), Expr::Words { field: None, text: "a b".to_owned(), slop: 2 });
    assert_eq!(parse_or("roam~1").unwrap(), Expr::Fuzzy { field: None, text: "roam".to_owned(), distance: 1 });
    assert_eq!(
        parse_or("f:roam~").unwrap(),
        Expr::Fuzzy { field: Some("f".to_owned()), text: "roam".to_owned(), distance: 2 }
    );
    assert_eq!(parse_or("a^2.5").unwrap(), Expr::Boost { expr: Box::new(words("", "a")), boost: 2.5 });
    let pattern = PatternSource::Regex(r"\d+/x".to_owned());
    assert_eq!(parse_or(r"f:/\d+\/x/").unwrap(), Expr::Pattern { field: Some("f".to_owned()), pattern });
}

#[test]
fn keywords_inside_words_are_words() {
    assert_eq!(parse_or("ORDER").unwrap(), words("", "ORDER"));
    assert_eq!(parse_or("NOTHING ANDY").unwrap(), Expr::any_of(vec![words("", "NOTHING"), words("", "ANDY")]));
    assert_eq!(parse_or("or").unwrap(), words("", "or"));
}

#[test]
fn errors_say_what_is_missing_and_where() {
    for (query, position, part) in [
        ("(a", 2, "expected ')' for the '(' of position 0"),
        ("a)", 1, "unexpected ')'"),
        ("a AND", 5, "expected a value, found the end"),
        ("AND a", 0, "expected a clause before the operator"),
        ("a OR", 4, "expected a clause after OR"),
        ("level:", 6, "expected a value, found the end"),
        ("m:\"abc", 2, "no closing '\"'"),
        ("s:[1 TO", 7, "expected a bound"),
        ("s:[1 2]", 5, "expected TO"),
        ("s:[1 TO 2", 9, "expected ']' or '}'"),
        ("[1 TO 2]", 8, "needs a field name"),
        ("f:/a(/", 2, "regular expression"),
        ("a^b", 2, "expected a number after '^'"),
        ("支付 AND (", 8, "expected a value"),
        ("a\\", 2, "after '\\'"),
        ("()", 1, "expected a value"),
    ] {
        let error = parse_or(query).unwrap_err();
        assert!(error.message.contains(part) && error.position == position, "{query:?} gave {error:?}");
    }
}

#[test]
fn nesting_length_and_clauses_are_bounded() {
    let deep = format!("{}a{}", "(".repeat(QUERY_DEPTH_MAX + 1), ")".repeat(QUERY_DEPTH_MAX + 1));
    assert!(parse_or(&deep).unwrap_err().message.contains("levels of brackets"));
    assert!(parse_or(&"a ".repeat(QUERY_CLAUSES_MAX + 1)).unwrap_err().message.contains("clauses"));
    assert!(parse_or(&"x".repeat(QUERY_BYTES_MAX + 1)).unwrap_err().message.contains("longer"));
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic_and_errors_point_into_it(query in "\\PC*") {
        if let Err(error) = parse_or(&query) {
            proptest::prop_assert!(error.position <= query.chars().count());
        }
    }

    #[test]
    fn no_heap_of_syntax_makes_it_panic_or_match_all(query in r#"[-ab:()\[\]{}"/\\~^+!&|<>=. ]{1,40}"#) {
        match parse_or(&query) {
            Err(error) => proptest::prop_assert!(error.position <= query.chars().count()),
            Ok(expr) => proptest::prop_assert!(expr != Expr::All || query.trim().is_empty(), "{query:?} matches all"),
        }
    }

    #[test]
    fn a_quoted_text_comes_back_as_it_was(text in "[a-z\"\\\\ :*支付]{0,20}") {
        let quoted = format!("f:\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
        proptest::prop_assert_eq!(parse_or(&quoted).unwrap(), words("f", &text));
    }
}
