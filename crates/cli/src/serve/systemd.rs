//! What systemd is told (sd_notify(3)) and what it hands over (sd_listen_fds(3)). Without it none of this does anything.

use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use anyhow::{Context as _, bail};
use listenfd::ListenFd;

use crate::config::Listen;
use crate::exit::Fault;

/// The socket that systemd listens at for news of this process.
#[derive(Debug, Default)]
pub(super) struct Notifier(Option<UnixDatagram>);

impl Notifier {
    /// As the environment says; where systemd has not started this process, it tells nobody.
    pub(super) fn from_environment() -> Notifier {
        let Some(path) = std::env::var_os("NOTIFY_SOCKET") else { return Notifier::default() };
        let addr = match path.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
            _ => SocketAddr::from_pathname(&path),
        };
        let socket = UnixDatagram::unbound().and_then(|socket| {
            socket.connect_addr(&addr?)?;
            // It must not hold up the server.
            socket.set_nonblocking(true)?;
            Ok(socket)
        });
        if let Err(error) = &socket {
            tracing::warn!(%error, "cannot tell systemd about this process: NOTIFY_SOCKET");
        }
        Notifier(socket.ok())
    }

    /// Sends it, where anybody listens.
    pub(super) fn tell(&self, state: &str) {
        if let Some(socket) = &self.0 {
            // Lost news are repeated by the next.
            let _ = socket.send(state.as_bytes());
        }
    }

    pub(super) fn ready(&self, status: &str) {
        self.tell(&format!("READY=1\nSTATUS={status}"));
    }

    /// A reload begins; [`Notifier::ready`] ends it.
    pub(super) fn reloading(&self) {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let micros = now.tv_sec * 1_000_000 + now.tv_nsec / 1_000;
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
    }

    pub(super) fn stopping(&self) {
        self.tell("STOPPING=1\nSTATUS=waiting for transfers to end");
    }
}

/// How often systemd wants to hear of this process (WatchdogSec=), if it does: half of the time after which it acts.
pub(super) fn watchdog() -> Option<Duration> {
    let of_this_process = std::env::var("WATCHDOG_PID").map_or(true, |pid| pid == std::process::id().to_string());
    let micros: u64 = std::env::var("WATCHDOG_USEC").ok()?.parse().ok()?;
    (of_this_process && micros > 0).then(|| Duration::from_micros(micros) / 2)
}

/// The sockets that systemd has opened for the server (Sockets=).
#[derive(Default)]
pub(super) struct Passed(Vec<(String, TcpListener)>);

impl Passed {
    /// As the environment says.
    ///
    /// # Errors
    /// Where one of them listens for no TCP connections.
    pub(super) fn from_environment() -> anyhow::Result<Passed> {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut fds = ListenFd::from_env();
        let mut names = names.split(':').map(str::to_owned);
        let mut sockets = Vec::new();
        for at in 0..fds.len() {
            let name = names.next().unwrap_or_default();
            let socket =
                fds.take_tcp_listener(at).with_context(|| format!("the socket `{name}` that systemd passes"))?;
            sockets.extend(socket.map(|socket| (name, socket)));
        }
        Ok(Passed(sockets))
    }

    /// The socket for a place: the one of its name, or the one that is bound to its address.
    pub(super) fn take(&mut self, place: &Listen) -> Option<TcpListener> {
        let addr = place.address.0;
        let by_name = self.0.iter().position(|(name, _)| place.name.as_ref() == Some(name));
        let at =
            by_name.or_else(|| self.0.iter().position(|(_, socket)| socket.local_addr().is_ok_and(|a| a == addr)))?;
        Some(self.0.remove(at).1)
    }

    /// Every socket has a place.
    ///
    /// # Errors
    /// Names one that has none: clients would connect there and wait for ever.
    pub(super) fn none_left(&self) -> anyhow::Result<()> {
        if let Some((name, socket)) = self.0.first() {
            let addr = socket.local_addr().map_or_else(|error| error.to_string(), |addr| addr.to_string());
            bail!(Fault::usage(format!(
                "systemd passes a socket `{name}` at {addr}, but no [[listen]] has this `name` or `address`"
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_found_by_their_name_or_address() {
        let socket = || TcpListener::bind("127.0.0.1:0").unwrap();
        let (a, b) = (socket(), socket());
        let (at_a, at_b) = (a.local_addr().unwrap(), b.local_addr().unwrap());
        let mut passed = Passed(vec![("x".into(), a), ("ftp".into(), b)]);
        let place = |addr: &str, name: Option<&str>| Listen {
            name: name.map(str::to_owned),
            ..Listen::at(addr.parse().unwrap())
        };
        assert_eq!(passed.take(&place(":21", Some("ftp"))).unwrap().local_addr().unwrap(), at_b);
        assert!(passed.take(&place(":21", None)).is_none());
        assert!(passed.none_left().unwrap_err().to_string().contains("`x`"));
        assert!(passed.take(&place(&at_a.to_string(), None)).is_some());
        passed.none_left().unwrap();
    }
}
