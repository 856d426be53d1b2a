//! Data connections that are offered: PORT, EPRT, PASV, EPSV.

use std::net::SocketAddr;

use super::action::{Action, DataChannel};
use super::error::DataError;
use super::outcome::Pending;
use super::session::ServerSession;
use super::wording::{self, say};
use crate::addr;
use crate::command::Epsv;
use crate::reply::Reply;
use crate::verb::Verb;

impl ServerSession {
    /// PORT and EPRT. RFC 2577 section 3: only to where the client is, and to no well-known port, or the server could be
    /// made to talk to third hosts (bounce).
    pub(super) fn active(&mut self, verb: Verb, addr: SocketAddr) -> Reply {
        if self.epsv_all {
            return say(503, "EPSV ALL was given: only EPSV is taken.");
        }
        let target = addr::canonical(addr);
        if target.is_ipv6() != self.ipv6 {
            return match verb {
                Verb::Eprt => wording::wrong_protocol(self.ipv6),
                _ => wording::refused_target(verb, target, self.peer.ip()),
            };
        }
        // The unspecified address names no host, so the client itself is meant: lftp offers `::`, which its socket is bound
        // to, in every EPRT over IPv6.
        let target = if target.ip().is_unspecified() { SocketAddr::new(self.peer.ip(), target.port()) } else { target };
        if target.ip() != self.peer.ip() || target.port() < 1024 {
            return wording::refused_target(verb, target, self.peer.ip());
        }
        self.drop_data_channel();
        // The peer's own address has the scope, where it is link-local.
        let mut target = self.peer;
        target.set_port(addr.port());
        self.data = Some(DataChannel::Active(target));
        say(200, format!("{verb} command successful."))
    }

    pub(super) fn passive(&mut self, extended: bool) -> Option<Reply> {
        if self.epsv_all && !extended {
            return Some(say(503, "EPSV ALL was given: only EPSV is taken."));
        }
        if self.ipv6 && !extended {
            return Some(wording::data_error(&DataError::Family));
        }
        self.drop_data_channel();
        let listen = Action::Listen { ipv4: !extended, protection: self.tls.protection };
        self.single(listen, Pending::Listen { extended })
    }

    /// RFC 2428 section 3.
    pub(super) fn extended_passive(&mut self, which: Epsv) -> Option<Reply> {
        match which {
            Epsv::All => {
                self.epsv_all = true;
                Some(say(200, "EPSV ALL command successful."))
            }
            Epsv::V4 if self.ipv6 => Some(wording::wrong_protocol(true)),
            Epsv::V6 if !self.ipv6 => Some(wording::wrong_protocol(false)),
            Epsv::Same | Epsv::V4 | Epsv::V6 => self.passive(true),
        }
    }
}
