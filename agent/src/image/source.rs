//! Where an image comes from.

use std::{
    fs::{self, File, OpenOptions},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use gantry_common::agent::AgentError;
use nix::fcntl::OFlag;
use reqwest::Url;

use crate::storage::is_system_path;

/// Where an image comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// A web server.
    Web(Url),
    /// A file on this host.
    File(PathBuf),
}

impl Source {
    /// Understands the URL of an image.
    pub(crate) fn parse(text: &str) -> Result<Self, AgentError> {
        let refuse = |remedy: &str| Err(AgentError::invalid("url", public_text(text), remedy));
        let Ok(url) = Url::parse(text) else {
            return refuse("use an absolute http://, https:// or file:// URL");
        };
        match url.scheme() {
            "http" | "https" => Ok(Self::Web(url)),
            "file" if url.host_str().is_none_or(|host| host == "localhost") => match url.to_file_path() {
                Ok(path) => Ok(Self::File(path)),
                Err(()) => refuse("use the absolute path of a file, such as file:///images/a.qcow2"),
            },
            "file" => refuse("a file is one on the image store's own host; write file:/// and its absolute path"),
            _ => refuse("use an http://, https:// or file:// URL"),
        }
    }

    /// The source without user name, password and query, any of which may be a secret.
    pub(crate) fn public(&self) -> String {
        match self {
            Self::Web(url) => public(url),
            Self::File(path) => format!("file://{}", path.display()),
        }
    }
}

/// A URL without user name, password, query and fragment.
pub(crate) fn public(url: &Url) -> String {
    let mut url = url.clone();
    // Only URLs that can have no user refuse this.
    let _ = url.set_username("").and_then(|()| url.set_password(None));
    url.set_query(None);
    url.set_fragment(None);
    url.into()
}

/// The same for text that may be no URL.
fn public_text(text: &str) -> String {
    match Url::parse(text) {
        Ok(url) if url.has_host() => public(&url),
        _ => {
            let text = text.split(['?', '#']).next().unwrap_or_default();
            text.rsplit('@').next().unwrap_or_default().escape_debug().to_string()
        }
    }
}

/// Opens an image on this host. The agent may read everything; so only what any user of the host may read is taken, and
/// nothing of the system's: an image must not become a way to another tenant's data or to the host's secrets.
pub(crate) fn open_public_file(path: &Path) -> Result<File, AgentError> {
    let shown = path.display();
    let real = fs::canonicalize(path).map_err(|error| AgentError::file(path, error))?;
    if is_system_path(&real) {
        return Err(AgentError::invalid(
            "url",
            format!("file://{shown}"),
            "this file belongs to the system; copy it elsewhere",
        ));
    }
    let file = open_regular(&real)?;
    let metadata = file.metadata().map_err(|error| AgentError::file(path, error))?;
    const READ_BY_OTHERS: u32 = 0o004;
    if metadata.mode() & READ_BY_OTHERS == 0 {
        let remedy = format!("only files that every user may read are taken; run `chmod o+r {shown}` on the host");
        return Err(AgentError::invalid("url", format!("file://{shown}"), remedy));
    }
    Ok(file)
}

/// Opens a regular file, and nothing else, for reading. The path's last component must not be a symbolic link.
pub(crate) fn open_regular(path: &Path) -> Result<File, AgentError> {
    // Without O_NONBLOCK, opening a pipe waits for somebody to write to it.
    let flags = (OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits();
    let file =
        OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(|error| AgentError::file(path, error))?;
    let metadata = file.metadata().map_err(|error| AgentError::file(path, error))?;
    if metadata.is_file() {
        Ok(file)
    } else {
        Err(AgentError::file(path, "is not a regular file; name the image's file"))
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::Permissions, os::unix::fs::PermissionsExt};

    use nix::{sys::stat::Mode, unistd::mkfifo};

    use super::*;

    #[test]
    fn urls_are_told_apart_and_others_are_refused() {
        assert!(matches!(Source::parse("https://example.org/a.qcow2").unwrap(), Source::Web(_)));
        assert_eq!(Source::parse("file:///images/a%20b").unwrap(), Source::File("/images/a b".into()));
        assert_eq!(Source::parse("file://localhost/images/a").unwrap(), Source::File("/images/a".into()));
        for text in
            ["", "a.qcow2", "/images/a", "ftp://example.org/a", "file://other/images/a", "http://", "nbd:unix:/x"]
        {
            assert!(
                matches!(Source::parse(text), Err(AgentError::InvalidArgument { field, .. }) if field == "url"),
                "{text}"
            );
        }
    }

    #[test]
    fn secrets_in_a_url_are_not_shown() {
        let source = Source::parse("https://user:secret@example.org/a?token=secret#secret").unwrap();
        assert_eq!(source.public(), "https://example.org/a");
        for text in [
            "ftp://user:secret@example.org/a?secret",
            "user:secret@example.org",
            "http://user:secret@exa mple.org/a?secret",
        ] {
            assert!(!Source::parse(text).unwrap_err().to_string().contains("secret"), "{text}");
        }
    }

    #[test]
    fn private_files_system_files_pipes_and_directories_are_not_taken_as_images() {
        let directory = tempfile::tempdir().unwrap();
        let image = directory.path().join("image");
        fs::write(&image, "x").unwrap();
        fs::set_permissions(&image, Permissions::from_mode(0o644)).unwrap();
        open_public_file(&image).unwrap();
        fs::set_permissions(&image, Permissions::from_mode(0o640)).unwrap();
        assert!(open_public_file(&image).unwrap_err().to_string().contains("chmod o+r"));

        let link = directory.path().join("link");
        std::os::unix::fs::symlink("/etc/passwd", &link).unwrap();
        let pipe = directory.path().join("pipe");
        mkfifo(&pipe, Mode::from_bits_truncate(0o644)).unwrap();
        for path in [Path::new("/etc/passwd"), &link, &pipe, directory.path(), Path::new("/dev/zero")] {
            open_public_file(path).unwrap_err();
        }
    }
}
