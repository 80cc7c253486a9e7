use std::path::PathBuf;

use bytes::Bytes;
use prometheus::Registry;

use super::*;
use crate::index::document::{Action, Origin};

const NOV_23: i64 = 1_795_420_800_000; // 2026-11-23T08:00:00Z
const DAY_MS: i64 = 86_400_000;

fn config(dir: &Path) -> SearchConfig {
    SearchConfig { commit_interval: Duration::from_secs(3600), ..SearchConfig::new(dir) }
}

fn open(dir: &Path) -> SearchNode {
    SearchNode::open(config(dir), &Registry::new()).unwrap()
}

/// What a kill -9 leaves: the files as they are at this moment, opened by a new process. The index's own threads go on
/// writing and deleting meanwhile, and a copy that files changed under is no moment's picture: it is made anew.
fn crash(dir: &Path) -> tempfile::TempDir {
    for _ in 0..100 {
        let before = files(dir);
        let copy = tempfile::tempdir().unwrap();
        if before.is_ok() && copy_files(dir, copy.path()).is_ok() && files(dir).ok() == before.ok() {
            return copy;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("{} never stood still long enough to be copied", dir.display());
}

/// Every file below a folder, with its size in bytes.
fn files(dir: &Path) -> io::Result<BTreeMap<PathBuf, u64>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        match fs::metadata(&path)? {
            folder if folder.is_dir() => found.extend(files(&path)?),
            file => drop(found.insert(path, file.len())),
        }
    }
    Ok(found)
}

fn copy_files(from: &Path, to: &Path) -> io::Result<()> {
    for path in files(from)?.into_keys() {
        let target = to.join(path.strip_prefix(from).unwrap());
        fs::create_dir_all(target.parent().unwrap())?;
        fs::copy(&path, &target)?;
    }
    Ok(())
}

fn document(offset: i64, timestamp_ms: i64) -> Document {
    Document {
        index: "logs".into(),
        id: format!("t-0-{offset}"),
        action: Action::Append,
        origin: Origin { topic: "t".into(), partition: 0, offset },
        timestamp_ms,
        source: Bytes::from(format!(r#"{{"message":"line {offset}","n":{offset}}}"#)),
    }
}

fn with_action(offset: i64, id: &str, action: Action, source: &'static str) -> Document {
    Document { id: id.to_owned(), action, source: Bytes::from_static(source.as_bytes()), ..document(offset, NOV_23) }
}

fn offsets(next: i64) -> TopicOffsets {
    TopicOffsets::from([("t".to_owned(), [(0, next)].into())])
}

fn count(node: &SearchNode) -> u64 {
    node.inner.shards.all().iter().map(|shard| shard.searcher().num_docs()).sum()
}

fn source(node: &SearchNode, id: &str) -> Option<String> {
    let sources = node.inner.shards.all().into_iter().find_map(|shard| shard.committed_source(id).unwrap());
    sources.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
}

#[tokio::test]
async fn documents_are_seen_after_a_commit_and_not_before() {
    let dir = tempfile::tempdir().unwrap();
    let node = open(dir.path());
    let sink = node.sink("es");
    let report = sink.write((0..10).map(|n| document(n, NOV_23)).collect()).await.unwrap();
    assert_eq!((report.written, count(&node)), (10, 0));
    sink.commit(offsets(10)).await.unwrap();
    assert_eq!(count(&node), 10);
}

#[tokio::test]
async fn the_background_pass_commits_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let config = SearchConfig { commit_interval: Duration::ZERO, ..config(dir.path()) };
    let node = SearchNode::open(config, &Registry::new()).unwrap();
    node.sink("es").write(vec![document(0, NOV_23)]).await.unwrap();
    node.inner.pass(Instant::now());
    assert_eq!(count(&node), 1);
}

#[tokio::test]
async fn what_is_sent_twice_is_indexed_once() {
    let dir = tempfile::tempdir().unwrap();
    let node = open(dir.path());
    let sink = node.sink("es");
    sink.write((0..10).map(|n| document(n, NOV_23)).collect()).await.unwrap();
    let report = sink.write((5..15).map(|n| document(n, NOV_23)).collect()).await.unwrap();
    assert_eq!((report.written, report.skipped), (5, 5));
    sink.commit(offsets(15)).await.unwrap();
    assert_eq!(count(&node), 15);
}

#[tokio::test]
async fn after_a_crash_committed_documents_are_there_once_and_the_rest_is_asked_for_again() {
    let dir = tempfile::tempdir().unwrap();
    let node = open(dir.path());
    let sink = node.sink("es");
    sink.write((0..10).map(|n| document(n, NOV_23)).collect()).await.unwrap();
    sink.commit(offsets(10)).await.unwrap();
    sink.write((10..20).map(|n| document(n, NOV_23)).collect()).await.unwrap();

    let crashed = crash(dir.path());
    let node = open(crashed.path());
    let mut sink = node.sink("es");
    assert_eq!(sink.stored_offsets().await.unwrap(), offsets(10));
    assert_eq!(count(&node), 10);
    sink.write((10..20).map(|n| document(n, NOV_23)).collect()).await.unwrap();
    sink.commit(offsets(20)).await.unwrap();
    assert_eq!(count(&node), 20);
}

#[tokio::test]
async fn a_crash_between_the_commit_and_the_checkpoint_doubles_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let node = open(dir.path());
    let sink = node.sink("es");
    sink.write((0..10).map(|n| document(n, NOV_23)).collect()).await.unwrap();
    node.commit_all().await.unwrap();

    let crashed = crash(dir.path());
    let node = open(crashed.path());
    let mut sink = node.sink("es");
    assert_eq!(sink.stored_offsets().await.unwrap(), offsets(0));
    let report = sink.write((0..12).map(|n| document(n, NOV_23)).collect()).await.unwrap();
    assert_eq!((report.written, report.skipped), (2, 10));
    sink.commit(offsets(12)).await.unwrap();
    assert_eq!(count(&node), 12);
}

