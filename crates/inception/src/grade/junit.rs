//! JUnit's XML: a suite a student, a case an exercise.

use std::time::Duration;

use anyhow::Result;
use ns_core::printable;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::marks::Mark;
use super::results::Student;
use super::said::why;

/// The report of a class.
///
/// # Errors
/// None that quick-junit documents for text.
pub(super) fn junit(students: &[Student<'_>]) -> Result<String> {
    let mut report = Report::unnamed();
    for student in students {
        let mut suite = TestSuite::new(printable(student.name));
        suite.add_property(("points", student.points().to_string().as_str()));
        suite.add_property(("of", student.of().to_string().as_str()));
        for flag in &student.flags {
            suite.add_property(("flag", printable(&flag.text).as_str()));
        }
        suite.add_test_cases(student.marks.iter().map(case));
        report.add_test_suite(suite);
    }
    Ok(report.to_string()?)
}

fn case(mark: &Mark<'_>) -> TestCase {
    let lines = why(mark);
    let status = if mark.best.is_some() {
        TestCaseStatus::success()
    } else {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
        status.set_message(lines.first().map_or("", String::as_str));
        status.set_description(lines.join("\n"));
        status
    };
    let mut case = TestCase::new(mark.exercise, status);
    case.set_classname(mark.title);
    if let Some(took) = mark.took().and_then(|took| u64::try_from(took).ok()) {
        case.set_time(Duration::from_millis(took));
    }
    if mark.best.is_some() {
        case.set_system_out(lines.join("\n"));
    }
    case
}
