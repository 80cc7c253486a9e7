//! Names of tables and columns, quoted so that any name is just a name.

use std::fmt;

/// A table, with its schema where the configuration names one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct TableName {
    pub(super) schema: Option<String>,
    pub(super) table: String,
}

impl TableName {
    /// `table`, `schema.table`, and either part in double quotes when it holds a dot.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text.trim();
        loop {
            let (part, after) = match rest.strip_prefix('"') {
                Some(quoted) => {
                    let end = quoted.find('"').ok_or_else(|| format!("`{text}` has an unclosed quote"))?;
                    (&quoted[..end], &quoted[end + 1..])
                }
                None => rest.split_at(rest.find('.').unwrap_or(rest.len())),
            };
            if part.is_empty() {
                return Err(format!("`{text}` is not a table's name: use table or schema.table"));
            }
            parts.push(part.to_owned());
            match after.strip_prefix('.') {
                Some(after) => rest = after,
                None if after.is_empty() => break,
                None => return Err(format!("`{text}` is not a table's name: use table or schema.table")),
            }
        }
        match <[String; 2]>::try_from(parts) {
            Ok([schema, table]) => Ok(Self { schema: Some(schema), table }),
            Err(mut parts) if parts.len() == 1 => Ok(Self { schema: None, table: parts.remove(0) }),
            Err(_) => Err(format!("`{text}` has too many dots: quote a name that holds one, as in \"a.b\"")),
        }
    }
}

/// As SQL.
impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(schema) = &self.schema {
            write!(f, "{}.", quoted(schema))?;
        }
        f.write_str(&quoted(&self.table))
    }
}

pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Names as a SQL list.
pub(super) fn quoted_list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.map(quoted).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_split_at_dots_outside_quotes_and_always_quoted() {
        let sql = |text| TableName::parse(text).map(|name| name.to_string());
        assert_eq!(sql("access_log"), Ok("\"access_log\"".to_owned()));
        assert_eq!(sql("ops.Access Log"), Ok("\"ops\".\"Access Log\"".to_owned()));
        assert_eq!(sql("\"a.b\".c"), Ok("\"a.b\".\"c\"".to_owned()));
        assert!(sql("a.b.c").is_err());
        assert!(sql("").is_err());
        assert!(sql("\"a").is_err());
        assert_eq!(quoted("x\"; drop table y"), "\"x\"\"; drop table y\"");
    }
}
