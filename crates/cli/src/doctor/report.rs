//! What was tried and what came of it: a row each, for people and as JSON.

use std::fmt::Write as _;
use std::time::Duration;

use port21_proto::text::Shown;
use serde_json::{Value, json};

use crate::exit::Exit;
use crate::units::show_duration;

/// The columns that a cause is written in.
const WIDTH: usize = 100;
const INDENT: &str = "        ";

/// One step, and what came of it.
#[derive(Debug)]
pub(super) struct Check {
    /// Which step: `resolve`, `EPSV`.
    pub(super) step: &'static str,
    pub(super) outcome: Outcome,
    pub(super) took: Option<Duration>,
    /// What was found, in one line. It may hold what the server said.
    pub(super) found: String,
    pub(super) cause: Option<Cause>,
}

/// What came of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Passed,
    /// It works, or nobody needs it here; but others will meet with it.
    Noticed,
    Failed(Exit),
    NotTried,
}

/// Why a step did not pass, and what can be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cause {
    pub(super) side: Side,
    /// Who owes what to whom, and why it does not come.
    pub(super) text: String,
    /// What to change, and where.
    pub(super) advice: String,
}

/// Where the cause is to be looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// The server, or its configuration.
    Server,
    /// This machine, or how the program was called.
    Client,
    /// What is between: firewalls, NAT, routers.
    Between,
}

/// All that was tried, in order.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) checks: Vec<Check>,
}

impl Check {
    pub(super) fn new(step: &'static str, outcome: Outcome, took: Option<Duration>, found: impl Into<String>) -> Check {
        Check { step, outcome, took, found: found.into(), cause: None }
    }

    pub(super) fn because(mut self, cause: Cause) -> Check {
        self.cause = Some(cause);
        self
    }

    /// The row, and below it the cause.
    pub(super) fn row(&self) -> String {
        let took = self.took.map(show).unwrap_or_default();
        let found = Shown(self.found.as_bytes());
        let mut out = format!("{:<6}  {:<12} {took:>8}  {found}\n", self.outcome.word(), self.step);
        if let Some(cause) = &self.cause {
            let text = format!("{}: {}", cause.side.words(), cause.text);
            out += &wrapped(&Shown(text.as_bytes()).to_string());
            out += &wrapped(&format!("What to do: {}", Shown(cause.advice.as_bytes())));
        }
        out
    }

    fn json(&self) -> Value {
        let exit = match self.outcome {
            Outcome::Failed(exit) => Some(exit as u8),
            _ => None,
        };
        json!({
            "step": self.step,
            "outcome": self.outcome.name(),
            "exit": exit,
            "seconds": self.took.map(|took| took.as_secs_f64()),
            "found": Shown(self.found.as_bytes()).to_string(),
            "side": self.cause.as_ref().map(|cause| cause.side.name()),
            "cause": self.cause.as_ref().map(|cause| Shown(cause.text.as_bytes()).to_string()),
            "advice": self.cause.as_ref().map(|cause| Shown(cause.advice.as_bytes()).to_string()),
        })
    }
}

impl Outcome {
    fn word(self) -> &'static str {
        match self {
            Outcome::Passed => "ok",
            Outcome::Noticed => "note",
            Outcome::Failed(_) => "FAILED",
            Outcome::NotTried => "-",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Outcome::Passed => "passed",
            Outcome::Noticed => "noticed",
            Outcome::Failed(_) => "failed",
            Outcome::NotTried => "not tried",
        }
    }
}

impl Side {
    fn words(self) -> &'static str {
        match self {
            Side::Server => "At the server",
            Side::Client => "On this side",
            Side::Between => "Between the two",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Side::Server => "server",
            Side::Client => "client",
            Side::Between => "network",
        }
    }
}

impl Report {
    /// That of the first step that failed.
    pub(super) fn exit(&self) -> Exit {
        self.first_failure().map_or(Exit::Done, |(_, exit)| exit)
    }

