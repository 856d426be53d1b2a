//! The facts of MLSx: which there are, which a client has chosen, and which it sets (RFC 3659 section 7; MFF).

use std::fmt;

use jiff::Timestamp;

use crate::stamp;

/// A fact that the server can tell of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fact {
    /// What the entry is.
    Type,
    /// How many bytes a file has.
    Size,
    /// When it was last changed.
    Modify,
    /// What the user may do with it.
    Perm,
    /// The same for two names of one file, and for no others.
    Unique,
    /// The permission bits of Unix.
    UnixMode,
    /// The owner's name or number.
    UnixOwner,
    /// The group's name or number.
    UnixGroup,
}

impl Fact {
    /// All facts, in the order in which they are written.
    pub const ALL: [Fact; 8] = [
        Fact::Type,
        Fact::Size,
        Fact::Modify,
        Fact::Perm,
        Fact::Unique,
        Fact::UnixMode,
        Fact::UnixOwner,
        Fact::UnixGroup,
    ];

    /// The name on the wire. Case has no meaning in it (RFC 3659 section 7.5); this is the spelling most clients expect.
    pub const fn name(self) -> &'static str {
        match self {
            Fact::Type => "type",
            Fact::Size => "size",
            Fact::Modify => "modify",
            Fact::Perm => "perm",
            Fact::Unique => "unique",
            Fact::UnixMode => "UNIX.mode",
            Fact::UnixOwner => "UNIX.owner",
            Fact::UnixGroup => "UNIX.group",
        }
    }
}

/// Which facts MLSx tells: all, until the client chooses with OPTS MLST (RFC 3659 section 7.9).
///
/// ```
/// # use port21_proto::listing::FactSet;
/// let facts = FactSet::choose(b"Type;size;x.unknown;");
/// assert_eq!(facts.to_string(), "type;size;");
/// assert!(facts.feature().starts_with("MLST type*;size*;modify;"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FactSet(u8);

impl FactSet {
    /// Every fact.
    pub const ALL: FactSet = FactSet(u8::MAX);
    /// No fact: MLSx then tells names alone.
    pub const NONE: FactSet = FactSet(0);

    /// The set that the argument of OPTS MLST, `fact;fact;`, chooses. Facts that are not known are passed over and an
    /// empty argument chooses none (RFC 3659 section 7.9); a `;` that is missing at the end is no error.
    pub fn choose(argument: &[u8]) -> FactSet {
        argument
            .split(|&b| b == b';')
            .filter_map(|name| {
                Fact::ALL.into_iter().find(|f| f.name().as_bytes().eq_ignore_ascii_case(name.trim_ascii()))
            })
            .fold(FactSet::NONE, FactSet::with)
    }

    /// This set and `fact`.
    #[must_use]
    pub const fn with(self, fact: Fact) -> FactSet {
        FactSet(self.0 | 1 << fact as u8)
    }

    /// This set without `fact`.
    #[must_use]
    pub const fn without(self, fact: Fact) -> FactSet {
        FactSet(self.0 & !(1 << fact as u8))
    }

    /// Whether `fact` is in the set.
    pub const fn contains(self, fact: Fact) -> bool {
        self.0 & (1 << fact as u8) != 0
    }

    /// The facts of the set, in the order in which they are written.
    pub fn iter(self) -> impl Iterator<Item = Fact> {
        Fact::ALL.into_iter().filter(move |&fact| self.contains(fact))
    }

    /// The line of FEAT: all facts there are, those of this set marked with `*` (RFC 3659 section 7.8).
    pub fn feature(self) -> String {
        let mut line = String::from("MLST ");
        for fact in Fact::ALL {
            line.push_str(fact.name());
            line.push_str(if self.contains(fact) { "*;" } else { ";" });
        }
        line
    }
}

impl Default for FactSet {
    /// Every fact.
    fn default() -> FactSet {
        FactSet::ALL
    }
}

impl fmt::Display for FactSet {
    /// `fact;fact;`, as the reply to OPTS MLST has it behind `MLST OPTS `.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.iter().try_for_each(|fact| write!(f, "{};", fact.name()))
    }
}

/// Facts of a file that are to be set; those that are nothing stay as they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// When it was last changed.
    pub modified: Option<Timestamp>,
    /// Its permission bits, 0 to 0o777.
    pub mode: Option<u32>,
}

impl fmt::Display for Changes {
    /// As MFF has them (draft-somers-ftp-mfxx-04 section 5): `Modify=20050502210700;UNIX.mode=0644;`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(at) = self.modified {
            write!(f, "Modify={};", stamp::write(at))?;
        }
        if let Some(mode) = self.mode {
            write!(f, "UNIX.mode={mode:04o};")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_facts_are_told_until_the_client_chooses() {
        assert_eq!(
            FactSet::default().feature(),
            "MLST type*;size*;modify*;perm*;unique*;UNIX.mode*;UNIX.owner*;UNIX.group*;"
        );
        assert_eq!(Fact::ALL.into_iter().fold(FactSet::NONE, FactSet::with), FactSet::ALL);
    }

    #[test]
    fn a_choice_ignores_case_and_what_is_unknown() {
        let facts = FactSet::choose(b"MODIFY;unix.MODE;charset;type");
        assert_eq!(facts.to_string(), "type;modify;UNIX.mode;");
        assert_eq!(facts.feature(), "MLST type*;size;modify*;perm;unique;UNIX.mode*;UNIX.owner;UNIX.group;");
        assert_eq!(FactSet::choose(b""), FactSet::NONE);
        assert_eq!(FactSet::NONE.to_string(), "");
    }

    #[test]
    fn facts_are_put_in_and_taken_out() {
        let facts = FactSet::ALL.without(Fact::UnixOwner).without(Fact::UnixGroup);
        assert!(!facts.contains(Fact::UnixOwner) && facts.contains(Fact::UnixMode));
        assert_eq!(facts.with(Fact::UnixOwner).with(Fact::UnixGroup), FactSet::ALL);
    }
}
