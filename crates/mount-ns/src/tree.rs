//! The tree itself: what is bound, moved, covered, and mounted nowhere.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::Result;
use lesson::{Claim, Kernel, Need, Step, hand, inside};
use ns_core::mount::{self, Propagation, Restriction, Tree};
use ns_core::{Child, Fact, Named, Namespaces, Outcome, Reporter, namespace};

use crate::place::{DOOR, ELSEWHERE, PLACE, make_directory, open, sees, trial};

const OTHER: &str = "/mnt/elsewhere/other";

const BIND: Claim =
    Claim::holds("bind", "A bind mount puts a file in another's place: both names lead to the same inode.")
        .factor("MS_BIND")
        .notes(&[9]);
const SUBMOUNTS: Claim = Claim::holds(
    "submounts",
    "A bind mount leaves out what is mounted below; a recursive one takes it along.",
)
.factor("MS_REC")
.notes(&[9]);

pub(crate) const BIND_FILES_AND_TREES: Step = Step {
    title: "Bind one file over another, then a directory with a mount below, with and without MS_REC.",
    calls: &["mount(\"/mnt/new\", \"/mnt/old\", NULL, MS_BIND)", "stat()"],
    by_hand: &[hand("unshare -Urm sh -c 'mount --bind /etc/passwd /etc/hostname; head -n 1 /etc/hostname'; cat /etc/hostname").prints("root:x:0:0:…\n<name>"), hand("unshare -Urm bash").prints(""), hand("mount -t tmpfs x /mnt; cd /mnt; mkdir -p a/c b; mount -t tmpfs y a/c; mount --bind a b; findmnt -nlRo TARGET /mnt | sort").prints("/mnt\n/mnt/a/c\n/mnt/b"), hand("umount b; mount --rbind a b; findmnt -nlRo TARGET /mnt | sort; exit").prints("/mnt\n/mnt/a/c\n/mnt/b\n/mnt/b/c"), ],
    claims: &[BIND, SUBMOUNTS],
    run: |lab| {
        lab.compare(BIND, false, true, bind_a_file)?
            .shows(inside("the two names lead to the same inode").is("yes"))?;
        lab.compare(SUBMOUNTS, false, true, bind_a_tree)?
            .shows(inside("mounted at /mnt/elsewhere/door").is("yes"))
    },
};

const MOVE: Claim = Claim::holds(
    "move",
    "mount --move takes a mount elsewhere, its mount ID with it; a bind makes a second mount.",
)
.factor("MS_MOVE")
.notes(&[9]);
const MOVE_SHARED: Claim =
    Claim::holds("move-shared", "A mount whose parent is shared cannot be moved: EINVAL.")
        .factor("a shared parent")
        .notes(&[9]);

pub(crate) const MOVE_A_MOUNT: Step = Step {
    title: "Move a mount, beside binding it; then move it away from a parent that is shared, as systemd's are.",
    calls: &["mount(\"/mnt/door\", \"/mnt/elsewhere\", NULL, MS_MOVE)"],
    by_hand: &[hand("unshare -Urm bash").prints(""), hand("mount -t tmpfs x /mnt; mkdir /mnt/a /mnt/b; mount -t tmpfs y /mnt/a; mount -n --move /mnt/a /mnt/b && echo OK").prints("OK"), hand("mount --make-shared /mnt; mount -n --move /mnt/b /mnt/a; exit").prints("mount: /mnt/a: …\n…"), ],
    claims: &[MOVE, MOVE_SHARED],
    run: |lab| {
        lab.compare(MOVE, false, true, take_elsewhere)?.shows(
            inside("its mount ID is still the same").is("yes") & inside("mounted at the old place").is("no"),
        )?;
        lab.compare(MOVE_SHARED, Propagation::Private, Propagation::Shared, move_from)?
            .shows(inside("mount --move").is("EINVAL"))
    },
};

const UNDER: Claim = Claim::holds(
    "under",
    "A process whose working directory is mounted over stays below; the path leads to what is on top.",
)
.factor("chdir() before the mount")
.notes(&[9]);

pub(crate) const MOUNT_OVER: Step = Step {
    title: "Mount over a directory that a process is in already, and over one that it enters afterwards.",
    calls: &["chdir(\"/mnt/door\")", "open(\"file\")", "open(\"/mnt/door/file\")"],
    by_hand: &[hand("unshare -Urm sh -c 'cd /etc; mount -t tmpfs x /etc; ls hostname; ls /etc/hostname'")
        .prints("hostname\nENOENT")],
    claims: &[UNDER],
    run: |lab| {
        lab.compare(UNDER, false, true, mount_over)?.shows(
            inside("open(\"file\")").from("ENOENT").to("OK")
                & inside("open(\"/mnt/door/file\")").is("ENOENT"),
        )
    },
};

const DETACHED: Claim = Claim::holds(
    "detached",
    "A copy by open_tree() is mounted nowhere, outlives its source's unmount and an unshare(), and can be attached.",
)
.factor("OPEN_TREE_CLONE")
.more(&[92]);
const BENEATH: Claim = Claim::holds_since(
    "beneath",
    "move_mount() can put a mount beneath the topmost: it comes to light when that one is unmounted.",
    Kernel(6, 5),
)
.factor("MOVE_MOUNT_BENEATH")
.notes(&[9]);

