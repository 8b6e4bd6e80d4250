//! The file of an exercise: TOML, and what must hold of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::Range;
use std::path::{Component, Path};

use toml::Spanned;

use crate::expect::Expect;
use crate::fact::Fact;
use crate::fault::{Fault, line_at};
use crate::model::{CGROUP, Exercise, Handout, NearMiss, Requirement, THIS_MACHINE, YOU};
use crate::need::Need;
use crate::seed::Seed;
use crate::shape::{File, Miss};
use crate::values::{Draw, Values, is_name};

/// What stands for a learner in every exercise, with a sample by which the file is checked.
pub(crate) const KNOWN: [&str; 4] = ["dir", "gid", "uid", "user"];

/// What is wrong, and the bytes where.
type Wrong = (Option<Range<usize>>, String);

impl Exercise {
    /// Reads the file at `path`, which is called as the exercise is, and `.toml`.
    ///
    /// # Errors
    /// What is wrong with it, in one line that names the file and the line.
    pub fn read(path: &Path) -> Result<Exercise, Fault> {
        let file = path.display().to_string();
        let fault = |why: String| Fault { file: file.clone(), line: None, why };
        let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let bytes = fs::read(path).map_err(|error| fault(error.to_string()))?;
        let text = String::from_utf8(bytes).map_err(|_| fault("it is no UTF-8; save it as such".into()))?;
        let top = path.parent().unwrap_or(Path::new("")).join("..");
        Exercise::parse(name, &text, &file, &|path| fs::read_to_string(top.join(path)).ok())
    }

