//! Arguments of the URL commands and of the console.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use port21_client::{Charset, Parallel, Pin, TlsVersion};

use crate::units::{Size, parse_duration};

/// How to reach the server and how to speak to it: the same for every client command.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct ConnectArgs {
    /// The name to log in with, where the URL has none.
    #[arg(long, value_name = "NAME")]
    pub(crate) user: Option<String>,
    /// Read logins from this file instead of ~/.netrc.
    #[arg(long, value_name = "FILE")]
    pub(crate) netrc_file: Option<PathBuf>,
    /// Let the server connect to us for data (PORT, EPRT); a firewall or NAT on our side may be in the way.
    #[arg(long)]
    pub(crate) active: bool,
    /// Begin with TLS (AUTH TLS), and go no further without; the same as ftpes://. ftps:// is TLS from the first byte on, on
    /// port 990.
    #[arg(long)]
    pub(crate) tls: bool,
    /// Trust the certificates in this PEM file, and not those that the system does: of authorities, or the server's own.
    #[arg(long, value_name = "FILE")]
    pub(crate) cacert: Option<PathBuf>,
    /// Trust the server with this key (sha256//BASE64, as for curl) or this certificate (its SHA-256 fingerprint in
    /// hexadecimal digits) and no other, whoever has signed it. Repeatable.
    #[arg(long, value_name = "PIN")]
    pub(crate) pin: Vec<Pin>,
    /// Trust any server: whoever takes its place gets the password and the files.
    #[arg(long, conflicts_with_all = ["cacert", "pin"])]
    pub(crate) insecure: bool,
    /// Show this certificate to servers that ask for one (PEM, with its chain).
    #[arg(long, value_name = "FILE")]
    pub(crate) client_cert: Option<PathBuf>,
    /// The private key of --client-cert (PEM), where it is not in the same file.
    #[arg(long, value_name = "FILE", requires = "client_cert")]
    pub(crate) client_key: Option<PathBuf>,
    /// Go through this proxy: `socks5://[USER:PASSWORD@]HOST[:PORT]`, socks5h:// (the proxy looks names up) or http:// (CONNECT);
    /// none: go without. Default: $ftp_proxy, else $all_proxy, unless $no_proxy names the server.
    #[arg(long, value_name = "URL")]
    pub(crate) proxy: Option<String>,
    /// Ask this name server instead of the system's.
    #[arg(long, value_name = "ADDR[:PORT]", value_parser = parse_name_server)]
    pub(crate) dns: Option<SocketAddr>,
    /// Connect by IPv4 only.
    #[arg(short = '4', long, conflicts_with = "ipv6")]
    pub(crate) ipv4: bool,
    /// Connect by IPv6 only.
    #[arg(short = '6', long)]
    pub(crate) ipv6: bool,
    /// How long to wait in each phase: to resolve, to connect, for a reply, for the next byte. Default: as suits the
    /// phase, from 15s to connect to 5m for the last reply.
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) timeout: Option<Duration>,
    /// Try again this many times in a row when a connection fails or breaks, after longer and longer waits; transfers go on
    /// where they stopped, and one that got further begins to count anew. Default: 6 for get, put and mirror once they have
    /// been connected, else 0.
    #[arg(long, value_name = "N")]
    pub(crate) retry: Option<u32>,
    /// The charset of the server's names, where that is not UTF-8: windows-1252, koi8-r, shift_jis and the like.
    #[arg(long, value_name = "NAME")]
    pub(crate) charset: Option<Charset>,
    /// The most entries that one directory may have for a pattern or a tree; ls has no such limit. More memory is needed for more:
    /// about 150 MB for the default.
    #[arg(long, value_name = "N", default_value_t = MAX_ENTRIES, value_parser = parse_entries, hide_short_help = true)]
    pub(crate) max_entries: usize,
    /// Send no FEAT and SYST, and no TYPE from the console unless told: only what was asked for.
    #[arg(long)]
    pub(crate) no_probe: bool,
    /// Record the session into this file, for `port21 trace`.
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,

    /// Speak this version of TLS only: 1.2 or 1.3.
    #[arg(long, value_name = "VERSION", value_parser = parse_tls_version, hide_short_help = true)]
    pub(crate) tls_version: Option<TlsVersion>,
    /// The local address to connect from.
    #[arg(long, value_name = "ADDR", hide_short_help = true)]
    pub(crate) bind: Option<IpAddr>,
    /// The local port of the control connection.
    #[arg(long, value_name = "PORT", hide_short_help = true)]
    pub(crate) control_port: Option<u16>,
    /// The local ports that PORT and EPRT offer, used in turn.
    #[arg(long, value_name = "A-B", value_parser = parse_ports, hide_short_help = true)]
    pub(crate) active_ports: Option<RangeInclusive<u16>>,
    /// The local port that queries to the name server of --dns leave from.
    #[arg(long, value_name = "PORT", requires = "dns", hide_short_help = true)]
    pub(crate) dns_port: Option<u16>,
}

