//! The operations of a session: each with exactly one outcome, and each a task beside it unless it is done at once.

use std::collections::VecDeque;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use port21_proto::FtpPath;
use port21_proto::server::{Action, DataChannel, OpId, Outcome, Protection, Receipt, StorageError};
use tokio::sync::oneshot;
use tokio::task::{AbortHandle, JoinError, JoinSet};
use tokio::time::timeout;
use tracing::error;

use crate::data::connection::DataConnection;
use crate::data::encoding::Encoding;
use crate::data::lingering::Lingering;
use crate::data::listing::OpenListing;
use crate::data::meter::Meter;
use crate::data::passive::Passive;
use crate::data::upload::{Cancel, Terms};
use crate::session::kind::Kind;
use crate::session::log::Log;
use crate::session::perform::{Channel, Login, Performer};
use crate::storage::{Source, Upload};
use crate::tls::engine::Engine;
use crate::tls::handshake::{Guard, Progress};
use crate::tls::{Binding, TlsPeer};

/// How long the operations of a session that ends are waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// The operations that run, and what those that have ended hold. Dropped, all of it ends.
pub(crate) struct Work {
    performer: Arc<Performer>,
    /// What data connections have in common with the control connection, once that has begun TLS.
    binding: Option<Arc<Binding>>,
    /// Who is at the other end, while TLS is on the control connection.
    tls_peer: Option<Arc<TlsPeer>>,
    login: Option<Login>,
    held: Vec<(OpId, Held)>,
    /// What is still open of the operation before, for its client to read the reply.
    lingering: Option<Lingering>,
    running: Vec<Running>,
    tasks: JoinSet<Done>,
    /// What ended at once.
    ended: VecDeque<Happened>,
    /// Nothing is kept of uploads that break off now.
    spoils: bool,
}

/// What an operation has opened and a later one uses.
pub(super) enum Held {
    Passive(Passive),
    Source(Source, FtpPath),
    Listing(OpenListing, FtpPath),
    Upload(Box<dyn Upload>),
}

/// What a task gives back.
pub(super) struct Done {
    pub(super) outcome: Outcome,
    pub(super) held: Option<Held>,
    /// What it has used of another operation's.
    pub(super) returned: Option<(OpId, Held)>,
    /// The data connection of an upload that was ended.
    pub(super) left: Option<Box<DataConnection>>,
    pub(super) login: Option<Login>,
}

impl Done {
    pub(super) fn holding(outcome: Outcome, held: Held) -> Done {
        Done { held: Some(held), ..outcome.into() }
    }
}

impl From<Outcome> for Done {
    fn from(outcome: Outcome) -> Done {
        Done { outcome, held: None, returned: None, left: None, login: None }
    }
}

/// An operation.
struct Operation {
    op: OpId,
    kind: Kind,
    /// Under which operation's name it holds what it gives back: an upload stays under that which has created it.
    holder: OpId,
    transfer: Option<Transfer>,
}

/// An operation that has not ended.
struct Running {
    operation: Operation,
    task: AbortHandle,
}

/// A transfer as the session sees it.
struct Transfer {
    meter: Arc<Meter>,
    connected: Option<oneshot::Receiver<()>>,
    cancel: Option<oneshot::Sender<()>>,
}

impl Work {
    pub(crate) fn new(performer: Performer) -> Work {
        Work {
            performer: Arc::new(performer),
            binding: None,
            tls_peer: None,
            login: None,
            held: Vec::new(),
            lingering: None,
            running: Vec::new(),
            tasks: JoinSet::new(),
            ended: VecDeque::new(),
            spoils: false,
        }
    }

    /// The control connection begins TLS.
    pub(crate) fn bind(&mut self, binding: Arc<Binding>) {
        self.binding = Some(binding);
    }

    /// TLS stands on the control connection now, or does not any more.
    pub(crate) fn secured(&mut self, engine: Option<&Engine>) {
        self.tls_peer = match (engine, &self.binding) {
            (Some(engine), Some(binding)) => Some(Arc::new(binding.control_stands(engine))),
            _ => None,
        };
    }

    /// The name of the server that the client has given in its handshake.
    pub(crate) fn tls_server_name(&self) -> Option<String> {
        self.tls_peer.as_ref().and_then(|peer| peer.server_name.clone())
    }

