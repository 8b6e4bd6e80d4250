//! results.json, as Gradescope's autograder reads it
//! (<https://gradescope-autograders.readthedocs.io/en/latest/specs/>).

use anyhow::Result;
use ns_core::printable;
use serde::Serialize;

use super::results::Student;
use super::said::why;

#[derive(Debug, Serialize)]
struct Results {
    score: f64,
    output: String,
    visibility: &'static str,
    tests: Vec<Test>,
}

#[derive(Debug, Serialize)]
struct Test {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_score: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    output: String,
    /// `hidden` is for teachers alone.
    visibility: &'static str,
}

/// One student's file.
///
/// # Errors
/// None that serde_json documents for these types.
pub(super) fn results(student: &Student<'_>) -> Result<String> {
    let mut tests: Vec<Test> = student
        .marks
        .iter()
        .map(|mark| Test {
            name: format!("{}: {}", mark.exercise, mark.title),
            score: Some(mark.points),
            max_score: Some(mark.of),
            status: Some(if mark.best.is_some() { "passed" } else { "failed" }),
            output: why(mark).join("\n"),
            visibility: "visible",
        })
        .collect();
    // Flags are for the teacher to judge, and some name another student.
    tests.extend(student.flags.iter().map(|flag| Test {
        name: "to look at".into(),
        score: None,
        max_score: None,
        status: None,
        output: printable(&flag.text),
        visibility: "hidden",
    }));
    let output = format!(
        "{}: {} of {} points, {} of {} exercises done",
        printable(student.name),
        student.points(),
        student.of(),
        student.done(),
        student.marks.len()
    );
    let results = Results { score: student.points(), output, visibility: "visible", tests };
    Ok(serde_json::to_string_pretty(&results)? + "\n")
}

/// A name for a student's file, that no other student's has, whatever the student is called.
pub(super) fn file_name(student: &str, taken: &[String]) -> String {
    let plain: String =
        student.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(60).collect();
    let named = (1..).map(|at| if at == 1 { format!("{plain}.json") } else { format!("{plain}-{at}.json") });
    named.into_iter().find(|name| !taken.contains(name)).unwrap_or(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leaves_the_directory_or_takes_another_students() {
        let mut taken = Vec::new();
        for (student, name) in
            [("Ann Lee", "Ann-Lee.json"), ("Ann/Lee", "Ann-Lee-2.json"), ("../x", "---x.json")]
        {
            assert_eq!(file_name(student, &taken), name);
            taken.push(name.into());
        }
    }
}
