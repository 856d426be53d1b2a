//! Commands, both ways: parsed by the server, written by the client (RFC 959 section 5.3).

use std::net::{SocketAddr, SocketAddrV4};

use jiff::Timestamp;

use crate::addr::{self, AddrError};
use crate::line::write_line;
use crate::path::{PathArg, PathError};
use crate::secret::Secret;
use crate::server::{Form, ListOptions};
use crate::stamp;
use crate::verb::{Takes, Verb};

/// A command with its argument, parsed: what is illegal cannot be built.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// `USER NAME`.
    User(Text),
    /// `PASS PASSWORD`, which may be empty.
    Pass(Secret),
    /// `REIN`.
    Rein,
    /// `QUIT`.
    Quit,
    /// `CWD PATH`.
    Cwd(PathArg),
    /// `CDUP`.
    Cdup,
    /// `PWD`.
    Pwd,
    /// `TYPE A`, `TYPE A N`, `TYPE I`, `TYPE L 8`.
    Type(Form),
    /// `STRU F`: the only structure there is.
    Stru,
    /// `MODE S`: the only mode there is.
    Mode,
    /// `PORT h1,h2,h3,h4,p1,p2`.
    Port(SocketAddrV4),
    /// `PASV`.
    Pasv,
    /// `EPRT |protocol|address|port|`.
    Eprt(SocketAddr),
    /// `EPSV`.
    Epsv(Epsv),
    /// `RETR PATH`.
    Retr(PathArg),
    /// `STOR PATH`.
    Stor(PathArg),
    /// `STOU [PREFIX]`.
    Stou(Option<PathArg>),
    /// `APPE PATH`.
    Appe(PathArg),
    /// `REST OFFSET`.
    Rest(u64),
    /// `ALLO BYTES [R RECORD]`; the size of a record means nothing in a file structure.
    Allo(u64),
    /// `ABOR`.
    Abor,
    /// `LIST [-OPTIONS] [PATH]`.
    List(Listing),
    /// `NLST [-OPTIONS] [PATH]`.
    Nlst(Listing),
    /// `MLSD [PATH]`.
    Mlsd(Option<PathArg>),
    /// `MLST [PATH]`.
    Mlst(Option<PathArg>),
    /// `SIZE PATH`.
    Size(PathArg),
    /// `MDTM PATH`.
    Mdtm(PathArg),
    /// `MFMT YYYYMMDDHHMMSS PATH`.
    Mfmt(Timestamp, PathArg),
    /// `RNFR PATH`.
    Rnfr(PathArg),
    /// `RNTO PATH`.
    Rnto(PathArg),
    /// `DELE PATH`.
    Dele(PathArg),
    /// `RMD PATH`.
    Rmd(PathArg),
    /// `MKD PATH`.
    Mkd(PathArg),
    /// `SITE ...`.
    Site(Site),
    /// `SYST`.
    Syst,
    /// `STAT`.
    Stat(Option<Listing>),
    /// `HELP [VERB]`.
    Help(Option<Text>),
    /// `NOOP`.
    Noop,
    /// `FEAT`.
    Feat,
    /// `OPTS NAME [VALUE]`.
    Opts(Opts),
    /// `CLNT NAME`.
    Clnt(Text),
}

/// A word or more in a command: bytes without CR, LF and NUL.
#[derive(Clone, PartialEq, Eq)]
pub struct Text(Box<[u8]>);

impl Text {
    /// Checks the bytes.
    ///
    /// # Errors
    /// [`PathError::Forbidden`] for CR, LF or NUL; [`PathError::TooLong`] beyond [`crate::path::MAX_PATH`] bytes;
    /// [`PathError::Empty`] where there is nothing.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Text, PathError> {
        PathArg::new(bytes).map(|arg| Text(Box::from(arg.as_bytes())))
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        crate::text::Shown(&self.0).fmt(f)
    }
}

/// The argument of EPSV (RFC 2428 section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Epsv {
    /// None: the protocol of the control connection.
    Same,
    /// `1`: IPv4.
    V4,
    /// `2`: IPv6.
    V6,
    /// `ALL`: no PORT, PASV or EPRT will come any more.
    All,
}

/// The argument of LIST, NLST and STAT.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The options of `ls`.
    pub options: ListOptions,
    /// What to list; the working directory where it is nothing.
    pub path: Option<PathArg>,
}

/// The commands behind SITE.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Site {
    /// `SITE CHMOD MODE PATH`: the mode is 0 to 0o777.
    Chmod(u32, PathArg),
    /// `SITE HELP`.
    Help,
}

