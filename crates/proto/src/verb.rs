//! The one table of FTP verbs. Parsing, gating, HELP, FEAT and the labels of diagrams come from it.

use std::fmt;

use crate::parameters::Direction;

/// What may be asked of an account. A verb names the one it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum Permission {
    /// See the names in directories, and facts of files.
    List = 1,
    /// Read files.
    Read = 1 << 1,
    /// Make new files.
    Write = 1 << 2,
    /// Replace or add to files that exist.
    Overwrite = 1 << 3,
    /// Remove files and directories.
    Delete = 1 << 4,
    /// Rename files and directories.
    Rename = 1 << 5,
    /// Make directories.
    MakeDirectory = 1 << 6,
    /// Change permissions and times.
    Attributes = 1 << 7,
    /// Make symbolic links (SITE SYMLINK). Through this server they lead nowhere but into the account's own files; other
    /// programs that serve the same directory may follow them elsewhere.
    Link = 1 << 8,
    /// See who else is logged in (SITE WHO), not only the sessions of the own account.
    Who = 1 << 9,
}

/// A set of [`Permission`]s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Permissions(u16);

impl Permissions {
    /// None at all.
    pub const NONE: Permissions = Permissions(0);
    /// [`Permission::List`] and [`Permission::Read`].
    pub const READ_ONLY: Permissions = Permissions(Permission::List as u16 | Permission::Read as u16);
    /// All that concerns files and does no harm beyond them: all but [`Permission::Link`] and [`Permission::Who`].
    pub const ALL: Permissions = Permissions(0xff);

    /// This set and `permission`.
    #[must_use]
    pub const fn with(self, permission: Permission) -> Permissions {
        Permissions(self.0 | permission as u16)
    }

    /// Whether `permission` is in the set.
    pub const fn allows(self, permission: Permission) -> bool {
        self.0 & permission as u16 != 0
    }
}

/// What must be so before a verb is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing: it is answered before login.
    Nothing,
    /// A user who is logged in.
    Login,
    /// A user who is logged in and has the permission.
    May(Permission),
}

/// What becomes of a verb that arrives while a transfer runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum During {
    /// It waits for the transfer's end.
    Wait,
    /// It is answered at once where nothing waits before it: NOOP and STAT.
    Overtake,
    /// It ends the transfer: ABOR.
    Abort,
}

/// How an argument is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// None; one that is given is ignored, as servers always have.
    Nothing,
    /// One that must be there.
    Required,
    /// One that may be there.
    Optional,
}

/// What the table says of a verb.
#[derive(Debug)]
pub struct Facts {
    /// The verb.
    pub verb: Verb,
    /// Its name, in capitals.
    pub name: &'static str,
    /// Other names it goes by (RFC 775, RFC 1123 section 4.1.3.1).
    pub aliases: &'static [&'static str],
    /// Whether it takes an argument.
    pub takes: Takes,
    /// What it needs.
    pub needs: Needs,
    /// What becomes of it during a transfer.
    pub during: During,
    /// The line that FEAT shows for it (RFC 2389), where it has one of its own.
    pub feature: Option<&'static str>,
    /// Its arguments as HELP shows them.
    pub syntax: &'static str,
    /// What it does, in a few words.
    pub help: &'static str,
    /// Where it is specified.
    pub source: &'static str,
}

macro_rules! verbs {
    ($($verb:ident $name:literal $takes:ident $needs:expr, $during:ident, $feature:expr,
       $aliases:expr, $syntax:literal, $help:literal, $source:literal;)*) => {
        /// A verb that this crate knows.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Verb {
            $(#[doc = concat!("`", $name, "` (", $source, "): ", $help, ".")] $verb,)*
        }

        /// All verbs, in the order in which HELP lists them.
        pub static VERBS: &[Facts] = &[$(Facts {
            verb: Verb::$verb,
            name: $name,
            aliases: &$aliases,
            takes: Takes::$takes,
            needs: $needs,
            during: During::$during,
            feature: $feature,
            syntax: $syntax,
            help: $help,
            source: $source,
        },)*];

        impl Verb {
            /// The verb's name, in capitals.
            pub const fn name(self) -> &'static str {
                match self { $(Verb::$verb => $name,)* }
            }
        }
    };
}

use Needs::{Login, May, Nothing};
use Permission::{Attributes, Delete, List, MakeDirectory, Read, Rename, Write};

