//! Rows with named columns, in both formats.

use std::io::{self, IsTerminal};

use comfy_table::{Cell, Color, ContentArrangement, Table, presets};
use serde_json::Value as Json;

use super::{print_json, print_text};
use crate::args::OutputFormat;

const COLUMN_GAP: u16 = 2;
/// Lines are folded on a terminal that is at least this wide, never in a pipe: some terminals say that they have no width.
const FOLDED_COLUMNS_MIN: u16 = 40;

/// What a cell's value means to the person who looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Colour {
    Good,
    /// Worth a look, though it may pass by itself.
    Notice,
    Bad,
}

impl Colour {
    /// The states of groups, connectors and tasks.
    pub(crate) fn of_state(state: &Json) -> Option<Self> {
        match state.as_str()? {
            "Stable" | "RUNNING" => Some(Self::Good),
            "Dead" | "FAILED" => Some(Self::Bad),
            _ => Some(Self::Notice),
        }
    }

    /// How a group's lag does.
    pub(crate) fn of_lag_status(status: &Json) -> Option<Self> {
        match status.as_str()? {
            "OK" => Some(Self::Good),
            "WARN" | "REWOUND" => Some(Self::Notice),
            _ => Some(Self::Bad),
        }
    }

    /// Records that are still to be read.
    pub(crate) fn of_lag(lag: &Json) -> Option<Self> {
        lag.as_i64().map(|lag| if lag == 0 { Self::Good } else { Self::Notice })
    }

    /// How many have failed.
    pub(crate) fn of_failures(count: &Json) -> Option<Self> {
        count.as_u64().filter(|count| *count > 0).map(|_| Self::Bad)
    }

    fn on_terminal(self) -> Color {
        match self {
            Self::Good => Color::Green,
            Self::Notice => Color::Yellow,
            Self::Bad => Color::Red,
        }
    }
}

type Painter = fn(&Json) -> Option<Colour>;

struct Column {
    name: &'static str,
    painter: Option<Painter>,
    is_in_table: bool,
}

/// Rows of one listing: columns are named once, for both formats.
pub(crate) struct Listing {
    columns: Vec<Column>,
    rows: Vec<Vec<Json>>,
}

