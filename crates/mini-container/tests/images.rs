//! Root filesystems from images, as `docker save` and others write them: layers, whiteouts, configuration, and images that
//! are refused.

mod plain;

use std::fs;
use std::path::PathBuf;

use plain::tarred::{Made, files, gzip, sha256, tarred, whole, zstd};
use plain::{Directory, mounts, refused, run, said};
use serde_json::{Value, json};
use tar::EntryType::{Directory as Folder, Regular, Symlink};

/// An image of these layers, in the form of `docker save`.
fn saved(work: &Directory, layers: &[&[u8]], config: &Value) -> PathBuf {
    let names: Vec<String> = (0..layers.len()).map(|at| format!("{at}/layer.tar")).collect();
    let manifest = json!([{"Config": "config.json", "Layers": names}]).to_string();
    let config = config.to_string();
    let mut all: Vec<(&str, &[u8])> = vec![("config.json", config.as_bytes())];
    // Not in order: the manifest has the order.
    all.extend(names.iter().map(String::as_str).zip(layers.iter().copied()).rev());
    all.push(("manifest.json", manifest.as_bytes()));
    let path = work.at("image.tar");
    files(&path, &all);
    path
}

/// The digests of the layers, in the form of a configuration.
fn digests(layers: &[&[u8]]) -> Value {
    let digests: Vec<_> = layers.iter().map(|it| format!("sha256:{}", sha256(it))).collect();
    json!({"rootfs": {"type": "layers", "diff_ids": digests}})
}

/// Blobs of a layout of the Open Container Initiative.
#[derive(Default)]
struct Layout(Vec<(String, Vec<u8>)>);

impl Layout {
    /// Adds a blob, and returns its descriptor.
    fn add(&mut self, bytes: &[u8]) -> Value {
        let digest = sha256(bytes);
        self.0.push((format!("blobs/sha256/{digest}"), bytes.into()));
        json!({"digest": format!("sha256:{digest}"), "size": bytes.len()})
    }

    /// Adds an image of these layers, each with its uncompressed and its stored bytes.
    fn image(&mut self, layers: &[(&[u8], Vec<u8>)]) -> Value {
        let plain: Vec<_> = layers.iter().map(|(plain, _)| *plain).collect();
        let config = self.add(digests(&plain).to_string().as_bytes());
        let layers: Vec<_> = layers.iter().map(|(_, stored)| self.add(stored)).collect();
        self.add(json!({"config": config, "layers": layers}).to_string().as_bytes())
    }

    /// Writes it as a directory.
    fn lay_out(&self, work: &Directory, index: &Value) -> PathBuf {
        let path = work.at("layout");
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(path.join("blobs/sha256")).unwrap();
        fs::write(path.join("oci-layout"), "{}").unwrap();
        fs::write(path.join("index.json"), index.to_string()).unwrap();
        for (name, bytes) in &self.0 {
            fs::write(path.join(name), bytes).unwrap();
        }
        path
    }

    fn write(&self, work: &Directory, index: &Value) -> PathBuf {
        let path = work.at("layout.tar");
        let index = index.to_string();
        let mut all: Vec<(&str, &[u8])> = vec![("oci-layout", b"{}"), ("index.json", index.as_bytes())];
        all.extend(self.0.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())));
        files(&path, &all);
        path
    }
}

#[test]
fn an_image_has_its_layers_applied() {
    let work = Directory::new("layers");
    let base = fs::read(whole(&work)).unwrap();
    let second = tarred(&[
        (Folder, "etc", ""),
        (Regular, "etc/one", "1"),
        (Regular, "etc/two", "2"),
        (Regular, "srv/below", "x"),
        (Regular, "srv/both/below", "x"),
        (Regular, "srv/gone/deep/below", "x"),
    ]);
    let third = tarred(&[
        (Regular, "etc/.wh.one", ""),
        (Regular, "etc/.wh.never-was", ""),
        (Regular, "etc/.wh..wh.plnk", ""),
        (Regular, "etc/three", "3"),
        (Regular, "srv/above", "y"),
        (Regular, "srv/both/above", "y"),
        // After the file that it must keep.
        (Regular, "srv/.wh..wh..opq", ""),
    ]);
    let layers: &[&[u8]] = &[&base, &second, &third];
    let path = saved(&work, layers, &digests(layers));
    let output = run([path.to_str().unwrap(), "sh", "-c", "cd /; ls etc srv srv/both"]);
    assert_eq!(said(&output), "etc:\nthree\ntwo\n\nsrv:\nabove\nboth\n\nsrv/both:\nabove");
}

