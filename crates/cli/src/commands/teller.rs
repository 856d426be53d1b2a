//! What is told of transfers while they run: bars, lines, or JSON.

use std::io::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use port21_client::{Algorithm, Deed, Error, Event, Item, Place as Spot, Transferred, Verified, Watch};
use port21_proto::text::Shown;
use serde_json::{Value, json};

use crate::alike::Alike;
use crate::exit::{Exit, client_sentence, tell};
use crate::place::Place;
use crate::progress::Board;
use crate::units::show_size;

/// How often programs are told how far it has come.
const TICK: Duration = Duration::from_secs(1);

/// Tells of the transfers with one server.
pub(super) struct Teller {
    place: Place,
    json: bool,
    /// Uploads are told of by the file here, downloads by the URL.
    upload: bool,
    /// Deeds and what was left out are what the user wants to see: a dry run.
    tells_all: bool,
    inner: Mutex<Inner>,
}

struct Inner {
    board: Board,
    exit: Exit,
    alike: Alike,
    ticked: Instant,
}

impl Teller {
    pub(super) fn new(place: &Place, json: bool, upload: bool, tells_all: bool) -> Teller {
        let inner =
            Inner { board: Board::new(json), exit: Exit::Done, alike: Alike::default(), ticked: Instant::now() };
        Teller { place: place.clone(), json, upload, tells_all, inner: Mutex::new(inner) }
    }

    /// How it went: the first failure counts. What was not told one by one is told of in sum.
    pub(super) fn exit(&self) -> Exit {
        let mut inner = self.inner();
        for line in inner.alike.rest() {
            inner.board.say(|| tracing::warn!("{line}"));
        }
        inner.exit
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ended(&self, item: &Item, result: &Result<Transferred, Error>, took: Duration) {
        let mut inner = self.inner();
        inner.board.ended(item);
        let (url, seconds) = (self.place.url_of(&item.remote), took.as_secs_f64());
        match result {
            Ok(done) if self.json => {
                let mut line = json!({
                    "event": "done", "url": url, "file": item.local.to_string_lossy(), "bytes": done.bytes,
                    "from": done.from, "seconds": seconds,
                });
                if let Some(by) = done.verified {
                    put(&mut line, "verified", verified(by));
                }
                print(&line);
            }
            Ok(done) => {
                let how = match done.verified {
                    Some(Verified::Digest(algorithm)) => format!(", verified by {algorithm}"),
                    _ => String::new(),
                };
                let name = Shown(item.local.as_os_str().as_encoded_bytes());
                inner.board.say(|| tracing::info!("{name}: {} in {seconds:.2} s{how}", show_size(done.bytes)));
            }
            Err(error @ Error::TooLarge { .. }) => {
                let why = error.to_string();
                if self.json {
                    print(&json!({ "event": "skipped", "url": url, "why": why }));
                }
                inner.board.say(|| tracing::warn!("{url}: left out: {why}"));
            }
            Err(error) => {
                if inner.exit == Exit::Done {
                    inner.exit = Exit::of_client(error);
                }
                let text = client_sentence(error);
                if self.json {
                    let file = item.local.to_string_lossy();
                    print(&json!({ "event": "failed", "url": url, "file": file, "error": text }));
                }
                // Errors of local files name them already; those of servers are of a URL.
                let name = match error {
                    Error::Local { .. } if self.upload => String::new(),
                    _ => format!("{url}: "),
                };
                inner.board.say(|| tell(&format!("{name}{text}")));
            }
        }
    }

    fn did(&self, deed: Deed, place: &Spot) {
        let (event, text) = match deed {
            Deed::Transfer => ("transfer", "would be transferred"),
            Deed::MakeDirectory => ("make-directory", "directory made"),
            Deed::Link => ("link", "link made"),
            Deed::Remove => ("remove", "removed"),
            Deed::RemoveDirectory => ("remove-directory", "directory removed"),
            _ => return,
        };
        let inner = self.inner();
        if self.json {
            print(&json!({ "event": event, self.side(place): self.name(place) }));
        } else if self.tells_all {
            inner.board.say(|| line(&format!("{event} {}", self.name(place))));
        } else {
            inner.board.say(|| tracing::info!("{}: {text}", self.name(place)));
        }
    }

    fn side(&self, place: &Spot) -> &'static str {
        if matches!(place, Spot::Local(_)) { "file" } else { "url" }
    }

    fn name(&self, place: &Spot) -> String {
        match place {
            Spot::Local(_) => place.to_string(),
            Spot::Remote(path) => self.place.url_of(path),
        }
    }
}

impl Watch for Teller {
    fn event(&self, event: &Event<'_>) {
        match event {
            Event::Found(item) => self.inner().board.found(item),
            Event::Moved(item, progress) => {
                let mut inner = self.inner();
                inner.board.moved(item, *progress);
                if self.json && inner.ticked.elapsed() >= TICK {
                    inner.ticked = Instant::now();
                    let total = inner.board.total();
                    print(&json!({
                        "event": "progress", "bytes": total.done, "of": total.bytes, "files": total.ended,
                        "of_files": total.files,
                    }));
                }
            }
            Event::Ended { item, result, took } => self.ended(item, result, *took),
            Event::Again { remote, error, wait } => {
                let (url, text) = (self.place.url_of(remote), client_sentence(error));
                let seconds = wait.as_secs_f64();
                self.inner().board.say(|| tracing::warn!("{url}: {text}; trying again in {seconds:.1} s"));
            }
            Event::Did(deed, place) => self.did(*deed, place),
            Event::Skipped(place, why) => {
                let name = self.name(place);
                if self.json {
                    print(&json!({ "event": "skipped", self.side(place): name, "why": why }));
                }
                let mut inner = self.inner();
                if inner.alike.is_told(why) {
                    inner.board.say(|| tracing::warn!("{name}: left out: {why}"));
                }
            }
            Event::Gap(place, why) => {
                let name = self.name(place);
                if self.json {
                    print(&json!({ "event": "gap", self.side(place): name, "why": why }));
                }
                let mut inner = self.inner();
                if inner.exit == Exit::Done {
                    inner.exit = Exit::Refused;
                }
                inner.board.say(|| tracing::warn!("{name}: {why}"));
            }
            Event::Failed(place, error) => {
                let (name, text) = (self.name(place), client_sentence(error));
                let mut inner = self.inner();
                if inner.exit == Exit::Done {
                    inner.exit = Exit::of_client(error);
                }
                if self.json {
                    print(&json!({ "event": "failed", self.side(place): name, "error": text }));
                }
                // A server can make as many of these as it likes.
                if matches!(error, Error::TooMuch { .. }) && !inner.alike.is_told(&text) {
                    return;
                }
                let text = if text.contains(&name) { text } else { format!("{name}: {text}") };
                inner.board.say(|| tell(&text));
            }
            Event::Notice(text) => {
                if self.json {
                    print(&json!({ "event": "notice", "text": text }));
                }
                self.inner().board.say(|| tracing::warn!("{text}"));
            }
            _ => {}
        }
    }
}

fn verified(by: Verified) -> Value {
    match by {
        Verified::Size => json!("size"),
        Verified::Digest(algorithm) => json!(Algorithm::name(algorithm)),
    }
}

fn put(object: &mut Value, key: &str, value: Value) {
    if let Value::Object(map) = object {
        map.insert(key.to_owned(), value);
    }
}

/// A JSON object on a line of standard output. A reader who has gone wants no more.
pub(super) fn print(value: &Value) {
    line(&value.to_string());
}

fn line(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}
