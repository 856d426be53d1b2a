//! The dialects of listings, and which of them a listing is in.

use std::collections::VecDeque;
use std::fmt;

use jiff::Timestamp;

use super::interpreter::Interpreter;
use super::line::{Context, Line};
use super::lines::RawLine;
use super::reader::Listed;
use super::{dos, eplf, members, mlsx, mvs, netware, nortel, os2, os400, unix, vm, vms, vxworks, windows_ce};

/// The form that a server gives its listings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dialect {
    /// MLSD: facts and a name.
    Facts,
    /// EPLF: facts behind a `+`, a tab and a name.
    Eplf,
    /// Lines like those of `ls -l`; HFS of z/OS and many servers on Windows too.
    Unix,
    /// Novell NetWare.
    NetWare,
    /// OpenVMS.
    Vms,
    /// Data sets of z/OS (MVS, OS/390).
    Mvs,
    /// Members of a partitioned data set of z/OS.
    MvsMembers,
    /// IBM i (OS/400, AS/400).
    Os400,
    /// VM/CMS and z/VM.
    Vm,
    /// OS/2.
    Os2,
    /// Windows CE.
    WindowsCe,
    /// Lines like those of `dir`, as IIS sends them.
    Dos,
    /// Routers of Wellfleet, Bay Networks and Nortel.
    Nortel,
    /// VxWorks.
    VxWorks,
}

impl Dialect {
    /// All of them, the surest first: it wins where a listing can be read in two ways.
    pub const ALL: [Dialect; 14] = [
        Dialect::Facts,
        Dialect::Eplf,
        Dialect::Unix,
        Dialect::NetWare,
        Dialect::Vms,
        Dialect::Mvs,
        Dialect::MvsMembers,
        Dialect::Os400,
        Dialect::Vm,
        Dialect::Os2,
        // The narrower before the wider: each of its lines is one of DOS as well.
        Dialect::WindowsCe,
        Dialect::Dos,
        Dialect::Nortel,
        Dialect::VxWorks,
    ];

    /// Its name, for people.
    pub const fn name(self) -> &'static str {
        match self {
            Dialect::Facts => "MLSD",
            Dialect::Eplf => "EPLF",
            Dialect::Unix => "Unix",
            Dialect::NetWare => "NetWare",
            Dialect::Vms => "VMS",
            Dialect::Mvs => "MVS data sets",
            Dialect::MvsMembers => "MVS members",
            Dialect::Os400 => "OS/400",
            Dialect::Vm => "VM/CMS",
            Dialect::Os2 => "OS/2",
            Dialect::WindowsCe => "Windows CE",
            Dialect::Dos => "DOS",
            Dialect::Nortel => "Nortel",
            Dialect::VxWorks => "VxWorks",
        }
    }

    /// What a line is in this dialect.
    pub(super) fn read(self, line: &[u8], context: &mut Context) -> Line {
        match self {
            Dialect::Facts => mlsx::read(line),
            Dialect::Eplf => eplf::read(line),
            Dialect::Unix => unix::read(line, context),
            Dialect::NetWare => netware::read(line, context),
            Dialect::Vms => vms::read(line),
            Dialect::Mvs => mvs::read(line, context),
            Dialect::MvsMembers => members::read(line, context),
            Dialect::Os400 => os400::read(line, context),
            Dialect::Vm => vm::read(line, context),
            Dialect::Os2 => os2::read(line),
            Dialect::WindowsCe => windows_ce::read(line, context),
            Dialect::Dos => dos::read(line, context),
            Dialect::Nortel => nortel::read(line),
            Dialect::VxWorks => vxworks::read(line),
        }
    }

    /// An interpreter for the dialect in which the most of these lines are entries, and where none is an entry in any, the
    /// most are headings; nothing where no line means anything.
    pub(super) fn find(lines: &VecDeque<RawLine>, most: usize, now: Timestamp) -> Option<Interpreter> {
        let mut best = (None, (0, 0));
        for dialect in Dialect::ALL {
            let mut interpreter = Interpreter::new(dialect, now);
            let mut score = (0, 0);
            for line in lines.iter().take(most) {
                interpreter.read(line.clone(), |told| match told.listed {
                    Listed::Entry(_) if told.is_of_dialect => score.0 += 1,
                    Listed::Skipped(_) if told.is_of_dialect => score.1 += 1,
                    _ => {}
                });
            }
            if score > best.1 {
                best = (Some(interpreter.again()), score);
            }
        }
        best.0
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
