//! Commands about this side: the type and mode of transfers, the local directory, help, and commands of the shell.

use std::path::PathBuf;
use std::process::{Command as Process, Stdio};

use anyhow::{Context as _, bail};
use port21_client::{DataMode, Representation};
use port21_proto::text::Shown;

use super::table::{COMMANDS, find};
use super::transfer::HASH_BYTES;
use super::words::Words;
use super::{Console, Flow};
use crate::exit::{Exit, Fault};

pub(super) async fn ascii(console: &mut Console, _: &Words) -> anyhow::Result<Flow> {
    set_representation(console, Representation::Ascii).await
}

pub(super) async fn binary(console: &mut Console, _: &Words) -> anyhow::Result<Flow> {
    set_representation(console, Representation::Image).await
}

pub(super) async fn representation(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    let Some(word) = words.list.first() else {
        console.out.line(format_args!("Using {} mode to transfer files.", representation_name(console.representation)));
        return Ok(Flow::Continue);
    };
    match word.to_ascii_lowercase().as_str() {
        "a" | "ascii" => set_representation(console, Representation::Ascii).await,
        "i" | "image" | "b" | "binary" => set_representation(console, Representation::Image).await,
        _ => bail!(Fault::usage(format!("{word} is no type of transfers: ascii or binary"))),
    }
}

async fn set_representation(console: &mut Console, representation: Representation) -> anyhow::Result<Flow> {
    if let Some(session) = &mut console.session {
        session.client.set_representation(representation).await?;
    }
    console.representation = Some(representation);
    Ok(Flow::Continue)
}

/// The type that transfers have; before a session begins none is chosen.
fn representation_name(representation: Option<Representation>) -> &'static str {
    match representation {
        Some(Representation::Ascii) => "ascii",
        Some(Representation::Image) => "binary",
        None => "the default",
    }
}

pub(super) async fn passive(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    let on = match words.list.first().map(|word| word.to_ascii_lowercase()).as_deref() {
        None => console.mode == DataMode::Active,
        Some("on") => true,
        Some("off") => false,
        Some(_) => bail!(Fault::usage("usage: passive [on|off]")),
    };
    console.mode = if on { DataMode::Passive } else { DataMode::Active };
    if let Some(session) = &mut console.session {
        session.client.set_mode(console.mode);
    }
    console.out.line(format_args!("Passive mode {}.", on_off(on)));
    Ok(Flow::Continue)
}

pub(super) async fn hash(console: &mut Console, _: &Words) -> anyhow::Result<Flow> {
    console.hash = !console.hash;
    let scale = if console.hash { format!(" ({HASH_BYTES} bytes/hash mark)") } else { String::new() };
    console.out.line(format_args!("Hash mark printing {}{scale}.", on_off(console.hash)));
    Ok(Flow::Continue)
}

pub(super) async fn prompt(console: &mut Console, _: &Words) -> anyhow::Result<Flow> {
    console.prompting = !console.prompting;
    console.out.line(format_args!("Interactive mode {}.", on_off(console.prompting)));
    Ok(Flow::Continue)
}

pub(super) async fn verbose(console: &mut Console, _: &Words) -> anyhow::Result<Flow> {
    let on = !console.replies.is_on();
    console.replies.set(on);
    console.out.line(format_args!("Verbose mode {}.", on_off(on)));
    Ok(Flow::Continue)
}

pub(super) async fn status(console: &mut Console, _: &Words) -> anyhow::Result<Flow> {
    let out = &console.out;
    match &console.session {
        Some(session) => {
            out.line(format_args!("Connected to {} ({}).", Shown(session.host.as_bytes()), session.client.peer_addr()));
            let who = if session.client.is_logged_in() { "Logged in." } else { "Not logged in." };
            out.line(who);
        }
        None => out.line("Not connected."),
    }
    out.line(format_args!(
        "Form: {}. Passive mode: {}.",
        representation_name(console.representation),
        on_off(console.mode == DataMode::Passive)
    ));
    out.line(format_args!(
        "Verbose: {}. Prompting: {}. Hash marks: {}.",
        on_off(console.replies.is_on()),
        on_off(console.prompting),
        on_off(console.hash)
    ));
    out.line(format_args!("Local directory: {}", console.local.display()));
    Ok(Flow::Continue)
}

