//! The coverage table at the end of a sweep.

use std::io::Write;

use bruit_sim::faults::coverage::{Coverage, Row, Section};

use crate::Failure;

/// The rows of a sweep of plans; none for a sweep of a scenario.
pub(super) fn rows(coverage: &Coverage) -> Vec<Row> {
    if coverage.seeds() == 0 { Vec::new() } else { coverage.rows().collect() }
}

pub(super) fn print(rows: &[Row], out: &mut impl Write) -> Result<(), Failure> {
    let mut section = None;
    for row in rows {
        if section.replace(row.section) != Some(row.section) {
            let title = match row.section {
                Section::Kind => "kind of fault",
                Section::Op => "operation",
                Section::Setting => "setting",
                Section::Effect => "effect",
                Section::Drop => "dropped datagrams",
            };
            writeln!(out, "{title:<36} {:>7} {:>10} {:>12}", "plans", "in seeds", "times")?;
        }
        let Row { name, plans, seeds, total, .. } = row;
        let plans = if matches!(row.section, Section::Effect | Section::Drop) {
            String::new()
        } else {
            plans.to_string()
        };
        writeln!(out, "  {name:<34} {plans:>7} {seeds:>10} {total:>12}")?;
    }
    if !rows.is_empty() {
        writeln!(out)?;
    }
    Ok(())
}
