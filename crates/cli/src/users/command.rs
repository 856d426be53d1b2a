//! `port21 user`: accounts from the command line.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use port21_proto::Secret;
use port21_proto::text::Shown;
use port21_server::account::password::{Cost, PasswordHash};
use port21_server::storage::rules::permission_names;

use super::overlap::overlaps_with;
use crate::args::user::{Fields, FileArgs, PasswordArgs, UserCommand};
use crate::config::Config;
use crate::config::accounts::entry::{Allowed, Entry, PathRule};
use crate::config::accounts::file::UserFile;
use crate::exit::{Exit, Fault, tell};
use crate::netrc::is_guest;
use crate::prompt;

/// Where the configuration is looked for.
const DEFAULT_CONFIG: &str = "/etc/port21/port21.toml";

/// The longest password that is read from standard input, in bytes.
const MAX_PASSWORD: u64 = 4096;

/// Runs a command.
pub(crate) fn run(command: UserCommand) -> anyhow::Result<Exit> {
    let changed = match &command {
        UserCommand::Add { name, file, .. } | UserCommand::Change { name, file, .. } => {
            Some((name.clone(), file.clone()))
        }
        _ => None,
    };
    let told = match command {
        UserCommand::Add { name, fields, password, file } => {
            let path = path(&file)?;
            let mut entry = Entry { name, ..Entry::default() };
            apply(&mut entry, &fields)?;
            if is_guest(&entry.name) {
                bail!(Fault::usage(format!("{} is a guest's name: see [anonymous]", entry.name)));
            }
            // Before the question: nobody types a password for nothing.
            if UserFile::read(&path)?.users.iter().any(|other| other.name == entry.name) {
                bail!(taken(&entry.name));
            }
            entry.password = hash(&password)?;
            let (name, says_what_it_may) = (entry.name.clone(), entry.permissions.is_some() || !entry.paths.is_empty());
            let has_home = entry.home.is_some();
            UserFile::change(&path, |file| {
                if file.users.iter().any(|other| other.name == entry.name) {
                    bail!(taken(&entry.name));
                }
                file.users.push(entry);
                Ok(())
            })?;
            let may = if says_what_it_may {
                "."
            } else {
                ". It may list and read; and write where `write` of [accounts] says so, or with --permissions."
            };
            let home = if has_home {
                ""
            } else {
                "Its home is all of the root, with the homes of other accounts in it: --home gives it one of its own.\n"
            };
            format!("Added {} to {}{may}\n{home}", Shown(name.as_bytes()), path.display())
        }
        UserCommand::Passwd { name, password, file } => {
            let path = path(&file)?;
            UserFile::read(&path)?.get_mut(&name)?;
            let hash = hash(&password)?;
            UserFile::change(&path, |file| {
                file.get_mut(&name)?.password = hash;
                Ok(())
            })?;
            format!("Changed the password of {}.\n", Shown(name.as_bytes()))
        }
        UserCommand::Change { name, fields, unset: keys, file } => {
            let gone = UserFile::change(&path(&file)?, |file| {
                let entry = file.get_mut(&name)?;
                let before = entry.paths.clone();
                keys.iter().try_for_each(|key| unset(entry, key.trim()))?;
                apply(entry, &fields)?;
                Ok(before.into_iter().filter(|rule| !entry.paths.contains(rule)).collect::<Vec<_>>())
            })?;
            let gone = gone.iter().map(|rule| {
                let text = format!("{}={}", rule.path.0, permission_names(rule.permissions.0));
                format!("Its rule {} is gone.\n", Shown(text.as_bytes()))
            });
            format!("Changed {}.\n{}", Shown(name.as_bytes()), gone.collect::<String>())
        }
        UserCommand::Remove { name, file } => {
            UserFile::change(&path(&file)?, |file| {
                file.get_mut(&name)?;
                file.users.retain(|entry| entry.name != name);
                Ok(())
            })?;
            format!("Removed {}; its files are still there.\n", Shown(name.as_bytes()))
        }
        UserCommand::List { json, file } => {
            let file = UserFile::read(&path(&file)?)?;
            if json { as_json(&file)? } else { as_text(&file)? }
        }
    };
    let mut out = std::io::stdout().lock();
    out.write_all(told.as_bytes()).and_then(|()| out.flush()).context("cannot write to standard output")?;
    if let Some((name, file)) = changed {
        warn_of_overlaps(&name, &file);
    }
    Ok(Exit::Done)
}

/// Says whom else's files the account can reach now, and who can reach its own. That takes a configuration: where there is none, or
/// none that names the file, nobody can tell.
fn warn_of_overlaps(name: &str, args: &FileArgs) {
    let config = Config::read(args.config.as_deref().unwrap_or(Path::new(DEFAULT_CONFIG)));
    let (Ok(config), Ok(path)) = (config, path(args)) else { return };
    overlaps_with(&config, &path, name).iter().for_each(|overlap| tell(&format!("warning: {overlap}")));
}

