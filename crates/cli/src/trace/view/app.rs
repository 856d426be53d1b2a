//! What is shown, and what keys do to it: no terminal, no clock, no files.

use port21_proto::SessionEvent;
use port21_trace::drawing::{DrawError, Drawing, Which};
use port21_trace::findings::Severity;
use port21_trace::follow::{Kept, MAX_SESSIONS};
use port21_trace::ladder;
use port21_trace::recording::{Header, RecordedSession, Recording};
use port21_trace::render::{PdfOptions, TextOptions, fitted, in_ascii};
use port21_trace::session::Session;
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::KeyEvent;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use super::ask::{self, Ask, What};
use super::filter::Filter;
use super::findings::Findings;
use super::frames::Answer;
use super::held::Held;
use super::keys::{Action, KEYS, Place, action};
use super::ladder::{Item, Opened};
use super::message::{Captured, Reading};
use super::sessions::List;
use super::style::{Glyphs, Needle};

/// So many events of a session that goes on are kept; when there are more, the older half of them goes.
const EVENTS: usize = 8_000;

const NOT_FOUND: &str = "not found";

/// Why the frames of what goes on cannot be shown.
const NOT_KEPT: &str = "The frames of an interface are not kept: `--live IFACE -w FILE` writes them to a file, and \
                        `port21 trace FILE` shows them.";

/// Lanes move so far.
const SCROLL: isize = 8;

/// How things are drawn.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The ladders.
    pub(crate) ladder: ladder::Options,
    /// Text on the screen; its width is the window's.
    pub(crate) text: TextOptions,
    /// The width of text in files.
    pub(crate) width: usize,
    /// Pages in files.
    pub(crate) pdf: PdfOptions,
    /// What is looked at: a file, an interface.
    pub(crate) name: String,
}

/// Whether there may be more.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Growth {
    /// All is there.
    Whole,
    /// More may come.
    Grows,
    /// More may come, and is not taken.
    Paused,
    /// Nothing more comes, and why.
    Over(String),
}

/// What a key asks of whoever has the terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// To end.
    Quit,
    /// To give the terminal back for a while.
    Suspend,
    /// To write a file; one that is there only where it may be replaced.
    Save { name: String, bytes: Vec<u8>, replace: bool },
    /// To find the frames of an event of the session that is open, for [`View::framed`].
    Frames { key: String, event: usize },
}

/// How a file came to be written, or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Saved {
    Yes,
    Exists,
    Failed(String),
}

/// The view.
#[derive(Debug)]
pub(crate) struct View {
    settings: Settings,
    sessions: Vec<Held>,
    lookups: Vec<SessionEvent>,
    begun: usize,
    growth: Growth,
    place: Place,
    list: List,
    opened: Option<Opened>,
    findings: Findings,
    reading: Option<Reading>,
    ask: Option<Ask>,
    help: Option<usize>,
    notice: Option<String>,
    /// Whether the user has done anything yet.
    touched: bool,
}

impl View {
    fn new(settings: Settings, growth: Growth) -> View {
        View {
            settings,
            sessions: Vec::new(),
            lookups: Vec::new(),
            begun: 0,
            growth,
            place: Place::Sessions,
            list: List::default(),
            opened: None,
            findings: Findings::new(),
            reading: None,
            ask: None,
            help: None,
            notice: None,
            touched: false,
        }
    }

    /// The sessions of files; the one of this index is opened, as is the only one.
    pub(crate) fn of(recording: Recording, open: Option<usize>, settings: Settings) -> View {
        let mut view = View::new(settings, Growth::Whole);
        view.begun = recording.sessions.len();
        view.lookups = recording.lookups;
        view.notice = recording.notes.first().cloned();
        view.sessions = (1..).zip(recording.sessions).map(|(number, session)| Held::whole(number, session)).collect();
        match open.or((view.begun == 1).then_some(0)) {
            Some(index) => view.open(index),
            None => view.arrange(),
        }
        view
    }

