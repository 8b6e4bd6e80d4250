//! The tables of the page. The words around them are written by hand.

use anyhow::{Context, Result};

use super::data::{Machine, RUNTIMES, Story};

/// What stands above a table; it ends at the next empty line.
const MARK: &str = "<!-- cargo xtask runtimes: ";

/// The tables, each with the questions of ns-trace that it answers.
const TABLES: [(&str, &[&str]); 8] = [
    ("namespaces", &["made by"]),
    ("maps", &["user map", "group map", "maps written by"]),
    ("root", &["root directory", "propagation"]),
    ("mounts", &["mounts", "mount calls"]),
    ("cgroups", &["cgroups", "limits"]),
    ("network", &["network"]),
    ("capabilities", &["capabilities at last", "given up for good"]),
    ("seccomp", &["seccomp filters", "no_new_privs"]),
];

/// As many items of an answer are shown, where it has many more.
const ITEMS: usize = 14;

/// Where cgroups are mounted.
const CGROUPS: &str = "/sys/fs/cgroup/";

/// The hierarchies of a machine that has cgroup v1 too.
const HIERARCHIES: [&str; 10] =
    ["blkio", "cpu", "cpuacct", "cpuset", "devices", "freezer", "memory", "pids", "systemd", "unified"];

/// Of a writer of more files no values are shown.
const VALUES: usize = 6;

/// What stands between the items of an answer.
const BETWEEN: &str = "; ";

/// As many digits of a container's ID are shown: as Docker does.
const DIGITS: usize = 12;

/// The page with the tables of these traces.
///
/// # Errors
/// When the page has no place for one, or a question has no answer.
pub(super) fn with(page: &str, machine: &Machine, stories: &[Story]) -> Result<String> {
    let mut text = replaced(page, "machine", &about(machine))?;
    for (name, questions) in TABLES {
        text = replaced(&text, name, &table(questions, stories)?)?;
    }
    Ok(text)
}

/// The text with another table below the mark of this name.
fn replaced(text: &str, name: &str, table: &str) -> Result<String> {
    let mark = format!("{MARK}{name} -->\n");
    let (before, rest) =
        text.split_once(&mark).with_context(|| format!("the page has no line '{}'", mark.trim_end()))?;
    let end = rest.find("\n\n").context("below a table there is no empty line")?;
    Ok(format!("{before}{mark}{table}{}", &rest[end + 1..]))
}

fn about(machine: &Machine) -> String {
    let mut text = String::from("| runtime | command |\n|---|---|\n");
    for (name, command) in RUNTIMES.iter().zip(&machine.commands) {
        text += &format!("| {name} | `{command}` |\n");
    }
    text + &format!("| machine | {}; {} |\n", machine.system, machine.versions.join(", "))
}

fn table(questions: &[&str], stories: &[Story]) -> Result<String> {
    let mut text = format!("| runtime | {} |\n", questions.join(" | "));
    text += &format!("|---|{}\n", "---|".repeat(questions.len()));
    for (name, story) in RUNTIMES.iter().zip(stories) {
        text += &format!("| {name} |");
        for question in questions {
            let answer = story.answers.get(*question);
            let answer = answer.with_context(|| format!("ns-trace does not answer '{question}'"))?;
            let answer = if *question == "limits" { limits(answer) } else { answer.clone() };
            text += &format!(" {} |", cell(&answer));
        }
        text.push('\n');
    }
    Ok(text)
}

/// An answer as a cell: a few of its items, and how many there are more.
fn cell(answer: &str) -> String {
    let short = without_ids(answer);
    let mut items = match short.starts_with(CGROUPS) {
        true => cgroups(&short),
        false => repeated(short.split(BETWEEN)),
    };
    let more = items.len().saturating_sub(ITEMS);
    // One more is no shorter.
    if more > 1 {
        items.truncate(ITEMS);
        items.push(format!("and {more} more"));
    }
    items.join(BETWEEN).replace('|', "\\|").replace('*', "\\*").replace('<', "&lt;")
}

/// Writes to files: of each writer the last value of each file, in few words where there are many.
fn limits(answer: &str) -> String {
    let mut writers: Vec<(&str, Vec<(&str, &str)>)> = Vec::new();
    let mut current = "";
    for item in answer.split(BETWEEN) {
        let (who, write) = item.split_once(": ").unwrap_or((current, item));
        current = who;
        let (file, value) = write.split_once(' ').unwrap_or((write, ""));
        if !writers.iter().any(|(name, _)| *name == who) {
            writers.push((who, Vec::new()));
        }
        let Some((_, files)) = writers.iter_mut().find(|(name, _)| *name == who) else { continue };
        files.retain(|(known, _)| *known != file);
        files.push((file, value));
    }
    let text = |(who, files): (&str, Vec<(&str, &str)>)| {
        let many = files.len() > VALUES;
        let one =
            |(file, value): (&str, &str)| if many { file.to_string() } else { format!("{file} {value}") };
        format!("{who}: {}", files.into_iter().map(one).collect::<Vec<_>>().join(", "))
    };
    if answer == "no" {
        return answer.into();
    }
    writers.into_iter().map(text).collect::<Vec<_>>().join(BETWEEN)
}

