//! Random doings of two accounts, and of one that several people share, in one directory, against a model that knows what each name may hold: the whole old
//! file, the whole new one, or what was added in place as it was asked for; and never a mixture. In the end the books of
//! the quota are compared with a count of the disk.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use tokio::runtime::Builder;

use super::*;
use crate::storage::{Ledger, QuotaLimits};

const NAMES: [&str; 3] = ["a", "b", "c"];
const OWNERS: [Option<&str>; 3] = [Some("ann"), Some("bob"), None];
const LIMITS: QuotaLimits = QuotaLimits { bytes: Some(60), files: Some(3) };

/// Something that an account does; `usize` numbers its names.
#[derive(Clone, Debug)]
enum Deed {
    /// STOR, APPE or REST + STOR of bytes that nobody else sends; and how far that goes at once.
    Begin {
        name: usize,
        how: How,
        len: usize,
        announced: Option<u64>,
        commit: CommitMode,
        representation: Representation,
        then: Then,
    },
    /// Goes on with what broke off, by APPE or by REST + STOR: from where the account was told, or a listing shows.
    Resume {
        name: usize,
        rest: bool,
        then: Then,
    },
    /// The next bytes of its upload.
    Send(usize),
    Finish,
    Cut,
    Size(usize),
    Rename {
        from: usize,
        to: usize,
        overwrite: bool,
    },
    Remove(usize),
    Mode(usize),
    Time(usize),
}

#[derive(Clone, Copy, Debug)]
enum Then {
    Waits,
    IsCut(usize),
    Ends,
}

#[derive(Clone, Copy, Debug)]
enum How {
    Whole,
    End,
    At(u64),
    /// From there on, and just as many bytes as there are.
    Within(u64),
}

fn deed() -> impl Strategy<Value = (usize, Deed)> {
    let name = || 0..NAMES.len();
    let how = prop_oneof![
        5 => Just(How::Whole),
        2 => Just(How::End),
        1 => (1..12_u64).prop_map(How::At),
        1 => (0..12_u64).prop_map(How::Within)
    ];
    let commit = prop_oneof![
        4 => Just(CommitMode::Atomic),
        1 => Just(CommitMode::Durable),
        1 => Just(CommitMode::Direct)
    ];
    let representation = prop_oneof![5 => Just(Representation::Image), 1 => Just(Representation::Ascii)];
    let announced = prop_oneof![3 => Just(None), 1 => (0..80_u64).prop_map(Some)];
    let then = || prop_oneof![1 => Just(Then::Waits), 1 => (0..10_usize).prop_map(Then::IsCut), 2 => Just(Then::Ends)];
    let begin = (name(), how, 1..20_usize, announced, commit, representation, then());
    let begin = begin.prop_map(|(name, how, len, announced, commit, representation, then)| Deed::Begin {
        name,
        how,
        len,
        announced,
        commit,
        representation,
        then,
    });
    let deed = prop_oneof![
        5 => begin,
        4 => (name(), any::<bool>(), then()).prop_map(|(name, rest, then)| Deed::Resume { name, rest, then }),
        3 => (1..10_usize).prop_map(Deed::Send),
        2 => Just(Deed::Finish),
        1 => Just(Deed::Cut),
        2 => name().prop_map(Deed::Size),
        2 => (name(), name(), any::<bool>()).prop_map(|(from, to, overwrite)| Deed::Rename { from, to, overwrite }),
        1 => name().prop_map(Deed::Remove),
        1 => name().prop_map(Deed::Mode),
        1 => name().prop_map(Deed::Time),
    ];
    (0..OWNERS.len(), deed)
}

#[test]
fn a_name_holds_the_old_file_or_the_new_one_and_the_books_are_true() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let config = Config { cases: 200, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let deeds = prop::collection::vec(deed(), 20..45);
    let outcome = runner.run(&deeds, |deeds| {
        runtime.block_on(async {
            let mut world = World::new();
            for (who, deed) in deeds {
                world.happens(who, &deed).await;
                world.is_as_it_should_be(&format!("{} {deed:?}", OWNERS[who].unwrap_or("somebody")));
            }
            world.ends().await;
        });
        Ok(())
    });
    outcome.unwrap();
}

