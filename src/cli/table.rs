//! Tables of text: aligned, of readable width, safe to print.

use serde_json::Value;

/// Characters of a line, about; only the last column is cut to fit.
const WIDTH: usize = 120;

/// Characters of any cell; what is longer is cut, and whole in the lines of JSON.
const CELL_MAX: usize = 200;

/// Characters that the last column has at least.
const LAST_MIN: usize = 40;

/// Between two columns.
const GAP: &str = "  ";

/// Rows under a header.
pub(super) struct Table {
    rows: Vec<Vec<String>>,
    is_number: Vec<bool>,
}

impl Table {
    pub(super) fn new(columns: &[&str]) -> Self {
        Self {
            rows: vec![columns.iter().map(|name| header(name)).collect()],
            is_number: vec![true; columns.len()],
        }
    }

    pub(super) fn row<'a>(&mut self, cells: impl Iterator<Item = Option<&'a Value>>) {
        let cells: Vec<Option<&Value>> = cells.collect();
        for (is_number, cell) in self.is_number.iter_mut().zip(&cells) {
            *is_number &= cell.is_some_and(Value::is_number);
        }
        self.rows.push(cells.into_iter().map(cell).collect());
    }

    /// The lines, the header first.
    pub(super) fn lines(&self) -> Vec<String> {
        let count = self.is_number.len();
        let widths: Vec<usize> = (0..count)
            .map(|at| {
                let cells = self.rows.iter().filter_map(|row| row.get(at));
                let widest = cells.map(|cell| cell.chars().count()).max();
                widest.unwrap_or(0).min(CELL_MAX)
            })
            .collect();
        let before_last: usize = widths.iter().take(count.saturating_sub(1)).sum();
        let gaps = GAP.len() * count.saturating_sub(1);
        let last_max = WIDTH.saturating_sub(before_last + gaps).max(LAST_MIN);
        self.rows
            .iter()
            .map(|row| {
                let cells = row.iter().zip(&widths).zip(&self.is_number).enumerate();
                let cells: Vec<String> = cells
                    .map(|(at, ((cell, &width), &is_number))| match is_number {
                        true => format!("{cell:>width$}"),
                        false if at + 1 == count => cut(cell, last_max),
                        false => format!("{:<width$}", cut(cell, CELL_MAX)),
                    })
                    .collect();
                cells.join(GAP).trim_end().to_owned()
            })
            .collect()
    }
}

fn header(column: &str) -> String {
    match column {
        "of" => "KEY OR LANE".to_owned(),
        "at" => "WHEN".to_owned(),
        other => other.to_uppercase(),
    }
}

/// A value as one line of text.
pub(super) fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => printable(text),
        Some(other) => printable(&other.to_string()),
    }
}

/// Text that can't move the cursor or change the terminal: what people write to a bot ends up here.
pub(super) fn printable(text: &str) -> String {
    let is_control = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars()
        .map(|c| if is_control(c) { ' ' } else { c })
        .collect()
}

fn cut(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.to_owned();
    }
    text.chars().take(max - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn columns_are_aligned_numbers_to_the_right_and_only_the_last_is_cut() {
        let mut table = Table::new(&["key", "waiting", "state"]);
        let long = "x".repeat(200);
        for (key, waiting, state) in [("a/b", 7, json!({"n": 1})), ("a/bcd", 12, json!(long))] {
            let (key, waiting) = (json!(key), json!(waiting));
            table.row([Some(&key), Some(&waiting), Some(&state)].into_iter());
        }
        let lines = table.lines();
        assert_eq!(lines[0], "KEY    WAITING  STATE");
        assert_eq!(lines[1], r#"a/b          7  {"n":1}"#);
        assert!(lines[2].starts_with("a/bcd       12  xxx") && lines[2].ends_with("x…"));
        assert_eq!(lines[2].chars().count(), WIDTH);
    }

    #[test]
    fn what_people_write_can_not_steer_the_terminal() {
        let cell = cell(Some(&json!("a\u{1b}[2J\nb\u{202e}c")));
        assert_eq!(cell, "a [2J b c");
    }
}
