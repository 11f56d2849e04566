//! Tables of figures in the terminal: names to the left, numbers to the right.

use comfy_table::{CellAlignment, LineStyle, Table, TableStyle};

use super::samples::Samples;

/// A line below the headings, and no other.
const STYLE: TableStyle =
    TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// A table with these headings.
pub(super) fn table<const N: usize>(headings: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(STYLE).set_header(headings);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// A row of one figure: its name, median, least and greatest.
pub(super) fn row(name: &str, samples: &Samples) -> [String; 4] {
    let [median, min, max] = [samples.median(), samples.min(), samples.max()].map(number);
    [name.to_owned(), median, min, max]
}

/// A number with about four digits.
pub(super) fn number(value: f64) -> String {
    match value.abs() {
        0.0..10.0 => format!("{value:.2}"),
        10.0..1000.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// A share of a whole.
pub(super) fn percent(share: f64) -> String {
    format!("{:.1} %", share * 1e2)
}
