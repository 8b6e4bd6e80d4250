//! The commands that the experiment shows under "by hand" are typed into one shell, one after another. They must run, and
//! iproute2, ping and util-linux must show what the claims say.

use std::io::Write;
use std::process::{Command, ExitCode, Stdio};

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use transcript::Event;

const PROGRAMS: [&str; 6] = ["bash", "unshare", "nsenter", "ip", "bridge", "ping"];

fn main() -> ExitCode {
    let trial = Trial::ignorable_test("the commands by hand show the same", || {
        let Some(missing) = missing() else { return the_commands_by_hand_show_the_same() };
        if std::env::var_os("LAB_MUST_RUN").is_some_and(|value| value == "1") {
            return Err(format!("LAB_MUST_RUN=1, but skipped: {missing}").into());
        }
        Ok(Completion::ignored_with(missing))
    });
    libtest_mimic::run(&Arguments::from_args(), vec![trial]).exit_code()
}

fn missing() -> Option<String> {
    let there = |program: &&str| {
        std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
            .any(|dir| dir.join(program).is_file())
    };
    if let Some(program) = PROGRAMS.iter().find(|program| !there(program)) {
        return Some(format!("the program {program} (apt install iproute2 iputils-ping util-linux)"));
    }
    let tried = Command::new("unshare").args(["-Urnm", "true"]).stderr(Stdio::null()).status();
    (!tried.is_ok_and(|status| status.success())).then(|| "unshare -Urnm is refused".into())
}

fn the_commands_by_hand_show_the_same() -> Result<Completion, Failed> {
    let transcript =
        Command::new(env!("CARGO_BIN_EXE_veth-pair")).args(["--all", "--format", "jsonl"]).output()?;
    let mut typed = Vec::new();
    for line in String::from_utf8(transcript.stdout)?.lines() {
        if let Event::Step { by_hand, .. } = serde_json::from_str(line)? {
            typed.extend(by_hand.typed.into_iter().map(|hand| hand.command));
        }
    }
    // The first one opens the shell for the others. Its comment is for people.
    let opening = typed.remove(0);
    let opening: Vec<&str> = opening.split('#').next().unwrap_or_default().split_whitespace().collect();
    let mut shell = Command::new(opening[0])
        .args(&opening[1..])
        .arg("bash")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut script = String::from("exec 2>&1\n");
    for command in &typed {
        script.push_str(&format!("{command}\necho '----'\n"));
    }
    shell.stdin.take().ok_or("bash reads no commands")?.write_all(script.as_bytes())?;
    let shown = String::from_utf8(shell.wait_with_output()?.stdout)?;
    let shown: Vec<(&str, &str)> = typed.iter().map(String::as_str).zip(shown.split("----\n")).collect();

    // The claims carries, lost, by-itself, joins and cut-off: a reaches b through a veth pair that is up, or a bridge.
    let answered: Vec<bool> = shown
        .iter()
        .filter(|(command, _)| command.contains("ping"))
        .map(|(_, shown)| shown.contains(" 1 received"))
        .collect();
    ensure(answered == [false, true, false, false, true, false], || format!("{answered:?}: {shown:#?}"))?;
    for (command, word, is_there) in [
        ("name other", "one@other", true),           // pair
        ("ping -c 1 10.0.0.2", "unreachable", true), // carries
        ("-d link show b0", "link-netns a", true),   // across, names
        ("set va up", "NO-CARRIER", true),           // no-carrier
        ("set va up", "LOWERLAYERDOWN", true),
        ("set b0 down", "NO-CARRIER", true), // lost
        ("delete a0", "b0@", false),         // both-go
        ("kill", "out@", true),              // namespace-ends
        ("exec 3<&-", "does not exist", true),
    ] {
        let found = shown.iter().find(|(line, _)| line.contains(command));
        let (line, shown) = found.ok_or_else(|| format!("no command with '{command}' in {shown:#?}"))?;
        ensure(shown.contains(word) == is_there, || format!("{line} shows {shown}"))?;
    }
    Ok(Completion::Completed)
}

fn ensure(condition: bool, complaint: impl FnOnce() -> String) -> Result<(), Failed> {
    if condition { Ok(()) } else { Err(complaint().into()) }
}