#[tokio::test]
async fn a_crash_between_the_commits_of_two_days_loses_and_doubles_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let node = open(dir.path());
    let batch = || (0..10).map(|n| document(n, NOV_23 + (n % 2) * DAY_MS)).collect::<Vec<_>>();
    node.sink("es").write(batch()).await.unwrap();
    node.inner.shards.matching(&["logs-2026.11.23".to_owned()])[0].commit().unwrap();

    let crashed = crash(dir.path());
    let node = open(crashed.path());
    let mut sink = node.sink("es");
    assert_eq!((count(&node), sink.stored_offsets().await.unwrap()), (5, offsets(0)));
    let report = sink.write(batch()).await.unwrap();
    assert_eq!((report.written, report.skipped), (5, 5));
    sink.commit(offsets(10)).await.unwrap();
    assert_eq!(count(&node), 10);
    assert_eq!(sink.stored_offsets().await.unwrap(), offsets(10));
}

#[tokio::test]
async fn a_lost_checkpoint_is_replaced_by_the_lowest_offset_of_the_shards() {
    let dir = tempfile::tempdir().unwrap();
    let node = open(dir.path());
    let sink = node.sink("es");
    sink.write(vec![document(0, NOV_23), document(1, NOV_23), document(2, NOV_23 + DAY_MS)]).await.unwrap();
    sink.commit(offsets(3)).await.unwrap();
    let crashed = crash(dir.path());
    fs::remove_dir_all(crashed.path().join("checkpoints")).unwrap();
    let node = open(crashed.path());
    assert_eq!(node.sink("es").stored_offsets().await.unwrap(), offsets(2));
}

#[tokio::test]
async fn offsets_of_sinks_and_of_records_without_a_document_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let node = open(dir.path());
    node.sink("a").write(vec![document(4, NOV_23)]).await.unwrap();
    node.sink("a").commit(offsets(100)).await.unwrap();
    node.sink("b").write(vec![document(7, NOV_23)]).await.unwrap();
    node.sink("b").commit(offsets(8)).await.unwrap();
    let crashed = crash(dir.path());
    let node = open(crashed.path());
    assert_eq!(node.sink("a").stored_offsets().await.unwrap(), offsets(100));
    assert_eq!(node.sink("b").stored_offsets().await.unwrap(), offsets(8));
    assert_eq!(count(&node), 2);
}

