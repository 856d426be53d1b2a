//! Commands, both ways: parsed by the server (`parse`, and `words` for what has a grammar of its own), written by the
//! client (RFC 959 section 5.3).

mod parse;
mod words;

use std::net::{SocketAddr, SocketAddrV4};

use jiff::Timestamp;

use crate::addr;
use crate::line::write_line;
use crate::path::{PathArg, PathError};
use crate::secret::Secret;
use crate::server::{Algorithm, Changes, Form, ListOptions, Mode};
use crate::stamp;
use crate::verb::Verb;

/// A command with its argument, parsed: what is illegal cannot be built.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// `USER NAME`.
    User(Text),
    /// `PASS PASSWORD`, which may be empty.
    Pass(Secret),
    /// `ACCT ACCOUNT`, which may be a second password.
    Acct(Secret),
    /// `HOST NAME`.
    Host(Text),
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
    /// `MODE S`, `MODE Z`.
    Mode(Mode),
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
    /// `RANG FIRST LAST`, both counted; nothing for `RANG 1 0`, which takes it back.
    Rang(Option<(u64, u64)>),
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
    /// `MDTM YYYYMMDDHHMMSS PATH`, as clients set a time before there was MFMT; or a name that looks like it.
    SetMdtm(Timed),
    /// `MFMT YYYYMMDDHHMMSS PATH`.
    Mfmt(Timestamp, PathArg),
    /// `MFCT YYYYMMDDHHMMSS PATH`.
    Mfct(Timestamp, PathArg),
    /// `MFF FACT=VALUE;... PATH`.
    Mff(Changes, PathArg),
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
    /// `RMDA PATH`.
    Rmda(PathArg),
    /// `COMB "TARGET" "PART" ...`; one part at least.
    Comb(PathArg, Vec<PathArg>),
    /// `DSIZ [PATH]`.
    Dsiz(Option<PathArg>),
    /// `AVBL [PATH]`.
    Avbl(Option<PathArg>),
    /// `HASH PATH`.
    Hash(PathArg),
    /// `XCRC`, `XMD5`, `XSHA` and their like, `MD5`.
    Digest(Digest),
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
    /// `AUTH TLS` and its like.
    Auth(Mechanism),
    /// `PBSZ SIZE`: TLS has blocks of its own, and the answer is always 0.
    Pbsz(u32),
    /// `PROT C`, `PROT P`.
    Prot(Protection),
    /// `CCC`.
    Ccc,
    /// `LANG [TAG]`.
    Lang(Option<Text>),
    /// `CSID [NAME=VALUE;...]`.
    Csid(Option<Text>),
    /// `CLNT NAME`.
    Clnt(Text),
}

/// The mechanisms of AUTH, which are all TLS and differ in what holds for data connections until PROT says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// `TLS`, and `TLS-C`, its older name: data stays clear until PROT (RFC 4217 section 17).
    Tls,
    /// `SSL`, and `TLS-P`, its older name: data is private at once, as clients that send it take for granted.
    Ssl,
}

/// How a data connection is protected (RFC 2228 section 3, PROT).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Protection {
    /// `C`: not at all.
    #[default]
    Clear,
    /// `P`: TLS.
    Private,
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

/// An MDTM that sets a time, unless there is a file of the whole name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timed {
    /// The time.
    pub at: Timestamp,
    /// The file whose time it is to be.
    pub path: PathArg,
    /// The whole argument.
    pub whole: PathArg,
}

/// A command that asks for a digest, with its own algorithm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digest {
    /// The verb, which [`Digest::algorithm`] is of.
    pub verb: Verb,
    /// Which file.
    pub path: PathArg,
    /// The first byte that counts.
    pub from: u64,
    /// The first that does not count any more; nothing: all to the end.
    pub to: Option<u64>,
}

impl Digest {
    /// The algorithm that the verb names.
    pub fn algorithm(&self) -> Algorithm {
        match self.verb {
            Verb::Xcrc => Algorithm::Crc32,
            Verb::Xmd5 | Verb::Md5 => Algorithm::Md5,
            Verb::Xsha256 => Algorithm::Sha256,
            Verb::Xsha512 => Algorithm::Sha512,
            _ => Algorithm::Sha1,
        }
    }
}