    /// Begins an operation.
    pub(crate) fn start(&mut self, op: OpId, action: Action) {
        self.lingering = None;
        let operation = Operation { op, kind: Kind::of(&action), holder: op, transfer: None };
        let performer = self.performer.clone();
        match action {
            Action::Authenticate { site, user, password } => {
                let tls = self.tls_peer.clone();
                self.spawn(
                    operation,
                    async move { performer.authenticate(site, &user, &password, tls.as_deref()).await },
                );
            }
            Action::Recognise { site, user } => {
                let tls = self.tls_peer.clone();
                self.spawn(operation, async move { performer.recognise(site, &user, tls.as_deref()).await });
            }
            Action::FindSite(name) => self.spawn(operation, async move { performer.find_site(&name) }),
            Action::Listen { ipv4, protection } => match self.guard(protection) {
                Ok(guard) => self.spawn(operation, async move { performer.listen(ipv4, guard) }),
                Err(why) => self.refuse(operation, why),
            },
            Action::Transfer { job, data, representation, mode, level, direction: _, protection } => {
                self.transfer(operation, job, data, Encoding { representation, mode, level }, protection);
            }
            Action::Sync { job, until } => match self.take(job) {
                Some(Held::Upload(upload)) => {
                    let operation = Operation { holder: job, ..operation };
                    self.spawn(operation, async move { performer.sync(upload, until).await });
                }
                _ => self.refuse(operation, NOTHING_HELD),
            },
            Action::Commit(job) => match self.take(job) {
                Some(Held::Upload(upload)) => self.spawn(operation, async move { performer.commit(upload).await }),
                _ => self.refuse(operation, NOTHING_HELD),
            },
            action => match &self.login {
                Some(login) => {
                    let account = login.account.clone();
                    let uploads = matches!(action, Action::Create { .. });
                    let handshake = self.handshake_that_brings_tickets();
                    let data = if uploads { self.take_data_that_needs_tickets() } else { None };
                    let (cancel, cancelled) = oneshot::channel();
                    // What ends itself when it is told so, and not at any place where it happens to be.
                    let transfer = (uploads || matches!(action, Action::Combine { .. })).then(|| Transfer {
                        meter: Arc::default(),
                        connected: None,
                        cancel: Some(cancel),
                    });
                    let mut cancelled = Cancel::new(cancelled);
                    self.spawn(Operation { transfer, ..operation }, async move {
                        let mut done = performer.on_account(&account, action, &mut cancelled).await;
                        // What opens nothing may be all that the client wanted to know.
                        if let Some(handshake) = handshake
                            && done.held.is_none()
                        {
                            handshake.settled().await;
                        }
                        done.returned = match data {
                            // The client is told to send once this has ended.
                            Some((op, mut passive)) if done.held.is_some() => {
                                tokio::select! {
                                    biased;
                                    _ = cancelled => {}
                                    () = passive.give_tickets() => {}
                                }
                                Some((op, Held::Passive(passive)))
                            }
                            data => data.map(|(op, passive)| (op, Held::Passive(passive))),
                        };
                        done
                    });
                }
                // The session asks for no file before a login.
                None => self.refuse(operation, "nobody is logged in"),
            },
        }
    }

    /// Gives back what the login has taken: its place among the sessions of the account, and its share of the rates.
    pub(crate) fn log_out(&mut self) {
        self.performer.log.logged_out();
        self.login = None;
    }

    /// Stops an operation, where that leaves no doubt about its outcome, which still comes.
    pub(crate) fn cancel(&mut self, op: OpId) {
        self.running.iter_mut().filter(|running| running.operation.op == op).for_each(Running::stop);
    }

    /// Lets go of what an operation holds. An upload is cleared away when this ends, so that what the client is told next
    /// is true; a disk that does not answer is not waited for without end. A data connection that has come is closed a little
    /// later.
    pub(crate) async fn release(&mut self, op: OpId) {
        let handshake = self.handshake_that_brings_tickets();
        match self.take(op) {
            Some(Held::Upload(upload)) => drop(timeout(PATIENCE, upload.let_go()).await),
            Some(Held::Passive(passive)) => {
                // Its client does not look at it any more behind the reply that this one makes way for.
                if let Some(handshake) = handshake {
                    handshake.settled().await;
                }
                self.lingering = Some(Lingering::refused(passive));
            }
            Some(Held::Source(..) | Held::Listing(..)) | None => {}
        }
    }

    /// Whether any operation runs, or has an outcome that was not given out, or a port waits for its client.
    pub(crate) fn is_busy(&self) -> bool {
        let is_open = |(_, held): &(OpId, Held)| matches!(held, Held::Passive(passive) if passive.is_open());
        !self.tasks.is_empty() || !self.ended.is_empty() || self.held.iter().any(is_open)
    }

    /// Gives back the room of what is empty: sessions mostly wait, and there may be many.
    pub(crate) fn rest(&mut self) {
        if self.held.is_empty() {
            self.held = Vec::new();
        }
        if self.running.is_empty() {
            self.running = Vec::new();
        }
        if self.ended.is_empty() {
            self.ended = VecDeque::new();
        }
    }

    /// The next thing that happens to an operation; only while it is busy. That a client has come to its port is nothing to tell. May be dropped and called again.
    pub(crate) async fn next(&mut self) -> Happened {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }

