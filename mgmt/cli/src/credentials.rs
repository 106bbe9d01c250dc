//! Who calls which node: from the command line, the environment, or a file that only its owner can read.

use std::{
    fmt,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail, ensure};
use serde::Deserialize;

/// Where the node is unless anything says otherwise.
const DEFAULT_URL: &str = "http://127.0.0.1:8080";
/// The account unless anything says otherwise.
const DEFAULT_ACCOUNT: &str = "admin";

/// A password, which does not show itself.
#[derive(Clone, Deserialize)]
pub struct Password(String);

impl Password {
    /// The password itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("******")
    }
}

/// What the command line says.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Place {
    /// The node, such as <http://10.0.0.1:8080> [environment: GANTRY_URL].
    #[arg(long, global = true)]
    pub url: Option<String>,
    /// The account [environment: GANTRY_ACCOUNT; default: admin].
    #[arg(long, global = true)]
    pub account: Option<String>,
}

/// Whom to log in, and where.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The node.
    pub url: String,
    /// The account's name.
    pub account: String,
    /// Its password, where one is known.
    pub password: Option<Password>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    url: Option<String>,
    account: Option<String>,
    password: Option<Password>,
}

impl Credentials {
    /// The command line over the environment over the file.
    pub fn find(place: &Place) -> anyhow::Result<Self> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let file = variable("GANTRY_CREDENTIALS").map(PathBuf::from);
        let stored = match file.or_else(default_file) {
            Some(path) => read(&path)?,
            None => Stored::default(),
        };
        let url = place.url.clone().or_else(|| variable("GANTRY_URL"));
        let account = place.account.clone().or_else(|| variable("GANTRY_ACCOUNT"));
        // A password must not go to another node or account than the one it was written down for.
        let elsewhere = url.as_ref().is_some_and(|url| stored.url.as_ref().is_some_and(|stored| !same(stored, url)))
            || account.as_ref().is_some_and(|account| stored.account.as_deref().unwrap_or(DEFAULT_ACCOUNT) != account);
        let stored_password = if elsewhere { None } else { stored.password };
        let url = url.or(stored.url).unwrap_or_else(|| DEFAULT_URL.to_owned());
        ensure!(
            url.starts_with("http://") || url.starts_with("https://"),
            "'{url}' is no node: write http://HOST:PORT or https://HOST:PORT"
        );
        Ok(Self {
            url: url.trim_end_matches('/').to_owned(),
            account: account.or(stored.account).unwrap_or_else(|| DEFAULT_ACCOUNT.to_owned()),
            password: variable("GANTRY_PASSWORD").map(Password).or(stored_password),
        })
    }
}

fn same(one: &str, other: &str) -> bool {
    one.trim_end_matches('/') == other.trim_end_matches('/')
}

/// `gantry/credentials.toml` in the user's configuration directory.
fn default_file() -> Option<PathBuf> {
    Some(user_directory("XDG_CONFIG_HOME", ".config")?.join("gantry/credentials.toml")).filter(|path| path.exists())
}

/// The directory that a variable names, or the usual one in the user's home.
pub fn user_directory(variable: &str, usual: &str) -> Option<PathBuf> {
    let named = std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    named.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(usual)))
}

fn read(path: &Path) -> anyhow::Result<Stored> {
    private(path)?;
    let text = std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
    // The parser's own message would show the line, and the password with it.
    toml::from_str(&text).map_err(|error| match error.span() {
        Some(span) => {
            let line = text[..span.start.min(text.len())].lines().count().max(1);
            anyhow::anyhow!("{}, line {line}: url, account and password are taken, as TOML texts", path.display())
        }
        None => anyhow::anyhow!("{} is not TOML with url, account and password", path.display()),
    })
}

/// Refuses a file that others can read, or that another user has written.
pub fn private(path: &Path) -> anyhow::Result<()> {
    let facts = std::fs::metadata(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let mode = facts.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        bail!("{} can be read by others (mode {mode:o}): chmod 600 it", path.display());
    }
    let me = nix::unistd::geteuid();
    ensure!(facts.uid() == me.as_raw(), "{} belongs to another user", path.display());
    Ok(())
}