    fn first_failure(&self) -> Option<(&Check, Exit)> {
        self.checks.iter().find_map(|check| match check.outcome {
            Outcome::Failed(exit) => Some((check, exit)),
            _ => None,
        })
    }

    /// All of it in one sentence.
    pub(super) fn verdict(&self) -> String {
        let noticed = self.checks.iter().filter(|check| check.outcome == Outcome::Noticed).count();
        let notes = match noticed {
            0 => String::new(),
            1 => ", with one note".to_owned(),
            n => format!(", with {n} notes"),
        };
        match self.first_failure() {
            None => format!("All that was tried works{notes}.\n"),
            Some((check, _)) => format!("The first step that fails: {}.\n", check.step),
        }
    }

    pub(super) fn json(&self, url: &str) -> String {
        let checks: Vec<Value> = self.checks.iter().map(Check::json).collect();
        let failed = self.first_failure().map(|(check, _)| check.step);
        format!("{:#}\n", json!({"version": 1, "url": url, "failed": failed, "steps": checks}))
    }
}

/// As people read it: milliseconds below a second.
fn show(took: Duration) -> String {
    match took.as_millis() {
        0 => "< 1 ms".to_owned(),
        1..1000 => format!("{} ms", took.as_millis()),
        _ => format!("{:.1} s", took.as_secs_f64()),
    }
}

/// A limit that was waited for.
pub(super) fn limit(limit: Duration) -> String {
    show_duration(limit)
}

fn wrapped(text: &str) -> String {
    let mut out = String::new();
    let mut column = 0;
    for word in text.split(' ') {
        let width = word.chars().count();
        if column == 0 {
            out += INDENT;
        } else if column + 1 + width > WIDTH - INDENT.len() {
            let _ = write!(out, "\n{INDENT}");
            column = 0;
        } else {
            out.push(' ');
            column += 1;
        }
        out += word;
        column += width;
    }
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let cause = Cause { side: Side::Between, text: "word ".repeat(40), advice: "let it in".to_owned() };
        let checks = vec![
            Check::new("resolve", Outcome::Passed, Some(Duration::from_micros(10)), "h has 192.0.2.1"),
            Check::new("PASV", Outcome::Noticed, None, "\x1b[2J"),
            Check::new("EPSV", Outcome::Failed(Exit::Connect), Some(Duration::from_secs(10)), "no answer")
                .because(cause),
            Check::new("listing", Outcome::Failed(Exit::Refused), None, "550"),
        ];
        Report { checks }
    }

    #[test]
    fn the_first_failure_rules() {
        let report = report();
        assert_eq!((report.exit(), report.verdict().as_str()), (Exit::Connect, "The first step that fails: EPSV.\n"));
        let Report { mut checks } = report;
        checks.truncate(2);
        let report = Report { checks };
        assert_eq!(report.verdict(), "All that was tried works, with one note.\n");
        assert_eq!(report.exit(), Exit::Done);
    }

    #[test]
    fn rows_are_lines_that_a_terminal_can_be_given() {
        let Report { checks } = report();
        let rows: Vec<String> = checks.iter().map(Check::row).collect();
        assert_eq!(rows[0], "ok      resolve        < 1 ms  h has 192.0.2.1\n");
        assert!(rows[1].contains("\\x1b[2J") && rows[2].starts_with("FAILED  EPSV           10.0 s  no answer\n"));
        assert!(rows[2].lines().all(|line| line.chars().count() <= WIDTH), "{}", rows[2]);
        assert!(rows[2].ends_with("What to do: let it in\n"));
    }

    #[test]
    fn programs_are_told_the_same() {
        let told: Value = serde_json::from_str(&report().json("ftp://h/")).unwrap();
        assert_eq!((&told["failed"], &told["steps"][2]["exit"]), (&json!("EPSV"), &json!(3)));
        assert_eq!((&told["steps"][2]["side"], &told["steps"][0]["cause"]), (&json!("network"), &Value::Null));
    }
}