/// The options of OPTS.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Opts {
    /// `OPTS UTF8 ON|OFF`.
    Utf8(bool),
    /// `OPTS MLST fact;fact;`: the facts as they were written.
    Mlst(Vec<u8>),
}

/// Why a line is no command that can be run. The peer erred.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// Longer than the limit: thrown away unread.
    #[error("The command line is too long; it was not run.")]
    TooLong,
    /// Not in the table.
    #[error("Unknown command.")]
    Unknown,
    /// The argument that must be there is not.
    #[error("{0} needs an argument: {0} {syntax}", syntax = .0.facts().syntax)]
    Missing(Verb),
    /// The argument has not the form that it must have.
    #[error("Bad argument: {0} {syntax}", syntax = .0.facts().syntax)]
    Argument(Verb),
    /// The argument is right, but nothing that is done here.
    #[error("{0} has no such parameter here: {0} {syntax}", syntax = .0.facts().syntax)]
    Parameter(Verb),
    /// The name cannot be a name.
    #[error("Bad name: {1}")]
    Name(Verb, PathError),
    /// EPRT or EPSV with an unknown protocol.
    #[error("Network protocol not supported, use (1,2)")]
    Protocol(Verb),
}

impl Command {
    /// Parses a line without its end. The verb may be in any case; blanks before it are passed over.
    ///
    /// # Errors
    /// [`CommandError`] with a text that can be the reply's.
    pub fn parse(line: &[u8]) -> Result<Command, CommandError> {
        let line = line.trim_ascii_start();
        let end = line.iter().position(|&b| b == b' ').unwrap_or(line.len());
        let (name, rest) = line.split_at_checked(end).unwrap_or((line, b""));
        let verb = Verb::from_name(name).ok_or(CommandError::Unknown)?;
        // Only one space parts verb and argument: a name may begin with more.
        let arg = rest.strip_prefix(b" ").unwrap_or(rest);
        if verb.facts().takes == Takes::Required && arg.trim_ascii().is_empty() {
            return Err(CommandError::Missing(verb));
        }
        parse_argument(verb, arg)
    }

    /// The verb.
    pub fn verb(&self) -> Verb {
        match self {
            Command::User(_) => Verb::User,
            Command::Pass(_) => Verb::Pass,
            Command::Rein => Verb::Rein,
            Command::Quit => Verb::Quit,
            Command::Cwd(_) => Verb::Cwd,
            Command::Cdup => Verb::Cdup,
            Command::Pwd => Verb::Pwd,
            Command::Type(_) => Verb::Type,
            Command::Stru => Verb::Stru,
            Command::Mode => Verb::Mode,
            Command::Port(_) => Verb::Port,
            Command::Pasv => Verb::Pasv,
            Command::Eprt(_) => Verb::Eprt,
            Command::Epsv(_) => Verb::Epsv,
            Command::Retr(_) => Verb::Retr,
            Command::Stor(_) => Verb::Stor,
            Command::Stou(_) => Verb::Stou,
            Command::Appe(_) => Verb::Appe,
            Command::Rest(_) => Verb::Rest,
            Command::Allo(_) => Verb::Allo,
            Command::Abor => Verb::Abor,
            Command::List(_) => Verb::List,
            Command::Nlst(_) => Verb::Nlst,
            Command::Mlsd(_) => Verb::Mlsd,
            Command::Mlst(_) => Verb::Mlst,
            Command::Size(_) => Verb::Size,
            Command::Mdtm(_) => Verb::Mdtm,
            Command::Mfmt(..) => Verb::Mfmt,
            Command::Rnfr(_) => Verb::Rnfr,
            Command::Rnto(_) => Verb::Rnto,
            Command::Dele(_) => Verb::Dele,
            Command::Rmd(_) => Verb::Rmd,
            Command::Mkd(_) => Verb::Mkd,
            Command::Site(_) => Verb::Site,
            Command::Syst => Verb::Syst,
            Command::Stat(_) => Verb::Stat,
            Command::Help(_) => Verb::Help,
            Command::Noop => Verb::Noop,
            Command::Feat => Verb::Feat,
            Command::Opts(_) => Verb::Opts,
            Command::Clnt(_) => Verb::Clnt,
        }
    }

