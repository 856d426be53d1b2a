//! Whether what a login has given still holds: accounts change and go while sessions of theirs are there.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// Shared by all [`Account`](super::Account)s that were given out for one state of an account, and by whoever gave them out.
/// Clones are the same standing.
#[derive(Clone, Debug, Default)]
pub struct Standing(Arc<Mutex<State>>);

/// What has become of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Withdrawn {
    /// It is another one now: a transfer that runs may end, and then its client is told to log in again (421).
    Changed,
    /// It is nobody's any more, or takes another proof: its sessions end at once (421), whatever they do. An upload that is
    /// not complete never happened, and nothing of it is kept.
    Revoked,
}

#[derive(Debug, Default)]
struct State {
    withdrawn: Option<Withdrawn>,
    sessions: Vec<Weak<Call>>,
}

impl Standing {
    /// The sessions that have it end, and so does every one that gets it from now on.
    pub fn withdraw(&self, how: Withdrawn) {
        let mut state = self.lock();
        state.withdrawn = state.withdrawn.max(Some(how));
        state.sessions.iter().filter_map(Weak::upgrade).for_each(|session| session.withdrawn(how));
    }

    /// Whether anybody else has it: an account that may be given out, or a session.
    pub fn is_held(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    /// From now on this session is called when it is withdrawn, until what is given back is dropped.
    pub(crate) fn join(&self, session: &Arc<Call>) -> Joined {
        let mut state = self.lock();
        state.sessions.push(Arc::downgrade(session));
        if let Some(how) = state.withdrawn {
            session.withdrawn(how);
        }
        Joined { standing: self.clone(), session: Arc::downgrade(session) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // It is true at every step.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A session among those of a standing.
#[derive(Debug)]
pub(crate) struct Joined {
    standing: Standing,
    session: Weak<Call>,
}

impl Drop for Joined {
    fn drop(&mut self) {
        self.standing.lock().sessions.retain(|session| !session.ptr_eq(&self.session));
    }
}

/// Why a session ought to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    Changed,
    Revoked,
    /// By the operator.
    Kicked,
}

/// How a session is called to its end.
#[derive(Debug)]
pub(crate) struct Call {
    /// Also tells a session to make room: see [`Place`](crate::limits::Place).
    wanted: Arc<Notify>,
    /// [`Why`], as a number; 0 is not at all.
    why: AtomicU8,
}

impl Call {
    pub(crate) fn new(wanted: Arc<Notify>) -> Call {
        Call { wanted, why: AtomicU8::new(0) }
    }

    /// Calls it. Whether it was not called for a reason as good before.
    pub(crate) fn call(&self, why: Why) -> bool {
        let fresh = self.why.fetch_max(why as u8 + 1, Ordering::AcqRel) <= why as u8;
        if fresh {
            self.wanted.notify_one();
        }
        fresh
    }

    /// Waits until the session is wanted to leave or was [called](Call::why).
    pub(crate) fn wanted(&self) -> Notified<'_> {
        self.wanted.notified()
    }

    /// Waits until the session has to leave, whatever it is doing: what has only to be done behind all that runs is asked for
    /// there, by [`Call::why`].
    pub(crate) async fn wanted_at_once(&self) {
        loop {
            self.wanted.notified().await;
            if self.why() != Some(Why::Changed) {
                return;
            }
        }
    }

    /// Why it was called, if it was.
    pub(crate) fn why(&self) -> Option<Why> {
        let number = self.why.load(Ordering::Acquire);
        [Why::Changed, Why::Revoked, Why::Kicked].into_iter().find(|why| *why as u8 + 1 == number)
    }

    fn withdrawn(&self, how: Withdrawn) {
        self.call(match how {
            Withdrawn::Changed => Why::Changed,
            Withdrawn::Revoked => Why::Revoked,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session() -> (Arc<Notify>, Arc<Call>) {
        let wanted = Arc::new(Notify::new());
        (wanted.clone(), Arc::new(Call::new(wanted)))
    }

    #[tokio::test]
    async fn those_who_have_it_are_called_and_those_who_come_later_too() {
        let standing = Standing::default();
        assert!(!standing.is_held());
        let [(woken, first), (_, gone), (_, late)] = [session(), session(), session()];
        let joined = standing.join(&first);
        // Somebody else has logged in there since.
        drop(standing.join(&gone));
        assert!(standing.is_held());
        standing.withdraw(Withdrawn::Changed);
        woken.notified().await;
        assert_eq!((first.why(), gone.why()), (Some(Why::Changed), None));
        standing.withdraw(Withdrawn::Revoked);
        standing.withdraw(Withdrawn::Changed);
        woken.notified().await;
        let _joined = standing.join(&late);
        assert_eq!((first.why(), late.why()), (Some(Why::Revoked), Some(Why::Revoked)));
        assert!(first.call(Why::Kicked) && !first.call(Why::Kicked) && !first.call(Why::Changed));
        assert_eq!(first.why(), Some(Why::Kicked));
        drop(joined);
        assert_eq!(standing.lock().sessions.len(), 1);
    }
}
