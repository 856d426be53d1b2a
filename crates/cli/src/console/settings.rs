//! What the user has set for the console: switches, sizes, rates; and the commands that set them.

use anyhow::bail;
use port21_client::{Buffers, DataMode, Representation};

use super::names::Names;
use super::rates::Rates;
use super::words::Words;
use super::{Console, Flow};
use crate::exit::Fault;

/// How many bytes one `#` of `hash` stands for at first.
const HASH_BYTES: u64 = 1024;

/// The settings, with what they are at first. What belongs to a session or is shared with its events is kept there.
pub(super) struct Settings {
    /// The terminal's bell rings after each transfer.
    pub(super) bell: bool,
    /// Lines are edited, and completed.
    pub(super) editing: bool,
    /// EPSV is tried before PASV where both go.
    pub(super) extended: bool,
    /// Patterns stand for the names that match them.
    pub(super) glob: bool,
    /// Hash marks are printed, one for so many bytes.
    pub(super) hash: bool,
    pub(super) hash_bytes: u64,
    /// CRLF becomes LF in downloads of the ASCII type.
    pub(super) returns: bool,
    /// Downloads keep the time of the server's file.
    pub(super) preserve: bool,
    /// Bars tell how far transfers have come.
    pub(super) progress: bool,
    /// Commands over many files ask before each.
    pub(super) prompting: bool,
    /// Downloads take no name that is there already.
    pub(super) unique_here: bool,
    /// Uploads take no name that is there already.
    pub(super) unique_there: bool,
    /// Where a server has no passive mode, active mode is tried.
    pub(super) fallback: bool,
    /// The sizes of sockets' buffers.
    pub(super) buffers: Buffers,
    /// How fast transfers may be.
    pub(super) rates: Rates,
    /// What becomes of names on the way.
    pub(super) names: Names,
}

impl Settings {
    /// Those of a console at which somebody sits, or nobody.
    pub(super) fn new(interactive: bool, keep_times: bool) -> Settings {
        Settings {
            bell: false,
            editing: interactive,
            extended: true,
            glob: true,
            hash: false,
            hash_bytes: HASH_BYTES,
            returns: true,
            preserve: keep_times,
            progress: interactive,
            prompting: interactive,
            unique_here: false,
            unique_there: false,
            fallback: true,
            buffers: Buffers::default(),
            rates: Rates::default(),
            names: Names::default(),
        }
    }
}

/// What `on`, `off` or nothing makes of a switch.
pub(super) fn switched(now: bool, words: &Words) -> anyhow::Result<bool> {
    match words.list.first().map(|word| word.to_ascii_lowercase()).as_deref() {
        None => Ok(!now),
        Some("on") => Ok(true),
        Some("off") => Ok(false),
        Some(other) => bail!(Fault::usage(format!("{other} is neither on nor off"))),
    }
}

