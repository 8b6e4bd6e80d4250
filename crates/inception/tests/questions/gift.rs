//! A reader of GIFT, as far as questions with one right answer go (docs.moodle.org/en/GIFT_format).

/// A question as Moodle takes it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Question {
    pub(crate) category: String,
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) answers: Vec<Answer>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) right: bool,
    pub(crate) text: String,
    pub(crate) feedback: Option<String>,
}

/// The questions in a file: what stands between blank lines is a category or a question.
///
/// # Panics
/// Where the text is no GIFT.
pub(crate) fn read(text: &str) -> Vec<Question> {
    let (mut questions, mut category) = (Vec::new(), String::new());
    for block in text.split("\n\n").map(str::trim).filter(|block| !block.is_empty()) {
        if let Some(name) = block.strip_prefix("$CATEGORY: ") {
            name.clone_into(&mut category);
            continue;
        }
        let rest = block.strip_prefix("::").unwrap_or_else(|| panic!("no name: {block}"));
        let (name, rest) = until(rest, ':');
        let rest = rest.strip_prefix(":[plain]").unwrap_or_else(|| panic!("no format: {block}"));
        let (text, rest) = until(rest, '{');
        let (answers, rest) = until(rest, '}');
        assert_eq!(rest, "", "after the answers: {block}");
        questions.push(Question {
            category: category.clone(),
            name: unescaped(name),
            text: unescaped(text),
            answers: read_answers(answers),
        });
    }
    questions
}

fn read_answers(text: &str) -> Vec<Answer> {
    let mut answers = Vec::new();
    let mut rest = text.trim();
    while let Some(sign) = rest.chars().next() {
        assert!("=~".contains(sign), "no sign of an answer: {rest}");
        let end = ['=', '~'].map(|sign| sign_at(&rest[1..], sign)).into_iter().flatten().min();
        let (answer, others) = end.map_or((&rest[1..], ""), |end| rest[1..].split_at(end));
        let (text, feedback) = match sign_at(answer, '#') {
            Some(at) => (&answer[..at], Some(unescaped(&answer[at + 1..]))),
            None => (answer, None),
        };
        answers.push(Answer { right: sign == '=', text: unescaped(text), feedback });
        rest = others.trim();
    }
    answers
}

/// What stands before a sign, and what after it.
fn until(text: &str, sign: char) -> (&str, &str) {
    let at = sign_at(text, sign).unwrap_or_else(|| panic!("no {sign} in {text}"));
    (&text[..at], &text[at + 1..])
}

/// Where a sign stands that no backslash makes a character.
fn sign_at(text: &str, sign: char) -> Option<usize> {
    let mut is_escaped = false;
    text.char_indices().find_map(|(at, it)| {
        let was_escaped = is_escaped;
        is_escaped = it == '\\' && !was_escaped;
        (it == sign && !was_escaped).then_some(at)
    })
}

fn unescaped(text: &str) -> String {
    let mut plain = String::new();
    let mut characters = text.trim().chars();
    while let Some(character) = characters.next() {
        assert!(!"~=#{}:".contains(character), "a sign in {text}");
        plain.extend(if character == '\\' { characters.next() } else { Some(character) });
    }
    plain
}
