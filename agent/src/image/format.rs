//! Is the file what it is said to be?

use std::{fmt, fs::File, io, os::unix::fs::FileExt, path::Path};

use gantry_common::agent::{AgentError, ImageFormat};

use super::qcow2::{self, Header};
use crate::storage::{QemuImg, blocking};

const ISO_MAGIC_OFFSET: usize = 32769;
const ISO_MAGIC: &[u8] = b"CD001";
const HEAD_BYTES: usize = ISO_MAGIC_OFFSET + ISO_MAGIC.len();
const VDI_MAGIC_OFFSET: usize = 64;
const VDI_MAGIC: &[u8] = &0xbeda_107f_u32.to_le_bytes();

/// What a file starts like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Likeness {
    Image(ImageFormat),
    /// Another disk format, by name.
    Foreign(&'static str),
    /// A compressed file, by the name of the compression.
    Compressed(&'static str),
    WebPage,
    Empty,
}

impl fmt::Display for Likeness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image(ImageFormat::Raw) => f.write_str("plain bytes of no known format"),
            Self::Image(format) => write!(f, "a {} image", format.as_str()),
            Self::Foreign(name) => write!(f, "a {name} image; convert it with `qemu-img convert -O qcow2`"),
            Self::Compressed(name) => write!(f, "compressed with {name}; decompress it first"),
            Self::WebPage => f.write_str("a web page (HTML), not an image; check the URL and whether it needs a login"),
            Self::Empty => f.write_str("empty; check the URL"),
        }
    }
}

impl Likeness {
    fn of(head: &[u8]) -> Self {
        let starts = |magic: &[u8]| head.starts_with(magic);
        let at = |offset: usize, magic: &[u8]| head.get(offset..).is_some_and(|rest| rest.starts_with(magic));
        if head.is_empty() {
            Self::Empty
        } else if starts(qcow2::MAGIC) {
            Self::Image(ImageFormat::Qcow2)
        } else if starts(b"KDMV") || starts(b"COWD") || starts(b"# Disk DescriptorFile") {
            Self::Foreign("VMDK")
        } else if starts(b"vhdxfile") {
            Self::Foreign("VHDX")
        } else if starts(b"conectix") {
            Self::Foreign("VHD")
        } else if at(VDI_MAGIC_OFFSET, VDI_MAGIC) {
            Self::Foreign("VDI")
        } else if starts(b"QED\0") {
            Self::Foreign("QED")
        } else if starts(b"WithoutFreeSpace") || starts(b"WithouFreSpacExt") {
            Self::Foreign("Parallels")
        } else if starts(b"\x1f\x8b") {
            Self::Compressed("gzip")
        } else if starts(b"\xfd7zXZ\0") {
            Self::Compressed("xz")
        } else if starts(b"BZh") {
            Self::Compressed("bzip2")
        } else if starts(b"\x28\xb5\x2f\xfd") {
            Self::Compressed("zstd")
        } else if starts(b"PK\x03\x04") {
            Self::Compressed("zip")
        } else if is_web_page(head) {
            Self::WebPage
        } else if at(ISO_MAGIC_OFFSET, ISO_MAGIC) {
            Self::Image(ImageFormat::Iso)
        } else {
            Self::Image(ImageFormat::Raw)
        }
    }

    /// A disc is plain bytes too: installers that boot from a disk as well are used as either.
    fn passes_for(self, format: ImageFormat) -> bool {
        self == Self::Image(format) || (self == Self::Image(ImageFormat::Iso) && format == ImageFormat::Raw)
    }
}

fn is_web_page(head: &[u8]) -> bool {
    let text = head.trim_ascii_start();
    let starts = |tag: &[u8]| text.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag));
    starts(b"<!doctype html") || starts(b"<html") || starts(b"<head")
}

