//! How each operation is done.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use port21_proto::server::{Action, DataError, Form, LoginError, Opened, Outcome, StorageError, Transferred};
use port21_proto::{FtpPath, Secret};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use crate::account::{Account, Attempt};
use crate::data::connection::{DataConnection, Tap};
use crate::data::download::download;
use crate::data::listing::OpenListing;
use crate::data::meter::Meter;
use crate::data::passive::Passive;
use crate::data::upload::{Received, upload};
use crate::events::Events;
use crate::limits::AccountPlace;
use crate::server::Shared;
use crate::session::log::Log;
use crate::session::work::{Done, Held};
use crate::storage::{Source, Storage, Upload, UploadRequest};

/// What the operations of one session need.
pub(crate) struct Performer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) local: SocketAddr,
    pub(crate) peer: SocketAddr,
    pub(crate) events: Option<Arc<Events>>,
    pub(crate) log: Log,
}

/// Who is logged in, and the place that this takes among the account's sessions.
pub(super) struct Login {
    pub(super) account: Account,
    _place: AccountPlace,
}

/// How a data connection comes to stand.
pub(super) enum Channel {
    Passive(Passive),
    Active(SocketAddr),
}

impl Performer {
    pub(super) async fn authenticate(&self, user: &[u8], password: &Secret) -> Done {
        let attempt = Attempt { user, password, peer: self.peer.ip() };
        let result = self.shared.authenticator.login(attempt).await;
        let result = result.and_then(|account| {
            let place = self.shared.accounts.admit(&account.name, account.max_sessions).ok_or(LoginError::TooMany)?;
            Ok(Login { account, _place: place })
        });
        self.log.login(user, result.as_ref().map(|login| login.account.name.as_str()));
        match result {
            Ok(login) => {
                let outcome = Outcome::Login(Ok(login.account.grant()));
                Done { outcome, held: None, login: Some(login) }
            }
            Err(error) => Outcome::Login(Err(error)).into(),
        }
    }

    pub(super) fn listen(&self, ipv4: bool) -> Done {
        match self.passive(ipv4) {
            Ok((passive, told)) => Done::holding(Outcome::Listening(Ok(told)), Held::Passive(passive)),
            Err(error) => Outcome::Listening(Err(error)).into(),
        }
    }

    /// A port that listens, and the address to tell the client.
    fn passive(&self, ipv4: bool) -> Result<(Passive, SocketAddr), DataError> {
        if ipv4 && !self.local.is_ipv4() {
            return Err(DataError::Family);
        }
        let shared = &self.shared;
        let passive = Passive::listen(&shared.passive_ports, self.local, self.peer.ip(), self.events.clone())?;
        let mut told = passive.addr();
        let is_local = shared.settings.local_networks.iter().any(|network| network.contains(self.peer.ip()));
        if let Some(ip) = shared.settings.advertise
            && ipv4
            && !is_local
        {
            told.set_ip(IpAddr::V4(ip));
        }
        Ok((passive, told))
    }

    pub(super) async fn transfer(
        &self,
        held: Held,
        channel: Channel,
        form: Form,
        meter: Arc<Meter>,
        stands: oneshot::Sender<()>,
    ) -> Done {
        let ended = |result| Outcome::Transferred(Transferred { bytes: meter.bytes(), result });
        let (stream, tap) = match self.connect(channel).await {
            Ok(connected) => connected,
            Err(error) => {
                // An upload is let go of by the session, as after any other end.
                let held = matches!(held, Held::Upload(_)).then_some(held);
                return Done { outcome: ended(Err(error.into())), held, login: None };
            }
        };
        // The session may have ended meanwhile, and this with it.
        let _ = stands.send(());
        let data = DataConnection::new(stream, meter.clone(), tap);
        let began = self.shared.clock.now();
        let took = || self.shared.clock.now().since(began);
        match held {
            Held::Source(source, path) => {
                let result = download(data, source, form).await;
                self.log.sent(&path, meter.bytes(), took(), &result);
                ended(result).into()
            }
            Held::Listing(listing, path) => {
                let result = listing.send(data).await;
                self.log.listed(&path, meter.bytes(), took(), &result);
                ended(result).into()
            }
            Held::Upload(target) => {
                let path = target.path().clone();
                let (result, held) = match upload(data, target, form).await {
                    Ok(Received { upload, result }) => (result, Some(Held::Upload(upload))),
                    Err(error) => (Err(error), None),
                };
                self.log.received(&path, meter.bytes(), took(), &result);
                Done { outcome: ended(result), held, login: None }
            }
            Held::Passive(_) => ended(Err(StorageError::Io("a port was to be transferred".into()).into())).into(),
        }
    }

