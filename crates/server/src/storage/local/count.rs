//! Counts what a tree holds, for quotas.

use port21_proto::FtpPath;
use rustix::fs::{AtFlags, Dir, FileType, OFlags, statat};

use super::super::ledger::Used;
use super::aside::is_over;
use super::facts::Facts;
use super::failure::Failure;
use super::tree::{CAREFUL, Lookup, Tree};

/// The most bytes of names of directories that are still to be looked at: whoever may make directories may make many,
/// each with a long path.
const PENDING: usize = 16 << 20;

/// Everything below the root. Links are not followed, and count as themselves; what uploads write aside, and
/// what is kept of them, does. It reads every directory and looks at every file. Before each directory it asks whether to `go_on`.
pub(super) fn count(tree: &Tree, go_on: impl Fn() -> bool) -> Result<Used, Failure> {
    let root = tree.open(&FtpPath::root(), OFlags::RDONLY | OFlags::DIRECTORY | CAREFUL, Lookup::Full)?;
    let mut todo: Vec<Vec<u8>> = vec![b".".to_vec()];
    let (mut used, mut pending, mut cut) = (Used::default(), 1, false);
    while let Some(relative) = todo.pop().filter(|_| go_on()) {
        pending -= relative.len();
        // What has gone meanwhile holds nothing; what may not be read is not the account's to fill either.
        let Ok(mut entries) = tree.open_below(&root, &relative).and_then(Dir::new) else { continue };
        while let Some(Ok(entry)) = entries.read() {
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") {
                continue;
            }
            let kind = match entry.file_type() {
                FileType::RegularFile | FileType::Unknown => {
                    let Ok(dir) = entries.fd() else { continue };
                    let Ok(facts) = statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).map(Facts::from) else { continue };
                    used.bytes += if facts.is_file() { facts.size } else { 0 };
                    facts.kind()
                }
                kind => kind,
            };
            let is_counted =
                matches!(kind, FileType::RegularFile | FileType::Directory | FileType::Symlink) && !is_over(name);
            used.files += u64::from(is_counted);
            if kind == FileType::Directory {
                let path = [relative.as_slice(), b"/", name].concat();
                if pending + path.len() > PENDING {
                    cut = true;
                } else {
                    pending += path.len();
                    todo.push(path);
                }
            }
        }
    }
    if cut {
        tracing::warn!("too many directories to count them all: an account's quota does not see some of its files");
    }
    Ok(used)
}