fn taken(name: &str) -> Fault {
    Fault::usage(format!("there is an account {name} already: use `port21 user change` or `passwd`"))
}

/// The file of accounts.
fn path(args: &FileArgs) -> anyhow::Result<PathBuf> {
    if let Some(users) = &args.users {
        return Ok(users.clone());
    }
    let config = args.config.as_deref().unwrap_or(Path::new(DEFAULT_CONFIG));
    let config = Config::read(config).with_context(|| "which accounts? name the file by --users or --config")?;
    config.accounts.file.ok_or_else(|| Fault::usage("the configuration names no file of accounts").into())
}

/// Sets what the flags say, and leaves all else.
fn apply(entry: &mut Entry, fields: &Fields) -> anyhow::Result<()> {
    fn set<T: Clone>(field: &mut Option<T>, value: &Option<T>) {
        if value.is_some() {
            field.clone_from(value);
        }
    }
    set(&mut entry.home, &fields.home);
    set(&mut entry.quota, &fields.quota);
    set(&mut entry.quota_files, &fields.quota_files);
    set(&mut entry.rate_down, &fields.rate_down);
    set(&mut entry.rate_up, &fields.rate_up);
    set(&mut entry.session_rate_down, &fields.session_rate_down);
    set(&mut entry.session_rate_up, &fields.session_rate_up);
    set(&mut entry.max_sessions, &fields.max_sessions);
    set(&mut entry.umask, &fields.umask);
    set(&mut entry.commit, &fields.commit);
    set(&mut entry.upload_eof, &fields.upload_eof);
    if let Some(words) = &fields.permissions {
        entry.permissions = Some(Allowed::of_words(words.split(',')).map_err(Fault::usage)?);
    }
    if !fields.path.is_empty() {
        entry.paths = fields.path.iter().map(|rule| path_rule(rule)).collect::<Result<_, _>>()?;
    }
    if !fields.networks.is_empty() {
        entry.networks.clone_from(&fields.networks);
    }
    if !fields.certificate.is_empty() {
        entry.certificates.clone_from(&fields.certificate);
    }
    entry.tls_required = fields.tls_required.unwrap_or(entry.tls_required);
    entry.certificate_alone = fields.certificate_alone.unwrap_or(entry.certificate_alone);
    entry.shared = fields.shared.unwrap_or(entry.shared);
    entry.disabled = fields.disabled.unwrap_or(entry.disabled);
    match entry.mistake() {
        Some((key, text)) => bail!(Fault::usage(format!("`{key}`: {text}"))),
        None => Ok(()),
    }
}

/// Takes away what a key says.
fn unset(entry: &mut Entry, key: &str) -> Result<(), Fault> {
    let new = Entry::default();
    match key {
        "home" => entry.home = new.home,
        "permissions" => entry.permissions = new.permissions,
        "paths" => entry.paths = new.paths,
        "quota" => entry.quota = new.quota,
        "quota-files" => entry.quota_files = new.quota_files,
        "rate-down" => entry.rate_down = new.rate_down,
        "rate-up" => entry.rate_up = new.rate_up,
        "session-rate-down" => entry.session_rate_down = new.session_rate_down,
        "session-rate-up" => entry.session_rate_up = new.session_rate_up,
        "max-sessions" => entry.max_sessions = new.max_sessions,
        "networks" => entry.networks = new.networks,
        "tls-required" => entry.tls_required = new.tls_required,
        "certificates" => entry.certificates = new.certificates,
        "certificate-alone" => entry.certificate_alone = new.certificate_alone,
        "umask" => entry.umask = new.umask,
        "commit" => entry.commit = new.commit,
        "upload-eof" => entry.upload_eof = new.upload_eof,
        "shared" => entry.shared = new.shared,
        "disabled" => entry.disabled = new.disabled,
        _ => {
            let keys = "home, permissions, paths, quota, quota-files, rate-down, rate-up, session-rate-down, session-rate-up, \
                        max-sessions, networks, tls-required, certificates, certificate-alone, umask, commit, upload-eof, \
                        shared, disabled";
            return Err(Fault::usage(format!("--unset: there is no `{key}` to take away: there are {keys}")));
        }
    }
    Ok(())
}

/// Reads `PATTERN=PERMISSION,PERMISSION`.
fn path_rule(text: &str) -> Result<PathRule, Fault> {
    let (path, words) = text.rsplit_once('=').ok_or_else(|| {
        Fault::usage(format!("`{text}`: write a rule as PATTERN=PERMISSIONS, such as /incoming/**=write,mkdir"))
    })?;
    let path = path.parse().map_err(Fault::usage)?;
    Ok(PathRule { path, permissions: Allowed::of_words(words.split(',')).map_err(Fault::usage)? })
}