verbs! {
    // Verb, name, argument, needs, during a transfer, FEAT, aliases, syntax, help, source
    User "USER" Required Nothing, Wait, None, [], "NAME", "begin a login", "RFC 959 4.1.1";
    Pass "PASS" Optional Nothing, Wait, None, [], "PASSWORD", "the password of USER", "RFC 959 4.1.1";
    Acct "ACCT" Required Nothing, Wait, None, [], "ACCOUNT", "an account, which nobody needs here", "RFC 959 4.1.1";
    Host "HOST" Required Nothing, Wait, Some("HOST"), [], "NAME", "choose a site, before USER", "RFC 7151 3";
    Rein "REIN" Nothing Nothing, Wait, None, [], "", "log out and stay connected", "RFC 959 4.1.1";
    Quit "QUIT" Nothing Nothing, Wait, None, [], "", "end the session", "RFC 959 4.1.1";
    Cwd "CWD" Required May(List), Wait, None, ["XCWD"], "PATH", "change the working directory", "RFC 959 4.1.1";
    Cdup "CDUP" Nothing May(List), Wait, None, ["XCUP"], "", "change to the parent directory", "RFC 959 4.1.1";
    Pwd "PWD" Nothing Login, Wait, None, ["XPWD"], "", "name the working directory", "RFC 959 4.1.3";
    Type "TYPE" Required Nothing, Wait, None, [], "A|I|L 8", "representation type of transfers", "RFC 959 4.1.2";
    Stru "STRU" Required Nothing, Wait, None, [], "F", "file structure of transfers", "RFC 959 4.1.2";
    Mode "MODE" Required Nothing, Wait, None, [], "S|Z", "transfer mode: stream, or deflate", "RFC 959 4.1.2";
    Port "PORT" Required Login, Wait, None, [], "h1,h2,h3,h4,p1,p2", "connect to this IPv4 port for data", "RFC 959 4.1.2";
    Pasv "PASV" Nothing Login, Wait, Some("PASV"), [], "", "listen on an IPv4 port for data", "RFC 959 4.1.2";
    Eprt "EPRT" Required Login, Wait, Some("EPRT"), [], "|1|2|ADDRESS|PORT|", "connect to this port for data", "RFC 2428 2";
    Epsv "EPSV" Optional Login, Wait, Some("EPSV"), [], "[1|2|ALL]", "listen on a port for data", "RFC 2428 3";
    Retr "RETR" Required May(Read), Wait, None, [], "PATH", "download a file", "RFC 959 4.1.3";
    Stor "STOR" Required May(Write), Wait, None, [], "PATH", "upload a file", "RFC 959 4.1.3";
    Stou "STOU" Optional May(Write), Wait, None, [], "[PREFIX]", "upload to a new, unique name", "RFC 959 4.1.3";
    Appe "APPE" Required May(Write), Wait, None, [], "PATH", "upload to the end of a file", "RFC 959 4.1.3";
    Rest "REST" Required Login, Wait, Some("REST STREAM"), [], "OFFSET", "start the next transfer at this byte", "RFC 3659 5";
    Rang "RANG" Required Login, Wait, Some("RANG STREAM"), [], "FIRST LAST", "transfer or hash these bytes alone", "draft-bryan-ftp-range-08 3";
    Allo "ALLO" Required Login, Wait, None, [], "BYTES [R RECORD]", "ask for room for an upload", "RFC 959 4.1.3";
    Abor "ABOR" Nothing Login, Abort, None, [], "", "abort the running transfer", "RFC 959 4.1.3";
    List "LIST" Optional May(List), Wait, None, [], "[-OPTIONS] [PATH]", "list a directory for people", "RFC 959 4.1.3";
    Nlst "NLST" Optional May(List), Wait, None, [], "[PATH]", "list the names in a directory", "RFC 959 4.1.3";
    Mlsd "MLSD" Optional May(List), Wait, None, [], "[PATH]", "list a directory for programs", "RFC 3659 7";
    Mlst "MLST" Optional May(List), Wait, None, [], "[PATH]", "the facts of one file", "RFC 3659 7";
    Size "SIZE" Required May(List), Wait, Some("SIZE"), [], "PATH", "the size of a file, as transferred", "RFC 3659 4";
    Mdtm "MDTM" Required May(List), Wait, Some("MDTM"), [], "PATH", "when a file was last changed", "RFC 3659 3";
    Mfmt "MFMT" Required May(Attributes), Wait, Some("MFMT"), [], "YYYYMMDDHHMMSS PATH", "set when a file was last changed", "draft-somers-ftp-mfxx-04 3";
    Mfct "MFCT" Required May(Attributes), Wait, None, [], "YYYYMMDDHHMMSS PATH", "set when a file was made: not possible here", "draft-somers-ftp-mfxx-04 4";
    Mff "MFF" Required May(Attributes), Wait, Some("MFF Modify;UNIX.mode;"), [], "FACT=VALUE;... PATH", "set facts of a file", "draft-somers-ftp-mfxx-04 5";
    Rnfr "RNFR" Required May(Rename), Wait, None, [], "PATH", "the file to rename", "RFC 959 4.1.3";
    Rnto "RNTO" Required May(Rename), Wait, None, [], "PATH", "the new name of RNFR", "RFC 959 4.1.3";
    Dele "DELE" Required May(Delete), Wait, None, [], "PATH", "remove a file", "RFC 959 4.1.3";
    Rmd "RMD" Required May(Delete), Wait, None, ["XRMD"], "PATH", "remove an empty directory", "RFC 959 4.1.3";
    Mkd "MKD" Required May(MakeDirectory), Wait, None, ["XMKD"], "PATH", "make a directory", "RFC 959 4.1.3";
    Rmda "RMDA" Required May(Delete), Wait, Some("RMDA"), [], "PATH", "remove a directory and all that is in it", "in use, no RFC";
    Comb "COMB" Required May(Write), Wait, Some("COMB"), [], "\"TARGET\" \"PART\" ...", "join files to one, and remove the parts", "in use, no RFC";
    Dsiz "DSIZ" Optional May(List), Wait, Some("DSIZ"), [], "[PATH]", "how many bytes a directory holds", "in use, no RFC";
    Avbl "AVBL" Optional May(Write), Wait, Some("AVBL"), [], "[PATH]", "how many bytes an upload may have", "draft-peterson-streamlined-ftp-command-extensions-10 4";
    Hash "HASH" Required May(Read), Wait, None, [], "PATH", "a digest of a file, by the algorithm of OPTS HASH", "draft-bryan-ftpext-hash-02 3";
    Xcrc "XCRC" Required May(Read), Wait, Some("XCRC"), [], "PATH|\"PATH\" [FROM [TO]]", "the CRC-32 of a file", "in use, no RFC";
    Xmd5 "XMD5" Required May(Read), Wait, Some("XMD5"), [], "PATH|\"PATH\" [FROM [TO]]", "the MD5 of a file", "in use, no RFC";
    Xsha "XSHA" Required May(Read), Wait, Some("XSHA"), [], "PATH|\"PATH\" [FROM [TO]]", "the SHA-1 of a file", "in use, no RFC";
    Xsha1 "XSHA1" Required May(Read), Wait, Some("XSHA1"), [], "PATH|\"PATH\" [FROM [TO]]", "the SHA-1 of a file", "in use, no RFC";
    Xsha256 "XSHA256" Required May(Read), Wait, Some("XSHA256"), [], "PATH|\"PATH\" [FROM [TO]]", "the SHA-256 of a file", "in use, no RFC";
    Xsha512 "XSHA512" Required May(Read), Wait, Some("XSHA512"), [], "PATH|\"PATH\" [FROM [TO]]", "the SHA-512 of a file", "in use, no RFC";
    Md5 "MD5" Required May(Read), Wait, Some("MD5"), [], "PATH", "the MD5 of a file", "draft-twine-ftpmd5-00 3.1";
    Site "SITE" Required Login, Wait, None, [], "COMMAND|HELP", "commands of this server", "RFC 959 4.1.3";
    Syst "SYST" Nothing Nothing, Wait, None, [], "", "the kind of system", "RFC 959 4.1.3";
    Stat "STAT" Optional Login, Overtake, None, [], "[PATH]", "status, or a listing in the reply", "RFC 959 4.1.3";
    Help "HELP" Optional Nothing, Wait, None, [], "[VERB]", "this help", "RFC 959 4.1.3";
    Noop "NOOP" Nothing Nothing, Overtake, None, [], "", "do nothing, and say so", "RFC 959 4.1.3";
    Feat "FEAT" Nothing Nothing, Wait, None, [], "", "list the extensions", "RFC 2389 3";
    Opts "OPTS" Required Nothing, Wait, None, [], "UTF8 ON|MLST FACTS|HASH [NAME]|MODE Z [LEVEL N]", "set an option of a verb", "RFC 2389 4";
    Auth "AUTH" Required Nothing, Wait, Some("AUTH TLS"), [], "TLS|TLS-C|TLS-P|SSL", "protect the control connection", "RFC 4217 4";
    Pbsz "PBSZ" Required Nothing, Wait, Some("PBSZ"), [], "0", "size of protected blocks, before PROT", "RFC 4217 9";
    Prot "PROT" Required Nothing, Wait, Some("PROT"), [], "C|P", "clear or private data connections", "RFC 4217 9";
    Ccc "CCC" Nothing Login, Wait, Some("CCC"), [], "", "take the protection off the control connection", "RFC 4217 12";
    Lang "LANG" Optional Nothing, Wait, Some("LANG EN*"), [], "[EN]", "the language of replies, which is English", "RFC 2640 4";
    Csid "CSID" Optional Nothing, Wait, Some("CSID"), [], "[NAME=VALUE;...]", "tell who client and server are", "in use, no RFC";
    Clnt "CLNT" Required Nothing, Wait, Some("CLNT"), [], "NAME", "name the client's software", "in use, no RFC";
}

