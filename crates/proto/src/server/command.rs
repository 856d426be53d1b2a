//! What each command does: the gate, and one arm a verb.

use super::action::{Action, ListFormat, ListRequest, Placement};
use super::login::Login;
use super::outcome::Pending;
use super::session::ServerSession;
use super::transfer::Plan;
use super::wording::{self, say};
use crate::command::{Command, Listing};
use crate::listing::{Changes, ListOptions};
use crate::parameters::{Mode, Representation};
use crate::path::{FtpPath, PathArg, PathError};
use crate::reply::Reply;
use crate::time::Time;
use crate::verb::{Needs, Permission};

impl ServerSession {
    /// Begins a command: answers it, or starts the operation whose outcome will.
    pub(super) fn run(&mut self, now: Time, command: Command, rename_from: Option<FtpPath>) {
        let result = match self.gate(&command) {
            Some(refusal) => Ok(Some(refusal)),
            None => self.dispatch(now, command, rename_from),
        };
        match result {
            Ok(Some(reply)) => self.reply(now, reply),
            Ok(None) => {}
            Err(error) => self.reply(now, say(553, format!("Bad name: {error}."))),
        }
    }

    /// Why the command may not be done now, by the verb table.
    fn gate(&mut self, command: &Command) -> Option<Reply> {
        if let Some(refusal) = self.tls_gate(command) {
            return Some(refusal);
        }
        let needs = match command {
            // MLST and STAT of a path tell what a listing tells.
            Command::Stat(Some(_)) => Needs::May(Permission::List),
            command => command.verb().facts().needs,
        };
        match (needs, &self.login) {
            (Needs::Nothing, _) => None,
            (_, Login::Out { .. }) => Some(say(530, "Please log in with USER and PASS first.")),
            (Needs::May(permission), Login::In { grant, .. }) if !grant.permissions.allows(permission) => {
                self.tell_denied(command.verb(), command.argument());
                Some(wording::denied())
            }
            _ => None,
        }
    }

