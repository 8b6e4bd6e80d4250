//! Images: an archive of archives, the layers, and JSON with their order. `docker save` writes manifest.json, other tools
//! the layout of the Open Container Initiative (oci-layout, index.json, blobs/), and newer engines both.
//! <https://github.com/opencontainers/image-spec>

use std::collections::HashMap;
use std::io::Read;

use ns_core::{Error, Result};
use serde_json::Value;
use tar::Archive;

use super::bytes::{Bytes, Part, WHOLE};

/// An image's layers, the lowest first, and its configuration of the command.
#[derive(Debug)]
pub(super) struct Image {
    pub(super) layers: Vec<Layer>,
    pub(super) config: Config,
}

#[derive(Debug)]
pub(super) struct Layer {
    pub(super) part: Part,
    /// The SHA-256 of its archive, uncompressed.
    pub(super) digest: Option<String>,
}

/// The part of an image's configuration that is used.
#[derive(Debug, Default)]
pub(crate) struct Config {
    /// Variables, as NAME=VALUE.
    pub(crate) environment: Vec<String>,
    /// The working directory.
    pub(crate) directory: Option<String>,
}

/// The limit of a manifest, which has only a few lines.
const LONGEST_JSON: u64 = 4 << 20;
/// An image has some hundreds of files at most.
const MOST_FILES: usize = 10_000;
/// Names that root filesystems begin with, and images do not.
const ROOT: [&str; 12] =
    ["bin", "boot", "dev", "etc", "home", "lib", "proc", "root", "sbin", "sys", "usr", "var"];

/// The image that an archive is, or none.
pub(super) fn of(bytes: &Bytes<'_>) -> Result<Option<Image>> {
    let Some(files) = Files::of(bytes)? else { return Ok(None) };
    let (layers, digests, config) = if let Some(part) = files.part("manifest.json") {
        let manifest = files.json(part, "manifest.json")?;
        let Some([image]) = manifest.as_array().map(Vec::as_slice) else {
            return Err(
                files.damaged_or_many(manifest.as_array().map(Vec::len), "manifest.json lists no image")
            );
        };
        let layers =
            image["Layers"].as_array().ok_or_else(|| files.damaged("manifest.json names no layers"))?;
        let layers: Option<Vec<_>> = layers.iter().map(|it| files.part(it.as_str()?)).collect();
        let config = match image["Config"].as_str() {
            Some(name) => {
                let part = files.part(name).ok_or_else(|| files.damaged("its configuration is missing"))?;
                files.json(part, "its configuration")?
            }
            None => Value::Null,
        };
        (layers, config["rootfs"]["diff_ids"].clone(), config)
    } else if let (Some(_), Some(part)) = (files.part("oci-layout"), files.part("index.json")) {
        let manifest = files.manifest(&files.json(part, "index.json")?, 0)?;
        let layers =
            manifest["layers"].as_array().ok_or_else(|| files.damaged("its manifest names no layers"))?;
        let layers: Option<Vec<_>> = layers.iter().map(|it| files.blob(it)).collect();
        let part =
            files.blob(&manifest["config"]).ok_or_else(|| files.damaged("its configuration is missing"))?;
        let config = files.json(part, "its configuration")?;
        (layers, config["rootfs"]["diff_ids"].clone(), config)
    } else {
        return Ok(None);
    };
    let parts = layers.ok_or_else(|| files.damaged("a layer is missing"))?;
    let digests = digests.as_array().map(Vec::as_slice).unwrap_or_default();
    if !digests.is_empty() && digests.len() != parts.len() {
        return Err(files.damaged("its manifest and its configuration differ about its layers"));
    }
    let digest = |at: usize| digests.get(at)?.as_str()?.strip_prefix("sha256:").map(str::to_owned);
    let layers = parts.into_iter().enumerate().map(|(at, part)| Layer { part, digest: digest(at) }).collect();
    Ok(Some(Image { layers, config: Config::of(&config["config"]) }))
}

impl Config {
    fn of(config: &Value) -> Config {
        let variables = config["Env"].as_array().map(Vec::as_slice).unwrap_or_default();
        let variables = variables.iter().filter_map(Value::as_str).filter(|it| it.contains('='));
        let directory = config["WorkingDir"].as_str().filter(|it| !it.is_empty());
        Config {
            environment: variables.map(str::to_owned).collect(),
            directory: directory.map(str::to_owned),
        }
    }
}

/// The files of an archive that may be an image.
struct Files<'a> {
    bytes: &'a Bytes<'a>,
    /// The offset of each, and the target if it is a link.
    found: HashMap<String, (Part, Option<String>)>,
}

