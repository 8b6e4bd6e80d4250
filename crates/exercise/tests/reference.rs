//! The document of all facts, and the words that it has for them.

use exercise::{Fact, reference};

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/exercise-facts.md");

/// To write it anew: `WRITE_DOCS=1 cargo test -p exercise --test reference`.
#[test]
fn the_document_is_made_of_the_facts() {
    if std::env::var_os("WRITE_DOCS").is_some() {
        std::fs::write(DOCUMENT, reference()).unwrap();
    }
    let written = std::fs::read_to_string(DOCUMENT).unwrap();
    assert!(
        written == reference(),
        "docs/exercise-facts.md differs: WRITE_DOCS=1 cargo test -p exercise --test reference"
    );
}

/// Every form of the document, with words in the place of its variable ones: of a choice, each.
fn written() -> Vec<String> {
    let document = reference();
    let forms = document
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|it| it.0.replace("\\|", "|"));
    let is_fact = |form: &String| !["is", "has", "new"].contains(&form.as_str());
    forms.filter(is_fact).flat_map(|form| fillings(&form)).collect()
}

fn fillings(form: &str) -> Vec<String> {
    let mut all = vec![String::new()];
    for word in form.split(' ') {
        let words: Vec<&str> = match word {
            "KIND" => vec!["mnt", "pid"],
            "CONTROLLER" => vec!["pids"],
            "PATH" => vec!["/", "/a b"],
            "KEY|any" => vec!["0x2a", "-1", "any"],
            _ if word.contains('|') => word.split('|').collect(),
            word => vec![word],
        };
        all = all.iter().flat_map(|begun| words.iter().map(move |word| format!("{begun} {word}"))).collect();
    }
    all.iter().map(|words| words.trim_start().to_string()).collect()
}

#[test]
fn every_fact_of_the_document_is_read() {
    let all = written();
    assert!(all.len() > 90, "{}", all.len());
    for words in all {
        let fact = Fact::parse(&words).unwrap();
        // Twice the same words are the same fact, and a word too much is none.
        assert_eq!(Fact::parse(&format!("  {words} ")).unwrap(), fact);
        assert_ne!(Fact::parse(&format!("{words} zzz")).ok(), Some(fact), "{words}");
    }
}

#[test]
fn a_refusal_names_the_word_and_the_nearest() {
    for (words, why) in [
        ("hostnam", "fact 'hostnam': there is none that begins with 'hostnam'; the nearest is hostname"),
        ("", "fact '': it is empty; docs/exercise-facts.md has all facts"),
        (
            "namespace utz",
            "fact 'namespace utz': 'utz' is none of cgroup, ipc, net, mnt, pid, time, user, uts; the nearest is uts: namespace KIND",
        ),
        ("mount", "fact 'mount': PATH is missing: mount PATH"),
        ("mount proc", "fact 'mount proc': 'proc' is no path that begins with /: mount PATH"),
        (
            "capabilities efective",
            "fact 'capabilities efective': 'efective' is none of effective, permitted, inheritable, bounding, ambient; the nearest is effective: capabilities effective|permitted|inheritable|bounding|ambient",
        ),
        (
            "cgroup pid",
            "fact 'cgroup pid': 'pid' is none of blkio, cpu, cpuacct, cpuset, devices, freezer, hugetlb, io, memory, misc, net_cls, net_prio, perf_event, pids, rdma; the nearest is pids: cgroup CONTROLLER",
        ),
        ("hostname vm", "fact 'hostname vm': 'vm' is too much: hostname"),
    ] {
        assert_eq!(Fact::parse(words).unwrap_err(), why);
    }
}
