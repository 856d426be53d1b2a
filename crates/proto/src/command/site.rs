//! The one table of the commands behind SITE. Parsing, gating and HELP come from it.

use crate::verb::{Needs, Permission};

/// A command behind SITE (RFC 959 section 4.1.3). None of them runs a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SiteVerb {
    /// `CHMOD`.
    Chmod,
    /// `HELP`.
    Help,
    /// `SYMLINK`.
    Symlink,
    /// `UTIME`.
    Utime,
    /// `WHO`.
    Who,
}

/// What the table says of a command behind SITE.
#[derive(Clone, Copy, Debug)]
pub struct SiteFacts {
    /// Its name, in capitals.
    pub name: &'static str,
    /// Its arguments as HELP shows them.
    pub syntax: &'static str,
    /// What it needs besides what SITE needs.
    pub needs: Needs,
    /// What it does, in a few words.
    pub help: &'static str,
}

impl SiteVerb {
    /// All, in the order in which SITE HELP lists them.
    pub const ALL: [SiteVerb; 5] = [SiteVerb::Chmod, SiteVerb::Help, SiteVerb::Symlink, SiteVerb::Utime, SiteVerb::Who];

    /// What the table says of it.
    pub const fn facts(self) -> SiteFacts {
        let (name, syntax, needs, help) = match self {
            SiteVerb::Chmod => {
                ("CHMOD", "MODE PATH", Needs::May(Permission::Attributes), "set the permission bits of a file")
            }
            SiteVerb::Help => ("HELP", "", Needs::Login, "this help"),
            SiteVerb::Symlink => ("SYMLINK", "TARGET LINK", Needs::May(Permission::Link), "make a symbolic link"),
            SiteVerb::Utime => (
                "UTIME",
                "YYYYMMDDhhmm[ss] PATH",
                Needs::May(Permission::Attributes),
                "set when a file was last changed",
            ),
            SiteVerb::Who => ("WHO", "", Needs::Login, "who is logged in"),
        };
        SiteFacts { name, syntax, needs, help }
    }

    /// The command of this name, in any case.
    pub fn from_name(name: &[u8]) -> Option<SiteVerb> {
        SiteVerb::ALL.into_iter().find(|verb| verb.facts().name.as_bytes().eq_ignore_ascii_case(name))
    }
}

impl SiteFacts {
    /// How it is written behind SITE: `CHMOD MODE PATH`.
    pub fn usage(&self) -> String {
        format!("{} {}", self.name, self.syntax).trim_end().to_owned()
    }
}
