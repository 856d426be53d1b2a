//! A console's line as words: blanks part them, quotes (`"`) and backslashes keep them together.

use std::fmt;

/// The words of a line, and what it was made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Words {
    /// The words, without quotes.
    pub(crate) list: Vec<String>,
    /// All behind the first word, as it was written.
    pub(crate) rest: String,
    /// The line, as it was written; without `&`, where that ended it.
    pub(crate) line: String,
    /// The command is to run in the background.
    pub(crate) background: bool,
}

impl Words {
    /// The first word, empty where there is none.
    pub(crate) fn first(&self) -> &str {
        self.list.first().map_or("", String::as_str)
    }

    /// Takes the `&` from the end of the line, where there is one that is a word of its own.
    pub(crate) fn take_background(&mut self) {
        let bare = |text: &str| {
            let rest = text.strip_suffix('&').filter(|rest| rest.is_empty() || rest.ends_with(char::is_whitespace));
            rest.map(|rest| rest.trim_end().to_owned())
        };
        if self.list.last().is_some_and(|word| word == "&")
            && let (Some(line), Some(rest)) = (bare(&self.line), bare(&self.rest))
        {
            self.list.pop();
            (self.line, self.rest, self.background) = (line, rest, true);
        }
    }
}

/// A quote that is opened and not closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OpenQuote;

impl fmt::Display for OpenQuote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a quote \" is opened and not closed: write \\\" for the character itself")
    }
}

impl std::error::Error for OpenQuote {}

/// Splits a line. Within `"..."` a backslash keeps `"` and `\`; elsewhere it keeps any character. A `'` is a character as
/// any other: names have it.
pub(crate) fn split(line: &str) -> Result<Words, OpenQuote> {
    let line = line.trim();
    let rest = line.split_once(char::is_whitespace).map_or("", |(_, rest)| rest.trim_start()).to_owned();
    let (mut list, last) = scan(line)?;
    list.extend(last.filter(|last| last.begun).map(|last| last.text));
    Ok(Words { list, rest, line: line.to_owned(), background: false })
}

/// The word that stands at the end of an unfinished line, for completion.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Unfinished {
    /// How many words stand before it.
    pub(crate) before: usize,
    /// The first word of the line, where it is not the unfinished one.
    pub(crate) command: Option<String>,
    /// Its text, without quotes.
    pub(crate) text: String,
    /// Where it begins in the line, with its quote.
    pub(crate) start: usize,
}

/// The last word of a line that is still being typed; empty where a new one would begin.
pub(crate) fn unfinished(line: &str) -> Unfinished {
    let (words, last) = match scan(line) {
        Ok(scanned) => scanned,
        // An open quote is closed by what is typed next.
        Err(OpenQuote) => scan(&format!("{line}\"")).unwrap_or_default(),
    };
    let last = last.filter(|last| last.begun);
    let start = last.as_ref().map_or(line.len(), |last| last.start);
    let text = last.map(|last| last.text).unwrap_or_default();
    Unfinished { before: words.len(), command: words.into_iter().next(), text, start }
}

/// A name so written that it is one word again.
pub(crate) fn quoted(name: &str) -> String {
    let plain = |c: char| !c.is_whitespace() && !matches!(c, '"' | '\\');
    if !name.is_empty() && name.chars().all(plain) {
        return name.to_owned();
    }
    let mut out = String::from("\"");
    for c in name.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}

#[derive(Default)]
struct Last {
    text: String,
    start: usize,
    begun: bool,
}

/// The words that a blank has ended, and the one at the end of the line.
fn scan(line: &str) -> Result<(Vec<String>, Option<Last>), OpenQuote> {
    let mut words = Vec::new();
    let mut word = Last::default();
    let mut quoted = false;
    let mut chars = line.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if c.is_whitespace() && !quoted {
            if word.begun {
                words.push(std::mem::take(&mut word).text);
            }
            continue;
        }
        if !word.begun {
            word.begun = true;
            word.start = at;
        }
        match c {
            '"' => quoted = !quoted,
            '\\' if quoted => {
                let kept = chars.next_if(|(_, next)| matches!(next, '"' | '\\'));
                word.text.push(kept.map_or('\\', |(_, kept)| kept));
            }
            '\\' => word.text.push(chars.next().map_or('\\', |(_, kept)| kept)),
            c => word.text.push(c),
        }
    }
    if quoted { Err(OpenQuote) } else { Ok((words, Some(word))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(line: &str) -> Vec<String> {
        split(line).unwrap().list
    }

    #[test]
    fn words_and_quotes() {
        assert_eq!(list("  get  a.txt b "), ["get", "a.txt", "b"]);
        assert_eq!(list(r#"get "a b.txt" it's e\ f"#), ["get", "a b.txt", "it's", "e f"]);
        assert_eq!(list(r#"put "a\"b\\c\d" """#), ["put", r#"a"b\c\d"#, ""]);
        assert_eq!(list("x\"y\"z"), ["xyz"]);
        assert!(list("").is_empty());
        assert_eq!(list(r"a\"), [r"a\"]);
    }

    #[test]
    fn an_open_quote_is_an_error() {
        assert_eq!(split("get \"a b"), Err(OpenQuote));
    }

    #[test]
    fn the_rest_is_kept_as_it_was_written() {
        assert_eq!(split("quote SITE  CHMOD 644 \"a b\"").unwrap().rest, "SITE  CHMOD 644 \"a b\"");
        assert_eq!(split("bye").unwrap().rest, "");
    }

    #[test]
    fn a_bare_ampersand_at_the_end() {
        let words = |line: &str| {
            let mut words = split(line).unwrap();
            words.take_background();
            (words.list.len(), words.line, words.rest, words.background)
        };
        assert_eq!(words("get a &"), (2, "get a".to_owned(), "a".to_owned(), true));
        assert_eq!(words("jobs &"), (1, "jobs".to_owned(), String::new(), true));
        for line in ["get a&", "get \"&\"", "get \\&"] {
            assert!(!words(line).3, "{line}");
        }
    }

    #[test]
    fn the_word_being_typed() {
        let word = |line| {
            let word = unfinished(line);
            (word.before, word.text, word.start)
        };
        assert_eq!(word("ge"), (0, "ge".to_owned(), 0));
        assert_eq!(word("get "), (1, String::new(), 4));
        assert_eq!(word("get pub/re"), (1, "pub/re".to_owned(), 4));
        assert_eq!(word("get \"pub/a b"), (1, "pub/a b".to_owned(), 4));
        assert_eq!(unfinished("get a").command.as_deref(), Some("get"));
    }

    #[test]
    fn quoted_names_are_one_word_again() {
        for name in ["a", "a b", "it's", "say \"hi\"", r"back\slash", "", "größe 日本"] {
            assert_eq!(list(&quoted(name)), [name], "{name}");
        }
    }
}
