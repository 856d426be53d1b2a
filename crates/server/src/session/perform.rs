//! How each operation is done.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::sync::Arc;

use port21_proto::event::{ConnectionId, EventKind};
use port21_proto::listing::Entry;
use port21_proto::server::{
    Action, Changes, DataError, Described, LoginError, Opened, Outcome, Representation, SiteId, StorageError,
    TransferError, Transferred,
};
use port21_proto::{FtpPath, Secret, Time};
use tokio::sync::oneshot;
use tokio::time::sleep;

use crate::account::guard::Tried;
use crate::account::standing::Joined;
use crate::account::{Account, Attempt};
use crate::activity::Direction;
use crate::data::connection::DataConnection;
use crate::data::download::download;
use crate::data::listing::OpenListing;
use crate::data::meter::Meter;
use crate::data::pace::Pace;
use crate::data::passive::Passive;
use crate::data::upload::{Cancel, Failed, Received, Terms, upload};
use crate::events::Events;
use crate::limits::AccountPlace;
use crate::proxy::Ends;
use crate::session::combine::Combination;
use crate::session::fault::Fault;
use crate::session::log::{Carried, Log};
use crate::session::work::{Done, Held};
use crate::session::{digest, tree};
use crate::shared::Shared;
use crate::storage::{Source, Storage, Upload, UploadRequest};
use crate::tls::TlsPeer;
use crate::tls::handshake::Guard;

/// What the operations of one session need.
pub(crate) struct Performer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) number: u64,
    pub(crate) ends: Ends,
    pub(crate) events: Option<Arc<Events>>,
    pub(crate) log: Log,
}

/// Who is logged in, and the place that this takes among the account's sessions.
pub(super) struct Login {
    /// On the heap, as the session mostly waits.
    pub(super) account: Box<Account>,
    _place: AccountPlace,
    /// It is called when the account is withdrawn.
    _joined: Option<Joined>,
    /// Down and up.
    paces: Box<(Pace, Pace)>,
}

impl Login {
    /// How fast what is held may be carried.
    pub(super) fn pace(&self, held: &Held) -> Pace {
        let (down, up) = &*self.paces;
        if matches!(held, Held::Upload(_)) { up.clone() } else { down.clone() }
    }
}

/// How a data connection comes to stand.
pub(super) enum Channel {
    Passive(Passive),
    Active(SocketAddr),
}

impl Performer {
    pub(super) fn find_site(&self, name: &[u8]) -> Done {
        let found = self.shared.sites.find(name);
        let found = found.and_then(|site| Some((site, self.shared.sites.session(site, self.events.is_some())?)));
        Outcome::Site(found).into()
    }

    pub(super) async fn authenticate(
        &self,
        site: SiteId,
        user: &[u8],
        password: &Secret,
        tls: Option<&TlsPeer>,
    ) -> Done {
        let attempt = Attempt { user, password, peer: self.ends.peer.ip(), tls };
        let result = self.guarded(site, attempt).await;
        let result = result.and_then(|account| self.admit(site, account));
        let is_known = match (&result, self.shared.sites.authenticator(site)) {
            (Err(_), Some(authenticator)) => authenticator.knows(user).await,
            _ => true,
        };
        if !is_known {
            self.log.has_tried_a_name_that_nobody_has();
        }
        self.logged_in(self.tried(site, user), Some(password), result)
    }

    /// Whether the certificate suffices. Where it does not, nobody has tried to log in yet.
    pub(super) async fn recognise(&self, site: SiteId, user: &[u8], tls: Option<&TlsPeer>) -> Done {
        let (guard, peer, password) = (&self.shared.guard, self.ends.peer.ip(), Secret::new(""));
        let tried = self.tried(site, user);
        let result = match self.shared.sites.authenticator(site) {
            Some(authenticator) if !guard.refuses(peer, tried) => {
                authenticator.recognise(Attempt { user, password: &password, peer, tls }).await
            }
            _ => Err(LoginError::Refused),
        };
        match result.and_then(|account| self.admit(site, account)) {
            Ok(login) => {
                guard.succeeded(peer, tried);
                self.logged_in(tried, None, Ok(login))
            }
            Err(error) => Outcome::Login(Err(error)).into(),
        }
    }

