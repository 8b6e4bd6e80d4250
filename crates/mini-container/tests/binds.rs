//! Directories and files of the host in a container: `--bind SOURCE:TARGET[:ro]`, and the ways out that they must not open.

mod plain;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::process::{Command, Output, Stdio};

use plain::{Directory, PROGRAM, mounts, refused, rootfs, run, said};

/// A shell command in a container with these binds.
fn bound(binds: &[&str], rootfs: &Directory, script: &str) -> Output {
    let options = binds.iter().flat_map(|bind| ["--bind", bind]);
    run(options.chain([rootfs.0.to_str().unwrap(), "sh", "-c", script]))
}

#[test]
fn a_directory_and_a_file_are_shown_and_written() {
    let rootfs = rootfs("binds");
    let data = Directory::new("data");
    fs::write(data.at("file"), "from outside").unwrap();
    let before = mounts();
    let source = data.0.to_str().unwrap();
    // /srv does not exist: it is created in memory.
    let directory = format!("{source}:/srv/data");
    let file = format!("{source}/file:/etc/one/file:ro");
    let script = "cat /etc/one/file; echo; echo inside >/srv/data/new; cd /srv/data; ls; \
                  echo x 2>/dev/null >/etc/one/file || echo refused";
    assert_eq!(said(&bound(&[&directory, &file], &rootfs, script)), "from outside\nfile\nnew\nrefused");
    assert_eq!(fs::read_to_string(data.at("new")).unwrap(), "inside\n", "what is written there stays");
    assert!(!rootfs.at("srv").exists() && !rootfs.at("etc/one").exists());
    // Root inside is the caller.
    assert_eq!(fs::metadata(data.at("new")).unwrap().uid(), nix::unistd::geteuid().as_raw());
    let read_only = format!("{source}:/data:ro");
    let script = "ls /data; for it in file other; do echo x 2>/dev/null >/data/$it || echo refused; done";
    assert_eq!(said(&bound(&[&read_only], &rootfs, script)), "file\nnew\nrefused\nrefused");
    // --read-only is about ROOTFS.
    let options = ["--read-only", "-v", &directory, rootfs.0.to_str().unwrap(), "touch", "/srv/data/third"];
    assert!(run(options).status.success() && data.at("third").exists());
    assert_eq!(mounts(), before);
    // Docker's spelling, and a relative path.
    let output = Command::new(PROGRAM)
        .args(["run", "--volume", "./data:/x", rootfs.0.to_str().unwrap(), "ls", "/x"])
        .current_dir(data.0.parent().unwrap())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    refused(&output, 125, &["--bind: SOURCE ./data", "No such file", "mkdir ./data"]);
}

#[test]
fn a_bind_that_makes_no_sense_is_one_line() {
    let rootfs = rootfs("bad-binds");
    let data = Directory::new("bad-data");
    fs::write(data.at("file"), "").unwrap();
    symlink("/nosuch", rootfs.at("dangling")).unwrap();
    symlink("circle", rootfs.at("circle")).unwrap();
    symlink("/", rootfs.at("top")).unwrap();
    let (source, file) = (data.0.to_str().unwrap(), format!("{}/file", data.0.display()));
    for (bind, words) in [
        ("/nosuch:/x".into(), &["SOURCE /nosuch", "No such file", "mkdir /nosuch"][..]),
        ("/dev/null:/x".into(), &["/dev/null is a device", "leave it out"]),
        (format!("{source}:/bin/sh"), &["/bin/sh is a file in ROOTFS", "another TARGET"]),
        (format!("{source}:/bin/sh/x"), &["/bin/sh/x is a file in ROOTFS, or lies below one"]),
        (format!("{file}:/etc"), &["/etc is a directory in ROOTFS, and SOURCE is a file"]),
        (format!("{source}:/dangling"), &["/dangling is a symbolic link to a name that does not exist"]),
        (format!("{source}:/circle"), &["/circle is a symbolic link that leads to itself"]),
        (format!("{source}:/top"), &["/top is a symbolic link to the root"]),
    ] {
        refused(&bound(&[&bind], &rootfs, "true"), 125, &[&["--bind"], words].concat());
    }
    for (bind, word) in
        [("data:/x", "./data"), ("/x", "SOURCE:TARGET"), ("/x:y", "absolute"), ("/x:/y:z", "ro")]
    {
        refused(&bound(&[bind], &rootfs, "true"), 2, &["--bind", word]);
    }
}

#[test]
fn a_link_at_dst_leads_inside() {
    let outside = Directory::new("bind-outside");
    let data = Directory::new("bind-data");
    fs::write(data.at("mark"), "").unwrap();
    let before = mounts();
    let source = data.0.to_str().unwrap();
    let outside_name = outside.0.to_str().unwrap();
    for target in [outside_name, &format!("../../../../../../../..{outside_name}"), "etc/../etc/deep"] {
        let rootfs = rootfs("bind-link");
        let inside = rootfs.0.join(outside_name.trim_start_matches('/'));
        fs::create_dir_all(&inside).unwrap();
        fs::create_dir(rootfs.at("etc/deep")).unwrap();
        symlink(target, rootfs.at("door")).unwrap();
        for name in ["door", "door/new/deeper"] {
            let script = format!("ls /{name} {target}{}", name.trim_start_matches("door"));
            let listed = said(&bound(&[&format!("{source}:/{name}")], &rootfs, &script));
            assert_eq!(listed.matches("mark").count(), 2, "{name} -> {target}: {listed}");
        }
    }
    assert!(fs::read_dir(&outside.0).unwrap().next().is_none(), "nothing was created there");
    assert_eq!(mounts(), before);
}