    /// The transfers that run, and how far each has come.
    pub(crate) fn progress(&self) -> impl Iterator<Item = (OpId, u64)> {
        self.running.iter().filter_map(|Running { operation, .. }| {
            let transfer = operation.transfer.as_ref()?;
            Some((operation.op, transfer.meter.progress()))
        })
    }

    pub(crate) fn log(&self) -> &Log {
        &self.performer.log
    }

    /// Whoever is given the name of this account next is not to go on with what it has begun.
    pub(crate) fn spoil(&mut self) {
        self.spoils = true;
    }

    /// Ends every operation and lets go of all that is held. What cannot be stopped is waited for, a little.
    pub(crate) async fn end(&mut self) {
        self.lingering = None;
        self.running.iter_mut().for_each(Running::stop);
        let held = std::mem::take(&mut self.held).into_iter().map(|(_, held)| held);
        let all_ended = async {
            held.for_each(|held| self.let_go(held));
            while let Some(ended) = self.tasks.join_next().await {
                if let Ok(Done { held: Some(held), .. }) = ended {
                    self.let_go(held);
                }
            }
        };
        // A disk that does not answer holds nobody up for ever: what is done there is done without being waited for.
        let _ = timeout(PATIENCE, all_ended).await;
    }

    fn let_go(&mut self, held: Held) {
        if let Held::Upload(mut upload) = held {
            if self.spoils {
                upload.spoil();
            }
            self.tasks.spawn(async {
                upload.let_go().await;
                Outcome::Done(Ok(())).into()
            });
        }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Happened> {
        if let Some(ended) = self.ended.pop_front() {
            return Poll::Ready(ended);
        }
        for (_, held) in &mut self.held {
            if let Held::Passive(passive) = held {
                passive.poll_come(cx);
            }
        }
        while let Poll::Ready(Some(joined)) = self.tasks.poll_join_next_with_id(cx) {
            let id = joined.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
            if let Some(at) = self.running.iter().position(|running| running.task.id() == id) {
                let Running { operation, .. } = self.running.swap_remove(at);
                let result = match joined {
                    Ok((_, done)) => Ok(done),
                    Err(error) if error.is_cancelled() => Err(Lost::Cancelled),
                    Err(_) => Err(Lost::Panicked),
                };
                return Poll::Ready(self.settle(operation, result));
            }
        }
        self.poll_connected(cx)
    }

    fn poll_connected(&mut self, cx: &mut Context<'_>) -> Poll<Happened> {
        for Running { operation, .. } in &mut self.running {
            let Some(transfer) = &mut operation.transfer else { continue };
            let Some(connected) = &mut transfer.connected else { continue };
            if let Poll::Ready(result) = Pin::new(connected).poll(cx) {
                transfer.connected = None;
                // Else it ends without having stood.
                if result.is_ok() {
                    return Poll::Ready(Happened::Connected(operation.op));
                }
            }
        }
        Poll::Pending
    }

    /// The port of the upload that is about to begin, where its client has to have tickets before it sends, which
    /// [`Binding::wants_tickets_early`] explains.
    fn take_data_that_needs_tickets(&mut self) -> Option<(OpId, Passive)> {
        let binding = self.binding.as_ref()?;
        let at = self.held.iter().position(|(_, held)| matches!(held, Held::Passive(_)))?;
        if !binding.wants_tickets_early() {
            return None;
        }
        match self.held.swap_remove(at) {
            (op, Held::Passive(passive)) => Some((op, passive)),
            _ => None,
        }
    }

    /// The handshake on the port that is held, where the tickets that it ends with must reach the client before the reply
    /// to its command, which [`Binding::wants_tickets_early`] explains.
    fn handshake_that_brings_tickets(&self) -> Option<Progress> {
        let wanted = self.binding.as_ref().is_some_and(|binding| binding.wants_tickets_early());
        let held = self.held.iter().find_map(|(_, held)| match held {
            Held::Passive(passive) => passive.handshake(),
            _ => None,
        });
        held.filter(|_| wanted).cloned()
    }

    /// What is demanded of data connections under this protection.
    fn guard(&self, protection: Protection) -> Result<Option<Guard>, &'static str> {
        match (protection, &self.binding) {
            (Protection::Clear, _) => Ok(None),
            (Protection::Private, Some(binding)) => {
                let patience = self.performer.shared.settings.session.tls.handshake_timeout;
                Ok(Some(Guard { binding: binding.clone(), patience, progress: Progress::default() }))
            }
            // Never in clear what was to be private.
            (Protection::Private, None) => Err(NOTHING_HELD),
        }
    }