impl Listing {
    pub(crate) fn new(columns: &[&'static str]) -> Self {
        let column = |name: &&'static str| Column { name, painter: None, is_in_table: true };
        Self { columns: columns.iter().map(column).collect(), rows: Vec::new() }
    }

    /// Colours a column where there is a terminal that shows them.
    pub(crate) fn painted(mut self, column: &str, painter: Painter) -> Self {
        self.columns.iter_mut().filter(|found| found.name == column).for_each(|found| found.painter = Some(painter));
        self
    }

    /// Leaves a column to machines.
    pub(crate) fn only_in_json(mut self, column: &str) -> Self {
        self.columns.iter_mut().filter(|found| found.name == column).for_each(|found| found.is_in_table = false);
        self
    }

    pub(crate) fn row(&mut self, cells: Vec<Json>) {
        self.rows.push(cells);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(crate) fn print(self, format: OutputFormat) -> anyhow::Result<()> {
        match format {
            OutputFormat::Json => print_json(&self.into_json()),
            OutputFormat::Table => print_text(&self.into_table(is_coloured())),
        }
    }

    /// An array with one object per row.
    pub(crate) fn into_json(self) -> Json {
        let object = |row: Vec<Json>| self.columns.iter().map(|column| key(column.name)).zip(row).collect();
        Json::Array(self.rows.into_iter().map(|row| Json::Object(object(row))).collect())
    }

    fn into_table(self, is_coloured: bool) -> String {
        let mut table = Table::new();
        table.load_preset(presets::NOTHING);
        if table.width().is_some_and(|columns| columns >= FOLDED_COLUMNS_MIN) {
            table.set_content_arrangement(ContentArrangement::Dynamic);
        }
        if is_coloured {
            table.enforce_styling();
        }
        let shown = || self.columns.iter().enumerate().filter(|(_, column)| column.is_in_table);
        table.set_header(shown().map(|(_, column)| column.name.to_uppercase()));
        for row in &self.rows {
            table.add_row(shown().filter_map(|(index, column)| {
                let value = row.get(index)?;
                let colour = column.painter.filter(|_| is_coloured).and_then(|painter| painter(value));
                let cell = Cell::new(text(value));
                Some(colour.map_or(cell.clone(), |colour| cell.fg(colour.on_terminal())))
            }));
        }
        for column in table.column_iter_mut() {
            column.set_padding((0, COLUMN_GAP));
        }
        let table = table.to_string();
        table.lines().map(|line| format!("{}\n", line.trim_end())).collect()
    }
}

/// A word for a heading, in colour where there is a terminal that shows it.
pub(crate) fn painted(word: &str, colour: Option<Colour>) -> String {
    let code = match colour.filter(|_| is_coloured()) {
        None => return word.to_owned(),
        Some(Colour::Good) => 92,
        Some(Colour::Notice) => 93,
        Some(Colour::Bad) => 91,
    };
    format!("\u{1b}[{code}m{word}\u{1b}[0m")
}

/// On a terminal, unless its owner wants none (<https://no-color.org>).
fn is_coloured() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// A column's name as a key: `log end offset` is `log_end_offset`.
fn key(column: &str) -> String {
    column.replace(' ', "_")
}

fn text(value: &Json) -> String {
    match value {
        Json::Null => "-".to_owned(),
        Json::String(text) => text.clone(),
        Json::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(","),
        Json::Object(fields) => {
            fields.iter().map(|(key, value)| format!("{key}:{}", text(value))).collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn listing() -> Listing {
        let mut listing = Listing::new(&["topic", "log end offset"]);
        listing.row(vec![json!("orders"), json!(7)]);
        listing.row(vec![json!("clicks"), json!([1, 2])]);
        listing.row(vec![json!("none"), Json::Null]);
        listing.row(vec![json!("both"), json!({"a": [0, 1], "b": [2]})]);
        listing
    }

    #[test]
    fn a_listing_is_columns_for_people_and_objects_for_machines() {
        let table = "TOPIC   LOG END OFFSET\norders  7\nclicks  1,2\nnone    -\nboth    a:0,1 b:2\n";
        assert_eq!(listing().into_table(false), table);
        assert_eq!(
            listing().into_json(),
            json!([
                {"topic": "orders", "log_end_offset": 7},
                {"topic": "clicks", "log_end_offset": [1, 2]},
                {"topic": "none", "log_end_offset": null},
                {"topic": "both", "log_end_offset": {"a": [0, 1], "b": [2]}},
            ])
        );
    }

    #[test]
    fn only_painted_columns_have_colours_and_only_where_they_are_wanted() {
        let groups = || {
            let mut listing = Listing::new(&["group", "state"]).painted("state", Colour::of_state);
            listing.row(vec![json!("Stable"), json!("Stable")]);
            listing.row(vec![json!("b"), json!("Dead")]);
            listing
        };
        assert!(!groups().into_table(false).contains('\u{1b}'));
        let table = groups().into_table(true);
        let rows: Vec<&str> = table.lines().collect();
        assert!(rows[0] == "GROUP   STATE" && rows[1].starts_with("Stable  \u{1b}["), "{table:?}");
        assert_ne!(rows[1].split_once("\u{1b}[").unwrap().1[..8], rows[2].split_once("\u{1b}[").unwrap().1[..8]);
    }

    #[test]
    fn a_column_for_machines_is_not_in_the_table() {
        let listing = || {
            let mut listing = Listing::new(&["group", "id"]).only_in_json("id");
            listing.row(vec![json!("g"), json!(7)]);
            listing
        };
        assert_eq!(listing().into_table(false), "GROUP\ng\n");
        assert_eq!(listing().into_json(), json!([{"group": "g", "id": 7}]));
    }

    #[test]
    fn a_lag_is_good_only_at_0_and_unknown_without_an_end() {
        assert_eq!(Colour::of_lag(&json!(0)), Some(Colour::Good));
        assert_eq!(Colour::of_lag(&json!(1)), Some(Colour::Notice));
        assert_eq!(Colour::of_lag(&Json::Null), None);
    }
}