    /// A place among the sessions of the account.
    fn admit(&self, site: SiteId, account: Account) -> Result<Login, LoginError> {
        // Two sites may each have an account of this name.
        let counted = match self.shared.sites.name(site) {
            Some(site) => format!("{site}/{}", account.name),
            None => account.name.clone(),
        };
        let place = self.shared.accounts.admit(&counted, account.max_sessions).ok_or(LoginError::TooMany)?;
        let paces = self.shared.accounts.paces(&counted, account.rates, account.session_rates);
        let joined = self.shared.registry.call(self.number).map(|session| account.standing.join(&session));
        Ok(Login { account: Box::new(account), _place: place, _joined: joined, paces: Box::new(paces) })
    }

    fn logged_in(&self, tried: Tried<'_>, password: Option<&Secret>, result: Result<Login, LoginError>) -> Done {
        self.shared.registry.at(self.number, tried.site);
        self.log.login(tried, password, result.as_ref().map(|login| &*login.account));
        match result {
            Ok(login) => {
                let outcome = Outcome::Login(Ok(login.account.grant()));
                Done { login: Some(login), ..outcome.into() }
            }
            Err(error) => Outcome::Login(Err(error)).into(),
        }
    }

    fn tried<'a>(&'a self, site: SiteId, user: &'a [u8]) -> Tried<'a> {
        Tried { site: self.shared.sites.name(site), user }
    }

    /// The account of an attempt. What fails comes later and later; what is refused unseen looks the same.
    async fn guarded(&self, site: SiteId, attempt: Attempt<'_>) -> Result<Account, LoginError> {
        let (guard, Attempt { user, peer, .. }) = (&self.shared.guard, attempt);
        let tried = self.tried(site, user);
        let result = match self.shared.sites.authenticator(site) {
            _ if guard.refuses(peer, tried) => Err(LoginError::Refused),
            Some(authenticator) => authenticator.login(attempt).await,
            None => Err(LoginError::Unavailable),
        };
        // Tries that are made at once count as if they were made one after another, in the order in which they end: the
        // right password behind the last failure that was allowed comes too late. Any other answer does too, or it would
        // tell the two apart.
        let result = if guard.refuses(peer, tried) { Err(LoginError::Refused) } else { result };
        match &result {
            Err(LoginError::Refused | LoginError::Undecided) => sleep(guard.failed(peer, tried)).await,
            // Anybody can be a guest: that proves nothing of who comes from there.
            Ok(account) if !account.anonymous => guard.succeeded(peer, tried),
            _ => {}
        }
        result
    }

    pub(super) fn listen(&self, ipv4: bool, guard: Option<Guard>) -> Done {
        match self.passive(ipv4, guard) {
            Ok((passive, told)) => Done::holding(Outcome::Listening(Ok(told)), Held::Passive(passive)),
            Err(error) => Outcome::Listening(Err(error)).into(),
        }
    }

    /// A port that listens, and the address to tell the client.
    fn passive(&self, ipv4: bool, guard: Option<Guard>) -> Result<(Passive, SocketAddr), DataError> {
        let Ends { peer, server, .. } = self.ends;
        if ipv4 && !server.is_ipv4() {
            return Err(DataError::Family);
        }
        let shared = &self.shared;
        // A client that connects late has its time from its command on; one that asks for a port ahead of that, twice as long.
        let patience = shared.settings.session.data_open_timeout.saturating_mul(2);
        let (ports, proxies) = (&shared.passive_ports, &shared.proxies);
        let passive = Passive::listen(ports, proxies, self.ends, self.events.clone(), guard, patience)?;
        let mut told = passive.addr();
        // The client's side of a proxy, where there is one.
        told.set_ip(server.ip());
        let is_local = shared.settings.local_networks.iter().any(|network| network.contains(peer.ip()));
        if let Some(ip) = shared.advertised.get()
            && ipv4
            && !is_local
        {
            told.set_ip(IpAddr::V4(ip));
        }
        Ok((passive, told))
    }