    /// Reads the `text` of the exercise called `name`. `file` is what a fault names, and `given` reads a file by its path
    /// from the top of the checkout.
    ///
    /// # Errors
    /// As [`Exercise::read`].
    pub fn parse(
        name: &str,
        text: &str,
        file: &str,
        given: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Exercise, Fault> {
        read(name, text, given).map_err(|(span, why)| {
            let line = span.map(|span| line_at(text, span.start));
            Fault { file: file.into(), line, why }
        })
    }
}

fn read(name: &str, text: &str, given: &dyn Fn(&str) -> Option<String>) -> Result<Exercise, Wrong> {
    if !is_kebab(name) {
        let why = format!("'{name}' is no name for an exercise; rename the file to words-with-hyphens.toml");
        return Err((None, why));
    }
    let file: File = toml::from_str(text).map_err(|error| (error.span(), in_one_line(error.message())))?;
    if !(1..=10).contains(file.level.get_ref()) {
        return Err((Some(file.level.span()), "level is a number from 1 to 10".into()));
    }
    let needs =
        file.needs.iter().map(|need| Need::parse(need.get_ref()).map_err(|why| (Some(need.span()), why)));
    let needs = needs.collect::<Result<Vec<_>, _>>()?;
    let files = file.files.iter().map(|path| handout(path, given)).collect::<Result<_, _>>()?;
    let mut values = BTreeMap::new();
    for (name, draw) in file.values {
        let wrong = match name.get_ref() {
            name if !is_name(name) => Some(format!("'{name}' is no name for a value; use a-z, 0-9 and _")),
            name if KNOWN.contains(&name.as_str()) || name == CGROUP => {
                Some(format!("{{{name}}} is known already; choose another name"))
            }
            name => draw.fault().map(|why| format!("nothing can be drawn for {name}: {why}")),
        };
        if let Some(why) = wrong {
            return Err((Some(name.span()), why));
        }
        values.insert(name.into_inner(), draw);
    }
    let sample = sample(&values, &needs);
    let mut requirements: Vec<Requirement> = Vec::new();
    for ask in file.requirements {
        let span = ask.name.span();
        let at = |why| (Some(span.clone()), why);
        let name = ask.name.get_ref();
        if !is_kebab(name) || requirements.iter().any(|other| other.name == *name) {
            return Err(at(format!("'{name}' is no unique name in kebab-case; choose another")));
        }
        let fact = sample.fill(ask.fact.get_ref()).map_err(|name| unknown(text, &name, &sample))?;
        let reads = Fact::parse(&fact).map_err(|why| (Some(ask.fact.span()), why))?.reads();
        let requirement = ask.requirement().map_err(&at)?;
        if !requirement.expect.suits(reads) {
            let (name, fact) = (&requirement.name, &requirement.fact);
            return Err(at(format!(
                "'{name}' cannot compare `{fact}` so; it takes {}",
                Expect::suitable(reads)
            )));
        }
        requirements.push(requirement);
    }
    let exercise = Exercise {
        name: name.into(),
        title: file.title,
        level: file.level.into_inner(),
        lesson: file.lesson,
        needs,
        files,
        minutes: file.minutes,
        task: file.task,
        explanation: file.explanation,
        values,
        requirements,
        solution: file.solution.map(|solution| solution.steps),
        near_misses: Vec::new(),
    };
    let near_misses = misses(&exercise, file.near_misses)?;
    let exercise = Exercise { near_misses, ..exercise };
    check(&exercise)?;
    exercise.fill(&sample).map_err(|name| unknown(text, &name, &sample))?;
    Ok(exercise)
}

fn misses(exercise: &Exercise, misses: Vec<Miss>) -> Result<Vec<NearMiss>, Wrong> {
    let near_miss = |miss: Miss| match exercise.requirement(miss.fails.get_ref()) {
        Some(_) => Ok(NearMiss { what: miss.what, steps: miss.steps, fails: miss.fails.into_inner() }),
        None => {
            let why =
                format!("no requirement is called '{}'; name the one that is not met", miss.fails.get_ref());
            Err((Some(miss.fails.span()), why))
        }
    };
    misses.into_iter().map(near_miss).collect()
}

/// What holds between the parts of a file.
fn check(exercise: &Exercise) -> Result<(), Wrong> {
    if exercise.requirements.is_empty() {
        return Err((None, "it has no [[requirement]]; write what the machine must show".into()));
    }
    let subjects: BTreeSet<&str> = exercise.requirements.iter().map(|it| it.of.as_str()).collect();
    let is_known = |other: &str| other == YOU || other == THIS_MACHINE || subjects.contains(other);
    for requirement in &exercise.requirements {
        if let Some(other) = requirement.expect.other().filter(|other| !is_known(other)) {
            let why = format!(
                "'{}' compares with '{other}', and no requirement is of that; write {YOU}, or the words of another's `of`",
                requirement.name
            );
            return Err((None, why));
        }
    }
    Ok(())
}

fn handout(path: &Spanned<String>, given: &dyn Fn(&str) -> Option<String>) -> Result<Handout, Wrong> {
    let name = path.get_ref();
    let is_plain = |part: Component<'_>| matches!(part, Component::Normal(_));
    let text = if Path::new(name).components().all(is_plain) { given(name) } else { None };
    let text = text.ok_or_else(|| {
        (
            Some(path.span()),
            format!("files has '{name}', which is no file; name its path from the checkout's top"),
        )
    })?;
    Ok(Handout { path: name.clone(), text })
}

/// Values as some learner might get them.
fn sample(draws: &BTreeMap<String, Draw>, needs: &[Need]) -> Values {
    let known = KNOWN.map(|name| (name, if name == "dir" { "/tmp".into() } else { "1000".to_string() }));
    let cgroup = Need::cgroup(needs).map(|_| (CGROUP, "/sys/fs/cgroup".to_string()));
    let known: Vec<_> = known.into_iter().chain(cgroup).collect();
    Values::draw(draws, &Seed::of("", "", "", 0), &known)
}

fn unknown(text: &str, name: &str, sample: &Values) -> Wrong {
    let there: Vec<_> = sample.iter().map(|(name, _)| format!("{{{name}}}")).collect();
    let at = text.find(&format!("{{{name}}}")).map(|at| at..at);
    (at, format!("{{{name}}} stands for no value; there are {}", there.join(", ")))
}

fn is_kebab(word: &str) -> bool {
    let plain = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    word.len() <= 40
        && word.starts_with(|first: char| first.is_ascii_lowercase())
        && word.split('-').all(plain)
}

fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::scalar::Scalar;

    const GOOD: &str = r#"title = "A hostname of its own"
level = 1
lesson = "uts-demo"
needs = ["user-namespaces"]
minutes = 3
task = """
Start a shell whose hostname is {name}.
"""
explanation = "It is a copy."

[values]
name = "word"
port = { from = 20000, to = 29999 }
flavour = { one_of = ["vanilla", "lemon"] }

[[requirement]]
name = "own-uts"
of = "the shell"
fact = "namespace uts"
new = true
hints = ["The idea.", "The tool.", "unshare --uts # {name}"]

[[requirement]]
name = "hostname"
of = "the shell"
fact = "hostname"
is = "{name}"

[solution]
steps = "hostname {name}"

[[near_miss]]
what = "none"
steps = "true"
fails = "hostname"
"#;

    fn parse(text: &str) -> Result<Exercise, String> {
        let given = |path: &str| (path == "docs/c/a.c").then(|| "int main;".to_string());
        Exercise::parse("own-hostname", text, "own-hostname.toml", &given).map_err(|fault| fault.to_string())
    }

    /// The fault when `old` is replaced by `new`.
    fn fault(old: &str, new: &str) -> String {
        assert!(GOOD.contains(old), "{old}");
        parse(&GOOD.replacen(old, new, 1)).unwrap_err()
    }

