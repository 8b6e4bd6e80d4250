//! class.csv: a row a student.

use anyhow::Result;

use super::results::Student;

/// What a spreadsheet takes for the beginning of a formula.
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// The table, with a head.
///
/// # Errors
/// None that the csv crate documents for memory.
pub(super) fn csv(students: &[Student<'_>]) -> Result<Vec<u8>> {
    let mut table = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    let head = ["student", "points", "of", "done", "late", "hints", "solutions", "flags", "file"];
    let exercises = students.first().map_or(&[][..], |student| &student.marks);
    table.write_record(head.into_iter().chain(exercises.iter().map(|mark| mark.exercise)).map(cell))?;
    for student in students {
        let flags: Vec<_> = student.flags.iter().map(|flag| flag.text.as_str()).collect();
        let file = student.handed.map_or_else(String::new, |handed| handed.path.display().to_string());
        let mut row = vec![student.name.into(), student.points().to_string(), student.of().to_string()];
        let counts = [student.done(), student.late(), student.hints(), student.solutions()];
        row.extend(counts.iter().map(ToString::to_string));
        row.extend([flags.join("; "), file]);
        // Nothing for what was not begun, which 0 points would hide.
        row.extend(student.marks.iter().map(|mark| match mark.attempts {
            0 => String::new(),
            _ => mark.points.to_string(),
        }));
        table.write_record(row.iter().map(|text| cell(text)))?;
    }
    Ok(table.into_inner()?)
}

/// Text that a spreadsheet shows and does not calculate.
fn cell(text: &str) -> String {
    let text = ns_core::printable(text);
    if text.starts_with(FORMULA) { format!("'{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_formula_is_shown_and_not_calculated() {
        let shown = ["=1+1", "+1", "-1", "@x", "\t=1", "Ann, Lee"].map(cell);
        assert_eq!(shown, ["'=1+1", "'+1", "'-1", "'@x", "\\t=1", "Ann, Lee"]);
    }
}
