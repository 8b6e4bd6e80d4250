//! An overlay, the mount that combines the layers of an image.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use anyhow::Result;
use lesson::{Claim, Requirement, Step, hand, inside};
use ns_core::probe::Unmet;
use ns_core::{Fact, Named, mount};

use crate::place::{PLACE, make_directory, trial};

/// On Debian, overlayfs is a module, which mount(2) loads.
const OVERLAYFS: Requirement = Requirement::Probe(has_overlayfs);

const COPY_UP: Claim = Claim::holds(
    "copy-up",
    "A write through an overlay changes the upper layer; the file in the lower layer does not change.",
)
.factor("mount -t overlay")
.more(&[94])
.requires(&[OVERLAYFS]);
const WHITEOUT: Claim = Claim::holds(
    "whiteout",
    "A file removed through an overlay stays in the lower layer; the upper layer gets a whiteout, device 0:0.",
)
.factor("mount -t overlay")
.more(&[94])
.requires(&[OVERLAYFS]);

pub(crate) const CHANGE_AND_REMOVE: Step = Step {
    title: "Mount an overlay of an empty upper layer on a lower layer with a file. Change and remove the file through it, and through a bind mount.",
    calls: &["mount(\"overlay\", \"/mnt/all\", \"overlay\", 0, \"lowerdir=…,upperdir=…,workdir=…\")"],
    by_hand: &[
        hand("unshare -Urm bash").prints(""),
        hand("mount -t tmpfs x /mnt; cd /mnt; mkdir low up work all; echo old > low/f").prints(""),
        hand("mount -t overlay -o lowerdir=low,upperdir=up,workdir=work x all").prints(""),
        hand("echo new > all/f; cat low/f up/f; rm all/f; stat -c '%n: %F' low/f up/f; exit")
            .prints("old\nnew\nlow/f: regular file\nup/f: character special file"),
    ],
    claims: &[COPY_UP, WHITEOUT],
    run: |lab| {
        lab.compare(COPY_UP, false, true, change)?
            .in_both_arms(inside("file through the mount").is("new"))
            .shows(inside("file in the lower layer").is("old"))?;
        lab.compare(WHITEOUT, false, true, remove)?.shows(
            inside("file in the lower layer").is("old") & inside("file in the upper layer").is("device 0:0"),
        )
    },
};

/// A lower layer with a file, mounted at `all` by an overlay or by a bind mount.
struct Layers {
    lower: PathBuf,
    upper: PathBuf,
    all: PathBuf,
}

impl Layers {
    fn mounted(overlay: bool) -> ns_core::Result<Layers> {
        let [lower, upper, work, all] = ["lower", "upper", "work", "all"].map(|it| Path::new(PLACE).join(it));
        for directory in [&lower, &upper, &work, &all] {
            make_directory(directory)?;
        }
        write(&lower, "old")?;
        if overlay {
            mount::overlay(&lower, &upper, &work, &all)?;
        } else {
            mount::bind(&lower, &all)?;
        }
        Ok(Layers { lower, upper, all })
    }
}

fn change(overlay: bool) -> Result<Vec<Fact>> {
    trial(move |me| {
        let layers = Layers::mounted(overlay)?;
        write(&layers.all, "new")?;
        me.report("file in the lower layer", file_in(&layers.lower)?)?;
        me.report("file in the upper layer", file_in(&layers.upper)?)?;
        me.report("file through the mount", file_in(&layers.all)?)
    })
}

fn remove(overlay: bool) -> Result<Vec<Fact>> {
    trial(move |me| {
        let layers = Layers::mounted(overlay)?;
        fs::remove_file(layers.all.join("file")).named(|| "unlink()".into())?;
        me.report("file in the lower layer", file_in(&layers.lower)?)?;
        me.report("file in the upper layer", file_in(&layers.upper)?)?;
        me.report("file through the mount", file_in(&layers.all)?)
    })
}

fn write(directory: &Path, text: &str) -> ns_core::Result<()> {
    fs::write(directory.join("file"), text).named(|| format!("write({}/file)", directory.display()))
}

/// The content or type of `file` in `directory`.
fn file_in(directory: &Path) -> ns_core::Result<String> {
    let path = directory.join("file");
    let Ok(found) = fs::symlink_metadata(&path) else { return Ok("none".into()) };
    if found.file_type().is_char_device() {
        return Ok(if found.rdev() == 0 { "device 0:0" } else { "another device" }.into());
    }
    fs::read_to_string(&path).named(|| format!("read({})", path.display()))
}

fn has_overlayfs() -> ns_core::Result<Option<Unmet>> {
    let tried = trial(|me| {
        let mounted = Layers::mounted(true);
        me.report("mount -t overlay", ns_core::Outcome::of(mounted)?)
    });
    // If the trial itself fails, the claim reports it.
    let Ok(answer) = tried else { return Ok(None) };
    let works = answer.iter().any(|fact| fact.value == "OK");
    Ok((!works).then(|| Unmet::new("overlayfs", "modprobe overlay, or run a newer kernel")))
}