    /// Appends the command as it goes on the wire, with its end.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut line = self.verb().name().as_bytes().to_vec();
        let argument = self.argument();
        if !argument.is_empty() {
            line.push(b' ');
            line.extend_from_slice(&argument);
        }
        write_line(out, &line);
        // The line may hold a password.
        line.fill(0);
    }

    fn argument(&self) -> Vec<u8> {
        let path = |p: &PathArg| p.as_bytes().to_vec();
        let maybe = |p: &Option<PathArg>| p.as_ref().map(path).unwrap_or_default();
        match self {
            Command::User(t) | Command::Clnt(t) => t.as_bytes().to_vec(),
            Command::Pass(secret) => secret.expose().to_vec(),
            Command::Help(t) => t.as_ref().map(|t| t.as_bytes().to_vec()).unwrap_or_default(),
            Command::Type(Form::Ascii) => b"A".to_vec(),
            Command::Type(Form::Image) => b"I".to_vec(),
            Command::Stru => b"F".to_vec(),
            Command::Mode => b"S".to_vec(),
            Command::Port(addr) => addr::write_port(*addr).into_bytes(),
            Command::Eprt(addr) => addr::write_eprt(*addr).into_bytes(),
            Command::Epsv(Epsv::Same) => Vec::new(),
            Command::Epsv(Epsv::V4) => b"1".to_vec(),
            Command::Epsv(Epsv::V6) => b"2".to_vec(),
            Command::Epsv(Epsv::All) => b"ALL".to_vec(),
            Command::Rest(n) | Command::Allo(n) => n.to_string().into_bytes(),
            Command::Mfmt(at, p) => [stamp::write(*at).as_bytes(), b" ", p.as_bytes()].concat(),
            Command::Cwd(p)
            | Command::Retr(p)
            | Command::Stor(p)
            | Command::Appe(p)
            | Command::Size(p)
            | Command::Mdtm(p)
            | Command::Rnfr(p)
            | Command::Rnto(p)
            | Command::Dele(p)
            | Command::Rmd(p)
            | Command::Mkd(p) => path(p),
            Command::Stou(p) | Command::Mlsd(p) | Command::Mlst(p) => maybe(p),
            Command::List(l) | Command::Nlst(l) => l.argument(),
            Command::Stat(l) => l.as_ref().map(Listing::argument).unwrap_or_default(),
            Command::Site(Site::Chmod(mode, p)) => [format!("CHMOD {mode:o} ").as_bytes(), p.as_bytes()].concat(),
            Command::Site(Site::Help) => b"HELP".to_vec(),
            Command::Opts(Opts::Utf8(on)) => {
                if *on {
                    b"UTF8 ON".to_vec()
                } else {
                    b"UTF8 OFF".to_vec()
                }
            }
            Command::Opts(Opts::Mlst(facts)) => [b"MLST ", facts.as_slice()].concat(),
            Command::Rein
            | Command::Quit
            | Command::Cdup
            | Command::Pwd
            | Command::Pasv
            | Command::Abor
            | Command::Syst
            | Command::Noop
            | Command::Feat => Vec::new(),
        }
    }
}

impl Listing {
    /// A listing of `path`, without options.
    pub fn of(path: Option<PathArg>) -> Listing {
        Listing { options: ListOptions::default(), path }
    }

    /// Options are words that begin with `-`, before the path; `--` ends them, for a path that begins with `-`.
    fn parse(verb: Verb, arg: &[u8]) -> Result<Listing, CommandError> {
        let mut options = ListOptions::default();
        let mut rest = arg;
        loop {
            let start = rest.trim_ascii_start();
            let Some(word) = start.strip_prefix(b"-") else { break };
            let end = word.iter().position(|&b| b == b' ').unwrap_or(word.len());
            let (word, tail) = word.split_at_checked(end).unwrap_or((word, b""));
            rest = tail.strip_prefix(b" ").unwrap_or(tail);
            if word == b"-" {
                break;
            }
            options.read(word);
        }
        let path = if rest.trim_ascii().is_empty() { None } else { Some(name(verb, rest)?) };
        Ok(Listing { options, path })
    }

    fn argument(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let letters = self.options.letters();
        if !letters.is_empty() {
            out.push(b'-');
            out.extend_from_slice(letters.as_bytes());
        }
        if let Some(path) = &self.path {
            if !out.is_empty() {
                out.push(b' ');
            }
            if path.as_bytes().trim_ascii_start().first() == Some(&b'-') {
                out.extend_from_slice(b"-- ");
            }
            out.extend_from_slice(path.as_bytes());
        }
        out
    }
}

