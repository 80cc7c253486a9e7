use super::*;

type Written = Arc<Mutex<Vec<(String, Option<Json>)>>>;

/// Active topics, and what they write.
fn active(rows: &[(&str, Json)]) -> (Arc<ActiveTopics>, Written) {
    let written = Written::default();
    let into = Arc::clone(&written);
    let rows = rows.iter().map(|(key, row)| ((*key).to_owned(), row.clone())).collect();
    let active = ActiveTopics::restore(&rows, Box::new(move |rows| into.lock().unwrap().extend(rows)));
    (Arc::new(active), written)
}

fn names(active: &ActiveTopics, connector: &str) -> Vec<String> {
    active.of(connector).iter().map(ToString::to_string).collect()
}

#[test]
fn a_topic_is_written_down_once_in_kafka_connects_row() {
    let (active, written) = active(&[]);
    for task in 0..2 {
        let mut tells = TopicUse::new(Some(Arc::clone(&active)), "tail".into(), task);
        tells.used(&"app".into());
        tells.used(&"app".into());
    }
    assert_eq!(names(&active, "tail"), ["app"]);
    let written = written.lock().unwrap();
    let [(key, Some(row))] = &written[..] else { panic!("one row: {written:?}") };
    assert_eq!(key, "status-topic-app:connector-tail");
    assert_eq!((row["topic"]["name"].as_str(), row["topic"]["task"].as_u64()), (Some("app"), Some(0)));
    assert!(row["topic"]["discoverTimestamp"].as_u64().is_some_and(|ms| ms > 1_700_000_000_000), "{row}");
}

#[test]
fn what_the_status_topic_holds_is_known_after_a_restart() {
    let row = json!({"topic": {"name": "app", "connector": "tail", "task": 0, "discoverTimestamp": 1}});
    let (active, written) = active(&[
        ("status-topic-app:connector-tail", row),
        ("status-topic-odd:connector-tail", json!({"topic": {}})),
        ("status-connector-tail", json!({"state": "RUNNING"})),
    ]);
    TopicUse::new(Some(Arc::clone(&active)), "tail".into(), 0).used(&"app".into());
    assert_eq!((names(&active, "tail"), names(&active, "other")), (vec!["app".to_owned()], vec![]));
    assert!(written.lock().unwrap().is_empty(), "it is known already");
}

#[test]
fn after_a_reset_only_what_is_used_again_comes_back() {
    let (active, written) = active(&[]);
    let mut tells = TopicUse::new(Some(Arc::clone(&active)), "tail".into(), 0);
    tells.used(&"old".into());
    tells.used(&"app".into());
    active.reset("tail");
    assert_eq!(names(&active, "tail"), [""; 0]);
    tells.used(&"app".into());
    assert_eq!(names(&active, "tail"), ["app"]);
    let kept: BTreeMap<_, _> = written.lock().unwrap().drain(..).collect();
    assert!(kept["status-topic-old:connector-tail"].is_none() && kept["status-topic-app:connector-tail"].is_some());
}

#[test]
fn a_connector_of_endless_topics_is_remembered_up_to_the_bound() {
    let (active, written) = active(&[]);
    let mut tells = TopicUse::new(Some(Arc::clone(&active)), "tail".into(), 0);
    (0..ACTIVE_TOPICS_MAX + 5).for_each(|n| tells.used(&format!("t{n}").into()));
    assert_eq!(active.of("tail").len(), ACTIVE_TOPICS_MAX);
    assert_eq!((written.lock().unwrap().len(), tells.told.len()), (ACTIVE_TOPICS_MAX, ACTIVE_TOPICS_MAX));
}
