//! The demo's screen: redrawn in place on a terminal, a line every few seconds elsewhere.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use weir_tests::weir::Ports;

use crate::STREAMS;
use crate::figures::{ConnectorFigures, Figures};

const PLAIN_EVERY: Duration = Duration::from_secs(5);

pub(crate) struct Screen {
    began: Instant,
    is_terminal: bool,
    lines_drawn: usize,
    plain_at: Option<Instant>,
}

impl Screen {
    pub(crate) fn new(ports: Ports, postgres_url: &str, folder: &Path) -> Self {
        let addresses = format!(
            "  Kafka     localhost:{}          Connect  http://localhost:{}\n  metrics   http://localhost:{}/metrics   search   http://localhost:{}\n  Postgres  {postgres_url}\n  files     {}",
            ports.kafka,
            ports.connect,
            ports.http,
            ports.search,
            folder.display()
        );
        let is_terminal = std::io::stdout().is_terminal();
        println!("{}{addresses}\n", if is_terminal { "\n" } else { "" });
        Self { began: Instant::now(), is_terminal, lines_drawn: 0, plain_at: None }
    }

    pub(crate) fn draw(&mut self, figures: &Figures) {
        if self.is_terminal {
            let text = self.table(figures);
            // Up over the last picture, then each line anew up to its end.
            let up = if self.lines_drawn > 0 { format!("\x1b[{}A", self.lines_drawn) } else { String::new() };
            print!("{up}{}\x1b[J", text.replace('\n', "\x1b[K\n"));
            let _ = std::io::stdout().flush();
            self.lines_drawn = text.matches('\n').count();
        } else if self.plain_at.is_none_or(|at| at.elapsed() >= PLAIN_EVERY) {
            self.plain_at = Some(Instant::now());
            println!("{}", self.line(figures));
        }
    }

    /// A remark below the picture; the next picture is drawn below it.
    pub(crate) fn say(&mut self, text: &str) {
        println!("{text}");
        self.lines_drawn = 0;
        self.plain_at = None;
    }

    fn table(&self, figures: &Figures) -> String {
        let mut text = String::new();
        let seconds = self.began.elapsed().as_secs();
        let _ = writeln!(text, "{:02}:{:02}   Ctrl-C stops everything cleanly\n", seconds / 60, seconds % 60);
        let _ = writeln!(
            text,
            "  {:<12}{:>14}{:>14}{:>14}{:>14}",
            "file", "lines", "in the topic", "in Postgres", "in the index"
        );
        for (stream, f) in STREAMS.iter().zip(&figures.streams) {
            let (written, records, rows, documents) = (f.written, f.records, f.rows, f.documents);
            let _ = writeln!(text, "  {:<12}{written:>14}{records:>14}{rows:>14}{documents:>14}", stream.file);
        }
        let _ = writeln!(text, "\n  {:<18}{:<12}{:>14}{:>12}", "connector", "state", "lag, records", "seconds");
        for (name, connector) in &figures.connectors {
            let _ = writeln!(text, "  {name:<18}{}", Self::connector(connector));
        }
        text
    }

    fn connector(connector: &ConnectorFigures) -> String {
        let figure = |value: Option<f64>, digits: usize| value.map_or("-".to_owned(), |v| format!("{v:.digits$}"));
        let (records, seconds) = (figure(connector.lag_records, 0), figure(connector.lag_seconds, 1));
        let (red, green, plain) = ("\x1b[31m", "\x1b[32m", "\x1b[0m");
        let colour = if connector.state == "RUNNING" { green } else { red };
        let trace = connector.trace.as_deref().unwrap_or("");
        format!("{colour}{:<12}{plain}{records:>14}{seconds:>12}  {trace}", connector.state)
    }

    fn line(&self, figures: &Figures) -> String {
        let mut text = format!("{:>4} s", self.began.elapsed().as_secs());
        for (stream, f) in STREAMS.iter().zip(&figures.streams) {
            let _ = write!(
                text,
                "  {}: {} lines, {} records, {} rows, {} documents;",
                stream.file, f.written, f.records, f.rows, f.documents
            );
        }
        for (name, connector) in figures.connectors.iter().filter(|(_, c)| c.state != "RUNNING") {
            let _ = write!(text, "  {name} {} {}", connector.state, connector.trace.as_deref().unwrap_or(""));
        }
        text
    }
}
