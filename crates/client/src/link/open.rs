//! From settings to a session that stands: resolved, connected, greeted, and under TLS where that is wanted.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use port21_proto::client::{Answer, ClientSession, JobId, Limits, Phase, Request, Settings};
use port21_proto::event::{ConnectionId, Purpose};
use port21_proto::parameters::{Direction, Protection};

use super::{Data, Known, Link};
use crate::builder::{Builder, IpFamily};
use crate::connect::dns::{Dns, Family};
use crate::connect::eyeballs::{Lost, Race, Won};
use crate::connect::{Connector, Direct, Resolve, tcp};
use crate::control::Control;
use crate::error::Error;
use crate::sink::Recorder;
use crate::tls::{Tls, TlsMode};

impl Link {
    /// Resolves, connects, waits for the greeting, and begins TLS where it is wanted.
    pub(crate) async fn open(
        settings: &Builder,
        recorder: Recorder,
        id: ConnectionId,
        known: Known,
    ) -> Result<(Link, Answer), Error> {
        if settings.host.is_empty() {
            return Err(Error::Usage("no host was given"));
        }
        // What cannot be used is found out before anything is sent.
        let tls = match settings.tls_mode {
            TlsMode::Off => None,
            TlsMode::Explicit | TlsMode::Implicit => {
                let tls = Tls::new(&settings.tls, &settings.host, known.at_most);
                Some(tls.map_err(|why| Error::Tls { phase: Phase::Tls, why })?)
            }
        };
        let (connector, won) = connect(settings, &recorder, id).await?;
        let Won { id, to, stream } = won;
        let transport =
            |source| Error::Transport { phase: Phase::Connect, what: "the control connection".to_owned(), source };
        let local = stream.local_addr().map_err(transport)?;
        let peer = match to.address() {
            Some(address) => address,
            None => stream.peer_addr().map_err(transport)?,
        };
        let t = settings.timeouts;
        let session_settings = Settings {
            peer: to.address().unwrap_or_else(|| SocketAddr::from((Ipv4Addr::UNSPECIFIED, settings.port))),
            implicit_tls: settings.tls_mode == TlsMode::Implicit,
            protection: if settings.protect_data { Protection::Private } else { Protection::Clear },
            send_ahead: settings.send_ahead,
            learned: known.learned,
            utf8: settings.charset.is_none(),
            limits: Limits {
                greeting: t.greeting,
                tls: t.tls,
                reply: t.reply,
                data_open: t.data_open,
                final_reply: t.final_reply,
                abort: t.abort,
                quit: t.quit,
            },
            events: recorder.is_on().then_some(id),
        };
        let mut link = Link {
            session: ClientSession::new(recorder.now(), session_settings),
            control: Control::new(stream, id, recorder.clone(), connector.proxy().is_none()),
            recorder,
            connector,
            to,
            local,
            peer,
            tls,
            changing: None,
            tls_failure: None,
            known,
            sends_ahead: settings.send_ahead,
            reuse: Default::default(),
            active_ports: settings.active_ports.clone(),
            next_active: 0,
            data: Data::None,
            direction: Direction::Down,
            came_empty: false,
            bind_data: settings.bind_ip.is_some(),
            buffers: settings.buffers,
            started: None,
            done: None,
            timer: None,
            round_trip: None,
        };
        let greeting = link.finish(JobId::GREETING).await?;
        if settings.tls_mode == TlsMode::Explicit {
            link.run(Request::StartTls).await?;
        }
        Ok((link, greeting))
    }
}

async fn connect(
    settings: &Builder,
    recorder: &Recorder,
    id: ConnectionId,
) -> Result<(Arc<dyn Connector>, Won), Error> {
    let resolver = resolver(settings, recorder);
    let connector = connector(settings, &resolver);
    let families = families(settings);
    let host = settings.host.as_str();
    let race = Race {
        resolver: &*resolver,
        connector: &*connector,
        host,
        port: settings.port,
        purpose: Purpose::Control,
        families: &families,
        // Two queries at once from one fixed port would take each other's answers.
        one_at_a_time: settings.dns_local_port != 0,
        resolve_limit: settings.timeouts.resolve,
        connect_limit: settings.timeouts.connect,
        local: &|v4| tcp::local(settings.bind_ip, settings.control_port, v4),
        recorder,
        id,
    };
    match race.run().await {
        Ok(won) => Ok((connector, won)),
        Err(Lost::Unknown(why)) => Err(Error::Resolve { host: host.to_owned(), why }),
        Err(Lost::Unreachable(attempts)) => Err(Error::Connect { host: host.to_owned(), attempts }),
    }
}

/// Who looks names up.
pub(crate) fn resolver(settings: &Builder, recorder: &Recorder) -> Arc<dyn Resolve> {
    settings.resolver.clone().unwrap_or_else(|| Arc::new(Dns::new(settings, recorder)))
}

/// Who connects.
pub(crate) fn connector(settings: &Builder, resolver: &Arc<dyn Resolve>) -> Arc<dyn Connector> {
    match (&settings.connector, &settings.proxy) {
        (Some(connector), _) => connector.clone(),
        (None, Some(proxy)) => proxy.clone().connector(resolver.clone()),
        (None, None) => Arc::new(Direct),
    }
}

/// The families that the settings allow, and that can be reached from the local address that they name; IPv6 first (RFC
/// 8305 section 4), but where only one can be asked for at a time the one that more servers have.
pub(crate) fn families(settings: &Builder) -> Vec<Family> {
    let all = if settings.dns_local_port == 0 { [Family::V6, Family::V4] } else { [Family::V4, Family::V6] };
    let allowed = |family: &Family| match settings.family {
        IpFamily::Any => true,
        IpFamily::V4 => *family == Family::V4,
        IpFamily::V6 => *family == Family::V6,
    };
    let reachable = |family: &Family| settings.bind_ip.is_none_or(|ip| ip.is_ipv4() == (*family == Family::V4));
    all.into_iter().filter(|family| allowed(family) && reachable(family)).collect()
}