    /// `Ok(None)`: an operation was started, or the reply was given.
    fn dispatch(
        &mut self,
        now: Time,
        command: Command,
        rename_from: Option<FtpPath>,
    ) -> Result<Option<Reply>, PathError> {
        let verb = command.verb();
        Ok(match command {
            Command::User(name) => self.user(now, name.as_bytes()),
            Command::Pass(password) => self.pass(password),
            Command::Acct(_) => Some(self.account()),
            Command::Host(name) => self.host(name.as_bytes()),
            Command::Rein => {
                self.reinitialise(now);
                self.leave_site();
                self.greet(now);
                self.end_tls_for_rein(now);
                None
            }
            Command::Auth(mechanism) => self.auth(now, mechanism),
            Command::Pbsz(_) => Some(self.pbsz()),
            Command::Prot(protection) => Some(self.prot(protection)),
            Command::Ccc => self.ccc(now),
            Command::Quit => {
                self.reply(now, wording::farewell(&self.settings));
                self.close();
                None
            }

            Command::Pwd => Some(wording::path_reply(257, &self.cwd, "is the current directory.")),
            Command::Cwd(arg) => {
                let path = self.cwd.resolve(&arg)?;
                self.single(Action::Enter(path.clone()), Pending::Enter { verb, path, name: written(&arg) })
            }
            Command::Cdup => {
                let path = self.cwd.parent();
                self.single(Action::Enter(path.clone()), Pending::Enter { verb, path, name: Vec::new() })
            }

            Command::Type(representation) => {
                self.representation = representation;
                Some(say(
                    200,
                    if representation == Representation::Ascii { "Type set to A." } else { "Type set to I." },
                ))
            }
            Command::Stru => Some(say(200, "Structure set to F.")),
            Command::Mode(mode) => {
                self.mode = mode;
                Some(say(200, if mode == Mode::Stream { "Mode set to S." } else { "Mode set to Z." }))
            }
            Command::Port(addr) => Some(self.active(verb, addr.into())),
            Command::Eprt(addr) => Some(self.active(verb, addr)),
            Command::Pasv => self.passive(false),
            Command::Epsv(which) => self.extended_passive(which),

            Command::Rest(offset) => {
                (self.restart, self.range) = (offset, None);
                Some(say(350, format!("Restarting at {offset}; send STOR or RETR.")))
            }
            Command::Rang(range) => Some(self.set_range(range)),
            Command::Allo(bytes) => {
                self.announced = Some(bytes);
                Some(say(200, "ALLO command successful."))
            }
            Command::Retr(arg) => self.begin_transfer(Plan::download(self.cwd.resolve(&arg)?, written(&arg))),
            Command::Stor(arg) => {
                let placement = if self.restart > 0 { Placement::At(self.restart) } else { Placement::Whole };
                self.begin_transfer(Plan::upload(verb, self.cwd.resolve(&arg)?, written(&arg), placement))
            }
            Command::Stou(arg) => {
                let name = arg.as_ref().map_or_else(|| b"ftp".to_vec(), written);
                self.begin_transfer(Plan::upload(verb, self.cwd.join(&name)?, name, Placement::Unique))
            }
            Command::Appe(arg) => {
                self.begin_transfer(Plan::upload(verb, self.cwd.resolve(&arg)?, written(&arg), Placement::End))
            }
            Command::List(listing) => {
                let format = if listing.options.one { ListFormat::Names } else { ListFormat::Long };
                self.begin_transfer(Plan::listing(verb, self.list_request(listing, format)?))
            }
            Command::Nlst(listing) => {
                let format = if listing.options.long { ListFormat::Long } else { ListFormat::Names };
                self.begin_transfer(Plan::listing(verb, self.list_request(listing, format)?))
            }
            Command::Mlsd(arg) => {
                let path = self.resolve_or_cwd(&arg)?;
                let written = arg.as_ref().map(written).unwrap_or_default();
                let format = ListFormat::Facts(self.facts);
                let options = ListOptions { all: true, ..ListOptions::default() };
                let request = ListRequest {
                    path,
                    pattern: None,
                    written,
                    format,
                    options,
                    zone: self.settings.list_zone.clone(),
                };
                self.begin_transfer(Plan::listing(verb, request))
            }
            Command::Abor => None,

            Command::Mlst(arg) => {
                let path = self.resolve_or_cwd(&arg)?;
                let name = arg.as_ref().map(written).unwrap_or_default();
                self.single(Action::Facts(path.clone()), Pending::Facts { path, name })
            }
            Command::Size(arg) => {
                let path = self.cwd.resolve(&arg)?;
                let action = Action::Size { path: path.clone(), representation: self.representation };
                self.single(action, Pending::Size { path, verb, name: written(&arg) })
            }
            Command::Mdtm(arg) => {
                let path = self.cwd.resolve(&arg)?;
                self.single(Action::Stat(path), Pending::Modified { name: written(&arg), set: None })
            }
            Command::SetMdtm(timed) => self.set_or_tell_time(timed)?,
            Command::Mfmt(at, arg) => self.set_facts(verb, Changes { modified: Some(at), mode: None }, &arg)?,
            Command::Mff(changes, arg) => self.set_facts(verb, changes, &arg)?,
            Command::Mfct(..) => Some(say(504, "When a file was made cannot be set here.")),
            Command::Rnfr(arg) => {
                let path = self.cwd.resolve(&arg)?;
                self.single(Action::Named(path.clone()), Pending::RenameFrom { path, name: written(&arg) })
            }
            Command::Rnto(arg) => match rename_from {
                None => Some(say(503, "RNTO needs RNFR right before it.")),
                Some(from) => {
                    let to = self.cwd.resolve(&arg)?;
                    self.sizes_told.forget(&from);
                    self.sizes_told.forget(&to);
                    let overwrite = self.may(Permission::Overwrite);
                    self.single(Action::Rename { from, to, overwrite }, Pending::done(verb, wording::done(verb), &arg))
                }
            },
            Command::Dele(arg) => {
                let path = self.cwd.resolve(&arg)?;
                self.sizes_told.forget(&path);
                self.single(Action::RemoveFile(path), Pending::done(verb, wording::done(verb), &arg))
            }
            Command::Rmd(arg) => {
                let path = self.cwd.resolve(&arg)?;
                self.single(Action::RemoveDirectory(path), Pending::done(verb, wording::done(verb), &arg))
            }
            Command::Mkd(arg) => {
                let path = self.cwd.resolve(&arg)?;
                let reply = wording::path_reply(257, &path, "directory created.");
                self.single(Action::MakeDirectory(path), Pending::done(verb, reply, &arg))
            }
            Command::Rmda(arg) => {
                let path = self.cwd.resolve(&arg)?;
                self.single(Action::RemoveTree(path), Pending::done(verb, wording::done(verb), &arg))
            }
            Command::Comb(target, parts) => self.combine(&target, &parts)?,
            Command::Dsiz(arg) => {
                let name = arg.as_ref().map(written).unwrap_or_default();
                let path = self.resolve_or_cwd(&arg)?;
                self.single(Action::TreeSize(path.clone()), Pending::Size { path, verb, name })
            }
            Command::Avbl(arg) => {
                let name = arg.as_ref().map(written).unwrap_or_default();
                let path = self.resolve_or_cwd(&arg)?;
                self.single(Action::Available(path.clone()), Pending::Size { path, verb, name })
            }
            Command::Hash(arg) => self.hash(&arg)?,
            Command::Digest(digest) => self.digest(&digest)?,
            Command::Site(site) => self.site(site)?,

            Command::Syst => Some(say(215, "UNIX Type: L8")),
            Command::Stat(None) => Some(self.status()),
            Command::Stat(Some(listing)) => {
                let name = listing.path.as_ref().map(written).unwrap_or_default();
                let request = self.list_request(listing, ListFormat::Long)?;
                self.single(Action::Describe(request), Pending::Describe { name })
            }
            Command::Help(None) => Some(wording::help(|verb| self.offers(verb))),
            Command::Help(Some(words)) => {
                Some(wording::help_on(words.as_bytes(), |verb| self.offers(verb), |verb| self.may_site(verb)))
            }
            Command::Noop => Some(say(200, "NOOP command successful.")),
            Command::Feat => Some(self.features()),
            Command::Opts(opts) => Some(self.opts(opts)),
            Command::Lang(tag) => Some(wording::language(tag.as_ref().map(|tag| tag.as_bytes()))),
            // The names that clients of old sent this for; no version, as in the greeting.
            Command::Csid(_) => Some(say(200, "Name=port21;CaseSensitive=1;DirSep=/;")),
            Command::Clnt(_) => Some(say(200, "Noted.")),
        })
    }