    /// `stands` is told when the data connection does; when `cancel` ends, so does the transfer. Where there is a
    /// `guard`, TLS is spoken, as it demands.
    pub(super) async fn transfer(
        &self,
        held: Held,
        (channel, guard): (Channel, Option<Guard>),
        terms: Terms,
        meter: Arc<Meter>,
        stands: oneshot::Sender<()>,
        mut cancel: Cancel,
    ) -> Done {
        let began = self.shared.clock.now();
        let (direction, path) = match &held {
            Held::Source(_, path) => (Direction::Down, path.clone()),
            Held::Listing(_, path) => (Direction::List, path.clone()),
            Held::Upload(upload) => (Direction::Up, upload.path().clone()),
            Held::Passive(_) => (Direction::List, FtpPath::root()),
        };
        let mut moving = self.shared.registry.moves(self.number, direction, path.clone(), began, meter.clone());
        if let Held::Upload(upload) = &held {
            cancel.or_when(upload.displaced());
        }
        let mut connection = None;
        let connected = unless(&mut cancel, self.connect((channel, guard), &meter, stands, &mut connection)).await;
        let Moved { result, held, digest, left } = match connected {
            Ok(data) => carry(held, data, terms, cancel).await,
            // An upload is let go of by the session, as after any other end.
            Err(error) => Moved { result: Err(error), held: Some(held), digest: None, left: None },
        };
        if result.is_ok() {
            moving.is_whole();
        }
        if let (Err(TransferError::Tls(error)), Some(connection), Some(events)) = (&result, connection, &self.events) {
            events.tell(EventKind::TlsFailed { connection, why: error.failure(), text: error.to_string() });
        }
        drop(moving);
        let (bytes, took) = (meter.bytes(), self.shared.clock.now().since(began));
        self.log
            .transfer(Carried { direction, path, bytes, took, representation: terms.encoding.representation }, &result);
        let outcome = Outcome::Transferred(Transferred { bytes, result, digest });
        Done { held: held.filter(|held| matches!(held, Held::Upload(_))), left, ..outcome.into() }
    }

    async fn connect(
        &self,
        (channel, guard): (Channel, Option<Guard>),
        meter: &Arc<Meter>,
        stands: oneshot::Sender<()>,
        connection: &mut Option<ConnectionId>,
    ) -> Result<DataConnection, TransferError> {
        let standing = match channel {
            Channel::Passive(passive) => passive.accepted().await?,
            Channel::Active(addr) => self.shared.active.connect(addr, self.ends, self.events.as_ref()).await?,
        };
        *connection = standing.connection();
        // Nobody hears it where the session has ended meanwhile.
        let _ = stands.send(());
        let data = standing.for_transfer(guard, meter.clone()).await?;
        if data.is_unproven() {
            self.log.not_resumed();
        }
        Ok(data)
    }

    pub(super) async fn sync(&self, mut upload: Box<dyn Upload>, until: Time) -> Done {
        let (synced, ()) = tokio::join!(upload.sync(), self.shared.clock.reach_in_turns(until));
        let outcome = Outcome::Done(synced);
        Done::holding(outcome, Held::Upload(upload))
    }

    pub(super) async fn commit(&self, upload: Box<dyn Upload>) -> Done {
        let path = upload.path().clone();
        let result = upload.commit().await;
        self.log.stored(&path, &result);
        Outcome::Done(result).into()
    }