pub(crate) const ATTACH_A_DESCRIPTOR: Step = Step {
    title: "Open a mount as a descriptor, the mount itself and a copy; unmount it, call unshare(CLONE_NEWNS), and attach the descriptor elsewhere. Then attach one on top of another mount, and beneath it.",
    calls: &["open_tree(\"/mnt/door\", OPEN_TREE_CLONE)", "move_mount(fd, \"/mnt/elsewhere\")"],
    by_hand: &[hand("unshare -Urm bash").prints(""), hand("mount -t tmpfs x /mnt; cd /mnt; mkdir a b c; mount -t tmpfs y a; touch a/old; mount -t tmpfs z c; touch c/new").prints(""), hand("/usr/bin/python3 -c 'import ctypes,os; call=ctypes.CDLL(None).syscall; tree=call(428,-100,b\"a\",1); os.system(\"umount a\"); print(call(429,tree,b\"\",-100,b\"b\",4))'; ls b").prints("0\nold"), hand("/usr/bin/python3 -c 'import ctypes; call=ctypes.CDLL(None).syscall; tree=call(428,-100,b\"c\",1); print(call(429,tree,b\"\",-100,b\"b\",0x204))'; ls b; umount b; ls b; exit").prints("0\nold\nnew").needs(&[Need::Kernel(6, 5)]), ],
    claims: &[DETACHED, BENEATH],
    run: |lab| {
        lab.compare(DETACHED, false, true, attach)?.shows(
            inside("move_mount()").from("EINVAL").to("OK")
                & inside("open(\"/mnt/elsewhere/file\")").from("ENOENT").to("OK"),
        )?;
        lab.compare(BENEATH, false, true, slide_in)?.shows(
            inside("move_mount()").from("EINVAL").to("OK")
                & inside("seen at /mnt/door").is("the old mount")
                & inside("seen after umount2()").is("the new mount"),
        )
    },
};

const TOP_ALONE: Claim = Claim::holds(
    "top-alone",
    "remount,bind,ro makes one mount read-only: what is mounted below it can still be written.",
)
.factor("a mount below")
.notes(&[9]);
const WHOLE_TREE: Claim = Claim::holds(
    "whole-tree",
    "mount_setattr() with AT_RECURSIVE makes a whole tree read-only, with what is mounted below.",
)
.factor("AT_RECURSIVE")
.more(&[90]);

pub(crate) const RESTRICT_THE_TOP: Step = Step {
    title: "Bind a tree recursively, make the bind read-only, and write at its top and at what is mounted below; then make a \
            copy of the tree read-only by mount_setattr().",
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
            .shows(inside("write at the top").is("EROFS") & inside("write below").from("EROFS").to("OK"))?;
        lab.compare(WHOLE_TREE, false, true, write_in_a_tree)?
            .shows(inside("write at the top").is("EROFS") & inside("write below").from("OK").to("EROFS"))
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
        me.report("the two names lead to the same inode", which(&new)? == which(&old)?)
    })
}

fn bind_a_tree(recursive: bool) -> Result<Vec<Fact>> {
    trial(move |me| {
        mount::mount("tmpfs", Path::new(DOOR))?;
        let bind = if recursive { mount::bind_recursive } else { mount::bind };
        bind(Path::new(PLACE), Path::new(ELSEWHERE))?;
        me.report("mounted at /mnt/elsewhere/door", sees("/mnt/elsewhere/door")?)?;
        me.report("mounted at /mnt/elsewhere", sees(ELSEWHERE)?)
    })
}

fn take_elsewhere(by_moving: bool) -> Result<Vec<Fact>> {
    trial(move |me| {
        mount::mount("tmpfs", Path::new(DOOR))?;
        let id = |at: &str| Ok(mount::at(None, Path::new(at))?.map(|it| it.mnt_id));
        let before: Option<i32> = id(DOOR)?;
        let take = if by_moving { mount::move_to } else { mount::bind };
        take(Path::new(DOOR), Path::new(ELSEWHERE))?;
        let after: ns_core::Result<Option<i32>> = id(ELSEWHERE);
        me.report("its mount ID is still the same", after? == before)?;
        me.report("mounted at the old place", sees(DOOR)?)
    })
}

fn move_from(parent: Propagation) -> Result<Vec<Fact>> {
    trial(move |me| {
        // The target's mount is another: it is the source's parent that counts.
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
        me.report("mounted at /mnt/door", sees(DOOR)?)?;
        me.report("move_mount()", Outcome::of(tree.attach(Path::new(ELSEWHERE)))?)?;
        me.report("open(\"/mnt/elsewhere/file\")", open("/mnt/elsewhere/file")?)
    })
}

fn slide_in(beneath: bool) -> Result<Vec<Fact>> {
    trial(move |me| {
        for (at, name) in [(DOOR, "old"), (ELSEWHERE, "new")] {
            mount::mount("tmpfs", Path::new(at))?;
            fs::write(Path::new(at).join(name), "").named(|| "write()".into())?;
        }
        let seen = || {
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
        me.report("seen at /mnt/door", seen())?;
        mount::unmount(Path::new(DOOR))?;
        me.report("seen after umount2()", seen())
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