    /// Sessions that are yet to come.
    pub(crate) fn growing(mut settings: Settings) -> View {
        // What is folded in the middle would move while rows are added.
        settings.ladder.fold = false;
        View::new(settings, Growth::Grows)
    }

    /// Whether more is taken now.
    pub(super) fn takes(&self) -> bool {
        self.growth == Growth::Grows
    }

    /// Says something at the bottom, until the next key.
    pub(super) fn note(&mut self, text: &str) {
        self.notice = Some(text.to_owned());
    }

    /// Nothing more comes.
    pub(super) fn over(&mut self, why: &str) {
        self.growth = Growth::Over(why.to_owned());
    }

    /// Takes an event of a session that goes on; [`View::grown`] draws it.
    pub(super) fn push(&mut self, key: &str, name: Option<&str>, header: &Header, event: SessionEvent) {
        let Some(held) = self.held(key, name, header) else { return };
        held.grow(|kept| {
            kept.push(event);
            if kept.events().len() > EVENTS {
                kept.compact(&Session::from_events(kept.events().iter().cloned()), EVENTS);
            }
            true
        });
    }

    /// Takes all that is known of a session that goes on; [`View::grown`] draws it.
    pub(super) fn replace(&mut self, key: &str, session: RecordedSession) {
        if let Some(held) = self.held(key, session.name.as_deref(), &session.header) {
            held.grow(|kept| kept.replace(session.events));
        }
    }

    /// The session of this name. For a further one, the one goes that has ended or been silent the longest; but where all go
    /// on, nothing.
    fn held(&mut self, key: &str, name: Option<&str>, header: &Header) -> Option<&mut Held> {
        if let Some(at) = self.sessions.iter().position(|held| held.key == key) {
            return self.sessions.get_mut(at);
        }
        if self.sessions.len() >= MAX_SESSIONS {
            let open = self.opened.as_ref().map(|opened| opened.key.clone());
            let ended = self.sessions.iter().enumerate().filter(|(_, held)| !held.goes_on());
            let spare = ended.filter(|(_, held)| Some(&held.key) != open.as_ref());
            let oldest = spare.min_by_key(|(_, held)| held.last()).map(|(at, _)| at);
            let Some(oldest) = oldest else {
                self.note(&format!("more than {MAX_SESSIONS} sessions at a time: further ones are not shown"));
                return None;
            };
            self.sessions.remove(oldest);
        }
        self.begun += 1;
        let kept = Kept::new(header);
        self.sessions.push(Held::growing(self.begun, key, name.map(str::to_owned), kept));
        self.sessions.last_mut()
    }

    /// Draws what has come.
    pub(super) fn grown(&mut self) {
        if !self.touched && self.opened.is_none() && self.sessions.len() == 1 {
            self.open(0);
        }
        let opened = self.opened.as_ref().map(|opened| opened.key.clone());
        if let (Some(key), Some(opened)) = (opened, &mut self.opened)
            && let Some(held) = self.sessions.iter().find(|held| held.key == key)
            && held.revision != opened.revision
        {
            opened.redraw(held, opened.options.clone());
        }
        if self.place == Place::Sessions {
            self.arrange();
        }
    }

    /// How much the worst finding of all sessions matters.
    pub(crate) fn worst(&self) -> Option<Severity> {
        let only = self.opened.as_ref().map(|opened| opened.key.as_str()).filter(|_| self.growth == Growth::Whole);
        let judged = self.sessions.iter().filter(|held| only.is_none_or(|key| held.key == key));
        judged.filter_map(Held::worst).max()
    }

    fn arrange(&mut self) {
        let chosen = self.list.chosen().and_then(|at| self.sessions.get(at)).map(|held| held.key.clone());
        self.list.arrange(&mut self.sessions, chosen.as_deref());
    }

