//! The mount tree: mounts that are bound, moved, covered and detached.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::Result;
use lesson::{Claim, Kernel, Need, Step, hand, inside};
use ns_core::mount::{self, Propagation, Restriction, Tree};
use ns_core::{Child, Fact, Named, Namespaces, Outcome, Reporter, namespace};

use crate::place::{DOOR, ELSEWHERE, PLACE, is_mounted, make_directory, open, trial};

const OTHER: &str = "/mnt/elsewhere/other";

const BIND: Claim =
    Claim::holds("bind", "After a bind mount of one file on another, both names lead to the same inode.")
        .factor("MS_BIND")
        .notes(&[9]);
const SUBMOUNTS: Claim = Claim::holds(
    "submounts",
    "A bind mount leaves out the mounts below its source; a recursive bind mount includes them.",
)
.factor("MS_REC")
.notes(&[9]);

pub(crate) const BIND_FILES_AND_TREES: Step = Step {
    title: "Bind one file on another. Then bind a directory with a mount below it, without and with MS_REC.",
    calls: &["mount(\"/mnt/new\", \"/mnt/old\", NULL, MS_BIND)", "stat()"],
    by_hand: &[hand("unshare -Urm sh -c 'mount --bind /etc/passwd /etc/hostname; head -n 1 /etc/hostname'; cat /etc/hostname").prints("root:x:0:0:…\n<name>"), hand("unshare -Urm bash").prints(""), hand("mount -t tmpfs x /mnt; cd /mnt; mkdir -p a/c b; mount -t tmpfs y a/c; mount --bind a b; findmnt -nlRo TARGET /mnt | sort").prints("/mnt\n/mnt/a/c\n/mnt/b"), hand("umount b; mount --rbind a b; findmnt -nlRo TARGET /mnt | sort; exit").prints("/mnt\n/mnt/a/c\n/mnt/b\n/mnt/b/c"), ],
    claims: &[BIND, SUBMOUNTS],
    run: |lab| {
        lab.compare(BIND, false, true, bind_a_file)?
            .shows(inside("both names have the same inode").is("yes"))?;
        lab.compare(SUBMOUNTS, false, true, bind_a_tree)?
            .shows(inside("mounted at /mnt/elsewhere/door").is("yes"))
    },
};

const MOVE: Claim = Claim::holds(
    "move",
    "mount --move moves a mount, which keeps its mount ID; a bind mount creates a second mount.",
)
.factor("MS_MOVE")
.notes(&[9]);
const MOVE_SHARED: Claim =
    Claim::holds("move-shared", "Moving a mount whose parent mount is shared fails with EINVAL.")
        .factor("a shared parent")
        .notes(&[9]);

pub(crate) const MOVE_A_MOUNT: Step = Step {
    title: "Bind a mount, then move it. Then move a mount whose parent mount is shared, as systemd makes them.",
    calls: &["mount(\"/mnt/door\", \"/mnt/elsewhere\", NULL, MS_MOVE)"],
    by_hand: &[hand("unshare -Urm bash").prints(""), hand("mount -t tmpfs x /mnt; mkdir /mnt/a /mnt/b; mount -t tmpfs y /mnt/a; mount -n --move /mnt/a /mnt/b && echo OK").prints("OK"), hand("mount --make-shared /mnt; mount -n --move /mnt/b /mnt/a; exit").prints("mount: /mnt/a: …\n…"), ],
    claims: &[MOVE, MOVE_SHARED],
    run: |lab| {
        lab.compare(MOVE, false, true, move_or_bind)?.shows(
            inside("its mount ID is still the same").is("yes") & inside("mounted at the old place").is("no"),
        )?;
        lab.compare(MOVE_SHARED, Propagation::Private, Propagation::Shared, move_from)?
            .shows(inside("mount --move").is("EINVAL"))
    },
};

const UNDER: Claim = Claim::holds(
    "under",
    "A process keeps its working directory after a mount on it; the path leads to the new mount.",
)
.factor("chdir() before the mount")
.notes(&[9]);

pub(crate) const MOUNT_OVER: Step = Step {
    title: "Mount a tmpfs on the working directory of a process, and on a directory that it enters afterwards.",
    calls: &["chdir(\"/mnt/door\")", "open(\"file\")", "open(\"/mnt/door/file\")"],
    by_hand: &[hand("unshare -Urm sh -c 'cd /etc; mount -t tmpfs x /etc; ls hostname; ls /etc/hostname'")
        .prints("hostname\nENOENT")],
    claims: &[UNDER],
    run: |lab| {
        lab.compare(UNDER, false, true, mount_over)?
            .in_both_arms(inside("open(\"/mnt/door/file\")").is("ENOENT"))
            .shows(inside("open(\"file\")").from("ENOENT").to("OK"))
    },
};

const DETACHED: Claim = Claim::holds(
    "detached",
    "A copy by open_tree() can be attached after its source is unmounted and after unshare(CLONE_NEWNS).",
)
.factor("OPEN_TREE_CLONE")
.more(&[92]);
const BENEATH: Claim = Claim::holds_since(
    "beneath",
    "move_mount() can attach a mount beneath the top one, which hides it until umount2().",
    Kernel(6, 5),
)
.factor("MOVE_MOUNT_BENEATH")
.notes(&[9]);

