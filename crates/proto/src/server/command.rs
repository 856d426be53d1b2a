//! What each command does: the gate, and one arm a verb.

use std::net::SocketAddr;

use super::action::{Action, DataChannel, FactSet, Form, ListFormat, ListOptions, ListRequest, Placement};
use super::outcome::Pending;
use super::session::{Login, ServerSession};
use super::transfer::Plan;
use super::wording::{self, say};
use crate::addr;
use crate::command::{Command, Epsv, Listing, Opts, Site};
use crate::path::{FtpPath, PathArg, PathError};
use crate::reply::Reply;
use crate::secret::Secret;
use crate::time::Time;
use crate::verb::{Needs, Permission, Verb};

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
    fn gate(&self, command: &Command) -> Option<Reply> {
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
                Some(say(550, "Permission denied."))
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
            Command::User(name) => Some(self.user(now, name.as_bytes())),
            Command::Pass(password) => self.pass(password),
            Command::Rein => {
                self.reinitialise(now);
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

            Command::Type(form) => {
                self.form = form;
                Some(say(200, if form == Form::Ascii { "Type set to A." } else { "Type set to I." }))
            }
            Command::Stru => Some(say(200, "Structure set to F.")),
            Command::Mode => Some(say(200, "Mode set to S.")),
            Command::Port(addr) => Some(self.active(verb, addr.into())),
            Command::Eprt(addr) => Some(self.active(verb, addr)),
            Command::Pasv => self.passive(false),
            Command::Epsv(which) => match which {
                Epsv::All => {
                    self.epsv_all = true;
                    Some(say(200, "EPSV ALL command successful."))
                }
                Epsv::V4 if self.ipv6 => Some(wording::wrong_protocol(true)),
                Epsv::V6 if !self.ipv6 => Some(wording::wrong_protocol(false)),
                Epsv::Same | Epsv::V4 | Epsv::V6 => self.passive(true),
            },

            Command::Rest(offset) => {
                self.restart = offset;
                Some(say(350, format!("Restarting at {offset}; send STOR or RETR.")))
            }
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
                let request = ListRequest { path, pattern: None, written, format, options };
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
                let action = Action::Size { path: path.clone(), form: self.form };
                self.single(action, Pending::Size { path, name: written(&arg) })
            }
            Command::Mdtm(arg) => {
                let path = self.cwd.resolve(&arg)?;
                self.single(Action::Stat(path), Pending::Modified { name: written(&arg) })
            }
            Command::Mfmt(at, arg) => {
                let path = self.cwd.resolve(&arg)?;
                let reply = [b"Modify=", crate::stamp::write(at).as_bytes(), b"; ", arg.as_bytes()].concat();
                self.single(Action::SetModified(path, at), Pending::done(say(213, reply), &arg))
            }
            Command::Rnfr(arg) => {
                let path = self.cwd.resolve(&arg)?;
                self.single(Action::Stat(path.clone()), Pending::RenameFrom { path, name: written(&arg) })
            }
            Command::Rnto(arg) => match rename_from {
                None => Some(say(503, "RNTO needs RNFR right before it.")),
                Some(from) => {
                    let to = self.cwd.resolve(&arg)?;
                    self.parts_told.forget(&from);
                    self.parts_told.forget(&to);
                    let overwrite = self.may(Permission::Overwrite);
                    self.single(Action::Rename { from, to, overwrite }, Pending::done(wording::done(verb), &arg))
                }
            },
            Command::Dele(arg) => {
                let path = self.cwd.resolve(&arg)?;
                self.parts_told.forget(&path);
                self.single(Action::RemoveFile(path), Pending::done(wording::done(verb), &arg))
            }
            Command::Rmd(arg) => {
                let path = self.cwd.resolve(&arg)?;
                self.single(Action::RemoveDirectory(path), Pending::done(wording::done(verb), &arg))
            }
            Command::Mkd(arg) => {
                let path = self.cwd.resolve(&arg)?;
                let reply = wording::path_reply(257, &path, "directory created.");
                self.single(Action::MakeDirectory(path), Pending::done(reply, &arg))
            }
            Command::Site(Site::Chmod(mode, arg)) => {
                if !self.may(Permission::Attributes) {
                    return Ok(Some(say(550, "Permission denied.")));
                }
                let path = self.cwd.resolve(&arg)?;
                let reply = say(200, "SITE CHMOD command successful.");
                self.single(Action::SetMode(path, mode), Pending::done(reply, &arg))
            }
            Command::Site(Site::Help) => Some(wording::lines(
                214,
                ["SITE commands:".into(), "CHMOD MODE PATH".into(), "HELP".into(), "End of help.".into()],
            )),

            Command::Syst => Some(say(215, "UNIX Type: L8")),
            Command::Stat(None) => Some(self.status()),
            Command::Stat(Some(listing)) => {
                let name = listing.path.as_ref().map(written).unwrap_or_default();
                let request = self.list_request(listing, ListFormat::Long)?;
                self.single(Action::Describe(request), Pending::Describe { name })
            }
            Command::Help(None) => Some(wording::help()),
            Command::Help(Some(name)) => Some(match Verb::from_name(name.as_bytes()) {
                Some(verb) => wording::help_on(verb),
                None => say(501, "No help on that: not a command of this server."),
            }),
            Command::Noop => Some(say(200, "NOOP command successful.")),
            Command::Feat => Some(wording::features(self.facts.feature(), self.tls.mode, self.settings.tls.allow_ccc)),
            Command::Opts(Opts::Utf8(true)) => Some(say(200, "UTF8 is on.")),
            // RFC 2640 section 2.2: names are bytes here, and nothing is converted that could be switched off.
            Command::Opts(Opts::Utf8(false)) => Some(say(504, "UTF8 stays on: names are never converted.")),
            Command::Opts(Opts::Mlst(facts)) => {
                self.facts = FactSet::choose(&facts);
                Some(say(200, format!("MLST OPTS {}", self.facts).trim_end().to_owned()))
            }
            Command::Clnt(_) => Some(say(200, "Noted.")),
        })
    }

    fn user(&mut self, now: Time, name: &[u8]) -> Reply {
        self.log_out(now, Some(name.to_vec()));
        wording::password_wanted(self.settings.anonymous && is_guest(name))
    }

    fn pass(&mut self, password: Secret) -> Option<Reply> {
        match &mut self.login {
            Login::In { .. } => Some(say(503, "You are logged in already; USER begins a new login.")),
            Login::Out { user, .. } => match user.take() {
                None => Some(say(503, "Give USER first.")),
                Some(user) => {
                    self.single(Action::Authenticate { user: user.clone(), password }, Pending::Login { user })
                }
            },
        }
    }

    /// Ends a login and begins the next. TYPE and its like stay as they are (RFC 959 section 4.1.1, USER); a data channel
    /// does not, which is the old user's. Who was not logged in gets no more time by asking anew.
    fn log_out(&mut self, now: Time, user: Option<Vec<u8>>) {
        let since = match self.login {
            Login::Out { since, .. } => since,
            Login::In { .. } => now,
        };
        self.login = Login::Out { user, since };
        self.drop_data_channel();
        self.cwd = FtpPath::root();
        self.restart = 0;
        self.announced = None;
        self.parts_told.clear();
    }

    /// Forgets all that the client has said.
    pub(super) fn reinitialise(&mut self, now: Time) {
        self.log_out(now, None);
        self.form = Form::default();
        self.facts = FactSet::default();
        self.epsv_all = false;
    }

    /// PORT and EPRT. RFC 2577 section 3: only to where the client is, and to no well-known port, or the server could be
    /// made to talk to third hosts (bounce).
    fn active(&mut self, verb: Verb, addr: SocketAddr) -> Reply {
        if self.epsv_all {
            return say(503, "EPSV ALL was given: only EPSV is taken.");
        }
        let target = addr::canonical(addr);
        if target.is_ipv6() != self.ipv6 {
            return match verb {
                Verb::Eprt => wording::wrong_protocol(self.ipv6),
                _ => wording::refused_target(verb, target, self.peer.ip()),
            };
        }
        // The unspecified address names no host, so the client itself is meant: lftp offers `::`, which its socket is bound
        // to, in every EPRT over IPv6.
        let target = if target.ip().is_unspecified() { SocketAddr::new(self.peer.ip(), target.port()) } else { target };
        if target.ip() != self.peer.ip() || target.port() < 1024 {
            return wording::refused_target(verb, target, self.peer.ip());
        }
        self.drop_data_channel();
        // The peer's own address has the scope, where it is link-local.
        let mut target = self.peer;
        target.set_port(addr.port());
        self.data = Some(DataChannel::Active(target));
        say(200, format!("{verb} command successful."))
    }

    fn passive(&mut self, extended: bool) -> Option<Reply> {
        if self.epsv_all && !extended {
            return Some(say(503, "EPSV ALL was given: only EPSV is taken."));
        }
        if self.ipv6 && !extended {
            return Some(wording::data_error(&super::action::DataError::Family));
        }
        self.drop_data_channel();
        self.single(Action::Listen { ipv4: !extended }, Pending::Listen { extended })
    }

    fn status(&self) -> Reply {
        let user = match &self.login {
            Login::In { user, .. } => crate::text::Shown(user).to_string(),
            Login::Out { .. } => "nobody".into(),
        };
        let mut all = vec![
            format!("Status of {}:", self.settings.host),
            format!("Connected from {}", self.peer.ip()),
            format!("Logged in as {user}"),
            format!("TYPE {}, STRU F, MODE S", if self.form == Form::Ascii { "A" } else { "I" }),
            self.tls_status(),
        ];
        all.push(match (self.transfer_status(), self.data) {
            (Some(transfer), _) => transfer,
            (None, Some(DataChannel::Passive(_))) => "Passive port open, no transfer".into(),
            (None, Some(DataChannel::Active(addr))) => format!("Data will go to {addr}, no transfer"),
            (None, None) => "No data connection".into(),
        });
        all.push("End of status.".into());
        wording::lines(211, all)
    }

    /// A wildcard is looked for in the last part alone; in others a character is only itself.
    fn list_request(&self, listing: Listing, format: ListFormat) -> Result<ListRequest, PathError> {
        let path = self.resolve_or_cwd(&listing.path)?;
        let written = listing.path.as_ref().map(written).unwrap_or_default();
        let is_pattern = |name: &[u8]| name.iter().any(|b| matches!(b, b'*' | b'?' | b'['));
        let pattern = path.file_name().filter(|name| is_pattern(name)).map(<[u8]>::to_vec);
        let path = if pattern.is_some() { path.parent() } else { path };
        Ok(ListRequest { path, pattern, written, format, options: listing.options })
    }

    fn resolve_or_cwd(&self, arg: &Option<PathArg>) -> Result<FtpPath, PathError> {
        arg.as_ref().map_or_else(|| Ok(self.cwd.clone()), |arg| self.cwd.resolve(arg))
    }

    pub(super) fn may(&self, permission: Permission) -> bool {
        matches!(&self.login, Login::In { grant, .. } if grant.permissions.allows(permission))
    }

    fn single(&mut self, action: Action, pending: Pending) -> Option<Reply> {
        self.start_single(action, pending);
        None
    }
}

/// The names that a guest may give (RFC 1635 section 3).
fn is_guest(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"anonymous") || name.eq_ignore_ascii_case(b"ftp")
}

fn written(arg: &PathArg) -> Vec<u8> {
    arg.as_bytes().to_vec()
}
