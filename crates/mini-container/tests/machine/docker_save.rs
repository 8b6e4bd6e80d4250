//! An image that a Docker engine has built and saved runs as in Docker. scripts/docker-lab starts and stops the engine.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use libtest_mimic::{Completion, Failed};

use crate::plain::PROGRAM;

/// Why there is no engine on this machine.
fn missing() -> Option<&'static str> {
    let has = |program: &str| {
        let found = Command::new("sh").args(["-c", "command -v \"$0\"", program]).output();
        found.is_ok_and(|output| output.status.success())
    };
    if !nix::unistd::geteuid().is_root() {
        return Some("needs root, who alone can start a Docker engine");
    }
    let programs = [
        ("dockerd", "dockerd is missing: apt install docker.io"),
        ("docker", "docker is missing: apt install docker-cli"),
        ("busybox", "busybox is missing: apt install busybox-static"),
    ];
    programs.into_iter().find(|(program, _)| !has(program)).map(|(_, why)| why)
}

/// The commands that run in both containers: they print files, an owner, and the configuration.
const QUESTION: &str = "find /srv /data /link /replaced | sort; cat /replaced/in; stat -c %u:%g /srv/kept/two; pwd; echo $GREETING $PATH";

/// Three layers: files; then a file, a directory and the content of a directory are removed, and types have changed.
const SCRIPT: &str = r#"
set -e
cd "$0"
docker import rootfs.tar mini:1
commit() {
    from=$1 to=$2; shift 2
    id=$(docker run --detach "$from" sh -c "$layer")
    [ "$(docker wait "$id")" = 0 ]
    docker commit "$@" "$id" "$to"
}
layer='mkdir -p /srv/kept /srv/gone /data/sub; echo 1 >/srv/kept/one; echo 2 >/srv/kept/two; echo x >/srv/gone/x
    echo low >/data/low; echo low >/data/sub/low; ln -s /data /link; echo f >/replaced; chown 5:7 /srv/kept/two'
commit mini:1 mini:2

layer='rm /srv/kept/one; rm -r /srv/gone; rm -r /data; mkdir -p /data/sub; echo high >/data/sub/high
    rm /replaced; mkdir /replaced; echo in >/replaced/in; rm /link; mkdir /link; echo dir >/link/dir'
commit mini:2 mini:3 -c 'ENV GREETING="hello world"' -c 'ENV PATH=/opt:/bin' -c 'WORKDIR /made/here'
docker save mini:3 >image.tar
docker run --rm mini:3 sh -c "$1" >expected
"#;

pub(crate) fn a_saved_image_runs_as_the_engine_runs_it() -> Result<Completion, Failed> {
    if let Some(missing) = missing() {
        return Ok(Completion::ignored_with(missing));
    }
    let work = std::env::temp_dir().join(format!("mini-container-test-{}-saved", std::process::id()));
    std::fs::create_dir(&work)?;
    let compared = compare(&work);
    std::fs::remove_dir_all(&work)?;
    compared.map(|()| Completion::Completed)
}

fn compare(work: &Path) -> Result<(), Failed> {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts");
    let rootfs = work.join("rootfs.tar");
    succeeded(&Command::new(scripts.join("rootfs")).arg("busybox").arg(rootfs).output()?)?;
    let built = Command::new(scripts.join("docker-lab"))
        .env("DOCKER_LAB", work.join("lab"))
        .env_remove("DOCKER_HOST")
        .args(["run", "sh", "-c", SCRIPT])
        .arg(work)
        .arg(QUESTION)
        .stdin(Stdio::null())
        .output()?;
    succeeded(&built)?;
    let expected = std::fs::read_to_string(work.join("expected"))?;
    let image = work.join("image.tar");
    let packed = Command::new("gzip").arg("--keep").arg(&image).output()?;
    succeeded(&packed)?;
    for image in [image, work.join("image.tar.gz")] {
        let output = Command::new(PROGRAM)
            .args(["run", "--user", "auto"])
            .arg(image)
            .args(["sh", "-c", QUESTION])
            .stdin(Stdio::null())
            .output()?;
        succeeded(&output)?;
        let got = String::from_utf8_lossy(&output.stdout);
        if got != expected {
            return Err(format!("the engine:\n{expected}\nhere:\n{got}").into());
        }
    }
    Ok(())
}

fn succeeded(output: &Output) -> Result<(), Failed> {
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{output:?}").into())
}
