//! Columns that stand straight, also with names that are wide, empty or hostile.

use std::fmt::Write;

use unicode_width::UnicodeWidthStr;

/// Two blanks between columns.
const GAP: &str = "  ";

/// Text from elsewhere, made harmless: a name must not move the cursor or colour the screen.
pub(in crate::cli) fn plain(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' | '\r' | '\t' => ' ',
            // What turns the direction of writing makes one id look like another.
            c if c.is_control()
                || ('\u{202a}'..='\u{202e}').contains(&c)
                || ('\u{2066}'..='\u{2069}').contains(&c) =>
            {
                '\u{fffd}'
            }
            c => c,
        })
        .collect()
}

/// Rows under a heading.
#[derive(Debug)]
pub(in crate::cli) struct Table {
    heading: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(in crate::cli) fn new(heading: &[&str]) -> Self {
        Self { heading: heading.iter().map(|&word| word.to_owned()).collect(), rows: Vec::new() }
    }

    pub(in crate::cli) fn row<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) {
        let cells = cells.into_iter().map(|cell| {
            let cell = plain(&cell.into());
            if cell.is_empty() { "-".to_owned() } else { cell }
        });
        self.rows.push(cells.collect());
    }

    /// The lines, each ended by a line feed, `indent` blanks before each. A column that says nothing is left out.
    pub(in crate::cli) fn render(&self, indent: usize) -> String {
        let said =
            |column: &usize| self.rows.iter().any(|row| row.get(*column).is_some_and(|cell| cell != "-"));
        // The first column names the row and stays.
        let columns: Vec<usize> =
            (0..self.heading.len()).filter(|column| *column == 0 || said(column)).collect();
        let rows: Vec<&Vec<String>> = std::iter::once(&self.heading).chain(&self.rows).collect();
        let width = |column: usize| rows.iter().map(|row| row[column].width()).max().unwrap_or(0);
        let widths: Vec<usize> = columns.iter().map(|column| width(*column)).collect();
        let mut text = String::new();
        for row in rows {
            let mut line = " ".repeat(indent);
            for (column, width) in columns.iter().zip(&widths) {
                let cell = &row[*column];
                let pad = width - cell.width();
                write!(line, "{cell}{:pad$}{GAP}", "").expect("writing to a string cannot fail");
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_straight_whatever_stands_in_them() {
        let mut table = Table::new(&["ID", "NAME", "NOTE", "STATE"]);
        table.row(["1", "web", "", "ready"]);
        table.row(["22", "日本", "", "off"]);
        table.row(["3", "", "", "a\u{1b}[31mb\nc"]);
        assert_eq!(
            table.render(1),
            " ID  NAME  STATE\n 1   web   ready\n 22  日本  off\n 3   -     a\u{fffd}[31mb c\n"
        );
    }
}