    fn open(&mut self, index: usize) {
        let Some(held) = self.sessions.get(index) else { return };
        if self.opened.as_ref().is_none_or(|opened| opened.key != held.key) {
            let options = self.opened.as_ref().map_or(&self.settings.ladder, |opened| &opened.options).clone();
            self.opened = Some(Opened::new(held, options, self.settings.text.clone()));
            self.findings = Findings::new();
        } else if let Some(opened) = &mut self.opened
            && opened.revision != held.revision
        {
            opened.redraw(held, opened.options.clone());
        }
        let nothing = self.opened.as_ref().is_some_and(|opened| opened.ladder().lanes.is_empty());
        if let (true, Some(only), false) = (nothing, self.settings.ladder.only, held.is_growing()) {
            self.note(&format!("nothing passes {only} in this session"));
        }
        self.place = Place::Ladder;
    }

    /// Takes a key.
    pub(super) fn key(&mut self, key: KeyEvent) -> Option<Effect> {
        self.touched = true;
        if let Some(ask) = &mut self.ask {
            return match ask.key(key) {
                ask::Answer::Open => None,
                ask::Answer::Left => {
                    self.ask = None;
                    None
                }
                ask::Answer::Given(text) => self.answer(&text),
            };
        }
        self.notice = None;
        let action = action(key, self.place);
        if let Some(top) = &mut self.help {
            match action {
                Some(Action::Down) => *top += 1,
                Some(Action::Up) => *top = top.saturating_sub(1),
                Some(Action::PageDown) => *top += 10,
                Some(Action::PageUp) => *top = top.saturating_sub(10),
                Some(Action::Quit) => return Some(Effect::Quit),
                _ => self.help = None,
            }
            return None;
        }
        match action? {
            Action::Quit => return Some(Effect::Quit),
            Action::Suspend => return Some(Effect::Suspend),
            Action::Help => self.help = Some(0),
            Action::Save => self.ask = Some(Ask::new(What::Save)),
            Action::Search => self.ask = Some(Ask::new(What::Search)),
            Action::Filter => self.ask = Some(Ask::new(What::Filter)),
            Action::Pause => self.pause(),
            Action::Back => self.back(),
            action => match self.place {
                Place::Sessions => self.in_list(action),
                Place::Ladder => return self.in_ladder(action),
                Place::Findings => self.in_findings(action),
                Place::Message => return self.in_message(action),
            },
        }
        None
    }

    fn pause(&mut self) {
        self.growth = match &self.growth {
            Growth::Grows => Growth::Paused,
            Growth::Paused => Growth::Grows,
            other => other.clone(),
        };
    }

    fn back(&mut self) {
        match self.place {
            Place::Message | Place::Findings => self.place = Place::Ladder,
            // What was searched for is left first.
            Place::Ladder if self.opened.as_ref().is_some_and(|opened| opened.needle().is_some()) => {
                self.opened.iter_mut().for_each(|opened| _ = opened.search(None));
            }
            Place::Ladder | Place::Sessions => {
                self.place = Place::Sessions;
                let key = self.opened.as_ref().map(|opened| opened.key.clone());
                self.list.arrange(&mut self.sessions, key.as_deref());
            }
        }
    }

    fn in_list(&mut self, action: Action) {
        match action {
            Action::Up => self.list.step(-1),
            Action::Down => self.list.step(1),
            Action::PageUp => self.list.turn_page(-1),
            Action::PageDown => self.list.turn_page(1),
            Action::First => self.list.first(),
            Action::Last => self.list.last(),
            Action::Left => self.list.scroll(-SCROLL),
            Action::Right => self.list.scroll(SCROLL),
            Action::Open => self.list.chosen().into_iter().for_each(|at| self.open(at)),
            Action::Next | Action::Previous => {
                let found = self.list.jump_hit(action == Action::Next, &mut self.sessions);
                self.found(found, NOT_FOUND);
            }
            Action::Sort => {
                self.list.sort();
                self.arrange();
            }
            Action::Reverse => {
                self.list.reverse();
                self.arrange();
            }
            _ => {}
        }
    }

