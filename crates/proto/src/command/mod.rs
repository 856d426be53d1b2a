//! Commands, both ways: parsed by the server (`parse`, and `words` for what has a grammar of its own), written by the
//! client (RFC 959 section 5.3). `site` is the table of the commands behind SITE.

mod argument;
mod parse;
mod site;
mod words;
mod write;

use std::net::{SocketAddr, SocketAddrV4};

use jiff::Timestamp;

pub use argument::{Digest, Epsv, Listing, Mechanism, Opts, Site, Text, Timed};
pub use site::{SiteFacts, SiteVerb};

use crate::listing::Changes;
use crate::parameters::{Mode, Protection, Representation};
use crate::path::{PathArg, PathError};
use crate::secret::Secret;
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
    Type(Representation),
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
    /// The same of a command behind SITE.
    #[error("Bad argument: SITE {usage}", usage = .0.facts().usage())]
    SiteArgument(SiteVerb),
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
            CommandError::SiteArgument(_) => Some(Verb::Site),
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
}