    /// Everything that is one question to the account's storage, or a few.
    pub(super) async fn on_account(&self, account: &Account, action: Action, cancel: &mut Cancel) -> Done {
        let (storage, uploads) = (&*account.storage, &account.uploads);
        match action {
            Action::Open { path, from, to, representation } => match self
                .open(storage, &path, from..to.unwrap_or(u64::MAX), representation)
                .await
            {
                Ok((source, size)) => Done::holding(Outcome::Opened(Ok(Opened { size })), Held::Source(source, path)),
                Err(error) => {
                    self.log.refused(Direction::Down, &path, &error);
                    Outcome::Opened(Err(error)).into()
                }
            },
            Action::Create { path, placement, overwrite, announced, told, representation } => {
                let commit = uploads.commit_of(&path).unwrap_or(self.shared.settings.commit);
                let request = UploadRequest {
                    path: &path,
                    placement,
                    overwrite,
                    announced,
                    commit,
                    told,
                    representation,
                    adds: false,
                };
                match storage.create(request).await {
                    Ok(upload) => Done::holding(Outcome::Created(Ok(upload.path().clone())), Held::Upload(upload)),
                    Err(error) => {
                        self.log.refused(Direction::Up, &path, &error);
                        Outcome::Created(Err(error)).into()
                    }
                }
            }
            Action::List(request) => match storage.list(&request).await {
                Ok(listing) => {
                    let path = request.path.clone();
                    let listing = OpenListing::new(request, listing, self.shared.clock.now().timestamp());
                    Done::holding(Outcome::Opened(Ok(Opened::default())), Held::Listing(listing, path))
                }
                Err(error) => Outcome::Opened(Err(error)).into(),
            },
            Action::Describe(request) => {
                let described = match storage.list(&request).await {
                    Ok(listing) => {
                        let is_directory = listing.is_directory();
                        let listing = OpenListing::new(request, listing, self.shared.clock.now().timestamp());
                        listing.lines().await.map(|lines| Described { is_directory, lines })
                    }
                    Err(error) => Err(error),
                };
                Outcome::Described(described).into()
            }
            Action::Stat(path) => Outcome::Entry(storage.stat(&path).await.map(Box::new)).into(),
            Action::Named(path) => Outcome::Entry(named(storage, &path).await.map(Box::new)).into(),
            Action::Facts(path) => match storage.stat(&path).await {
                Err(StorageError::NotFound) => {
                    part(storage, &path).await.unwrap_or_else(|e| Outcome::Entry(Err(e))).into()
                }
                entry => Outcome::Entry(entry.map(Box::new)).into(),
            },
            Action::Size { path, representation } => match storage.size(&path, representation).await {
                Err(StorageError::NotFound) => match part(storage, &path).await {
                    // Where in a text its bytes end on the wire, nobody can tell.
                    Ok(_) if representation == Representation::Ascii => {
                        Outcome::Size(Err(StorageError::TooCostly)).into()
                    }
                    outcome => outcome.unwrap_or_else(|e| Outcome::Size(Err(e))).into(),
                },
                size => Outcome::Size(size).into(),
            },
            Action::TreeSize(path) => Outcome::Size(tree::size(storage, &path).await).into(),
            Action::Available(path) => Outcome::Size(storage.available(&path).await).into(),
            Action::Digest(request) => {
                Outcome::Digest(digest::digest(storage, &request, &self.shared.digests).await).into()
            }
            Action::Combine { ref target, ref parts, overwrite } => {
                let commit = uploads.commit_of(target).unwrap_or(self.shared.settings.commit);
                let combination = Combination { target, parts, overwrite, commit };
                let (removed, stayed) =
                    (|part: &FtpPath| self.log.removed(part), |part: &FtpPath, why: &_| self.log.stayed(part, why));
                let result = combination.run(storage, cancel, removed, stayed).await;
                self.with_many(&action, result)
            }
            Action::RemoveTree(ref path) => {
                let result = tree::remove(storage, path, |file| self.log.removed(file)).await;
                self.with_many(&action, result)
            }
            Action::Who { everybody } => Outcome::Text(Ok(self.shared.registry.who(self.number, everybody))).into(),
            Action::Enter(path) => Outcome::Done(storage.enter(&path).await).into(),
            change => Outcome::Done(self.change(storage, change).await).into(),
        }
    }

