//! The text of /proc/PID/mountinfo, which holds what others have named: proc_pid_mountinfo(5).

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use procfs::process::MountInfo;

/// The mounts in the text of a /proc/PID/mountinfo, in its order. Where a line cannot be read, its number, from 1.
///
/// Paths are as they are: without the file's escapes, and of bytes that need not be UTF-8. In what is text here, such as
/// `root`, those bytes are replaced.
pub fn parse(text: &[u8]) -> Vec<Result<MountInfo, usize>> {
    let lines = text.split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty());
    lines.map(|(at, line)| parse_line(line).ok_or(at + 1)).collect()
}

fn parse_line(line: &[u8]) -> Option<MountInfo> {
    // The fourth field is the root within the filesystem, the fifth the mount point.
    let mut paths = line.split(|byte| *byte == b' ').skip(3).map(unescaped);
    let (root, point) = (paths.next()?, paths.next()?);
    let mut mount = MountInfo::from_line(&String::from_utf8_lossy(line)).ok()?;
    mount.root = String::from_utf8_lossy(&root).into_owned();
    mount.mount_point = OsString::from_vec(point).into();
    Some(mount)
}

/// The kernel writes space, tab, newline, `\` and `#` in a path as `\` and three octal digits.
fn unescaped(path: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(path.len());
    let mut rest = path;
    while let [byte, tail @ ..] = rest {
        (plain, rest) = match rest {
            [b'\\', high @ b'0'..=b'3', middle @ b'0'..=b'7', low @ b'0'..=b'7', tail @ ..] => {
                plain.push((high - b'0') << 6 | (middle - b'0') << 3 | (low - b'0'));
                (plain, tail)
            }
            _ => {
                plain.push(*byte);
                (plain, tail)
            }
        };
    }
    plain
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use proptest::prelude::*;

    use super::*;

    /// As the kernel writes a path: mangle() in fs/proc_namespace.c.
    fn escaped(path: &[u8]) -> Vec<u8> {
        let escape = |byte: &u8| match byte {
            b' ' | b'\t' | b'\n' | b'\\' | b'#' => format!("\\{byte:03o}").into_bytes(),
            byte => vec![*byte],
        };
        path.iter().flat_map(escape).collect()
    }

    fn line(root: &[u8], point: &[u8]) -> Vec<u8> {
        let rest = b" rw,nosuid shared:9 master:2 - tmpfs none rw,mode=755";
        [&b"31 23 0:28 "[..], &escaped(root), b" ", &escaped(point), rest].concat()
    }

    #[test]
    fn a_path_is_unescaped() {
        for (escaped, plain) in [
            ("a\\134b", "a\\b"),
            ("\\011", "\t"),
            ("a\\9", "a\\9"),
            ("\\", "\\"),
            ("\\\u{e9}x", "\\\u{e9}x"),
            ("\\777", "\\777"),
        ] {
            assert_eq!(unescaped(escaped.as_bytes()), plain.as_bytes());
        }
    }

    #[test]
    fn a_line_that_cannot_be_read_hides_no_other() {
        let text = [&line(b"/", b"/a")[..], b"\n\nx y z\n", &line(b"/", b"/b"), b"\n"].concat();
        let found: Vec<_> = parse(&text).into_iter().map(|it| it.map(|mount| mount.mnt_id)).collect();
        assert!(matches!(found[..], [Ok(31), Err(3), Ok(31)]), "{found:?}");
    }

    fn path() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![1_u8..=255, proptest::sample::select(b" \t\n\\#/:-,=0".to_vec())];
        proptest::collection::vec(byte, 0..40).prop_map(|name| [&b"/"[..], &name].concat())
    }

    proptest! {
        #[test]
        fn every_path_is_read_as_it_was_named(root in path(), point in path()) {
            let mount = parse(&line(&root, &point)).remove(0).unwrap();
            prop_assert_eq!(mount.mount_point.as_os_str().as_bytes(), point);
            prop_assert_eq!(mount.root, String::from_utf8_lossy(&root).into_owned());
        }

        #[test]
        fn no_bytes_can_make_it_panic(bytes: Vec<u8>, at in 0_usize..80, byte: u8) {
            let _ = parse(&bytes);
            let mut damaged = line(b"/", b"/mnt");
            let at = at % damaged.len();
            damaged[at] = byte;
            let _ = parse(&damaged);
            damaged.truncate(at);
            let _ = parse(&damaged);
        }
    }
}
