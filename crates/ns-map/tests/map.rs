//! What the map shows of namespaces that the test makes, and that it agrees with lsns(8).

mod common;

use std::process::{Command, Stdio};

use serde_json::Value;

use common::{MAP, Shell, map, namespace};

const INODE: &str = "readlink /proc/self/ns/uts | tr -dc 0-9; echo";

#[test]
fn a_namespace_stands_on_the_map_with_its_members_and_relations() {
    let mut shell = Shell::start();
    let Some(uts) = shell.ask(INODE) else { return eprintln!("skip: no user namespace can be created here") };
    let user = shell.ask("readlink /proc/self/ns/user | tr -dc 0-9; echo").unwrap();
    let map = map(&[]);
    let found = namespace(&map, "uts", &uts).expect("it is on the map");
    assert_eq!(found["owner"].to_string(), user);
    // unshare(1), which waits, and the shell.
    assert_eq!((&found["members"], &found["first"]["command"]), (&2.into(), &"unshare".into()), "{found}");
    let found = namespace(&map, "user", &user).expect("it is on the map");
    let ours = std::fs::read_link("/proc/self/ns/user").unwrap();
    assert!(ours.to_string_lossy().contains(&found["parent"].to_string()), "{found} {ours:?}");
}

#[test]
fn what_has_no_process_is_found_by_its_mount_its_descriptor_and_its_child() {
    let mut shell = Shell::start();
    let Some(_) = shell.ask("echo there") else {
        return eprintln!("skip: no user namespace can be created here");
    };
    let mounted =
        "mount -t tmpfs tmpfs /mnt; : > /mnt/kept; unshare --uts=/mnt/kept true; stat -c %i /mnt/kept";
    let mounted = shell.ask(mounted).unwrap();
    let open = "exec 3<&0; unshare --uts sh -c 'readlink /proc/self/ns/uts | tr -dc 0-9 > /mnt/inode; \
                exec sleep 60' & child=$!; while ! test -s /mnt/inode; do :; done; exec 4< /proc/$child/ns/uts; \
                kill $child; wait $child 2> /dev/null; cat /mnt/inode; echo";
    let open = shell.ask(open).unwrap();
    let held = map(&["--held"]);
    let found = namespace(&held, "uts", &mounted).expect("a mount keeps it");
    assert_eq!((&found["members"], &found["kept_by"][0]["by"]), (&0.into(), &"mount".into()), "{found}");
    assert_eq!(found["kept_by"][0]["path"], "/mnt/kept");
    let found = namespace(&held, "uts", &open).expect("a descriptor keeps it");
    assert_eq!((&found["members"], &found["kept_by"][0]["by"]), (&0.into(), &"descriptor".into()), "{found}");
    assert_eq!(found["kept_by"][0]["fd"], 4);
    assert!(namespace(&map(&[]), "uts", &open).is_none(), "without --held, no descriptor is looked at");
}

#[test]
fn lsns_sees_no_namespace_that_the_map_lacks() {
    let mut shell = Shell::start();
    let Some(ours) = shell.ask(INODE) else {
        return eprintln!("skip: no user namespace can be created here");
    };
    // Other tests make and end namespaces meanwhile: what is there before and after is there.
    let listed = || -> Vec<(String, String, u64)> {
        // It may give up, and say nothing, when a process ends while it looks.
        let look =
            || Command::new("lsns").args(["-J", "--list", "-o", "NS,TYPE,NPROCS"]).output().unwrap().stdout;
        let said = (0..20).map(|_| look()).find(|said| !said.is_empty()).expect("lsns lists something");
        let list: Value = serde_json::from_slice(&said).unwrap();
        let list = list["namespaces"].as_array().unwrap().clone();
        let text = |value: &Value| value.to_string().trim_matches('"').to_string();
        let row = |it: &Value| Some((text(&it["type"]), text(&it["ns"]), text(&it["nprocs"]).parse().ok()?));
        list.iter().filter_map(row).collect()
    };
    let (before, map, after) = (listed(), map(&[]), listed());
    let (mut compared, mut counted) = (0, false);
    for (kind, inode, members) in &before {
        if !after.iter().any(|(other, of, _)| (other, of) == (kind, inode)) {
            continue;
        }
        let found = namespace(&map, kind, inode).unwrap_or_else(|| panic!("{kind}:[{inode}] is missing"));
        // Elsewhere processes come and go.
        if *inode == ours {
            assert_eq!(found["members"], *members, "{found}");
            counted = true;
        }
        compared += 1;
    }
    assert!(compared >= 8 && counted, "{compared} of {} rows", before.len());
}

#[test]
fn bad_input_gets_one_line_and_2() {
    for (arguments, named) in [
        (&["--filter", "moon=1"][..], "there is no field 'moon'"),
        (&["--filter", "kind=moon"], "there is no kind 'moon'"),
        (&["--filter", "kept=glue"], "nothing keeps a namespace as 'glue'"),
        (&["--filter", "network"], "'network' is no condition"),
        (&["--tree", "net"], "invalid value 'net'"),
        (&["--proc", "/nonexistent"], "/nonexistent"),
        (&["--proc", "/etc"], "no process in /etc"),
        (&["--json", "--list"], "--list"),
        (&["--pid", "4194304"], "there is no process 4194304"),
        (&["--pid", "0"], "0 is not in 1.."),
        (&["--html", "/nonexistent/map.html"], "cannot write /nonexistent/map.html"),
        (&["--svg", "/"], "cannot write /: it is a directory"),
        (&["--live"], "--live needs a terminal"),
        (&["--watch", "--tree"], "--tree"),
    ] {
        let output = Command::new(MAP).args(arguments).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        // What an ordinary user reads besides: how changes are found.
        let lines = said.lines().filter(|line| !line.contains("the kernel does not report here")).count();
        assert_eq!((output.status.code(), lines), (Some(2), 1), "{arguments:?}: {said}");
        assert!(said.contains(named), "{arguments:?}: {said}");
    }
}

#[test]
fn it_fits_every_width() {
    for width in ["20", "60", "80", "200"] {
        for form in
            [&[][..], &["--list"], &["--tree"], &["--plain"], &["--cgroups"], &["--list", "--cgroups"]]
        {
            let output = Command::new(MAP).args(["--width", width]).args(form).output().unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            let longest = text.lines().map(|line| line.chars().count()).max().unwrap();
            assert!(longest <= width.parse().unwrap(), "{form:?} at {width}: {longest}");
        }
    }
}

#[test]
fn the_namespaces_of_one_process_are_those_that_it_is_in() {
    let map = map(&["--pid", &std::process::id().to_string()]);
    let namespaces = map["namespaces"].as_array().unwrap();
    for namespace in namespaces {
        let kind = namespace["kind"].as_str().unwrap();
        let link = std::fs::read_link(format!("/proc/self/ns/{kind}")).unwrap();
        assert_eq!(link.to_string_lossy(), format!("{kind}:[{}]", namespace["inode"]));
    }
    assert!(namespaces.len() >= 6, "{map}");
}

#[test]
fn a_reader_that_has_gone_is_no_failure() {
    let mut child =
        Command::new(MAP).arg("--list").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}
