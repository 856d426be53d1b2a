//! Transfers in the background, each over sessions of its own: `get FILE &`, `jobs`.
//!
//! A job has a thread: at the prompt nobody drives the console's own runtime.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, bail};
use port21_client::{Batch, Builder, Client};
use tokio::sync::{oneshot, watch};

use super::reporter::Reporter;
use super::transfer::{Load, fill};
use super::words::Words;
use super::{Console, Flow};
use crate::exit::{Exit, Fault, sentence};
use crate::interrupt::runtime;
use crate::place::join;
use crate::remote::builder;
use crate::units::show_size;

/// At most so many run at once.
const MOST: usize = 16;

/// The jobs of a console, oldest first.
#[derive(Default)]
pub(super) struct Jobs {
    list: Vec<Job>,
    last: u32,
}

struct Job {
    number: u32,
    line: String,
    reporter: Arc<Reporter>,
    stop: Option<oneshot::Sender<()>>,
    /// Set when it has ended; the sender is gone then as well.
    done: watch::Receiver<bool>,
    result: Arc<Mutex<Option<anyhow::Result<String>>>>,
}

/// Sessions of the kind that the console's is, and the directory that it is in.
pub(super) struct Own {
    pub(super) settings: Builder,
    directory: Vec<u8>,
}

impl Own {
    /// The path for a session that has gone nowhere yet.
    pub(super) fn path(&self, path: &[u8]) -> Vec<u8> {
        if path.starts_with(b"/") || path.is_empty() && self.directory.is_empty() {
            return path.to_vec();
        }
        if path.is_empty() { self.directory.clone() } else { join(&self.directory, path) }
    }
}

impl Jobs {
    fn start(
        &mut self,
        line: String,
        reporter: Arc<Reporter>,
        work: impl Future<Output = anyhow::Result<String>> + Send + 'static,
    ) -> anyhow::Result<u32> {
        if self.list.iter().filter(|job| job.is_running()).count() >= MOST {
            bail!(Fault::usage(format!("{MOST} jobs run already: jobs wait")));
        }
        let (stop, stopped) = oneshot::channel();
        let (ended, done) = watch::channel(false);
        let result = Arc::new(Mutex::new(None));
        let slot = result.clone();
        let runtime = runtime()?;
        let body = move || {
            let done = runtime.block_on(async {
                tokio::select! {
                    done = work => done,
                    _ = stopped => Err(Fault::new(Exit::Interrupted, "stopped").into()),
                }
            });
            runtime.shutdown_background();
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(done);
            // Where nobody waits any more, nobody needs to know.
            let _ = ended.send(true);
        };
        std::thread::Builder::new().name("job".to_owned()).spawn(body).context("cannot start a thread")?;
        self.last += 1;
        self.list.push(Job { number: self.last, line, reporter, stop: Some(stop), done, result });
        Ok(self.last)
    }

    /// Takes the jobs that have ended, each with the line that tells of it and how it went.
    pub(super) fn take_ended(&mut self) -> Vec<(String, anyhow::Result<()>)> {
        let (running, ended): (Vec<Job>, Vec<Job>) = self.list.drain(..).partition(Job::is_running);
        self.list = running;
        let told = ended.into_iter().map(|job| {
            let result = job.result.lock().unwrap_or_else(PoisonError::into_inner).take();
            let (number, line) = (job.number, &job.line);
            match result {
                Some(Ok(summary)) => (format!("[{number}] done: {line}: {summary}"), Ok(())),
                Some(Err(error)) => (format!("[{number}] failed: {line}: {}", sentence(&error)), Err(error)),
                None => (format!("[{number}] failed: {line}"), Err(anyhow::anyhow!("it has not come to its end"))),
            }
        });
        told.collect()
    }

    /// Whether any still runs.
    pub(super) fn any_running(&self) -> bool {
        self.list.iter().any(Job::is_running)
    }

    async fn wait(&mut self, number: Option<u32>) {
        for job in self.list.iter_mut().filter(|job| number.is_none_or(|number| job.number == number)) {
            // An error is the end of the sender: then the job has ended too.
            let _ = job.done.wait_for(|done| *done).await;
        }
    }
}

impl Job {
    fn is_running(&self) -> bool {
        !*self.done.borrow() && self.done.has_changed().is_ok()
    }
}