impl Verb {
    /// The verb of this name or alias, in any case.
    pub fn from_name(name: &[u8]) -> Option<Verb> {
        VERBS
            .iter()
            .find(|f| {
                f.name.as_bytes().eq_ignore_ascii_case(name)
                    || f.aliases.iter().any(|a| a.as_bytes().eq_ignore_ascii_case(name))
            })
            .map(|f| f.verb)
    }

    /// Whether the verb is about TLS: not there where that is not offered.
    pub const fn is_about_tls(self) -> bool {
        matches!(self, Verb::Auth | Verb::Pbsz | Verb::Prot | Verb::Ccc)
    }

    /// Which way the verb moves data over a data connection, if it does.
    pub const fn moves(self) -> Option<Direction> {
        match self {
            Verb::Retr | Verb::List | Verb::Nlst | Verb::Mlsd => Some(Direction::Down),
            Verb::Stor | Verb::Stou | Verb::Appe => Some(Direction::Up),
            _ => None,
        }
    }

    /// Whether the verb may take as long as a transfer does, so that ABOR ends it: those that move data, and those that
    /// read or change much.
    pub const fn is_long(self) -> bool {
        self.moves().is_some() || self.only_reads_much() || matches!(self, Verb::Rmda | Verb::Comb)
    }

    /// Whether the verb reads much and changes nothing: nobody needs it once its client has gone.
    pub const fn only_reads_much(self) -> bool {
        matches!(
            self,
            Verb::Dsiz
                | Verb::Hash
                | Verb::Xcrc
                | Verb::Xmd5
                | Verb::Xsha
                | Verb::Xsha1
                | Verb::Xsha256
                | Verb::Xsha512
                | Verb::Md5
        )
    }