/// Proves that the file at `path`, which came from `source`, has the format it should and that using it opens no other
/// file. Answers the size a guest would see.
pub(crate) async fn inspect(path: &Path, source: &str, format: ImageFormat) -> Result<u64, AgentError> {
    let (file_path, what) = (path.to_owned(), source.to_owned());
    let length = blocking(move || {
        let objection = |reason| AgentError::Corrupt { what: what.clone(), reason };
        let file = File::open(&file_path).map_err(|error| AgentError::file(&file_path, error))?;
        let found = Likeness::of(&head(&file).map_err(|error| AgentError::file(&file_path, error))?);
        if !found.passes_for(format) {
            return Err(objection(format!("it should be a {} image and is {found}", format.as_str())));
        }
        if format == ImageFormat::Qcow2 {
            let header = Header::read(&file).map_err(|error| objection(error.to_string()))?;
            if let Some(reason) = header.and_then(|header| header.objection()) {
                return Err(objection(reason));
            }
        }
        file.metadata().map(|metadata| metadata.len()).map_err(|error| AgentError::file(&file_path, error))
    })
    .await?;
    match format {
        ImageFormat::Raw | ImageFormat::Iso => Ok(length),
        ImageFormat::Qcow2 => {
            let blame = |error| match error {
                AgentError::Program { stderr, .. } => AgentError::Corrupt { what: source.to_owned(), reason: stderr },
                other => other,
            };
            let info = QemuImg::info(path, format.as_str()).await.map_err(blame)?;
            QemuImg::check(path).await.map_err(blame)?;
            Ok(info.virtual_bytes)
        }
    }
}

fn head(file: &File) -> io::Result<Vec<u8>> {
    let mut head = vec![0; HEAD_BYTES];
    let mut length = 0;
    while let Some(rest) = head.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, length as u64)? {
            0 => break,
            more => length += more,
        }
    }
    head.truncate(length);
    Ok(head)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::storage::tests::qemu_img;

    async fn inspect_as(path: &Path, format: ImageFormat) -> Result<u64, String> {
        inspect(path, "the image", format).await.map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn disk_formats_are_told_apart_by_content() {
        let directory = tempfile::tempdir().unwrap();
        for (name, found) in [("vmdk", "VMDK"), ("vhdx", "VHDX"), ("vdi", "VDI"), ("vpc", "VHD"), ("qcow2", "qcow2")] {
            let path = directory.path().join(name);
            qemu_img(&["create", "-f", name, path.to_str().unwrap(), "4M"]);
            let error = inspect_as(&path, ImageFormat::Raw).await.unwrap_err();
            assert!(error.contains(found), "{error}");
            inspect_as(&path, ImageFormat::Iso).await.unwrap_err();
        }
        assert_eq!(inspect_as(&directory.path().join("qcow2"), ImageFormat::Qcow2).await, Ok(4 << 20));
    }

    #[tokio::test]
    async fn web_pages_compressed_files_and_empty_files_are_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("image");
        for (content, expected) in [
            (&b"\n <!DOCTYPE HTML><html>404"[..], "web page"),
            (b"\x1f\x8b\x08", "gzip"),
            (b"\xfd7zXZ\0", "xz"),
            (b"", "empty"),
        ] {
            fs::write(&path, content).unwrap();
            for format in [ImageFormat::Qcow2, ImageFormat::Raw, ImageFormat::Iso] {
                let error = inspect_as(&path, format).await.unwrap_err();
                assert!(error.contains(expected), "{error}");
            }
        }
    }

    #[tokio::test]
    async fn a_disc_is_recognised_and_may_serve_as_raw_image() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("disc");
        let mut content = vec![0; 40_000];
        fs::write(&path, &content).unwrap();
        assert!(inspect_as(&path, ImageFormat::Iso).await.unwrap_err().contains("no known format"));
        assert_eq!(inspect_as(&path, ImageFormat::Raw).await, Ok(40_000));
        content[ISO_MAGIC_OFFSET..HEAD_BYTES].copy_from_slice(ISO_MAGIC);
        fs::write(&path, &content).unwrap();
        assert_eq!(inspect_as(&path, ImageFormat::Iso).await, Ok(40_000));
        assert_eq!(inspect_as(&path, ImageFormat::Raw).await, Ok(40_000));
    }

    #[tokio::test]
    async fn a_qcow2_that_lost_its_end_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let (raw, path) = (directory.path().join("raw"), directory.path().join("image"));
        fs::write(&raw, vec![7; 4 << 20]).unwrap();
        qemu_img(&["convert", "-O", "qcow2", raw.to_str().unwrap(), path.to_str().unwrap()]);
        inspect_as(&path, ImageFormat::Qcow2).await.unwrap();
        let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(file.metadata().unwrap().len() / 2).unwrap();
        assert!(inspect_as(&path, ImageFormat::Qcow2).await.unwrap_err().contains("not as expected"));
    }
}