/// The commands behind SITE.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Site {
    /// `SITE CHMOD MODE PATH`: the mode is 0 to 0o777.
    Chmod(u32, PathArg),
    /// `SITE UTIME YYYYMMDDhhmm[ss] PATH`, or `SITE UTIME PATH` with the times of access, change and making, and `UTC`:
    /// only that of change is set.
    Utime(Timestamp, PathArg),
    /// `SITE SYMLINK TARGET LINK`.
    Symlink {
        /// What the link leads to.
        target: PathArg,
        /// Its name.
        link: PathArg,
    },
    /// `SITE WHO`.
    Who,
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
    /// `OPTS HASH [NAME]`: asks for the algorithm of HASH, or sets it.
    Hash(Option<Algorithm>),
    /// `OPTS MODE Z [ENGINE ZLIB] [LEVEL 1..9]`.
    ModeZ(Option<u8>),
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
    /// PROT with a level that TLS does not have.
    #[error("TLS has no such protection: {0} {syntax}", syntax = .0.facts().syntax)]
    Level(Verb),
    /// EPRT or EPSV with an unknown protocol.
    #[error("Network protocol not supported, use (1,2)")]
    Protocol(Verb),
}

impl CommandError {
    /// The verb of the line, where it has one that is in the table.
    pub fn verb(&self) -> Option<Verb> {
        match self {
            CommandError::TooLong | CommandError::Unknown => None,
            CommandError::Missing(verb)
            | CommandError::Argument(verb)
            | CommandError::Parameter(verb)
            | CommandError::Name(verb, _)
            | CommandError::Level(verb)
            | CommandError::Protocol(verb) => Some(*verb),
        }
    }
}