    /// What the table says of the verb.
    pub fn facts(self) -> &'static Facts {
        // The macro writes the enum and the table in one order, which a test checks: something is always found.
        static NONE: Facts = Facts {
            verb: Verb::Noop,
            name: "",
            aliases: &[],
            takes: Takes::Nothing,
            needs: Needs::Login,
            during: During::Wait,
            feature: None,
            syntax: "",
            help: "",
            source: "",
        };
        VERBS.get(self as usize).unwrap_or(&NONE)
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_verbs() {
        for facts in VERBS {
            assert_eq!(facts.verb.facts().name, facts.name);
            assert_eq!(facts.verb.name(), facts.name);
        }
    }

    #[test]
    fn names_are_unique_and_found_in_any_case() {
        let mut names: Vec<&str> = VERBS.iter().flat_map(|f| f.aliases.iter().copied().chain([f.name])).collect();
        for name in &names {
            assert_eq!(Verb::from_name(name.to_ascii_lowercase().as_bytes()), Verb::from_name(name.as_bytes()));
            assert!(Verb::from_name(name.as_bytes()).is_some());
        }
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
        assert_eq!(Verb::from_name(b"xcwd"), Some(Verb::Cwd));
        assert_eq!(Verb::from_name(b"NOPE"), None);
    }
}
