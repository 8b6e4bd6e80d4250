//! A command in lines that can be pasted.

use shlex::Shlex;
use unicode_width::UnicodeWidthStr;

use super::lines::{indents, shown};

/// What ends a line of which the next is the rest: the shell takes both away, in `sh -c '…'` too.
const GOES_ON: &str = " \\";
/// The same for the parser of words, to which a backslash that begins a word is an empty word.
const BREAK: &str = "\\\n ";

/// A shell command in lines of at most `width` columns, of which the `first` and the `rest` begin so.
///
/// A line ends with a backslash where that means the same to the shell: between words, in the script of a
/// `sh -c '…'` too, never inside quotes or a comment. What cannot be broken so stays whole, however long it is: a
/// terminal shows it in two rows and copies it as one line.
pub(super) fn lines(command: &str, width: usize, first: &str, rest: &str) -> String {
    let (first, rest) = indents(width, first, rest);
    fold(&shown(command), width, first, rest)
}

fn fold(command: &str, width: usize, first: &str, rest: &str) -> String {
    let mut lines = String::new();
    let (mut begun, mut indent) = (0, first);
    // What is already in lines, for the parser of words.
    let mut set = String::new();
    loop {
        let left = &command[begun..];
        let line = left.split('\n').next().unwrap_or_default();
        let means_the_same =
            |at: usize| same(command, &format!("{set}{}{BREAK}{rest}{}", &left[..at], &left[at + 1..]));
        let (end, goes_on, broken) = match place(line, width.saturating_sub(indent.width()), means_the_same) {
            Some(at) => (at, GOES_ON, format!("{BREAK}{rest}")),
            None => (line.len(), "", "\n".into()),
        };
        lines += &format!("{indent}{}{goes_on}\n", &left[..end]);
        if end == left.len() {
            return lines;
        }
        set += &format!("{}{broken}", &left[..end]);
        (begun, indent) = (begun + end + 1, rest);
    }
}

/// The blank at which a line that is too long is broken. Of those that may be, it is the last that fits into `room`
/// columns, better one between two commands if that leaves the line half full. Where none fits, it is the first.
fn place(line: &str, room: usize, may: impl Fn(usize) -> bool) -> Option<usize> {
    if line.width() <= room {
        return None;
    }
    let blanks: Vec<usize> =
        line.match_indices(' ').map(|(at, _)| at).filter(|at| *at > 0 && may(*at)).collect();
    let columns = |at: usize| line[..at].width() + GOES_ON.width();
    let fitting = &blanks[..blanks.partition_point(|at| columns(*at) <= room)];
    let between = |at: &&usize| line[..**at].ends_with([';', '|', '&']) && columns(**at) * 2 > room;
    fitting.iter().rfind(between).or(fitting.last()).or(blanks.first()).copied()
}

/// Whether two commands are the same words, those of scripts for `sh -c` included.
fn same(one: &str, other: &str) -> bool {
    let (Some(one), Some(other)) = (words(one), words(other)) else { return false };
    let script = |at: usize| at >= 2 && one[at - 1] == "-c" && is_shell(&one[at - 2]);
    one.len() == other.len()
        && (0..one.len()).all(|at| one[at] == other[at] || script(at) && same(&one[at], &other[at]))
}

fn is_shell(word: &str) -> bool {
    ["sh", "bash", "dash"].contains(&word.rsplit('/').next().unwrap_or(word))
}

/// The words of a command; none when a quote stays open.
fn words(command: &str) -> Option<Vec<String>> {
    let mut words = Shlex::new(command);
    let all = words.by_ref().collect();
    (!words.had_error).then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(command: &str, width: usize) -> String {
        fold(command, width, "$ ", "    ").trim_end().to_string()
    }

    #[test]
    fn a_command_breaks_between_words() {
        assert_eq!(
            folded("unshare --user --pid --fork sleep 60", 24),
            "$ unshare --user --pid \\\n    --fork sleep 60"
        );
        assert_eq!(
            folded("unshare --user --pid --fork sleep 60", 38),
            "$ unshare --user --pid --fork sleep 60"
        );
    }

    #[test]
    fn a_script_breaks_and_a_text_does_not() {
        assert_eq!(
            folded("unshare -U sh -c 'id -u; echo one two'", 31),
            "$ unshare -U sh -c 'id -u; \\\n    echo one two'"
        );
        assert_eq!(
            folded("sh -c 'echo \"one two\" three'", 19),
            "$ sh -c 'echo \\\n    \"one two\" \\\n    three'"
        );
        assert_eq!(
            folded("printf '%s and %s\\n' one two", 12),
            "$ printf \\\n    '%s and %s\\n' \\\n    one two"
        );
    }

    #[test]
    fn a_line_break_of_its_own_stays() {
        assert_eq!(
            folded("perl -e 'one;\ntwo and three' four", 20),
            "$ perl -e 'one;\n    two and three' \\\n    four"
        );
    }

    #[test]
    fn a_comment_stays_one() {
        assert_eq!(folded("true # it says nothing", 12), "$ true \\\n    # it says nothing");
    }
}