#[test]
fn a_whiteout_spares_what_its_own_layer_brings() {
    let work = Directory::new("own");
    let base = fs::read(whole(&work)).unwrap();
    let below =
        tarred(&[(Regular, "srv/file", "old"), (Regular, "srv/tree/old", "x"), (Regular, "srv/plain", "x")]);
    for entries in [
        [
            (Regular, "srv/.wh.file", ""),
            (Regular, "srv/.wh.tree", ""),
            (Regular, "srv/file", "new"),
            (Regular, "srv/tree/new", "x"),
        ],
        [
            (Regular, "srv/tree/new", "x"),
            (Regular, "srv/file", "new"),
            (Regular, "srv/.wh.tree", ""),
            (Regular, "srv/.wh.file", ""),
        ],
    ] {
        let above = tarred(&entries);
        let path = saved(&work, &[&base, &below, &above], &json!({}));
        let output = run([path.to_str().unwrap(), "sh", "-c", "cd /srv; ls . tree; cat file"]);
        assert_eq!(said(&output), ".:\nfile\nplain\ntree\n\ntree:\nnew\nnew");
    }
}

#[test]
fn an_image_says_with_which_variables_and_where() {
    let work = Directory::new("config");
    let base = fs::read(whole(&work)).unwrap();
    let layer = tarred(&[(Symlink, "opt/tools", "/bin")]);
    let config = json!({"config": {
        "Env": ["PATH=/opt/tools:/nowhere", "GREETING=a=b c", "HOME=/srv", "no variable"],
        "WorkingDir": "/srv/made/here",
        // These are not used: the command is given, and --user sets the IDs.
        "Entrypoint": ["/nosuch"], "Cmd": ["/nosuch"], "User": "1000",
    }});
    let path = saved(&work, &[&base, &layer], &config);
    let path = path.to_str().unwrap();
    let script = "pwd; echo $PATH; echo $GREETING; echo $HOME; echo $HOSTNAME; id -u";
    assert_eq!(
        said(&run([path, "sh", "-c", script])),
        "/srv/made/here\n/opt/tools:/nowhere\na=b c\n/srv\ncontainer\n0"
    );
    refused(&run([path, "nosuch"]), 127, &["/opt/tools:/nowhere"]);

    // A working directory that leads out: by a directory left open, or a magic link of procfs (CVE-2024-21626).
    for directory in ["/proc/self/fd/3", "/proc/1/cwd", "/etc/file", "../..", "a\0b"] {
        let layer = tarred(&[(Regular, "etc/file", "x")]);
        let path = saved(&work, &[&base, &layer], &json!({"config": {"WorkingDir": directory}}));
        let output = run([path.to_str().unwrap(), "ls", "/"]);
        assert_eq!(output.status.code(), Some(125), "{directory}: {output:?}");
        assert!(output.stdout.is_empty(), "{directory}");
    }
    let nul = saved(&work, &[&base], &json!({"config": {"Env": ["A=b\0c"]}}));
    refused(&run([nul.to_str().unwrap(), "true"]), 125, &["NUL"]);
}

