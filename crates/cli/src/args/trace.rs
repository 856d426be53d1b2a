//! Arguments of `trace` and `demo`.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;
use port21_trace::findings::Severity;
use port21_trace::render::Paper;

use crate::units::Size;

/// Arguments of `demo`.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Where session.jsonl, session.txt and session.svg are written.
    #[arg(long, value_name = "DIR", default_value = "port21-demo")]
    pub(crate) out: PathBuf,
    /// Draw into this file as well, in the format that its ending names, as `trace` does (.pdf, .html, ...); repeatable.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Vec<PathBuf>,
    /// Add this to every port. Default: 0, or 10000 where ports below 1024 are not permitted or one is taken.
    #[arg(long, value_name = "N")]
    pub(crate) port_offset: Option<u16>,
}

/// Arguments of `trace`.
#[derive(Debug, Args)]
pub(crate) struct TraceArgs {
    /// Recordings (.jsonl) and packet captures (pcap, pcapng), compressed by gzip or not; `-` is standard input.
    #[arg(value_name = "FILE", required_unless_present = "live")]
    pub(crate) inputs: Vec<PathBuf>,
    /// Draw a recording while it is being written: in the view, or as text row by row as `tail -f` does, until its sessions have
    /// ended or ^C is pressed. What is wrong with a session is said at its end. A recording that is begun anew, or that another file takes
    /// the place of, is read on there.
    #[arg(long, conflicts_with_all = ["output", "format", "list"])]
    pub(crate) follow: bool,
    /// Draw the sessions of this network interface while they go on, until ^C: `eth0`, `lo`, or `any` for all. Linux; needs root or
    /// the capability CAP_NET_RAW. FTP is known by what is said, on any port.
    #[arg(long, value_name = "IFACE", conflicts_with_all = ["inputs", "follow", "output", "format", "list", "session"])]
    pub(crate) live: Option<String>,
    /// With --live: only control connections to this port of a server; repeatable.
    #[arg(long, value_name = "PORT")]
    pub(crate) port: Vec<u16>,
    /// With --live: write all packets of the interface into this pcapng file, passwords and data included.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) write: Option<PathBuf>,
    /// With --write: at this size the file is begun anew, and the one before is kept as FILE.1: twice this is on disk at most.
    #[arg(long, value_name = "SIZE", default_value = "1GiB")]
    pub(crate) max_size: Size,
    /// Draw into this file, in the format that its ending names (.txt, .svg, .pdf, .html, .mmd, .json, .jsonl); repeatable.
    /// Several sessions are in one file where the format has room for them; else each has one of its own: FILE-1.svg,
    /// FILE-2.svg. Without: the view on a terminal, else text.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Vec<PathBuf>,
    /// The format, where the ending does not say: txt, svg, pdf, html, mermaid, json or jsonl.
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<String>,
    /// Only this session of several: its number or name. Default: all.
    #[arg(long, value_name = "N|all")]
    pub(crate) session: Option<String>,
    /// Only sessions in which this host takes part.
    #[arg(long, value_name = "ADDRESS", conflicts_with = "follow")]
    pub(crate) host: Option<IpAddr>,
    /// List the sessions, one a line.
    #[arg(long, conflicts_with_all = ["output", "format"])]
    pub(crate) list: bool,
    /// Only what passes this lane: `server:21`, `client:1175`, `dns`, `user`.
    #[arg(long, value_name = "LANE")]
    pub(crate) only: Option<String>,
    /// The title.
    #[arg(long, value_name = "TEXT")]
    pub(crate) title: Option<String>,
    /// The date to print, for a file that is the same each time: YYYY-MM-DD or YYYY-MM-DDTHH:MM:SSZ.
    #[arg(long, value_name = "DATE")]
    pub(crate) date: Option<String>,
    /// The paper of a PDF: a4 or letter.
    #[arg(long, value_name = "SIZE", default_value = "a4")]
    pub(crate) paper: Paper,
    /// Show the rows of TCP segments (SYN, ACK, FIN).
    #[arg(long, overrides_with = "no_tcp")]
    pub(crate) tcp: bool,
    /// Leave the rows of TCP segments out.
    #[arg(long)]
    pub(crate) no_tcp: bool,
    /// Draw each row of long sessions, too: by default the middle of many like transfers is folded into one row.
    #[arg(long)]
    pub(crate) unfold: bool,
    /// Show parameters under their display-filter names: `ftp.response.code = 220`.
    #[arg(long)]
    pub(crate) fields: bool,
    /// Print text on a terminal, too. Without, sessions are shown there in a view to walk through: a list, the ladder of one, a
    /// message with its bytes; `?` tells its keys. --width, --list, --format and --output print or write as well.
    #[arg(long)]
    pub(crate) plain: bool,
    /// Show the passwords (PASS, ACCT) that captures hold, instead of ***. Files are then their owner's alone. Recordings hold no
    /// passwords.
    #[arg(long, conflicts_with_all = ["follow", "live"])]
    pub(crate) show_secrets: bool,
    /// Draw with plain ASCII characters.
    #[arg(long)]
    pub(crate) ascii: bool,
    /// Exit with code 8 where a session that is drawn has a finding of this severity or worse: fault, warning or note.
    #[arg(long, value_name = "SEVERITY")]
    pub(crate) fail_on: Option<Severity>,
    /// The width of text, in columns. Default: the terminal's.
    #[arg(long, value_name = "N")]
    pub(crate) width: Option<usize>,
}

#[cfg(test)]
mod tests {
    use super::super::Command;
    use super::super::tests::parse;

    #[test]
    fn several_outputs_and_the_last_of_two_opposites() {
        let Ok(Command::Trace(args)) = parse("trace a.jsonl -o a.svg -o a.txt --no-tcp --tcp") else { panic!() };
        assert_eq!(args.output.len(), 2);
        assert!(args.tcp && !args.no_tcp);
        assert!(parse("trace").is_err());
        assert!(parse("trace - --list -o x.svg").is_err());
        assert!(parse("trace - --fail-on warning").is_ok());
        assert!(parse("trace - --fail-on trouble").is_err());
        assert!(parse("trace - --paper Letter").is_ok());
        assert!(parse("trace - --paper a3").is_err());
        assert!(parse("trace - --host 2001:db8::1 --unfold").is_ok());
        assert!(parse("trace - --host me").is_err());
    }
}
