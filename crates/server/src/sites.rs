//! The sites of a server (RFC 7151): one to begin with, and those that HOST names.

use std::fmt;
use std::sync::Arc;

use port21_proto::server::{SessionSettings, SiteId};

use crate::account::Authenticator;

/// A site: what a client finds that has asked for one of its names with HOST.
#[derive(Clone)]
pub struct Site {
    /// Its names, in any case: host names, or addresses as HOST writes them (`192.0.2.1`, `[2001:db8::1]`).
    pub names: Vec<String>,
    /// Its greeting, its own name, its timeouts. [`events`](SessionSettings::events) is set by the server.
    pub session: SessionSettings,
    /// Who may log in, and with which files.
    pub authenticator: Arc<dyn Authenticator>,
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Site").field("names", &self.names).field("session", &self.session).finish_non_exhaustive()
    }
}

/// All sites. The first is the one to begin with.
pub(crate) struct Sites(Vec<OpenSite>);

struct OpenSite {
    names: Vec<String>,
    authenticator: Arc<dyn Authenticator>,
    /// For sessions that nobody watches, and for those that somebody does.
    session: Arc<SessionSettings>,
    watched_session: Arc<SessionSettings>,
}

impl Sites {
    pub(crate) fn new(first: Site, others: Vec<Site>) -> Sites {
        Sites(std::iter::once(first).chain(others).map(OpenSite::from).collect())
    }

    /// The site of this name. Where there is but one, without a name, it is every host's.
    pub(crate) fn find(&self, name: &[u8]) -> Option<SiteId> {
        let name = std::str::from_utf8(name).ok()?;
        let name = bare(name);
        let found = self.0.iter().position(|site| site.names.iter().any(|own| bare(own).eq_ignore_ascii_case(name)));
        let only = self.0.len() == 1 && self.0.iter().all(|site| site.names.is_empty());
        found.or(only.then_some(SiteId::DEFAULT.0)).map(SiteId)
    }

    /// The first name of a site that HOST has named; nothing for the one to begin with, which nobody has to name.
    pub(crate) fn name(&self, site: SiteId) -> Option<&str> {
        let named = self.0.get(site.0).filter(|_| site != SiteId::DEFAULT)?;
        named.names.first().map(|name| bare(name))
    }

    pub(crate) fn authenticator(&self, site: SiteId) -> Option<&Arc<dyn Authenticator>> {
        self.0.get(site.0).map(|site| &site.authenticator)
    }

    pub(crate) fn session(&self, site: SiteId, watched: bool) -> Option<Arc<SessionSettings>> {
        let site = self.0.get(site.0)?;
        Some(if watched { site.watched_session.clone() } else { site.session.clone() })
    }
}

impl From<Site> for OpenSite {
    fn from(site: Site) -> OpenSite {
        let Site { names, session, authenticator } = site;
        let watched_session = Arc::new(SessionSettings { events: true, ..session.clone() });
        let session = Arc::new(SessionSettings { events: false, ..session });
        OpenSite { names, authenticator, session, watched_session }
    }
}

/// A name without the dot that may end it.
fn bare(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::Users;

    fn site(names: &[&str]) -> Site {
        Site {
            names: names.iter().map(|&name| name.to_owned()).collect(),
            session: SessionSettings::default(),
            authenticator: Arc::new(Users::default()),
        }
    }

    #[test]
    fn names_are_found_in_any_case() {
        let sites = Sites::new(site(&["one.example"]), vec![site(&["two.example", "[2001:db8::1]"])]);
        assert_eq!(sites.find(b"ONE.example"), Some(SiteId(0)));
        assert_eq!(sites.find(b"two.example."), Some(SiteId(1)));
        assert_eq!(sites.find(b"[2001:db8::1]"), Some(SiteId(1)));
        assert_eq!(sites.find(b"three.example"), None);
        assert_eq!(sites.find(b"\xff"), None);
        assert!(sites.session(SiteId(1), true).unwrap().events && !sites.session(SiteId(1), false).unwrap().events);
        assert!(sites.authenticator(SiteId(2)).is_none());
    }

    #[test]
    fn a_server_of_one_site_is_every_host() {
        assert_eq!(Sites::new(site(&[]), Vec::new()).find(b"any.example"), Some(SiteId::DEFAULT));
        assert_eq!(Sites::new(site(&["one.example"]), Vec::new()).find(b"any.example"), None);
        assert_eq!(Sites::new(site(&[]), vec![site(&["two.example"])]).find(b"any.example"), None);
    }
}
