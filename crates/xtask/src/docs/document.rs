//! A document that quotes: its text, and what stands between its markers.

use anyhow::{Result, ensure};

const CLAIMS: &str = "<!-- claims";
const WRITTEN: &str = ": written by cargo xtask docs -->";
const END: &str = "<!-- end -->";

/// What a document quotes of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Run {
    /// The core on one screen: docs/NN-NAME.md.
    Screen,
    /// Every step and every claim, beside the list of claims: docs/reference/NN-NAME.md.
    Whole,
}

impl Run {
    /// How its marker begins.
    const fn marker(self) -> &'static str {
        match self {
            Run::Screen => "<!-- screen",
            Run::Whole => "<!-- transcript",
        }
    }

    /// The options that it is made with, as a reader would type them.
    pub(crate) const fn options(self) -> &'static [&'static str] {
        match self {
            Run::Screen => &["--stable", "--width", "80"],
            Run::Whole => &["--all", "--stable", "--width", "80"],
        }
    }
}

/// A document's text, cut at its markers.
#[derive(Debug)]
pub(crate) struct Document<'a> {
    lines: Vec<&'a str>,
    claims: Option<Block>,
    kind: Run,
    run: Block,
    /// The conditions that its run was made under, if it tells them, and the sum.
    pub(crate) made: Option<Made>,
}

/// A run's origin, as its marker tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Made {
    /// The kernel, the privilege, the cgroups, and perhaps the engine.
    pub(crate) conditions: String,
    /// cksum(1)'s of the run and the document's figures.
    pub(crate) sum: String,
}

/// The lines of a marker and of its end.
#[derive(Debug, Clone, Copy)]
struct Block {
    marker: usize,
    end: usize,
}

impl Document<'_> {
    /// Finds the markers.
    ///
    /// # Errors
    /// When there is not one of each that the document is to have, with its end.
    pub(crate) fn parse(text: &str, kind: Run) -> Result<Document<'_>> {
        let lines: Vec<_> = text.lines().collect();
        let run = block(&lines, |line| origin(line, kind).is_some());
        let claims = block(&lines, |line| line.strip_prefix(CLAIMS) == Some(WRITTEN));
        let Some(run) = run else {
            anyhow::bail!("needs one '{} …' marker with its '{END}'; see --help", kind.marker());
        };
        ensure!(
            claims.is_some() == (kind == Run::Whole),
            "the claims stand in docs/reference/, once, with their '{END}'; see --help"
        );
        if let Some(claims) = claims {
            let apart = claims.end < run.marker || run.end < claims.marker;
            ensure!(apart, "a marker stands before the '{END}' of another");
        }
        let made = origin(lines[run.marker], kind).and_then(made);
        Ok(Document { lines, claims, kind, run, made })
    }

    /// The run as it stands there, without the fence around it.
    pub(crate) fn run(&self) -> String {
        let inside = &self.lines[self.run.marker + 1..self.run.end];
        inside.iter().filter(|line| !line.starts_with("```")).map(|line| format!("{line}\n")).collect()
    }

    /// The figures that are drawn of its run: files in figures/. What a doc shows is its reference's.
    pub(crate) fn figures(&self) -> Vec<&str> {
        let shown = self.lines.iter().filter_map(|line| figure(line));
        shown.filter(|_| self.kind == Run::Whole).collect()
    }

    /// Its text with these claims, and with this run in the place of its own, if there is one.
    pub(crate) fn with(&self, claims: &str, run: Option<(&Made, &str)>) -> String {
        let mut text = String::new();
        let mut add = |line: &str| {
            text.push_str(line);
            text.push('\n');
        };
        let claims_at = self.claims.map(|block| block.marker);
        let ends = [Some(self.run.end), self.claims.map(|block| block.end)];
        let mut inside = false;
        for (index, line) in self.lines.iter().enumerate() {
            inside &= !ends.contains(&Some(index));
            let quote = if Some(index) == claims_at {
                Some(((*line).to_string(), "text", claims))
            } else if index == self.run.marker {
                run.map(|(Made { conditions, sum }, text)| {
                    let marker = format!("{} of {conditions}, sum {sum}{WRITTEN}", self.kind.marker());
                    (marker, "console", text)
                })
            } else {
                None
            };
            if let Some((marker, language, quoted)) = quote {
                add(&marker);
                add(&format!("```{language}"));
                quoted.lines().for_each(&mut add);
                add("```");
                inside = true;
            } else if !inside {
                add(line);
            }
        }
        text
    }
}

/// The one block that begins so, if it is one and has an end.
fn block(lines: &[&str], begins: impl Fn(&str) -> bool) -> Option<Block> {
    let mut markers = (0..lines.len()).filter(|index| begins(lines[*index]));
    let marker = markers.next().filter(|_| markers.next().is_none())?;
    let end = (marker..lines.len()).find(|index| lines[*index] == END)?;
    Some(Block { marker, end })
}