    #[test]
    fn a_good_file_is_read() {
        let exercise = parse(GOOD).unwrap();
        assert_eq!((exercise.level, exercise.requirements.len(), exercise.values.len()), (1, 2, 3));
        assert_eq!(exercise.requirements[1].expect, Expect::Is(Scalar::Text("{name}".into())));
        assert_eq!(exercise.near_misses[0].fails, "hostname");
        let students = parse(GOOD.split("[solution]").next().unwrap()).unwrap();
        assert_eq!((students.solution, students.near_misses), (None, Vec::new()));
    }

    #[test]
    fn each_fault_names_its_line_and_what_helps() {
        for (old, new, line, says) in [
            ("level = 1", "level = 11", 2, "level is a number from 1 to 10"),
            ("level = 1", "levle = 1", 2, "unknown field `levle`"),
            ("level = 1", "level = one", 2, "string values must be quoted"),
            ("\"user-namespaces\"", "\"users\"", 4, "needs has 'users'; choose from root, "),
            (
                "is {name}.",
                "is {nmae}.",
                7,
                "{nmae} stands for no value; there are {dir}, {flavour}, {gid}, {name}",
            ),
            ("name = \"word\"", "name = \"wrod\"", 12, "write \"word\", { from = 1, to = 9 }"),
            ("name = \"word\"", "uid = \"word\"", 12, "{uid} is known already"),
            ("name = \"word\"", "Name = \"word\"", 12, "'Name' is no name for a value"),
            (
                "from = 20000",
                "from = 30000",
                13,
                "nothing can be drawn for port: from 30000 is more than to 29999",
            ),
            ("[\"vanilla\", \"lemon\"]", "[]", 14, "nothing can be drawn for flavour: one_of has no entry"),
            ("name = \"own-uts\"", "name = \"Own\"", 17, "'Own' is no unique name in kebab-case"),
            ("name = \"hostname\"", "name = \"own-uts\"", 24, "'own-uts' is no unique name"),
            ("fact = \"namespace uts\"", "fact = \"namespcae uts\"", 19, "namespcae"),
            ("new = true", "new = true\nexists = true", 17, "'own-uts' needs exactly one of is, is_not, "),
            (
                "new = true",
                "at_least = 3",
                17,
                "cannot compare `namespace uts` so; it takes new, exists, same_as",
            ),
            ("is = \"{name}\"", "", 24, "'hostname' needs exactly one of is, "),
            ("fails = \"hostname\"", "fails = \"host\"", 35, "no requirement is called 'host'"),
        ] {
            let said = fault(old, new);
            let at = format!("own-hostname.toml, line {line}: ");
            assert!(said.starts_with(&at) && said.contains(says), "{old} -> {new}: {said}");
            assert!(!said.contains('\n'), "{said}");
        }
        let said = fault("new = true", "same_as = 'the other'");
        assert!(said.contains("compares with 'the other', and no requirement is of that"), "{said}");
        assert!(parse("title = 1").unwrap_err().contains("line 1: "));
        assert!(parse("").unwrap_err().contains("missing field `title`"));
    }

    #[test]
    fn a_cgroup_is_known_where_one_is_needed() {
        let text =
            GOOD.replace("\"user-namespaces\"", "\"controller pids\"").replace("is {name}.", "is {cgroup}.");
        assert!(parse(&text).is_ok());
        let text = GOOD.replace("minutes = 3", "minutes = 3\nfiles = ['docs/c/a.c']");
        assert_eq!(parse(&text).unwrap().files[0].text, "int main;");
    }

    #[test]
    fn a_file_without_requirements_asks_nothing() {
        let text = GOOD.split("[[requirement]]").next().unwrap();
        assert!(parse(text).unwrap_err().contains("missing field `requirement`"));
        let empty = text.replace("[values]", "requirement = []\n[values]");
        assert!(parse(&empty).unwrap_err().contains("it has no [[requirement]]"));
    }

    #[test]
    fn a_name_is_that_of_a_file() {
        for name in ["", "A", "a--b", "-a", "a_b", "a b", "é", "../a"] {
            let said = Exercise::parse(name, GOOD, "x", &|_| None).unwrap_err().to_string();
            assert!(said.contains("is no name for an exercise; rename the file"), "{said}");
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let said = Exercise::read(Path::new("/nowhere/a.toml")).unwrap_err().to_string();
        assert!(said.starts_with("/nowhere/a.toml: No such file"), "{said}");
    }

    proptest! {
        #[test]
        fn a_damaged_file_is_no_panic(at in 0_usize..900, cut in 0_usize..900, text: String, some in "[\\[\\]={}\"'a-z \n.0-9]{0,12}") {
            let _ = parse(&text);
            let at = at.min(GOOD.len());
            let _ = parse(&format!("{}{some}{}", &GOOD[..at], &GOOD[at..]));
            let _ = parse(&GOOD[..cut.min(GOOD.len())]);
            let _ = parse(&format!("{}{some}{}", &GOOD[..at.min(cut)], &GOOD[cut.max(at).min(GOOD.len())..]));
        }
    }
}
