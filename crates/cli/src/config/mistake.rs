//! What is wrong in a configuration: every mistake with the line and the key, and not only the first.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

/// So many mistakes of one file are told.
const MAX_TOLD: usize = 50;

/// A setting that cannot be as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mistake {
    /// In the file, from 1; nothing where the setting does not come from there.
    line: Option<usize>,
    /// As `limits.connections`, `user[0].name`.
    key: Option<String>,
    text: String,
}

impl Mistake {
    /// Without a file: the setting came from a flag, or is a default.
    pub(crate) fn of_key(key: impl Into<String>, text: impl Into<String>) -> Mistake {
        Mistake { line: None, key: Some(key.into()), text: text.into() }
    }

    /// As set in this line of the file, where it is.
    pub(crate) fn at(self, line: Option<usize>) -> Mistake {
        Mistake { line, ..self }
    }

    /// The key that it is about, if any.
    pub(crate) fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// The line of the file, from 1, where it is known.
    pub(crate) fn line(&self) -> Option<usize> {
        self.line
    }

    /// In the file of this name: `FILE:LINE: sentence with the key`.
    pub(crate) fn in_file(&self, file: &str) -> String {
        match self.line {
            Some(line) => format!("{file}:{line}: {self}"),
            None => format!("{file}: {self}"),
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(key) = &self.key {
            // Which of the tables it is tells the line.
            let parts: Vec<&str> = key.split('.').map(|part| part.split('[').next().unwrap_or(part)).collect();
            write!(f, "`{}`: ", parts.join("."))?;
        }
        f.write_str(&self.text)
    }
}

/// Where the checks of a section put what they find.
pub(crate) struct Found<'a> {
    within: String,
    mistakes: &'a mut Vec<Mistake>,
}

impl<'a> Found<'a> {
    pub(crate) fn new(mistakes: &'a mut Vec<Mistake>) -> Found<'a> {
        Found { within: String::new(), mistakes }
    }

    /// For the checks of this section.
    pub(crate) fn within(&mut self, section: &str) -> Found<'_> {
        Found { within: format!("{}{section}.", self.within), mistakes: self.mistakes }
    }

    /// For the checks of a table of `[[section]]`.
    pub(crate) fn nth(&mut self, section: &str, at: usize) -> Found<'_> {
        self.within(&format!("{section}[{at}]"))
    }

    /// This key cannot be as it is, and what to do.
    pub(crate) fn at(&mut self, key: &str, text: impl Into<String>) {
        self.mistakes.push(Mistake::of_key(format!("{}{key}", self.within), text));
    }
}

/// The line that each setting of a file is in, for what is found out about it when the text is gone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lines(BTreeMap<String, usize>);

impl Lines {
    /// The line of a setting, or else of the table that it belongs in, from 1. Nothing of a file that does not have it.
    pub(crate) fn of(&self, key: &str) -> Option<usize> {
        std::iter::successors(Some(key), |key| key.rsplit_once('.').map(|(table, _)| table))
            .find_map(|key| self.0.get(key).copied())
    }

    /// What the file says of this does not count: the command line says it over it.
    pub(crate) fn forget(&mut self, key: &str) {
        self.0.retain(|known, _| {
            known.strip_prefix(key).is_none_or(|rest| !matches!(rest.get(..1), None | Some("." | "[")))
        });
    }
}

/// A file that was read: its text, and where in it everything is.
pub(crate) struct Document<'a> {
    text: &'a str,
    root: Spanned<DeTable<'a>>,
}