impl ListOptions {
    fn read(&mut self, letters: &[u8]) {
        for letter in letters {
            match letter {
                b'a' => self.all = true,
                b'A' => self.almost_all = true,
                b'l' => self.long = true,
                b'R' => self.recursive = true,
                b't' => self.by_time = true,
                b'S' => self.by_size = true,
                b'r' => self.reverse = true,
                b'1' => self.one = true,
                b'd' => self.directory = true,
                b'F' => self.classify = true,
                _ => {}
            }
        }
    }

    fn letters(self) -> String {
        let all = [
            (self.all, 'a'),
            (self.almost_all, 'A'),
            (self.long, 'l'),
            (self.recursive, 'R'),
            (self.by_time, 't'),
            (self.by_size, 'S'),
            (self.reverse, 'r'),
            (self.one, '1'),
            (self.directory, 'd'),
            (self.classify, 'F'),
        ];
        all.iter().filter(|(on, _)| *on).map(|(_, letter)| *letter).collect()
    }
}

fn parse_argument(verb: Verb, arg: &[u8]) -> Result<Command, CommandError> {
    let word = arg.trim_ascii();
    let bad = || CommandError::Argument(verb);
    let path = || name(verb, arg);
    let maybe_path = || if word.is_empty() { Ok(None) } else { name(verb, arg).map(Some) };
    let text = || Text::new(word).map_err(|e| CommandError::Name(verb, e));
    Ok(match verb {
        Verb::User => Command::User(text()?),
        Verb::Pass => Command::Pass(Secret::new(arg)),
        Verb::Rein => Command::Rein,
        Verb::Quit => Command::Quit,
        Verb::Cwd => Command::Cwd(path()?),
        Verb::Cdup => Command::Cdup,
        Verb::Pwd => Command::Pwd,
        Verb::Type => Command::Type(parse_type(word)?),
        Verb::Stru => match word.to_ascii_uppercase().as_slice() {
            b"F" => Command::Stru,
            b"R" | b"P" => return Err(CommandError::Parameter(verb)),
            _ => return Err(bad()),
        },
        Verb::Mode => match word.to_ascii_uppercase().as_slice() {
            b"S" => Command::Mode,
            b"B" | b"C" | b"Z" => return Err(CommandError::Parameter(verb)),
            _ => return Err(bad()),
        },
        Verb::Port => Command::Port(addr::parse_port(word).map_err(|e| address(verb, e))?),
        Verb::Pasv => Command::Pasv,
        Verb::Eprt => Command::Eprt(addr::parse_eprt(word).map_err(|e| address(verb, e))?),
        Verb::Epsv => Command::Epsv(match word.to_ascii_uppercase().as_slice() {
            b"" => Epsv::Same,
            b"1" => Epsv::V4,
            b"2" => Epsv::V6,
            b"ALL" => Epsv::All,
            other if other.iter().all(u8::is_ascii_digit) => return Err(CommandError::Protocol(verb)),
            _ => return Err(bad()),
        }),
        Verb::Retr => Command::Retr(path()?),
        Verb::Stor => Command::Stor(path()?),
        Verb::Stou => Command::Stou(maybe_path()?),
        Verb::Appe => Command::Appe(path()?),
        Verb::Rest => Command::Rest(number(word).ok_or_else(bad)?),
        Verb::Allo => {
            let mut words = word.split(|&b| b == b' ').filter(|w| !w.is_empty());
            let bytes = words.next().and_then(number).ok_or_else(bad)?;
            match (words.next(), words.next().map(number), words.next()) {
                (None, None, None) => Command::Allo(bytes),
                (Some(r), Some(Some(_)), None) if r.eq_ignore_ascii_case(b"R") => Command::Allo(bytes),
                _ => return Err(bad()),
            }
        }
        Verb::Abor => Command::Abor,
        Verb::List => Command::List(Listing::parse(verb, arg)?),
        Verb::Nlst => Command::Nlst(Listing::parse(verb, arg)?),
        Verb::Mlsd => Command::Mlsd(maybe_path()?),
        Verb::Mlst => Command::Mlst(maybe_path()?),
        Verb::Size => Command::Size(path()?),
        Verb::Mdtm => Command::Mdtm(path()?),
        Verb::Mfmt => {
            let (time, file) = first_word(arg).ok_or_else(bad)?;
            Command::Mfmt(stamp::parse(time).ok_or_else(bad)?, name(verb, file)?)
        }
        Verb::Rnfr => Command::Rnfr(path()?),
        Verb::Rnto => Command::Rnto(path()?),
        Verb::Dele => Command::Dele(path()?),
        Verb::Rmd => Command::Rmd(path()?),
        Verb::Mkd => Command::Mkd(path()?),
        Verb::Site => Command::Site(parse_site(arg)?),
        Verb::Syst => Command::Syst,
        Verb::Stat if word.is_empty() => Command::Stat(None),
        Verb::Stat => Command::Stat(Some(Listing::parse(verb, arg)?)),
        Verb::Help if word.is_empty() => Command::Help(None),
        Verb::Help => Command::Help(Some(text()?)),
        Verb::Noop => Command::Noop,
        Verb::Feat => Command::Feat,
        Verb::Opts => Command::Opts(parse_opts(arg)?),
        Verb::Clnt => Command::Clnt(text()?),
    })
}

