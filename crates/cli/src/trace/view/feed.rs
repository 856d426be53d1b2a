//! Where sessions come from that go on.

#[cfg(target_os = "linux")]
use std::sync::Arc;
#[cfg(target_os = "linux")]
use std::time::Duration;

use anyhow::bail;
use tokio::sync::mpsc::Receiver;

use super::app::View;
use crate::trace::follow::Chosen;
#[cfg(target_os = "linux")]
use crate::trace::live::Capture;
use crate::trace::tail::Told;

/// So many events are taken at once.
const TOGETHER: usize = 2_000;

/// What only the time changes (a SYN stays without an answer) is looked at this often.
#[cfg(target_os = "linux")]
const LOOK: Duration = Duration::from_secs(1);

/// What tells of sessions while they go on.
pub(crate) enum Feed {
    /// Nothing: all is there.
    None,
    /// A recording that is read.
    Recording(Receiver<Told>, Chosen),
    /// An interface.
    #[cfg(target_os = "linux")]
    Interface(Arc<Capture>),
}

impl Feed {
    /// Waits for something new, and gives it to the view. Nothing is lost where nobody waits any more.
    pub(super) async fn changed(&mut self, view: &mut View) -> anyhow::Result<()> {
        match self {
            Feed::None => std::future::pending().await,
            Feed::Recording(events, chosen) => {
                let mut told = events.recv().await;
                for _ in 0..TOGETHER {
                    match told {
                        Some(Told::Event(header, record)) => {
                            let name = record.session.as_deref();
                            let key = format!("{}/{}", record.recording, name.unwrap_or_default());
                            if chosen.takes(&key, name) {
                                view.push(&key, name, &header, record.event);
                            }
                        }
                        Some(Told::Note(note)) => view.note(&note),
                        Some(Told::Failed(error)) => {
                            view.over(&error.to_string());
                            *self = Feed::None;
                            return Ok(());
                        }
                        None => {
                            view.over("nothing more comes");
                            *self = Feed::None;
                            return Ok(());
                        }
                    }
                    match events.try_recv() {
                        Ok(next) => told = Some(next),
                        Err(_) => break,
                    }
                }
                Ok(())
            }
            #[cfg(target_os = "linux")]
            Feed::Interface(capture) => {
                // It may be that nothing comes, and that this is what is to be told.
                let _ = tokio::time::timeout(LOOK, capture.news.notified()).await;
                if let Some(why) = capture.failed() {
                    bail!(why);
                }
                capture.sessions(true).into_iter().for_each(|(key, session)| view.replace(&key, session));
                Ok(())
            }
        }
    }
}
