//! The life of a transfer: opened, moving, and for an upload made to last and given its name.
//!
//! ```text
//! RETR, LIST   Open|List -> 150, Transfer -> 226
//! STOR         Create    -> 150, Transfer -> Sync -> Commit -> 226
//! REST + STOR  Create    -> 150, Transfer -> Sync -> Commit -> Digest -> 226       where the receipt is to tell a digest
//! ```
//! Whatever goes wrong on the way ends in one reply, and an upload that does not come to its commit never happened.

use std::cmp::Ordering;
use std::time::Duration;

use super::action::{Action, DataChannel, DigestRequest, ListRequest, Opened, Outcome, Placement, Transferred};
use super::error::{StorageError, TransferError};
use super::pace::Crawl;
use super::session::{Running, ServerSession};
use super::settings::{Receipt, SessionSettings};
use super::wording::{self, say};
use crate::op::OpId;
use crate::parameters::{Algorithm, Direction, Protection, Representation};
use crate::path::FtpPath;
use crate::reply::Reply;
use crate::text::Shown;
use crate::time::Time;
use crate::verb::{Permission, Verb};

/// An upload waits for its name for this part of the time that it took, a quarter, up to
/// [`SessionSettings::upload_grace`].
const GRACE_PART: u32 = 4;

/// A shorter wait is none: timers are no finer, and uploads of so few milliseconds come by the thousand.
const MIN_GRACE: Duration = Duration::from_millis(2);

/// The most bytes of a file that are read again for the receipt of an upload that has sent a part of it: what fast disks and
/// processors have done within a blink.
const RECEIPT_MOST: u64 = 64 * 1024 * 1024;

/// How long the receipt waits for that; then it tells no digest.
const RECEIPT_PATIENCE: Duration = Duration::from_secs(2);

/// A transfer that is running.
#[derive(Debug)]
pub(super) struct Transfer {
    verb: Verb,
    /// What the client wrote, for replies.
    name: Vec<u8>,
    kind: Kind,
    /// The file of an upload that sends a part of it only: of all that comes, its digest is that of nothing.
    adds_to: Option<FtpPath>,
    representation: Representation,
    data: DataChannel,
    protection: Protection,
    stage: Stage,
    /// The operation that is waited for.
    op: OpId,
    /// The operation that holds the file or listing.
    job: OpId,
    /// Why it was cancelled, once it was.
    cancelled: Option<Why>,
    bytes: u64,
    /// ALLO: how many bytes the client has said there would be.
    announced: Option<u64>,
    /// When the client was told to begin.
    began: Time,
    digest: Option<[u8; 32]>,
    /// When the data connection was asked for, when it stood, or when it last carried something.
    last_progress: Time,
    stands: bool,
    crawl: Crawl,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Download,
    Listing,
    Upload(Placement),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Opening,
    Moving,
    Syncing,
    Committing,
    /// It is done, but for its receipt.
    Digesting,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// ABOR, or the end of the control connection.
    Abort,
    NobodyCame,
    Stalled,
    TooSlow,
    /// Only its receipt.
    NoDigest,
}

/// A transfer that is asked for.
pub(super) struct Plan {
    verb: Verb,
    name: Vec<u8>,
    what: What,
}

enum What {
    File(FtpPath),
    Upload(FtpPath, Placement),
    Listing(ListRequest),
}

impl Plan {
    pub(super) fn download(path: FtpPath, name: Vec<u8>) -> Plan {
        Plan { verb: Verb::Retr, name, what: What::File(path) }
    }

    pub(super) fn upload(verb: Verb, path: FtpPath, name: Vec<u8>, placement: Placement) -> Plan {
        Plan { verb, name, what: What::Upload(path, placement) }
    }

    pub(super) fn listing(verb: Verb, request: ListRequest) -> Plan {
        Plan { verb, name: request.written.clone(), what: What::Listing(request) }
    }
}

