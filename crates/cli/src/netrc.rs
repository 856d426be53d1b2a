//! `~/.netrc`: who to log in as on which machine, in the form that BSD ftp brought into the world.
//!
//! Tokens are parted by blanks and line ends; one in double quotes may hold blanks, with `\` before what is meant
//! literally, as curl reads it. `macdef` and what follows it up to a blank line is a macro of the console. A `#` where a token
//! would begin starts a comment, but never inside a value: passwords begin with `#` too.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use port21_proto::Secret;

use crate::exit::{Exit, Fault};

/// What a file says of one machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Login {
    /// The user's name.
    pub(crate) user: Option<String>,
    /// The password.
    pub(crate) password: Option<Secret>,
    /// A further password, of an account.
    pub(crate) account: Option<Secret>,
    /// Macros for the console, each with its lines.
    pub(crate) macros: Vec<(String, Vec<String>)>,
}

/// The login for `host` in the user's file, or in the one given; nothing where the file does not name the machine, or
/// the user's own file is not there. With `user`, only an entry of that name will do.
///
/// # Errors
/// The file cannot be read; or it holds the password of somebody who is no guest, and others may read it too.
pub(crate) fn look_up(file: Option<&Path>, host: &str, user: Option<&str>) -> anyhow::Result<Option<Login>> {
    let Some(path) = file.map(Path::to_path_buf).or_else(default_file) else { return Ok(None) };
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(e) if file.is_none() && e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e).with_context(|| format!("cannot read {}", path.display())),
    };
    let login = find(&String::from_utf8_lossy(&text), host, user);
    let guest = |login: &Login| login.user.as_deref().is_some_and(is_guest);
    if login.as_ref().is_some_and(|login| login.password.is_some() && !guest(login)) {
        refuse_readers(&path)?;
    }
    Ok(login)
}

fn default_file() -> Option<PathBuf> {
    std::env::var_os("NETRC")
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".netrc")))
        .filter(|path| !path.as_os_str().is_empty())
}

/// As ftp has always done it: a password that others can read is none.
fn refuse_readers(path: &Path) -> Result<(), Fault> {
    use std::os::unix::fs::PermissionsExt as _;
    match path.metadata() {
        Ok(meta) if meta.is_file() && meta.permissions().mode() & 0o077 != 0 => {
            let path = path.display();
            Err(Fault::new(Exit::Local, format!("{path} holds passwords and others may read it: chmod 600 {path}")))
        }
        _ => Ok(()),
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
            "macdef" => {
                let defined = tokens.next_macro();
                if let Some((_, login)) = &mut begun {
                    login.macros.extend(defined);
                }
            }
            key @ ("login" | "password" | "account") => {
                let value = tokens.next_value();
                match (&mut begun, key) {
                    (Some((_, login)), "login") => login.user = value,
                    (Some((_, login)), "password") => login.password = value.map(Secret::new),
                    (Some((_, login)), "account") => login.account = value.map(Secret::new),
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

    /// A macro's name, and its lines up to the first empty one.
    fn next_macro(&mut self) -> Option<(String, Vec<String>)> {
        let name = self.next_value();
        let (_, mut rest) = self.rest.split_once('\n').unwrap_or_default();
        let mut lines = Vec::new();
        while !rest.is_empty() {
            let (line, behind) = rest.split_once('\n').unwrap_or((rest, ""));
            rest = behind;
            let line = line.strip_suffix('\r').unwrap_or(line);
            if line.is_empty() {
                break;
            }
            lines.push(line.to_owned());
        }
        self.rest = rest;
        name.map(|name| (name, lines))
    }
}

/// Whether the name is that of an anonymous guest (RFC 1635).
pub(crate) fn is_guest(user: &str) -> bool {
    port21_server::account::Anonymous::is_guest(user.as_bytes())
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
    fn accounts_and_macros_belong_to_their_entries() {
        let bob = find(FILE, "ftp.example.com", Some("bob")).unwrap();
        let lines = ["    machine evil.example login mallory password x", "    cd pub"].map(str::to_owned).to_vec();
        assert_eq!(bob.macros, [("init".to_owned(), lines)]);
        let carol = find(FILE, "other", None).unwrap();
        assert_eq!((carol.account, carol.macros.len()), (Some(Secret::new("billing")), 0));
        let open = find("machine a login b\nmacdef x\r\nget y\r\n\r\nmacdef z\nput", "a", None).unwrap();
        let names: Vec<_> = open.macros.iter().map(|(name, lines)| (name.as_str(), lines.len())).collect();
        assert_eq!(names, [("x", 1), ("z", 1)]);
    }

    #[test]
    fn passwords_that_others_can_read_are_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("netrc");
        std::fs::write(&path, "machine h login bob password x machine g login ftp password me@ machine n login bob")
            .unwrap();
        for (mode, allowed) in [(0o644, false), (0o640, false), (0o600, true), (0o400, true)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let told = look_up(Some(&path), "h", None);
            assert_eq!(told.is_ok(), allowed, "{mode:o}");
            // A guest's password is no secret, and an entry without one has none.
            assert!(look_up(Some(&path), "g", None).is_ok() && look_up(Some(&path), "n", None).is_ok());
        }
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