/// `jobs [wait|kill [NUMBER]]`.
pub(super) async fn jobs(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    let number = words.list.get(1).map(|word| word.trim_start_matches('%').parse::<u32>()).transpose();
    let number = number.map_err(|_| Fault::usage("a job has a number"))?;
    if let Some(number) = number
        && !console.jobs.list.iter().any(|job| job.number == number)
    {
        bail!(Fault::usage(format!("there is no job {number}")));
    }
    match words.first() {
        "" => {
            for job in &console.jobs.list {
                let total = job.reporter.total();
                let state = if job.is_running() { "running" } else { "ended" };
                console.out.line(format_args!(
                    "[{}] {state}: {}: {} of {} files, {}",
                    job.number,
                    job.line,
                    total.ended,
                    total.files,
                    show_size(total.done)
                ));
            }
            return Ok(Flow::Continue);
        }
        "wait" => console.jobs.wait(number).await,
        "kill" => {
            let meant = |job: &&mut Job| number.is_none_or(|number| job.number == number);
            // One that has ended by itself does not listen any more. A dropped sender would do, too.
            console.jobs.list.iter_mut().filter(meant).for_each(|job| job.stop = None);
            console.jobs.wait(number).await;
            // That they were stopped is no failure.
            console.jobs.take_ended().into_iter().for_each(|(line, _)| console.out.line(line));
            return Ok(Flow::Continue);
        }
        other => bail!(Fault::usage(format!("{other}: jobs [wait|kill [NUMBER]]"))),
    }
    console.tell_ended()
}

impl Console {
    /// Tells of the jobs that have ended; an error where one has failed.
    pub(super) fn tell_ended(&mut self) -> anyhow::Result<Flow> {
        let mut last = None;
        for (line, result) in self.jobs.take_ended() {
            self.out.line(line);
            last = result.err().or(last);
        }
        self.told = last.is_some() && self.interactive;
        last.map_or(Ok(Flow::Continue), Err)
    }

    /// Waits for all jobs, as the end of the console does.
    pub(super) async fn wait_for_jobs(&mut self) -> anyhow::Result<()> {
        if self.jobs.any_running() {
            if self.interactive {
                self.out.line("Waiting for the jobs: ^C leads back to the console, `jobs kill` ends them.");
            }
            self.jobs.wait(None).await;
        }
        self.tell_ended().map(drop)
    }

    /// Transfers files in the background, each in so many segments.
    pub(super) async fn carry_behind(
        &mut self,
        mut load: Load,
        words: &Words,
        segments: usize,
    ) -> anyhow::Result<Flow> {
        let own = self.own_sessions(&words.line).await?;
        load.files.iter_mut().for_each(|file| file.remote = own.path(&file.remote));
        let mut options = self.batch_options(&load);
        options.segments = segments;
        let reporter = Arc::new(Reporter::silent(self, load.upload));
        let mut batch = Batch::new(own.settings, options, reporter.clone());
        fill(&mut batch, &load);
        let watch = reporter.clone();
        self.start(words, reporter, async move {
            batch.run().await?;
            watch.end()?;
            Ok(super::trees::sum(&watch))
        })
    }

    /// Starts a job, and tells its number.
    pub(super) fn start(
        &mut self,
        words: &Words,
        reporter: Arc<Reporter>,
        work: impl Future<Output = anyhow::Result<String>> + Send + 'static,
    ) -> anyhow::Result<Flow> {
        let number = self.jobs.start(words.line.clone(), reporter, work)?;
        self.out.line(format_args!("[{number}] {}", words.line));
        Ok(Flow::Continue)
    }

    /// Whether sessions are recorded: a recording tells of one at a time then.
    pub(super) fn is_recorded(&self) -> bool {
        self.connect.trace.is_some()
    }

    /// Settings of further sessions with the server of this one, logged in as it is. Their replies are not shown.
    pub(super) async fn own_sessions(&mut self, line: &str) -> anyhow::Result<Own> {
        let shown = self.replies.set(false);
        let directory = self.client().map(Client::pwd)?.await;
        self.replies.set(shown);
        let Some(session) = &self.session else { bail!(Fault::usage("Not connected.")) };
        if session.through_gate {
            bail!(Fault::usage("there are no further sessions through a gate: use get, mget or mput"));
        }
        let Some(credentials) = session.credentials.clone() else {
            bail!(Fault::usage("further sessions want a login: Not logged in."));
        };
        let log = self.recording.session();
        log.user(line);
        let clock = log.clock();
        let mut settings =
            builder(&self.connect_args(&session.place), &session.place)?.credentials(credentials).mode(self.mode);
        if let Some(representation) = self.representation {
            settings = settings.representation(representation);
        }
        if log.is_on() {
            settings = settings.sink(Arc::new(move |event| log.write(&event)), clock);
        }
        Ok(Own { settings: settings.control_port(0), directory: directory? })
    }
}