struct World {
    place: Place,
    ledger: Ledger,
    accounts: [Account; OWNERS.len()],
    /// What every name holds.
    files: BTreeMap<usize, Vec<u8>>,
    /// The byte that the next upload consists of.
    fresh: u8,
}

struct Account {
    fs: LocalFs,
    upload: Option<Running>,
    told: BTreeMap<usize, Told>,
    parts: BTreeMap<usize, Vec<u8>>,
    marks: BTreeSet<usize>,
    /// What it has begun to send, where that broke off.
    wants: BTreeMap<usize, Vec<u8>>,
}

struct Running {
    upload: Box<dyn Upload>,
    name: usize,
    /// All that the client means to send, and how much it has.
    bytes: Vec<u8>,
    sent: usize,
    effect: Effect,
    /// It fails unless all of it comes.
    just: bool,
    /// What the file is to be in the end, where it goes on with an upload that broke off.
    goes_on: Option<Vec<u8>>,
    representation: Representation,
}

#[derive(Clone, PartialEq)]
enum Effect {
    /// Nothing is seen before the end, and then this with the bytes behind it.
    Aside { base: Vec<u8>, over: bool },
    /// At once, from this byte on.
    InPlace { from: usize, cuts: bool },
}

impl World {
    fn new() -> World {
        let place = Place::in_memory();
        let ledger = Ledger::open(place.root(), LIMITS).unwrap();
        let account = |owner: Option<&str>| {
            let (owner, quota) = (owner.map(Arc::from), Some(Arc::new(ledger.clone()) as Arc<dyn Quota>));
            let settings = LocalSettings { owner, quota, displace_after: Duration::MAX, ..LocalSettings::default() };
            let fs = LocalFs::open(place.root(), settings).unwrap();
            let (told, parts, marks, wants) = Default::default();
            Account { fs, upload: None, told, parts, marks, wants }
        };
        let accounts = OWNERS.map(account);
        World { place, ledger, accounts, files: BTreeMap::new(), fresh: 0 }
    }

    fn is_busy(&self, name: usize) -> bool {
        self.accounts.iter().filter_map(|account| account.upload.as_ref()).any(|upload| upload.name == name)
    }

