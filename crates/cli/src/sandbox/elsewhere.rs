//! Where there is no sandbox: on other systems than Linux, and on processors whose system calls are not listed.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::bail;

use super::Safeguards;
use super::places::Grant;
use crate::config::{Config, Sandbox};
use crate::exit::Fault;

/// Nobody: there is nobody to become.
pub(super) enum Identity {}

impl Identity {
    /// # Errors
    /// Where the configuration names somebody.
    pub(super) fn wanted(sandbox: &Sandbox) -> anyhow::Result<Option<Identity>> {
        match &sandbox.user {
            Some(_) => bail!(Fault::usage("`sandbox.user`: on this kind of machine the server stays who it is")),
            None => Ok(None),
        }
    }

    /// [`Identity::wanted`] says it.
    pub(super) fn unknown(_: &Sandbox) -> Option<(&'static str, String)> {
        None
    }

    pub(super) fn numbers(&self) -> (u32, u32) {
        match *self {}
    }

    pub(super) fn own(&self, _: &Path) -> anyhow::Result<()> {
        match *self {}
    }
}

/// There are none.
pub(crate) fn keep_from_programs() {}

/// Nothing to be done.
pub(super) struct Steps;

impl Steps {
    pub(super) fn new(_: &Config, _: Option<Identity>, _: &[SocketAddr], _: &[Grant]) -> Steps {
        Steps
    }

    pub(super) fn keep_low_ports(&self) -> bool {
        false
    }

    pub(super) fn expect(&self) -> Safeguards {
        let mut done = Safeguards::default();
        done.lacks("on this kind of machine there is no sandbox: that takes Linux on x86_64 or aarch64");
        done
    }

    /// # Errors
    /// None: it has those of Linux.
    pub(super) fn enforce(self) -> anyhow::Result<Safeguards> {
        Ok(self.expect())
    }
}