impl<'a> Document<'a> {
    /// Reads TOML.
    ///
    /// # Errors
    /// Where it is none.
    pub(crate) fn parse(text: &'a str) -> Result<Document<'a>, Vec<Mistake>> {
        let (root, errors) = DeTable::parse_recoverable(text);
        if errors.is_empty() {
            return Ok(Document { text, root });
        }
        let mut mistakes: Vec<Mistake> =
            errors.iter().take(MAX_TOLD).map(|error| mistake(text, error.span(), None, error.message())).collect();
        // What follows from the first mistake of a line is no further one.
        mistakes.dedup_by_key(|mistake| mistake.line);
        Err(mistakes)
    }

    /// The settings, and what is wrong with them: a key that cannot be read is left out, so that the rest is looked at
    /// too. No settings where more than keys had to be left out.
    pub(crate) fn settings<T: DeserializeOwned>(&self) -> (Option<T>, Vec<Mistake>) {
        let mut left = self.root.clone();
        let (mut mistakes, mut removed) = (Vec::<Mistake>::new(), Vec::new());
        let mut whole = true;
        while mistakes.len() < MAX_TOLD {
            let error = match T::deserialize(toml::Deserializer::from(left.clone())) {
                Ok(settings) => return (whole.then_some(settings), mistakes),
                Err(error) => error,
            };
            let Some(out) = error.span().and_then(|span| remove_at(left.get_mut(), span.start, "")) else {
                mistakes.push(mistake(self.text, error.span(), None, error.message()));
                break;
            };
            // A key that was left out is not missing.
            match removed.iter().position(|key: &String| is_missed(error.message(), &out, key)) {
                Some(at) => drop(removed.swap_remove(at)),
                None => mistakes.push(mistake(self.text, error.span(), Some(out.clone()), error.message())),
            }
            whole &= !out.ends_with(']');
            removed.push(out);
        }
        (None, mistakes)
    }

    /// Where everything is.
    pub(crate) fn lines(&self) -> Lines {
        let mut lines = Lines::default();
        self.lines_of(self.root.get_ref(), "", &mut lines);
        lines
    }

    fn lines_of(&self, table: &DeTable<'_>, within: &str, lines: &mut Lines) {
        for (key, value) in table {
            let path = format!("{within}{}", key.get_ref());
            lines.0.insert(path.clone(), line_at(self.text, key.span().start));
            match value.get_ref() {
                DeValue::Table(table) => self.lines_of(table, &format!("{path}."), lines),
                DeValue::Array(elements) => {
                    for (at, element) in elements.iter().enumerate() {
                        let path = format!("{path}[{at}]");
                        lines.0.insert(path.clone(), line_at(self.text, element.span().start));
                        if let DeValue::Table(table) = element.get_ref() {
                            self.lines_of(table, &format!("{path}."), lines);
                        }
                    }
                }
                _ => {}
            }
        }
    }

    /// Tells a mistake the line that its key is set in.
    pub(crate) fn locate(&self, mistake: Mistake) -> Mistake {
        let span = mistake.key.as_deref().and_then(|key| span_of(self.root.get_ref(), key));
        let line = mistake.line.or_else(|| span.map(|span| line_at(self.text, span.start)));
        Mistake { line, ..mistake }
    }
}

fn mistake(text: &str, span: Option<Range<usize>>, key: Option<String>, message: &str) -> Mistake {
    let message = message.lines().next().unwrap_or_default();
    let name = key.as_deref().map(|key| key.rsplit('.').next().unwrap_or(key)).unwrap_or_default().to_owned();
    let advice = match message {
        "invalid type: map, expected a sequence" => format!("there may be several of these: write [[{name}]]"),
        _ if message.starts_with("unexpected leading zero") => {
            format!("{message}; an octal number stands in quotes, such as \"022\"")
        }
        "duplicate key" => {
            let key = span.clone().and_then(|span| text.get(span)).unwrap_or_default();
            format!("`{key}` is there twice: leave one of them out")
        }
        _ => message.to_owned(),
    };
    // An unknown key is quoted by the message itself, which does not say of which section.
    let key = key.filter(|key| key.contains('.') || !advice.contains(&format!("`{name}`")));
    let advice = match key {
        Some(_) => advice.replacen(&format!("unknown field `{name}`, "), "there is no such key: ", 1),
        None => advice.replacen("unknown field", "there is no", 1).replacen(", expected", ": expected", 1),
    };
    Mistake { line: span.map(|span| line_at(text, span.start)), key, text: advice }
}

/// Whether what is wrong with the table is that it lacks this key.
fn is_missed(message: &str, table: &str, key: &str) -> bool {
    let name = key.strip_prefix(table).and_then(|rest| rest.strip_prefix('.'));
    name.is_some_and(|name| message == format!("missing field `{name}`"))
}

/// The line of a byte, from 1.
fn line_at(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|&b| b == b'\n').count() + 1
}

/// Takes out the smallest setting that reaches over the byte, a key or a table of `[[many]]`: its name.
fn remove_at(table: &mut DeTable<'_>, at: usize, within: &str) -> Option<String> {
    let covers = |span: Range<usize>| span.start <= at && at < span.end.max(span.start + 1);
    let mut here = None;
    for (key, value) in table.iter_mut() {
        let path = format!("{within}{}", key.get_ref());
        let inner = match value.get_mut() {
            DeValue::Table(table) => remove_at(table, at, &format!("{path}.")),
            DeValue::Array(elements) => remove_in(elements, at, &path),
            _ => None,
        };
        if inner.is_some() {
            return inner;
        }
        if covers(key.span()) || covers(value.span()) {
            here = Some((key.get_ref().to_string(), path));
        }
    }
    let (key, path) = here?;
    table.remove(key.as_str());
    Some(path)
}

fn remove_in(elements: &mut DeArray<'_>, at: usize, path: &str) -> Option<String> {
    for n in 0..elements.len() {
        let Some(element) = elements.get_mut(n) else { break };
        let span = element.span();
        let DeValue::Table(table) = element.get_mut() else { continue };
        if let Some(inner) = remove_at(table, at, &format!("{path}[{n}].")) {
            return Some(inner);
        }
        if span.contains(&at) {
            let mut rest = DeArray::new();
            elements.iter().enumerate().filter(|(at, _)| *at != n).for_each(|(_, element)| rest.push(element.clone()));
            *elements = rest;
            return Some(format!("{path}[{n}]"));
        }
    }
    None
}