#[test]
fn an_oci_layout_is_an_image_too() {
    let work = Directory::new("oci");
    let base = fs::read(whole(&work)).unwrap();
    let above = tarred(&[(Regular, "etc/above", "x")]);
    let mut layout = Layout::default();
    let ours = layout.image(&[(&base, gzip(&base)), (&above, above.clone())]);
    let listed = |path: PathBuf| said(&run([path.to_str().unwrap(), "ls", "/etc"]));
    assert_eq!(listed(layout.lay_out(&work, &json!({"manifests": [ours.clone()]}))), "above");
    let path = layout.write(&work, &json!({"manifests": [ours]}));
    assert_eq!(listed(path.clone()), "above");
    let packed = work.at("layout.tar.gz");
    fs::write(&packed, gzip(&fs::read(&path).unwrap())).unwrap();
    assert_eq!(listed(packed), "above");

    // For several platforms, with records of how each was built, and nested indexes.
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let placed = |mut image: Value, os: &str, architecture: &str| {
        image["platform"] = json!({"os": os, "architecture": architecture});
        image
    };
    let foreign = layout.image(&[(&above, above.clone())]);
    let index = json!({"manifests": [
        placed(foreign.clone(), "linux", "s390x"),
        placed(ours.clone(), "linux", architecture),
        placed(foreign.clone(), "unknown", "unknown"),
    ]});
    let below = layout.add(index.to_string().as_bytes());
    assert_eq!(listed(layout.write(&work, &json!({"manifests": [below]}))), "above");

    let refuse = |index: Value, words: &[&str]| {
        refused(&run([layout.write(&work, &index).to_str().unwrap(), "true"]), 125, words);
    };
    let others = [placed(foreign.clone(), "linux", "s390x"), placed(foreign.clone(), "linux", "mips")];
    refuse(json!({"manifests": others}), &["is for linux/s390x, linux/mips", architecture]);
    // Saved for one platform by an engine that lists all of them, as on a machine of another architecture.
    let absent = json!({"digest": "sha256:00"});
    let listed_only = placed(absent.clone(), "linux", architecture);
    let mut variant = placed(foreign.clone(), "linux", "arm");
    variant["platform"]["variant"] = json!("v7");
    refuse(
        json!({"manifests": [listed_only.clone(), variant, placed(absent.clone(), "unknown", "unknown")]}),
        &["the image is for linux/arm/v7", "--platform linux/"],
    );
    let deceptive = placed(absent, "linux", "\u{202e}\u{1b}[2J");
    refuse(json!({"manifests": [listed_only, deceptive]}), &["contains none of them", "\\u{202e}\\u{1b}[2J"]);
    refuse(json!({"manifests": [ours, foreign]}), &["2 images", "save one alone"]);
    refuse(json!({"manifests": []}), &["index.json names no image"]);
    refuse(json!([]), &["index.json names no image"]);
    refuse(json!({"manifests": [{"digest": "sha256:../../../etc/passwd"}]}), &["its manifest is missing"]);
    refuse(json!({"manifests": [{"digest": 7}]}), &["its manifest is missing"]);
    // The digest in the configuration is that of another layer.
    let mut layout = Layout::default();
    let image =
        layout.image(&[(&base, base.clone()), (&above, gzip(&tarred(&[(Regular, "etc/evil", "x")])))]);
    let path = layout.write(&work, &json!({"manifests": [image]}));
    refused(&run([path.to_str().unwrap(), "true"]), 125, &["a layer has the digest", "save it again"]);
    for (stored, words) in [
        (gzip(&above)[..60].to_vec(), &["cut short", "get it again"][..]),
        (b"\xfd7zXZ\0".to_vec(), &["its layers are compressed with xz", "docker export"]),
        (zstd(&above)[..60].to_vec(), &["cut short", "get it again"]),
    ] {
        let mut layout = Layout::default();
        let image = layout.image(&[(&base, base.clone()), (&above, stored)]);
        let path = layout.write(&work, &json!({"manifests": [image]}));
        refused(&run([path.to_str().unwrap(), "true"]), 125, words);
    }
}

#[test]
fn a_layout_is_a_directory_and_leads_to_no_file_outside() {
    let work = Directory::new("layout");
    let base = fs::read(whole(&work)).unwrap();
    let above = tarred(&[(Regular, "etc/above", "x")]);
    let mut layout = Layout::default();
    let image = layout.image(&[(&base, zstd(&base)), (&above, gzip(&above))]);
    let index = json!({"manifests": [image.clone()]});
    let path = layout.lay_out(&work, &index);
    let listed = |path: &PathBuf| run([path.to_str().unwrap(), "ls", "/etc"]);
    assert_eq!(said(&listed(&path)), "above");
    let before: Vec<_> = fs::read_dir(&path).unwrap().flatten().map(|it| it.file_name()).collect();
    assert_eq!(before.len(), 3, "it is as it was");

    let blob = |descriptor: &Value| {
        path.join("blobs/sha256").join(descriptor["digest"].as_str().unwrap().trim_start_matches("sha256:"))
    };
    // A blob that is a link, a directory, a FIFO or absent.
    let manifest = blob(&image);
    let outside = work.at("outside");
    fs::rename(&manifest, &outside).unwrap();
    refused(&listed(&path), 125, &["its manifest is missing"]);
    std::os::unix::fs::symlink(&outside, &manifest).unwrap();
    refused(&listed(&path), 125, &["leads out of the layout"]);
    fs::remove_file(&manifest).unwrap();
    fs::create_dir(&manifest).unwrap();
    refused(&listed(&path), 125, &["is not a regular file"]);
    fs::remove_dir(&manifest).unwrap();
    nix::unistd::mkfifo(&manifest, nix::sys::stat::Mode::S_IRWXU).unwrap();
    refused(&listed(&path), 125, &["is not a regular file"]);
    for digest in ["sha256:../../../../../../etc/passwd", "sha256:../../../outside", "a:/etc/passwd"] {
        layout.lay_out(&work, &json!({"manifests": [{"digest": digest}]}));
        let output = listed(&path);
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(125), "{told}");
        assert!(told.contains("leads out of the layout") || told.contains("is missing"), "{digest}: {told}");
    }
    layout.lay_out(&work, &json!({}));
    refused(&listed(&path), 125, &["index.json names no image"]);
    // Without its two files, it is a root filesystem, and one without the command.
    fs::remove_file(path.join("index.json")).unwrap();
    refused(&listed(&path), 127, &["ls: not found"]);
}

