//! What became of the package: installed, used and purged, it says `ok` or `skip:`, and with anything else it ends.

use super::judge::Judged;

/// Reads what scripts/deb.d/guest said.
pub(super) fn judge(text: &str) -> Judged {
    let mut judged = Judged::default();
    let mut last = "";
    for line in text.lines() {
        if line.starts_with("ok ") {
            judged.passed += 1;
            last = line;
        } else if let Some(why) = line.strip_prefix("skip: ") {
            judged.skips.push(format!("package: {why}"));
        }
    }
    let whole = last.ends_with("nothing is left");
    if !whole {
        judged.failures.push(format!("package: {}", text.lines().last().unwrap_or("it said nothing")));
    }
    judged.sum = format!(
        "{}; checks: {} passed, {} failed, {} skipped",
        if whole { "installed, used and purged" } else { "came to no end" },
        judged.passed,
        judged.failures.len(),
        judged.skips.len()
    );
    judged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_good_when_nothing_is_left_of_it() {
        let judged = judge("ok it installs\nskip: no zsh\nok purged, nothing is left\n");
        assert_eq!(judged.sum, "installed, used and purged; checks: 2 passed, 0 failed, 1 skipped");
        assert_eq!((judged.skips.len(), judged.failures.len()), (1, 0));
    }

    #[test]
    fn a_package_that_comes_to_no_end_is_a_failure() {
        assert_eq!(
            judge("ok it installs\nFAILED: a file is left\n").failures,
            ["package: FAILED: a file is left"]
        );
        assert_eq!(judge("").failures, ["package: it said nothing"]);
    }
}
