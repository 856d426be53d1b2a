//! From a recording to a drawing in one call, as the command line needs it.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::path::Path;

use crate::findings::{Severity, findings};
use crate::input::Secrets;
use crate::ladder::{self, Ladder, LaneName};
use crate::recording::{Header, RecordedSession, Recording, Writer};
use crate::render::{self, HtmlOptions, PdfError, PdfOptions, SvgOptions, TextOptions};
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
    /// Pages to print; the only form that is no text.
    Pdf,
    /// A page.
    Html,
    /// A Mermaid diagram, for Markdown.
    Mermaid,
    /// The sessions themselves, for programs: docs/trace-json.md.
    Json,
    /// A recording of the sessions: of a capture, what can be kept in its place and drawn later, without its secrets.
    Recording,
}

impl Format {
    /// Whether a file of this form has room for several sessions.
    pub const fn holds_several(self) -> bool {
        !matches!(self, Format::Svg | Format::Html | Format::Mermaid)
    }

    /// The format that a file's ending asks for: `.txt`, `.svg`, `.pdf`, `.html`, `.mmd`, `.json`, `.jsonl`.
    pub fn of_file(name: &Path) -> Option<Format> {
        match name.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "txt" | "text" => Some(Format::Text),
            "svg" => Some(Format::Svg),
            "pdf" => Some(Format::Pdf),
            "html" | "htm" => Some(Format::Html),
            "mmd" | "mermaid" => Some(Format::Mermaid),
            "json" => Some(Format::Json),
            "jsonl" => Some(Format::Recording),
            _ => None,
        }
    }
}

/// Which sessions of a recording are drawn.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Which {
    /// All of them, one after the other. A form that has room for one is then as many files: [`Drawing::files`].
    #[default]
    All,
    /// The one of this name, else of this number, from 1.
    One(String),
    /// The one at this index.
    At(usize),
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
    /// For [`Format::Pdf`].
    pub pdf: PdfOptions,
    /// For [`Format::Html`].
    pub html: HtmlOptions,
    /// Whether passwords are drawn that the events hold. A recording holds none in either case.
    pub secrets: Secrets,
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
    /// It holds several, and the form has room for one.
    #[error(
        "the recording holds {0} sessions, and this format has room for one: choose it with --session N (--list shows \
         them), or draw into a file with -o: then each has one of its own"
    )]
    Several(usize),
    /// Nothing passes the lane that alone was to be drawn.
    #[error("nothing passes {asked} in this session: its lanes are {}", .there.join(", "))]
    NoSuchLane {
        /// The lane that was asked for.
        asked: LaneName,
        /// The names of those that are there.
        there: Vec<String>,
    },
    /// The format is no text.
    #[error("a PDF is no text, but a file")]
    NoText,
    /// The PDF could not be made.
    #[error(transparent)]
    Pdf(#[from] PdfError),
}

impl Drawing {
    /// The files that are needed to draw what was chosen: one, or where several sessions were and the form has room for one,
    /// one for each, with the session's number, from 1.
    ///
    /// # Errors
    /// [`DrawError`]: there is no session, or none that was asked for.
    pub fn files(&self, recording: &Recording) -> Result<Vec<(Option<usize>, Drawing)>, DrawError> {
        let sessions = recording.sessions.len();
        if self.which != Which::All || self.format.holds_several() || sessions <= 1 {
            return Ok(vec![(None, self.clone())]);
        }
        let drawn = self.passed(recording)?;
        let one = |index| (Some(index + 1), Drawing { which: Which::At(index), ..self.clone() });
        Ok(drawn.into_iter().map(one).collect())
    }

    /// Draws sessions of a recording, into what is to be in a file.
    ///
    /// # Errors
    /// [`DrawError`], as [`Drawing::draw`], but in any format.
    pub fn file(&self, recording: &Recording) -> Result<Vec<u8>, DrawError> {
        match self.format {
            Format::Pdf => {
                let ladders: Result<Vec<Ladder>, DrawError> = self.ladders(recording)?.collect();
                Ok(render::pdf(&ladders?, &self.pdf)?)
            }
            _ => Ok(self.draw(recording)?.into_bytes()),
        }
    }

