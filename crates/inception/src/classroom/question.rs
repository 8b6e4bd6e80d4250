//! The question that a claim declares, with three or four answers, in an order of its own.

use ns_core::printable;
use transcript::ClaimHead;

use super::order::{seed, shuffle};

/// A question about a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Question {
    /// What is asked, a line.
    pub(super) asks: String,
    /// What can be answered: the first is `a`, the next `b`.
    pub(super) answers: Vec<Answer>,
}

/// An answer to a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    /// As it stands on the screen.
    pub(super) text: String,
    /// Whether it is what the kernel says.
    pub(super) right: bool,
    /// Why people give it who have it wrong.
    pub(super) why: Option<String>,
}

impl Question {
    /// The question that the claim declares, if it declares which answer is right. `turn` says which order the answers
    /// have.
    pub(super) fn of(claim: &ClaimHead, turn: u64) -> Option<Question> {
        let asks = claim.question.as_deref().map(printable)?;
        let mut answers: Vec<Answer> = claim
            .answers
            .iter()
            .map(|it| Answer { text: printable(&it.answer), right: it.right, why: it.why.clone() })
            .collect();
        shuffle(&mut answers, seed(&claim.id) ^ turn);
        // More have no letter.
        let is_answered = answers.iter().any(|it| it.right) && answers.len() <= 26;
        is_answered.then_some(Question { asks, answers })
    }

    /// The letter of the answer at a place.
    pub(super) fn letter(place: usize) -> char {
        (b'a'..=b'z').nth(place).map_or('?', char::from)
    }

    /// The last letter that is an answer's.
    pub(super) fn last(&self) -> char {
        Question::letter(self.answers.len() - 1)
    }

    /// The place of the answer with this letter, small or capital.
    pub(super) fn lettered(&self, letter: char) -> Option<usize> {
        (0..self.answers.len()).find(|at| Question::letter(*at).eq_ignore_ascii_case(&letter))
    }

    /// The place of the answer that `given` means: its letter, its words, or its number from 1, as files of answers had
    /// it before answers had letters.
    pub(super) fn place(&self, given: &str) -> Option<usize> {
        let given = given.trim();
        let mut letters = given.chars();
        let by_letter = letters.next().filter(|_| letters.next().is_none()).and_then(|it| self.lettered(it));
        let by_text = || self.answers.iter().position(|it| it.text.eq_ignore_ascii_case(given));
        let by_number = || given.parse::<usize>().ok()?.checked_sub(1).filter(|at| *at < self.answers.len());
        by_letter.or_else(by_text).or_else(by_number)
    }

    /// The place of the answer that the kernel gives.
    pub(super) fn right(&self) -> usize {
        self.answers.iter().position(|it| it.right).unwrap_or_default()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use transcript::DeclaredAnswer;

    fn head(id: &str) -> ClaimHead {
        let answer = |answer: &str, why: Option<&str>| DeclaredAnswer {
            answer: answer.into(),
            right: why.is_none(),
            why: why.map(String::from),
        };
        let answers = vec![
            answer("1", None),
            answer("0", Some("they count from 0")),
            answer("812", Some("nothing changes")),
            answer("No answer", Some("it is thought to have none")),
        ];
        ClaimHead {
            id: id.into(),
            question: Some("Which PID has it?".into()),
            answers,
            ..ClaimHead::default()
        }
    }

    /// A question whose answers are 1, which is right, 0, 812 and 'No answer', in some order.
    pub(crate) fn question() -> Question {
        Question::of(&head("is-one"), 0).unwrap()
    }

    #[test]
    fn the_order_follows_from_the_claim_and_does_not_give_away() {
        let places: Vec<usize> = (0..40)
            .map(|number| {
                let [first, again] = [(); 2].map(|()| Question::of(&head(&format!("claim-{number}")), 0));
                assert_eq!(first, again);
                first.unwrap().right()
            })
            .collect();
        assert!((0..4).all(|place| places.contains(&place)), "{places:?}");
        let orders: Vec<_> = (0..9).map(|turn| Question::of(&head("is-one"), turn)).collect();
        assert!(orders.iter().any(|order| *order != orders[0]), "each time it may be another");
    }

    #[test]
    fn an_answer_goes_by_its_letter_and_by_its_words() {
        let question = question();
        let place = |text: &str| question.answers.iter().position(|it| it.text == text);
        assert_eq!([question.place(" b "), question.place("C")], [Some(1), Some(2)]);
        assert_eq!(question.place("no answer"), place("No answer"));
        assert_eq!(
            [question.place("1"), question.place("0")],
            [place("1"), place("0")],
            "a value is a value"
        );
        assert_eq!(
            [question.place("2"), question.place("4")],
            [Some(1), Some(3)],
            "as before there were letters"
        );
        assert_eq!(
            [question.place("e"), question.place("5"), question.place("ab"), question.place("")],
            [None; 4]
        );
        assert_eq!(question.last(), 'd');
    }

    #[test]
    fn a_claim_that_declares_no_right_answer_is_not_asked() {
        let mut claim = head("is-one");
        claim.answers.remove(0);
        assert_eq!(Question::of(&claim, 0), None);
        assert_eq!(Question::of(&ClaimHead { question: None, ..head("is-one") }, 0), None);
    }
}