#[test]
fn nothing_that_the_container_has_can_be_covered() {
    // CVE-2025-52881, by a bind: what is mounted on procfs would take the writes that are for it.
    let data = Directory::new("cover-data");
    let source = data.0.to_str().unwrap();
    let rootfs = rootfs("cover");
    symlink("proc", rootfs.at("to-proc")).unwrap();
    symlink("../../proc/self", rootfs.at("to-self")).unwrap();
    symlink("/proc/self/root/etc", rootfs.at("to-magic")).unwrap();
    for name in [
        "proc",
        "proc/sys",
        "proc/self/attr",
        "sys",
        "sys/fs",
        "dev",
        "dev/shm",
        "dev/pts",
        "dev/new",
        "to-proc",
        "to-proc/new",
        "to-self",
        "to-self/attr",
        "to-magic",
    ] {
        let output = bound(&[&format!("{source}:/{name}")], &rootfs, "true");
        refused(&output, 125, &["--bind", &format!("/{name} leads to another mount"), "another TARGET"]);
    }
    // Nor another bind, in which a name would be created on the host.
    let other = Directory::new("cover-other");
    for below in ["", "/new", "/new/deeper"] {
        let binds = [format!("{source}:/data"), format!("{}:/data{below}", other.0.display())];
        refused(&bound(&[&binds[0], &binds[1]], &rootfs, "true"), 125, &["another --bind"]);
    }
    assert!(fs::read_dir(&data.0).unwrap().next().is_none(), "nothing was created there");
    // A working directory in a bind is not created there either.
    let options = ["-v", &format!("{source}:/data"), "-w", "/data/new", rootfs.0.to_str().unwrap(), "true"];
    refused(&run(options), 125, &["working directory", "data/new"]);
    assert!(fs::read_dir(&data.0).unwrap().next().is_none(), "nothing was created there");
}

#[test]
fn nothing_leads_from_a_bind_to_what_is_around_it() {
    let around = Directory::new("around");
    fs::create_dir_all(around.at("shown/deep")).unwrap();
    fs::write(around.at("secret"), "secret").unwrap();
    symlink("../secret", around.at("shown/up")).unwrap();
    symlink(around.at("secret"), around.at("shown/absolute")).unwrap();
    let rootfs = rootfs("around-root");
    let bind = format!("{}:/data", around.at("shown").display());
    let script = "cd /data/deep; cd ../..; pwd -P; cat /data/up /data/absolute /data/../secret 2>/dev/null; \
                  cd /data; ls ..; mkdir -p moved; echo end";
    let text = said(&bound(&[&bind], &rootfs, script));
    assert!(!text.contains("secret") && text.starts_with("/\n") && text.ends_with("end"), "{text}");
}

#[test]
fn set_user_id_programs_and_devices_have_no_effect_there() {
    let data = Directory::new("suid");
    plain::copy_program("/usr/bin/id", &data.at("id"));
    fs::set_permissions(data.at("id"), fs::Permissions::from_mode(0o4755)).unwrap();
    let rootfs = rootfs("suid-root");
    // Also in what is mounted below.
    let script = format!(
        "mkdir {0}/below && mount -t tmpfs none {0}/below && exec {PROGRAM} run -v {0}:/data {1} cat /proc/mounts",
        data.0.display(),
        rootfs.0.display()
    );
    let output =
        Command::new("unshare").args(["-Urm", "sh", "-c", &script]).stdin(Stdio::null()).output().unwrap();
    let text = said(&output);
    for place in ["/data", "/data/below"] {
        let mount = text.lines().find(|line| line.split(' ').nth(1) == Some(place));
        let options = mount.unwrap_or_else(|| panic!("{place}: {text}")).split(' ').nth(3).unwrap();
        let has = |word| options.split(',').any(|option| option == word);
        assert!(has("nosuid") && has("nodev") && has("rw"), "{place}: {options}");
    }
    // Root makes a device outside; inside it cannot be opened.
    if nix::unistd::geteuid().is_root() {
        let made = Command::new("mknod").arg(data.at("null")).args(["c", "1", "3"]).output().unwrap();
        assert!(made.status.success(), "{made:?}");
        let bind = format!("{}:/data", data.0.display());
        let text =
            said(&bound(&[&bind], &rootfs, "cat /data/null 2>/dev/null || echo refused; cat /dev/null"));
        assert_eq!(text, "refused");
    }
}

#[test]
fn a_read_only_bind_is_so_with_all_that_is_mounted_in_it() {
    let data = Directory::new("ro");
    let rootfs = rootfs("ro-root");
    let script = format!(
        "mkdir {0}/below && mount -t tmpfs none {0}/below && exec {PROGRAM} run -v {0}:/data:ro {1} \
         sh -c 'touch /data/x 2>/dev/null || echo refused; touch /data/below/x 2>/dev/null || echo refused'",
        data.0.display(),
        rootfs.0.display()
    );
    let output =
        Command::new("unshare").args(["-Urm", "sh", "-c", &script]).stdin(Stdio::null()).output().unwrap();
    assert_eq!(said(&output), "refused\nrefused");
}

#[test]
fn files_of_an_owner_without_an_id_belong_to_nobody_and_that_is_said() {
    let rootfs = rootfs("nobody");
    // For root, the map leaves root out; for another, root's directory is one of them.
    let output = if nix::unistd::geteuid().is_root() {
        let data = Directory::new("roots");
        let bind = format!("{}:/data", data.0.display());
        let path = rootfs.0.to_str().unwrap();
        run(["--user", "0:100000:65536", "--bind", &bind, path, "stat", "-c", "%u", "/data"])
    } else {
        bound(&["/etc:/data:ro"], &rootfs, "stat -c %u /data")
    };
    assert_eq!(said(&output), "65534");
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(told.lines().count(), 1, "{told}");
    assert!(told.contains("belong to nobody in the container") && told.contains("--user"), "{told}");
}
