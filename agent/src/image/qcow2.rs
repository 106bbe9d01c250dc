//! The header of a qcow2 image, read before QEMU opens an image nobody vouches for.
//! Source: `docs/interop/qcow2.txt` of QEMU.

use std::{
    ffi::OsString,
    fs::File,
    io::{self, ErrorKind},
    os::unix::{ffi::OsStringExt, fs::FileExt},
    path::PathBuf,
};

pub(crate) const MAGIC: &[u8] = b"QFI\xfb";
const VERSION_2_BYTES: usize = 72;
const VERSION_3_BYTES: usize = 104;
const MAX_BACKING_NAME_BYTES: u32 = 1023;

const CORRUPT: u64 = 1 << 1;
const EXTERNAL_DATA: u64 = 1 << 2;
/// Dirty, corrupt, external data file, compression type, extended L2 entries.
const KNOWN_FEATURES: u64 = 0b1_1111;

/// What a qcow2 image says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    version: u32,
    encryption: u32,
    incompatible_features: u64,
    /// The backing file, as the image names it.
    pub(crate) backing: Option<PathBuf>,
}

impl Header {
    /// Reads the header; `None` for a file that is no qcow2.
    ///
    /// # Errors
    /// `InvalidData` for a qcow2 whose header is damaged.
    pub(crate) fn read(file: &File) -> io::Result<Option<Self>> {
        let mut magic = [0; MAGIC.len()];
        match file.read_exact_at(&mut magic, 0) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
            Ok(()) if magic != MAGIC => return Ok(None),
            Ok(()) => (),
        }
        let damaged = |what| io::Error::new(ErrorKind::InvalidData, format!("the qcow2 header is damaged: {what}"));
        let mut bytes = [0; VERSION_3_BYTES];
        let needed = bytes.get_mut(..VERSION_2_BYTES).unwrap_or_default();
        file.read_exact_at(needed, 0).map_err(|_| damaged("it is cut off"))?;
        let version = u32_at(&bytes, 4);
        if !(2..=3).contains(&version) {
            return Err(damaged("only versions 2 and 3 are known"));
        }
        if version == 3 {
            file.read_exact_at(&mut bytes, 0).map_err(|_| damaged("it is cut off"))?;
        }
        let (name_offset, name_bytes) = (u64_at(&bytes, 8), u32_at(&bytes, 16));
        let backing = match name_offset {
            0 => None,
            _ if name_bytes > MAX_BACKING_NAME_BYTES => return Err(damaged("the backing file's name is too long")),
            _ => {
                let mut name = vec![0; name_bytes as usize];
                file.read_exact_at(&mut name, name_offset)
                    .map_err(|_| damaged("the backing file's name is cut off"))?;
                Some(PathBuf::from(OsString::from_vec(name)))
            }
        };
        let incompatible_features = if version == 3 { u64_at(&bytes, 72) } else { 0 };
        Ok(Some(Self { version, encryption: u32_at(&bytes, 32), incompatible_features, backing }))
    }

    /// Why the image must not come from outside: it would make QEMU open other files, or cannot be used.
    pub(crate) fn objection(&self) -> Option<String> {
        if let Some(backing) = &self.backing {
            return Some(format!(
                "it stands on the backing file '{}'; make it self-contained with `qemu-img convert -O qcow2`",
                backing.display().to_string().escape_debug()
            ));
        }
        if self.incompatible_features & EXTERNAL_DATA != 0 {
            return Some("its data is in another file; make it self-contained with `qemu-img convert -O qcow2`".into());
        }
        if self.encryption != 0 {
            return Some("it is encrypted; decrypt it with `qemu-img convert` first".into());
        }
        if self.incompatible_features & CORRUPT != 0 {
            return Some("it is marked as corrupt; repair it with `qemu-img check -r all` first".into());
        }
        if self.incompatible_features & !KNOWN_FEATURES != 0 {
            let unknown = self.incompatible_features & !KNOWN_FEATURES;
            return Some(format!(
                "it uses unknown qcow2 features ({unknown:#x}); convert it with `qemu-img convert -O qcow2`"
            ));
        }
        None
    }
}

fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    let field = bytes.get(offset..offset + 4).and_then(|field| field.try_into().ok());
    u32::from_be_bytes(field.unwrap_or_default())
}

fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    let field = bytes.get(offset..offset + 8).and_then(|field| field.try_into().ok());
    u64::from_be_bytes(field.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use proptest::prelude::*;

    use super::*;
    use crate::storage::tests::qemu_img;

    fn header(path: &Path) -> io::Result<Option<Header>> {
        Header::read(&File::open(path).unwrap())
    }

    #[test]
    fn what_qemu_img_makes_is_understood() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
        for compat in ["0.10", "1.1"] {
            qemu_img(&["create", "-f", "qcow2", "-o", &format!("compat={compat}"), &path("plain"), "1M"]);
            let plain = header(Path::new(&path("plain"))).unwrap().unwrap();
            assert_eq!((plain.backing.clone(), plain.objection()), (None, None));
            assert_eq!(plain.version, if compat == "0.10" { 2 } else { 3 });
        }
        qemu_img(&["create", "-f", "qcow2", "-F", "qcow2", "-b", &path("plain"), &path("backed")]);
        let backed = header(Path::new(&path("backed"))).unwrap().unwrap();
        assert_eq!(backed.backing.as_deref(), Some(Path::new(&path("plain"))));
        assert!(backed.objection().unwrap().contains("backing file"));

        qemu_img(&["create", "-f", "qcow2", "-o", &format!("data_file={}", path("data")), &path("split"), "1M"]);
        assert!(header(Path::new(&path("split"))).unwrap().unwrap().objection().unwrap().contains("another file"));

        let secret = ["--object", "secret,id=s,data=abc"];
        let options = ["-o", "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10"];
        let create = ["create", "-f", "qcow2"].iter().chain(&secret).chain(&options).copied();
        let (encrypted, size) = (path("encrypted"), "1M");
        qemu_img(&create.chain([encrypted.as_str(), size]).collect::<Vec<_>>());
        assert!(header(Path::new(&encrypted)).unwrap().unwrap().objection().unwrap().contains("encrypted"));
    }

    #[test]
    fn other_files_are_no_qcow2_and_cut_off_headers_are_damaged() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("image");
        for content in [&b""[..], b"QF", b"plain text that is long enough"] {
            fs::write(&path, content).unwrap();
            assert_eq!(header(&path).unwrap(), None);
        }
        fs::write(&path, b"QFI\xfb\0\0\0\x03").unwrap();
        assert_eq!(header(&path).unwrap_err().kind(), ErrorKind::InvalidData);
    }

    proptest! {
        #[test]
        fn no_bytes_whatsoever_upset_the_reader(rest in proptest::collection::vec(any::<u8>(), 0..200)) {
            let file = tempfile::tempfile().unwrap();
            file.write_all_at(&[MAGIC, b"\0\0\0\x03", &rest].concat(), 0).unwrap();
            if let Ok(header) = Header::read(&file) {
                prop_assert!(header.is_some());
            }
        }
    }
}
