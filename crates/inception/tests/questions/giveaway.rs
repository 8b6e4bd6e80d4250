//! Whether what stands on a screen gives the answer to a question away.

/// Words that say nothing alone.
const SMALL: &str = " a an and as at be by from for has have his in is it its no not of on so than that the their them \
                     then they this to too was what where which who will with ";

/// The line above a question that gives its right answer away, if one does: it has the answer, word for word; or, of an
/// answer that is a bare value (`EPERM`, `1`, `OK`), that value beside a name of what is asked about (`getppid()`,
/// `cgroup.procs`); or nearly all of the answer's words, beside many of the question's.
pub(crate) fn line<'a>(above: &'a str, question: &str, answer: &str) -> Option<&'a str> {
    let (bare, names) = (plain(answer), names(question));
    let (of_answer, of_question) = (large(answer), large(question));
    let is_value = !bare.contains(' ');
    let gives_away = |line: &&str| {
        let (text, of_line) = (format!(" {} ", plain(line)), large(line));
        let share = |words: &[String]| {
            let there = words.iter().filter(|word| of_line.contains(word)).count();
            100 * there / words.len().max(1)
        };
        let is_named = names.iter().any(|name| line.contains(name));
        let is_there = text.contains(&format!(" {bare} "));
        let is_beside = share(&of_answer) >= 80 && share(&of_question) >= 25;
        let is_said = of_answer.len() > 1 && (is_beside || share(&of_answer) == 100 && is_named);
        if is_value { is_there && is_named } else { is_there || is_said }
    };
    above.lines().flat_map(|line| line.split_inclusive(". ")).find(gives_away).map(str::trim)
}

/// A text without case and signs.
fn plain(text: &str) -> String {
    let is_of_a_word = |it: char| it.is_alphanumeric() || "/_-+".contains(it);
    let spaced: String =
        text.to_lowercase().chars().map(|it| if is_of_a_word(it) { it } else { ' ' }).collect();
    spaced.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Its words, without the small ones, each once.
fn large(text: &str) -> Vec<String> {
    let mut words: Vec<String> = plain(text).split(' ').map(String::from).collect();
    words.retain(|word| !word.is_empty() && !SMALL.contains(&format!(" {word} ")));
    words.sort();
    words.dedup();
    words
}

/// The names in a question: of calls, flags and files, as they are typed.
fn names(question: &str) -> Vec<&str> {
    let words = question.split(|it: char| it.is_whitespace() || "`,:?;".contains(it));
    words.filter_map(name).filter(|name| name.len() > 2).collect()
}

fn name(word: &str) -> Option<&str> {
    let whole = word.trim_end_matches('.');
    let is_flag =
        whole.len() > 4 && whole.chars().all(|it| it.is_ascii_uppercase() || "_0123456789".contains(it));
    match whole.find('(') {
        Some(at) => Some(&whole[..=at]),
        None => (is_flag || whole.contains(['/', '.', '_'])).then_some(whole),
    }
}

#[test]
fn an_answer_word_for_word_is_given_away() {
    let above = "   - `unshare` moves its caller.\nHOLDS    The kernel Kills it: at once. And so on.";
    assert!(line(above, "What happens?", "the kernel kills it, at once").is_some());
    assert_eq!(line(above, "What happens?", "the kernel drops it later"), None);
}

#[test]
fn a_value_is_given_away_beside_what_is_asked_about() {
    let question = "Which PID does getppid() return in it?";
    assert_eq!(line("getpid() = 0\nx = 0; getppid() = 0", question, "0"), Some("x = 0; getppid() = 0"));
    assert_eq!(line("getpid() = 0\ngetppid() = 10", question, "0"), None);
    assert!(
        line("echo > cgroup.procs = EINVAL", "What does a write to cgroup.procs give?", "EINVAL").is_some()
    );
}

#[test]
fn an_answer_in_other_words_beside_the_question_is_given_away() {
    let question = "After unshare() and fork(), in which new namespaces is the child alone?";
    let said = "unshare() is known to leave the caller's PID; time is the newer exception.";
    assert!(line(said, question, "PID and time").is_some());
    assert_eq!(line("PID and, later, time namespaces came.", question, "PID and time"), None);
}