impl ServerSession {
    /// Opens what is to be transferred.
    pub(super) fn begin_transfer(&mut self, plan: Plan) -> Option<Reply> {
        let (restart, range, announced) = (self.restart, self.range, self.announced);
        let (from, to) = range.map_or((restart, None), |(from, to)| (from, Some(to)));
        if let Some(refusal) = self.refuse_clear_data() {
            return Some(refusal);
        }
        let Some(data) = self.data else {
            return Some(say(425, "No data connection: send EPSV, PASV, EPRT or PORT first."));
        };
        let listing = matches!(plan.what, What::Listing(_));
        // Line ends make an offset in a text mean different things at both ends; nobody's files are worth the guess.
        if self.representation == Representation::Ascii && !listing {
            if range.is_some() {
                // draft-bryan-ftp-range-08 section 5.
                return Some(say(551, "RANG needs TYPE I."));
            }
            if from > 0 {
                return Some(say(504, "REST beyond 0 needs TYPE I."));
            }
        }
        let representation = if listing { Representation::Ascii } else { self.representation };
        let mut adds_to = None;
        let (kind, action) = match plan.what {
            What::File(path) => (Kind::Download, Action::Open { path, from, to, representation }),
            What::Listing(request) => (Kind::Listing, Action::List(request)),
            What::Upload(_, Placement::Unique) if range.is_some() => {
                return Some(say(504, "RANG does not go with STOU."));
            }
            What::Upload(_, Placement::End | Placement::Unique) if from > 0 && range.is_none() => {
                return Some(say(503, format!("REST does not go with {}.", plan.verb)));
            }
            What::Upload(path, placement) => {
                // draft-bryan-ftp-range-08 section 4.3: to APPE as to STOR.
                let placement = range.map_or(placement, |(from, to)| Placement::Within { from, to });
                adds_to = (!matches!(placement, Placement::Whole | Placement::Unique)).then(|| path.clone());
                let overwrite = self.may(Permission::Overwrite);
                let told = self.sizes_told.take(&path);
                (
                    Kind::Upload(placement),
                    Action::Create { path, placement, overwrite, announced, told, representation },
                )
            }
        };
        // From here on the channel belongs to the transfer: a second one needs a new channel.
        self.data = None;
        let op = self.start(action);
        self.running = Some(Running::Transfer(Box::new(Transfer {
            verb: plan.verb,
            name: plan.name,
            kind,
            adds_to,
            representation,
            data,
            protection: self.tls.protection,
            stage: Stage::Opening,
            op,
            job: op,
            cancelled: None,
            bytes: 0,
            announced,
            began: Time::ZERO,
            digest: None,
            last_progress: Time::ZERO,
            stands: false,
            crawl: Crawl::new(Time::ZERO, 0),
        })));
        None
    }

    /// A transfer whose ABOR had come before its turn: nothing of it is done.
    pub(super) fn skip(&mut self, now: Time, verb: Verb) {
        if verb.moves().is_some() {
            self.drop_data_channel();
        }
        self.reply(now, wording::aborted(verb));
    }

    /// ABOR, at its turn: whatever it aborted has had its reply.
    pub(super) fn answer_abort(&mut self, now: Time, aborted: bool) {
        let reply = match (aborted, &self.data) {
            (true, _) => say(226, "ABOR command successful."),
            // RFC 959 section 5.4: 225 is a data connection that is open, without a transfer.
            (false, Some(_)) => say(225, "No transfer to abort; the data connection stays open."),
            (false, None) => say(226, "No transfer to abort."),
        };
        self.reply(now, reply);
    }

    /// One line on the running transfer, for STAT (RFC 959 section 4.1.3).
    pub(super) fn transfer_status(&self) -> Option<String> {
        let Some(Running::Transfer(transfer)) = &self.running else { return None };
        let Transfer { verb, name, bytes, .. } = transfer.as_ref();
        Some(format!("{verb} {} running, {bytes} bytes transferred", Shown(name)))
    }

    /// The outcome that a transfer waited for: on to its next stage, or to its reply.
    pub(super) fn transfer_outcome(&mut self, now: Time, transfer: Transfer, outcome: Outcome) {
        match (transfer.stage, outcome) {
            (Stage::Opening, Outcome::Opened(Ok(opened))) => self.opened(now, transfer, opened),
            (Stage::Opening, Outcome::Created(Ok(path))) => self.created(now, transfer, &path),
            (Stage::Moving, Outcome::Transferred(end)) => self.moved(now, transfer, end),
            (Stage::Syncing, Outcome::Done(Ok(()))) if transfer.cancelled.is_none() => {
                let commit = Action::Commit(transfer.job);
                self.next_stage(transfer, Stage::Committing, commit);
            }
            (Stage::Committing, Outcome::Done(Ok(()))) => self.committed(now, transfer),
            (Stage::Digesting, outcome) => {
                let digest = match outcome {
                    Outcome::Digest(Ok(digested)) => digested.digest.try_into().ok(),
                    // It is large, may not be read, or has taken too long: none is told.
                    _ => None,
                };
                let reply = Transfer { digest, ..transfer }.complete_reply(&self.settings);
                self.reply(now, reply);
            }
            (stage, outcome) => {
                self.let_go(&transfer);
                let reply = match outcome {
                    // Aborted while it was made to last: the bytes are dropped all the same.
                    Outcome::Done(Ok(())) if stage == Stage::Syncing => transfer.cancelled_reply(&self.settings),
                    Outcome::Opened(Err(e)) | Outcome::Created(Err(e)) | Outcome::Done(Err(e)) => {
                        wording::storage_error(&e, &transfer.name)
                    }
                    _ => wording::storage_error(&StorageError::Io("an outcome of the wrong kind".into()), b""),
                };
                self.reply(now, reply);
            }
        }
    }