/// Where a key is set, or else the table that it belongs in.
fn span_of(table: &DeTable<'_>, path: &str) -> Option<Range<usize>> {
    let (head, rest) = path.split_once('.').unwrap_or((path, ""));
    let (name, nth) = match head.strip_suffix(']').and_then(|head| head.split_once('[')) {
        Some((name, nth)) => (name, nth.parse::<usize>().ok()),
        None => (head, None),
    };
    let (key, value) = table.iter().find(|(key, _)| key.get_ref() == name)?;
    let (span, value) = match (value.get_ref(), nth) {
        (DeValue::Array(elements), Some(nth)) => {
            let element = elements.get(nth)?;
            (element.span(), element.get_ref())
        }
        (value, _) => (key.span(), value),
    };
    let inner = match value {
        DeValue::Table(table) if !rest.is_empty() => span_of(table, rest),
        _ => None,
    };
    Some(inner.unwrap_or(span))
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    fn mistakes(text: &str) -> Vec<String> {
        let told = match Document::parse(text) {
            Ok(document) => document.settings::<Config>().1,
            Err(mistakes) => mistakes,
        };
        told.iter().map(|mistake| mistake.in_file("f")).collect()
    }

    #[test]
    fn a_mistake_is_told_with_line_and_key() {
        for (text, start, key) in [
            ("[anonymous]\nenabled = true\n[lisen]\na = 1\n", "f:3: there is no `lisen`: expected one of `site`", ""),
            ("\n[timeouts]\nidle = \"soon\"\n", "f:3: `timeouts.idle`: `soon` is no duration", ""),
            ("[accounts]\nwrite = \"yes\"\n", "f:2: `accounts.write`: ", ""),
            (
                "[[listen]]\naddress = \":21\"\n[[listen]]\naddress = \"nowhere\"\n",
                "f:4: `listen.address`: `nowhere`",
                "",
            ),
            ("timeouts = 3\n", "f:1: `timeouts`: ", ""),
            ("a = = b", "f:1: ", ""),
            ("[timeouts]\nidle = \"1m\"\nidle = \"2m\"\n", "f:3: `idle` is there twice", ""),
            ("[log]\nlevel = \"info\"\n[log]\n", "f:3: ", "`log` is there twice"),
            ("[listen]\naddress = \":21\"\n", "f:1: `listen`: ", "write [[listen]]"),
            ("[uploads]\numask = 022\n", "f:2: ", "such as \"022\""),
            ("[metrics]\nlisten = \":9121\"\n", "f:2: `metrics.listen`: ", "127.0.0.1:9121"),
            ("[log]\nrot = 1\n", "f:2: `log.rot`: there is no such key: expected one of `level`", ""),
            ("[[user]]\nname = \"a\"\n", "f:1: ", "`password`"),
            ("[passive]\nlocal-networks = [\n  \"10.0.0.0/8\",\n  \"x\",\n]\n", "f:2: `passive.local-networks`: ", "x"),
        ] {
            let told = mistakes(text);
            assert_eq!(told.len(), 1, "{told:?}");
            assert!(told[0].starts_with(start) && told[0].contains(key), "{told:?}");
        }
    }

    #[test]
    fn every_mistake_is_told_and_not_only_the_first() {
        let told = mistakes(
            "[timeouts]\nidle = \"soon\"\nlogin = 3\nidel = 4\n[limits]\nconnections = -1\n[[user]]\nname = 3\npassword = \"x\"\n",
        );
        let starts: Vec<&str> = told.iter().filter_map(|line| line.split(' ').next()).collect();
        let mut lines = starts;
        lines.sort_unstable();
        assert_eq!(lines, ["f:2:", "f:4:", "f:6:", "f:8:"], "{told:?}");
    }

    #[test]
    fn a_check_is_told_with_the_line_of_its_key() {
        let text = "[site]\ngreeting = \"x\"\n\n[[user]]\nname = \"a\"\npassword = \"b\"\n[[user]]\npassword = \"c\"\n";
        let document = Document::parse(text).unwrap();
        for (key, line) in [("site.greeting", 2), ("user[1].password", 8), ("user[1].home", 7), ("site.root", 1)] {
            assert_eq!(document.locate(Mistake::of_key(key, "x")).line, Some(line), "{key}");
        }
        assert_eq!(document.locate(Mistake::of_key("limits.connections", "x")).line, None);
    }

    #[test]
    fn the_lines_are_known_when_the_text_is_gone() {
        let text = "[site]\ngreeting = \"x\"\n\n[[user]]\nname = \"a\"\n[[user]]\npassword = \"c\"\n";
        let mut lines = Document::parse(text).unwrap().lines();
        for (key, line) in [
            ("site.greeting", Some(2)),
            ("site.root", Some(1)),
            ("user[1].password", Some(7)),
            ("user[1].home", Some(6)),
            ("limits.connections", None),
        ] {
            assert_eq!(lines.of(key), line, "{key}");
        }
        lines.forget("user");
        lines.forget("site.greet");
        assert_eq!((lines.of("user[1].password"), lines.of("site.greeting")), (None, Some(2)));
    }
}
