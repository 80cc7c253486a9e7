//! Log files as applications write them: numbered lines, rotation by rename and by copytruncate.
//!
//! Every line carries its own number, from 0, so that a reader can prove that each arrived exactly once.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Result;
use chrono::{DateTime, Utc};

/// How many rotated generations stay, as in a usual logrotate configuration.
const GENERATIONS: usize = 5;
const METHODS: [&str; 4] = ["GET", "GET", "GET", "POST"];
const PAGES: [&str; 6] = ["/", "/orders", "/cart", "/search", "/healthz", "/login"];
const STATUSES: [u16; 8] = [200, 200, 200, 200, 200, 304, 404, 500];
const LEVELS: [&str; 6] = ["info", "info", "info", "debug", "warn", "error"];
const SERVICES: [&str; 4] = ["checkout", "payment", "catalog", "mail"];
const AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0";

#[derive(Debug, Clone, Copy)]
pub enum Format {
    /// nginx's `combined`, the number in the query: `/orders?line=17`.
    Nginx,
    /// One JSON object per line, the number in `line`.
    Json,
}

impl Format {
    fn line(self, number: u64, now: DateTime<Utc>) -> String {
        let at = usize::try_from(number).unwrap_or(0);
        let pick = |salt: usize, among: usize| (at.wrapping_mul(2_654_435_761).wrapping_add(salt) >> 7) % among;
        match self {
            Self::Nginx => format!(
                "10.{}.{}.{} - - [{}] \"{} {}?line={number} HTTP/1.1\" {} {} \"-\" \"{AGENT}\"",
                pick(1, 256),
                pick(2, 256),
                pick(3, 256),
                now.format("%d/%b/%Y:%H:%M:%S +0000"),
                METHODS[pick(4, METHODS.len())],
                PAGES[pick(5, PAGES.len())],
                STATUSES[pick(6, STATUSES.len())],
                pick(7, 20_000),
            ),
            Self::Json => format!(
                "{{\"time\":\"{}\",\"level\":\"{}\",\"service\":\"{}\",\"line\":{number},\"duration_ms\":{},\"message\":\"order {} took {} ms\"}}",
                now.format("%Y-%m-%dT%H:%M:%S%.3fZ"),
                LEVELS[pick(1, LEVELS.len())],
                SERVICES[pick(2, SERVICES.len())],
                pick(3, 900),
                pick(4, 100_000),
                pick(3, 900),
            ),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotation {
    Rename,
    CopyTruncate,
}

/// Writes one log file and rotates it.
pub struct LineWriter {
    path: PathBuf,
    format: Format,
    file: BufWriter<File>,
    written: u64,
}

impl LineWriter {
    pub fn create(path: &Path, format: Format) -> Result<Self> {
        Ok(Self { path: path.to_owned(), format, file: open(path)?, written: 0 })
    }

    pub fn written(&self) -> u64 {
        self.written
    }

    /// Appends `count` whole lines and hands them to the operating system.
    pub fn write(&mut self, count: u64) -> Result<()> {
        let now = Utc::now();
        for _ in 0..count {
            writeln!(self.file, "{}", self.format.line(self.written, now))?;
            self.written += 1;
        }
        Ok(self.file.flush()?)
    }

    pub fn rotate(&mut self, rotation: Rotation) -> Result<()> {
        self.file.flush()?;
        for age in (1..GENERATIONS).rev() {
            let from = self.generation(age);
            if from.exists() {
                std::fs::rename(from, self.generation(age + 1))?;
            }
        }
        match rotation {
            Rotation::Rename => std::fs::rename(&self.path, self.generation(1))?,
            Rotation::CopyTruncate => {
                std::fs::copy(&self.path, self.generation(1))?;
                self.file.get_ref().set_len(0)?;
            }
        }
        self.file = open(&self.path)?;
        Ok(())
    }

    fn generation(&self, age: usize) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{age}"));
        name.into()
    }
}

fn open(path: &Path) -> Result<BufWriter<File>> {
    Ok(BufWriter::new(OpenOptions::new().create(true).append(true).open(path)?))
}