    /// A source, and how many bytes it has on the wire, where that is known.
    async fn open(
        &self,
        storage: &dyn Storage,
        path: &FtpPath,
        bytes: Range<u64>,
        representation: Representation,
    ) -> Result<(Source, Option<u64>), StorageError> {
        let source = match storage.open_read(path, bytes.start).await {
            // draft-bryan-ftp-range-08 section 4.3: a range behind the end of the file is no bytes, and no error.
            Err(StorageError::BadOffset) if bytes.end < u64::MAX => Source::empty(),
            source => source?.at_most(bytes.end.saturating_sub(bytes.start)),
        };
        let size = source.wire_size(representation).await;
        Ok((source, size))
    }

    async fn change(&self, storage: &dyn Storage, action: Action) -> Result<(), StorageError> {
        let result = match &action {
            Action::Rename { from, to, overwrite } => storage.rename(from, to, *overwrite).await,
            Action::RemoveFile(path) => storage.remove_file(path).await,
            Action::RemoveDirectory(path) => storage.remove_directory(path).await,
            Action::MakeDirectory(path) => storage.make_directory(path).await,
            Action::SetFacts(path, changes) => set_facts(storage, path, *changes).await,
            Action::Link { target, link } => storage.link(target, link).await,
            _ => Err(StorageError::Unsupported),
        };
        self.log.changed(&action, None, &result);
        result
    }

    /// What came of something with many files.
    fn with_many(&self, action: &Action, result: Result<(), Fault>) -> Done {
        let (outcome, at, result) = match result {
            Ok(()) => (Outcome::Done(Ok(())), None, Ok(())),
            Err(fault) => {
                let (at, error) = (fault.at.clone(), fault.error.clone());
                (fault.into(), at, Err(error))
            }
        };
        self.log.changed(action, at.as_ref(), &result);
        outcome.into()
    }
}

/// The mode first: whoever may not set it has then not set the time either.
async fn set_facts(storage: &dyn Storage, path: &FtpPath, changes: Changes) -> Result<(), StorageError> {
    if let Some(mode) = changes.mode {
        storage.set_mode(path, mode).await?;
    }
    if let Some(at) = changes.modified {
        storage.set_modified(path, at).await?;
    }
    Ok(())
}

/// What has the name. Most are files and directories, which is found out without opening a listing; a link that leads
/// nowhere, or in circles, is a name all the same.
async fn named(storage: &dyn Storage, path: &FtpPath) -> Result<Entry, StorageError> {
    match storage.stat(path).await {
        Ok(entry) => Ok(entry),
        Err(_) => tree::itself(storage, path).await,
    }
}

/// What is kept of an upload that was interrupted.
async fn part(storage: &dyn Storage, path: &FtpPath) -> Result<Outcome, StorageError> {
    storage.part(path).await.map(Outcome::Part)
}

/// What came of carrying.
struct Moved {
    result: Result<(), TransferError>,
    /// What is held on: an upload.
    held: Option<Held>,
    digest: Option<[u8; 32]>,
    /// The connection of an upload that was ended.
    left: Option<Box<DataConnection>>,
}

/// Carries what is held over a data connection. An upload is given back, and its digest where one is wanted.
async fn carry(held: Held, data: DataConnection, terms: Terms, mut cancel: Cancel) -> Moved {
    let done = |result| Moved { result, held: None, digest: None, left: None };
    match held {
        Held::Source(source, _) => done(unless(&mut cancel, download(data, source, terms.encoding)).await),
        Held::Listing(listing, _) => done(unless(&mut cancel, listing.send(data, terms.encoding)).await),
        Held::Upload(target) => match upload(data, target, terms, cancel).await {
            Ok(Received { upload, result, digest }) => {
                Moved { held: Some(Held::Upload(upload)), digest, ..done(result) }
            }
            Err(Failed { error, data }) => Moved { left: data, ..done(Err(error)) },
        },
        Held::Passive(_) => done(Err(StorageError::Io("a port is no file".into()).into())),
    }
}

/// Does the work, unless it is cancelled first: then it is dropped.
async fn unless<T>(
    cancel: &mut Cancel,
    work: impl Future<Output = Result<T, TransferError>>,
) -> Result<T, TransferError> {
    tokio::select! {
        biased;
        why = cancel => Err(why),
        result = work => result,
    }
}
