//! Paths the agent may write: proven to lie below a storage's root.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use gantry_common::agent::AgentError;

use super::blocking::blocking;

/// Nothing may be stored in these or below them.
const SYSTEM_TREES: &[&str] =
    &["/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/proc", "/run", "/sbin", "/sys", "/usr"];

/// Nothing may be stored in these; in a directory below them it may.
const SYSTEM_DIRECTORIES: &[&str] =
    &["/", "/home", "/root", "/tmp", "/var", "/var/cache", "/var/lib", "/var/log", "/var/spool", "/var/tmp"];

/// Leaves room for the temporary name's suffix within the 255 bytes a file name may have.
const MAX_NAME_BYTES: usize = 200;
const MAX_PATH_BYTES: usize = 1024;

/// The suffixes of the agent's own files beside a volume or image.
pub(crate) const PART_SUFFIX: &str = ".part";
pub(crate) const RECORD_SUFFIX: &str = ".json";
pub(crate) const CHUNKS_SUFFIX: &str = ".chunks";

/// The directory of a storage: an absolute, normalised path outside the system's own directories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StorageRoot {
    path: PathBuf,
    /// Where it is without symbolic links; `None` while it does not exist.
    real: Option<PathBuf>,
}

/// A file's path strictly below a storage's root. No component leads out of the root, and the file itself is not a
/// symbolic link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoragePath {
    root: PathBuf,
    path: PathBuf,
}

impl StorageRoot {
    /// Proves that `text` can be a storage's root; it need not exist yet.
    pub(crate) fn parse(field: &str, text: &str) -> Result<Self, AgentError> {
        let path = normalised(field, text)?;
        let real = match fs::canonicalize(&path) {
            Ok(real) => Some(real),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(AgentError::file(&path, error)),
        };
        if is_system_path(&path) || real.as_deref().is_some_and(is_system_path) {
            return Err(AgentError::invalid(
                field,
                text,
                "this directory belongs to the system; use one of its own, such as /gantry",
            ));
        }
        Ok(Self { path, real })
    }

    /// The root that a command names, proven to be a directory.
    pub(crate) fn existing(text: &str) -> Result<Self, AgentError> {
        let root = Self::parse("root", text)?;
        match &root.real {
            Some(real) if real.is_dir() => Ok(root),
            Some(_) => Err(AgentError::file(&root.path, "is not a directory; move it away or use another path")),
            None => {
                Err(AgentError::NotFound { what: "storage directory".into(), name: root.path.display().to_string() })
            }
        }
    }

    /// The root as it was named.
    pub(crate) fn as_path(&self) -> &Path {
        &self.path
    }

    /// Proves that `text` names a file strictly below this root; the file need not exist.
    pub(crate) fn below(&self, field: &str, text: &str) -> Result<StoragePath, AgentError> {
        let path = normalised(field, text)?;
        let root = self.path.display();
        if path == self.path || !path.starts_with(&self.path) {
            return Err(AgentError::invalid(field, text, format!("use a path below {root}")));
        }
        if [PART_SUFFIX, RECORD_SUFFIX, CHUNKS_SUFFIX].iter().any(|suffix| text.ends_with(suffix)) {
            return Err(AgentError::invalid(
                field,
                text,
                "names ending in .part, .json or .chunks are the agent's own",
            ));
        }
        if let Some(real_root) = &self.real {
            self.refuse_links_outward(field, &path, real_root)?;
        }
        Ok(StoragePath { root: self.path.clone(), path })
    }

    fn refuse_links_outward(&self, field: &str, path: &Path, real_root: &Path) -> Result<(), AgentError> {
        if fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink()) {
            let remedy = "it is a symbolic link, which Gantry never makes there; replace it by the file";
            return Err(AgentError::invalid(field, path.display(), remedy));
        }
        // A directory may come or go at any moment, when a neighbour is made or deleted.
        for directory in path.ancestors().skip(1).take_while(|directory| directory.starts_with(&self.path)) {
            let real = match fs::canonicalize(directory) {
                Ok(real) => real,
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                    if fs::symlink_metadata(directory).is_ok_and(|metadata| metadata.is_symlink()) {
                        let remedy = format!("{} is a link to nowhere; remove it", directory.display());
                        return Err(AgentError::invalid(field, path.display(), remedy));
                    }
                    continue;
                }
                Err(error) => return Err(AgentError::file(directory, error)),
            };
            if !real.starts_with(real_root) {
                let (real, root) = (real.display(), self.path.display());
                let remedy = format!("a symbolic link leads to {real}, out of {root}; remove the link");
                return Err(AgentError::invalid(field, path.display(), remedy));
            }
            if fs::metadata(&real).is_ok_and(|metadata| !metadata.is_dir()) {
                return Err(AgentError::file(directory, "is not a directory; move it away or use another path"));
            }
            return Ok(());
        }
        Ok(())
    }
}

impl StoragePath {
    /// The file that a command names below a storage's root, neither of which need exist; proven on a thread that may block.
    pub(crate) async fn prove(root: String, path: String) -> Result<Self, AgentError> {
        blocking(move || StorageRoot::parse("root", &root)?.below("path", &path)).await
    }

    /// As [`Self::prove`], below a root that exists.
    pub(crate) async fn prove_below_existing(root: String, path: String) -> Result<Self, AgentError> {
        blocking(move || StorageRoot::existing(&root)?.below("path", &path)).await
    }

    /// The root this path is below.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The path itself.
    pub(crate) fn as_path(&self) -> &Path {
        &self.path
    }