    fn in_ladder(&mut self, action: Action) -> Option<Effect> {
        let opened = self.opened.as_mut()?;
        let room = self.settings.text.width;
        match action {
            Action::Up => opened.step(-1),
            Action::Down => opened.step(1),
            Action::PageUp => opened.turn_page(-1),
            Action::PageDown => opened.turn_page(1),
            Action::First => opened.first(),
            Action::Last => opened.last(),
            Action::Left => opened.scroll(-SCROLL, room),
            Action::Right => opened.scroll(SCROLL, room),
            Action::Open => match opened.item() {
                Some(Item::Banner(_)) => opened.fold(),
                Some(Item::Row(row)) if opened.stands_for_more(row) => self.redraw(|options| options.fold = false),
                _ => return self.read(),
            },
            Action::Findings => {
                self.findings.first();
                self.place = Place::Findings;
            }
            Action::Next | Action::Previous => {
                let found = opened.needle().is_none() || opened.jump_hit(action == Action::Next);
                self.found(found, NOT_FOUND);
            }
            Action::NextFinding | Action::PreviousFinding => {
                let found = opened.jump_finding(action == Action::NextFinding);
                self.found(found, "no finding has a row here");
            }
            Action::NextSection => opened.jump_section(true),
            Action::PreviousSection => opened.jump_section(false),
            Action::Fold => opened.fold(),
            Action::FoldAll => opened.fold_all(true),
            Action::UnfoldAll => opened.fold_all(false),
            Action::Lanes => opened.lanes(),
            Action::Middles => self.redraw(|options| options.fold = !options.fold),
            Action::Tcp => self.redraw(|options| options.tcp = !options.tcp),
            Action::Fields => self.redraw(|options| options.fields = !options.fields),
            _ => {}
        }
        None
    }

    fn in_findings(&mut self, action: Action) {
        match action {
            Action::Up => self.findings.step(-1),
            Action::Down => self.findings.step(1),
            Action::PageUp => self.findings.turn_page(-1),
            Action::PageDown => self.findings.turn_page(1),
            Action::First => self.findings.first(),
            Action::Last => self.findings.last(),
            Action::Findings => self.place = Place::Ladder,
            Action::Open => {
                if let (Some(row), Some(opened)) = (self.findings.row(), &mut self.opened) {
                    opened.go_to(row);
                    self.place = Place::Ladder;
                }
            }
            _ => {}
        }
    }

    fn in_message(&mut self, action: Action) -> Option<Effect> {
        if let (Some(opened), Action::Left | Action::Right) = (&mut self.opened, action) {
            opened.step_row(if action == Action::Right { 1 } else { -1 });
            return self.read();
        }
        let reading = self.reading.as_mut()?;
        match action {
            Action::Up => reading.step(-1),
            Action::Down => reading.step(1),
            Action::PageUp => reading.turn_page(-1),
            Action::PageDown => reading.turn_page(1),
            Action::First => reading.first(),
            Action::Last => reading.last(),
            _ => {}
        }
        None
    }

    /// Reads the row at the cursor; its frames have to be found then.
    fn read(&mut self) -> Option<Effect> {
        let opened = self.opened.as_ref()?;
        let held = self.sessions.iter().find(|held| held.key == opened.key);
        let frames = match held.map(|held| (held.is_captured(), held.is_growing())) {
            Some((true, false)) => Captured::Sought,
            Some((true, true)) => Captured::No(NOT_KEPT),
            _ => Captured::No(""),
        };
        let reading = self.reading.insert(Reading::new(opened, frames)?);
        self.place = Place::Message;
        let event = reading.event.filter(|_| reading.is_sought())?;
        Some(Effect::Frames { key: opened.key.clone(), event })
    }

    /// The session that is open, by its key.
    pub(super) fn session(&self, key: &str) -> Option<&Session> {
        self.opened.as_ref().filter(|opened| opened.key == key).map(Opened::session)
    }

    /// Frames were looked for.
    pub(super) fn framed(&mut self, key: &str, event: usize, answer: Answer) {
        let is_open = self.opened.as_ref().is_some_and(|opened| opened.key == key);
        if let Some(reading) = self.reading.as_mut().filter(|reading| is_open && reading.event == Some(event)) {
            reading.found(answer);
        }
    }