/// Arguments of `shell`.
#[derive(Debug, Args)]
#[command(after_help = "\
Without a terminal the commands come from standard input, or with -f from a file. The first that fails ends the script, with its \
exit code: what follows a failed `cd` must not be done in the wrong place. A line that begins with - may fail, and with -k every \
line; one that begins with # is a remark. The commands: echo help | port21 shell")]
pub(crate) struct ShellArgs {
    /// Where to go first: a URL, or the name of a host.
    #[arg(value_name = "URL")]
    pub(crate) url: Option<String>,
    /// The server's port, where a host is given.
    #[arg(value_name = "PORT", requires = "url")]
    pub(crate) port: Option<u16>,
    /// Read commands from this file; `-` is standard input.
    #[arg(short = 'f', long, value_name = "FILE")]
    pub(crate) script: Option<PathBuf>,
    /// Go on behind a line of a script that fails. The exit code is that of the first that did.
    #[arg(short, long)]
    pub(crate) keep_going: bool,
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
}

/// Arguments of `ls`.
#[derive(Debug, Args)]
pub(crate) struct LsArgs {
    /// Directories or files.
    #[arg(value_name = "URL", required_unless_present = "parse")]
    pub(crate) urls: Vec<String>,
    /// Connect to nothing: read a listing that was saved, as a server's LIST or MLSD sent it; `-` is standard input. Lines
    /// that cannot be read are told on standard error, and in --json as objects of the kind `unreadable`; what names no file
    /// (`total 12`) with -v. For reports of a listing that is read wrongly.
    #[arg(long, value_name = "FILE", conflicts_with = "urls")]
    pub(crate) parse: Option<PathBuf>,
    /// When the listing of --parse was made, in UTC: dates without a year are the last before it. Default: now.
    #[arg(long, value_name = "DATE", requires = "parse", conflicts_with = "urls", value_parser = parse_moment)]
    pub(crate) now: Option<Timestamp>,
    /// Names alone, one a line.
    #[arg(short = '1', conflicts_with = "json")]
    pub(crate) names: bool,
    /// One JSON object a line.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
}

/// Arguments of `cat`.
#[derive(Debug, Args)]
pub(crate) struct CatArgs {
    /// Files, written one after the other.
    #[arg(value_name = "URL", required = true)]
    pub(crate) urls: Vec<String>,
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
}

/// How files are transferred: the same for `get`, `put` and `mirror`.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Transfer")]
pub(crate) struct TransferArgs {
    /// At most so many bytes a second, such as 500KiB, over all that is transferred at once.
    #[arg(long, alias = "rate", value_name = "RATE")]
    pub(crate) limit_rate: Option<Size>,
    /// How it is made sure that files are whole: by a digest of theirs (HASH, XSHA256 and their like) where the server has
    /// one, which it then reads them once more for; by their size; or not at all. Default: size, and the digest that some
    /// servers tell of an upload. Without a word: digest.
    #[arg(long, value_name = "HOW", num_args = 0..=1, require_equals = true, default_missing_value = "digest")]
    pub(crate) verify: Option<VerifyBy>,
    /// Do not keep the times of files.
    #[arg(long)]
    pub(crate) no_times: bool,
    /// Tell each result as one JSON object a line, and every second how far it has come.
    #[arg(long)]
    pub(crate) json: bool,
}

/// By what files are found to be whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum VerifyBy {
    /// Their digest, else their size.
    Digest,
    /// Their size.
    Size,
    /// The server's word alone.
    None,
}

/// Arguments of `get`.
#[derive(Debug, Args)]
#[command(after_help = "\
A download grows as NAME.port21-part and becomes NAME when it is whole: a file of that name is then replaced, and stays as it was \
where the download fails. What an interrupted download leaves is continued by -c.

