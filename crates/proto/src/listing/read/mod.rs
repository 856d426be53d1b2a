//! Listings as servers send them.
//!
//! | file | what it is |
//! |---|---|
//! | `reader` | bytes to lines to entries, as they arrive |
//! | `lines` | bytes to lines, none of them too long |
//! | `dialect` | the dialects; which of them a listing is in |
//! | `interpreter` | one listing in one dialect: what its lines have told so far |
//! | `mlsx` | MLSD and MLST |
//! | `unix` | `ls -l` and all that imitates it, HFS of z/OS too |
//! | `dos`, `windows_ce` | `dir` as IIS sends it; the same with wider columns |
//! | `eplf` | publicfile and anonftpd |
//! | `netware`, `os2` | Novell NetWare, OS/2 |
//! | `vms` | OpenVMS, with entries of two lines |
//! | `mvs`, `members` | data sets of z/OS; members of one of them |
//! | `os400`, `vm` | IBM i (OS/400, AS/400); VM/CMS and its byte file system |
//! | `nortel`, `vxworks` | routers of Wellfleet, Bay and Nortel; VxWorks |
//! | `columns`, `line` | what all share: columns; what a line can be |
//! | `when`, `date`, `clock`, `month` | dates of `ls`; dates of numbers; times of day; names of months |
//! | `size` | sizes |
//!
//! The shapes are those that the parsers and test data of FileZilla, lftp, Apache Commons Net, Cyberduck, Indy, NFTP,
//! Mozilla and D. J. Bernstein's ftpparse know of; each file names those that it has its shapes from. The samples in our
//! tests are our own.

mod clock;
mod columns;
mod date;
mod dialect;
mod dos;
mod eplf;
mod interpreter;
mod line;
mod lines;
mod members;
mod mlsx;
mod month;
mod mvs;
mod netware;
mod nortel;
mod os2;
mod os400;
mod reader;
mod size;
mod unix;
mod vm;
mod vms;
mod vxworks;
mod when;
mod windows_ce;

pub use dialect::Dialect;
pub use lines::MAX_LISTING_LINE;
pub use mlsx::parse_facts;
pub use reader::{Listed, ListingReader, Unreadable, parse};
