//! Writes the demo's log files at a steady rate, in a thread of its own, and rotates them by rename and by
//! copytruncate in turn.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use weir_tests::lines::{LineWriter, Rotation};

use crate::STREAMS;

const WRITES_PER_SECOND: u32 = 20;
const ROTATE_EVERY: Duration = Duration::from_secs(5);

/// Lines written so far, one count per entry of [`STREAMS`].
pub(crate) type Written = [u64; STREAMS.len()];

pub(crate) struct Generator {
    counts: Arc<[AtomicU64; STREAMS.len()]>,
    over: Arc<AtomicBool>,
    thread: JoinHandle<Result<()>>,
}

impl Generator {
    pub(crate) fn start(logs: &Path, lines_per_second: u64) -> Result<Self> {
        let counts = Arc::new(STREAMS.map(|_| AtomicU64::new(0)));
        let over = Arc::new(AtomicBool::new(false));
        let writers = STREAMS.iter().map(|stream| LineWriter::create(&logs.join(stream.file), stream.format));
        let writers = writers.collect::<Result<Vec<_>>>()?;
        let (shared, ended) = (Arc::clone(&counts), Arc::clone(&over));
        let thread = std::thread::spawn(move || generate(writers, lines_per_second, shared.as_slice(), &ended));
        Ok(Self { counts, over, thread })
    }

    pub(crate) fn written(&self) -> Written {
        std::array::from_fn(|at| self.counts[at].load(Ordering::Relaxed))
    }

    pub(crate) fn stop(self) -> Result<Written> {
        self.over.store(true, Ordering::Relaxed);
        let written = Arc::clone(&self.counts);
        self.thread.join().map_err(|_| anyhow!("the generator panicked"))??;
        Ok(std::array::from_fn(|at| written[at].load(Ordering::Relaxed)))
    }
}

fn generate(mut writers: Vec<LineWriter>, rate: u64, counts: &[AtomicU64], over: &AtomicBool) -> Result<()> {
    let began = Instant::now();
    let mut rotations = [Rotation::Rename, Rotation::CopyTruncate].into_iter().cycle();
    let mut rotate_at = ROTATE_EVERY;
    while !over.load(Ordering::Relaxed) {
        let due = began.elapsed().as_secs_f64() * rate as f64;
        for (writer, count) in writers.iter_mut().zip(counts) {
            writer.write((due as u64).saturating_sub(writer.written()))?;
            count.store(writer.written(), Ordering::Relaxed);
        }
        if began.elapsed() >= rotate_at {
            let rotation = rotations.next().unwrap_or(Rotation::Rename);
            writers.iter_mut().try_for_each(|writer| writer.rotate(rotation))?;
            rotate_at += ROTATE_EVERY;
        }
        std::thread::sleep(Duration::from_secs(1) / WRITES_PER_SECOND);
    }
    Ok(())
}
