//! A document that quotes: its text, and what stands between its markers.

use anyhow::{Result, ensure};

const CLAIMS: &str = "<!-- claims: written by cargo xtask docs -->";
const TRANSCRIPT: &str = "<!-- transcript";
const WRITTEN: &str = ": written by cargo xtask docs -->";
const END: &str = "<!-- end -->";

/// A document's text, cut at its markers.
#[derive(Debug)]
pub(crate) struct Document<'a> {
    lines: Vec<&'a str>,
    claims: Block,
    transcript: Block,
    /// The conditions that its transcript was made under, if it tells them, and the sum.
    pub(crate) made: Option<Made>,
}

/// A transcript's origin, as its marker tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Made {
    /// The kernel, the privilege, the cgroups, and perhaps the engine.
    pub(crate) conditions: String,
    /// cksum(1)'s of the transcript and the document's figures.
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
    /// When there is not one of each, with its end.
    pub(crate) fn parse(text: &str) -> Result<Document<'_>> {
        let lines: Vec<_> = text.lines().collect();
        let claims = block(&lines, |line| line == CLAIMS);
        let transcript = block(&lines, |line| origin(line).is_some());
        let (Some(claims), Some(transcript)) = (claims, transcript) else {
            anyhow::bail!(
                "needs one 'claims' and one 'transcript' marker, each with its '{END}'; see --help"
            );
        };
        let apart = claims.end < transcript.marker || transcript.end < claims.marker;
        ensure!(apart, "a marker stands before the '{END}' of another");
        let made = origin(lines[transcript.marker]).and_then(made);
        Ok(Document { lines, claims, transcript, made })
    }

    /// The transcript as it stands there, without the fence around it.
    pub(crate) fn transcript(&self) -> String {
        let inside = &self.lines[self.transcript.marker + 1..self.transcript.end];
        inside.iter().filter(|line| !line.starts_with("```")).map(|line| format!("{line}\n")).collect()
    }

    /// The figures that it shows: files in figures/.
    pub(crate) fn figures(&self) -> Vec<&str> {
        self.lines.iter().filter_map(|line| figure(line)).collect()
    }

    /// Its text with these claims, and with this transcript in the place of its own, if there is one.
    pub(crate) fn with(&self, claims: &str, transcript: Option<(&Made, &str)>) -> String {
        let mut text = String::new();
        let mut add = |line: &str| {
            text.push_str(line);
            text.push('\n');
        };
        let mut inside = false;
        for (index, line) in self.lines.iter().enumerate() {
            inside &= ![self.claims.end, self.transcript.end].contains(&index);
            let quote = if index == self.claims.marker {
                Some(((*line).to_string(), "text", claims))
            } else if index == self.transcript.marker {
                transcript.map(|(Made { conditions, sum }, text)| {
                    (format!("{TRANSCRIPT} of {conditions}, sum {sum}{WRITTEN}"), "console", text)
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

/// What a transcript's marker tells between its first word and its last; empty where it tells nothing.
fn origin(line: &str) -> Option<&str> {
    let told = line.strip_prefix(TRANSCRIPT)?.strip_suffix(WRITTEN)?;
    (told.is_empty() || told.starts_with(" of ")).then_some(told)
}

fn made(told: &str) -> Option<Made> {
    let told = told.strip_prefix(" of ")?;
    let (conditions, sum) = told.rsplit_once(", sum ").unwrap_or((told, ""));
    Some(Made { conditions: conditions.into(), sum: sum.into() })
}

fn figure(line: &str) -> Option<&str> {
    let path = line.strip_prefix("![")?.strip_suffix(')')?.rsplit_once("](figures/")?.1;
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

![A tree](figures/11-a-1.svg)

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
        let document = Document::parse(TEXT).unwrap();
        let made = document.made.as_ref().unwrap();
        assert_eq!(
            (made.conditions.as_str(), made.sum.as_str()),
            ("kernel 6.1, root, v2, cgroup paths: 1", "42")
        );
        assert_eq!(document.transcript(), "$ a\nHOLDS\n");
        assert_eq!(document.figures(), ["11-a-1.svg"]);
    }

    #[test]
    fn claims_are_set_and_a_transcript_of_other_conditions_stays() {
        let document = Document::parse(TEXT).unwrap();
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
        let document = Document::parse(empty).unwrap();
        assert_eq!(document.made, None);
        let made = Made { conditions: "c".into(), sum: "1".into() };
        let filled = document.with("claim\n", Some((&made, "$ a\n")));
        let document = Document::parse(&filled).unwrap();
        assert_eq!((document.transcript().as_str(), document.made), ("$ a\n", Some(made)));
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
            assert!(Document::parse(&bad).is_err(), "{bad}");
        }
    }
}