/// What a run's marker tells between its first word and its last; empty where it tells nothing.
fn origin(line: &str, kind: Run) -> Option<&str> {
    let told = line.strip_prefix(kind.marker())?.strip_suffix(WRITTEN)?;
    (told.is_empty() || told.starts_with(" of ")).then_some(told)
}

fn made(told: &str) -> Option<Made> {
    let told = told.strip_prefix(" of ")?;
    let (conditions, sum) = told.rsplit_once(", sum ").unwrap_or((told, ""));
    Some(Made { conditions: conditions.into(), sum: sum.into() })
}

fn figure(line: &str) -> Option<&str> {
    let path = line.strip_prefix("![")?.strip_suffix(')')?.rsplit_once("](")?.1;
    let path = path.strip_prefix("../").unwrap_or(path).strip_prefix("figures/")?;
    (path.ends_with(".svg") && !path.contains(')')).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# A question?

<!-- claims: written by cargo xtask docs -->
```text
old claims
```
<!-- end -->

![A tree](../figures/11-a-1.svg)

<!-- transcript of kernel 6.1, root, v2, cgroup paths: 1, sum 42: written by cargo xtask docs -->
```console
$ a
HOLDS
```
<!-- end -->

After.
";

    #[test]
    fn what_stands_between_the_markers_is_told() {
        let document = Document::parse(TEXT, Run::Whole).unwrap();
        let made = document.made.as_ref().unwrap();
        assert_eq!(
            (made.conditions.as_str(), made.sum.as_str()),
            ("kernel 6.1, root, v2, cgroup paths: 1", "42")
        );
        assert_eq!(document.run(), "$ a\nHOLDS\n");
        assert_eq!(document.figures(), ["11-a-1.svg"]);
    }

    #[test]
    fn claims_are_set_and_a_transcript_of_other_conditions_stays() {
        let document = Document::parse(TEXT, Run::Whole).unwrap();
        assert_eq!(document.with("old claims\n", None), TEXT);
        assert_eq!(document.with("new\nclaims\n", None), TEXT.replace("old claims", "new\nclaims"));
        let made = Made { conditions: "kernel 6.12, user, v1, cgroup paths: 2".into(), sum: "7".into() };
        let expected = TEXT
            .replace("kernel 6.1, root, v2, cgroup paths: 1, sum 42", &format!("{}, sum 7", made.conditions))
            .replace("HOLDS", "REFUTED");
        assert_eq!(document.with("old claims\n", Some((&made, "$ a\nREFUTED\n"))), expected);
    }

    #[test]
    fn empty_blocks_are_filled() {
        let empty = "<!-- claims: written by cargo xtask docs -->\n<!-- end -->\n\
                     <!-- transcript: written by cargo xtask docs -->\n<!-- end -->\n";
        let document = Document::parse(empty, Run::Whole).unwrap();
        assert_eq!(document.made, None);
        let made = Made { conditions: "c".into(), sum: "1".into() };
        let filled = document.with("claim\n", Some((&made, "$ a\n")));
        let document = Document::parse(&filled, Run::Whole).unwrap();
        assert_eq!((document.run().as_str(), document.made), ("$ a\n", Some(made)));
    }

    #[test]
    fn markers_that_lack_or_stand_twice_are_refused() {
        let claims = "<!-- claims: written by cargo xtask docs -->\n";
        for bad in [
            TEXT.replace(claims, ""),
            TEXT.replace(claims, &claims.repeat(2)),
            TEXT.replace("<!-- end -->\n\nAfter.\n", ""),
            TEXT.replace("<!-- end -->\n\n![", "!["),
            TEXT.replace("<!-- transcript of", "<!-- transcript at"),
        ] {
            assert!(Document::parse(&bad, Run::Whole).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_doc_has_its_screen_and_no_claims() {
        let text = "# A?\n\n<!-- screen: written by cargo xtask docs -->\n<!-- end -->\n";
        let document = Document::parse(text, Run::Screen).unwrap();
        let made = Made { conditions: "c".into(), sum: "1".into() };
        let filled = document.with("", Some((&made, "$ a\n")));
        let document = Document::parse(&filled, Run::Screen).unwrap();
        assert_eq!((document.run().as_str(), document.made), ("$ a\n", Some(made)));
        assert!(Document::parse(text, Run::Whole).is_err() && Document::parse(TEXT, Run::Screen).is_err());
        let both = format!("{text}<!-- claims: written by cargo xtask docs -->\n<!-- end -->\n");
        assert!(Document::parse(&both, Run::Screen).is_err());
    }
}