    fn opened(&mut self, now: Time, transfer: Transfer, opened: Opened) {
        let reply = match transfer.kind {
            // The name that BSD's server gave every listing; clients show it.
            Kind::Listing if transfer.verb == Verb::List => wording::opening(Representation::Ascii, b"/bin/ls", None),
            Kind::Listing => wording::opening(Representation::Ascii, b"file list", None),
            _ => wording::opening(transfer.representation, &transfer.name, opened.size),
        };
        self.move_bytes(now, transfer, reply);
    }

    fn created(&mut self, now: Time, transfer: Transfer, path: &FtpPath) {
        let reply = match transfer.kind {
            Kind::Upload(Placement::Unique) => wording::opening_unique(path),
            _ => wording::opening(transfer.representation, &transfer.name, None),
        };
        self.move_bytes(now, transfer, reply);
    }

    fn move_bytes(&mut self, now: Time, mut transfer: Transfer, opening: Reply) {
        if transfer.cancelled.is_some() {
            self.let_go(&transfer);
            let reply = transfer.cancelled_reply(&self.settings);
            return self.reply(now, reply);
        }
        self.reply(now, opening);
        let Transfer { job, data, representation, protection, .. } = transfer;
        transfer.stage = Stage::Moving;
        transfer.began = now;
        transfer.last_progress = now;
        let (direction, mode, level) = (transfer.direction(), self.mode, self.level);
        transfer.op = self.start(Action::Transfer { job, direction, data, representation, protection, mode, level });
        self.running = Some(Running::Transfer(Box::new(transfer)));
    }

    fn moved(&mut self, now: Time, mut transfer: Transfer, end: Transferred) {
        transfer.bytes = end.bytes;
        transfer.digest = end.digest.filter(|_| transfer.adds_to.is_none());
        let is_upload = transfer.direction() == Direction::Up;
        let reply = match end.result {
            // Who sends ABOR often ends the data connection in order just before: for an upload that is no success.
            Ok(()) if is_upload && transfer.cancelled.is_none() => {
                let sync = Action::Sync { job: transfer.job, until: now + transfer.grace(now, &self.settings) };
                return self.next_stage(transfer, Stage::Syncing, sync);
            }
            Ok(()) if !is_upload => transfer.complete_reply(&self.settings),
            Ok(()) | Err(TransferError::Cancelled) => transfer.cancelled_reply(&self.settings),
            Err(error) => wording::transfer_error(&error, &transfer.name, transfer.verb),
        };
        if is_upload {
            self.release(transfer.job);
        }
        self.reply(now, reply);
    }

    /// The upload has its name. What was sent of it is a part: the digest that is told is that of the file, read again, or none.
    fn committed(&mut self, now: Time, mut transfer: Transfer) {
        let is_told = self.settings.receipt == Receipt::Digest
            // In TYPE A what came is not what is in the file.
            && transfer.representation == Representation::Image
            && self.may(Permission::Read);
        match transfer.adds_to.take().filter(|_| is_told) {
            Some(path) => {
                let most = self.digest_limit().map_or(RECEIPT_MOST, |limit| limit.min(RECEIPT_MOST));
                let request = DigestRequest { path, algorithm: Algorithm::Sha256, from: 0, to: None, most: Some(most) };
                transfer.last_progress = now;
                self.next_stage(transfer, Stage::Digesting, Action::Digest(request));
            }
            None => {
                let reply = transfer.complete_reply(&self.settings);
                self.reply(now, reply);
            }
        }
    }

    fn next_stage(&mut self, mut transfer: Transfer, stage: Stage, action: Action) {
        transfer.stage = stage;
        transfer.op = self.start(action);
        self.running = Some(Running::Transfer(Box::new(transfer)));
    }