impl Command {
    /// The verb.
    pub fn verb(&self) -> Verb {
        match self {
            Command::User(_) => Verb::User,
            Command::Pass(_) => Verb::Pass,
            Command::Acct(_) => Verb::Acct,
            Command::Host(_) => Verb::Host,
            Command::Rein => Verb::Rein,
            Command::Quit => Verb::Quit,
            Command::Cwd(_) => Verb::Cwd,
            Command::Cdup => Verb::Cdup,
            Command::Pwd => Verb::Pwd,
            Command::Type(_) => Verb::Type,
            Command::Stru => Verb::Stru,
            Command::Mode(_) => Verb::Mode,
            Command::Port(_) => Verb::Port,
            Command::Pasv => Verb::Pasv,
            Command::Eprt(_) => Verb::Eprt,
            Command::Epsv(_) => Verb::Epsv,
            Command::Retr(_) => Verb::Retr,
            Command::Stor(_) => Verb::Stor,
            Command::Stou(_) => Verb::Stou,
            Command::Appe(_) => Verb::Appe,
            Command::Rest(_) => Verb::Rest,
            Command::Rang(_) => Verb::Rang,
            Command::Allo(_) => Verb::Allo,
            Command::Abor => Verb::Abor,
            Command::List(_) => Verb::List,
            Command::Nlst(_) => Verb::Nlst,
            Command::Mlsd(_) => Verb::Mlsd,
            Command::Mlst(_) => Verb::Mlst,
            Command::Size(_) => Verb::Size,
            Command::Mdtm(_) | Command::SetMdtm(_) => Verb::Mdtm,
            Command::Mfmt(..) => Verb::Mfmt,
            Command::Mfct(..) => Verb::Mfct,
            Command::Mff(..) => Verb::Mff,
            Command::Rnfr(_) => Verb::Rnfr,
            Command::Rnto(_) => Verb::Rnto,
            Command::Dele(_) => Verb::Dele,
            Command::Rmd(_) => Verb::Rmd,
            Command::Mkd(_) => Verb::Mkd,
            Command::Rmda(_) => Verb::Rmda,
            Command::Comb(..) => Verb::Comb,
            Command::Dsiz(_) => Verb::Dsiz,
            Command::Avbl(_) => Verb::Avbl,
            Command::Hash(_) => Verb::Hash,
            Command::Digest(digest) => digest.verb,
            Command::Site(_) => Verb::Site,
            Command::Syst => Verb::Syst,
            Command::Stat(_) => Verb::Stat,
            Command::Help(_) => Verb::Help,
            Command::Noop => Verb::Noop,
            Command::Feat => Verb::Feat,
            Command::Opts(_) => Verb::Opts,
            Command::Auth(_) => Verb::Auth,
            Command::Pbsz(_) => Verb::Pbsz,
            Command::Prot(_) => Verb::Prot,
            Command::Ccc => Verb::Ccc,
            Command::Lang(_) => Verb::Lang,
            Command::Csid(_) => Verb::Csid,
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
            Command::User(t) | Command::Clnt(t) | Command::Host(t) => t.as_bytes().to_vec(),
            Command::Pass(secret) | Command::Acct(secret) => secret.expose().to_vec(),
            Command::Help(t) | Command::Lang(t) | Command::Csid(t) => {
                t.as_ref().map(|t| t.as_bytes().to_vec()).unwrap_or_default()
            }
            Command::Type(Form::Ascii) => b"A".to_vec(),
            Command::Type(Form::Image) => b"I".to_vec(),
            Command::Stru => b"F".to_vec(),
            Command::Mode(Mode::Stream) => b"S".to_vec(),
            Command::Mode(Mode::Deflate) => b"Z".to_vec(),
            Command::Port(addr) => addr::write_port(*addr).into_bytes(),
            Command::Eprt(addr) => addr::write_eprt(*addr).into_bytes(),
            Command::Epsv(Epsv::Same) => Vec::new(),
            Command::Epsv(Epsv::V4) => b"1".to_vec(),
            Command::Epsv(Epsv::V6) => b"2".to_vec(),
            Command::Epsv(Epsv::All) => b"ALL".to_vec(),
            Command::Auth(Mechanism::Tls) => b"TLS".to_vec(),
            Command::Auth(Mechanism::Ssl) => b"SSL".to_vec(),
            Command::Pbsz(n) => n.to_string().into_bytes(),
            Command::Prot(Protection::Clear) => b"C".to_vec(),
            Command::Prot(Protection::Private) => b"P".to_vec(),
            Command::Rest(n) | Command::Allo(n) => n.to_string().into_bytes(),
            Command::Rang(None) => b"1 0".to_vec(),
            Command::Rang(Some((first, last))) => format!("{first} {last}").into_bytes(),
            Command::SetMdtm(timed) => path(&timed.whole),
            Command::Mff(changes, p) => [changes.to_string().as_bytes(), b" ", p.as_bytes()].concat(),
            Command::Comb(target, parts) => {
                let all: Vec<Vec<u8>> = std::iter::once(target).chain(parts).map(|p| quoted(p.as_bytes())).collect();
                all.join(&b' ')
            }
            Command::Digest(digest) => digest.argument(),
            Command::Mfmt(at, p) | Command::Mfct(at, p) => [stamp::write(*at).as_bytes(), b" ", p.as_bytes()].concat(),
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
            | Command::Rmda(p)
            | Command::Hash(p)
            | Command::Mkd(p) => path(p),
            Command::Stou(p) | Command::Mlsd(p) | Command::Mlst(p) | Command::Dsiz(p) | Command::Avbl(p) => maybe(p),
            Command::List(l) | Command::Nlst(l) => l.argument(),
            Command::Stat(l) => l.as_ref().map(Listing::argument).unwrap_or_default(),
            Command::Site(Site::Chmod(mode, p)) => [format!("CHMOD {mode:o} ").as_bytes(), p.as_bytes()].concat(),
            Command::Site(Site::Utime(at, p)) => [b"UTIME ", stamp::write(*at).as_bytes(), b" ", p.as_bytes()].concat(),
            Command::Site(Site::Symlink { target, link }) => {
                [b"SYMLINK ", quoted(target.as_bytes()).as_slice(), b" ", &quoted(link.as_bytes())].concat()
            }
            Command::Site(Site::Who) => b"WHO".to_vec(),
            Command::Site(Site::Help) => b"HELP".to_vec(),
            Command::Opts(Opts::Utf8(true)) => b"UTF8 ON".to_vec(),
            Command::Opts(Opts::Utf8(false)) => b"UTF8 OFF".to_vec(),
            Command::Opts(Opts::Mlst(facts)) => [b"MLST ", facts.as_slice()].concat(),
            Command::Opts(Opts::Hash(None)) => b"HASH".to_vec(),
            Command::Opts(Opts::Hash(Some(algorithm))) => format!("HASH {algorithm}").into_bytes(),
            Command::Opts(Opts::ModeZ(None)) => b"MODE Z".to_vec(),
            Command::Opts(Opts::ModeZ(Some(level))) => format!("MODE Z LEVEL {level}").into_bytes(),
            Command::Rein
            | Command::Quit
            | Command::Cdup
            | Command::Pwd
            | Command::Pasv
            | Command::Abor
            | Command::Syst
            | Command::Noop
            | Command::Ccc
            | Command::Feat => Vec::new(),
        }
    }
}

