//! The frames of a message, read from its captures again: aside, as that may take a while.

use std::fs::File;
use std::path::PathBuf;

use port21_proto::text::Shown;
use port21_trace::Session;
use port21_trace::capture::{Found, Frames, Wanted};
use tokio::task::JoinHandle;

/// Finds frames of the session that is read, in the files that were drawn.
#[derive(Default)]
pub(super) struct Finder {
    paths: Vec<PathBuf>,
    /// The session whose frames are known, or are being found.
    key: String,
    found: Option<Frames>,
    task: Option<JoinHandle<Frames>>,
    /// What cannot be read again, in plain sentences.
    notes: Vec<String>,
    /// The session and the event that somebody waits for.
    wanted: Option<(String, usize)>,
}

/// The frames of an event, or why they are not there.
pub(super) type Answer = Result<Found, String>;

impl Finder {
    /// Finds frames in these files.
    pub(super) fn of(paths: Vec<PathBuf>) -> Finder {
        Finder { paths, ..Finder::default() }
    }

    /// Whether [`Finder::done`] is to be waited for.
    pub(super) fn is_busy(&self) -> bool {
        self.task.is_some()
    }

    /// Somebody wants to see the frames of an event. Says which they are, where that is known.
    pub(super) fn ask(&mut self, key: String, event: usize, session: &Session) -> Option<Answer> {
        self.wanted = Some((key, event));
        if self.is_busy() { None } else { self.go_on(session) }
    }

    /// Waits until a session's frames are found.
    pub(super) async fn done(&mut self) -> anyhow::Result<()> {
        if let Some(task) = &mut self.task {
            let found = task.await;
            self.task = None;
            self.found = Some(found?);
        }
        Ok(())
    }

    /// The session and the event that are waited for.
    pub(super) fn wanted(&self) -> Option<(String, usize)> {
        self.wanted.clone()
    }

    /// Says what is wanted, where it is known; else begins to look for it.
    pub(super) fn go_on(&mut self, session: &Session) -> Option<Answer> {
        let (key, event) = self.wanted.clone()?;
        if let (true, Some(frames)) = (self.key == key, &mut self.found) {
            self.wanted = None;
            let found = frames.of(session, event).map(|mut found| {
                found.notes.splice(0..0, self.notes.iter().cloned());
                found
            });
            return Some(found.map_err(|error| format!("the capture cannot be read again: {error}")));
        }
        (self.key, self.found) = (key, None);
        let files = self.files();
        let wanted = Wanted::of(session);
        self.task = Some(tokio::task::spawn_blocking(move || Frames::find(files, wanted)));
        None
    }

    /// The files that can be read at any place.
    fn files(&mut self) -> Vec<(String, File)> {
        self.notes.clear();
        let mut files = Vec::new();
        for path in &self.paths {
            let name = Shown(path.display().to_string().as_bytes()).to_string();
            let opened = File::open(path).and_then(|file| Ok((file.metadata()?.is_file(), file)));
            let why = match opened {
                _ if path.as_os_str() == "-" => "standard input can be read once".to_owned(),
                Ok((true, file)) => {
                    files.push((name, file));
                    continue;
                }
                Ok((false, _)) => "it is no file, and can be read once".to_owned(),
                Err(error) => error.to_string(),
            };
            self.notes.push(format!("The frames of {name} cannot be shown: {why}."));
        }
        files
    }
}