    /// A wildcard is looked for in the last part alone; in others a character is only itself.
    pub(super) fn list_request(&self, listing: Listing, format: ListFormat) -> Result<ListRequest, PathError> {
        let path = self.resolve_or_cwd(&listing.path)?;
        let written = listing.path.as_ref().map(written).unwrap_or_default();
        let is_pattern = |name: &[u8]| name.iter().any(|b| matches!(b, b'*' | b'?' | b'['));
        let pattern = path.file_name().filter(|name| is_pattern(name)).map(<[u8]>::to_vec);
        let path = if pattern.is_some() { path.parent() } else { path };
        let zone = self.settings.list_zone.clone();
        Ok(ListRequest { path, pattern, written, format, options: listing.options, zone })
    }

    pub(super) fn resolve_or_cwd(&self, arg: &Option<PathArg>) -> Result<FtpPath, PathError> {
        arg.as_ref().map_or_else(|| Ok(self.cwd.clone()), |arg| self.cwd.resolve(arg))
    }

    pub(super) fn may(&self, permission: Permission) -> bool {
        matches!(&self.login, Login::In { grant, .. } if grant.permissions.allows(permission))
    }

    pub(super) fn single(&mut self, action: Action, pending: Pending) -> Option<Reply> {
        self.start_single(action, pending);
        None
    }
}

pub(super) fn written(arg: &PathArg) -> Vec<u8> {
    arg.as_bytes().to_vec()
}