    async fn happens(&mut self, who: usize, deed: &Deed) {
        let at = |name: usize| path(NAMES[name]);
        match *deed {
            Deed::Begin { name, how, len, announced, commit, representation, then } => {
                if self.accounts[who].upload.is_none() {
                    self.fresh += 1;
                    let bytes = vec![self.fresh; len];
                    self.begins(who, name, how, (bytes, None), (announced, commit, representation)).await;
                    self.goes_on(who, then).await;
                }
            }
            Deed::Resume { name, rest, then } => {
                if self.accounts[who].upload.is_none() {
                    self.resumes(who, name, rest).await;
                    self.goes_on(who, then).await;
                }
            }
            Deed::Send(len) => self.sends(who, len).await,
            Deed::Finish => self.finishes(who).await,
            Deed::Cut => self.is_cut(who, false).await,
            Deed::Size(name) => {
                let account = &mut self.accounts[who];
                let size = account.fs.size(&at(name), Representation::Image).await.ok();
                assert_eq!(size, self.files.get(&name).map(|bytes| bytes.len() as u64));
                account.told.remove(&name);
                match (size, account.fs.part(&at(name)).await) {
                    (Some(size), _) => account.told.insert(name, Told::File(size)),
                    (None, Ok(part)) => account.told.insert(name, Told::Part(part)),
                    _ => None,
                };
            }
            Deed::Rename { from, to, overwrite } => {
                let want = if self.is_busy(from) {
                    Err(StorageError::Busy)
                } else if !self.files.contains_key(&from) {
                    Err(StorageError::NotFound)
                } else if self.is_busy(to) {
                    Err(StorageError::Busy)
                } else if self.files.contains_key(&to) && !overwrite {
                    Err(StorageError::Exists)
                } else {
                    Ok(())
                };
                let account = &mut self.accounts[who];
                account.told.remove(&from);
                account.told.remove(&to);
                assert_eq!(account.fs.rename(&at(from), &at(to), overwrite).await, want);
                if want.is_ok() {
                    let bytes = self.files.remove(&from).unwrap();
                    self.files.insert(to, bytes);
                    if account.marks.remove(&from) {
                        account.wants.remove(&from);
                    }
                    // It is what the account was to send.
                    account.marks.remove(&to);
                    account.parts.remove(&to);
                    account.wants.remove(&to);
                }
            }
            Deed::Remove(name) => {
                let is_busy = self.is_busy(name);
                let account = &mut self.accounts[who];
                account.told.remove(&name);
                let removed = account.fs.remove_file(&at(name)).await;
                if is_busy {
                    return assert_eq!(removed, Err(StorageError::Busy));
                }
                account.marks.remove(&name);
                account.wants.remove(&name);
                let (part, file) = (account.parts.remove(&name), self.files.remove(&name));
                let was_there = part.is_some() || file.is_some();
                assert_eq!(removed, if was_there { Ok(()) } else { Err(StorageError::NotFound) });
            }
            Deed::Mode(name) => {
                let set = self.accounts[who].fs.set_mode(&at(name), 0o640).await;
                assert_eq!(set.is_ok(), self.files.contains_key(&name), "a part has no attributes");
            }
            Deed::Time(name) => {
                let set = self.accounts[who].fs.set_modified(&at(name), Timestamp::UNIX_EPOCH).await;
                assert_eq!(set.is_ok(), self.files.contains_key(&name), "a part has no attributes");
            }
        }
    }

    async fn goes_on(&mut self, who: usize, then: Then) {
        match then {
            Then::Waits => {}
            Then::IsCut(at) => {
                self.sends(who, at).await;
                self.is_cut(who, false).await;
            }
            Then::Ends => {
                self.sends(who, usize::MAX).await;
                self.finishes(who).await;
            }
        }
    }

    async fn resumes(&mut self, who: usize, name: usize, rest: bool) {
        let account = &self.accounts[who];
        let Some(want) = account.wants.get(&name).cloned() else { return };
        let listed = self.files.get(&name).map(|bytes| bytes.len() as u64);
        let from = match account.told.get(&name) {
            Some(Told::File(size) | Told::Part(Part { size, .. })) => *size,
            None => listed.unwrap_or(0),
        };
        let Some(rest_of_it) = usize::try_from(from).ok().and_then(|from| want.get(from..)) else { return };
        let how = match (from, rest) {
            (0, _) => How::Whole,
            (_, true) => How::At(from),
            (_, false) => How::End,
        };
        let bytes = rest_of_it.to_vec();
        self.begins(who, name, how, (bytes, Some(want)), (None, CommitMode::Atomic, Representation::Image)).await;
    }