    /// The directory of the file; the root at the highest.
    pub(crate) fn parent(&self) -> &Path {
        self.path.parent().unwrap_or(&self.root)
    }

    /// A file of the agent's own beside this one: the same name with `suffix` after it.
    pub(crate) fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(suffix);
        name.into()
    }
}

/// Whether `path` belongs to the operating system.
pub(crate) fn is_system_path(path: &Path) -> bool {
    SYSTEM_TREES.iter().any(|tree| path.starts_with(tree))
        || SYSTEM_DIRECTORIES.iter().any(|directory| path == Path::new(directory))
}

fn normalised(field: &str, text: &str) -> Result<PathBuf, AgentError> {
    let refuse = |remedy: &str| Err(AgentError::invalid(field, text.escape_debug(), remedy));
    let Some(relative) = text.strip_prefix('/') else {
        return refuse("use an absolute path");
    };
    if text.len() > MAX_PATH_BYTES {
        return refuse("use a path of at most 1024 bytes");
    }
    if text.chars().any(char::is_control) {
        return refuse("use a path without control characters");
    }
    for name in relative.split('/') {
        match name {
            "" => return refuse("use a path without empty components and without '/' at its end"),
            "." | ".." => return refuse("use a path without '.' and '..' components"),
            _ if name.len() > MAX_NAME_BYTES => return refuse("use names of at most 200 bytes"),
            _ => (),
        }
    }
    Ok(PathBuf::from(text))
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::symlink, path::Component};

    use proptest::prelude::*;

    use super::*;

    fn field_of(error: AgentError) -> String {
        match error {
            AgentError::InvalidArgument { field, .. } => field,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn system_directories_and_relative_paths_are_no_roots() {
        for text in
            ["", "/", "relative", "/etc", "/etc/gantry", "/usr/share", "/proc", "/var/lib", "/a/", "/a//b", "/a/../b"]
        {
            assert_eq!(field_of(StorageRoot::parse("root", text).unwrap_err()), "root", "{text}");
        }
        for text in ["/gantry", "/var/lib/gantry", "/home/images", "/mnt/disk", "/etcetera"] {
            StorageRoot::parse("root", text).unwrap();
        }
    }

    #[test]
    fn a_root_that_is_a_link_to_a_system_directory_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let link = directory.path().join("root");
        symlink("/etc", &link).unwrap();
        assert_eq!(field_of(StorageRoot::parse("root", link.to_str().unwrap()).unwrap_err()), "root");
    }

    #[test]
    fn a_path_outside_the_root_or_the_root_itself_is_refused() {
        let root = StorageRoot::parse("root", "/gantry-absent").unwrap();
        for text in [
            "/gantry-absent",
            "/gantry-absent2/x",
            "/x",
            "/gantry-absent/../x",
            "/gantry-absent/a\0b",
            "gantry-absent/x",
        ] {
            assert_eq!(field_of(root.below("path", text).unwrap_err()), "path", "{text}");
        }
        assert_eq!(field_of(root.below("path", "/gantry-absent/a.qcow2.part").unwrap_err()), "path");
        root.below("path", "/gantry-absent/x").unwrap();
    }

    #[test]
    fn links_out_of_the_root_are_refused_and_links_within_it_are_not() {
        let directory = tempfile::tempdir().unwrap();
        let root_path = directory.path().join("root");
        let outside = directory.path().join("outside");
        fs::create_dir_all(root_path.join("inner")).unwrap();
        fs::create_dir_all(&outside).unwrap();
        fs::write(outside.join("victim"), "v").unwrap();
        symlink(&outside, root_path.join("out")).unwrap();
        symlink(root_path.join("inner"), root_path.join("in")).unwrap();
        symlink("../outside/victim", root_path.join("file")).unwrap();
        symlink("/nowhere/at/all", root_path.join("dangling")).unwrap();

        let root = StorageRoot::parse("root", root_path.to_str().unwrap()).unwrap();
        let below = |name: &str| root.below("path", root_path.join(name).to_str().unwrap());
        for name in
            ["out/victim", "out/new", "out/new/deeper", "file", "file/x", "dangling/x", "in/../../outside/victim"]
        {
            assert_eq!(field_of(below(name).unwrap_err()), "path", "{name}");
        }
        below("in/new").unwrap();
        below("inner/a/b/c").unwrap();
    }

    proptest! {
        #[test]
        fn whatever_is_accepted_is_below_the_root_without_any_climbing(text in "(/gantry-absent)?(/|\\.|\\.\\.|[a-z\0\n]{1,3}){0,8}") {
            let root = StorageRoot::parse("root", "/gantry-absent").unwrap();
            if let Ok(accepted) = root.below("path", &text) {
                let path = accepted.as_path();
                prop_assert!(path.starts_with("/gantry-absent") && path != Path::new("/gantry-absent"));
                prop_assert!(path.components().skip(1).all(|part| matches!(part, Component::Normal(_))));
                prop_assert!(path.to_str().unwrap() == text && !text.chars().any(char::is_control));
                prop_assert!(accepted.parent().starts_with(accepted.root()));
            }
        }

        #[test]
        fn plain_names_below_the_root_are_accepted(names in proptest::collection::vec("[a-zA-Z0-9_ -]{1,30}", 1..6)) {
            let root = StorageRoot::parse("root", "/gantry-absent").unwrap();
            let text = format!("/gantry-absent/{}", names.join("/"));
            let accepted = root.below("path", &text).unwrap();
            prop_assert_eq!(accepted.as_path(), Path::new(&text));
        }
    }
}