pub(crate) const ATTACH_A_DESCRIPTOR: Step = Step {
    title: "Open a mount, and a copy of it, by open_tree(). Unmount it, call unshare(CLONE_NEWNS), and attach the descriptor elsewhere. Then attach a mount on top of another, and beneath it.",
    calls: &["open_tree(\"/mnt/door\", OPEN_TREE_CLONE)", "move_mount(fd, \"/mnt/elsewhere\")"],
    by_hand: &[hand("unshare -Urm bash").prints(""), hand("mount -t tmpfs x /mnt; cd /mnt; mkdir a b c; mount -t tmpfs y a; touch a/old; mount -t tmpfs z c; touch c/new").prints(""), hand("/usr/bin/python3 -c 'import ctypes,os; call=ctypes.CDLL(None).syscall; tree=call(428,-100,b\"a\",1); os.system(\"umount a\"); print(call(429,tree,b\"\",-100,b\"b\",4))'; ls b").prints("0\nold"), hand("/usr/bin/python3 -c 'import ctypes; call=ctypes.CDLL(None).syscall; tree=call(428,-100,b\"c\",1); print(call(429,tree,b\"\",-100,b\"b\",0x204))'; ls b; umount b; ls b; exit").prints("0\nold\nnew").needs(&[Need::Kernel(6, 5)]), ],
    claims: &[DETACHED, BENEATH],
    run: |lab| {
        lab.compare(DETACHED, false, true, attach)?.shows(
            inside("move_mount()").from("EINVAL").to("OK")
                & inside("open(\"/mnt/elsewhere/file\")").from("ENOENT").to("OK"),
        )?;
        let hides = inside("visible at /mnt/door").is("the old mount")
            & inside("visible after umount2()").is("the new mount");
        // Before Linux 6.5 the flag is unknown, and nothing is attached.
        let known = inside("move_mount()").that(|answer| *answer == "OK" || *answer == "EINVAL");
        lab.compare(BENEATH, false, true, attach_on_a_mount)?
            .in_both_arms(known)
            .shows(hides)
    },
};

const TOP_ALONE: Claim =
    Claim::holds("top-alone", "remount,bind,ro makes one mount read-only; a mount below it stays writable.")
        .factor("a mount below")
        .notes(&[9]);
const WHOLE_TREE: Claim = Claim::holds(
    "whole-tree",
    "mount_setattr() with AT_RECURSIVE makes a mount and the mounts below it read-only.",
)
.factor("AT_RECURSIVE")
.more(&[90]);

pub(crate) const RESTRICT_THE_TOP: Step = Step {
    title: "Bind a tree recursively, make the bind mount read-only, and write at its top and below. Then make a copy of the \
            tree read-only by mount_setattr().",
    calls: &[
        "mount(NULL, \"/mnt/elsewhere\", NULL, MS_REMOUNT|MS_BIND|MS_RDONLY)",
        "mount_setattr(tree, AT_RECURSIVE, MOUNT_ATTR_RDONLY)",
        "open(file, O_CREAT)",
    ],
    by_hand: &[
        hand("unshare -Urm bash").prints(""),
        hand("mount -t tmpfs x /mnt; mkdir /mnt/y; mount -t tmpfs x /mnt/y; mount -o remount,bind,ro /mnt")
            .prints(""),
        hand("touch /mnt/f; touch /mnt/y/f && echo OK; exit").prints("EROFS\nOK"),
    ],
    claims: &[TOP_ALONE, WHOLE_TREE],
    run: |lab| {
        lab.compare(TOP_ALONE, false, true, write_below)?
            .in_both_arms(inside("write at the top").is("EROFS"))
            .shows(inside("write below").from("EROFS").to("OK"))?;
        lab.compare(WHOLE_TREE, false, true, write_in_a_tree)?
            .in_both_arms(inside("write at the top").is("EROFS"))
            .shows(inside("write below").from("OK").to("EROFS"))
    },
};

fn bind_a_file(bind: bool) -> Result<Vec<Fact>> {
    trial(move |me| {
        let place = Path::new(PLACE);
        let (new, old) = (place.join("new"), place.join("old"));
        for file in [&new, &old] {
            fs::write(file, "").named(|| "write()".into())?;
        }
        if bind {
            mount::bind(&new, &old)?;
        }
        let which = |path: &Path| fs::metadata(path).map(|it| (it.dev(), it.ino())).named(|| "stat()".into());
        me.report("both names have the same inode", which(&new)? == which(&old)?)
    })
}

fn bind_a_tree(recursive: bool) -> Result<Vec<Fact>> {
    trial(move |me| {
        mount::mount("tmpfs", Path::new(DOOR))?;
        let bind = if recursive { mount::bind_recursive } else { mount::bind };
        bind(Path::new(PLACE), Path::new(ELSEWHERE))?;
        me.report("mounted at /mnt/elsewhere/door", is_mounted("/mnt/elsewhere/door")?)?;
        me.report("mounted at /mnt/elsewhere", is_mounted(ELSEWHERE)?)
    })
}

