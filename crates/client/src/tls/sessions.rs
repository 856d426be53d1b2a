//! What a control connection and its data connections remember together.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustls::NamedGroup;
use rustls::client::{ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::pki_types::ServerName;

/// Servers give one or two tickets with each handshake, of which each is good once (RFC 8446 section 4.6.1): more are kept
/// than any gives at once.
const MAX_TICKETS: usize = 16;

/// The sessions with one server under one control connection. All of its connections have one name: it is not looked at.
#[derive(Debug, Default)]
pub(super) struct Sessions(Mutex<Memory>);

#[derive(Default)]
struct Memory {
    group: Option<NamedGroup>,
    /// Of TLS 1.2: can be resumed as often as the server likes.
    session: Option<Tls12ClientSessionValue>,
    /// Of TLS 1.3: the newest behind.
    tickets: VecDeque<Tls13ClientSessionValue>,
}

impl Sessions {
    pub(super) fn has_one(&self) -> bool {
        let memory = self.memory();
        memory.session.is_some() || !memory.tickets.is_empty()
    }

    pub(super) fn is_plentiful(&self) -> bool {
        let memory = self.memory();
        memory.session.is_some() || memory.tickets.len() > 1
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientSessionStore for Sessions {
    fn set_kx_hint(&self, _: ServerName<'static>, group: NamedGroup) {
        self.memory().group = Some(group);
    }

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        self.memory().group
    }

    fn set_tls12_session(&self, _: ServerName<'static>, value: Tls12ClientSessionValue) {
        self.memory().session = Some(value);
    }

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.memory().session.clone()
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {
        self.memory().session = None;
    }

    fn insert_tls13_ticket(&self, _: ServerName<'static>, value: Tls13ClientSessionValue) {
        let mut memory = self.memory();
        if memory.tickets.len() == MAX_TICKETS {
            memory.tickets.pop_front();
        }
        memory.tickets.push_back(value);
    }

    /// The newest: servers remember those longest.
    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.memory().tickets.pop_back()
    }
}

impl std::fmt::Debug for Memory {
    /// Without the secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Memory").field("tickets", &self.tickets.len()).finish_non_exhaustive()
    }
}