    /// Draws the ladder with other options.
    fn redraw(&mut self, change: impl FnOnce(&mut ladder::Options)) {
        let Some(opened) = &mut self.opened else { return };
        let mut options = opened.options.clone();
        change(&mut options);
        match self.sessions.iter().find(|held| held.key == opened.key) {
            Some(held) => opened.redraw(held, options),
            None => self.note("this session is no longer in memory"),
        }
    }

    /// Looks for a text in the ladder; where it is in what is folded away alone, that is unfolded.
    fn search(&mut self, needle: Option<Needle>) -> bool {
        let Some(opened) = &mut self.opened else { return false };
        if opened.search(needle.clone()) || needle.is_none() || !opened.options.fold {
            return opened.hit().1 > 0;
        }
        self.unfold(true);
        let found = self.opened.as_mut().is_some_and(|opened| opened.search(needle));
        if !found {
            self.redraw(|options| options.fold = true);
        }
        found
    }

    /// Draws each row of long sessions, where that is wanted and is not so yet.
    fn unfold(&mut self, wanted: bool) {
        if wanted && self.opened.as_ref().is_some_and(|opened| opened.options.fold) {
            self.redraw(|options| options.fold = false);
        }
    }

    /// Says what there is not.
    fn found(&mut self, found: bool, otherwise: &str) {
        if !found {
            self.note(otherwise);
        }
    }

    /// Does what a question was answered with.
    fn answer(&mut self, text: &str) -> Option<Effect> {
        let ask = self.ask.take()?;
        match ask.what {
            What::Search => {
                let needle = (!text.is_empty()).then(|| Needle::new(text));
                let found = match self.place {
                    Place::Ladder => self.search(needle.clone()),
                    _ => self.list.search(needle.clone(), &mut self.sessions),
                };
                self.found(found || needle.is_none(), NOT_FOUND);
            }
            What::Filter => match text.parse::<Filter>() {
                Ok(filter) => {
                    // What is folded away would be missing.
                    self.unfold(filter != Filter::All);
                    self.opened.iter_mut().for_each(|opened| opened.set_filter(filter));
                }
                Err(error) => self.ask = Some(Ask { wrong: Some(error.to_string()), ..ask }),
            },
            What::Save | What::Replace(_) if text.is_empty() => {}
            What::Save | What::Replace(_) => match self.file(text) {
                Ok(bytes) => {
                    let replace = matches!(ask.what, What::Replace(_));
                    return Some(Effect::Save { name: text.to_owned(), bytes, replace });
                }
                Err(error) => self.ask = Some(Ask { wrong: Some(error), ..ask }),
            },
        }
        None
    }

    /// A file was to be written.
    pub(super) fn saved(&mut self, name: &str, how: Saved) {
        match how {
            Saved::Yes => self.note(&format!("saved to {name}")),
            Saved::Exists => self.ask = Some(Ask::new(What::Replace(name.to_owned()))),
            Saved::Failed(why) => self.note(&format!("{name} is not written: {why}")),
        }
    }

    /// What is shown, in the format that the file's ending names.
    fn file(&self, name: &str) -> Result<Vec<u8>, String> {
        let format = crate::trace::format_of(name.as_ref()).map_err(|error| error.to_string())?;
        let text = TextOptions { width: self.settings.width, colour: false, ..self.settings.text.clone() };
        let pdf = self.settings.pdf.clone();
        let mut drawing = Drawing { format, which: Which::All, text, pdf, ..Drawing::default() };
        let recording =
            |sessions: Vec<RecordedSession>| Recording { sessions, lookups: self.lookups.clone(), notes: Vec::new() };
        let drawn = match (&self.opened, self.place) {
            (Some(opened), Place::Ladder) => {
                if let Some(bytes) = drawing.of(&opened.shown()).map_err(|error| error.to_string())? {
                    return Ok(bytes);
                }
                let held = self.sessions.iter().find(|held| held.key == opened.key);
                let held = held.ok_or("this session is no longer in memory")?;
                drawing.which = Which::One("1".to_owned());
                drawing.file(&recording(vec![RecordedSession { name: None, ..held.recorded() }]))
            }
            _ => {
                drawing.ladder = self.settings.ladder.clone();
                drawing.file(&recording(self.sessions.iter().map(Held::recorded).collect()))
            }
        };
        drawn.map_err(|error| match error {
            DrawError::Several(_) => {
                format!("{name}: this format holds one session: open it first; txt, pdf, json and jsonl hold all")
            }
            error => error.to_string(),
        })
    }