pub(super) const fn on_off(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

macro_rules! switches {
    ($($name:ident: $($field:ident).+, $text:literal;)*) => {$(
        pub(super) async fn $name(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
            let on = switched(console.settings.$($field).+, words)?;
            console.settings.$($field).+ = on;
            console.out.line(format_args!(concat!($text, " {}."), on_off(on)));
            Ok(Flow::Continue)
        }
    )*};
}

switches! {
    bell: bell, "Bell mode";
    case: names.case, "Case mapping";
    edit: editing, "Editing mode";
    glob: glob, "Globbing";
    preserve: preserve, "Preserve modification times";
    prompt: prompting, "Interactive mode";
    runique: unique_here, "Receive unique";
    sunique: unique_there, "Store unique";
}

/// `cr`: whether CRLF becomes LF.
pub(super) async fn cr(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    let on = switched(console.settings.returns, words)?;
    console.settings.returns = on;
    if let Some(session) = &mut console.session {
        session.client.set_keeps_returns(!on);
    }
    console.out.line(format_args!("Carriage Return stripping {}.", on_off(on)));
    Ok(Flow::Continue)
}

/// `hash [on|off|SIZE]`: bars and marks would write over each other.
pub(super) async fn hash(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    let settings = &mut console.settings;
    let size = words.list.first().filter(|word| word.starts_with(|c: char| c.is_ascii_digit()));
    settings.hash = match size {
        Some(word) => {
            settings.hash_bytes = bytes(word)?;
            if settings.hash_bytes == 0 {
                settings.hash_bytes = HASH_BYTES;
                bail!(Fault::usage("a hash mark stands for at least one byte"));
            }
            true
        }
        None => switched(settings.hash, words)?,
    };
    settings.progress &= !settings.hash;
    let scale = if settings.hash { format!(" ({} bytes/hash mark)", settings.hash_bytes) } else { String::new() };
    console.out.line(format_args!("Hash mark printing {}{scale}.", on_off(settings.hash)));
    Ok(Flow::Continue)
}

pub(super) async fn progress(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    let settings = &mut console.settings;
    settings.progress = switched(settings.progress, words)?;
    settings.hash &= !settings.progress;
    console.out.line(format_args!("Progress bar {}.", on_off(settings.progress)));
    Ok(Flow::Continue)
}

pub(super) async fn verbose(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    let on = switched(console.replies.is_on(), words)?;
    console.replies.set(on);
    console.out.line(format_args!("Verbose mode {}.", on_off(on)));
    Ok(Flow::Continue)
}

/// `debug [on|off|LEVEL]`: the commands that are sent.
pub(super) async fn debug(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    let level = match words.list.first().map(|word| word.parse::<u32>()) {
        Some(Ok(level)) => level,
        _ => u32::from(switched(console.replies.debug_level() > 0, words)?),
    };
    console.replies.set_debug(level);
    match level {
        0 => console.out.line("Debugging off (debug=0)."),
        level => console.out.line(format_args!("Debugging on (debug={level}).")),
    }
    Ok(Flow::Continue)
}

/// `trace`: the connections as they come and go.
pub(super) async fn trace(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    let on = switched(console.replies.is_tracing(), words)?;
    console.replies.set_tracing(on);
    console.out.line(format_args!("Packet tracing {}.", on_off(on)));
    Ok(Flow::Continue)
}

pub(super) async fn epsv4(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    let on = switched(console.settings.extended, words)?;
    console.settings.extended = on;
    if let Some(session) = &mut console.session {
        session.client.set_extended(on);
    }
    console.out.line(format_args!("EPSV/EPRT on IPv4 {}.", on_off(on)));
    Ok(Flow::Continue)
}

/// `epsv6`: what cannot be off.
pub(super) async fn epsv6(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    if words.list.first().is_none_or(|word| !word.eq_ignore_ascii_case("on")) {
        bail!(Fault::usage("EPSV and EPRT are the only way over IPv6 (RFC 2428): they stay on"));
    }
    console.out.line("EPSV/EPRT on IPv6 on.");
    Ok(Flow::Continue)
}

/// `passive [auto|on|off]`.
pub(super) async fn passive(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    let auto = words.list.first().is_some_and(|word| word.eq_ignore_ascii_case("auto"));
    let on = auto || switched(console.mode == DataMode::Passive, words)?;
    // As ftp has it: what a bare `passive` brings back is the mode that it had at first, with all that belongs to it.
    console.settings.fallback = auto || on && words.list.is_empty();
    console.set_mode(if on { DataMode::Passive } else { DataMode::Active });
    console.out.line(passive_line(console));
    Ok(Flow::Continue)
}

pub(super) fn passive_line(console: &Console) -> String {
    let (passive, fallback) = (console.mode == DataMode::Passive, console.settings.fallback);
    format!("Passive mode: {}; fallback to active mode: {}.", on_off(passive), on_off(fallback))
}

/// `sendport`: what cannot be off.
pub(super) async fn sendport(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    if words.list.first().is_none_or(|word| !word.eq_ignore_ascii_case("on")) {
        bail!(Fault::usage(
            "without PORT the server would connect to the port of the control connection (RFC 959 section 3.2), \
             where port21 listens for nobody: it stays on; passive mode does without it"
        ));
    }
    console.out.line("Use of PORT cmds on.");
    Ok(Flow::Continue)
}

pub(super) async fn sndbuf(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    console.settings.buffers.send = Some(buffer(words)?);
    set_buffers(console)
}

pub(super) async fn rcvbuf(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    console.settings.buffers.receive = Some(buffer(words)?);
    set_buffers(console)
}

pub(super) async fn xferbuf(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    let size = Some(buffer(words)?);
    console.settings.buffers = Buffers { send: size, receive: size };
    set_buffers(console)
}

fn buffer(words: &Words) -> anyhow::Result<usize> {
    let size = bytes(words.first())?;
    match usize::try_from(size) {
        Ok(size @ 1..=0x4000_0000) => Ok(size),
        _ => bail!(Fault::usage("a socket's buffer has 1 byte to 1g")),
    }
}

fn set_buffers(console: &mut Console) -> anyhow::Result<Flow> {
    if let Some(session) = &mut console.session {
        session.client.set_buffers(console.settings.buffers);
    }
    console.out.line(buffers_line(console.settings.buffers));
    Ok(Flow::Continue)
}

pub(super) fn buffers_line(buffers: Buffers) -> String {
    let size = |size: Option<usize>| size.map_or_else(|| "the system's".to_owned(), |size| size.to_string());
    format!("Socket buffer sizes: send {}, receive {}.", size(buffers.send), size(buffers.receive))
}

pub(super) async fn ascii(console: &mut Console, _: &Words) -> anyhow::Result<Flow> {
    console.set_representation(Representation::Ascii).await
}

pub(super) async fn binary(console: &mut Console, _: &Words) -> anyhow::Result<Flow> {
    console.set_representation(Representation::Image).await
}

/// `tenex`: TYPE L 8. Its bytes are those of the image type.
pub(super) async fn tenex(console: &mut Console, _: &Words) -> anyhow::Result<Flow> {
    console.set_representation(Representation::Image).await?;
    super::ask::line(console, "TYPE L 8").await
}

/// `type [NAME]`.
pub(super) async fn representation(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    let Some(word) = words.list.first() else {
        let name = representation_name(console.representation);
        console.out.line(format_args!("Using {name} mode to transfer files."));
        return Ok(Flow::Continue);
    };
    match word.to_ascii_lowercase().as_str() {
        "a" | "ascii" => console.set_representation(Representation::Ascii).await,
        "i" | "image" | "b" | "binary" => console.set_representation(Representation::Image).await,
        "tenex" | "l" => tenex(console, words).await,
        "ebcdic" | "e" => bail!(Fault::usage("ebcdic: port21 converts no EBCDIC: ascii, binary or tenex")),
        _ => bail!(Fault::usage(format!("{word} is no type of transfers: ascii, binary or tenex"))),
    }
}

/// The type that transfers have; before a session begins none is chosen.
pub(super) fn representation_name(representation: Option<Representation>) -> &'static str {
    match representation {
        Some(Representation::Ascii) => "ascii",
        Some(Representation::Image) => "binary",
        None => "the default",
    }
}