const fn on_off(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

pub(super) async fn lcd(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    let path = match words.list.first() {
        Some(path) => console.local.join(path),
        None => std::env::home_dir().context("there is no home directory")?,
    };
    let path: PathBuf = path.canonicalize().with_context(|| path.display().to_string())?;
    if !path.is_dir() {
        bail!(Fault::new(Exit::Local, format!("{}: not a directory", path.display())));
    }
    console.local = path;
    console.out.line(format_args!("Local directory now {}", console.local.display()));
    Ok(Flow::Continue)
}

pub(super) async fn lpwd(console: &mut Console, _: &Words) -> anyhow::Result<Flow> {
    console.out.line(format_args!("Local directory: {}", console.local.display()));
    Ok(Flow::Continue)
}

pub(super) async fn help(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    if let Some(name) = words.list.first() {
        let command = find(name)?;
        console.out.line(format!("{} {}", command.name, command.syntax).trim_end());
        console.out.line(format_args!("    {}", command.help));
        if !command.aliases.is_empty() {
            console.out.line(format_args!("    Also: {}", command.aliases.join(", ")));
        }
        return Ok(Flow::Continue);
    }
    for row in COMMANDS.chunks(6) {
        let row: String = row.iter().map(|command| format!("{:<12}", command.name)).collect();
        console.out.line(row.trim_end());
    }
    console.out.line("!COMMAND runs a command of the shell. Names with blanks go in quotes. More: help COMMAND");
    Ok(Flow::Continue)
}

/// `!cmd`: a command of the shell, in the console's local directory; a shell, where none is given.
pub(super) fn local_command(console: &Console, command: &str) -> anyhow::Result<()> {
    let shell = std::env::var_os("SHELL").unwrap_or_else(|| "/bin/sh".into());
    let mut process = Process::new(if command.trim().is_empty() { shell } else { "/bin/sh".into() });
    if !command.trim().is_empty() {
        process.args(["-c", command]);
    }
    if !console.interactive {
        // Standard input holds the rest of the script.
        process.stdin(Stdio::null());
    }
    let status = process.current_dir(&console.local).status().context("cannot run a shell")?;
    match status.success() {
        true => Ok(()),
        false => bail!(Fault::new(Exit::Local, format!("!{}: {status}", command.trim()))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::console;

    #[tokio::test]
    async fn settings_and_what_they_say() {
        let (mut console, memory) = console();
        for line in
            ["hash", "hash", "prompt", "verbose", "passive", "passive on", "ascii", "type", "bin", "type", "lpwd"]
        {
            console.run_line(line).await.unwrap();
        }
        let want = "Hash mark printing on (1024 bytes/hash mark).\nHash mark printing off.\nInteractive mode on.\n\
                    Verbose mode on.\nPassive mode off.\nPassive mode on.\nUsing ascii mode to transfer files.\n\
                    Using binary mode to transfer files.\nLocal directory: /\n";
        assert_eq!(memory.text(), want);
    }

    #[tokio::test]
    async fn the_local_directory_is_the_consoles_own() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("a b")).unwrap();
        let (mut console, _) = console();
        console.run_line(&format!("lcd {}", dir.path().display())).await.unwrap();
        console.run_line("lcd 'a b'").await.unwrap();
        assert!(console.local.ends_with("a b"));
        assert!(console.run_line("lcd nowhere").await.is_err());
        console.run_line("!touch here").await.unwrap();
        assert!(dir.path().join("a b/here").exists());
        assert!(console.run_line("!exit 3").await.is_err());
    }

    #[tokio::test]
    async fn help_for_all_and_for_each() {
        let (mut console, memory) = console();
        console.run_line("help").await.unwrap();
        console.run_line("? qui").await.unwrap();
        assert!(memory.text().contains("reget"));
        assert!(memory.text().ends_with("bye\n    end the session and the console\n    Also: quit, exit\n"));
    }
}