    /// Draws all of it.
    pub(super) fn draw(&mut self, buffer: &mut Buffer, area: Rect) {
        let TextOptions { ascii, colour, .. } = self.settings.text;
        let width = usize::from(area.width);
        self.settings.text.width = width;
        if area.width < 20 || area.height < 6 {
            return Glyphs::text("too small", Style::new()).paint(buffer, area.x, area.y, width, 0, 0);
        }
        let bottom = area.bottom() - 1;
        let above = Rect { height: area.height - 1, ..area };
        if let Some(top) = &mut self.help {
            help(top, buffer, above);
            return self.status(buffer, Rect { y: bottom, height: 1, ..area });
        }
        if let Some(opened) = &mut self.opened {
            opened.resize(width);
        }
        match (self.place, &mut self.opened, &mut self.reading) {
            (Place::Ladder, Some(opened), _) => opened.draw(buffer, above),
            (Place::Findings, Some(opened), _) => self.findings.draw(opened, ascii, colour, buffer, above),
            (Place::Message, Some(opened), Some(reading)) => reading.draw(opened, ascii, colour, buffer, above),
            _ => {
                let title = self.title();
                let bold = Style::new().add_modifier(Modifier::BOLD);
                Glyphs::text(&title, bold).paint(buffer, area.x, area.y, width, 0, 0);
                let below = Rect { y: area.y + 2, height: above.height - 2, ..above };
                self.list.draw(&mut self.sessions, ascii, colour, buffer, below);
            }
        }
        self.status(buffer, Rect { y: bottom, height: 1, ..area });
    }

    fn title(&self) -> String {
        let count = match self.sessions.len() {
            0 if self.growth == Growth::Whole => "no session".to_owned(),
            0 => "no session yet".to_owned(),
            1 => "1 session".to_owned(),
            n => format!("{n} sessions"),
        };
        let gone = match self.begun - self.sessions.len() {
            0 => String::new(),
            n => format!(", {n} more no longer in memory"),
        };
        let title = format!(" {count} in {}{gone}", self.settings.name);
        if self.settings.text.ascii { in_ascii(&title).into_owned() } else { title }
    }

    /// The last line: what is asked, or where one is and what can be done.
    fn status(&self, buffer: &mut Buffer, area: Rect) {
        let width = usize::from(area.width);
        let ascii = self.settings.text.ascii;
        let mut line = Glyphs::default();
        let bold = Style::new().add_modifier(Modifier::BOLD);
        if let Some(Ask { what: _, typed, wrong }) = &self.ask {
            let prompt = self.ask.as_ref().map(Ask::prompt).unwrap_or_default();
            line.push(&prompt, bold);
            // Of a long text its end is what is being typed.
            let room = width.saturating_sub(line.width() + 2);
            let skipped = typed.chars().count().saturating_sub(room);
            line.push(&typed.chars().skip(skipped).collect::<String>(), Style::new());
            line.push(" ", Style::new().add_modifier(Modifier::REVERSED));
            if let (Some(wrong), Some(above)) = (wrong, area.y.checked_sub(1)) {
                let wrong = format!(" {:width$}", fitted(wrong, width.saturating_sub(1), ascii));
                Glyphs::text(&wrong, bold).paint(buffer, area.x, above, width, 0, 0);
            }
            return line.paint(buffer, area.x, area.y, width, 0, 0);
        }
        let state = match &self.growth {
            Growth::Whole => "",
            Growth::Paused => " PAUSED ",
            Growth::Over(_) => " ENDED ",
            Growth::Grows if self.follows() => " FOLLOWS ",
            Growth::Grows => " GOES ON ",
        };
        line.push(state, bold.add_modifier(Modifier::REVERSED));
        let told = match (&self.notice, &self.growth) {
            (Some(notice), _) => format!(" {notice}"),
            (None, Growth::Over(why)) => format!(" {why}; {}", self.told()),
            _ => format!(" {}", self.told()),
        };
        let told = if ascii { in_ascii(&told).into_owned() } else { told };
        let hints = self.hints();
        let room = width.saturating_sub(line.width());
        let hints = if self.notice.is_none() && room > told.chars().count() + hints.len() + 3 { hints } else { "" };
        line.push(
            &fitted(&told, room.saturating_sub(hints.len() + 1), ascii),
            if self.notice.is_some() { bold } else { Style::new() },
        );
        let gap = width.saturating_sub(line.width() + hints.len() + 1);
        line.push(&" ".repeat(gap), Style::new());
        line.push(hints, Style::new().add_modifier(Modifier::DIM));
        line.paint(buffer, area.x, area.y, width, 0, 0);
    }