impl Digest {
    fn argument(&self) -> Vec<u8> {
        if self.verb == Verb::Md5 {
            return self.path.as_bytes().to_vec();
        }
        let mut out = quoted(self.path.as_bytes());
        if self.from > 0 || self.to.is_some() {
            out.extend_from_slice(format!(" {}", self.from).as_bytes());
        }
        if let Some(to) = self.to {
            out.extend_from_slice(format!(" {to}").as_bytes());
        }
        out
    }
}

/// A name in quotes, those within it doubled: where more follows behind it.
fn quoted(name: &[u8]) -> Vec<u8> {
    let mut out = vec![b'"'];
    for &b in name {
        if b == b'"' {
            out.push(b'"');
        }
        out.push(b);
    }
    out.push(b'"');
    out
}

impl Listing {
    /// A listing of `path`, without options.
    pub fn of(path: Option<PathArg>) -> Listing {
        Listing { options: ListOptions::default(), path }
    }

    fn argument(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let letters = self.options.letters();
        if !letters.is_empty() {
            out.push(b'-');
            out.extend_from_slice(&letters);
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name() -> impl Strategy<Value = PathArg> {
        proptest::collection::vec(any::<u8>(), 1..20).prop_filter_map("not a name", |bytes| {
            // Names of blanks alone, or that end a line, cannot be sent.
            (!bytes.trim_ascii().is_empty()).then(|| PathArg::new(bytes).ok()).flatten()
        })
    }

    fn word() -> impl Strategy<Value = Text> {
        "[!-~]{1,20}".prop_map(|s| Text::new(s).unwrap())
    }

    fn listing() -> impl Strategy<Value = Listing> {
        (proptest::option::of(name()), proptest::collection::vec(0usize..10, 0..4)).prop_map(|(path, letters)| {
            let mut options = ListOptions::default();
            options.read(&letters.iter().map(|&i| b"aAlRtSr1dF"[i]).collect::<Vec<u8>>());
            // Blanks before a path are lost behind options; nobody has such names there.
            let path = path.filter(|p| !p.as_bytes()[0].is_ascii_whitespace());
            Listing { options, path }
        })
    }

    fn digest() -> impl Strategy<Value = Command> {
        let verbs = vec![Verb::Xcrc, Verb::Xmd5, Verb::Xsha, Verb::Xsha1, Verb::Xsha256, Verb::Xsha512];
        (proptest::sample::select(verbs), name(), 0u64..9, proptest::option::of(9u64..99))
            .prop_map(|(verb, path, from, to)| Command::Digest(Digest { verb, path, from, to }))
    }

    fn command() -> impl Strategy<Value = Command> {
        let addr = (any::<[u8; 4]>(), 1u16..).prop_map(|(ip, port)| SocketAddrV4::new(ip.into(), port));
        let addr6 = (any::<[u16; 8]>(), 1u16..)
            .prop_map(|(ip, port)| SocketAddr::new(std::net::IpAddr::from(ip).to_canonical(), port));
        let time = (0i64..4_000_000_000).prop_map(|s| Timestamp::from_second(s).unwrap());
        prop_oneof![
            word().prop_map(Command::User),
            proptest::collection::vec(1u8..10, 0..9)
                .prop_map(|s| Command::Pass(Secret::new(s.iter().map(|b| b + b'a').collect::<Vec<u8>>()))),
            prop_oneof![Just(Form::Ascii), Just(Form::Image)].prop_map(Command::Type),
            addr.prop_map(Command::Port),
            addr6.prop_map(Command::Eprt),
            prop_oneof![Just(Epsv::Same), Just(Epsv::V4), Just(Epsv::V6), Just(Epsv::All)].prop_map(Command::Epsv),
            (0..=i64::MAX as u64).prop_map(Command::Rest),
            (0..=i64::MAX as u64).prop_map(Command::Allo),
            name().prop_map(Command::Retr),
            name().prop_map(Command::Stor),
            proptest::option::of(name()).prop_map(Command::Stou),
            proptest::option::of(name()).prop_map(Command::Mlst),
            name().prop_map(Command::Rnto),
            listing().prop_map(Command::List),
            listing().prop_map(Command::Nlst),
            (time.clone(), name()).prop_map(|(t, n)| Command::Mfmt(t, n)),
            (0u32..=0o777, name()).prop_map(|(m, n)| Command::Site(Site::Chmod(m, n))),
            any::<bool>().prop_map(|on| Command::Opts(Opts::Utf8(on))),
            Just(Command::Opts(Opts::Mlst(b"SIZE;TYPE;".to_vec()))),
            prop_oneof![Just(Mechanism::Tls), Just(Mechanism::Ssl)].prop_map(Command::Auth),
            any::<u32>().prop_map(Command::Pbsz),
            prop_oneof![Just(Protection::Clear), Just(Protection::Private)].prop_map(Command::Prot),
            proptest::option::of(word()).prop_map(Command::Help),
            prop_oneof![
                Just(Command::Pwd),
                Just(Command::Abor),
                Just(Command::Stru),
                Just(Command::Ccc),
                Just(Command::Quit)
            ],
            prop_oneof![Just(Mode::Stream), Just(Mode::Deflate)].prop_map(Command::Mode),
            prop_oneof![Just(Command::Rang(None)), (0u64..9, 9u64..99).prop_map(|r| Command::Rang(Some(r)))],
            (time.clone(), name()).prop_map(|(t, n)| Command::Mfct(t, n)),
            (proptest::option::of(time.clone()), proptest::option::of(0u32..=0o777), name())
                .prop_filter("one fact", |(modified, mode, _)| modified.is_some() || mode.is_some())
                .prop_map(|(modified, mode, n)| Command::Mff(Changes { modified, mode }, n)),
            (name(), proptest::collection::vec(name(), 1..4)).prop_map(|(t, p)| Command::Comb(t, p)),
            digest(),
            "[a-z0-9-]{1,9}(\\.[a-z0-9-]{1,9}){0,3}".prop_map(|name| Command::Host(Text::new(name).unwrap())),
            proptest::option::of(word()).prop_map(Command::Lang),
            proptest::option::of(name()).prop_map(Command::Dsiz),
            (name(), name()).prop_map(|(target, link)| Command::Site(Site::Symlink { target, link })),
            (time, name()).prop_map(|(t, n)| Command::Site(Site::Utime(t, n))),
            proptest::option::of(1u8..=9).prop_map(|level| Command::Opts(Opts::ModeZ(level))),
            proptest::option::of(proptest::sample::select(&Algorithm::ALL[..]))
                .prop_map(|algorithm| Command::Opts(Opts::Hash(algorithm))),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(command in command()) {
            let mut wire = Vec::new();
            command.encode(&mut wire);
            let mut decoder = crate::line::LineDecoder::new(crate::line::MAX_COMMAND_LINE);
            let (read, line) = decoder.feed(&wire);
            prop_assert_eq!(read, wire.len());
            let Some(crate::line::Line::Whole(line)) = line else { panic!("no line in {wire:?}") };
            prop_assert_eq!(Command::parse(line), Ok(command));
        }

        #[test]
        fn no_line_panics(line: Vec<u8>) {
            let _ = Command::parse(&line);
        }

        #[test]
        fn no_argument_panics(verb in 0..crate::verb::VERBS.len(), argument: Vec<u8>) {
            let line = [crate::verb::VERBS[verb].name.as_bytes(), b" ", argument.as_slice()].concat();
            let _ = Command::parse(&line);
        }
    }
}