#[tokio::test]
async fn a_document_that_cannot_be_indexed_is_reported_and_the_others_are_indexed() {
    let dir = tempfile::tempdir().unwrap();
    let node = open(dir.path());
    let mut documents: Vec<_> = (0..3).map(|n| document(n, NOV_23)).collect();
    documents[1].source = Bytes::from_static(b"{\"half\":");
    let report = node.sink("es").write(documents).await.unwrap();
    assert_eq!((report.written, report.rejected.len(), report.rejected[0].0), (2, 1, 1));
    assert!(report.rejected[0].1.to_string().contains("not JSON"), "{}", report.rejected[0].1);
}

#[tokio::test]
async fn actions_see_what_was_written_before_them_committed_or_not() {
    let dir = tempfile::tempdir().unwrap();
    let node = open(dir.path());
    let sink = node.sink("es");
    let update = Action::Update { upsert: false };
    let first = vec![
        with_action(0, "a", Action::Index, r#"{"v":1,"keep":{"x":1}}"#),
        with_action(1, "a", update, r#"{"v":2,"keep":{"y":2}}"#),
        with_action(2, "b", Action::Create, r#"{"v":1}"#),
        with_action(3, "b", Action::Create, r#"{"v":2}"#),
        with_action(4, "gone", update, r#"{"v":1}"#),
        with_action(5, "new", Action::Update { upsert: true }, r#"{"v":1}"#),
    ];
    let report = sink.write(first).await.unwrap();
    assert_eq!((report.written, report.skipped, report.rejected.len()), (4, 1, 1));
    sink.commit(offsets(6)).await.unwrap();
    assert_eq!(source(&node, "a").unwrap(), r#"{"v":2,"keep":{"x":1,"y":2}}"#);
    assert_eq!(source(&node, "b").unwrap(), r#"{"v":1}"#);
    assert_eq!(count(&node), 3);

    let second = vec![
        with_action(6, "b", Action::Create, r#"{"v":3}"#),
        with_action(7, "a", Action::Delete, ""),
        with_action(8, "b", Action::Index, r#"{"v":4}"#),
    ];
    sink.write(second).await.unwrap();
    sink.commit(offsets(9)).await.unwrap();
    assert_eq!((source(&node, "a"), source(&node, "b").unwrap()), (None, r#"{"v":4}"#.to_owned()));
    assert_eq!(count(&node), 2);
}

#[tokio::test]
async fn altered_offsets_let_the_same_records_in_again_without_doubling_them() {
    let dir = tempfile::tempdir().unwrap();
    let node = open(dir.path());
    let mut sink = node.sink("es");
    sink.write((0..5).map(|n| document(n, NOV_23)).collect()).await.unwrap();
    sink.commit(offsets(5)).await.unwrap();
    sink.alter_offsets(vec![("t".to_owned(), 0, Some(3))]).await.unwrap();
    assert_eq!(sink.stored_offsets().await.unwrap(), offsets(3));
    let report = sink.write((3..5).map(|n| document(n, NOV_23)).collect()).await.unwrap();
    sink.commit(offsets(5)).await.unwrap();
    assert_eq!((report.written, count(&node)), (2, 5));
    sink.alter_offsets(vec![("t".to_owned(), 0, None)]).await.unwrap();
    assert_eq!(sink.stored_offsets().await.unwrap().get("t").unwrap().get(&0), None);
}

#[tokio::test]
async fn many_days_in_one_batch_need_few_open_writers() {
    let dir = tempfile::tempdir().unwrap();
    let node = open(dir.path());
    let sink = node.sink("es");
    sink.write((0..12).map(|n| document(n, NOV_23 - n * DAY_MS)).collect()).await.unwrap();
    let shards = node.inner.shards.all();
    let open = shards.iter().filter(|shard| shard.writer_used_at().is_some()).count();
    assert_eq!((shards.len(), open), (12, crate::limits::OPEN_WRITERS_MAX));
    sink.commit(offsets(12)).await.unwrap();
    assert_eq!(count(&node), 12);
}

#[tokio::test]
async fn idle_writers_are_closed_with_their_documents_committed() {
    let dir = tempfile::tempdir().unwrap();
    let node = open(dir.path());
    node.sink("es").write(vec![document(0, NOV_23)]).await.unwrap();
    let later = Instant::now() + crate::limits::WRITER_IDLE_MAX;
    node.inner.shards.close_idle_writers(later).unwrap();
    assert!(node.inner.shards.all().iter().all(|shard| shard.writer_used_at().is_none()));
    assert_eq!(count(&node), 1);
}

#[tokio::test]
async fn retention_deletes_old_shards_and_takes_no_documents_for_them() {
    let dir = tempfile::tempdir().unwrap();
    let now = Utc::now().timestamp_millis();
    let node = open(dir.path());
    node.sink("es").write(vec![document(0, now), document(1, now - 10 * DAY_MS)]).await.unwrap();
    node.commit_all().await.unwrap();
    let crashed = crash(dir.path());

    let retention = Some(Duration::from_secs(5 * 86_400));
    let node = SearchNode::open(SearchConfig { retention, ..config(crashed.path()) }, &Registry::new()).unwrap();
    assert_eq!(count(&node), 1);
    assert_eq!(fs::read_dir(crashed.path().join("shards")).unwrap().count(), 1);
    let report = node.sink("es").write(vec![document(2, now - 10 * DAY_MS)]).await.unwrap();
    assert_eq!((report.written, report.skipped), (0, 1));
}

#[tokio::test]
async fn an_unreadable_shard_is_named_and_the_rest_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let node = open(dir.path());
    node.sink("es").write(vec![document(0, NOV_23), document(1, NOV_23 + DAY_MS)]).await.unwrap();
    node.commit_all().await.unwrap();
    let crashed = crash(dir.path());
    fs::write(crashed.path().join("shards/logs-2026.11.23/meta.json"), "garbage").unwrap();
    let node = open(crashed.path());
    assert_eq!(node.unreadable_shards().len(), 1);
    assert_eq!(count(&node), 1);
    let error = node.sink("es").write(vec![document(2, NOV_23)]).await.unwrap_err().to_string();
    assert!(error.contains("logs-2026.11.23 is unreadable"), "{error}");
    assert_eq!(node.sink("es").write(vec![document(3, NOV_23 + DAY_MS)]).await.unwrap().written, 1);
}

#[tokio::test]
async fn a_shard_that_no_commit_reached_is_begun_anew() {
    let dir = tempfile::tempdir().unwrap();
    let half_made = dir.path().join("shards/logs-2026.11.23");
    fs::create_dir_all(&half_made).unwrap();
    fs::write(half_made.join("leftover.store"), "x").unwrap();
    let node = open(dir.path());
    assert_eq!(node.sink("es").write(vec![document(0, NOV_23)]).await.unwrap().written, 1);
}

#[tokio::test]
async fn a_folder_in_use_or_of_another_version_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let node = open(dir.path());
    let error = SearchNode::open(config(dir.path()), &Registry::new()).err().unwrap().to_string();
    assert!(error.contains("in use by another process"), "{error}");
    let crashed = crash(dir.path());
    drop(node);
    fs::write(crashed.path().join("VERSION"), "weir-search 9\n").unwrap();
    let error = SearchNode::open(config(crashed.path()), &Registry::new()).err().unwrap().to_string();
    assert!(error.contains("\"weir-search 9\"") && error.contains("use a newer weir"), "{error}");
}

#[tokio::test]
async fn a_session_from_before_a_loss_must_ask_for_its_offsets_first() {
    let dir = tempfile::tempdir().unwrap();
    let node = open(dir.path());
    let mut sink = node.sink("es");
    sink.write(vec![document(0, NOV_23)]).await.unwrap();
    // The folder vanishes under the writer: the commit fails and takes the document with it.
    fs::rename(dir.path().join("shards/logs-2026.11.23"), dir.path().join("elsewhere")).unwrap();
    assert!(matches!(sink.commit(offsets(1)).await, Err(WriteError::Shard { .. })));
    assert!(matches!(sink.write(vec![document(1, NOV_23)]).await, Err(WriteError::Lost)));
    assert!(matches!(sink.commit(offsets(2)).await, Err(WriteError::Lost)));
    assert_eq!(sink.stored_offsets().await.unwrap(), offsets(0));
}

/// The only series of a family: its value, or how many observations there are.
fn metric(registry: &Registry, name: &str) -> f64 {
    let families = registry.gather();
    let family = families.iter().find(|family| family.name() == name).unwrap();
    let [metric] = family.get_metric() else { panic!("{name}: {family:?}") };
    let observed = metric.get_histogram().get_sample_count() as f64;
    observed + metric.get_gauge().get_value() + metric.get_counter().get_value()
}

const AGE: &str = "weir_index_uncommitted_age_seconds";
const COMMITS: &str = "weir_index_commit_seconds";
const FAILURES: &str = "weir_index_commit_failures_total";

fn sleep(millis: u64) {
    std::thread::sleep(Duration::from_millis(millis));
}

#[tokio::test]
async fn what_is_not_committed_ages_also_while_a_commit_hangs_and_each_commit_is_timed() {
    let (dir, registry) = (tempfile::tempdir().unwrap(), Registry::new());
    let node = SearchNode::open(SearchConfig { commit_interval: Duration::ZERO, ..config(dir.path()) }, &registry);
    let node = node.unwrap();
    let shown = || [AGE, COMMITS, FAILURES].map(|name| metric(&registry, name));
    let sink = node.sink("es");
    // Whether the node's own pass was faster or not.
    sink.write(vec![document(0, NOV_23)]).await.unwrap();
    node.inner.pass(Instant::now());
    assert_eq!(shown(), [0.0, 1.0, 0.0]);
    // The same again is nothing that waits.
    sink.write(vec![document(0, NOV_23)]).await.unwrap();
    assert_eq!(shown(), [0.0, 1.0, 0.0]);

    let shard = node.inner.shards.all().remove(0);
    let writing = shard.while_stuck(|| {
        let (sink, runtime) = (node.sink("es"), tokio::runtime::Handle::current());
        let writing = std::thread::spawn(move || runtime.block_on(sink.write(vec![document(1, NOV_23)])));
        sleep(300);
        let [age, commits, _] = shown();
        assert!(age > 0.1 && commits == 1.0, "{age}");
        writing
    });
    tokio::task::spawn_blocking(|| writing.join().unwrap().unwrap()).await.unwrap();
    node.inner.pass(Instant::now());
    assert_eq!(shown(), [0.0, 2.0, 0.0]);
}

#[tokio::test]
async fn a_commit_that_fails_is_counted_and_not_timed() {
    let (dir, registry) = (tempfile::tempdir().unwrap(), Registry::new());
    let node = SearchNode::open(config(dir.path()), &registry).unwrap();
    let sink = node.sink("es");
    sink.write(vec![document(0, NOV_23)]).await.unwrap();
    sleep(20);
    assert!(metric(&registry, AGE) > 0.0);
    fs::rename(dir.path().join("shards/logs-2026.11.23"), dir.path().join("elsewhere")).unwrap();
    sink.commit(offsets(1)).await.unwrap_err();
    assert_eq!([AGE, COMMITS, FAILURES].map(|name| metric(&registry, name)), [0.0, 0.0, 1.0]);
    // An index that is gone takes its series along.
    node.inner.metrics.commits.keep_indexes(|_| false);
    assert!(registry.gather().iter().all(|family| ![AGE, FAILURES].contains(&family.name())));
}
