//! The helper's end: a process that does what it is asked for, one line a task, until the server is gone.

use std::collections::HashMap;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream as Blocking;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context as _;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};

use super::deeds::{self, RunAs};
use super::message::{self, Answer, Done, Failure, Reader, Request, Task};
use super::named::{Named, Names};
use crate::args::serve::ServeArgs;
use crate::config::Config;
use crate::exit::{Exit, Fault};
use crate::sandbox;

/// So many tasks are done at a time. What the server asks for beyond that is refused: it has lower limits for itself.
const MAX_AT_ONCE: usize = 256;

/// So many answers may wait to be taken.
const MAX_ANSWERS: usize = 16;

/// Does what the server asks for on standard input, until that ends.
///
/// # Errors
/// Where it was not started by the server.
pub(crate) fn run(args: &ServeArgs) -> anyhow::Result<Exit> {
    let stdin = std::io::stdin().as_fd().try_clone_to_owned().context("standard input")?;
    let stream = Blocking::from(stdin);
    if stream.peer_addr().is_err() {
        return Err(Fault::usage("this command is the server's own: port21 serve starts it").into());
    }
    stream.set_nonblocking(true).context("standard input")?;
    // What stands against this stands against the server too, which says it.
    let known = Config::with_flags(args).and_then(|config| Ok((sandbox::service_user(&config)?, config)));
    let Ok((user, config)) = known else { return Ok(Exit::Usage) };
    sandbox::keep_from_programs();
    let duty = Arc::new(Duty {
        names: Mutex::new(Names::new(Named::by(args, &config))),
        run_as: user.map(|(uid, gid)| RunAs { uid, gid }),
        args: args.clone(),
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("cannot start the runtime")?;
    runtime.block_on(async {
        // These go to the server as well, which may need the helper to the end: it ends when the server has.
        let _ignored = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()].map(signal);
        let (read, write) = UnixStream::from_std(stream)?.into_split();
        duty.serve(read, write).await;
        anyhow::Ok(())
    })?;
    // A file system or a name server that hangs may hold a thread: it is not waited for.
    runtime.shutdown_background();
    Ok(Exit::Done)
}

/// What the helper does, and for what.
pub(super) struct Duty {
    pub(super) names: Mutex<Names>,
    /// Whom the server has become: programs run as the same. Where it stayed who it is, so do they.
    pub(super) run_as: Option<RunAs>,
    pub(super) args: ServeArgs,
}

impl Duty {
    /// Does what is asked for until there is nobody to ask. What is under way then is broken off.
    pub(super) async fn serve(
        self: Arc<Self>,
        from: impl AsyncRead + Unpin,
        to: impl AsyncWrite + Unpin + Send + 'static,
    ) {
        let mut from = Reader::new(from);
        let (answers, waiting) = mpsc::channel(MAX_ANSWERS);
        let sender = tokio::spawn(send(to, waiting));
        let mut tasks = JoinSet::new();
        let mut handles: HashMap<u64, AbortHandle> = HashMap::new();
        loop {
            let request = tokio::select! {
                request = from.next::<Request>() => request,
                // One that has ended makes room.
                Some(_) = tasks.join_next(), if !tasks.is_empty() => {
                    handles.retain(|_, handle| !handle.is_finished());
                    continue;
                }
            };
            match request {
                Ok(Some(Request { task: Task::Cancel(id), .. })) => drop(handles.remove(&id).map(|task| task.abort())),
                Ok(Some(Request { id, task })) => {
                    let (duty, answers) = (self.clone(), answers.clone());
                    let room = tasks.len() < MAX_AT_ONCE;
                    let handle = tasks.spawn(async move {
                        let result =
                            if room { duty.perform(task).await } else { Err(io::Error::other("too much to do")) };
                        // Where nobody takes answers any more the server has gone.
                        let _ = answers.send(Answer { id, result: result.map_err(Failure::from) }).await;
                    });
                    handles.insert(id, handle);
                }
                Ok(None) => break,
                Err(error) => {
                    tracing::error!(%error, "the helper process ends: it does not understand the server");
                    break;
                }
            }
        }
        sender.abort();
    }

    async fn perform(&self, task: Task) -> io::Result<Done> {
        match task {
            Task::Read(path) if self.names().file(&path) => self.read(path).await.map(Done::Text),
            Task::Look(path) if self.names().file(&path) || self.names().is_run(&path) => {
                deeds::look(path).await.map(Done::Seen)
            }
            Task::Resolve(host) if self.names().host(&host) => deeds::resolve(host).await.map(Done::Addresses),
            Task::Run { program, input, answers } if self.names().program(&program) => {
                deeds::run(&program, &input, answers, self.run_as).await.map(Done::Ended)
            }
            Task::Adopt => {
                self.names().adopt();
                Ok(Done::Adopted)
            }
            Task::Ping => Ok(Done::Here),
            Task::Read(_) | Task::Look(_) | Task::Resolve(_) | Task::Run { .. } | Task::Cancel(_) => {
                // Either the configuration was changed and not reloaded, or the server is not what it was.
                tracing::error!("the helper process was asked for what the configuration does not name");
                Err(io::Error::new(io::ErrorKind::PermissionDenied, "the configuration that was read does not name it"))
            }
        }
    }

    async fn read(&self, path: PathBuf) -> io::Result<String> {
        let is_configuration = self.args.config.as_ref() == Some(&path);
        let text = deeds::read(path).await?;
        // What is wrong in it the server finds as well, and says.
        if is_configuration && let Ok(config) = Config::with_flags_and_text(&self.args, Some(&text)) {
            self.names().has_read(Named::by(&self.args, &config));
        }
        Ok(text)
    }

    fn names(&self) -> MutexGuard<'_, Names> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn send(mut to: impl AsyncWrite + Unpin, mut answers: mpsc::Receiver<Answer>) {
    while let Some(answer) = answers.recv().await {
        let id = answer.id;
        // What is too long for a line is a failure of its own.
        let line =
            message::write(&answer).or_else(|error| message::write(&Answer { id, result: Err(Failure::from(error)) }));
        let Ok(line) = line else { return };
        if to.write_all(&line).await.is_err() {
            return;
        }
    }
}
