//! Whom the server runs as, and the capabilities that it keeps.

use std::ffi::CString;
use std::path::Path;

use anyhow::{Context as _, bail};
use nix::unistd::{Gid, Group, Uid, User, getgrouplist, setgroups, setresgid, setresuid};
use rustix::thread::{
    CapabilitySet, CapabilitySets, clear_ambient_capability_set, remove_capability_from_bounding_set, set_capabilities,
    set_keep_capabilities,
};

use crate::config::Sandbox;
use crate::exit::Fault;

/// Whom root becomes where the configuration does not say. Not `nobody`, who must own no files and whom other programs
/// are too; not `ftp`, whom other servers have left on many machines with files of its own.
pub(super) const DEFAULT_USER: &str = "port21";

/// A user with the groups that belong to it.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    pub(super) name: String,
    pub(super) uid: Uid,
    pub(super) gid: Gid,
    groups: Vec<Gid>,
}

impl Identity {
    /// Whom to become; nobody where this process is to stay who it is.
    ///
    /// # Errors
    /// Where the configuration names somebody whom this machine does not have, or whom this process cannot become.
    pub(super) fn wanted(sandbox: &Sandbox) -> anyhow::Result<Option<Identity>> {
        let user = match &sandbox.user {
            Some(name) => match User::from_name(name).with_context(|| format!("cannot look up the user {name}"))? {
                Some(user) => user,
                None => bail!(Fault::usage(format!("`sandbox.user`: this machine has no user {name}"))),
            },
            None if !Uid::effective().is_root() => return Ok(None),
            // Where the list of users cannot be read it has none of this name.
            None => match User::from_name(DEFAULT_USER).ok().flatten() {
                Some(user) => user,
                None => return Ok(None),
            },
        };
        let gid = match &sandbox.group {
            Some(name) => match Group::from_name(name).with_context(|| format!("cannot look up the group {name}"))? {
                Some(group) => group.gid,
                None => bail!(Fault::usage(format!("`sandbox.group`: this machine has no group {name}"))),
            },
            None => user.gid,
        };
        if !Uid::effective().is_root() {
            // A service manager has seen to it already.
            if Uid::effective() == user.uid && Gid::effective() == gid {
                return Ok(None);
            }
            bail!(Fault::usage(format!(
                "`sandbox.user`: only root can become {}: start the server as root",
                user.name
            )));
        }
        let name = CString::new(user.name.as_str()).context("the name of a user")?;
        let groups = getgrouplist(&name, gid).with_context(|| format!("cannot look up the groups of {}", user.name))?;
        Ok(Some(Identity { name: user.name, uid: user.uid, gid, groups }))
    }

    /// The setting that names somebody whom this machine does not have, and what is wrong with it.
    pub(super) fn unknown(sandbox: &Sandbox) -> Option<(&'static str, String)> {
        // Where the list cannot be read nobody can tell.
        let user = sandbox.user.as_ref().filter(|name| matches!(User::from_name(name), Ok(None)));
        let group = || sandbox.group.as_ref().filter(|name| matches!(Group::from_name(name), Ok(None)));
        let user =
            user.map(|name| ("sandbox.user", format!("this machine has no user {name}: make it, or name another")));
        user.or_else(|| {
            Some(("sandbox.group", format!("this machine has no group {}: make it, or name another", group()?)))
        })
    }

    pub(super) fn numbers(&self) -> (u32, u32) {
        (self.uid.as_raw(), self.gid.as_raw())
    }

    /// Gives it a directory.
    pub(super) fn own(&self, dir: &Path) -> anyhow::Result<()> {
        let done = std::os::unix::fs::chown(dir, Some(self.uid.as_raw()), Some(self.gid.as_raw()));
        done.with_context(|| format!("cannot give {} to {}", dir.display(), self.name))
    }

    /// Becomes it, for good, in all threads. Capabilities stay permitted, for [`drop_capabilities`].
    pub(super) fn assume(&self) -> anyhow::Result<()> {
        let cannot = || format!("cannot become the user {}", self.name);
        set_keep_capabilities(true).with_context(cannot)?;
        setgroups(&self.groups).with_context(cannot)?;
        setresgid(self.gid, self.gid, self.gid).with_context(cannot)?;
        setresuid(self.uid, self.uid, self.uid).with_context(cannot)?;
        set_keep_capabilities(false).with_context(cannot)
    }
}

/// Takes from the bounding set whatever a program that is executed later could gain. Only who has CAP_SETPCAP can: who
/// has not is held by `no_new_privs` all the same.
pub(super) fn empty_bounding_set() {
    for number in 0..64 {
        // The kernel says where the numbers end.
        if remove_capability_from_bounding_set(CapabilitySet::from_bits_retain(1 << number)).is_err() {
            break;
        }
    }
}

/// Capabilities that a service manager has given this process are not for the programs that it runs.
pub(crate) fn keep_from_programs() {
    // Kernels without ambient capabilities have none to clear.
    let _ = clear_ambient_capability_set();
}

/// Whether this process has the capability to use ports below 1024.
pub(super) fn may_use_low_ports() -> bool {
    rustix::thread::capabilities(None).is_ok_and(|has| has.permitted.contains(CapabilitySet::NET_BIND_SERVICE))
}

/// Drops all capabilities but, where `low_ports`, the one to use ports below 1024.
///
/// # Errors
/// Where the kernel refuses: then they are all there still.
pub(super) fn drop_capabilities(low_ports: bool) -> anyhow::Result<()> {
    let kept = if low_ports { CapabilitySet::NET_BIND_SERVICE } else { CapabilitySet::empty() };
    keep_from_programs();
    let sets = CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
    set_capabilities(None, sets).context("cannot drop capabilities")
}