    async fn begins(
        &mut self,
        who: usize,
        name: usize,
        how: How,
        (bytes, goes_on): (Vec<u8>, Option<Vec<u8>>),
        (announced, commit, representation): (Option<u64>, CommitMode, Representation),
    ) {
        let is_busy = self.is_busy(name);
        let there = self.files.get(&name).map(Vec::len);
        let account = &mut self.accounts[who];
        let told = account.told.remove(&name);
        let placement = match how {
            How::Whole => Placement::Whole,
            How::End => Placement::End,
            How::At(from) => Placement::At(from),
            How::Within(from) => Placement::Within { from, to: from + bytes.len() as u64 },
        };
        let just = matches!(how, How::Within(_));
        let direct = commit == CommitMode::Direct;
        let afresh = || match there {
            Some(_) | None if direct => Effect::InPlace { from: 0, cuts: true },
            there => Effect::Aside { base: Vec::new(), over: there.is_some() },
        };
        let part = account.parts.get(&name);
        let broke_off = account.marks.contains(&name) || there.is_some() && part.is_some();
        let goes_on_with = |size: u64| match part
            .filter(|part| part.len() as u64 == size && representation == Representation::Image)
        {
            Some(part) => Ok(Effect::Aside { base: part.clone(), over: false }),
            None => Err(StorageError::NoResume),
        };
        let want = match (how, there, told) {
            _ if is_busy => Err(StorageError::Busy),
            (How::Whole, ..) | (How::Within(0), None, _) => Ok(afresh()),
            (_, Some(_), Some(Told::Part(_))) => Err(StorageError::NoResume),
            _ if broke_off => Err(StorageError::NoResume),
            (How::End, Some(len), _) => Ok(Effect::InPlace { from: len, cuts: false }),
            (How::At(from) | How::Within(from), Some(len), _) if from > len as u64 => Err(StorageError::BadOffset),
            (How::Within(from), Some(_), _) => Ok(Effect::InPlace { from: from as usize, cuts: false }),
            (How::At(from), Some(_), _) => Ok(Effect::InPlace { from: from as usize, cuts: true }),
            (How::At(from) | How::Within(from), None, Some(Told::Part(told))) if from != told.size => {
                Err(StorageError::NoResume)
            }
            (_, None, Some(Told::Part(told))) => goes_on_with(told.size),
            (How::At(_) | How::Within(_), None, _) => Err(StorageError::BadOffset),
            (How::End, None, _) => Ok(afresh()),
        };
        let request = UploadRequest {
            path: &path(NAMES[name]),
            placement,
            overwrite: true,
            announced,
            commit,
            told,
            representation,
            adds: false,
        };
        let begun = account.fs.create(request).await;
        let is_afresh = want.as_ref().is_ok_and(|effect| *effect == afresh() && !matches!(how, How::At(_)));
        let is_afresh = is_afresh && !(there.is_some() && matches!(how, How::End));
        if is_afresh {
            // Whatever becomes of it, it begins anew.
            account.parts.remove(&name);
            account.wants.remove(&name);
        }
        match (begun, want) {
            (Ok(upload), Ok(effect)) => {
                if is_afresh && !matches!(effect, Effect::Aside { over: true, .. }) {
                    account.marks.remove(&name);
                }
                if let Effect::InPlace { from: 0, cuts: true } = effect
                    && direct
                {
                    self.files.insert(name, Vec::new());
                }
                account.upload = Some(Running { upload, name, bytes, sent: 0, effect, just, goes_on, representation });
            }
            (Err(StorageError::OverQuota), Ok(_)) => {
                if direct && is_afresh {
                    // It was made, or emptied, before that was known.
                    match fs::read(self.place.at(NAMES[name])) {
                        Ok(bytes) => drop(self.files.insert(name, bytes)),
                        Err(_) => drop(self.files.remove(&name)),
                    }
                    assert!(self.files.get(&name).is_none_or(Vec::is_empty));
                }
                if there.is_none() || direct {
                    let mark = aside::over_name(OWNERS[who], NAMES[name].as_bytes());
                    if !self.place.names().contains(std::str::from_utf8(&mark).unwrap()) {
                        account.marks.remove(&name);
                    }
                }
            }
            (begun, want) => assert_eq!(begun.map(drop), want.map(drop)),
        }
    }

    async fn sends(&mut self, who: usize, len: usize) {
        let Some(running) = &mut self.accounts[who].upload else { return };
        let end = running.sent.saturating_add(len).min(running.bytes.len());
        let bytes = running.bytes[running.sent..end].to_vec();
        if let Err(error) = running.upload.take(bytes.len() as u64) {
            assert_eq!(error, StorageError::OverQuota);
            running.upload.spoil();
            return self.is_cut(who, true).await;
        }
        let Sink::File(file) = running.upload.sink() else { unreachable!("local files are files") };
        (&*file).write_all(&bytes).unwrap();
        if let Effect::InPlace { from, .. } = running.effect {
            let there = self.files.get_mut(&running.name).unwrap();
            let (begin, end) = (from + running.sent, from + running.sent + bytes.len());
            there.resize(there.len().max(end), 0);
            there[begin..end].copy_from_slice(&bytes);
        }
        running.sent = end;
    }

