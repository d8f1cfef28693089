//! Aligned columns.

/// Rows under each other; the last column is never padded.
pub(crate) fn columns(rows: &[Vec<String>]) -> String {
    let n_columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..n_columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    #[test]
    fn cells_stand_under_each_other() {
        let rows = [vec!["a".to_owned(), "b".to_owned()], vec!["żółć".to_owned(), String::new()], vec!["x".to_owned()]];
        assert_eq!(super::columns(&rows), "a     b\nżółć\nx");
    }
}
