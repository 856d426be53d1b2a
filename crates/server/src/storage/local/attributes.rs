//! What a file that takes another's place takes over from it: owner, permissions, access control list, attributes.

use rustix::buffer::spare_capacity;
use rustix::fd::{AsFd, AsRawFd};
use rustix::fs::{Gid, Mode, Uid, XattrFlags};
use rustix::fs::{fchmod, fchown, flistxattr, fremovexattr, fsetxattr, fstat, lgetxattr, llistxattr};
use rustix::io::Errno;

use super::facts::Facts;
use super::tree::Place;

/// The access control list.
const ACL: &[u8] = b"system.posix_acl_access";

/// The most bytes of attributes' names, and of one value: as many as Linux has.
const MOST: usize = 64 << 10;

/// Gives the new file what the old one has that people have set: its permission bits, its access control list and the
/// attributes that users may set; and where the server is privileged, its owner and group (for others it becomes the
/// server's own). What the system has set (labels, capabilities) it sets for the new file as it sees fit.
///
/// # Errors
/// Where the permissions cannot be set: a file must not be open to more people than before. Other attributes are taken
/// over where that can be done.
pub(super) fn take_over(new: impl AsFd, old: &Place, facts: &Facts) -> Result<(), Errno> {
    let new = &new.as_fd();
    let made = Facts::from(fstat(new)?);
    if (made.uid, made.gid) != (facts.uid, facts.gid) {
        let _ = fchown(new, Some(Uid::from_raw(facts.uid)), Some(Gid::from_raw(facts.gid)));
    }
    // By the kernel's own name for the directory, since an old file may not be readable to us; the last part is not
    // followed. Where /proc is not mounted there are none.
    let path = [format!("/proc/self/fd/{}/", old.dir.as_raw_fd()).as_bytes(), &old.name].concat();
    let names = listed(|buffer| llistxattr(path.as_slice(), spare_capacity(buffer)));
    let mut has_acl = false;
    for name in names.split(|&b| b == 0).filter(|name| name.starts_with(b"user.") || *name == ACL) {
        let mut value = Vec::with_capacity(MOST);
        let taken = lgetxattr(path.as_slice(), name, spare_capacity(&mut value))
            .and_then(|_| fsetxattr(new, name, &value, XattrFlags::empty()));
        has_acl |= name == ACL;
        match taken {
            Ok(()) | Err(Errno::NODATA) => {}
            Err(errno) if name == ACL => return Err(errno),
            Err(_) => {}
        }
    }
    // The directory may have given the new file a list that the old one had not.
    if !has_acl && listed(|buffer| flistxattr(new, spare_capacity(buffer))).split(|&b| b == 0).any(|name| name == ACL) {
        fremovexattr(new, ACL)?;
    }
    // In the end, since with a list these bits are what it may give at most; and until then nobody else can open the file.
    fchmod(new, Mode::from_raw_mode(facts.mode & 0o777))
}

/// The names of a file's attributes, each with a NUL behind it; none where they cannot be told. Most files have none,
/// and for them this costs no memory.
fn listed(list: impl Fn(&mut Vec<u8>) -> Result<usize, Errno>) -> Vec<u8> {
    for room in [256, MOST] {
        let mut names = Vec::with_capacity(room);
        match list(&mut names) {
            Ok(_) => return names,
            Err(Errno::RANGE) => {}
            Err(_) => break,
        }
    }
    Vec::new()
}
