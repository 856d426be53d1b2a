//! Proxies, by URL.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use port21_proto::Secret;
use port21_proto::event::Purpose;
use url::{Host, Url};

use super::{BoxFuture, Connector, Destination, Dial, Direct, Resolve, Stream, eyeballs, http, plain, socks5, tcp};
use crate::url::decode;

/// A proxy between this machine and the server, for the control connection and for passive data connections alike.
/// Active mode is refused behind one: the server could not connect back.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    kind: Kind,
    host: String,
    port: u16,
    login: Option<(String, Secret)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Names are looked up here, or by the proxy.
    Socks5 {
        remote: bool,
    },
    Http,
}

/// Why a text is no proxy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// It is no URL.
    #[error("the proxy is not a URL: write socks5://HOST:PORT, socks5h://HOST:PORT or http://HOST:PORT")]
    Syntax,
    /// It is one of another kind.
    #[error("no proxy of the kind {0}: is known: socks5, socks5h (the proxy looks names up) and http are")]
    Kind(String),
    /// Its name or password cannot be sent.
    #[error("the name or password of the proxy holds a CR, LF or NUL")]
    Login,
}

impl Proxy {
    /// Reads `socks5://[user:password@]host[:port]` (names are looked up here), `socks5h://` (by the proxy) or `http://`
    /// (CONNECT, the proxy looks names up). The ports are 1080 and 80 where none is given; `host:port` alone is an HTTP
    /// proxy, as most programs have it.
    ///
    /// Behind `socks5h` and `http` the proxy may look the name up anew for each data connection: of a name with the
    /// addresses of several servers each connection can lead to another one.
    ///
    /// # Errors
    /// [`ProxyError`]; it never shows the password.
    pub fn parse(text: &str) -> Result<Proxy, ProxyError> {
        let with_scheme = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let url = Url::parse(&with_scheme).map_err(|_| ProxyError::Syntax)?;
        let (kind, port) = match url.scheme() {
            "socks5" => (Kind::Socks5 { remote: false }, 1080),
            "socks5h" => (Kind::Socks5 { remote: true }, 1080),
            "http" => (Kind::Http, 80),
            other => return Err(ProxyError::Kind(other.to_owned())),
        };
        let host = match url.host() {
            Some(Host::Domain(name)) if !name.is_empty() => name.to_owned(),
            Some(Host::Ipv4(ip)) => ip.to_string(),
            Some(Host::Ipv6(ip)) => ip.to_string(),
            _ => return Err(ProxyError::Syntax),
        };
        // A scheme that the URL standard does not know keeps an IPv6 address as it is written.
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let part = |text: &str| decode(text).map_err(|_| ProxyError::Login);
        let login = match url.username() {
            "" => None,
            user => Some((
                String::from_utf8_lossy(&part(user)?).into_owned(),
                Secret::new(part(url.password().unwrap_or_default())?),
            )),
        };
        Ok(Proxy { kind, host, port: url.port().unwrap_or(port), login })
    }

    pub(crate) fn connector(self, resolver: Arc<dyn Resolve>) -> Arc<dyn Connector> {
        Arc::new(Through { proxy: self, resolver, found: Mutex::default() })
    }
}

impl fmt::Display for Proxy {
    /// Its URL without the login.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.kind {
            Kind::Socks5 { remote: false } => "socks5",
            Kind::Socks5 { remote: true } => "socks5h",
            Kind::Http => "http",
        };
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        write!(f, "{scheme}://{host}:{}", self.port)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}

/// Connects through a proxy.
struct Through {
    proxy: Proxy,
    /// Looks up the proxy's own name.
    resolver: Arc<dyn Resolve>,
    /// The proxy's address that was reached last.
    found: Mutex<Option<IpAddr>>,
}

impl Through {
    async fn connect(&self, dial: Dial) -> io::Result<Stream> {
        let mut stream = self.reach(dial.purpose, dial.local).await.map_err(|error| {
            io::Error::new(error.kind(), format!("the proxy {} cannot be reached: {}", self.proxy, plain(&error)))
        })?;
        let login = self.proxy.login.as_ref();
        match self.proxy.kind {
            Kind::Socks5 { .. } => socks5::negotiate(&mut stream, &dial.to, login).await?,
            Kind::Http => http::negotiate(&mut stream, &dial.to, login).await?,
        }
        Ok(stream)
    }

    /// Opens a connection to the proxy itself.
    async fn reach(&self, purpose: Purpose, local: Option<SocketAddr>) -> io::Result<Stream> {
        let port = self.proxy.port;
        let known = *self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ip) = self.proxy.host.parse().ok().or(known) {
            let to = Destination::Address(SocketAddr::new(ip, port));
            let local = local.filter(|local| local.is_ipv4() == ip.is_ipv4());
            match Direct.connect(Dial { to, purpose, local }).await {
                Err(_) if known.is_some() => {}
                result => return result,
            }
        }
        let ip = local.map(|local| local.ip()).filter(|ip| !ip.is_unspecified());
        let local_port = local.map_or(0, |local| local.port());
        let local = |v4| tcp::local(ip, local_port, v4);
        let (ip, stream) = eyeballs::simple(&*self.resolver, &self.proxy.host, port, purpose, &local).await?;
        *self.found.lock().unwrap_or_else(PoisonError::into_inner) = Some(ip);
        Ok(stream)
    }
}

impl Connector for Through {
    fn connect(&self, dial: Dial) -> BoxFuture<'_, io::Result<Stream>> {
        Box::pin(self.connect(dial))
    }

    fn proxy(&self) -> Option<String> {
        Some(self.proxy.to_string())
    }

    fn takes_names(&self) -> bool {
        self.proxy.kind != Kind::Socks5 { remote: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_proxies() {
        let shown = |text| Proxy::parse(text).map(|proxy| proxy.to_string());
        assert_eq!(shown("socks5://h").unwrap(), "socks5://h:1080");
        assert_eq!(shown("socks5h://[::1]:9050/").unwrap(), "socks5h://[::1]:9050");
        assert_eq!(shown("http://me:secret@h").unwrap(), "http://h:80");
        assert_eq!(shown("h:3128").unwrap(), "http://h:3128");
        assert_eq!(shown("https://h"), Err(ProxyError::Kind("https".into())));
        assert_eq!(shown("http://"), Err(ProxyError::Syntax));
        assert_eq!(shown("http://a%0d:b@h"), Err(ProxyError::Login));
        let proxy = Proxy::parse("socks5://me:s%40fe@h").unwrap();
        assert!(!format!("{proxy:?}").contains("s@fe"));
        let (user, password) = proxy.login.unwrap();
        assert_eq!((user.as_str(), password.expose()), ("me", &b"s@fe"[..]));
    }
}
