//! The facts for authors of exercises, as a document.

use super::row::{Reads, Row};
use super::table;

/// The document docs/exercise-facts.md, which a test compares.
pub fn reference() -> String {
    let mut text = String::from(BEGINNING);
    for (title, rows) in table::GROUPS {
        text += &format!("\n## {title}\n\n| fact | reads | what | source |\n|---|---|---|---|\n");
        rows.iter().for_each(|row| text += &line(row));
    }
    text
}

const BEGINNING: &str = "\
# Facts of exercises

What a requirement of an exercise can look at, as `fact = \"…\"` writes it. The checker reads all of it from the live
kernel. Words in capitals stand for yours, and `a|b` is one of both:

- `KIND`: cgroup, ipc, mnt, net, pid, time, user or uts.
- `PATH` begins with a slash. It counts from the process's own root, in its own mount namespace. It may hold blanks.
- `KEY`: a number, 0x2a as ipcs(1) shows it, or any.
- `CONTROLLER`: one of cgroups(7), such as pids.

What a fact reads says what it is compared with:

| reads | compared by |
|---|---|
| text | `is`, `is_not`, `contains` |
| number | `is`, `is_not`, `at_least`, `at_most` |
| text or number | those of both: a file that holds a number reads as one |
| yes or no | `is`, `is_not` |
| set | `has`, `lacks`; `is` with `none` or `all` |
| namespace | `new`, `same_as`, `differs_from` |

`exists` asks whether there is a value at all, and `is = \"none\"` is met where there is none. What the kernel refuses to
show is neither there nor absent: the checker says the call and its errno. The same holds for a process that has ended.

A line of the tables below was made from the code that reads the fact.
";

fn line(row: &Row) -> String {
    // In a table of Markdown, a bar ends the cell.
    let form = row.form.replace('|', "\\|");
    format!("| `{form}` | {} | {} | {} |\n", in_words(row.reads), row.about, row.source)
}

fn in_words(reads: Reads) -> &'static str {
    match reads {
        Reads::Text => "text",
        Reads::Number => "number",
        Reads::Either => "text or number",
        Reads::Flag => "yes or no",
        Reads::Set => "set",
        Reads::Namespace => "namespace",
    }
}
