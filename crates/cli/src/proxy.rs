//! Which proxy leads to a server: as --proxy says, else as the environment does.

use std::env::VarError;
use std::net::IpAddr;

use port21_client::{Proxy, TlsMode};

use crate::exit::Fault;
use crate::place::Place;

/// The proxy for a place. What --proxy names is used for every server; what the environment names is not for those in
/// `no_proxy`.
pub(crate) fn find(flag: Option<&str>, place: &Place) -> anyhow::Result<Option<Proxy>> {
    choose(flag, place, &|name| match std::env::var(name) {
        Ok(value) => Some(value),
        Err(VarError::NotPresent) => None,
        // It is refused as a URL then.
        Err(VarError::NotUnicode(value)) => Some(value.to_string_lossy().into_owned()),
    })
}

fn choose(
    flag: Option<&str>,
    place: &Place,
    environment: &dyn Fn(&str) -> Option<String>,
) -> anyhow::Result<Option<Proxy>> {
    if let Some(url) = flag {
        let wrong = |error| Fault::usage(format!("--proxy: {error}"));
        return Ok(if is_none(url) { None } else { Some(Proxy::parse(url).map_err(wrong)?) });
    }
    // As curl and wget have it: small letters before capitals, an empty one as none.
    let read = |name: &str| environment(name).or_else(|| environment(&name.to_uppercase()));
    let names: &[&str] = match place.target.tls {
        TlsMode::Implicit => &["ftps_proxy", "ftp_proxy", "all_proxy"],
        TlsMode::Off | TlsMode::Explicit => &["ftp_proxy", "all_proxy"],
    };
    let Some((name, url)) = names.iter().find_map(|name| read(name).map(|url| (name, url))) else { return Ok(None) };
    if is_none(&url) || read("no_proxy").is_some_and(|list| is_exempt(&place.target.host, &list)) {
        return Ok(None);
    }
    let wrong = |error| Fault::usage(format!("{name} in the environment: {error}; --proxy none goes without"));
    Ok(Some(Proxy::parse(&url).map_err(wrong)?))
}

fn is_none(url: &str) -> bool {
    matches!(url.trim(), "" | "none")
}

/// Whether `no_proxy` names the host: `*` is every host; `example.org` and `.example.org` are that one and all below it; an
/// address is itself, and `192.0.2.0/24` all of a network.
pub(crate) fn is_exempt(host: &str, list: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let ip = host.parse::<IpAddr>().ok();
    list.split([',', ' ']).map(str::trim).filter(|entry| !entry.is_empty()).any(|entry| {
        let entry = entry.to_ascii_lowercase();
        match ip {
            _ if entry == "*" => true,
            Some(ip) => is_within(ip, &entry),
            None => {
                let domain = entry.trim_start_matches("*.").trim_matches('.');
                let above = host.strip_suffix(domain);
                !domain.is_empty() && above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
            }
        }
    })
}

fn is_within(ip: IpAddr, network: &str) -> bool {
    let (base, bits) = network.split_once('/').map_or((network, None), |(base, bits)| (base, Some(bits)));
    let Ok(base) = base.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() else { return false };
    let Some(bits) = bits else { return ip == base };
    let Ok(bits) = bits.parse::<u32>() else { return false };
    let same = |one: u128, other: u128, width: u32| {
        bits <= width && (bits == 0 || (one ^ other).checked_shr(width - bits).is_none_or(|rest| rest == 0))
    };
    match (ip, base) {
        (IpAddr::V4(ip), IpAddr::V4(base)) => same(u32::from(ip).into(), u32::from(base).into(), 32),
        (IpAddr::V6(ip), IpAddr::V6(base)) => same(ip.into(), base.into(), 128),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_that_need_no_proxy() {
        for (host, list, exempt) in [
            ("a.example.org", "*", true),
            ("a.example.org", "example.org", true),
            ("a.example.org", "x, .example.org", true),
            ("A.Example.ORG.", "*.example.org", true),
            ("example.org", ".example.org", true),
            ("anexample.org", "example.org", false),
            ("example.org", "a.example.org", false),
            ("example.org", "", false),
            ("example.org", ".", false),
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.0/24", true),
            ("192.0.3.7", "192.0.2.0/24", false),
            ("192.0.3.7", "0.0.0.0/0", true),
            ("192.0.3.7", "192.0.3.7/33", false),
            ("192.0.2.7", "2.7", false),
            ("2001:db8::1", "2001:db8::/32", true),
            ("2001:db8::1", "[2001:db8::1]", true),
            ("2001:db9::1", "2001:db8::/32", false),
        ] {
            assert_eq!(is_exempt(host, list), exempt, "{host} in {list}");
        }
    }

    #[test]
    fn the_flag_comes_before_the_environment() {
        let place = |url| Place::parse(url).unwrap();
        let choose = |flag, url, environment: &[(&str, &str)]| {
            let get = |name: &str| environment.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
            choose(flag, &place(url), &get).map(|proxy| proxy.map(|proxy| proxy.to_string()))
        };
        let all = ("ALL_PROXY", "socks5://all");
        assert_eq!(choose(None, "ftp://h/", &[]).unwrap(), None);
        assert_eq!(choose(None, "ftp://h/", &[all]).unwrap().unwrap(), "socks5://all:1080");
        assert_eq!(choose(None, "ftp://h/", &[all, ("ftp_proxy", "ftp:3128")]).unwrap().unwrap(), "http://ftp:3128");
        assert_eq!(choose(None, "ftp://h/", &[all, ("ftp_proxy", "")]).unwrap(), None);
        assert_eq!(
            choose(None, "ftps://h/", &[("FTPS_PROXY", "socks5h://s"), all]).unwrap().unwrap(),
            "socks5h://s:1080"
        );
        assert_eq!(choose(None, "ftp://h/", &[all, ("no_proxy", "h")]).unwrap(), None);
        let flag = Some("http://flag");
        assert_eq!(choose(flag, "ftp://h/", &[all, ("no_proxy", "h")]).unwrap().unwrap(), "http://flag:80");
        assert_eq!(choose(Some("none"), "ftp://h/", &[all]).unwrap(), None);
        let error = choose(None, "ftp://h/", &[("all_proxy", "https://me:secret@h")]).unwrap_err().to_string();
        assert!(error.contains("all_proxy") && !error.contains("secret"), "{error}");
        assert!(choose(Some("ftp://h"), "ftp://h/", &[]).is_err());
    }
}