    /// Draws sessions of a recording, in a format that is text.
    ///
    /// # Errors
    /// [`DrawError`]: the session asked for is not there, or it is not clear which is meant; [`DrawError::NoText`] for
    /// [`Format::Pdf`].
    pub fn draw(&self, recording: &Recording) -> Result<String, DrawError> {
        match self.format {
            Format::Json => self.json(recording),
            Format::Recording => self.recording(recording),
            Format::Svg => Ok(render::svg(&self.one(recording)?, &self.svg)),
            Format::Pdf => Err(DrawError::NoText),
            Format::Html => Ok(render::html(&self.unfolded(recording)?, &self.html)),
            Format::Mermaid => Ok(render::mermaid(&self.one(recording)?)),
            Format::Text => {
                let drawn = self.ladders(recording)?.map(|ladder| Ok(render::text(&ladder?, &self.text)));
                Ok(drawn.collect::<Result<Vec<String>, DrawError>>()?.join("\n"))
            }
        }
    }

    /// A ladder as it is, in a form that is drawn of one; nothing for those that hold the sessions themselves.
    ///
    /// # Errors
    /// [`PdfError`].
    pub fn of(&self, ladder: &Ladder) -> Result<Option<Vec<u8>>, PdfError> {
        Ok(Some(match self.format {
            Format::Json | Format::Recording => return Ok(None),
            Format::Pdf => render::pdf(std::slice::from_ref(ladder), &self.pdf)?,
            Format::Svg => render::svg(ladder, &self.svg).into_bytes(),
            Format::Html => render::html(ladder, &self.html).into_bytes(),
            Format::Mermaid => render::mermaid(ladder).into_bytes(),
            Format::Text => render::text(ladder, &self.text).into_bytes(),
        }))
    }

    /// How much the worst finding in the sessions matters that are drawn; nothing where there is none.
    ///
    /// # Errors
    /// [`DrawError`], as [`Drawing::draw`].
    pub fn worst(&self, recording: &Recording) -> Result<Option<Severity>, DrawError> {
        let sessions = self.chosen(recording)?.into_iter();
        let sessions = sessions.map(|recorded| self.session(recorded));
        Ok(sessions.flat_map(|session| findings(&session)).map(|finding| finding.rule.severity).max())
    }

    /// The ladder of a recorded session. Its title is the one asked for, else the recording's, else one of its own.
    pub fn ladder(&self, recorded: &RecordedSession) -> Ladder {
        let mut options = self.ladder.clone();
        options.title = options.title.or_else(|| recorded.header.title.clone());
        Ladder::new(&self.session(recorded), &options)
    }

    fn session(&self, recorded: &RecordedSession) -> Session {
        Session::from_events(recorded.events.iter().cloned()).with_secrets(self.secrets)
    }

    fn json(&self, recording: &Recording) -> Result<String, DrawError> {
        let sessions = self.named(recording)?;
        let sessions = sessions.map(|(id, session)| (id, self.session(session)));
        let lookups = if self.which == Which::All { recording.lookups.as_slice() } else { &[] };
        Ok(render::json(sessions, &Session::from_events(lookups.iter().cloned())))
    }

    fn recording(&self, recording: &Recording) -> Result<String, DrawError> {
        let mut out = Vec::new();
        for (id, session) in self.named(recording)? {
            let header = Header { session: Some(id), ..session.header.clone() };
            // Nothing fails that is written to memory.
            if let Ok(mut lines) = Writer::new(&mut out, &header) {
                session.events.iter().for_each(|event| drop(lines.write(event)));
            }
        }
        Ok(String::from_utf8_lossy(&out).into_owned())
    }

