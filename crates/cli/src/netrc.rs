//! `~/.netrc`: who to log in as on which machine, in the form that BSD ftp brought into the world.
//!
//! Tokens are parted by blanks and line ends; one in double quotes may hold blanks, with `\` before what is meant
//! literally, as curl reads it. `macdef` and what follows it up to a blank line is passed over. A `#` where a token would
//! begin starts a comment, but never inside a value: passwords begin with `#` too.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use port21_proto::Secret;

/// What a file says of one machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Login {
    /// The user's name.
    pub(crate) user: Option<String>,
    /// The password.
    pub(crate) password: Option<Secret>,
}

/// The login for `host` in the user's file, or in the one given; nothing where the file does not name the machine, or
/// the user's own file is not there. With `user`, only an entry of that name will do.
pub(crate) fn look_up(file: Option<&Path>, host: &str, user: Option<&str>) -> anyhow::Result<Option<Login>> {
    let Some(path) = file.map(Path::to_path_buf).or_else(default_file) else { return Ok(None) };
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(e) if file.is_none() && e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e).with_context(|| format!("cannot read {}", path.display())),
    };
    let login = find(&String::from_utf8_lossy(&text), host, user);
    if login.as_ref().is_some_and(|l| l.password.is_some()) {
        warn_of_readers(&path);
    }
    Ok(login)
}

fn default_file() -> Option<PathBuf> {
    std::env::var_os("NETRC")
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".netrc")))
        .filter(|path| !path.as_os_str().is_empty())
}

fn warn_of_readers(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    if let Ok(meta) = path.metadata()
        && meta.permissions().mode() & 0o077 != 0
    {
        tracing::warn!("{} holds passwords and others may read it: chmod 600 {0}", path.display());
    }
}

/// The first entry that fits, or that of `default` where it comes before.
fn find(text: &str, host: &str, user: Option<&str>) -> Option<Login> {
    let mut tokens = Tokens { rest: text };
    let mut begun: Option<(bool, Login)> = None;
    let fits = |(ours, login): &(bool, Login)| *ours && user.is_none_or(|user| login.user.as_deref() == Some(user));
    while let Some(token) = tokens.next_key() {
        match token.as_str() {
            "machine" | "default" => {
                if let Some(entry) = begun.take().filter(fits) {
                    return Some(entry.1);
                }
                let ours =
                    token == "default" || tokens.next_value().is_some_and(|name| name.eq_ignore_ascii_case(host));
                begun = Some((ours, Login::default()));
            }
            "macdef" => tokens.skip_macro(),
            key @ ("login" | "password" | "account") => {
                let value = tokens.next_value();
                match (&mut begun, key) {
                    (Some((_, login)), "login") => login.user = value,
                    (Some((_, login)), "password") => login.password = value.map(Secret::new),
                    _ => {}
                }
            }
            _ => {}
        }
    }
    begun.filter(fits).map(|(_, login)| login)
}

struct Tokens<'a> {
    rest: &'a str,
}

impl Tokens<'_> {
    fn next_key(&mut self) -> Option<String> {
        loop {
            self.rest = self.rest.trim_start();
            if !self.rest.starts_with('#') {
                return self.next_value();
            }
            self.rest = self.rest.find('\n').map_or("", |end| &self.rest[end..]);
        }
    }

    fn next_value(&mut self) -> Option<String> {
        self.rest = self.rest.trim_start();
        let Some(quoted) = self.rest.strip_prefix('"') else {
            let end = self.rest.find(char::is_whitespace).unwrap_or(self.rest.len());
            let (token, rest) = self.rest.split_at(end);
            self.rest = rest;
            return (!token.is_empty()).then(|| token.to_owned());
        };
        let mut out = String::new();
        let mut chars = quoted.char_indices();
        self.rest = "";
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.rest = &quoted[at + 1..];
                    break;
                }
                '\\' => out.extend(chars.next().map(|(_, c)| match c {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    c => c,
                })),
                c => out.push(c),
            }
        }
        Some(out)
    }

    /// A macro ends at the first empty line.
    fn skip_macro(&mut self) {
        let end = self.rest.find("\n\n").or_else(|| self.rest.find("\n\r\n"));
        self.rest = end.map_or("", |end| &self.rest[end..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "
# work
machine ftp.example.com login alice password s3cret
machine FTP.Example.com
    login bob
    password \"two words \\\"quoted\\\"\"
macdef init
    machine evil.example login mallory password x
    cd pub

machine other login carol account billing password #hash
default login anonymous password me@example.com
";

    fn get(host: &str, user: Option<&str>) -> Option<(String, String)> {
        find(FILE, host, user).map(|l| {
            let password = l.password.map(|p| String::from_utf8(p.expose().to_vec()).unwrap());
            (l.user.unwrap_or_default(), password.unwrap_or_default())
        })
    }

    fn pair(user: &str, password: &str) -> Option<(String, String)> {
        Some((user.to_owned(), password.to_owned()))
    }

    #[test]
    fn the_first_entry_that_fits() {
        assert_eq!(get("ftp.example.com", None), pair("alice", "s3cret"));
        assert_eq!(get("ftp.example.com", Some("bob")), pair("bob", "two words \"quoted\""));
        assert_eq!(get("other", None), pair("carol", "#hash"));
    }

    #[test]
    fn default_and_macros() {
        assert_eq!(get("evil.example", None), pair("anonymous", "me@example.com"));
        assert_eq!(get("ftp.example.com", Some("dave")), None);
        assert_eq!(find("machine a login b", "c", None), None);
    }

    #[test]
    fn broken_files_do_no_harm() {
        for text in ["machine", "machine a password", "macdef", "\"", "machine a login \"x", "login x password y"] {
            let _ = find(text, "a", None);
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_an_error_only_where_it_was_named() {
        assert!(look_up(Some(Path::new("/nonexistent/netrc")), "a", None).is_err());
    }
}