    /// Lets go of what a transfer that ends early holds: its file, and a port that nobody will connect to.
    fn let_go(&mut self, transfer: &Transfer) {
        self.release(transfer.job);
        if let (DataChannel::Passive(op), Stage::Opening) = (transfer.data, transfer.stage) {
            self.release(op);
        }
    }
}

impl Transfer {
    pub(super) fn verb(&self) -> Verb {
        self.verb
    }

    pub(super) fn direction(&self) -> Direction {
        match self.kind {
            Kind::Download | Kind::Listing => Direction::Down,
            Kind::Upload(_) => Direction::Up,
        }
    }

    pub(super) fn waits_for(&self, op: OpId) -> bool {
        self.op == op
    }

    /// Whether the client has been told that it begins.
    pub(super) fn has_begun(&self) -> bool {
        self.stage != Stage::Opening
    }

    pub(super) fn connected(&mut self, now: Time) {
        if !std::mem::replace(&mut self.stands, true) {
            self.crawl = Crawl::new(now, self.bytes);
        }
        self.last_progress = now;
    }

    pub(super) fn progress(&mut self, now: Time, bytes: u64) {
        if bytes > self.bytes {
            self.bytes = bytes;
            self.connected(now);
        }
    }

    pub(super) fn deadline(&self, settings: &SessionSettings) -> Time {
        match self.stage {
            Stage::Moving if self.cancelled.is_none() && self.stands => {
                (self.last_progress + settings.stall_timeout).min(self.crawl.deadline(settings))
            }
            Stage::Moving if self.cancelled.is_none() => self.last_progress + settings.data_open_timeout,
            Stage::Digesting if self.cancelled.is_none() => self.last_progress + RECEIPT_PATIENCE,
            _ => Time::MAX,
        }
    }

    /// Its [`deadline`](Self::deadline) has come: the operation to cancel, if its time is over.
    pub(super) fn expire(&mut self, now: Time, settings: &SessionSettings) -> Option<OpId> {
        let why = if self.stage == Stage::Digesting {
            Why::NoDigest
        } else if !self.stands {
            Why::NobodyCame
        } else if now >= self.last_progress + settings.stall_timeout {
            Why::Stalled
        } else if self.crawl.is_too_slow(now, self.bytes, settings) {
            Why::TooSlow
        } else {
            return None;
        };
        self.cancelled = Some(why);
        Some(self.op)
    }

    /// It is to end: the operation to cancel. An upload that is being made to last is dropped when that is done; one
    /// that is being given its name is past aborting.
    pub(super) fn abort(&mut self) -> Option<OpId> {
        if matches!(self.stage, Stage::Committing | Stage::Digesting) || self.cancelled.is_some() {
            return None;
        }
        self.cancelled = Some(Why::Abort);
        (self.stage != Stage::Syncing).then_some(self.op)
    }

    /// How long an upload whose data connection has ended in order waits for its name.
    ///
    /// A client that is killed ends both connections in order, one after the other, and on a busy machine milliseconds lie
    /// between them; in those it cannot be told from one that is done. The longer an upload runs, the likelier it is that
    /// whatever ended it was no success, and the less a short wait adds to it: it is a part of the time that the upload
    /// took. Who announced the size and sent it has told that it is done; who announced more has all of the wait.
    fn grace(&self, now: Time, settings: &SessionSettings) -> Duration {
        match self.announced.map(|announced| announced.cmp(&self.bytes)) {
            Some(Ordering::Equal) => Duration::ZERO,
            Some(Ordering::Greater) => settings.upload_grace,
            Some(Ordering::Less) | None => {
                let grace = (now.since(self.began) / GRACE_PART).min(settings.upload_grace);
                if grace < MIN_GRACE { Duration::ZERO } else { grace }
            }
        }
    }

    fn complete_reply(&self, settings: &SessionSettings) -> Reply {
        wording::complete(settings.receipt, self.bytes, self.digest.as_ref())
    }

    fn cancelled_reply(&self, settings: &SessionSettings) -> Reply {
        match self.cancelled {
            Some(Why::NobodyCame) => {
                let active = match self.data {
                    DataChannel::Active(addr) => Some(addr),
                    DataChannel::Passive(_) => None,
                };
                wording::nobody_came(settings.data_open_timeout, active)
            }
            Some(Why::Stalled) => wording::stalled(settings.stall_timeout),
            Some(Why::TooSlow) => wording::too_slow(settings),
            Some(Why::Abort | Why::NoDigest) | None => wording::aborted(self.verb),
        }
    }
}
