//! `[[host]]`: further sites, which clients ask for by name (HOST, RFC 7151, or SNI).

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::mistake::Found;
use super::zone::ListZone;
use super::{Accounts, Anonymous, Authenticator, Certificate, Config, Site, User, accounts};

/// The keys of a table `[[host]]`; `host.toml` explains each.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Host {
    pub(crate) names: Vec<String>,
    pub(crate) root: PathBuf,
    #[serde(default)]
    pub(crate) greeting: Option<String>,
    #[serde(default)]
    pub(crate) host_name: Option<String>,
    #[serde(default)]
    pub(crate) list_time_zone: Option<ListZone>,
    #[serde(default)]
    pub(crate) anonymous: Anonymous,
    #[serde(default)]
    pub(crate) accounts: Accounts,
    #[serde(default)]
    pub(crate) user: Vec<User>,
    #[serde(default)]
    pub(crate) authenticator: Option<Authenticator>,
    #[serde(default)]
    pub(crate) certificate: Option<Certificate>,
}

impl Host {
    /// The name that it is known by.
    pub(crate) fn name(&self) -> &str {
        self.names.first().map(String::as_str).unwrap_or_default()
    }

    /// The settings of its sessions: what it does not say itself is as for all.
    pub(crate) fn config(&self, all: &Config) -> Config {
        Config {
            site: Site {
                names: self.names.clone(),
                root: Some(self.root.clone()),
                greeting: self.greeting.clone().unwrap_or_else(|| all.site.greeting.clone()),
                host_name: Some(self.host_name.clone().unwrap_or_else(|| self.name().to_owned())),
                list_time_zone: self.list_time_zone.clone().unwrap_or_else(|| all.site.list_time_zone.clone()),
            },
            anonymous: self.anonymous.clone(),
            accounts: self.accounts.clone(),
            users: self.user.clone(),
            // Not that of [site]: a program that does not look at the site would let everybody in everywhere.
            authenticator: self.authenticator.clone(),
            hosts: Vec::new(),
            is_host: true,
            ..all.clone()
        }
    }

    /// A file of accounts is looked for from the directory of the configuration; there is none unless one is named.
    pub(super) fn beside(&mut self, config: &Path) {
        if self.accounts.file.is_some() {
            self.accounts.beside(config);
        }
    }

    pub(super) fn check(&self, all: &Config, found: &mut Found<'_>) {
        if self.names.is_empty() {
            found.at("names", "name it: a client finds it by that alone");
        }
        self.config(all).site.check(found);
        self.anonymous.check(&mut found.within("anonymous"));
        all.limits.check_guests(&self.anonymous, &mut found.within("anonymous"));
        accounts::check_users(&self.user, &self.anonymous, found);
        if let Some(authenticator) = &self.authenticator {
            authenticator.check(&mut found.within("authenticator"));
        }
        if !self.config(all).has_anybody() {
            found.at("accounts", "nobody could log in: name a `file`, or set `enabled = true` in its `anonymous`");
        }
    }
}

/// Two sites of one name: the second would never be found.
pub(super) fn check_names(config: &Config, found: &mut Found<'_>) {
    let plain = |name: &String| name.trim_end_matches('.').to_ascii_lowercase();
    let mut known: Vec<String> = config.site.names.iter().map(plain).collect();
    for (at, host) in config.hosts.iter().enumerate() {
        let own: Vec<String> = host.names.iter().map(plain).collect();
        if let Some(name) = own.iter().find(|name| known.contains(name)) {
            found.nth("host", at).at("names", format!("{name} is the name of a site before this one"));
        }
        known.extend(own);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(host: &str) -> Vec<String> {
        let text = format!("[site]\nroot = \"/\"\nnames = [\"main.example\"]\n[[host]]\n{host}");
        let told = Config::parse(&text).err().unwrap_or_default();
        told.iter().map(|mistake| mistake.in_file("f")).collect()
    }

    #[test]
    fn mistakes_are_told_with_line_and_key() {
        let good = "names = [\"a.example\"]\nroot = \"/\"\nanonymous.enabled = true\n";
        assert_eq!(mistakes(good), Vec::<String>::new());
        for (host, line, key) in [
            (good.replace("a.example", "Main.example."), 5, "host.names"),
            (good.replace("\"a.example\"", ""), 5, "host.names"),
            (good.replace("a.example", "*.example"), 5, "host.names"),
            (good.replace("a.example", "::1"), 5, "host.names"),
            (good.replace("\"/\"", "\"/nowhere\""), 6, "host.root"),
            (good.replace("true", "false"), 4, "host.accounts"),
            (good.replace("[\"a.example\"]", "3"), 5, "host.names"),
            (format!("{good}anonymous.home = \"..\"\n"), 8, "host.anonymous.home"),
            (format!("{good}authenticator.program = [\"x\"]\n"), 8, "host.authenticator.program"),
            (format!("{good}greeting = \"a\\rb\"\n"), 8, "host.greeting"),
            (format!("{good}list-time-zone = \"Middle/Earth\"\n"), 8, "host.list-time-zone"),
            (format!("{good}[[host.user]]\nname = \"ftp\"\npassword = \"x\"\n"), 9, "host.user.name"),
            (format!("{good}[[host]]\n{good}"), 9, "host.names"),
        ] {
            let told = mistakes(&host);
            assert!(told.len() == 1 && told[0].starts_with(&format!("f:{line}: `{key}`: ")), "{host}: {told:?}");
        }
        let told = mistakes(&format!("{good}certificates = 1\n"));
        assert!(told.len() == 1 && told[0].starts_with("f:8: ") && told[0].contains("`host.certificates`"), "{told:?}");
        let told = mistakes("names = [\"a.example\"]\nanonymous.enabled = true\n");
        assert!(told.len() == 1 && told[0].contains("`root`"), "{told:?}");
    }

    #[test]
    fn what_a_host_does_not_say_is_as_for_all_but_for_who_may_log_in() {
        let text = "[site]\ngreeting = \"Hello\"\n[timeouts]\nidle = \"9s\"\n[accounts]\nwrite = true\n\
                    [authenticator]\nprogram = [\"/bin/true\"]\n[[user]]\n\
                    name = \"bob\"\npassword = \"x\"\n[[host]]\nnames = [\"a.example\"]\nroot = \"/\"\n\
                    accounts = { file = \"a.toml\" }\n[[host]]\nnames = [\"b.example\"]\nroot = \"/\"\n\
                    authenticator = { program = [\"/bin/false\"] }\n";
        let mut config = Config::of_file(Path::new("/etc/port21/port21.toml"), text).unwrap();
        config.site.names = vec!["main.example".to_owned()];
        let hosts: Vec<Config> = config.sites().skip(1).collect();
        let [host, asking] = hosts.as_slice() else { panic!("{hosts:?}") };
        let settings = host.settings();
        assert_eq!((settings.session.greeting.as_str(), settings.session.host.as_str()), ("Hello", "a.example"));
        assert_eq!(
            (host.timeouts.clone(), host.site.names.as_slice()),
            (config.timeouts, &["a.example".to_owned()][..])
        );
        assert_eq!(asking.authenticator.as_ref().map(|it| it.program.as_slice()), Some(&["/bin/false".to_owned()][..]));
        assert!(host.users.is_empty() && !host.accounts.write && host.authenticator.is_none());
        assert_eq!(host.accounts.file.as_deref(), Some(Path::new("/etc/port21/a.toml")));
    }
}