/// The hash of the password that is given by standard input, the environment or the terminal; none where none is wanted.
fn hash(args: &PasswordArgs) -> anyhow::Result<Option<PasswordHash>> {
    if args.no_password {
        return Ok(None);
    }
    let password = if args.password_stdin {
        first_line()?
    } else if let Some(password) = std::env::var_os("PORT21_PASSWORD") {
        Secret::new(std::os::unix::ffi::OsStringExt::into_vec(password))
    } else if prompt::is_possible() {
        let password = prompt::secret("Password: ")?;
        if !prompt::secret("The same again: ")?.matches(password.expose()) {
            bail!(Fault::usage("the two passwords differ: nothing was changed"));
        }
        password
    } else {
        bail!(Fault::usage("there is nobody to ask for a password: give it by --password-stdin or PORT21_PASSWORD"));
    };
    if password.expose().is_empty() || password.expose().iter().any(|b| matches!(b, b'\r' | b'\n' | 0)) {
        bail!(Fault::usage("a password is not empty and has no line ends: FTP cannot carry them"));
    }
    Ok(Some(PasswordHash::new(&password, Cost::default())?))
}

fn first_line() -> anyhow::Result<Secret> {
    let mut bytes = Vec::new();
    std::io::stdin().lock().take(MAX_PASSWORD).read_to_end(&mut bytes).context("cannot read standard input")?;
    let end = bytes.iter().position(|b| matches!(b, b'\r' | b'\n')).unwrap_or(bytes.len());
    let password = Secret::new(bytes.get(..end).unwrap_or_default());
    bytes.fill(0);
    Ok(password)
}

/// Every key but the hash; whether there is one.
fn shown(entry: &Entry) -> anyhow::Result<serde_json::Map<String, serde_json::Value>> {
    let has_password = entry.password.is_some();
    let value = serde_json::to_value(Entry { password: None, ..entry.clone() })?;
    let serde_json::Value::Object(mut keys) = value else { bail!("an entry is a table") };
    keys.insert("has-password".into(), has_password.into());
    Ok(keys)
}

fn as_json(file: &UserFile) -> anyhow::Result<String> {
    let users = file.users.iter().map(shown).collect::<anyhow::Result<Vec<_>>>()?;
    Ok(serde_json::to_string_pretty(&users)? + "\n")
}

/// A line a user: the name, then what is set.
fn as_text(file: &UserFile) -> anyhow::Result<String> {
    let mut out = String::new();
    for entry in &file.users {
        let mut keys = shown(entry)?;
        keys.remove("name");
        if keys.remove("has-password") == Some(true.into()) {
            keys.insert("password".into(), "set".into());
        }
        let words = keys.iter().map(|(key, value)| match value {
            serde_json::Value::String(text) => format!("{key}={text}"),
            value => format!("{key}={value}"),
        });
        let line = format!("{}  {}", entry.name, words.collect::<Vec<_>>().join(" "));
        out.push_str(&Shown(line.trim_end().as_bytes()).to_string());
        out.push('\n');
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_can_be_taken_away() {
        let all = "name = \"ann\"\nhome = \"/a\"\npermissions = [\"list\"]\nquota = \"1GiB\"\nquota-files = 1\n\
                   rate-down = \"1MiB\"\nrate-up = \"1MiB\"\nsession-rate-down = \"1MiB\"\nsession-rate-up = \"1MiB\"\n\
                   max-sessions = 1\nnetworks = [\"::1\"]\ntls-required = true\ncertificates = [\"cn:a\"]\n\
                   certificate-alone = true\numask = \"022\"\ncommit = \"atomic\"\nupload-eof = \"lenient\"\n\
                   shared = true\ndisabled = true\npaths = [{ path = \"/in\", permissions = [] }]\n";
        let mut entry: Entry = toml::from_str(all).unwrap();
        let keys = shown(&entry).unwrap();
        let keys: Vec<&String> = keys.keys().filter(|key| !["name", "has-password"].contains(&key.as_str())).collect();
        assert_eq!(keys.len(), 19, "{keys:?}");
        keys.iter().for_each(|key| unset(&mut entry, key).unwrap());
        assert_eq!(entry, Entry { name: "ann".into(), ..Entry::default() });
        assert!(unset(&mut entry, "name").unwrap_err().to_string().contains("quota-files"));
    }

    #[test]
    fn rules_of_paths() {
        let rule = path_rule("/in/**=write,mkdir").unwrap();
        assert_eq!(
            (rule.path.0.to_string().as_str(), rule.permissions),
            ("/in/**", Allowed::of_words(["write", "mkdir"]).unwrap())
        );
        for bad in ["/in", "=list", "/in=fly", "/../x=list"] {
            assert!(path_rule(bad).is_err(), "{bad}");
        }
    }
}
