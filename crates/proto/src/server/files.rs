//! Files: their facts, their digests, ranges of them, several at a time, and SITE.

use super::action::{Action, DigestRequest};
use super::command::written;
use super::error::StorageError;
use super::login::Login;
use super::outcome::Pending;
use super::session::ServerSession;
use super::wording::{self, say};
use crate::command::{Command, Digest, Site, SiteFacts, SiteVerb, Timed};
use crate::listing::Changes;
use crate::path::{FtpPath, PathArg, PathError};
use crate::reply::Reply;
use crate::verb::{Needs, Permission, Verb};

/// `Ok(None)`: an operation was started whose outcome makes the reply.
type Begun = Result<Option<Reply>, PathError>;

impl ServerSession {
    /// MFMT and MFF (draft-somers-ftp-mfxx-04): the reply repeats the facts that were set.
    pub(super) fn set_facts(&mut self, verb: Verb, changes: Changes, arg: &PathArg) -> Begun {
        let path = self.cwd.resolve(arg)?;
        let reply = say(213, [changes.to_string().as_bytes(), b" ", arg.as_bytes()].concat());
        Ok(self.single(Action::SetFacts(path, changes), Pending::done(verb, reply, arg)))
    }

    /// MDTM with a time before the name. There may be a file of that whole name, and who may set no time can only mean
    /// one.
    pub(super) fn set_or_tell_time(&mut self, timed: Timed) -> Begun {
        let path = self.cwd.resolve(&timed.whole)?;
        let set = match self.may(Permission::Attributes) {
            true => Some((self.cwd.resolve(&timed.path)?, timed.at)),
            false => None,
        };
        Ok(self.single(Action::Stat(path), Pending::Modified { name: written(&timed.whole), set }))
    }

    /// RANG (draft-bryan-ftp-range-08 section 3). It holds as REST does, which it takes the place of.
    pub(super) fn set_range(&mut self, range: Option<(u64, u64)>) -> Reply {
        self.restart = 0;
        self.range = range.map(|(first, last)| (first, last + 1));
        match range {
            Some((first, last)) => say(350, format!("Restarting at {first}. End byte range at {last}.")),
            None => say(350, "The range is the whole file again."),
        }
    }

    /// HASH: by the algorithm of OPTS HASH, of the range of RANG.
    pub(super) fn hash(&mut self, arg: &PathArg) -> Begun {
        let (from, to) = self.range.map_or((0, None), |(from, to)| (from, Some(to)));
        let (verb, path, algorithm) = (Verb::Hash, self.cwd.resolve(arg)?, self.algorithm);
        let request = DigestRequest { path, algorithm, from, to, most: self.digest_limit() };
        Ok(self.single(Action::Digest(request), Pending::Digest { verb, algorithm, name: written(arg) }))
    }

    /// XCRC, MD5 and their like: each by its own algorithm, of the range that it names itself.
    pub(super) fn digest(&mut self, digest: &Digest) -> Begun {
        let (verb, algorithm) = (digest.verb, digest.algorithm());
        let path = self.cwd.resolve(&digest.path)?;
        let request = DigestRequest { path, algorithm, from: digest.from, to: digest.to, most: self.digest_limit() };
        Ok(self.single(Action::Digest(request), Pending::Digest { verb, algorithm, name: written(&digest.path) }))
    }

    /// COMB: the parts are read and removed, the target is written.
    pub(super) fn combine(&mut self, target: &PathArg, parts: &[PathArg]) -> Begun {
        if ![Permission::Read, Permission::Delete].into_iter().all(|permission| self.may(permission)) {
            self.tell_denied(Verb::Comb, written(target));
            return Ok(Some(wording::denied()));
        }
        let to = self.cwd.resolve(target)?;
        let parts = parts.iter().map(|part| self.cwd.resolve(part)).collect::<Result<Vec<_>, _>>()?;
        let is_twice = |at: usize, part: &FtpPath| *part == to || parts.iter().skip(at + 1).any(|other| other == part);
        if parts.iter().enumerate().any(|(at, part)| is_twice(at, part)) {
            return Ok(Some(wording::storage_error(&StorageError::SameFile, target.as_bytes())));
        }
        let overwrite = self.may(Permission::Overwrite);
        let pending = Pending::done(Verb::Comb, wording::done(Verb::Comb), target);
        Ok(self.single(Action::Combine { target: to, parts, overwrite }, pending))
    }

    /// The commands behind SITE. None of them runs a program.
    pub(super) fn site(&mut self, site: Site) -> Begun {
        let verb = Verb::Site;
        let SiteFacts { name, .. } = site.verb().facts();
        if !self.may_site(site.verb()) {
            self.tell_denied(verb, Command::Site(site).argument());
            return Ok(Some(wording::denied()));
        }
        let done = || say(200, format!("SITE {name} command successful."));
        Ok(match site {
            Site::Help => Some(wording::site_help(|verb| self.may_site(verb))),
            Site::Who => self.single(Action::Who { everybody: self.may(Permission::Who) }, Pending::Who),
            Site::Chmod(mode, arg) => {
                let changes = Changes { mode: Some(mode), modified: None };
                let action = Action::SetFacts(self.cwd.resolve(&arg)?, changes);
                self.single(action, Pending::done(verb, done(), &arg))
            }
            Site::Utime(at, arg) => {
                let changes = Changes { modified: Some(at), mode: None };
                let action = Action::SetFacts(self.cwd.resolve(&arg)?, changes);
                self.single(action, Pending::done(verb, done(), &arg))
            }
            Site::Symlink { target, link } => {
                let path = self.cwd.resolve(&link)?;
                // What the target says is meant from where the link is, as with ln(1).
                let target = path.parent().resolve(&target)?;
                self.single(Action::Link { target, link: path }, Pending::done(verb, done(), &link))
            }
        })
    }

    /// Whether this session may use a command behind SITE at all; on which files is the accounts' to say.
    pub(super) fn may_site(&self, verb: SiteVerb) -> bool {
        match (verb, verb.facts().needs) {
            (SiteVerb::Help, _) => true,
            // Strangers learn nothing of each other.
            (SiteVerb::Who, _) => matches!(self.login, Login::In { .. }) && !self.is_guest(),
            (_, Needs::May(permission)) => self.may(permission),
            (_, _) => matches!(self.login, Login::In { .. }),
        }
    }

    pub(super) fn digest_limit(&self) -> Option<u64> {
        self.is_guest().then_some(self.settings.guest_digest_limit)
    }

    fn is_guest(&self) -> bool {
        matches!(&self.login, Login::In { grant, .. } if grant.anonymous)
    }
}