impl<'a> Files<'a> {
    fn of(bytes: &'a Bytes<'a>) -> Result<Option<Files<'a>>> {
        let damaged = |error| bytes.damaged(&error);
        let mut archive = Archive::new(bytes.stream(WHOLE)?);
        let mut entries = archive.entries_with_seek().map_err(damaged)?;
        let mut found = HashMap::new();
        loop {
            bytes.expect_header();
            let Some(entry) = entries.next() else { break };
            let entry = entry.map_err(damaged)?;
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let path = text(&entry.path_bytes()).trim_start_matches("./").to_owned();
            let first = path.split('/').next().unwrap_or_default();
            if ROOT.contains(&first) || found.len() == MOST_FILES {
                return Ok(None);
            }
            let link = entry.link_name_bytes().map(|it| text(&it));
            found.insert(path, (Part { offset: entry.raw_file_position(), length: entry.size() }, link));
        }
        Ok(Some(Files { bytes, found }))
    }

    /// Looks a name up among the files of the archive, so it cannot lead outside.
    fn part(&self, name: &str) -> Option<Part> {
        // Docker before 25 wrote a layer that several images share as a link.
        match self.found.get(name)? {
            (_, Some(link)) => Some(self.found.get(link.trim_start_matches("../"))?.0),
            (part, None) => Some(*part),
        }
    }

    /// The file that a descriptor names: `{"digest": "sha256:…"}`.
    fn blob(&self, descriptor: &Value) -> Option<Part> {
        let (algorithm, digest) = descriptor["digest"].as_str()?.split_once(':')?;
        self.part(&format!("blobs/{algorithm}/{digest}"))
    }

    fn json(&self, part: Part, what: &str) -> Result<Value> {
        let mut text = Vec::new();
        let read = self.bytes.stream(part)?.take(LONGEST_JSON).read_to_end(&mut text);
        read.map_err(|error| self.bytes.damaged(&error))?;
        serde_json::from_slice(&text).map_err(|_| self.damaged(&format!("{what} is no JSON")))
    }

    /// The manifest of the image for this machine; an index may lead to others.
    fn manifest(&self, index: &Value, depth: u32) -> Result<Value> {
        let all = index["manifests"].as_array().map(Vec::as_slice).unwrap_or_default();
        // Records of how an image was built are listed as images for an unknown platform.
        let mut images: Vec<_> = all.iter().filter(|it| it["platform"]["os"] != "unknown").collect();
        if images.len() > 1 {
            let all = images.clone();
            images.retain(|it| {
                let of = &it["platform"]["architecture"];
                of.is_null() || of == architecture()
            });
            // An engine that saves an image for one platform lists all of them, without their files.
            if images.len() > 1 {
                images.retain(|it| self.blob(it).is_some());
            }
            if !images.iter().any(|it| self.blob(it).is_some()) {
                return Err(self.for_others(&all));
            }
        }
        let [image] = images.as_slice() else {
            return Err(self.damaged_or_many(Some(images.len()), "index.json names no image"));
        };
        let part = self.blob(image).ok_or_else(|| self.damaged("its manifest is missing"))?;
        let manifest = self.json(part, "its manifest")?;
        match manifest["manifests"] {
            Value::Null => Ok(manifest),
            _ if depth > 3 => Err(self.damaged("its manifests lead to each other")),
            _ => self.manifest(&manifest, depth + 1),
        }
    }

    /// The error that none of `images` is for this machine, with a list of their platforms.
    fn for_others(&self, images: &[&Value]) -> Error {
        let listed =
            |all: Vec<&&Value>| all.into_iter().map(|it| platform(it)).collect::<Vec<_>>().join(", ");
        let here: Vec<_> = images.iter().filter(|it| self.blob(it).is_some()).collect();
        let has = if here.is_empty() {
            format!("lists {}, and contains none of them", listed(images.iter().collect()))
        } else {
            format!("is for {}", listed(here))
        };
        let (name, own) = (&self.bytes.name, architecture());
        Error::Input(format!(
            "{name}: the image {has}; this machine is linux/{own}: save the one for it: \
             docker pull --platform linux/{own} IMAGE; docker save --platform linux/{own} IMAGE"
        ))
    }

    fn damaged(&self, what: &str) -> Error {
        Error::Input(format!("{}: a damaged image: {what}; save it again", self.bytes.name))
    }

    fn damaged_or_many(&self, images: Option<usize>, what: &str) -> Error {
        match images {
            Some(number @ 2..) => {
                Error::Input(format!("{}: {number} images in one archive; save one alone", self.bytes.name))
            }
            _ => self.damaged(what),
        }
    }
}

/// The platform of an image in an index, such as linux/arm/v7.
fn platform(image: &Value) -> String {
    let words = ["os", "architecture", "variant"].map(|key| image["platform"][key].as_str());
    let shown = words.into_iter().flatten().map(|word| word.chars().take(20).collect::<String>());
    match shown.collect::<Vec<_>>().join("/") {
        nothing if nothing.is_empty() => "an unnamed platform".into(),
        named => named,
    }
}

/// The architecture of this machine, by Go's name.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "x86" => "386",
        "aarch64" => "arm64",
        "loongarch64" => "loong64",
        "powerpc64" => "ppc64le",
        same => same,
    }
}
