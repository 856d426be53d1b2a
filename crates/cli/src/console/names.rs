//! What becomes of names on their way between the two sides: `case`, `ntrans`, `nmap`; and `runique`.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use anyhow::bail;
use port21_proto::text::Shown;

use super::words::Words;
use super::{Console, Flow};
use crate::exit::{Exit, Fault};

/// How many numbers `runique` tries behind a name.
const MOST_NUMBERS: u32 = 99;

/// What becomes of names.
#[derive(Clone, Default)]
pub(super) struct Names {
    /// Names of the server without small letters get them here.
    pub(super) case: bool,
    /// Characters, and what each becomes; one without a partner is left out.
    translation: Option<(Vec<char>, Vec<char>)>,
    mapping: Option<(String, String)>,
}

impl Names {
    /// The name here of a file that is called so at the server.
    pub(super) fn here(&self, name: &[u8]) -> anyhow::Result<Vec<u8>> {
        let Ok(text) = std::str::from_utf8(name) else { return Ok(name.to_vec()) };
        let lower = self.case && !text.chars().any(char::is_lowercase);
        let text = if lower { text.to_lowercase() } else { text.to_owned() };
        let name = self.changed(&text)?;
        // What the mapping makes of a name must not lead elsewhere, unless the user's own pattern says so.
        match name.rsplit('/').next() {
            None | Some("" | "." | "..") => bail!(Fault::new(
                Exit::Local,
                format!("{} would become {:?}, which is no name of a file", Shown(text.as_bytes()), name)
            )),
            Some(_) => Ok(name.into_bytes()),
        }
    }

    /// The name at the server of a file that is called so here.
    pub(super) fn there(&self, name: &[u8]) -> anyhow::Result<Vec<u8>> {
        let Ok(text) = std::str::from_utf8(name) else { return Ok(name.to_vec()) };
        Ok(self.changed(text)?.into_bytes())
    }

    fn changed(&self, name: &str) -> anyhow::Result<String> {
        let mut name = name.to_owned();
        if let Some((from, to)) = &self.translation {
            let change = |c: char| match from.iter().position(|of| *of == c) {
                Some(at) => to.get(at).copied(),
                None => Some(c),
            };
            name = name.chars().filter_map(change).collect();
        }
        if let Some((pattern, template)) = &self.mapping {
            name = filled(template, &name, &values(pattern, &name))?;
        }
        Ok(name)
    }

    /// The lines that `status` shows of it.
    pub(super) fn lines(&self) -> [String; 2] {
        let text = |chars: &[char]| chars.iter().collect::<String>();
        let translation = match &self.translation {
            Some((from, to)) => format!("Ntrans: (in) {} (out) {}", text(from), text(to)),
            None => "Ntrans: off.".to_owned(),
        };
        let mapping = match &self.mapping {
            Some((pattern, template)) => format!("Nmap: (in) {pattern} (out) {template}"),
            None => "Nmap: off.".to_owned(),
        };
        [translation, mapping]
    }
}

/// `ntrans [INCHARS [OUTCHARS]]`.
pub(super) async fn ntrans(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    let chars = |at: usize| words.list.get(at).map(|word| word.chars().collect::<Vec<char>>()).unwrap_or_default();
    console.settings.names.translation = (!words.list.is_empty()).then(|| (chars(0), chars(1)));
    if words.list.is_empty() {
        console.out.line("Ntrans off.");
    }
    Ok(Flow::Continue)
}

/// `nmap [INPATTERN OUTPATTERN]`: the second may have blanks in it.
pub(super) async fn nmap(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    let Some((pattern, template)) = words.rest.split_once(char::is_whitespace) else {
        if !words.list.is_empty() {
            bail!(Fault::usage("usage: nmap [INPATTERN OUTPATTERN]"));
        }
        console.settings.names.mapping = None;
        console.out.line("Nmap off.");
        return Ok(Flow::Continue);
    };
    let (pattern, template) = (pattern.to_owned(), template.trim().to_owned());
    // A template that cannot be filled is found now, not at the first file.
    filled(&template, "", &Values::default())?;
    console.settings.names.mapping = Some((pattern, template));
    Ok(Flow::Continue)
}

/// The values of `$1` to `$9`.
type Values = [Option<String>; 9];

fn value<'a>(digit: char, name: &'a str, values: &'a Values) -> Option<&'a str> {
    match digit.to_digit(10)? {
        0 => Some(name),
        number => values.get(number as usize - 1)?.as_deref(),
    }
}

/// What the parts of a name are, by a pattern: each `$n` goes up to the character behind it in the pattern. What does not fit
/// any more leaves the rest without values.
fn values(pattern: &str, name: &str) -> Values {
    let mut values = Values::default();
    let (mut pattern, mut rest) = (pattern.chars().peekable(), name);
    while let Some(c) = pattern.next() {
        let number = (c == '$').then(|| pattern.peek().and_then(|digit| digit.to_digit(10))).flatten();
        if let Some(number @ 1..=9) = number {
            pattern.next();
            let stop = pattern.peek().copied();
            let end = stop.and_then(|stop| rest.find(stop)).unwrap_or(rest.len());
            let (value, behind) = rest.split_at(end);
            if let Some(slot) = values.get_mut(number as usize - 1).filter(|_| !value.is_empty()) {
                *slot = Some(value.to_owned());
            }
            rest = behind;
            continue;
        }
        let literal = if c == '\\' { pattern.next().unwrap_or('\\') } else { c };
        match rest.strip_prefix(literal) {
            Some(behind) => rest = behind,
            None => break,
        }
    }
    values
}

