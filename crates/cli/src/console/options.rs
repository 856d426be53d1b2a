//! `set` and `unset`: options that hold a text.

use std::collections::BTreeMap;

use anyhow::bail;
use port21_client::Proxy;

use super::words::Words;
use super::{Console, Flow};
use crate::exit::Fault;

/// The options of the console: their names, the variable of the environment that gives the default, and the default where
/// that is not set.
pub(super) const OPTIONS: [(&str, &str, &str); 5] = [
    ("anonpass", "FTPANONPASS", "anonymous@"),
    ("ftp_proxy", "ftp_proxy", ""),
    ("no_proxy", "no_proxy", ""),
    ("pager", "PAGER", "more"),
    ("prompt", "FTPPROMPT", "port21> "),
];

/// What the user has set.
#[derive(Default)]
pub(super) struct Options {
    set: BTreeMap<&'static str, String>,
}

impl Options {
    /// The value of an option; empty where it has none.
    pub(super) fn get(&self, name: &str) -> String {
        if let Some(value) = self.set.get(name) {
            return value.clone();
        }
        let Some((_, variable, default)) = OPTIONS.iter().find(|(option, ..)| *option == name) else {
            return String::new();
        };
        std::env::var(variable).ok().filter(|value| !value.is_empty()).unwrap_or_else(|| (*default).to_owned())
    }

    /// What the user himself has set.
    pub(super) fn chosen(&self, name: &str) -> Option<&str> {
        self.set.get(name).map(String::as_str)
    }
}

/// `set [OPTION VALUE]`.
pub(super) async fn set(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    match words.list.as_slice() {
        [] => {
            for (name, ..) in OPTIONS {
                let value = console.options.get(name);
                console.out.line(format!("{name:<12}{}", without_password(name, &value)).trim_end());
            }
        }
        [name] => bail!(Fault::usage(format!("usage: set {name} VALUE; unset {name} takes it away"))),
        [name, value @ ..] => {
            let name = known(name)?;
            let value = value.join(" ");
            if name == "ftp_proxy" && !value.is_empty() {
                Proxy::parse(&value).map_err(|error| Fault::usage(format!("ftp_proxy: {error}")))?;
            }
            console.options.set.insert(name, value);
        }
    }
    Ok(Flow::Continue)
}

pub(super) async fn unset(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    console.options.set.insert(known(words.first())?, String::new());
    Ok(Flow::Continue)
}

fn known(name: &str) -> anyhow::Result<&'static str> {
    match (name, OPTIONS.iter().find(|(option, ..)| *option == name)) {
        (_, Some((option, ..))) => Ok(option),
        ("http_proxy" | "https_proxy", _) => {
            bail!(Fault::usage(format!("{name}: port21 fetches nothing by HTTP, for which it would be")))
        }
        ("rprompt", _) => bail!(Fault::usage("rprompt: the line editor has no place for it; see `help set`")),
        _ => bail!(Fault::usage(format!("No such option `{name}'."))),
    }
}

/// The password in a proxy's URL is nobody's to see.
fn without_password(name: &str, value: &str) -> String {
    match (name, value.split_once("://"), value.rsplit_once('@')) {
        ("ftp_proxy", Some((scheme, _)), Some((_, host))) => format!("{scheme}://***@{host}"),
        _ => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::console;

    #[tokio::test]
    async fn options_are_set_shown_and_unset() {
        let (mut console, memory) = console();
        for line in ["set prompt \"x y> \"", "set ftp_proxy http://me:hunter2@proxy", "unset pager", "set"] {
            console.run_line(line).await.unwrap();
        }
        let text = memory.text();
        assert!(text.contains("prompt      x y>\n") && text.contains("pager\n"), "{text}");
        assert!(text.contains("http://***@proxy") && !text.contains("hunter2"), "{text}");
        for (line, want) in [
            ("set foo bar", "No such option `foo'."),
            ("set prompt", "set prompt VALUE"),
            ("set http_proxy x", "HTTP"),
            ("set rprompt x", "line editor"),
            ("set ftp_proxy gopher://x", "ftp_proxy"),
            ("unset foo", "No such option"),
        ] {
            let error = console.run_line(line).await.unwrap_err();
            assert!(error.to_string().contains(want), "{line}: {error}");
        }
    }
}
