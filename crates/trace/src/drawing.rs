//! From a recording to a drawing in one call, as the command line needs it.

use std::fmt::Write as _;
use std::path::Path;

use crate::findings::{Severity, findings};
use crate::ladder::{self, Ladder, LaneName};
use crate::recording::{RecordedSession, Recording};
use crate::render::{self, SvgOptions, TextOptions};
use crate::session::Session;
use crate::words::{clip, shown};

/// The form of a drawing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// Lines of text.
    #[default]
    Text,
    /// A picture.
    Svg,
}

impl Format {
    /// The format that a file's ending asks for: `.txt`, `.svg`.
    pub fn of_file(name: &Path) -> Option<Format> {
        match name.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "txt" | "text" => Some(Format::Text),
            "svg" => Some(Format::Svg),
            _ => None,
        }
    }
}

/// Which sessions of a recording are drawn.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Which {
    /// The only one. Where there are several, that is an error which lists them.
    #[default]
    Only,
    /// All of them, one after the other.
    All,
    /// The one of this name, else of this number, from 1.
    One(String),
}

/// What to draw, and how.
#[derive(Clone, Debug, Default)]
pub struct Drawing {
    /// The form.
    pub format: Format,
    /// Which sessions.
    pub which: Which,
    /// What is drawn.
    pub ladder: ladder::Options,
    /// For [`Format::Text`].
    pub text: TextOptions,
    /// For [`Format::Svg`].
    pub svg: SvgOptions,
}

/// Why nothing can be drawn.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DrawError {
    /// The recording holds no event.
    #[error("the recording holds no session")]
    Empty,
    /// None has the name or number asked for.
    #[error("there is no session {0:?} in the recording: --list shows those that are there")]
    NoSuchSession(String),
    /// It holds several, and none was chosen; or all were, for a form that holds one.
    #[error("the recording holds {0} sessions: choose one with --session N (--list shows them)")]
    Several(usize),
    /// Nothing passes the lane that alone was to be drawn.
    #[error("nothing passes {asked} in this session: its lanes are {}", .there.join(", "))]
    NoSuchLane {
        /// The lane that was asked for.
        asked: LaneName,
        /// The names of those that are there.
        there: Vec<String>,
    },
}

impl Drawing {
    /// Draws sessions of a recording.
    ///
    /// # Errors
    /// [`DrawError`]: the session asked for is not there, or it is not clear which is meant.
    pub fn draw(&self, recording: &Recording) -> Result<String, DrawError> {
        let chosen = self.chosen(recording)?;
        match self.format {
            Format::Svg => match chosen.as_slice() {
                [one] => Ok(render::svg(&self.checked(one)?, &self.svg)),
                several => Err(DrawError::Several(several.len())),
            },
            Format::Text => {
                let drawn = chosen.iter().map(|session| Ok(render::text(&self.checked(session)?, &self.text)));
                Ok(drawn.collect::<Result<Vec<String>, DrawError>>()?.join("\n"))
            }
        }
    }

    /// How much the worst finding in the sessions matters that are drawn; nothing where there is none.
    ///
    /// # Errors
    /// [`DrawError`], as [`Drawing::draw`].
    pub fn worst(&self, recording: &Recording) -> Result<Option<Severity>, DrawError> {
        let sessions = self.chosen(recording)?.into_iter();
        let sessions = sessions.map(|recorded| Session::from_events(recorded.events.iter().cloned()));
        Ok(sessions.flat_map(|session| findings(&session)).map(|finding| finding.rule.severity).max())
    }

    /// The ladder of a recorded session. Its title is the one asked for, else the recording's, else one of its own.
    pub fn ladder(&self, recorded: &RecordedSession) -> Ladder {
        let session = Session::from_events(recorded.events.iter().cloned());
        let mut options = self.ladder.clone();
        options.title = options.title.or_else(|| recorded.header.title.clone());
        Ladder::new(&session, &options)
    }

    /// As [`Drawing::ladder`], but an empty drawing of one lane is an error that names the others.
    fn checked(&self, recorded: &RecordedSession) -> Result<Ladder, DrawError> {
        let ladder = self.ladder(recorded);
        match self.ladder.only {
            Some(asked) if ladder.lanes.is_empty() => {
                let mut all = self.clone();
                all.ladder.only = None;
                let there = all.ladder(recorded).lanes.iter().map(|lane| lane.name().to_string()).collect();
                Err(DrawError::NoSuchLane { asked, there })
            }
            _ => Ok(ladder),
        }
    }

    fn chosen<'a>(&self, recording: &'a Recording) -> Result<Vec<&'a RecordedSession>, DrawError> {
        let sessions = &recording.sessions;
        if sessions.is_empty() {
            return Err(DrawError::Empty);
        }
        match &self.which {
            Which::All => Ok(sessions.iter().collect()),
            Which::Only if sessions.len() == 1 => Ok(sessions.iter().collect()),
            Which::Only => Err(DrawError::Several(sessions.len())),
            Which::One(asked) => {
                let named = sessions.iter().find(|s| s.name.as_deref() == Some(asked));
                let numbered = || asked.parse::<usize>().ok()?.checked_sub(1).and_then(|n| sessions.get(n));
                let one = named.or_else(numbered);
                one.map(|one| vec![one]).ok_or_else(|| DrawError::NoSuchSession(clip(asked, 60)))
            }
        }
    }
}

/// One line for each session of a recording: its number, its name, when it began, and what it was.
pub fn list(recording: &Recording) -> String {
    let mut out = String::new();
    let width = recording.sessions.len().to_string().len();
    for (i, recorded) in recording.sessions.iter().enumerate() {
        let session = Session::from_events(recorded.events.iter().cloned());
        let ladder =
            Ladder::new(&session, &ladder::Options { title: recorded.header.title.clone(), ..Default::default() });
        let name =
            recorded.name.as_ref().map(|n| format!("  [{}]", clip(&shown(n.as_bytes()), 40))).unwrap_or_default();
        let facts = ladder.summary.join(" · ");
        let _ = writeln!(out, "{:>width$}{name}  {}  {}  {facts}", i + 1, ladder.date, ladder.title);
    }
    out
}