macro_rules! fixed {
    ($($name:ident: $what:literal, $only:literal;)*) => {$(
        pub(super) async fn $name(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
            if words.list.first().is_some_and(|word| !word.eq_ignore_ascii_case($only)) {
                bail!(Fault::usage(concat!("We only support ", $only, " ", $what, ", sorry.")));
            }
            console.out.line(concat!("The ", $what, " is ", $only, "."));
            Ok(Flow::Continue)
        }
    )*};
}

// What FTP once had more than one of.
fixed! {
    form: "format", "non-print";
    mode: "mode", "stream";
    structure: "structure", "file";
}

/// A number of bytes, with `b`, `k`, `m` or `g` behind it.
pub(super) fn bytes(word: &str) -> Result<u64, Fault> {
    let wrong = || Fault::usage(format!("{word} is no number of bytes, such as 1000, 32k or 2m"));
    let end = word.find(|c: char| !c.is_ascii_digit()).unwrap_or(word.len());
    let (digits, unit) = word.split_at(end);
    let factor = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" => 1 << 10,
        "m" => 1 << 20,
        "g" => 1 << 30,
        _ => return Err(wrong()),
    };
    digits.parse::<u64>().ok().and_then(|number| number.checked_mul(factor)).ok_or_else(wrong)
}

