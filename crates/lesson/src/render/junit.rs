//! JUnit's XML, as continuous integration and graders read it: a suite an experiment, a case a claim.

use std::io::{self, Write};

use quick_xml::events::{BytesDecl, BytesText, Event as Xml};
use quick_xml::writer::Writer;

use super::Renderer;
use super::account::{Account, Result};
use crate::event::Event;

/// Writes suites, each when its experiment has ended: a suite begins with how many of its cases failed.
pub struct Junit<W: Write> {
    out: Writer<W>,
    account: Account,
    cases: Vec<(String, Result)>,
    begun: bool,
}

impl<W: Write> Junit<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Junit<W> {
        let out = Writer::new_with_indent(out, b' ', 2);
        Junit { out, account: Account::default(), cases: Vec::new(), begun: false }
    }

    fn begin(&mut self) -> io::Result<()> {
        if !std::mem::replace(&mut self.begun, true) {
            self.out.write_event(Xml::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
            let root = quick_xml::events::BytesStart::new("testsuites");
            self.out.write_event(Xml::Start(root))?;
        }
        Ok(())
    }

    fn suite(&mut self, nanoseconds: u64) -> io::Result<()> {
        let cases = std::mem::take(&mut self.cases);
        let count = |wanted: fn(&Result) -> bool| {
            cases.iter().filter(|(_, result)| wanted(result)).count().to_string()
        };
        let experiment = self.account.experiment.as_str();
        let seconds = format!("{}.{:03}", nanoseconds / 1_000_000_000, nanoseconds / 1_000_000 % 1000);
        self.out
            .create_element("testsuite")
            .with_attributes([
                ("name", experiment),
                ("tests", count(|_| true).as_str()),
                ("failures", count(|it| matches!(it, Result::Failed(..))).as_str()),
                ("errors", count(|it| matches!(it, Result::Broken(_))).as_str()),
                ("skipped", count(|it| matches!(it, Result::Skipped(_))).as_str()),
                ("time", seconds.as_str()),
            ])
            .write_inner_content(|suite| {
                cases.iter().try_for_each(|(name, result)| case(suite, experiment, name, result))
            })?;
        Ok(())
    }
}

fn case<W: Write>(suite: &mut Writer<W>, experiment: &str, name: &str, result: &Result) -> io::Result<()> {
    let case = suite.create_element("testcase").with_attributes([("classname", experiment), ("name", name)]);
    match result {
        Result::Passed => case.write_empty()?,
        Result::Skipped(why) => case.write_inner_content(|case| {
            case.create_element("skipped").with_attribute(("message", why.as_str())).write_empty().map(drop)
        })?,
        Result::Failed(why, seen) => case.write_inner_content(|case| {
            let failure = case.create_element("failure").with_attribute(("message", why.as_str()));
            failure.write_text_content(BytesText::new(&seen.join("\n"))).map(drop)
        })?,
        Result::Broken(why) => case.write_inner_content(|case| {
            case.create_element("error").with_attribute(("message", why.as_str())).write_empty().map(drop)
        })?,
    };
    Ok(())
}

impl<W: Write> Renderer for Junit<W> {
    fn show(&mut self, event: &Event) -> io::Result<()> {
        self.begin()?;
        self.cases.extend(self.account.follow(event));
        if let Event::End { elapsed, .. } = event {
            self.suite(*elapsed)?;
        }
        self.out.get_mut().flush()
    }

    fn finish(&mut self) -> io::Result<()> {
        self.begin()?;
        self.out.write_event(Xml::End(quick_xml::events::BytesEnd::new("testsuites")))?;
        writeln!(self.out.get_mut())?;
        self.out.get_mut().flush()
    }
}
