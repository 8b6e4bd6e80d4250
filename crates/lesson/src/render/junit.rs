//! JUnit's XML, as continuous integration and graders read it: a suite an experiment, a case a claim.

use std::io::{self, Write};
use std::time::Duration;

use chrono::DateTime;
use ns_core::printable;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::account::{Account, Result, named};
use super::renderer::Renderer;
use transcript::Event;

/// Writes all suites when the last has ended: the file begins with how many of its cases failed.
pub struct Junit<W: Write> {
    out: W,
    account: Account,
    cases: Vec<TestCase>,
    /// Under which conditions: of the experiment that runs.
    properties: Vec<(&'static str, String)>,
    report: Report,
}

impl<W: Write> Junit<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Junit<W> {
        Junit {
            out,
            account: Account::default(),
            cases: Vec::new(),
            properties: Vec::new(),
            report: Report::unnamed(),
        }
    }

    fn add_case(&mut self, name: String, result: &Result) {
        let mut case = TestCase::new(name, status(result));
        case.set_classname(self.account.experiment.as_str());
        self.cases.push(case);
    }

    fn end_suite(&mut self, elapsed: Duration) {
        let mut suite = TestSuite::new(self.account.experiment.as_str());
        suite.set_time(elapsed);
        suite.add_test_cases(self.cases.drain(..));
        for (name, value) in self.properties.drain(..) {
            match name {
                // They have places of their own.
                "host" => drop(suite.extra.insert("hostname".into(), value.into())),
                "time" => suite.timestamp = DateTime::parse_from_rfc3339(&value).ok(),
                _ => drop(suite.add_property((name, value.as_str()))),
            }
        }
        self.report.add_test_suite(suite);
    }
}

fn status(result: &Result) -> TestCaseStatus {
    let (mut status, why) = match result {
        Result::Passed => return TestCaseStatus::success(),
        Result::Skipped(why) => (TestCaseStatus::skipped(), why),
        Result::Failed(why, _) => (TestCaseStatus::non_success(NonSuccessKind::Failure), why),
        Result::Broken(why) => (TestCaseStatus::non_success(NonSuccessKind::Error), why),
    };
    status.set_message(why.as_str());
    match result {
        Result::Failed(_, seen) if !seen.is_empty() => drop(status.set_description(seen.join("\n"))),
        _ => {}
    }
    status
}

impl<W: Write> Renderer for Junit<W> {
    fn show(&mut self, event: &Event) -> io::Result<()> {
        if let Event::Begin { kernel, origin, .. } = event {
            self.properties = named(origin);
            self.properties.push(("kernel", printable(kernel)));
        }
        if let Some((name, result)) = self.account.follow(event) {
            self.add_case(name, &result);
        }
        if let Event::End { elapsed, .. } = event {
            self.end_suite(Duration::from_nanos(*elapsed));
        }
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        // In one piece, so that what fails is the writer's, and says that its reader has gone.
        let text = self.report.to_string().map_err(io::Error::other)?;
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }
}
