use super::*;

fn flat(text: &str) -> Result<Vec<(String, String)>, String> {
    let node = parse("weir.yaml", text).map_err(|error| error.to_string())?;
    let mut flat = Flat::new();
    flatten("", &node, &mut flat).map_err(|error| error.to_string())?;
    Ok(flat.into_iter().map(|(key, (value, _))| (key, value)).collect())
}

#[test]
fn nested_maps_become_dotted_keys_and_lists_are_joined() {
    let text = "class: file-tail\npaths: [/a, /b]\nerrors: {tolerance: all, log: {enable: true}}\nempty:\n";
    let expected = [
        ("class", "file-tail"),
        ("paths", "/a,/b"),
        ("errors.tolerance", "all"),
        ("errors.log.enable", "true"),
        ("empty", ""),
    ];
    assert_eq!(flat(text).unwrap(), expected.map(|(k, v)| (k.to_owned(), v.to_owned())));
}

#[test]
fn numbers_and_words_stay_as_they_were_written() {
    let text = "a: 007\nb: 1e3\nc: yes\nd: 'null'\ne: null\n";
    let values: Vec<String> = flat(text).unwrap().into_iter().map(|(_, value)| value).collect();
    assert_eq!(values, ["007", "1e3", "yes", "null", ""]);
}

#[test]
fn every_error_names_file_line_and_column() {
    for (text, expected) in [
        ("a: 1\na: 2\n", "weir.yaml:2:1: the key `a` stands here a second time"),
        ("a: [x, 'y,z']\n", "weir.yaml:1:8: an item of `a` has a comma, which would make two of it: `y,z`"),
        ("a.b: 1\na: {b: 2}\n", "weir.yaml:2:5: `a.b` was given before, at weir.yaml:1:1"),
        ("- a\n", "weir.yaml:1:1: the file must hold keys with values"),
    ] {
        assert_eq!(flat(text).unwrap_err(), expected);
    }
    let error = flat("a: {b: 1\nc: 2\n").unwrap_err();
    assert!(error.starts_with("weir.yaml:2:"), "{error}");
}

#[test]
fn a_file_of_comments_is_empty() {
    assert_eq!(flat("# nothing\n\n").unwrap(), []);
}

#[test]
fn a_mapping_begins_at_its_first_key_or_brace() {
    let place = |text: &str| {
        let root = parse("f", text).unwrap();
        root.mapping("").unwrap()[0].node.at.to_string()
    };
    assert_eq!(place("tests:\n  connector: x\n"), "f:2:3");
    assert_eq!(place("tests: {connector: x}\n"), "f:1:8");
}
