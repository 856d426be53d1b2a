//! Macros: `macdef` defines one line by line, `$` runs it; those of ~/.netrc come with a login.

use anyhow::{Context as _, bail};

use super::words::Words;
use super::{Console, Flow};
use crate::exit::{Fault, sentence};

/// How deep macros may run macros.
const MOST_NESTED: u32 = 16;

/// All text of all macros; a definition that does not end is no macro.
const MOST_TEXT: usize = 1 << 20;

/// The macros that are defined, and the one that is being defined.
#[derive(Default)]
pub(super) struct Macros {
    defined: Vec<(String, Vec<String>)>,
    defining: Option<(String, Vec<String>)>,
    /// How many are being run, one from within the other.
    running: u32,
}

impl Macros {
    /// Whether the next line belongs to a definition.
    pub(super) fn is_defining(&self) -> bool {
        self.defining.is_some()
    }

    /// Takes a line of the definition; an empty one ends it.
    pub(super) fn take(&mut self, line: &str) -> Result<(), Fault> {
        let Some((name, mut lines)) = self.defining.take() else { return Ok(()) };
        if line.is_empty() {
            self.define(name, lines);
            return Ok(());
        }
        let held = self.defined.iter().flat_map(|(_, lines)| lines).chain(&lines).map(String::len).sum::<usize>();
        if held + line.len() > MOST_TEXT {
            return Err(Fault::usage(format!("macros of more than {MOST_TEXT} bytes: {name} is not defined")));
        }
        lines.push(line.to_owned());
        self.defining = Some((name, lines));
        Ok(())
    }

    /// Defines a macro; one of that name is replaced.
    pub(super) fn define(&mut self, name: String, lines: Vec<String>) {
        self.defined.retain(|(other, _)| *other != name);
        self.defined.push((name, lines));
    }

    /// A line was given up: no macro runs any more.
    pub(super) fn settle(&mut self) {
        self.running = 0;
    }

    pub(super) fn forget_all(&mut self) {
        self.defined.clear();
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.defined.iter().map(|(name, _)| name.clone()).collect()
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.defined.iter().any(|(other, _)| other == name)
    }

    fn lines(&self, name: &str) -> Result<Vec<String>, Fault> {
        let found = self.defined.iter().find(|(other, _)| other == name).map(|(_, lines)| lines.clone());
        found.ok_or_else(|| Fault::usage(format!("'{name}' macro not found.")))
    }
}

/// `macdef NAME`: the lines that follow, up to an empty one.
pub(super) async fn macdef(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    if console.interactive {
        console.out.line("Enter macro line by line, terminating it with a null line");
    }
    console.macros.defining = Some((words.first().to_owned(), Vec::new()));
    Ok(Flow::Continue)
}

/// `$ NAME [ARGUMENT...]`. The first line that fails ends it, unless it begins with `-`.
pub(super) async fn run(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    let Some((name, arguments)) = words.list.split_first() else { bail!(Fault::usage("usage: $ NAME [ARGUMENT...]")) };
    let lines = console.macros.lines(name)?;
    if console.macros.running >= MOST_NESTED {
        bail!(Fault::usage(format!("{name}: macros run each other without an end")));
    }
    console.macros.running += 1;
    let done = run_lines(console, name, &lines, arguments).await;
    console.macros.running = console.macros.running.saturating_sub(1);
    done
}

async fn run_lines(console: &mut Console, name: &str, lines: &[String], arguments: &[String]) -> anyhow::Result<Flow> {
    let loops = lines.iter().any(|line| expanded(line, arguments, 0).1);
    for turn in 0..if loops { arguments.len() } else { 1 } {
        for line in lines {
            let (line, _) = expanded(line, arguments, turn);
            let line = line.trim_start();
            if console.replies.is_on() {
                console.out.line(line);
            }
            let (line, may_fail) = line.strip_prefix('-').map_or((line, false), |line| (line, true));
            match console.run_one(line).await {
                Ok(Flow::Continue) => {}
                Ok(Flow::End) => return Ok(Flow::End),
                Err(error) if may_fail => console.out.line(sentence(&error)),
                // The command alone: its arguments may hold a password.
                Err(error) => {
                    let command = line.split_whitespace().next().unwrap_or_default().to_owned();
                    return Err(error).with_context(|| format!("${name}: {command}"));
                }
            }
        }
    }
    Ok(Flow::Continue)
}

/// A line with its arguments: `$1` and so on, `$i` for that of this turn, `\` before what is itself. Whether it has a `$i`.
fn expanded(line: &str, arguments: &[String], turn: usize) -> (String, bool) {
    let (mut out, mut loops) = (String::new(), false);
    let mut rest = line.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\\' => out.extend(rest.next()),
            '$' if rest.peek() == Some(&'i') => {
                rest.next();
                loops = true;
                out += arguments.get(turn).map_or("", String::as_str);
            }
            '$' if rest.peek().is_some_and(char::is_ascii_digit) => {
                let mut number = 0usize;
                while let Some(digit) = rest.peek().and_then(|digit| digit.to_digit(10)) {
                    rest.next();
                    number = number.saturating_mul(10).saturating_add(digit as usize);
                }
                out += number.checked_sub(1).and_then(|at| arguments.get(at)).map_or("", String::as_str);
            }
            c => out.push(c),
        }
    }
    (out, loops)
}

#[cfg(test)]
mod tests {
    use super::super::tests::console;
    use super::*;

    #[test]
    fn arguments_of_macros() {
        let arguments = ["one".to_owned(), "two".to_owned()];
        let text = |line: &str| expanded(line, &arguments, 1).0;
        assert_eq!(text("put $1 $2$3 \\$1 $x \\\\"), "put one two $1 $x \\");
        assert_eq!(text("get $i"), "get two");
        assert_eq!((expanded("$1", &arguments, 0).1, expanded("a $i", &arguments, 0).1), (false, true));
    }

    #[tokio::test]
    async fn macros_are_defined_and_run() {
        let (mut console, memory) = console();
        let lines = [
            "macdef both",
            "  type $1",
            "-frobnicate",
            "type",
            "",
            "macdef each",
            "type $i",
            "type",
            "",
            "$both ascii",
        ];
        for line in lines {
            console.run_line(line).await.unwrap();
        }
        assert_eq!(memory.text(), "?Invalid command.\nUsing ascii mode to transfer files.\n");
        console.run_line("$ each ascii binary").await.unwrap();
        assert!(memory.text().ends_with("Using ascii mode to transfer files.\nUsing binary mode to transfer files.\n"));
        // A macro without arguments that loops over them does nothing.
        console.run_line("$ each").await.unwrap();
        assert!(console.run_line("$ nothing").await.unwrap_err().to_string().contains("macro not found"));
    }

    #[tokio::test]
    async fn a_macro_ends_at_the_line_that_fails_and_in_itself() {
        let (mut console, memory) = console();
        for line in ["macdef m", "lcd /nowhere/at/all", "bell", "", "macdef r", "$ r", ""] {
            console.run_line(line).await.unwrap();
        }
        let error = console.run_line("$ m").await.unwrap_err();
        assert!(error.to_string().starts_with("$m: lcd"), "{error}");
        assert_eq!(memory.text(), "");
        let error = console.run_line("$ r").await.unwrap_err();
        assert!(sentence(&error).contains("without an end"), "{error:#}");
        console.run_line("bell").await.unwrap();
    }
}