    async fn finishes(&mut self, who: usize) {
        let account = &mut self.accounts[who];
        let Some(mut running) = account.upload.take() else { return };
        if running.just && running.sent < running.bytes.len() {
            assert_eq!(running.upload.sync().await, Err(StorageError::WrongLength));
            account.upload = Some(running);
            return self.is_cut(who, true).await;
        }
        running.upload.sync().await.unwrap();
        running.upload.commit().await.unwrap();
        let (name, sent) = (running.name, &running.bytes[..running.sent]);
        match running.effect {
            Effect::Aside { base, over } => {
                self.files.insert(name, [&base, sent].concat());
                account.parts.remove(&name);
                if over {
                    account.marks.remove(&name);
                }
                account.wants.remove(&name);
            }
            Effect::InPlace { from, cuts: true } => self.files.get_mut(&name).unwrap().truncate(from + sent.len()),
            Effect::InPlace { .. } => {}
        }
        if let Some(whole) = running.goes_on {
            let file = &self.files[&name];
            assert!(whole.starts_with(file), "a mixture: {file:?} where the client has sent {whole:?}");
        }
    }

    async fn is_cut(&mut self, who: usize, spoilt: bool) {
        let account = &mut self.accounts[who];
        let Some(running) = account.upload.take() else { return };
        running.upload.let_go().await;
        let (name, sent) = (running.name, &running.bytes[..running.sent]);
        match running.effect {
            Effect::Aside { over: true, .. } => {
                account.marks.insert(name);
                account.wants.insert(name, running.bytes);
            }
            Effect::Aside { base, .. } => {
                let part = [&base, sent].concat();
                if part.is_empty() || spoilt || running.representation == Representation::Ascii || OWNERS[who].is_none()
                {
                    account.parts.remove(&name);
                    account.wants.remove(&name);
                } else {
                    account.wants.insert(name, [&base[..], &running.bytes].concat());
                    account.parts.insert(name, part);
                }
            }
            Effect::InPlace { from, cuts: true } if !sent.is_empty() => {
                self.files.get_mut(&name).unwrap().truncate(from + sent.len());
            }
            Effect::InPlace { .. } => {}
        }
    }

    fn is_as_it_should_be(&self, after: &str) {
        for (number, name) in NAMES.into_iter().enumerate() {
            assert_eq!(fs::read(self.place.at(name)).ok().as_ref(), self.files.get(&number), "{name} after {after}");
        }
        for (account, owner) in self.accounts.iter().zip(OWNERS) {
            let aside =
                |name: Vec<u8>| fs::metadata(self.place.at(OsStr::from_bytes(&name))).ok().map(|meta| meta.len());
            for (number, name) in NAMES.into_iter().enumerate() {
                if account.upload.as_ref().is_some_and(|running| running.name == number) {
                    continue;
                }
                let part = owner.and_then(|owner| aside(aside::part_name(owner, name.as_bytes())));
                let (mark, owner) = (aside::over_name(owner, name.as_bytes()), owner.unwrap_or("nobody"));
                let want = account.parts.get(&number).map(|part| part.len() as u64);
                assert_eq!(part, want, "{owner}'s part of {name} after {after}");
                let mark = aside(mark);
                let want = account.marks.contains(&number).then_some(0);
                assert_eq!(mark, want, "{owner}'s mark of {name} after {after}");
            }
        }
    }

    async fn ends(mut self) {
        for who in 0..OWNERS.len() {
            self.is_cut(who, false).await;
        }
        self.is_as_it_should_be("the end");
        let counted = self.accounts[0].fs.count(|| true).unwrap();
        assert_eq!(self.ledger.used().0, counted, "the books and the disk");
        let left = LIMITS.bytes.map(|most| most.saturating_sub(counted.bytes));
        assert_eq!(self.ledger.room(), left, "nothing is reserved any more");
        assert!(counted.bytes <= LIMITS.bytes.unwrap() && counted.files <= LIMITS.files.unwrap());
    }
}