    fn transfer(
        &mut self,
        operation: Operation,
        job: OpId,
        data: DataChannel,
        encoding: Encoding,
        protection: Protection,
    ) {
        let channel = match data {
            DataChannel::Active(addr) => Some(Channel::Active(addr)),
            DataChannel::Passive(listen) => match self.take(listen) {
                Some(Held::Passive(passive)) => Some(Channel::Passive(passive)),
                _ => None,
            },
        };
        let (Some(channel), Some(source)) = (channel, self.take(job)) else {
            return self.refuse(operation, NOTHING_HELD);
        };
        let guard = match self.guard(protection) {
            Ok(guard) => guard,
            Err(why) => return self.refuse(operation, why),
        };
        let pace = self.login.as_ref().map(|login| login.pace(&source)).unwrap_or_default();
        let terms = Terms {
            encoding,
            eof: self.login.as_ref().map(|login| login.account.uploads.eof).unwrap_or_default(),
            digests: self.performer.shared.settings.session.receipt == Receipt::Digest,
        };
        let (performer, meter) = (self.performer.clone(), Arc::new(Meter::paced(pace)));
        let (stands, connected) = oneshot::channel();
        let (cancel, cancelled) = oneshot::channel();
        let transfer = Transfer { meter: meter.clone(), connected: Some(connected), cancel: Some(cancel) };
        self.spawn(Operation { holder: job, transfer: Some(transfer), ..operation }, async move {
            performer.transfer(source, (channel, guard), terms, meter, stands, Cancel::new(cancelled)).await
        });
    }

    /// Begins the work here and now: much of it is done at once (a port that listens, a file that is in the system's
    /// caches), and then needs no task, which would wake another thread. What has to wait goes on in a task.
    fn spawn(&mut self, operation: Operation, work: impl Future<Output = Done> + Send + 'static) {
        let mut work = Box::pin(work);
        // Its task polls it again, with a waker of its own.
        let mut cx = Context::from_waker(Waker::noop());
        let first = catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(&mut cx)));
        let result = match first {
            Ok(Poll::Pending) => {
                let task = self.tasks.spawn(work);
                return self.running.push(Running { operation, task });
            }
            Ok(Poll::Ready(done)) => Ok(done),
            Err(_) => Err(Lost::Panicked),
        };
        let ended = self.settle(operation, result);
        self.ended.push_back(ended);
    }

    /// An operation that cannot even begin still has its outcome, in its turn.
    fn refuse(&mut self, operation: Operation, why: &'static str) {
        let outcome = operation.kind.failed(StorageError::Io(why.into()), 0);
        let ended = self.settle(operation, Ok(outcome.into()));
        self.ended.push_back(ended);
    }

    /// Keeps what an operation has given back, and tells its outcome.
    fn settle(&mut self, mut operation: Operation, result: Result<Done, Lost>) -> Happened {
        let done = result.unwrap_or_else(|lost| operation.lost(lost).into());
        if let Some(held) = done.held {
            self.held.push((operation.holder, held));
        }
        self.held.extend(done.returned);
        if let Some(data) = done.left {
            self.lingering = Some(Lingering::ended(data));
        }
        if let Some(login) = done.login {
            self.login = Some(login);
        }
        let connected = operation.transfer.as_mut().and_then(|transfer| transfer.connected.take());
        let stood = connected.is_some_and(|mut connected| connected.try_recv().is_ok());
        Happened::Ended { op: operation.op, kind: operation.kind, stood, outcome: done.outcome }
    }

    fn take(&mut self, op: OpId) -> Option<Held> {
        let at = self.held.iter().position(|(holder, _)| *holder == op)?;
        Some(self.held.swap_remove(at).1)
    }
}

const NOTHING_HELD: &str = "what the operation needs is not held any more";

/// What has happened to an operation.
pub(crate) enum Happened {
    /// The data connection of this transfer stands.
    Connected(OpId),
    /// It has ended.
    Ended {
        op: OpId,
        kind: Kind,
        /// Its data connection stood, which was not told yet.
        stood: bool,
        outcome: Outcome,
    },
}

/// Why an operation did not come to its end.
enum Lost {
    Cancelled,
    Panicked,
}

impl Running {
    fn stop(&mut self) {
        match &mut self.operation.transfer {
            // It ends itself: an upload first waits for the write that is under way, and nobody else may write to the
            // file before that.
            Some(transfer) => drop(transfer.cancel.take()),
            None if self.operation.kind.is_stoppable() => self.task.abort(),
            None => {}
        }
    }
}

impl Operation {
    fn lost(&self, why: Lost) -> Outcome {
        let bytes = self.transfer.as_ref().map_or(0, |transfer| transfer.meter.bytes());
        match why {
            Lost::Cancelled => self.kind.failed(StorageError::Cancelled, bytes),
            Lost::Panicked => {
                error!(kind = ?self.kind, "an operation panicked: this is a fault of the server, please report it");
                self.kind.failed(StorageError::Io("it panicked".into()), bytes)
            }
        }
    }
}