    /// All sessions with their names, or the one that was asked for; nothing is no error here.
    fn named<'a>(
        &self,
        recording: &'a Recording,
    ) -> Result<impl Iterator<Item = (String, &'a RecordedSession)>, DrawError> {
        let one = match &self.which {
            Which::One(asked) => Some(number(recording, asked)?),
            Which::At(index) => Some(*index),
            Which::All => None,
        };
        let named = ids(recording).into_iter().zip(&recording.sessions).enumerate();
        Ok(named.filter(move |(n, _)| one.is_none_or(|one| one == *n)).map(|(_, session)| session))
    }

    /// The ladder of a form that holds one session.
    fn one(&self, recording: &Recording) -> Result<Ladder, DrawError> {
        match self.chosen(recording)?.as_slice() {
            [one] => self.checked(one),
            several => Err(DrawError::Several(several.len())),
        }
    }

    /// The ladders of what was chosen. Where only one lane is drawn and there are several sessions, those that have it.
    fn ladders<'a>(
        &'a self,
        recording: &'a Recording,
    ) -> Result<impl Iterator<Item = Result<Ladder, DrawError>> + 'a, DrawError> {
        let chosen = match self.which {
            Which::All => self.passed(recording)?.into_iter().filter_map(|at| recording.sessions.get(at)).collect(),
            _ => self.chosen(recording)?,
        };
        Ok(chosen.into_iter().map(|session| self.checked(session)))
    }

    /// The indices of all sessions, but those in which nothing passes the lane that alone is drawn, where others have it.
    fn passed(&self, recording: &Recording) -> Result<Vec<usize>, DrawError> {
        let all: Vec<usize> = (0..recording.sessions.len()).collect();
        if all.is_empty() {
            return Err(DrawError::Empty);
        }
        if self.ladder.only.is_none() {
            return Ok(all);
        }
        let sessions = recording.sessions.iter().zip(&all);
        let passed: Vec<usize> =
            sessions.filter(|(session, _)| !self.ladder(session).lanes.is_empty()).map(|(_, at)| *at).collect();
        Ok(if passed.is_empty() { all } else { passed })
    }

    /// The ladder of a form that folds by itself, and is better folded before only where it would become too large.
    fn unfolded(&self, recording: &Recording) -> Result<Ladder, DrawError> {
        let mut whole = self.clone();
        whole.ladder.fold = false;
        let ladder = whole.one(recording)?;
        if self.ladder.fold && ladder.rows.len() > HtmlOptions::MOST_ROWS { self.one(recording) } else { Ok(ladder) }
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
            Which::One(asked) => Ok(sessions.get(number(recording, asked)?).into_iter().collect()),
            Which::At(index) => Ok(sessions.get(*index).into_iter().collect()),
        }
    }
}

/// The index of the session of this name, else of this number, from 1.
fn number(recording: &Recording, asked: &str) -> Result<usize, DrawError> {
    let sessions = &recording.sessions;
    let named = sessions.iter().position(|s| s.name.as_deref() == Some(asked));
    let numbered = || asked.parse::<usize>().ok()?.checked_sub(1).filter(|n| *n < sessions.len());
    named.or_else(numbered).ok_or_else(|| DrawError::NoSuchSession(clip(asked, 60)))
}

/// What names each session in JSON: its name in the recording, else its number from 1; no two have the same.
fn ids(recording: &Recording) -> Vec<String> {
    let mut taken: HashSet<String> = recording.sessions.iter().filter_map(|s| s.name.clone()).collect();
    let mut given: HashSet<&str> = HashSet::new();
    let mut ids = Vec::with_capacity(recording.sessions.len());
    for (number, session) in (1..).zip(&recording.sessions) {
        ids.push(match session.name.as_deref() {
            Some(name) if given.insert(name) => name.to_owned(),
            name => {
                let mut id = name.map_or_else(|| format!("{number}"), |name| format!("{name}/{number}"));
                while !taken.insert(id.clone()) {
                    id.push('/');
                }
                id
            }
        });
    }
    ids
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