/// RFC 959 section 3.1.1; `A T` and `A C` (vertical format), `E` (EBCDIC) and byte sizes other than 8 are known, but
/// are not done by any server in use.
fn parse_type(word: &[u8]) -> Result<Form, CommandError> {
    let word = word.to_ascii_uppercase();
    let mut words = word.split(|&b| b == b' ').filter(|w| !w.is_empty());
    match (words.next(), words.next(), words.next()) {
        (Some(b"A"), None | Some(b"N"), None) => Ok(Form::Ascii),
        (Some(b"I"), None, None) | (Some(b"L"), Some(b"8"), None) | (Some(b"L8"), None, None) => Ok(Form::Image),
        (Some(b"A" | b"E"), None | Some(b"T" | b"C" | b"N"), None) => Err(CommandError::Parameter(Verb::Type)),
        (Some(b"L"), Some(size), None) if number(size).is_some() => Err(CommandError::Parameter(Verb::Type)),
        _ => Err(CommandError::Argument(Verb::Type)),
    }
}

fn parse_site(arg: &[u8]) -> Result<Site, CommandError> {
    let (sub, rest) = first_word(arg).unwrap_or((arg.trim_ascii(), b""));
    match sub.to_ascii_uppercase().as_slice() {
        b"HELP" => Ok(Site::Help),
        b"CHMOD" => {
            let bad = || CommandError::Argument(Verb::Site);
            let (mode, file) = first_word(rest).ok_or_else(bad)?;
            let mode = std::str::from_utf8(mode).ok().filter(|m| m.len() <= 4 && m.bytes().all(|b| b.is_ascii_digit()));
            let mode = mode.and_then(|m| u32::from_str_radix(m, 8).ok()).filter(|m| *m <= 0o777).ok_or_else(bad)?;
            Ok(Site::Chmod(mode, name(Verb::Site, file)?))
        }
        _ => Err(CommandError::Parameter(Verb::Site)),
    }
}

fn parse_opts(arg: &[u8]) -> Result<Opts, CommandError> {
    let word = arg.trim_ascii();
    let (option, value) = first_word(word).unwrap_or((word, b""));
    match (option.to_ascii_uppercase().as_slice(), value.to_ascii_uppercase().as_slice()) {
        // draft-ietf-ftpext-utf-8-option-00, and the forms that clients in use send.
        (b"UTF8" | b"UTF-8", b"" | b"ON" | b"NLST") => Ok(Opts::Utf8(true)),
        (b"UTF8" | b"UTF-8", b"OFF") => Ok(Opts::Utf8(false)),
        (b"MLST", _) => Ok(Opts::Mlst(value.to_vec())),
        (b"UTF8" | b"UTF-8", _) => Err(CommandError::Argument(Verb::Opts)),
        _ => Err(CommandError::Parameter(Verb::Opts)),
    }
}

/// The first word and all that stands behind the one space after it.
fn first_word(arg: &[u8]) -> Option<(&[u8], &[u8])> {
    let arg = arg.trim_ascii_start();
    let end = arg.iter().position(|&b| b == b' ')?;
    let (word, rest) = arg.split_at_checked(end)?;
    Some((word, rest.get(1..)?))
}

fn name(verb: Verb, bytes: &[u8]) -> Result<PathArg, CommandError> {
    PathArg::new(bytes).map_err(|e| CommandError::Name(verb, e))
}

fn address(verb: Verb, e: AddrError) -> CommandError {
    match e {
        AddrError::Protocol => CommandError::Protocol(verb),
        AddrError::Form(_) | AddrError::Range => CommandError::Argument(verb),
    }
}

/// A decimal that fits in 63 bits: file offsets are signed below us.
fn number(word: &[u8]) -> Option<u64> {
    if word.is_empty() || !word.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(word).ok()?.parse().ok().filter(|n| i64::try_from(*n).is_ok())
}
