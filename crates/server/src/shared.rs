//! What the sessions of a server share.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use port21_proto::Time;
use port21_proto::server::TlsMode;
use tokio::sync::Semaphore;

use crate::account::guard::Guard;
use crate::activity::ActivitySink;
use crate::clock::Clock;
use crate::data::active::Active;
use crate::data::ports::PassivePorts;
use crate::events::{EventSinks, Events, NewSession};
use crate::limits::Accounts;
use crate::listen::{Listen, ListenError};
use crate::proxy::Proxies;
use crate::registry::Registry;
use crate::server::ServerBuilder;
use crate::settings::Settings;
use crate::sites::{Site, Sites};
use crate::tls::Tls;

/// So many connections of proxies may be waited on for their header.
const MAX_ARRIVING: usize = 256;

/// What all sessions share that have begun under the same settings.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) sites: Sites,
    sinks: Option<EventSinks>,
    pub(crate) activities: Option<ActivitySink>,
    pub(crate) clock: Clock,
    pub(crate) passive_ports: PassivePorts,
    pub(crate) active: Arc<Active>,
    pub(crate) accounts: Arc<Accounts>,
    pub(crate) guard: Arc<Guard>,
    pub(crate) advertised: Arc<Advertised>,
    pub(crate) registry: Arc<Registry>,
    /// A permit for each digest that may be computed at a time.
    pub(crate) digests: Semaphore,
    pub(crate) proxies: Proxies,
    /// A permit for each connection of a proxy that is waited on for its header.
    pub(crate) arriving: Arc<Semaphore>,
    pub(crate) tls: Option<Tls>,
}

/// What of that is the same whatever the settings are.
pub(crate) struct Lasting {
    clock: Clock,
    passive_ports: PassivePorts,
    active: Arc<Active>,
    accounts: Arc<Accounts>,
    guard: Arc<Guard>,
    advertised: Arc<Advertised>,
    registry: Arc<Registry>,
    arriving: Arc<Semaphore>,
}

impl Lasting {
    /// What a server begins with.
    pub(crate) fn new() -> Lasting {
        let registry = Arc::<Registry>::default();
        Lasting {
            clock: Clock::start(),
            passive_ports: PassivePorts::new(None, registry.clone()),
            active: Arc::default(),
            accounts: Arc::default(),
            guard: Arc::default(),
            advertised: Arc::default(),
            registry,
            arriving: Arc::new(Semaphore::new(MAX_ARRIVING)),
        }
    }
}

impl Shared {
    pub(crate) fn new(builder: ServerBuilder, lasting: Lasting) -> Shared {
        let ServerBuilder { authenticator, settings, sites, sinks, activities, tls } = builder;
        let first = Site { names: settings.names.clone(), session: settings.session.clone(), authenticator };
        let Lasting { clock, passive_ports, active, accounts, guard, advertised, registry, arriving } = lasting;
        Shared {
            sites: Sites::new(first, sites),
            sinks,
            activities,
            clock,
            passive_ports: passive_ports.with_range(settings.passive_ports.clone()),
            active,
            accounts,
            guard,
            advertised,
            registry,
            digests: Semaphore::new(settings.digests.max(1)),
            proxies: Proxies::new(&settings.proxies),
            arriving,
            tls,
            settings,
        }
    }

    /// From now on these settings are those of what lasts, too. Until then nothing has changed, and nothing need be taken
    /// back.
    pub(crate) fn take_over(&self) {
        self.guard.set(self.settings.guard.clone());
        self.advertised.set(self.settings.advertise);
        self.passive_ports.take_over();
    }

    /// Whether there is what this place needs.
    pub(crate) fn serves(&self, place: Listen) -> Result<(), ListenError> {
        if place.tls != TlsMode::Off && self.tls.is_none() {
            Err(ListenError::NoCertificate(place.addr))
        } else {
            Ok(())
        }
    }

    pub(crate) fn lasting(&self) -> Lasting {
        Lasting {
            clock: self.clock,
            passive_ports: self.passive_ports.clone(),
            active: self.active.clone(),
            accounts: self.accounts.clone(),
            guard: self.guard.clone(),
            advertised: self.advertised.clone(),
            registry: self.registry.clone(),
            arriving: self.arriving.clone(),
        }
    }

    /// The events of a session that begins, where somebody watches it.
    pub(crate) fn watch(&self, number: u64, peer: SocketAddr, local: SocketAddr, at: Time) -> Option<Arc<Events>> {
        let sink = self.sinks.as_ref()?(&NewSession { number, peer, local, at })?;
        Some(Arc::new(Events::new(sink, self.clock)))
    }
}

/// The address that PASV tells to peers outside of the local networks; 0.0.0.0 stands for none.
#[derive(Debug, Default)]
pub(crate) struct Advertised(AtomicU32);

impl Advertised {
    pub(crate) fn set(&self, address: Option<Ipv4Addr>) {
        self.0.store(address.unwrap_or(Ipv4Addr::UNSPECIFIED).to_bits(), Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> Option<Ipv4Addr> {
        Some(Ipv4Addr::from_bits(self.0.load(Ordering::Relaxed))).filter(|address| !address.is_unspecified())
    }
}

/// What all sessions are told of the server's own life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// All is well.
    Serving,
    /// Running transfers may end, nothing else is begun.
    Ending,
    /// Everything ends now.
    Over,
}
