//! What the console tells of itself: help, usage, status.

use port21_client::DataMode;
use port21_proto::text::Shown;

use super::settings::{buffers_line, on_off, passive_line, representation_name};
use super::table::{COMMANDS, find};
use super::words::Words;
use super::{Console, Flow};

/// How wide a column of names is, and how many there are.
const COLUMNS: usize = 6;

/// `help [COMMAND...]`.
pub(super) async fn help(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    for name in &words.list {
        let command = find(name)?;
        console.out.line(format!("{} {}", command.name, command.syntax).trim_end());
        console.out.line(format_args!("    {}", command.help));
        if !command.aliases.is_empty() {
            console.out.line(format_args!("    Also: {}", command.aliases.join(", ")));
        }
        if command.needs.may_be_job() {
            console.out.line("    With & at its end it runs in the background: see jobs");
        }
    }
    if words.list.is_empty() {
        console.out.line("Commands may be abbreviated.  Commands are:\n");
        let mut names: Vec<&str> = COMMANDS.iter().flat_map(|command| command.names()).collect();
        names.sort_unstable();
        let rows = names.len().div_ceil(COLUMNS);
        for row in 0..rows {
            let row: String = names.iter().skip(row).step_by(rows).map(|name| format!("{name:<12}")).collect();
            console.out.line(row.trim_end());
        }
        console.out.line("\nhelp COMMAND explains one. Names with blanks go in \"quotes\".");
    }
    Ok(Flow::Continue)
}

/// `usage COMMAND...`.
pub(super) async fn usage(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    for name in &words.list {
        console.out.line(find(name)?.usage());
    }
    Ok(Flow::Continue)
}

pub(super) async fn status(console: &mut Console, _: &Words) -> anyhow::Result<Flow> {
    let out = &console.out;
    let settings = &console.settings;
    match &console.session {
        Some(session) => {
            out.line(format_args!("Connected to {} ({}).", Shown(session.host.as_bytes()), session.client.peer_addr()));
            let who = if session.client.is_logged_in() { "Logged in." } else { "Not logged in." };
            let how = if session.client.is_secure() { " The control connection is under TLS." } else { "" };
            out.line(format_args!("{who}{how}"));
        }
        None => out.line("Not connected."),
    }
    match &console.other {
        Some(other) => out.line(format_args!("Proxy connection: {}.", Shown(other.host.as_bytes()))),
        None => out.line("No proxy connection."),
    }
    out.line(console.gate.line());
    out.line(passive_line(console));
    out.line(format_args!(
        "Mode: stream; Type: {}; Form: non-print; Structure: file.",
        representation_name(console.representation)
    ));
    out.line(format_args!(
        "Verbose: {}; Bell: {}; Prompting: {}; Globbing: {}.",
        on_off(console.replies.is_on()),
        on_off(settings.bell),
        on_off(settings.prompting),
        on_off(settings.glob)
    ));
    out.line(format_args!(
        "Store unique: {}; Receive unique: {}.",
        on_off(settings.unique_there),
        on_off(settings.unique_here)
    ));
    out.line(format_args!("Preserve modification times: {}.", on_off(settings.preserve)));
    out.line(format_args!("Case: {}; CR stripping: {}.", on_off(settings.names.case), on_off(settings.returns)));
    settings.names.lines().iter().for_each(|line| out.line(line));
    out.line(format_args!(
        "Hash mark printing: {}; Mark count: {}; Progress bar: {}.",
        on_off(settings.hash),
        settings.hash_bytes,
        on_off(settings.progress)
    ));
    out.line(settings.rates.get.line("Get"));
    out.line(settings.rates.put.line("Put"));
    out.line(buffers_line(settings.buffers));
    out.line(format_args!("Use of PORT cmds: {}.", on_off(console.mode == DataMode::Active)));
    out.line(format_args!("Use of EPSV/EPRT cmds for IPv4: {}.", on_off(settings.extended)));
    out.line("Use of EPSV/EPRT cmds for IPv6: on.");
    out.line(format_args!("Command line editing: {}.", on_off(settings.editing)));
    let macros = console.macros.names();
    if !macros.is_empty() {
        out.line(format_args!("Macros: {}", macros.join(" ")));
    }
    out.line(format_args!("Local directory: {}", console.local.display()));
    out.line(format_args!("Version: port21 {}", env!("CARGO_PKG_VERSION")));
    Ok(Flow::Continue)
}

#[cfg(test)]
mod tests {
    use super::super::tests::console;
    use super::*;

    #[tokio::test]
    async fn help_for_all_and_for_each() {
        let (mut console, memory) = console();
        console.run_line("help").await.unwrap();
        assert!(memory.text().contains("reget") && memory.text().contains("disconnect"));
        console.run_line("? qui get").await.unwrap();
        assert!(memory.text().contains("bye\n    end the session and the console\n    Also: quit, exit\n"));
        assert!(memory.text().ends_with("in the background: see jobs\n"));
        for command in COMMANDS {
            for name in command.names() {
                console.run_line(&format!("help {name}")).await.unwrap_or_else(|error| panic!("{name}: {error}"));
            }
        }
        console.run_line("usage mget rate").await.unwrap();
        assert!(
            memory
                .text()
                .ends_with("usage: mget REMOTE-FILE-OR-PATTERN...\nusage: rate all|get|put [MAXIMUM [INCREMENT]]\n")
        );
        assert!(console.run_line("help frobnicate").await.is_err());
    }

    #[tokio::test]
    async fn status_shows_the_settings() {
        let (mut console, memory) = console();
        console.run_line("nmap $1 $1.x").await.unwrap();
        console.run_line("status").await.unwrap();
        let text = memory.text();
        for line in
            ["Not connected.", "No proxy connection.", "Nmap: (in) $1 (out) $1.x", "Globbing: on.", "Gate ftp: off"]
        {
            assert!(text.contains(line), "{line}: {text}");
        }
    }
}
