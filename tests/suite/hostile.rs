//! Garbage, truncated and hostile bytes on every port: the connection ends, the next one is answered, memory stays.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use weir_tests::wait::wait_until;
use weir_tests::weir::Weir;

const ROUNDS: usize = 60;
const RESIDENT_GROWTH_MAX_BYTES: u64 = 200 << 20;
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
const FDS_LEFT: u64 = 20;

#[tokio::test]
async fn garbage_on_any_port_harms_nobody_else() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let weir = Weir::up(folder.path(), &[], "").await?;
    let seed = rand::random::<u64>();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let before = weir.resident_bytes()?;
    for round in 0..ROUNDS {
        for port in [weir.ports.kafka, weir.ports.http, weir.ports.connect, weir.ports.search] {
            throw(port, &garbage(&mut random, round))?;
        }
        answers_on_every_port(&weir).await.with_context(|| format!("round {round}, seed {seed}"))?;
    }
    let grown = weir.resident_bytes()?.saturating_sub(before);
    ensure!(grown < RESIDENT_GROWTH_MAX_BYTES, "{} MiB more after garbage", grown >> 20);
    Ok(())
}

#[tokio::test]
async fn health_is_answered_while_no_file_descriptor_is_left() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let weir = Weir::up(folder.path(), &[], "").await?;
    let id = weir.id().context("weir runs")?;
    let open = std::fs::read_dir(format!("/proc/{id}/fd"))?.count() as u64;
    let limit = Rlimit { current: Some(open + FDS_LEFT), maximum: Some(open + FDS_LEFT) };
    prlimit(Pid::from_raw(id.cast_signed()), Resource::Nofile, limit)?;
    let held: Vec<TcpStream> =
        (0..FDS_LEFT * 4).filter_map(|_| TcpStream::connect(("127.0.0.1", weir.ports.kafka)).ok()).collect();
    let starved = async || weir.log().contains("cannot accept a connection");
    wait_until("no descriptor to be left", ANSWER_LIMIT, starved).await?;
    for _ in 0..5 {
        let mut probe = TcpStream::connect(("127.0.0.1", weir.ports.http))?;
        probe.set_read_timeout(Some(ANSWER_LIMIT))?;
        probe.write_all(b"GET /health/live HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")?;
        let mut answer = String::new();
        probe.read_to_string(&mut answer)?;
        ensure!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    let since = Instant::now();
    wait_until("some tries more", ANSWER_LIMIT, async || since.elapsed() > Duration::from_secs(1)).await?;
    let log = weir.log();
    ensure!(log.matches("cannot accept a connection").count() == 1, "{log}");
    drop(held);
    Ok(())
}

/// One of: noise, a frame that promises two gigabytes, a negative length, a cut request, a request full of hostile
/// array lengths.
fn garbage(random: &mut StdRng, round: usize) -> Vec<u8> {
    let mut noise = vec![0u8; random.random_range(1..2000)];
    random.fill(&mut noise[..]);
    let header =
        |key: i16, version: i16| [&key.to_be_bytes()[..], &version.to_be_bytes(), &[0, 0, 0, 7, 0xff, 0xff]].concat();
    let framed = |body: Vec<u8>| [&u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes()[..], &body].concat();
    match round % 5 {
        0 => noise,
        1 => [&i32::MAX.to_be_bytes()[..], &noise].concat(),
        2 => [&(-5i32).to_be_bytes()[..], &noise].concat(),
        3 => {
            let mut cut = framed([header(3, 1), vec![0, 0, 0, 1]].concat());
            cut.truncate(cut.len() - 2);
            cut
        }
        _ => {
            let (key, version) = (random.random_range(0..80), random.random_range(0..12));
            framed([header(key, version), vec![0xff, 0xff, 0xff, 0xff, 0x0f], vec![0x7f; 64]].concat())
        }
    }
}

fn throw(port: u16, bytes: &[u8]) -> Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(ANSWER_LIMIT))?;
    // The broker may close before all is written: that is its good right.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    let _ = stream.read_to_end(&mut Vec::new());
    Ok(())
}

async fn answers_on_every_port(weir: &Weir) -> Result<()> {
    let mut kafka = TcpStream::connect(("127.0.0.1", weir.ports.kafka))?;
    kafka.set_read_timeout(Some(ANSWER_LIMIT))?;
    // ApiVersions v0, correlation 9, null client id.
    kafka.write_all(&[0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 9, 0xff, 0xff])?;
    let mut answer = [0u8; 10];
    kafka.read_exact(&mut answer).context("ApiVersions is not answered")?;
    ensure!(answer[4..8] == [0, 0, 0, 9] && answer[8..10] == [0, 0], "ApiVersions answers {answer:?}");
    for url in [format!("{}/health/live", weir.http()), format!("{}/", weir.connect()), format!("{}/", weir.search())] {
        ensure!(weir_tests::http::is_ok(&url).await, "{url} does not answer");
    }
    Ok(())
}
