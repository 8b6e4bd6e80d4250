//! Images: an archive or a directory of archives, the layers, and JSON with their order. `docker save` writes manifest.json, other tools
//! the layout of the Open Container Initiative (oci-layout, index.json, blobs/), and newer engines both.
//! <https://github.com/opencontainers/image-spec>

use std::collections::HashMap;
use std::io::Read;
use std::os::fd::BorrowedFd;

use ns_core::{Error, Result};
use serde_json::Value;
use tar::Archive;

use super::bytes::{Bytes, Part, WHOLE};
use super::layout;

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
    if let Some(part) = files.part("manifest.json")? {
        return files.saved(&part).map(Some);
    }
    if files.part("oci-layout")?.is_some() {
        if let Some(index) = files.part("index.json")? {
            return files.laid_out(&index).map(Some);
        }
    }
    Ok(None)
}

/// The image that the layout in `directory` is.
pub(super) fn of_layout(bytes: &Bytes<'_>, directory: BorrowedFd<'_>) -> Result<Image> {
    let files = Files { bytes, at: Place::Directory(directory) };
    let index = files.part("index.json")?.ok_or_else(|| files.damaged("index.json is missing"))?;
    files.laid_out(&index)
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

/// The files of an archive that may be an image, or of a layout.
struct Files<'a> {
    bytes: &'a Bytes<'a>,
    at: Place<'a>,
}

/// Where the files of an image are.
enum Place<'a> {
    /// In an archive: the offset of each, and the target if it is a link.
    Archive(HashMap<String, (Part, Option<String>)>),
    /// In a directory.
    Directory(BorrowedFd<'a>),
}

impl<'a> Files<'a> {
    fn of(bytes: &'a Bytes<'a>) -> Result<Option<Files<'a>>> {
        let damaged = |error| bytes.damaged(&error);
        let mut archive = Archive::new(bytes.stream(&WHOLE)?);
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
            let part = Part { file: None, offset: entry.raw_file_position(), length: entry.size() };
            found.insert(path, (part, link));
        }
        Ok(Some(Files { bytes, at: Place::Archive(found) }))
    }

    /// The image whose manifest is that of `docker save`.
    fn saved(&self, manifest: &Part) -> Result<Image> {
        let manifest = self.json(manifest, "manifest.json")?;
        let Some([image]) = manifest.as_array().map(Vec::as_slice) else {
            return Err(
                self.damaged_or_many(manifest.as_array().map(Vec::len), "manifest.json lists no image")
            );
        };
        let layers =
            image["Layers"].as_array().ok_or_else(|| self.damaged("manifest.json names no layers"))?;
        let named = |layer: &Value| layer.as_str().map_or(Ok(None), |name| self.part(name));
        let layers: Option<Vec<_>> = layers.iter().map(named).collect::<Result<_>>()?;
        let config = match image["Config"].as_str() {
            Some(name) => {
                let part = self.part(name)?.ok_or_else(|| self.damaged("its configuration is missing"))?;
                self.json(&part, "its configuration")?
            }
            None => Value::Null,
        };
        self.image(layers, &config)
    }

    /// The image of a layout of the Open Container Initiative.
    fn laid_out(&self, index: &Part) -> Result<Image> {
        let manifest = self.manifest(&self.json(index, "index.json")?, 0)?;
        let layers =
            manifest["layers"].as_array().ok_or_else(|| self.damaged("its manifest names no layers"))?;
        let layers: Option<Vec<_>> = layers.iter().map(|it| self.blob(it)).collect::<Result<_>>()?;
        let part =
            self.blob(&manifest["config"])?.ok_or_else(|| self.damaged("its configuration is missing"))?;
        self.image(layers, &self.json(&part, "its configuration")?)
    }

    fn image(&self, layers: Option<Vec<Part>>, config: &Value) -> Result<Image> {
        let parts = layers.ok_or_else(|| self.damaged("a layer is missing"))?;
        let digests = config["rootfs"]["diff_ids"].as_array().map(Vec::as_slice).unwrap_or_default();
        if !digests.is_empty() && digests.len() != parts.len() {
            return Err(self.damaged("its manifest and its configuration differ about its layers"));
        }
        let digest = |at: usize| digests.get(at)?.as_str()?.strip_prefix("sha256:").map(str::to_owned);
        let layers =
            parts.into_iter().enumerate().map(|(at, part)| Layer { part, digest: digest(at) }).collect();
        Ok(Image { layers, config: Config::of(&config["config"]) })
    }

    /// Looks a name up among the files of the image, so it cannot lead outside. `None` if it does not exist.
    fn part(&self, name: &str) -> Result<Option<Part>> {
        match &self.at {
            Place::Archive(found) => Ok(match found.get(name) {
                // Docker before 25 wrote a layer that several images share as a link.
                Some((_, Some(link))) => {
                    found.get(link.trim_start_matches("../")).map(|(part, _)| part.clone())
                }
                Some((part, None)) => Some(part.clone()),
                None => None,
            }),
            Place::Directory(directory) => layout::part(*directory, name)
                .map_err(|error| Error::Input(format!("{}: {error}", self.bytes.name))),
        }
    }

    /// The file that a descriptor names: `{"digest": "sha256:…"}`.
    fn blob(&self, descriptor: &Value) -> Result<Option<Part>> {
        match descriptor["digest"].as_str().and_then(|it| it.split_once(':')) {
            Some((algorithm, digest)) => self.part(&format!("blobs/{algorithm}/{digest}")),
            None => Ok(None),
        }
    }

    fn has(&self, descriptor: &Value) -> bool {
        self.blob(descriptor).is_ok_and(|blob| blob.is_some())
    }

    fn json(&self, part: &Part, what: &str) -> Result<Value> {
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
                images.retain(|it| self.has(it));
            }
            if !images.iter().any(|it| self.has(it)) {
                return Err(self.for_others(&all));
            }
        }
        let [image] = images.as_slice() else {
            return Err(self.damaged_or_many(Some(images.len()), "index.json names no image"));
        };
        let part = self.blob(image)?.ok_or_else(|| self.damaged("its manifest is missing"))?;
        let manifest = self.json(&part, "its manifest")?;
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
        let here: Vec<_> = images.iter().filter(|it| self.has(it)).collect();
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
