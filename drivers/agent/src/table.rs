//! Tables of text, for people.

use std::fmt::Write;

/// A table whose columns are as wide as their widest cell, with two spaces between them. A column without any content is left
/// out.
pub(crate) fn table<const N: usize>(heads: [&str; N], rows: &[[String; N]]) -> String {
    let mut widths = heads.map(|head| head.chars().count());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    for (place, width) in widths.iter_mut().enumerate() {
        if !rows.is_empty() && rows.iter().all(|row| row[place].is_empty()) {
            *width = 0;
        }
    }
    let mut text = line(&heads, &widths);
    rows.iter().for_each(|row| text.push_str(&line(&row.each_ref().map(String::as_str), &widths)));
    text
}

fn line(cells: &[&str], widths: &[usize]) -> String {
    let mut text = String::new();
    for (cell, width) in cells.iter().zip(widths).filter(|(_, width)| **width > 0) {
        write!(text, "{cell:width$}  ").expect("printing into a string cannot fail");
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [["web-1".to_owned(), "alive".to_owned()], ["x".to_owned(), "down".to_owned()]];
        assert_eq!(table(["NAME", "STATE"], &rows), "NAME   STATE\nweb-1  alive\nx      down\n");
        let rows = [["web-1".to_owned(), String::new()]];
        assert_eq!(table(["NAME", "ZONE"], &rows), "NAME\nweb-1\n", "there is no zone");
        assert_eq!(table(["NAME", "ZONE"], &[]), "NAME  ZONE\n");
    }
}