*, ? and [a-z] in a URL stand for the names that the server lists there; quote such a URL, or the shell takes it for a pattern of \
local names. Where no name matches, the URL is taken as it is.")]
pub(crate) struct GetArgs {
    /// Files, or patterns for them; with -r directories.
    #[arg(value_name = "URL", required = true)]
    pub(crate) urls: Vec<String>,
    /// Write to this file or into this directory, which is made where it ends with `/`; `-` is standard output.
    #[arg(short, long, value_name = "PATH")]
    pub(crate) output: Option<PathBuf>,
    /// Directories as well, and all that is in them. Symbolic links are left out: see mirror.
    #[arg(short, long)]
    pub(crate) recursive: bool,
    /// Continue NAME.port21-part, or a NAME that is shorter than the server's file; with -r, leave files that are the same.
    #[arg(short = 'c', long = "continue")]
    pub(crate) resume: bool,
    /// Leave files alone that are there already.
    #[arg(short, long, conflicts_with_all = ["resume", "recursive"])]
    pub(crate) no_clobber: bool,
    /// Take *, ? and [ in a URL as they are.
    #[arg(long)]
    pub(crate) no_glob: bool,
    /// Leave files out that are larger than this, such as 100MiB, and tell which. Where the server does not tell a file's
    /// size, it is given up when more has come.
    #[arg(long, value_name = "SIZE")]
    pub(crate) max_size: Option<Size>,
    /// Fetch so many files at once, over a connection each; auto: as many as the way to the server is long.
    #[arg(long, value_name = "N|auto", value_parser = parse_parallel, default_value = "1")]
    pub(crate) parallel: Parallel,
    /// Fetch each large file in so many segments at once, over a connection each.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=32))]
    pub(crate) segments: u8,
    #[command(flatten)]
    pub(crate) transfer: TransferArgs,
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
}

/// Arguments of `put`.
#[derive(Debug, Args)]
#[command(after_help = "\
An upload grows as NAME.port21-part at the server and is renamed to NAME when it is whole. A server that takes no such name, or \
renames nothing, is sent NAME itself.")]
pub(crate) struct PutArgs {
    /// Local files, or patterns for them that the shell has left; `-` is standard input; with -r directories.
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// Where they go: a directory with `/` at its end, or the new name of a single file.
    #[arg(value_name = "URL")]
    pub(crate) url: String,
    /// Directories as well, and all that is in them. Symbolic links are left out: see mirror.
    #[arg(short, long)]
    pub(crate) recursive: bool,
    /// Send only what the server's file does not have yet: it is taken for the beginning of ours, unless it is older or the
    /// server's digest of it shows that it is not; with -r, leave files that are the same.
    #[arg(short = 'c', long = "continue")]
    pub(crate) resume: bool,
    /// Send files under their own names from the beginning on.
    #[arg(long)]
    pub(crate) direct: bool,
    /// Send so many files at once, over a connection each; auto: as many as the way to the server is long.
    #[arg(long, value_name = "N|auto", value_parser = parse_parallel, default_value = "1")]
    pub(crate) parallel: Parallel,
    #[command(flatten)]
    pub(crate) transfer: TransferArgs,
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
}

/// What a mirror does: the same for the command and the console's.
#[derive(Debug, Args)]
pub(crate) struct TreeArgs {
    /// Remove from the target what the source does not have. Nothing is removed where a listing of the source is not whole, or
    /// the source is empty.
    #[arg(long)]
    pub(crate) delete: bool,
    /// Change nothing, and tell what would be done.
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,
    /// Files that match this pattern, and no others. Repeatable.
    #[arg(long, value_name = "PATTERN")]
    pub(crate) include: Vec<String>,
    /// Nothing that matches this pattern. Repeatable.
    #[arg(long, value_name = "PATTERN")]
    pub(crate) exclude: Vec<String>,
    /// Of the files that are in the target already, those that are newer in the source, and no others.
    #[arg(long, conflicts_with = "checksum")]
    pub(crate) newer: bool,
    /// Compare by size and digest, not by time: both sides read every file.
    #[arg(long)]
    pub(crate) checksum: bool,
    /// Leave files out that are larger than this, such as 100MiB, and tell which. What the target has of them stays as it is.
    #[arg(long, value_name = "SIZE")]
    pub(crate) max_size: Option<Size>,
    /// What becomes of symbolic links: left out; made anew, where they stay within the tree (downloads alone); or the file that
    /// they lead to.
    #[arg(long, value_name = "HOW", value_enum, default_value = "skip")]
    pub(crate) links: LinksAs,
}

