use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

/// A server with these limits on a port of its own, which stops when the guard is dropped.
async fn serving(limits: Limits, registry: Registry) -> (SocketAddr, tokio_util::sync::DropGuard) {
    let bound = bind(&[("127.0.0.1".to_owned(), 0)]).await.unwrap();
    let (address, tasks, stop) = (bound.addresses()[0], TaskTracker::new(), CancellationToken::new());
    bound.serve_within(limits, shown(registry), Router::new(), Arc::new(|| true), &tasks, &stop);
    (address, stop.drop_guard())
}

fn shown(registry: Registry) -> Shown {
    Shown::of(registry, Some(Compat::default()))
}

async fn ask(address: SocketAddr, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

async fn answer(address: SocketAddr, path: &str) -> String {
    let mut answer = String::new();
    ask(address, path).await.read_to_string(&mut answer).await.unwrap();
    answer
}

async fn status(address: SocketAddr, path: &str) -> String {
    answer(address, path).await.lines().next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn both_loopbacks_answer_and_readiness_follows_the_process() {
    let bound = bind(&[("localhost".to_owned(), 0)]).await.unwrap();
    let (addresses, tasks, stop) = (bound.addresses(), TaskTracker::new(), CancellationToken::new());
    let is_ready = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&is_ready);
    let ready: IsReady = Arc::new(move || flag.load(Ordering::Relaxed));
    bound.serve(shown(Registry::new()), Router::new(), ready, &tasks, &stop);
    for address in addresses {
        assert_eq!(status(address, "/health/live").await, "HTTP/1.1 200 OK");
        assert_eq!(status(address, "/metrics").await, "HTTP/1.1 200 OK");
        is_ready.store(false, Ordering::Relaxed);
        assert_eq!(status(address, "/health/ready").await, "HTTP/1.1 503 Service Unavailable");
        is_ready.store(true, Ordering::Relaxed);
        assert_eq!(status(address, "/health/ready").await, "HTTP/1.1 200 OK");
    }
    stop.cancel();
    tasks.close();
    tasks.wait().await;
}

#[tokio::test]
async fn it_answers_while_the_runtime_that_started_it_is_busy() {
    let (address, _stop) = serving(Limits::default(), Registry::new()).await;
    // The one thread of this test's runtime waits here, and polls nothing.
    let answered = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(status(address, "/metrics"))
    });
    assert_eq!(answered.join().unwrap(), "HTTP/1.1 200 OK");
}

#[tokio::test]
async fn a_process_without_a_broker_tells_of_its_runtime() {
    let (address, _stop) = serving(Limits::default(), Registry::new()).await;
    let page = answer(address, "/metrics").await;
    assert!(page.contains("\nweir_runtime_workers 1\n") && page.contains("\nweir_network_idle_ratio "), "{page}");
}

/// Takes its time, and counts how often it was asked.
struct Slow(Arc<AtomicUsize>, Duration);

impl Collector for Slow {
    fn desc(&self) -> Vec<&Desc> {
        Vec::new()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.0.fetch_add(1, Ordering::Relaxed);
        thread::sleep(self.1);
        let gauge = prometheus::Gauge::new("weir_broker_state", "A state.").unwrap();
        gauge.collect()
    }
}

#[tokio::test]
async fn a_hundred_scrapes_at_once_cost_as_much_as_a_few() {
    let (registry, count) = (Registry::new(), Arc::new(AtomicUsize::new(0)));
    registry.register(Box::new(Slow(Arc::clone(&count), Duration::from_millis(50)))).unwrap();
    let (address, _stop) = serving(Limits::default(), registry).await;
    let answers = futures::future::join_all((0..100).map(|_| answer(address, "/metrics"))).await;
    assert!(answers.iter().all(|answer| answer.contains("weir_broker_state 0")));
    let renderings = count.load(Ordering::Relaxed);
    assert!(renderings <= 10, "{renderings} renderings");
}

#[tokio::test]
async fn health_is_answered_while_metrics_are_written() {
    let (registry, count) = (Registry::new(), Arc::default());
    registry.register(Box::new(Slow(Arc::clone(&count), Duration::from_secs(3)))).unwrap();
    let (address, _stop) = serving(Limits::default(), registry).await;
    let scrape = tokio::spawn(async move { status(address, "/metrics").await });
    while count.load(Ordering::Relaxed) == 0 {
        tokio::task::yield_now().await;
    }
    let began = Instant::now();
    for path in ["/health/live", "/health/ready"] {
        assert_eq!(status(address, path).await, "HTTP/1.1 200 OK");
    }
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(scrape.await.unwrap(), "HTTP/1.1 200 OK");
}

#[tokio::test]
async fn whoever_comes_is_answered_however_many_hold_connections() {
    let few = Limits { connections_max: 8, ..Limits::default() };
    let (address, _stop) = serving(few, Registry::new()).await;
    let mut held = Vec::new();
    for _ in 0..8 {
        held.push(TcpStream::connect(address).await.unwrap());
    }
    // Half of them have begun a request, which they never end.
    for stream in held.iter_mut().step_by(2) {
        stream.write_all(b"GET /metrics HTT").await.unwrap();
    }
    let began = Instant::now();
    for _ in 0..4 {
        assert_eq!(status(address, "/health/live").await, "HTTP/1.1 200 OK");
    }
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    let mut closed = 0;
    for stream in &mut held {
        let read = tokio::time::timeout(Duration::from_millis(50), stream.read(&mut [0])).await;
        closed += usize::from(read.is_ok());
    }
    assert_eq!(closed, 1, "each that came took the place of the one before");
}

