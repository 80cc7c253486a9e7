//! What a person sees once a process serves: where things are.

use std::net::SocketAddr;
use std::time::Duration;

use tracing::info;

use crate::config::LogFormat;
use crate::output::print_text;

const NAME_WIDTH: usize = 8;

#[derive(Default)]
pub(super) struct Banner {
    lines: Vec<(&'static str, String)>,
}

impl Banner {
    pub(super) fn line(&mut self, name: &'static str, place: String) {
        self.lines.push((name, place));
    }

    /// Where lines are for machines, it is one of them.
    pub(super) fn show(&self, format: LogFormat, took: Duration) -> anyhow::Result<()> {
        match format {
            LogFormat::Text => print_text(&self.text(took)),
            LogFormat::Json => {
                let places: Vec<String> = self.lines.iter().map(|(name, place)| format!("{name} {place}")).collect();
                info!(
                    version = env!("CARGO_PKG_VERSION"),
                    seconds = took.as_secs_f64(),
                    places = places.join(", "),
                    "ready"
                );
                Ok(())
            }
        }
    }

    fn text(&self, took: Duration) -> String {
        let mut text = format!("weir {}, ready in {:.2} s\n", env!("CARGO_PKG_VERSION"), took.as_secs_f64());
        for (name, place) in &self.lines {
            text.push_str(&format!("  {name:NAME_WIDTH$} {place}\n"));
        }
        text.push_str("Ctrl-C stops it.\n");
        text
    }
}

/// The loopbacks of IPv4 and IPv6 on one port are `localhost`.
pub(super) fn host_port(addresses: &[SocketAddr]) -> String {
    let mut texts: Vec<String> = Vec::new();
    for address in addresses {
        let text =
            if address.ip().is_loopback() { format!("localhost:{}", address.port()) } else { address.to_string() };
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    texts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_loopbacks_are_one_localhost() {
        let addresses = ["127.0.0.1:9092", "[::1]:9092", "10.0.0.7:9093"].map(|text| text.parse().unwrap());
        assert_eq!(host_port(&addresses), "localhost:9092, 10.0.0.7:9093");
    }

    #[test]
    fn every_part_has_a_line() {
        let mut banner = Banner::default();
        banner.line("kafka", "localhost:9092".to_owned());
        banner.line("data", "./weir-data".to_owned());
        let text = banner.text(Duration::from_millis(42));
        let rest = text.split_once('\n').unwrap().1;
        assert_eq!(rest, "  kafka    localhost:9092\n  data     ./weir-data\nCtrl-C stops it.\n");
    }
}
