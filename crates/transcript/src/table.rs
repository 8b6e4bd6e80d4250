//! Facts in rows and columns.

use observation::Value;
use serde::{Deserialize, Serialize};

use crate::picture::Picture;

/// Facts in rows and columns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct Table {
    /// What it shows.
    pub title: String,
    /// The columns' heads.
    pub columns: Vec<String>,
    /// The rows, each as long as `columns`.
    pub rows: Vec<Vec<Value>>,
    /// How they can be drawn, if they can.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub picture: Option<Picture>,
}

/// As it is read.
#[derive(Deserialize)]
struct Unchecked {
    title: String,
    columns: Vec<String>,
    rows: Vec<Vec<Value>>,
    #[serde(default)]
    picture: Option<Picture>,
}

impl TryFrom<Unchecked> for Table {
    type Error = String;

    fn try_from(it: Unchecked) -> Result<Table, String> {
        let Unchecked { title, columns, rows, picture } = it;
        let table = Table { title, columns, rows, picture };
        match table.uneven() {
            Some(row) => {
                Err(format!("a row of {} cells in a table of {} columns", row.len(), table.columns.len()))
            }
            None => Ok(table),
        }
    }
}

impl Table {
    /// The first row that is not as long as the columns, if there is one.
    pub fn uneven(&self) -> Option<&[Value]> {
        self.rows.iter().map(Vec::as_slice).find(|row| row.len() != self.columns.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_is_as_long_as_the_columns() {
        let table = |rows: &str| {
            serde_json::from_str::<Table>(&format!(r#"{{"title":"T","columns":["a","b"],"rows":{rows}}}"#))
        };
        assert_eq!(table(r#"[[{"text":"x"},{"count":1}]]"#).unwrap().rows.len(), 1);
        let error = table(r#"[[{"text":"x"}]]"#).unwrap_err().to_string();
        assert_eq!(error, "a row of 1 cells in a table of 2 columns");
    }
}
