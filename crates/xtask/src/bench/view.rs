//! A measured table as one that is shown.

use super::data::{Became, Measurement, Timed};
use super::rows::{Row, TABLES, Table};
use crate::figures::{self, count, ms, ratio};

/// The table, with a note for each row that did not run.
pub(super) fn of(table: &Table, measured: &Measurement) -> figures::Table {
    let heads: Vec<&str> = ["", "median ms", "least", "most", "CPU ms"]
        .into_iter()
        .chain(table.ratios.iter().map(|(head, _)| *head))
        .collect();
    let mut shown = figures::Table::new(table.title, &heads);
    for Timed { name, became } in &measured.rows {
        match became {
            Became::Ran(figures) => {
                let mut row = vec![
                    name.clone(),
                    ms(figures.median),
                    ms(figures.least),
                    ms(figures.most),
                    figures.cpu.map_or("-".into(), ms),
                ];
                for (_, floor) in table.ratios {
                    let floor = measured.median(floor).filter(|floor| *floor > 0.0);
                    row.push(floor.map_or("-".into(), |floor| ratio(figures.median / floor)));
                }
                shown.rows.push(row);
                if figures.failed > 0 {
                    shown.notes.push(format!("{name}: {} of {} runs failed.", figures.failed, figures.runs));
                }
            }
            Became::Skipped(_) => {}
        }
    }
    shown.notes.insert(0, runs(measured));
    shown.notes.extend(skipped(measured));
    shown
}

/// What did not run, a note for each cause.
fn skipped(measured: &Measurement) -> Vec<String> {
    let mut causes: Vec<(&str, Vec<&str>)> = Vec::new();
    for Timed { name, became } in &measured.rows {
        let Became::Skipped(cause) = became else { continue };
        match causes.iter_mut().find(|(known, _)| known == cause) {
            Some((_, names)) => names.push(name),
            None => causes.push((cause, vec![name])),
        }
    }
    causes.into_iter().map(|(cause, names)| format!("Skipped: {}: {cause}.", names.join(", "))).collect()
}

/// How many runs the rows had.
fn runs(measured: &Measurement) -> String {
    let counts: Vec<usize> = measured
        .rows
        .iter()
        .filter_map(|row| match &row.became {
            Became::Ran(figures) => Some(figures.runs),
            Became::Skipped(_) => None,
        })
        .collect();
    let (Some(least), Some(most)) = (counts.iter().min(), counts.iter().max()) else {
        return "No row could be run.".into();
    };
    let number = |value: &usize| count(*value as f64);
    if least == most {
        format!("{} runs of each, by turns.", number(least))
    } else {
        format!("{} to {} runs of each, by turns.", number(least), number(most))
    }
}

/// What the kept measurements lack, and what they have that is not measured any more; a line each.
pub(super) fn strays(measured: &[Measurement], rows_of: impl Fn(&Table) -> Vec<Row>) -> Vec<String> {
    let mut faults = Vec::new();
    for table in TABLES.iter().filter(|table| !table.optional) {
        let Some(kept) = measured.iter().find(|it| it.id == table.id) else {
            faults.push(format!("the table '{}' is missing", table.title));
            continue;
        };
        let declared: Vec<String> = rows_of(table).into_iter().map(|row| row.name).collect();
        let kept: Vec<&String> = kept.rows.iter().map(|row| &row.name).collect();
        for name in declared.iter().filter(|name| !kept.contains(name)) {
            faults.push(format!("'{}': the row '{name}' is missing", table.title));
        }
        for name in kept.into_iter().filter(|name| !declared.contains(name)) {
            faults.push(format!("'{}': the row '{name}' is measured no more", table.title));
        }
    }
    for kept in measured.iter().filter(|kept| !TABLES.iter().any(|table| table.id == kept.id)) {
        faults.push(format!("the table '{}' is measured no more", kept.id));
    }
    faults
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::data::Figures;
    use super::super::rows;
    use super::*;

    fn ran(name: &str, median: f64) -> Timed {
        let figures = Figures { runs: 20, median, least: 1.0, most: 300.0, cpu: Some(0.5), failed: 0 };
        Timed { name: name.into(), became: Became::Ran(figures) }
    }

    fn skipped(name: &str) -> Timed {
        Timed { name: name.into(), became: Became::Skipped("not installed; apt install x".into()) }
    }

    #[test]
    fn a_row_has_its_ratios_and_what_is_missing_its_cause() {
        let table = TABLES.iter().find(|table| table.id == "list-1000").unwrap();
        let measured = Measurement {
            id: table.id.into(),
            rows: vec![
                ran("C: readlinkat() alone", 10.0),
                ran("ns-map --list", 12.5),
                skipped("lsns"),
                skipped("ns-compare --list"),
            ],
        };
        let shown = of(table, &measured);
        assert_eq!(shown.rows[1], ["ns-map --list", "12.5", "1.00", "300", "0.50", "1.25", "-"]);
        assert_eq!(
            shown.notes,
            ["20 runs of each, by turns.", "Skipped: lsns, ns-compare --list: not installed; apt install x."]
        );
        assert!(shown.screen(80).lines().all(|line| line.chars().count() <= 80), "{}", shown.screen(80));
    }

    #[test]
    fn what_was_measured_has_the_rows_that_are_declared() {
        let experiments = BTreeSet::from(["uts-demo".to_string()]);
        let rows_of = |table: &Table| rows::rows(table, &experiments);
        let mut measured: Vec<Measurement> = TABLES
            .iter()
            .filter(|table| !table.optional)
            .map(|table| Measurement {
                id: table.id.into(),
                rows: rows_of(table).iter().map(|row| ran(&row.name, 1.0)).collect(),
            })
            .collect();
        assert_eq!(strays(&measured, rows_of), Vec::<String>::new());
        measured[0].rows[0].name = "other".into();
        measured.pop();
        let faults = strays(&measured, rows_of);
        assert_eq!(
            faults,
            [
                "'A program starts, and shows its help': the row 'Rust hello' is missing",
                "'A program starts, and shows its help': the row 'other' is measured no more",
                "the table 'A container, after 100 ms each' is missing"
            ]
        );
    }
}