#[test]
fn an_index_that_leads_to_itself_ends() {
    let work = Directory::new("loop");
    // No real digest could be that of a blob that contains it, but these are not checked.
    let index = json!({"manifests": [{"digest": "sha256:00"}]});
    let layout = Layout(vec![("blobs/sha256/00".into(), index.to_string().into())]);
    let path = layout.write(&work, &index);
    refused(&run([path.to_str().unwrap(), "true"]), 125, &["lead to each other"]);
}

#[test]
fn hostile_images_are_refused() {
    let work = Directory::new("hostile");
    let before = mounts();
    let path = work.at("image.tar");
    let layer = tarred(&[(Regular, "etc/file", "x")]);
    let deep = "[".repeat(100_000);
    for (manifest, words) in [
        (r#"[{"Layers": ["nosuch"]}]"#, &["a layer is missing"][..]),
        (r#"[{"Layers": ["../../etc/passwd"]}]"#, &["a layer is missing"]),
        (r#"[{"Layers": ["/etc/passwd"]}]"#, &["a layer is missing"]),
        (r#"[{"Layers": [7]}]"#, &["a layer is missing"]),
        (r#"[{"Layers": ["link"]}]"#, &["a layer is missing"]),
        (r#"[{"Layers": "a"}]"#, &["names no layers"]),
        (r#"[{"Layers": ["a"], "Config": "nosuch"}]"#, &["its configuration is missing"]),
        (r#"[{"Layers": ["a"], "Config": "../../etc/passwd"}]"#, &["its configuration is missing"]),
        (r#"[{"Layers": ["a"], "Config": "a"}]"#, &["its configuration is no JSON"]),
        (r#"[{"Layers": ["a"], "Config": "two"}]"#, &["differ about its layers"]),
        (r#"[{"Layers": ["manifest.json"]}]"#, &["damaged or cut short"]),
        (r#"[{"Layers": []}, {"Layers": []}]"#, &["2 images", "save one alone"]),
        ("[]", &["manifest.json lists no image"]),
        ("{}", &["manifest.json lists no image"]),
        ("7", &["manifest.json lists no image"]),
        ("{", &["manifest.json is no JSON"]),
        ("", &["manifest.json is no JSON"]),
        ("\u{1b}[2J", &["manifest.json is no JSON"]),
        (&deep, &["manifest.json is no JSON"]),
    ] {
        let two = br#"{"rootfs": {"diff_ids": ["sha256:0", "sha256:1"]}}"#;
        files(&path, &[("a", &layer), ("two", two), ("manifest.json", manifest.as_bytes())]);
        let all =
            plain::tarred::longer(fs::read(&path).unwrap(), &[(Symlink, "link", "../../../etc/passwd")]);
        fs::write(&path, all).unwrap();
        refused(&run([path.to_str().unwrap(), "true"]), 125, words);
    }
    let cases: &[(&[Made<'_>], &str)] = &[
        (&[(Regular, ".wh.", "")], "removes no file"),
        (&[(Regular, ".wh..", "")], "removes no file"),
        (&[(Regular, ".wh...", "")], "removes no file"),
        (&[(Regular, "../.wh.x", "")], "leads out"),
        (&[(Regular, "a/../../.wh.x", "")], "leads out"),
        (&[(Regular, "../../evil", "")], "leads out"),
    ];
    for (entries, word) in cases {
        let path = saved(&work, &[&tarred(entries)], &json!({}));
        refused(&run([path.to_str().unwrap(), "true"]), 125, &[word]);
    }
    assert_eq!(mounts(), before);
}

#[test]
fn a_whiteout_through_a_link_removes_inside() {
    let work = Directory::new("link");
    let base = fs::read(whole(&work)).unwrap();
    let outside = work.at("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("file"), "x").unwrap();
    let outside_name = outside.to_str().unwrap();
    let below =
        tarred(&[(Symlink, "up", "../../../etc"), (Regular, "etc/file", "x"), (Regular, "etc/kept", "x")]);
    let above = tarred(&[(Regular, "up/.wh.file", ""), (Symlink, "door", outside_name)]);
    let path = saved(&work, &[&base, &below, &above], &json!({}));
    assert_eq!(said(&run([path.to_str().unwrap(), "ls", "/etc"])), "kept");
    for whiteout in ["door/.wh.file", "door/.wh..wh..opq"] {
        let last = tarred(&[(Regular, whiteout, "")]);
        let path = saved(&work, &[&base, &below, &above, &last], &json!({}));
        refused(&run([path.to_str().unwrap(), "true"]), 125, &["door"]);
    }
    assert!(outside.join("file").exists());
}