/// What stands several times in a row stands once, with its number.
fn repeated<'a>(all: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut items: Vec<(&str, usize)> = Vec::new();
    for item in all {
        match items.last_mut() {
            Some((last, count)) if *last == item => *count += 1,
            _ => items.push((item, 1)),
        }
    }
    let counted = |(item, count): (&str, usize)| match count {
        1 => item.to_string(),
        many => format!("{item} ({many} times)"),
    };
    items.into_iter().map(counted).collect()
}

/// The cgroups of these paths, each with the hierarchies of cgroup v1 in which it is.
fn cgroups(paths: &str) -> Vec<String> {
    let mut known: Vec<(&str, Vec<&str>)> = Vec::new();
    for path in paths.split(", ") {
        let path = path.strip_prefix(CGROUPS).unwrap_or(path);
        let (hierarchy, cgroup) = match path.split_once('/') {
            Some((first, rest)) if HIERARCHIES.contains(&first) => (Some(first), rest),
            _ => (None, path),
        };
        match known.iter_mut().find(|(name, _)| *name == cgroup) {
            Some((_, hierarchies)) => hierarchies.extend(hierarchy),
            None => known.push((cgroup, hierarchy.into_iter().collect())),
        }
    }
    let text = |(cgroup, hierarchies): (&str, Vec<&str>)| match &hierarchies[..] {
        [] => cgroup.into(),
        [one] => format!("{cgroup} in {one}"),
        many => format!("{cgroup} in {} hierarchies", many.len()),
    };
    known.into_iter().map(text).collect()
}

/// Cuts what only IDs of containers are: long hexadecimal numbers.
fn without_ids(text: &str) -> String {
    const LONG: usize = 32;
    let mut short = String::new();
    let mut digits = String::new();
    for character in text.chars().chain(['\0']) {
        if character.is_ascii_hexdigit() {
            digits.push(character);
            continue;
        }
        if digits.len() >= LONG {
            digits.truncate(DIGITS);
            digits.push('…');
        }
        short += &std::mem::take(&mut digits);
        short.push(character);
    }
    short.pop();
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_takes_the_place_of_the_one_before() {
        let page = "# A\n\n<!-- cargo xtask runtimes: root -->\n| old |\n|---|\n\nAnd more.\n";
        let text = replaced(page, "root", "| new |\n|---|\n").unwrap();
        assert_eq!(text, page.replace("old", "new"));
        assert!(replaced(page, "moon", "").is_err());
    }

    #[test]
    fn each_writer_has_its_files_with_the_last_values() {
        assert_eq!(limits("no"), "no");
        let all = "systemd: pids.max 9; memory.max max; pids.max 8; runc: pids.max 7; systemd: memory.max 6";
        assert_eq!(limits(all), "systemd: pids.max 8, memory.max 6; runc: pids.max 7");
        let many: Vec<String> = (0..7).map(|at| format!("file{at}.max 1")).collect();
        assert!(limits(&format!("x: {}", many.join("; "))).starts_with("x: file0.max, file1.max, "));
    }

    #[test]
    fn long_answers_and_ids_are_cut() {
        let id = "0123456789abcdef".repeat(4);
        assert_eq!(cell(&format!("/docker-{id}.scope, /b")), "/docker-0123456789ab….scope, /b");
        let many: Vec<String> = (0..20).map(|at| format!("item {at}")).collect();
        assert!(cell(&many.join("; ")).ends_with("item 13; and 6 more"));
        assert_eq!(cell(&many[..10].join("; ")), many[..10].join("; "));
        assert_eq!(cell("a; b; b; a"), "a; b (2 times); a");
        let cgroups =
            ["cpu", "memory", "unified"].map(|it| format!("/sys/fs/cgroup/{it}/lab/{id}")).join(", ");
        assert_eq!(cell(&cgroups), "lab/0123456789ab… in 3 hierarchies");
        assert_eq!(cell("/sys/fs/cgroup/pids/a, /sys/fs/cgroup/system.slice/b"), "a in pids; system.slice/b");
        assert_eq!(cell("1: a 2, b | 3"), "1: a 2, b \\| 3");
    }
}
