//! Images: what `docker save` writes is an archive of archives, the layers, and a manifest that has their order.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use ns_core::{Error, Named, Result};
use serde_json::Value;
use tar::Archive;

/// Where a layer's archive lies in the file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layer {
    pub(super) offset: u64,
    pub(super) length: u64,
}

/// A manifest has a few lines. Nobody is to fill our memory with one.
const LONGEST_MANIFEST: u64 = 1 << 20;

/// The layers of an image, the lowest first. `None` for an archive that is no image.
pub(super) fn of(file: &File, name: &str) -> Result<Option<Vec<Layer>>> {
    let damaged = |what: &str| Error::Input(format!("{name}: a damaged image: {what}; save it again"));
    let mut bytes = file;
    bytes.seek(SeekFrom::Start(0)).named(|| "lseek(archive)".into())?;
    let mut archive = Archive::new(bytes);
    let entries = archive.entries_with_seek().map_err(|error| damaged(&error.to_string()))?;
    let mut found = HashMap::new();
    for entry in entries {
        let entry = entry.map_err(|error| damaged(&error.to_string()))?;
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if path.starts_with('.') && !found.contains_key("manifest.json") && found.len() > 64 {
            break; // A root filesystem. Names of an image do not begin so.
        }
        // Docker before 25 wrote a layer that another image has too as a link to it.
        let link = entry.link_name_bytes().map(|it| String::from_utf8_lossy(&it).into_owned());
        let layer = Layer { offset: entry.raw_file_position(), length: entry.size() };
        found.insert(path, (layer, link));
    }
    let Some((manifest, _)) = found.get("manifest.json") else { return Ok(None) };

    bytes.seek(SeekFrom::Start(manifest.offset)).named(|| "lseek(archive)".into())?;
    let mut text = Vec::new();
    let length = manifest.length.min(LONGEST_MANIFEST);
    bytes.take(length).read_to_end(&mut text).named(|| "read(archive)".into())?;
    let manifest: Value = serde_json::from_slice(&text).map_err(|_| damaged("manifest.json is no JSON"))?;
    let images = manifest.as_array().ok_or_else(|| damaged("manifest.json is no list"))?;
    let [image] = images.as_slice() else {
        return Err(Error::Input(format!("{name}: {} images in one archive; save one alone", images.len())));
    };
    let layers = image["Layers"].as_array().ok_or_else(|| damaged("manifest.json names no layers"))?;
    let mut ordered = Vec::new();
    for layer in layers {
        let path = layer.as_str().unwrap_or_default();
        let mut at = found.get(path);
        if let Some((_, Some(link))) = at {
            at = found.get(link.trim_start_matches("../"));
        }
        let (layer, _) = at.ok_or_else(|| damaged("a layer is missing"))?;
        let mut start = [0; 2];
        bytes
            .seek(SeekFrom::Start(layer.offset))
            .and_then(|_| bytes.read_exact(&mut start))
            .named(|| "read(archive)".into())?;
        if start == [0x1f, 0x8b] {
            return Err(Error::Input(format!(
                "{name}: its layers are compressed; let Docker unpack it: docker export $(docker create IMAGE) > rootfs.tar"
            )));
        }
        ordered.push(*layer);
    }
    Ok(Some(ordered))
}
