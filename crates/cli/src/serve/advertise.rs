//! The address that PASV tells behind NAT: looked up by name, and again every few minutes.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::time::sleep;

use super::running::Running;
use crate::config::mistake::Mistake;
use crate::config::{Config, Passive};
use crate::exit::Fault;
use crate::helper::Helper;

/// The longest pause before a name that has not been found is looked up again: a machine may start before its network does.
const AGAIN: Duration = Duration::from_secs(10);

/// The address of `advertise`, where it can be found now. A name that cannot is told, and looked up again soon.
///
/// # Errors
/// Where it is an address that PASV cannot tell.
pub(super) async fn at_the_start(config: &Config, host: &str, helper: &Helper) -> anyhow::Result<Option<Ipv4Addr>> {
    match resolve(host, helper).await {
        Ok(ip) => Ok(Some(ip)),
        Err(error) if host.parse::<IpAddr>().is_ok() => Err(error),
        Err(error) => {
            tracing::warn!("{}", config.tell(not_found(&error)));
            Ok(None)
        }
    }
}

/// What is told where the name cannot be looked up.
pub(super) fn not_found(error: &anyhow::Error) -> Mistake {
    let text = format!("{error:#}: PASV tells the address that clients connect to, until this name can be looked up");
    Mistake::of_key("passive.advertise", text)
}

/// The IPv4 address of `advertise`: PASV has room for no other.
///
/// # Errors
/// Where the name cannot be looked up, or has no such address.
pub(super) async fn resolve(host: &str, helper: &Helper) -> anyhow::Result<Ipv4Addr> {
    let found = match host.parse() {
        Ok(ip) => vec![ip],
        Err(_) => helper.resolve(host).await.with_context(|| format!("cannot resolve {host}"))?,
    };
    let first = found.into_iter().find_map(|ip| match ip {
        IpAddr::V4(ip) => Some(ip),
        IpAddr::V6(_) => None,
    });
    match first {
        Some(ip) => Ok(ip),
        None => bail!(Fault::usage(format!("{host} has no IPv4 address, and PASV can tell no other"))),
    }
}

/// Looks the name up again and again, soon where it has not been found yet. Where that fails, the last address that was found
/// stays.
pub(super) async fn keep_looking_up(running: Arc<Running>) {
    let mut last = None;
    loop {
        let Passive { advertise, advertise_every, .. } = running.config().passive;
        let is_missing = advertise.is_some() && running.handle.advertised().is_none();
        sleep(if is_missing { advertise_every.min(AGAIN) } else { advertise_every }).await;
        // As it is now: a reload may have changed it.
        let Some(host) = running.config().passive.advertise else { continue };
        if host.parse::<IpAddr>().is_ok() {
            continue;
        }
        match resolve(&host, running.helper()).await {
            // It may have been taken out meanwhile.
            Ok(ip) if running.config().passive.advertise.as_ref() == Some(&host) => {
                if last != Some(ip) {
                    tracing::info!(%host, %ip, "the address that PASV tells to peers beyond NAT");
                }
                last = Some(ip);
                running.handle.advertise(Some(ip));
            }
            Ok(_) => {}
            Err(error) => {
                let known = running.handle.advertised().map(|known| known.to_string());
                let error = format!("{error:#}");
                tracing::warn!(%host, error, known, "what PASV tells to peers beyond NAT stays as it is");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;

    #[tokio::test]
    async fn an_address_to_advertise() {
        assert_eq!(resolve("192.0.2.7", &Helper::default()).await.unwrap(), Ipv4Addr::new(192, 0, 2, 7));
        assert_eq!(Exit::of(&resolve("2001:db8::1", &Helper::default()).await.unwrap_err()), Exit::Usage);
        let config = Config::default();
        assert!(at_the_start(&config, "2001:db8::1", &Helper::default()).await.is_err());
        // Not found is not found yet.
        assert_eq!(at_the_start(&config, "nowhere.invalid", &Helper::default()).await.unwrap(), None);
    }
}