/// Arguments of `mirror`.
#[derive(Debug, Args)]
#[command(after_help = "\
Files whose size or time differs are transferred, take their names when they are whole, and keep their times: a second run has \
nothing to do, and one after an interruption does what is left.

Patterns: * and ? stand for what is between two /, ** for any number of directories. One without a / is for the last part of a \
path, one with a / for the whole path from the tree's root, one that ends with / for directories alone. What they leave out is \
not removed by --delete.")]
pub(crate) struct MirrorArgs {
    /// The source: a directory of a server, or one of here.
    #[arg(value_name = "FROM")]
    pub(crate) from: String,
    /// The target: the other of the two.
    #[arg(value_name = "TO")]
    pub(crate) to: String,
    /// To the server, in whichever order the two are given.
    #[arg(short = 'R', long)]
    pub(crate) reverse: bool,
    #[command(flatten)]
    pub(crate) tree: TreeArgs,
    /// Send files under their own names from the beginning on.
    #[arg(long)]
    pub(crate) direct: bool,
    /// Transfer so many files at once, over a connection each; auto: as many as the way to the server is long.
    #[arg(long, value_name = "N|auto", value_parser = parse_parallel, default_value = "auto")]
    pub(crate) parallel: Parallel,
    #[command(flatten)]
    pub(crate) transfer: TransferArgs,
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
}

/// What becomes of symbolic links.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LinksAs {
    /// They are left out.
    Skip,
    /// They become links.
    Keep,
    /// They become the files that they lead to.
    Follow,
}

/// Arguments of `mkdir`.
#[derive(Debug, Args)]
pub(crate) struct MkdirArgs {
    /// Directories.
    #[arg(value_name = "URL", required = true)]
    pub(crate) urls: Vec<String>,
    /// Make the directories above it as well; it is no error that one is there.
    #[arg(short, long)]
    pub(crate) parents: bool,
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
}

/// Arguments of `rm`.
#[derive(Debug, Args)]
pub(crate) struct RmArgs {
    /// Files.
    #[arg(value_name = "URL", required = true)]
    pub(crate) urls: Vec<String>,
    /// Directories as well, and all that is in them. Symbolic links are removed, not followed.
    #[arg(short, long)]
    pub(crate) recursive: bool,
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
}

/// Arguments of `mv`.
#[derive(Debug, Args)]
pub(crate) struct MvArgs {
    /// The file or directory.
    #[arg(value_name = "URL")]
    pub(crate) from: String,
    /// Its new name: a path on the same server, relative to the directory that it is in, or a URL there; with `/` at its
    /// end, the directory to move it to.
    #[arg(value_name = "NAME")]
    pub(crate) to: String,
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
}

/// Arguments of `stat`.
#[derive(Debug, Args)]
pub(crate) struct StatArgs {
    /// Files or directories.
    #[arg(value_name = "URL", required = true)]
    pub(crate) urls: Vec<String>,
    /// One JSON object a line.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
}

/// Arguments of `doctor`.
#[derive(Debug, Args)]
#[command(after_help = "\
Each step is bounded by --timeout (10 s where it is not given) and told with the time that it took. Where one fails it is told on \
which side the cause is, what it is, and which setting to change. The exit code is that of the first step that failed.")]
pub(crate) struct DoctorArgs {
    /// The server, and a directory or file on it that is read.
    #[arg(value_name = "URL")]
    pub(crate) url: String,
    /// Upload a file of 1 KiB into the directory as well, and remove it.
    #[arg(long)]
    pub(crate) write: bool,
    /// Tell all of it as one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
    /// Draw the whole attempt into this file: .txt, .svg, .pdf, .html, .mmd, .json, or .jsonl for a recording; `-`: as text. Repeatable.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
}

/// How many entries a directory may have that is held in memory, unless told otherwise.
pub(crate) const MAX_ENTRIES: usize = 250_000;

/// A number that is not 0.
fn parse_entries(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|entries| *entries > 0).ok_or_else(|| "a number from 1 on".to_owned())
}