fn move_or_bind(by_moving: bool) -> Result<Vec<Fact>> {
    trial(move |me| {
        mount::mount("tmpfs", Path::new(DOOR))?;
        let id = |at: &str| Ok(mount::at(None, Path::new(at))?.map(|it| it.mnt_id));
        let before: Option<i32> = id(DOOR)?;
        let take = if by_moving { mount::move_to } else { mount::bind };
        take(Path::new(DOOR), Path::new(ELSEWHERE))?;
        let after: ns_core::Result<Option<i32>> = id(ELSEWHERE);
        me.report("its mount ID is still the same", after? == before)?;
        me.report("mounted at the old place", is_mounted(DOOR)?)
    })
}

fn move_from(parent: Propagation) -> Result<Vec<Fact>> {
    trial(move |me| {
        // The target has another parent mount, since the parent of the source is what counts.
        mount::mount("tmpfs", Path::new(ELSEWHERE))?;
        make_directory(OTHER)?;
        mount::set_propagation(Path::new(PLACE), parent)?;
        mount::mount("tmpfs", Path::new(DOOR))?;
        me.report("mount --move", Outcome::of(mount::move_to(Path::new(DOOR), Path::new(OTHER)))?)
    })
}

fn mount_over(entered_before: bool) -> Result<Vec<Fact>> {
    trial(move |me| {
        fs::write("/mnt/door/file", "").named(|| "write()".into())?;
        let enter = || std::env::set_current_dir(DOOR).named(|| format!("chdir(\"{DOOR}\")"));
        let mut inside = Child::spawn("inside", Namespaces::NONE, move |me| {
            enter()?;
            mount::mount("tmpfs", Path::new(DOOR))?;
            if !entered_before {
                enter()?;
            }
            me.report("open(\"file\")", open("file")?)?;
            me.report("open(\"/mnt/door/file\")", open("/mnt/door/file")?)
        })?;
        inside.pass_on(me)
    })
}

fn attach(copy: bool) -> Result<Vec<Fact>> {
    trial(move |me| {
        mount::mount("tmpfs", Path::new(DOOR))?;
        fs::write("/mnt/door/file", "").named(|| "write()".into())?;
        let open_tree = if copy { Tree::copy_of } else { Tree::at };
        let tree = open_tree(Path::new(DOOR))?;
        mount::unmount(Path::new(DOOR))?;
        namespace::unshare(Namespaces::MNT)?;
        me.report("mounted at /mnt/door", is_mounted(DOOR)?)?;
        me.report("move_mount()", Outcome::of(tree.attach(Path::new(ELSEWHERE)))?)?;
        me.report("open(\"/mnt/elsewhere/file\")", open("/mnt/elsewhere/file")?)
    })
}

fn attach_on_a_mount(beneath: bool) -> Result<Vec<Fact>> {
    trial(move |me| {
        for (at, name) in [(DOOR, "old"), (ELSEWHERE, "new")] {
            mount::mount("tmpfs", Path::new(at))?;
            fs::write(Path::new(at).join(name), "").named(|| "write()".into())?;
        }
        let visible = || {
            let is_there = |name: &str| Path::new(DOOR).join(name).exists();
            match (is_there("old"), is_there("new")) {
                (true, false) => "the old mount",
                (false, true) => "the new mount",
                _ => "neither",
            }
        };
        let tree = Tree::copy_of(Path::new(ELSEWHERE))?;
        let put = if beneath { Tree::attach_beneath } else { Tree::attach };
        me.report("move_mount()", Outcome::of(put(&tree, Path::new(DOOR)))?)?;
        me.report("visible at /mnt/door", visible())?;
        mount::unmount(Path::new(DOOR))?;
        me.report("visible after umount2()", visible())
    })
}

fn write_below(mount_below: bool) -> Result<Vec<Fact>> {
    trial(move |me| {
        if mount_below {
            mount::mount("tmpfs", Path::new(DOOR))?;
        }
        mount::bind_recursive(Path::new(PLACE), Path::new(ELSEWHERE))?;
        mount::restrict(Path::new(ELSEWHERE), &[Restriction::ReadOnly])?;
        write_at_both(me)
    })
}

fn write_in_a_tree(recursively: bool) -> Result<Vec<Fact>> {
    trial(move |me| {
        mount::mount("tmpfs", Path::new(DOOR))?;
        let tree = Tree::copy_of_all(Path::new(PLACE))?;
        if recursively {
            tree.make_read_only()?;
        } else {
            tree.make_one_read_only()?;
        }
        tree.attach(Path::new(ELSEWHERE))?;
        write_at_both(me)
    })
}

fn write_at_both(me: &mut Reporter) -> ns_core::Result<()> {
    let write = |path: &str| Outcome::of(fs::write(path, "").named(|| format!("write(\"{path}\")")));
    me.report("write at the top", write("/mnt/elsewhere/file")?)?;
    me.report("write below", write("/mnt/elsewhere/door/file")?)
}
