//! What is tried again, how often, and after which wait.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::Duration;

use port21_proto::client::Phase;
use port21_proto::reply::CodeClass;

use crate::error::Error;
use crate::tls::TlsError;

/// How often what a lost connection has broken off is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// How often in a row, without getting any further, before it is given up. A transfer that got further begins to
    /// count anew. Default 6, which is about half a minute.
    pub attempts: u32,
    /// How often the very first connection is tried again: without one it is not known whether there is such a server.
    /// Default 0.
    pub connect: u32,
    /// The wait before the first further attempt; each is twice as long as the one before, give or take a quarter, so
    /// that many clients that a server has lost do not come back at once. Default 500 ms.
    pub first: Duration,
    /// The longest wait. Default 30 s.
    pub longest: Duration,
}

impl Default for Retry {
    fn default() -> Retry {
        Retry { attempts: 6, connect: 0, first: Duration::from_millis(500), longest: Duration::from_secs(30) }
    }
}

impl Retry {
    /// Nothing is tried again.
    pub const NEVER: Retry = Retry { attempts: 0, connect: 0, first: Duration::ZERO, longest: Duration::ZERO };

    /// As [`Retry::wait`], after this error: a server whose bytes and words disagree is tried once more.
    pub(crate) fn wait_after(&self, error: &Error, failures: u32) -> Option<Duration> {
        let attempts = if error.is_disagreement() { self.attempts.min(1) } else { self.attempts };
        Retry { attempts, ..*self }.wait(failures)
    }

    /// The wait after this many failures in a row; nothing where it is to be given up.
    pub(crate) fn wait(&self, failures: u32) -> Option<Duration> {
        if failures == 0 || failures > self.attempts {
            return None;
        }
        let doubled = self.first.saturating_mul(1 << (failures - 1).min(20)).min(self.longest);
        // Three to five quarters.
        Some(doubled.mul_f64(0.75 + 0.5 * chance()))
    }
}

impl Error {
    /// Whether the same may well succeed when it is tried again: a connection was lost or did not come to stand, or the
    /// server says that it cannot now (4yz).
    pub fn is_passing(&self) -> bool {
        match self {
            Error::Partial { source, .. } => source.is_passing(),
            Error::Connect { .. }
            | Error::Resolve { .. }
            | Error::Closed { .. }
            | Error::OutOfStep { .. }
            | Error::ServiceClosing { .. }
            | Error::Timeout { .. }
            | Error::Transport { .. } => true,
            Error::Refused { reply, phase, .. } => *phase != Phase::Tls && reply.code().class() == CodeClass::Transient,
            // The bytes and the server's verdict disagree.
            Error::Protocol { phase: Phase::Transfer | Phase::FinalReply, .. } => true,
            Error::Tls { why, .. } => matches!(why, TlsError::Truncated),
            _ => false,
        }
    }

    /// Whether the server's verdict, or the size that it tells, does not fit the bytes.
    fn is_disagreement(&self) -> bool {
        match self {
            Error::Partial { source, .. } => source.is_disagreement(),
            Error::Protocol { phase, .. } => *phase == Phase::FinalReply,
            _ => false,
        }
    }
}

/// A number from 0 to 1 that nobody else has.
fn chance() -> f64 {
    // The keys of std's hash maps are random.
    let random = RandomState::new().build_hasher().finish();
    (random >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use port21_proto::Reply;
    use port21_proto::reply::Code;

    use super::*;

    #[test]
    fn waits_grow_and_end() {
        let retry =
            Retry { attempts: 8, connect: 0, first: Duration::from_millis(500), longest: Duration::from_secs(5) };
        for (failures, millis) in [(1, 500), (2, 1000), (4, 4000), (5, 5000), (8, 5000)] {
            let wait = retry.wait(failures).unwrap();
            let wanted = Duration::from_millis(millis);
            assert!(wait >= wanted.mul_f64(0.75) && wait <= wanted.mul_f64(1.25), "{failures} {wait:?}");
        }
        assert_eq!((retry.wait(9), Retry::NEVER.wait(1)), (None, None));
    }

    #[test]
    fn what_is_tried_again() {
        let refused = |phase, code| {
            let reply = Box::new(Reply::new(Code::new(code).unwrap(), &b"no"[..]));
            Error::Refused { phase, verb: "X", reply }
        };
        assert!(Error::Closed { phase: Phase::Transfer }.is_passing());
        assert!(refused(Phase::FinalReply, 426).is_passing() && refused(Phase::DataOpen, 425).is_passing());
        assert!(refused(Phase::Login, 421).is_passing());
        assert!(!refused(Phase::Command, 550).is_passing() && !refused(Phase::Login, 530).is_passing());
        assert!(!Error::Usage("x").is_passing());
        assert!(!Error::TooMuch { phase: Phase::Transfer, why: String::new() }.is_passing());
        let source = Box::new(Error::Protocol { phase: Phase::FinalReply, why: String::new() });
        let disagrees = Error::Partial { bytes: 1, kept: None, source };
        let retry = Retry::default();
        assert!(disagrees.is_passing() && retry.wait_after(&disagrees, 1).is_some());
        assert_eq!(retry.wait_after(&disagrees, 2), None);
        assert!(retry.wait_after(&Error::Closed { phase: Phase::Transfer }, 2).is_some());
    }
}