    async fn connect(&self, channel: Channel) -> Result<(TcpStream, Option<Tap>), DataError> {
        match channel {
            Channel::Passive(passive) => passive.accepted().await,
            Channel::Active(addr) => {
                self.shared.active.connect(addr, self.local, self.peer, self.events.as_ref()).await
            }
        }
    }

    pub(super) async fn sync(mut upload: Box<dyn Upload>) -> Done {
        let outcome = Outcome::Done(upload.sync().await);
        Done::holding(outcome, Held::Upload(upload))
    }

    pub(super) async fn commit(&self, upload: Box<dyn Upload>) -> Done {
        let path = upload.path().clone();
        let result = upload.commit().await;
        self.log.stored(&path, &result);
        Outcome::Done(result).into()
    }

    /// Everything that is one question to the storage.
    pub(super) async fn on_storage(&self, storage: &dyn Storage, action: Action) -> Done {
        match action {
            Action::Open { path, from, form } => match self.open(storage, &path, from, form).await {
                Ok((source, size)) => Done::holding(Outcome::Opened(Ok(Opened { size })), Held::Source(source, path)),
                Err(error) => Outcome::Opened(Err(error)).into(),
            },
            Action::Create { path, placement, overwrite, announced } => {
                let commit = self.shared.settings.commit;
                let request = UploadRequest { path: &path, placement, overwrite, announced, commit };
                match storage.create(request).await {
                    Ok(upload) => Done::holding(Outcome::Created(Ok(upload.path().clone())), Held::Upload(upload)),
                    Err(error) => Outcome::Created(Err(error)).into(),
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
                let lines = match storage.list(&request).await {
                    Ok(listing) => {
                        OpenListing::new(request, listing, self.shared.clock.now().timestamp()).lines().await
                    }
                    Err(error) => Err(error),
                };
                Outcome::Text(lines).into()
            }
            Action::Stat(path) => Outcome::Entry(storage.stat(&path).await.map(Box::new)).into(),
            Action::Size { path, form } => Outcome::Size(storage.size(&path, form).await).into(),
            Action::Enter(path) => Outcome::Done(storage.enter(&path).await).into(),
            change => Outcome::Done(self.change(storage, change).await).into(),
        }
    }

    /// A source, and how many bytes it has on the wire, where that is known.
    async fn open(
        &self,
        storage: &dyn Storage,
        path: &FtpPath,
        from: u64,
        form: Form,
    ) -> Result<(Source, Option<u64>), StorageError> {
        let source = storage.open_read(path, from).await?;
        let len = match &source {
            Source::File { len, .. } => Some(*len),
            Source::Reader { len, .. } => *len,
        };
        let size = match form {
            Form::Image => len,
            // REST does not go with TYPE A: the whole file is sent.
            Form::Ascii => storage.size(path, form).await.ok(),
        };
        Ok((source, size))
    }

    async fn change(&self, storage: &dyn Storage, action: Action) -> Result<(), StorageError> {
        let result = match &action {
            Action::Rename { from, to, overwrite } => storage.rename(from, to, *overwrite).await,
            Action::RemoveFile(path) => storage.remove_file(path).await,
            Action::RemoveDirectory(path) => storage.remove_directory(path).await,
            Action::MakeDirectory(path) => storage.make_directory(path).await,
            Action::SetModified(path, at) => storage.set_modified(path, *at).await,
            Action::SetMode(path, mode) => storage.set_mode(path, *mode).await,
            _ => Err(StorageError::Unsupported),
        };
        self.log.changed(&action, &result);
        result
    }
}