/// A template with its values: `$n`, `[FIRST,SECOND]` for the first where that is something, `\` before what is itself. A name
/// for which nothing is left stays as it was.
fn filled(template: &str, name: &str, values: &Values) -> Result<String, Fault> {
    let mut out = String::new();
    let mut rest = template.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\\' => out.extend(rest.next()),
            '$' if rest.peek().is_some_and(char::is_ascii_digit) => {
                let digit = rest.next().unwrap_or('0');
                out += value(digit, name, values).unwrap_or_default();
            }
            '[' => out += &choice(&mut rest, name, values)?,
            c => out.push(c),
        }
    }
    Ok(if out.is_empty() { name.to_owned() } else { out })
}

/// The first of the alternatives up to `]` that is something.
fn choice(rest: &mut std::iter::Peekable<std::str::Chars<'_>>, name: &str, values: &Values) -> Result<String, Fault> {
    let (mut chosen, mut current) = (String::new(), String::new());
    loop {
        match rest.next() {
            None => return Err(Fault::usage("nmap: unbalanced brackets.")),
            Some(end @ (',' | ']')) => {
                if chosen.is_empty() {
                    chosen = std::mem::take(&mut current);
                }
                current.clear();
                if end == ']' {
                    return Ok(chosen);
                }
            }
            Some('\\') => current.extend(rest.next()),
            Some('$') if rest.peek().is_some_and(char::is_ascii_digit) => {
                let digit = rest.next().unwrap_or('0');
                current += value(digit, name, values).unwrap_or_default();
            }
            Some(c) => current.push(c),
        }
    }
}

/// `runique`: the name, or the first of NAME.1 to NAME.99 that is not taken.
pub(super) fn unique(path: PathBuf, taken: &HashSet<PathBuf>) -> anyhow::Result<PathBuf> {
    let is_free = |path: &Path| path.symlink_metadata().is_err() && !taken.contains(path);
    if is_free(&path) {
        return Ok(path);
    }
    let numbered = |number: u32| {
        let mut name = path.clone().into_os_string().into_vec();
        name.extend_from_slice(format!(".{number}").as_bytes());
        PathBuf::from(OsStr::from_bytes(&name))
    };
    match (1..=MOST_NUMBERS).map(numbered).find(|path| is_free(path)) {
        Some(free) => Ok(free),
        None => bail!(Fault::new(Exit::Local, format!("runique: can't find unique file name for {}", path.display()))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::console;
    use super::*;

    fn mapped(pattern: &str, template: &str, name: &str) -> String {
        filled(template, name, &values(pattern, name)).unwrap()
    }

    #[test]
    fn the_manuals_examples_of_nmap() {
        let map = |name| mapped("$1.$2.$3", "[$1,$2].[$2,file]", name);
        assert_eq!(map("myfile.data"), "myfile.data");
        assert_eq!(map("myfile.data.old"), "myfile.data");
        assert_eq!(map("myfile"), "myfile.file");
        assert_eq!(map(".myfile"), "myfile.myfile");
        assert_eq!(mapped("$1.$2", "$2 is of $1, $0", "mydata.data"), "data is of mydata, mydata.data");
        assert_eq!(mapped(r"\$$1", r"\$\[\]$1", "$x"), "$[]x");
        // Nothing is left: the name stays.
        assert_eq!(mapped("x$1", "$1", "name"), "name");
        assert!(filled("[$1,x", "n", &Values::default()).is_err());
    }

    #[tokio::test]
    async fn names_change_in_the_order_of_ftp() {
        let (mut console, memory) = console();
        for line in ["case", "ntrans ;_x ~", "nmap $1.$2 $2.$1"] {
            console.run_line(line).await.unwrap();
        }
        let names = console.settings.names.clone();
        assert_eq!(names.here(b"READ;ME_.TXT").unwrap(), b"tt.read~me");
        assert_eq!(names.here(b"Mixed.A").unwrap(), b"A.Mied");
        assert_eq!(names.there(b"UP;.T").unwrap(), b"T.UP~");
        assert_eq!(names.here(b"\xff.x").unwrap(), b"\xff.x");
        for line in ["ntrans", "nmap"] {
            console.run_line(line).await.unwrap();
        }
        assert_eq!(memory.text(), "Case mapping on.\nNtrans off.\nNmap off.\n");
        assert!(console.run_line("nmap $1").await.is_err());
        assert!(console.run_line("nmap $1 [$1").await.is_err());
    }

    #[tokio::test]
    async fn no_mapping_leads_out_of_the_directory() {
        let (mut console, _) = console();
        console.run_line("ntrans x").await.unwrap();
        assert!(console.settings.names.here(b".x.").is_err());
        assert!(console.settings.names.here(b"x").is_err());
    }

    #[test]
    fn unique_names() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        assert_eq!(unique(path.clone(), &HashSet::new()).unwrap(), path);
        std::fs::write(&path, "").unwrap();
        let taken = HashSet::from([dir.path().join("a.1")]);
        assert_eq!(unique(path.clone(), &taken).unwrap(), dir.path().join("a.2"));
        for number in 1..=MOST_NUMBERS {
            std::fs::write(dir.path().join(format!("a.{number}")), "").unwrap();
        }
        assert!(unique(path, &HashSet::new()).is_err());
    }
}