#[tokio::test]
async fn whoever_sends_or_says_nothing_for_long_is_cut_off() {
    let short = Limits { exchange: Duration::from_millis(300), idle: Duration::from_millis(600), ..Limits::default() };
    let (address, _stop) = serving(short, Registry::new()).await;
    let closed_after = async |mut stream: TcpStream, drip: bool| {
        let began = Instant::now();
        let mut byte = [0];
        loop {
            if drip && stream.write_all(b"x").await.is_err() {
                return began.elapsed();
            }
            let read = tokio::time::timeout(Duration::from_millis(50), stream.read(&mut byte)).await;
            if matches!(read, Ok(Ok(0) | Err(_))) || began.elapsed() > Duration::from_secs(5) {
                return began.elapsed();
            }
        }
    };
    let silent = TcpStream::connect(address).await.unwrap();
    let dripping = TcpStream::connect(address).await.unwrap();
    let (silent, dripping) = tokio::join!(closed_after(silent, false), closed_after(dripping, true));
    assert!(silent >= Duration::from_millis(500) && silent < Duration::from_secs(3), "{silent:?}");
    assert!(dripping >= Duration::from_millis(250) && dripping < Duration::from_secs(3), "{dripping:?}");
    assert_eq!(status(address, "/health/live").await, "HTTP/1.1 200 OK");
}

#[tokio::test]
async fn a_scraper_that_does_not_read_is_cut_off_and_gives_its_place_back() {
    let registry = Registry::new();
    let series = prometheus::GaugeVec::new(prometheus::Opts::new("weir_log_size_bytes", "Bytes."), &["topic"]).unwrap();
    (0..100_000).for_each(|n| series.with_label_values(&[&format!("a-topic-with-a-long-name-{n:020}")]).set(1.0));
    registry.register(Box::new(series)).unwrap();
    let one = Limits { connections_max: 1, exchange: Duration::from_secs(1), ..Limits::default() };
    let (address, _stop) = serving(one, registry).await;
    let mut slow = ask(address, "/metrics").await;
    let mut first = [0];
    slow.read_exact(&mut first).await.unwrap();
    let began = Instant::now();
    assert_eq!(status(address, "/health/live").await, "HTTP/1.1 200 OK");
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    // What the system holds can still be read; then it ends before the answer does.
    let mut rest = Vec::new();
    let read = slow.read_to_end(&mut rest).await;
    assert!(read.is_err() || rest.len() < 5_000_000, "{} bytes", rest.len());
}

#[tokio::test]
async fn other_names_have_a_page_of_their_own_which_says_so_when_it_is_off() {
    let gauge = prometheus::IntGauge::new("kafka_connect_worker_task_count", "Tasks.").unwrap();
    let compat = Compat::default();
    compat.registry.register(Box::new(gauge)).unwrap();
    for (compat, status, words) in [
        (Some(compat), "200 OK", "kafka_connect_worker_task_count 0"),
        (None, "404 Not Found", "metrics.compat is false"),
    ] {
        let bound = bind(&[("127.0.0.1".to_owned(), 0)]).await.unwrap();
        let (address, tasks, stop) = (bound.addresses()[0], TaskTracker::new(), CancellationToken::new());
        let shown = Shown::of(Registry::new(), compat);
        bound.serve(shown, Router::new(), Arc::new(|| true), &tasks, &stop);
        let _stop = stop.drop_guard();
        let said = answer(address, "/metrics/compat").await;
        assert!(said.contains(status) && said.contains(words), "{said}");
        assert!(!answer(address, "/metrics").await.contains("kafka_"), "names are on one page only");
    }
}

#[tokio::test]
async fn hostile_paths_are_not_found() {
    let (address, _stop) = serving(Limits::default(), Registry::new()).await;
    for path in ["/../../etc/passwd", "/metrics/../x", "/%00", "/%ff%fe", "//", "/metrics?x=%"] {
        let status = status(address, path).await;
        let is_metrics = path.starts_with("/metrics?");
        assert_eq!(status.contains("200"), is_metrics, "{path}: {status}");
    }
    let long = format!("/{}", "x".repeat(1_000_000));
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The server may close before it has read it all.
    let _ = stream.write_all(format!("GET {long} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(!String::from_utf8_lossy(&answer).contains("200 OK"));
    assert_eq!(status(address, "/health/live").await, "HTTP/1.1 200 OK");
}

#[tokio::test]
async fn the_manual_of_this_version_is_served_and_nothing_else() {
    let (address, _stop) = serving(Limits::default(), Registry::new()).await;
    let index = answer(address, "/docs/").await;
    assert!(index.contains("<a href=\"/docs/runbooks/WeirDiskLow.md\">WeirDiskLow</a>"), "{index}");
    let page = answer(address, "/docs/runbooks/WeirDiskLow.md").await;
    assert!(page.contains("text/html") && page.contains("<h1>WeirDiskLow</h1>"), "{page}");
    assert!(answer(address, "/docs/runbooks/").await.contains("href=\"WeirDiskLow.md\""));
    for path in ["/docs/nowhere.md", "/docs/%2e%2e/Cargo.toml", "/docs/runbooks/../../Cargo.toml", "/docs/%3Cb%3E"] {
        let said = answer(address, path).await;
        assert!(said.starts_with("HTTP/1.1 404") && said.contains("text/plain"), "{path}: {said}");
    }
}
