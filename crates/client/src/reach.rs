//! Steps of a session on their own, for whoever looks for the one that fails: names without connections, connections without
//! a word.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use port21_proto::client::Phase;
use port21_proto::event::{ConnectionId, Purpose};

use crate::builder::Builder;
use crate::client::Client;
use crate::connect::eyeballs::{Lost, Race};
use crate::connect::{Family, tcp};
use crate::error::Error;
use crate::link::open::{connector, families, resolver};
use crate::sink::Recorder;

impl Builder {
    /// The addresses of the host that the settings allow, IPv6 in front; a host that is an address is its only one. A proxy
    /// that looks names up by itself leaves nothing to be known here, and none are given.
    ///
    /// # Errors
    /// In the phase resolve. Cancel safety: dropping the future ends it.
    pub async fn addresses(&self) -> Result<Vec<IpAddr>, Error> {
        if let Ok(ip) = self.host.parse() {
            return Ok(vec![ip]);
        }
        let recorder = Recorder::new(self.sink.clone(), self.clock);
        let resolver = resolver(self, &recorder);
        if connector(self, &resolver).takes_names() {
            return Ok(Vec::new());
        }
        let (mut found, mut unknown) = (Vec::new(), Vec::new());
        let look_up = async |family: Family| {
            let limit = self.timeouts.resolve;
            let answer = tokio::time::timeout(limit, resolver.resolve(&self.host, family)).await;
            answer.map_err(|_| format!("no answer within {limit:?}"))?.map_err(|error| error.to_string())
        };
        let mut take = |family: Family, answer: Result<Vec<IpAddr>, String>| match answer {
            Ok(addresses) => found.extend(addresses),
            Err(why) => unknown.push(format!("{family}: {why}")),
        };
        match families(self).as_slice() {
            [first, second] if self.dns_local_port == 0 => {
                let (a, b) = tokio::join!(look_up(*first), look_up(*second));
                take(*first, a);
                take(*second, b);
            }
            families => {
                for family in families {
                    take(*family, look_up(*family).await);
                }
            }
        }
        match found.is_empty() {
            true => Err(Error::Resolve { host: self.host.clone(), why: unknown.join("; ") }),
            false => Ok(found),
        }
    }

    /// Connects to the port at one of the host's addresses, and closes again without a word; how long it took.
    ///
    /// # Errors
    /// [`Error::Connect`]. Cancel safety: dropping the future ends it.
    pub async fn reach(&self, address: IpAddr) -> Result<Duration, Error> {
        let recorder = Recorder::new(self.sink.clone(), self.clock);
        let resolver = resolver(self, &recorder);
        let (began, host) = (Instant::now(), address.to_string());
        let race = Race {
            resolver: &*resolver,
            connector: &*connector(self, &resolver),
            host: &host,
            port: self.port,
            purpose: Purpose::Control,
            families: &[Family::of(address)],
            one_at_a_time: false,
            resolve_limit: self.timeouts.resolve,
            connect_limit: self.timeouts.connect,
            local: &|v4| tcp::local(self.bind_ip, 0, v4),
            recorder: &recorder,
            id: ConnectionId::CONTROL,
        };
        match race.run().await {
            Ok(won) => {
                won.close(&recorder);
                Ok(began.elapsed())
            }
            Err(Lost::Unreachable(attempts)) => Err(Error::Connect { host, attempts }),
            Err(Lost::Unknown(why)) => Err(Error::Resolve { host, why }),
        }
    }
}

impl Client {
    /// Connects to an address as a data connection of this session would, and closes again without a byte; how long it took.
    /// For a port that EPSV or PASV, said by [`Client::quote`], has just named. Unlike a transfer it goes where it is told, to
    /// any address: it carries nothing there.
    ///
    /// # Errors
    /// [`Error::Timeout`] after [`data_open`](crate::Timeouts::data_open), and [`Error::Transport`], both in the phase data
    /// open. Cancel safety: dropping the future ends it; the session is not touched.
    pub async fn reach(&self, address: SocketAddr) -> Result<Duration, Error> {
        let (began, after) = (Instant::now(), self.settings.timeouts.data_open);
        match tokio::time::timeout(after, self.link.reach(address)).await {
            Ok(Ok(())) => Ok(began.elapsed()),
            Ok(Err(source)) => {
                Err(Error::Transport { phase: Phase::DataOpen, what: format!("connect to {address}"), source })
            }
            Err(_) => {
                Err(Error::Timeout { phase: Phase::DataOpen, what: format!("no connection to {address}"), after })
            }
        }
    }
}