    /// Whether the view stays at the end of what goes on.
    fn follows(&self) -> bool {
        self.place != Place::Ladder || self.opened.as_ref().is_some_and(|opened| opened.sticks)
    }

    /// Where one is.
    fn told(&self) -> String {
        if self.help.is_some() {
            return "Up, Down: more keys; any other: back".to_owned();
        }
        let Some(opened) = self.opened.as_ref().filter(|_| self.place != Place::Sessions) else {
            let needle = self.list.needle().map(|needle| format!("/{}", needle.text)).unwrap_or_default();
            return needle;
        };
        let (shown, all) = opened.counts();
        let mut parts = vec![format!("row {} of {all}", opened.row().map_or(0, |row| row + 1))];
        parts.extend(opened.seconds());
        if opened.growing && !opened.goes_on {
            parts.push("the session has ended".to_owned());
        }
        if opened.filter() != Filter::All {
            parts.push(format!("{}: {shown} rows", opened.filter()));
        }
        if let Some(needle) = opened.needle() {
            let (hit, hits) = opened.hit();
            parts.push(format!("/{}: {hit} of {hits}", needle.text));
        }
        parts.join(" · ")
    }

    fn hints(&self) -> &'static str {
        match self.place {
            _ if self.help.is_some() => "",
            Place::Sessions => "Enter open  o sort  / search  s save  ? keys  q end",
            Place::Ladder => "Enter row  Tab findings  / search  & filter  s save  ? keys  q end",
            Place::Findings => "Enter row  Esc back  ? keys  q end",
            Place::Message => "left, right: rows  Esc back  ? keys  q end",
        }
    }
}

/// The keys, from the line `top` on.
fn help(top: &mut usize, buffer: &mut Buffer, area: Rect) {
    let width = usize::from(area.width);
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let mut lines = Vec::new();
    for binding in KEYS {
        let mut line = Glyphs::text(&format!(" {:<16}", binding.keys.join(" ")), bold);
        for (n, part) in
            port21_trace::render::wrapped(binding.help, width.saturating_sub(19).max(20)).iter().enumerate()
        {
            if n > 0 {
                lines.push(std::mem::replace(&mut line, Glyphs::text(&" ".repeat(17), bold)));
            }
            line.push(part, Style::new());
        }
        lines.push(line);
    }
    *top = (*top).min(lines.len().saturating_sub(usize::from(area.height)));
    for (y, line) in (area.y..area.bottom()).zip(lines.iter().skip(*top)) {
        line.paint(buffer, area.x, y, width, 0, 0);
    }
}

/// Which session of a recording is meant by a name or a number from 1.
pub(crate) fn named(recording: &Recording, asked: &str) -> Option<usize> {
    let sessions = &recording.sessions;
    let named = sessions.iter().position(|session| session.name.as_deref() == Some(asked));
    named.or_else(|| asked.parse::<usize>().ok()?.checked_sub(1).filter(|n| *n < sessions.len()))
}
