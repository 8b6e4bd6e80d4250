//! How a class voted on a question: so many for each answer.

use anyhow::{Result, anyhow, bail, ensure};
use ns_core::printable;

use super::question::Question;

/// The longest bar.
const BAR: u64 = 30;

/// What a class voted, in the order of the answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Vote(Vec<u64>);

impl Vote {
    /// The counts in a line such as `a 7 b 12, c 3`: letters in any order, and a number after each. `None` where the line
    /// is no vote, since it is a single word without a number.
    ///
    /// # Errors
    /// In one line, what of it is no vote.
    pub(super) fn of(line: &str, question: &Question) -> Option<Result<Vote>> {
        let is_vote = line.chars().any(|it| it.is_ascii_digit()) && line.chars().any(char::is_alphabetic);
        is_vote.then(|| counts(line, question))
    }

    /// How many voted.
    pub(super) fn all(&self) -> u64 {
        self.0.iter().sum()
    }

    /// How many gave the answer at a place.
    pub(super) fn count(&self, place: usize) -> u64 {
        self.0.get(place).copied().unwrap_or_default()
    }

    /// The place of the answer that most gave; the letters of those that as many gave, where it is not one.
    pub(super) fn most(&self) -> Result<usize, String> {
        let most = self.0.iter().copied().max().unwrap_or_default();
        let places: Vec<usize> = (0..self.0.len()).filter(|at| self.count(*at) == most).collect();
        match places.as_slice() {
            [only] => Ok(*only),
            several => {
                let letters: Vec<String> = several.iter().map(|at| Question::letter(*at).into()).collect();
                Err(letters.join(" and "))
            }
        }
    }

    /// A line an answer: its letter, how many gave it, as a percentage too, and a bar.
    pub(super) fn bars(&self, width: usize) -> String {
        let (all, most) = (self.all().max(1), self.0.iter().copied().max().unwrap_or_default().max(1));
        // What stands left of it takes 24 columns.
        let longest = BAR.min(u64::try_from(width.saturating_sub(24)).unwrap_or(BAR));
        let line = |(at, count): (usize, &u64)| {
            let percent = (count * 200 + all) / (2 * all);
            // Whoever voted is to be seen.
            let bar = (count * longest).div_ceil(most);
            let bar = "#".repeat(usize::try_from(bar).unwrap_or_default());
            let line = format!("      {}  {count:>4}  {percent:>3} %  {bar}", Question::letter(at));
            format!("{}\n", line.trim_end())
        };
        self.0.iter().enumerate().map(line).collect()
    }
}

fn counts(line: &str, question: &Question) -> Result<Vote> {
    let mut counts = vec![None; question.answers.len()];
    let mut rest = line.trim_start();
    while let Some(letter) = rest.chars().next() {
        let place = question.lettered(letter).ok_or_else(|| {
            anyhow!(
                "'{}' is no answer; the answers are a to {}",
                printable(&letter.to_string()),
                question.last()
            )
        })?;
        let numbers =
            rest[letter.len_utf8()..].trim_start_matches(|it: char| it.is_whitespace() || ":=".contains(it));
        let end = numbers.find(|it: char| !it.is_ascii_digit()).unwrap_or(numbers.len());
        ensure!(end > 0, "how many voted for {letter}? A vote is like: a 7 b 12 c 3");
        // No class is larger; and the sum of 26 such has room.
        let count = numbers[..end].parse::<u32>().map_err(|_| anyhow!("{} are too many", &numbers[..end]))?;
        if counts[place].replace(u64::from(count)).is_some() {
            bail!("{letter} is counted twice; a vote is like: a 7 b 12 c 3");
        }
        rest = numbers[end..].trim_start_matches(|it: char| it.is_whitespace() || ",;".contains(it));
    }
    let vote = Vote(counts.into_iter().map(Option::unwrap_or_default).collect());
    ensure!(vote.all() > 0, "nobody voted; a vote is like: a 7 b 12 c 3");
    Ok(vote)
}

#[cfg(test)]
mod tests {
    use super::super::question::tests::question;
    use super::*;

    fn of(line: &str) -> Vote {
        Vote::of(line, &question()).unwrap().unwrap()
    }

    #[test]
    fn a_vote_is_letters_in_any_order_with_a_number_each() {
        let expected = Vote(vec![7, 12, 3, 0]);
        for line in ["a 7 b 12 c 3", "c 3, a 7, b 12", "A7 B12 C3", "b=12;a: 7 c 3 d 0"] {
            assert_eq!(of(line), expected, "{line}");
        }
        assert_eq!((expected.all(), expected.count(1), expected.most()), (22, 12, Ok(1)));
        assert_eq!(of("a 4 d 4").most(), Err("a and d".into()));
    }

    #[test]
    fn what_is_no_vote_is_said_in_a_line() {
        let said = |line: &str| Vote::of(line, &question()).unwrap().unwrap_err().to_string();
        assert_eq!(said("a 7 e 2"), "'e' is no answer; the answers are a to d");
        assert_eq!(said("a 7 b"), "how many voted for b? A vote is like: a 7 b 12 c 3");
        assert_eq!(said("a 7 a 8"), "a is counted twice; a vote is like: a 7 b 12 c 3");
        assert_eq!(said("a 0"), "nobody voted; a vote is like: a 7 b 12 c 3");
        assert_eq!(said("a 99999999999"), "99999999999 are too many");
        assert!(Vote::of("b", &question()).is_none() && Vote::of("812", &question()).is_none());
    }

    #[test]
    fn bars_say_what_the_numbers_say() {
        let bars = "      a     7   32 %  ##################\n\
                    \u{20}     b    12   55 %  ##############################\n\
                    \u{20}     c     3   14 %  ########\n\
                    \u{20}     d     0    0 %\n";
        assert_eq!(of("a 7 b 12 c 3").bars(80), bars);
        assert!(of("a 70000 b 1").bars(40).lines().all(|line| line.len() <= 40));
    }

    proptest::proptest! {
        #[test]
        fn any_line_is_a_vote_or_is_refused_in_a_line(line in "[a-eA-E0-9 ,;:=é]{0,20}|.{0,12}") {
            if let Some(vote) = Vote::of(&line, &question()) {
                match vote {
                    Ok(vote) => proptest::prop_assert!(vote.all() > 0 && vote.bars(60).lines().count() == 4),
                    Err(error) => proptest::prop_assert_eq!(error.to_string().lines().count(), 1),
                }
            }
        }
    }
}
