//! Secrets: never on the command line, where every user of the machine can read them.

use std::io::IsTerminal;

use gantry_common::catalogue::CataloguedOperation;
use sha2::{Digest, Sha512};

use crate::value;

/// The operations whose password travels as its SHA-512 (9.1.1 of the published reference).
const DIGESTED: [&str; 6] =
    ["LogInByAccount", "LogInByUser", "CreateAccount", "UpdateAccount", "CreateUser", "UpdateUser"];

/// The secret behind what was written for it: `@FILE`, `@-` for standard input, `?` to be asked.
pub fn given(operation: &CataloguedOperation, name: &str, written: &str) -> Result<String, String> {
    let secret = match written {
        "?" => asked(&format!("{name}: "))?,
        _ if written.starts_with('@') => value::resolved(written)?,
        _ => {
            return Err("a secret on the command line can be read by every user of this machine: \
                        write @FILE, @- for standard input, or ? to be asked"
                .to_owned());
        }
    };
    let digested = name == "password" && DIGESTED.contains(&operation.name.as_str());
    Ok(if digested { password_digest(&secret) } else { secret })
}

/// Asks for a secret on the terminal, without showing what is typed.
pub fn asked(prompt: &str) -> Result<String, String> {
    if !std::io::stdin().is_terminal() {
        return Err("there is no terminal to ask on: write @FILE or @- for standard input".to_owned());
    }
    rpassword::prompt_password(prompt).map_err(|error| format!("it cannot be asked for: {error}"))
}

/// A password as the API takes it. What is such a digest already stays as it is.
pub fn password_digest(password: &str) -> String {
    let is_digest = password.len() == 128 && password.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if is_digest { password.to_owned() } else { hex::encode(Sha512::digest(password)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Catalogue;

    #[test]
    fn a_secret_on_the_command_line_is_refused_and_not_repeated() {
        let catalogue = Catalogue::read().unwrap();
        let error = given(catalogue.find("AddKVMHost").unwrap(), "password", "hunter2").unwrap_err();
        assert!(error.contains("@FILE") && !error.contains("hunter2"), "{error}");
    }

    #[test]
    fn passwords_of_accounts_travel_as_their_digest_and_those_of_hosts_as_they_are() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "secret\n").unwrap();
        let written = format!("@{}", file.path().display());
        let catalogue = Catalogue::read().unwrap();
        let of = |name: &str| given(catalogue.find(name).unwrap(), "password", &written).unwrap();
        assert_eq!(of("AddKVMHost"), "secret");
        assert_eq!(of("CreateAccount"), password_digest("secret"));
        assert_eq!(password_digest(&of("CreateAccount")), of("CreateAccount"));
    }
}
