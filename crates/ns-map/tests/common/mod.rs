//! What the tests share: a shell in namespaces, and the map as data.
#![allow(dead_code, reason = "each test program uses some of it")]

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;

/// The program.
pub(crate) const MAP: &str = env!("CARGO_BIN_EXE_ns-map");

/// A shell that is told line by line what to do, and answers each line with one of its own. Its end ends what it started.
pub(crate) struct Shell {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Shell {
    /// Root of new user, UTS and mount namespaces.
    pub(crate) fn start() -> Shell {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--uts", "--mount", "--kill-child", "--fork", "sh"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Shell { child, input, output }
    }

    /// The PID of unshare(1).
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What `line` prints on its first line; nothing if user namespaces are not to be had here.
    pub(crate) fn ask(&mut self, line: &str) -> Option<String> {
        writeln!(self.input, "{line}").ok()?;
        let mut answer = String::new();
        self.output.read_line(&mut answer).ok().filter(|length| *length > 0)?;
        Some(answer.trim_end().to_string())
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.input.write_all(b"exit\n");
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What `ns-map --json` says with these options.
pub(crate) fn map(options: &[&str]) -> Value {
    let output = Command::new(MAP).arg("--json").args(options).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A namespace of a map.
pub(crate) fn namespace<'a>(map: &'a Value, kind: &str, inode: &str) -> Option<&'a Value> {
    let inode: u64 = inode.parse().unwrap();
    let namespaces = map["namespaces"].as_array().unwrap();
    namespaces.iter().find(|namespace| namespace["kind"] == kind && namespace["inode"] == inode)
}
