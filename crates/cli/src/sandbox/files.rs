//! Which files, ports and other processes the server may still reach: Landlock.

use anyhow::{Context as _, bail};
use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, LandlockStatus, NetPort,
    PathBeneath, PathFd, RestrictionStatus, Ruleset, RulesetAttr as _, RulesetCreated, RulesetCreatedAttr as _,
    RulesetStatus, Scope,
};

use super::places::{Access, Grant};

/// The newest rights that are known here to be used rightly. What an older kernel does not know of them it does not
/// restrict.
const KNOWN: ABI = ABI::V6;

/// Linux 5.19. Before it, Landlock refuses every move of a file from one directory to another, with no way to allow it:
/// a server that cannot do what it is asked to is not confined but broken.
const LEAST: ABI = ABI::V2;

/// What is enforced by Landlock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Confined {
    /// The version of Landlock that the kernel has, as far as it is used here.
    pub(super) abi: i32,
    /// Which ports may be listened at is restricted too (Linux 6.7).
    pub(super) ports: bool,
    /// Other processes get no signals from here (Linux 6.12).
    pub(super) signals: bool,
}

impl Confined {
    fn by(abi: ABI, ports: bool) -> Confined {
        Confined { abi: abi as i32, ports: ports && abi >= ABI::V4, signals: abi >= ABI::V6 }
    }
}

/// Rules that are not yet enforced: the places were opened with the rights that this process had when they were.
pub(super) struct Rules {
    rules: RulesetCreated,
    ports: bool,
}

impl Rules {
    /// Opens the places. `ports`, where there are any, are the only ones that sockets may be bound to; 0 stands for those
    /// that the kernel chooses.
    ///
    /// # Errors
    /// Where a place is not there, and where the kernel has no Landlock that would do.
    pub(super) fn new(grants: &[Grant], ports: Option<&[u16]>) -> anyhow::Result<Rules> {
        let mut rules = Ruleset::default()
            .set_compatibility(CompatLevel::HardRequirement)
            .handle_access(AccessFs::from_all(LEAST))
            .context(NO_LANDLOCK)?
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(KNOWN))?
            .scope(Scope::from_all(KNOWN))?;
        if ports.is_some() {
            rules = rules.handle_access(AccessNet::BindTcp)?;
        }
        let mut rules = rules.create().context(NO_LANDLOCK)?;
        for Grant { path, access } in grants {
            let rights = match path.is_dir() {
                true => rights(*access),
                false => rights(*access) & AccessFs::from_file(KNOWN),
            };
            let place = PathFd::new(path).with_context(|| format!("cannot open {}", path.display()))?;
            rules = rules.add_rule(PathBeneath::new(place, rights))?;
        }
        for &port in ports.unwrap_or_default() {
            rules = rules.add_rule(NetPort::new(port, AccessNet::BindTcp))?;
        }
        Ok(Rules { rules, ports: ports.is_some() })
    }

    /// What they will bring about on this kernel.
    pub(super) fn expect(&self) -> Confined {
        Confined::by(newest(), self.ports)
    }

    /// Enforces them on this thread, and on every thread that it begins from now on.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub(super) fn restrict(self) -> anyhow::Result<Confined> {
        let done = self.rules.restrict_self()?;
        match done {
            RestrictionStatus {
                ruleset: RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced,
                landlock: LandlockStatus::Available { effective_abi, .. },
                ..
            } => Ok(Confined::by(effective_abi.min(KNOWN), self.ports)),
            _ => bail!(NO_LANDLOCK),
        }
    }
}

/// What Landlock calls the access to a place.
fn rights(access: Access) -> BitFlags<AccessFs> {
    match access {
        Access::Read => AccessFs::ReadFile | AccessFs::ReadDir,
        Access::Append => AccessFs::WriteFile | AccessFs::MakeReg,
        Access::Records => AccessFs::WriteFile | AccessFs::MakeReg | AccessFs::ReadDir | AccessFs::RemoveFile,
        Access::State => {
            let change = AccessFs::Truncate | AccessFs::MakeReg | AccessFs::RemoveFile;
            AccessFs::ReadFile | AccessFs::WriteFile | change
        }
        Access::Socket => AccessFs::MakeSock | AccessFs::RemoveFile,
        Access::Write => {
            let never = AccessFs::Execute | AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::IoctlDev;
            AccessFs::from_all(KNOWN) & !never
        }
    }
}

/// The newest version that the kernel has all of, as far as it is known here.
fn newest() -> ABI {
    let has = |abi: &ABI| {
        let rules = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
        let files = rules.handle_access(AccessFs::from_all(*abi));
        let ports = files.and_then(|rules| match *abi >= ABI::V4 {
            true => rules.handle_access(AccessNet::from_all(*abi)),
            false => Ok(rules),
        });
        let scopes = ports.and_then(|rules| match *abi >= ABI::V6 {
            true => rules.scope(Scope::from_all(*abi)),
            false => Ok(rules),
        });
        scopes.and_then(Ruleset::create).is_ok()
    };
    [ABI::V6, ABI::V5, ABI::V4, ABI::V3].into_iter().find(has).unwrap_or(LEAST)
}

const NO_LANDLOCK: &str = "this kernel does not confine a process to directories: that takes Landlock of Linux 5.19 or later, enabled \
     (`lsm=landlock,...` at boot)";