/// A number, or `auto`.
pub(crate) fn parse_parallel(text: &str) -> Result<Parallel, String> {
    match text {
        "auto" => Ok(Parallel::Auto),
        text => match text.parse() {
            Ok(sessions @ 1..=64) => Ok(Parallel::Sessions(sessions)),
            _ => Err("a number from 1 to 64, or auto".to_owned()),
        },
    }
}

/// `1.2`, `1.3`.
fn parse_tls_version(text: &str) -> Result<TlsVersion, String> {
    match text {
        "1.2" => Ok(TlsVersion::Tls12),
        "1.3" => Ok(TlsVersion::Tls13),
        _ => Err("the versions are 1.2 and 1.3: older ones are broken".to_owned()),
    }
}

/// `1.2.3.4`, `1.2.3.4:53`, `::1`, `[::1]:53`.
fn parse_name_server(text: &str) -> Result<SocketAddr, String> {
    text.parse::<SocketAddr>()
        .or_else(|_| text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 53)))
        .map_err(|_| format!("`{text}` is no address: write 192.0.2.1, 192.0.2.1:5353 or [2001:db8::1]:5353"))
}

/// A moment in UTC: a date, or a date and a time of day.
fn parse_moment(text: &str) -> Result<Timestamp, String> {
    let civil = || text.parse::<jiff::civil::DateTime>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok();
    text.parse::<Timestamp>()
        .ok()
        .or_else(|| civil().map(|zoned| zoned.timestamp()))
        .ok_or_else(|| format!("`{text}` is no date: write 2005-05-02 or 2005-05-02T21:07:00Z"))
}

/// `A-B`, or one port.
pub(crate) fn parse_ports(text: &str) -> Result<RangeInclusive<u16>, String> {
    let wrong = || format!("`{text}` is no range of ports: write A-B, such as 50000-50999");
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let port = |text: &str| text.trim().parse::<u16>().ok().filter(|&port| port > 0).ok_or_else(wrong);
    let (first, last) = (port(first)?, port(last)?);
    if first <= last { Ok(first..=last) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::super::Command;
    use super::super::tests::parse;
    use super::*;

    #[test]
    fn addresses_and_ports() {
        assert_eq!(parse_name_server("127.0.21.53").unwrap(), "127.0.21.53:53".parse().unwrap());
        assert_eq!(parse_name_server("[::1]:10053").unwrap(), "[::1]:10053".parse().unwrap());
        assert!(parse_name_server("resolver").is_err());
        assert_eq!(parse_ports("5001-5002"), Ok(5001..=5002));
        assert_eq!(parse_ports("5001"), Ok(5001..=5001));
        for bad in ["", "0-5", "5-4", "a-b", "1-70000"] {
            assert!(parse_ports(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn flags_of_the_client() {
        let Ok(Command::Get(get)) =
            parse("get -c -o x --retry 3 --timeout 5s -4 --dns 127.0.0.1 --dns-port 1030 ftp://h/a ftp://h/b")
        else {
            panic!()
        };
        assert!(get.resume && get.connect.ipv4 && !get.connect.active);
        assert_eq!((get.urls.len(), get.connect.retry, get.parallel), (2, Some(3), Parallel::Sessions(1)));
        assert_eq!(get.connect.timeout, Some(Duration::from_secs(5)));
        for bad in
            ["get", "get -4 -6 ftp://h/", "get -c -n ftp://h/", "put a", "ls -1 --json ftp://h/", "mirror ftp://h/"]
        {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn flags_of_transfers() {
        let line = "mirror -n --verify --limit-rate 1MiB --parallel 4 --exclude *.o --exclude .git/ ftp://h/ here";
        let Ok(Command::Mirror(mirror)) = parse(line) else { panic!() };
        assert!(
            mirror.tree.dry_run && mirror.tree.exclude == ["*.o", ".git/"] && mirror.parallel == Parallel::Sessions(4)
        );
        assert_eq!(mirror.transfer.limit_rate, Some(Size(1 << 20)));
        assert_eq!(mirror.transfer.verify, Some(VerifyBy::Digest));
        let Ok(Command::Mirror(mirror)) = parse("mirror --verify=size ftp://h/ here") else { panic!() };
        assert_eq!((mirror.transfer.verify, mirror.parallel), (Some(VerifyBy::Size), Parallel::Auto));
        for bad in
            ["get --segments 0 h/x", "get --parallel 0 h/x", "mirror --newer --checksum h/ x", "get --limit-rate x h/x"]
        {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
