//! The sandbox of Linux, step by step.

use std::net::SocketAddr;

use anyhow::{Context as _, bail};
use nix::unistd::Uid;
use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use rustix::thread::set_no_new_privs;

use super::files::{Confined, Rules};
use super::identity;
pub(super) use super::identity::Identity;
pub(crate) use super::identity::keep_from_programs;
use super::places::{Access, Grant};
use super::{Safeguards, calls};
use crate::config::Config;

/// Everything that was looked up and opened with the rights that the server was started with.
pub(super) struct Steps {
    identity: Option<Identity>,
    /// Control ports from 2 to 1024: active data leaves from the port below.
    low_ports: bool,
    rules: anyhow::Result<Rules>,
    grants: Vec<Grant>,
}

impl Steps {
    pub(super) fn new(config: &Config, identity: Option<Identity>, bound: &[SocketAddr], grants: &[Grant]) -> Steps {
        let data_ports: Vec<u16> = bound.iter().filter_map(|addr| addr.port().checked_sub(1)).collect();
        let low_ports = data_ports.iter().any(|port| (1..1024).contains(port)) && identity::may_use_low_ports();
        // The capability is for all ports below 1024: Landlock makes it one for these.
        let ports = low_ports.then(|| {
            let listening = bound.iter().map(SocketAddr::port);
            data_ports
                .iter()
                .copied()
                .chain(listening)
                .chain(config.passive.ports.clone())
                .chain([0])
                .collect::<Vec<u16>>()
        });
        let rules = Rules::new(grants, ports.as_deref());
        Steps { identity, low_ports, rules, grants: grants.to_vec() }
    }

    /// Whether sockets can be bound to the ports of this configuration only, as the right to low ones is kept.
    pub(super) fn keep_low_ports(&self) -> bool {
        self.low_ports
    }

    /// What [`Steps::enforce`] would bring about, as far as it can be told beforehand.
    pub(super) fn expect(&self) -> Safeguards {
        let mut done = Safeguards::default();
        say_identity(&mut done, self.identity.as_ref());
        say_capabilities(&mut done, self.low_ports);
        match &self.rules {
            Ok(rules) => say_files(&mut done, &self.grants, rules.expect()),
            Err(error) => done.lacks(format!("{error:#}")),
        }
        say_calls(&mut done, calls::expect());
        done
    }

    /// Takes from this process what it does not need, for good.
    ///
    /// # Errors
    /// Where a privilege that ought to go cannot be given up: going on would be going on with it.
    pub(super) fn enforce(self) -> anyhow::Result<Safeguards> {
        check_alone()?;
        self.give_up()
    }

    /// As [`Steps::enforce`], for this thread alone and those that it begins.
    pub(super) fn give_up(self) -> anyhow::Result<Safeguards> {
        let Steps { identity, low_ports, rules, grants } = self;
        let mut done = Safeguards::default();
        identity::empty_bounding_set();
        if let Some(identity) = &identity {
            identity.assume()?;
            check_readable(identity, &grants)?;
        }
        say_identity(&mut done, identity.as_ref());
        identity::drop_capabilities(low_ports)?;
        say_capabilities(&mut done, low_ports);
        set_no_new_privs(true).context("cannot give up gaining privileges")?;
        // Neither core files nor debuggers show keys and passwords to others of the same user. A change of the user has
        // the same effect.
        set_dumpable_behavior(DumpableBehavior::NotDumpable).context("cannot keep the memory from other processes")?;
        match rules.and_then(Rules::restrict) {
            Ok(confined) => say_files(&mut done, &grants, confined),
            Err(error) => done.lacks(format!("{error:#}")),
        }
        // At last, for it takes away the calls that all this needs.
        say_calls(&mut done, calls::restrict());
        Ok(done)
    }
}

/// Whom a thread belongs to, what it may and which calls it has left is each thread's own: those that are there already
/// would be left out.
fn check_alone() -> anyhow::Result<()> {
    // Where /proc is not mounted nothing can be looked up there.
    match std::fs::read_dir("/proc/self/task").map(Iterator::count) {
        Ok(1) | Err(_) => Ok(()),
        Ok(threads) => {
            bail!("{threads} threads run before the sandbox: this is a fault of the server, please report it")
        }
    }
}

/// A server that cannot read what it serves says so at once, not to its clients.
fn check_readable(identity: &Identity, grants: &[Grant]) -> anyhow::Result<()> {
    use rustix::fs::{Access as Mode, AtFlags, CWD, accessat};
    for Grant { path, access } in grants {
        let wanted = match access {
            Access::Append | Access::Socket => Mode::EXEC_OK,
            _ if path.is_dir() => Mode::READ_OK | Mode::EXEC_OK,
            _ => Mode::READ_OK,
        };
        accessat(CWD, path, wanted, AtFlags::EACCESS).with_context(|| {
            format!(
                "the user {} cannot read {}: give it the rights, or name another by `user` in [sandbox]",
                identity.name,
                path.display()
            )
        })?;
    }
    Ok(())
}

fn say_identity(done: &mut Safeguards, identity: Option<&Identity>) {
    match identity {
        Some(identity) => {
            done.has(format!("runs as {} (user {}, group {})", identity.name, identity.uid, identity.gid))
        }
        None => done.has(format!("runs as user {}", Uid::effective())),
    }
    if identity.map_or(Uid::effective(), |identity| identity.uid).is_root() {
        done.lacks(format!(
            "the server stays root: make a user for it that owns the files (useradd --system {}), or name one by `user` in \
             [sandbox]",
            identity::DEFAULT_USER
        ));
    }
}

fn say_capabilities(done: &mut Safeguards, low_ports: bool) {
    done.has(match low_ports {
        true => "no capability but that of data ports below 1024",
        false => "no capabilities",
    });
}

fn say_files(done: &mut Safeguards, grants: &[Grant], confined: Confined) {
    let of = |access| {
        let places = grants.iter().filter(|grant| grant.access == access);
        places.map(|grant| grant.path.display().to_string()).collect::<Vec<_>>().join(", ")
    };
    for (what, access) in [
        ("writes below", Access::Write),
        ("reads below", Access::Read),
        ("keeps files in", Access::State),
        ("makes files and writes to them in", Access::Append),
        ("keeps recordings in", Access::Records),
        ("makes sockets in", Access::Socket),
    ] {
        let places = of(access);
        if !places.is_empty() {
            done.has(format!("{what} {places}"));
        }
    }
    done.has(format!("no other files (Landlock {})", confined.abi));
    if confined.ports {
        done.has("listens at the ports of the configuration only");
    }
    if confined.signals {
        done.has("signals no other process");
    }
}

fn say_calls(done: &mut Safeguards, calls: anyhow::Result<usize>) {
    match calls {
        Ok(count) => done.has(format!("{count} kinds of system calls (seccomp), none of which starts a program")),
        Err(error) => done.lacks(format!("system calls are not restricted: {error:#}")),
    }
}