impl Console {
    /// Sets who opens data connections, of the session too.
    pub(super) fn set_mode(&mut self, mode: DataMode) {
        self.mode = mode;
        if let Some(session) = &mut self.session {
            session.client.set_mode(mode);
        }
    }

    async fn set_representation(&mut self, representation: Representation) -> anyhow::Result<Flow> {
        if let Some(session) = &mut self.session {
            session.client.set_representation(representation).await?;
        }
        self.representation = Some(representation);
        Ok(Flow::Continue)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::console;
    use super::*;

    #[tokio::test]
    async fn switches_and_what_they_say() {
        let (mut console, memory) = console();
        for (line, want) in [
            ("bell", "Bell mode on."),
            ("bell off", "Bell mode off."),
            ("case", "Case mapping on."),
            ("cr", "Carriage Return stripping off."),
            ("debug", "Debugging on (debug=1)."),
            ("debug 3", "Debugging on (debug=3)."),
            ("debug off", "Debugging off (debug=0)."),
            ("edit on", "Editing mode on."),
            ("epsv", "EPSV/EPRT on IPv4 off."),
            ("epsv4 on", "EPSV/EPRT on IPv4 on."),
            ("epsv6 on", "EPSV/EPRT on IPv6 on."),
            ("glob", "Globbing off."),
            ("hash", "Hash mark printing on (1024 bytes/hash mark)."),
            ("hash 2k", "Hash mark printing on (2048 bytes/hash mark)."),
            ("progress", "Progress bar on."),
            ("hash off", "Hash mark printing off."),
            ("passive off", "Passive mode: off; fallback to active mode: off."),
            ("passive", "Passive mode: on; fallback to active mode: on."),
            ("passive on", "Passive mode: on; fallback to active mode: off."),
            ("passive auto", "Passive mode: on; fallback to active mode: on."),
            ("preserve off", "Preserve modification times off."),
            ("prompt", "Interactive mode on."),
            ("runique", "Receive unique on."),
            ("sunique", "Store unique on."),
            ("sendport on", "Use of PORT cmds on."),
            ("sndbuf 1k", "Socket buffer sizes: send 1024, receive the system's."),
            ("rcvbuf 32k", "Socket buffer sizes: send 1024, receive 32768."),
            ("xferbuf 100k", "Socket buffer sizes: send 102400, receive 102400."),
            ("trace", "Packet tracing on."),
            ("type", "Using the default mode to transfer files."),
            ("ascii", ""),
            ("type", "Using ascii mode to transfer files."),
            ("bin", ""),
            ("type", "Using binary mode to transfer files."),
            ("form non-print", "The format is non-print."),
            ("mode", "The mode is stream."),
            ("struct file", "The structure is file."),
            ("verbose", "Verbose mode on."),
        ] {
            let before = memory.text().len();
            console.run_line(line).await.unwrap_or_else(|error| panic!("{line}: {error}"));
            assert_eq!(memory.text()[before..].trim_end(), want, "{line}");
        }
    }

    #[tokio::test]
    async fn what_cannot_be_set_says_why() {
        let (mut console, _) = console();
        for (line, want) in [
            ("epsv6 off", "RFC 2428"),
            ("sendport", "control connection"),
            ("mode block", "We only support stream mode, sorry."),
            ("struct record", "We only support file structure, sorry."),
            ("form telnet", "We only support non-print format, sorry."),
            ("type ebcdic", "ebcdic"),
            ("bell maybe", "neither on nor off"),
            ("xferbuf x", "no number of bytes"),
            ("rcvbuf 0", "1 byte"),
        ] {
            let error = console.run_line(line).await.unwrap_err();
            assert!(error.to_string().contains(want), "{line}: {error}");
        }
    }

    #[test]
    fn numbers_of_bytes() {
        assert_eq!((bytes("10").ok(), bytes("2K").ok(), bytes("3m").ok()), (Some(10), Some(2048), Some(3 << 20)));
        assert!(["", "k", "1x", "99999999999g", "-1"].iter().all(|word| bytes(word).is_err()));
    }
}
