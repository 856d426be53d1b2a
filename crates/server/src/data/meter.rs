//! How far a transfer has come.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use crate::data::pace::Pace;
use crate::data::socket::Socket;

/// Counts the bytes of one transfer, written by its task and read by its session.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    bytes: AtomicU64,
    /// Of a download: the connection whose send queue is not yet progress. Weak, so that reading the meter keeps no
    /// connection open.
    sending: OnceLock<Weak<Socket>>,
    pace: Pace,
}

impl Meter {
    /// Of a transfer that may be no faster than this.
    pub(crate) fn paced(pace: Pace) -> Meter {
        Meter { pace, ..Meter::default() }
    }

    /// How fast the transfer may be.
    pub(crate) fn pace(&self) -> &Pace {
        &self.pace
    }

    pub(crate) fn add(&self, bytes: u64) {
        self.pace.spend(bytes);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// How many bytes were given to the system or taken from it.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// From now on what waits in this connection's send queue does not count as progress.
    pub(crate) fn watch(&self, stream: &Arc<Socket>) {
        // A meter is of one transfer, which has one connection: it is never set twice.
        let _ = self.sending.set(Arc::downgrade(stream));
    }

    /// How many bytes have come through. Of a download those are the ones that the client's system has acknowledged,
    /// where that can be known: on a slow line megabytes wait in the send queue, and while it drains there is nothing to
    /// write for minutes although all is well.
    pub(crate) fn progress(&self) -> u64 {
        let queued = self.sending.get().and_then(Weak::upgrade).and_then(|stream| unacknowledged(&stream));
        self.bytes().saturating_sub(queued.unwrap_or(0))
    }
}

/// How many bytes were written and not yet acknowledged by the peer's system, a FIN counted as one; nothing where the
/// system does not tell.
pub(crate) use queue::unacknowledged;

#[cfg(all(
    target_os = "linux",
    any(
        target_arch = "x86_64",
        target_arch = "x86",
        target_arch = "aarch64",
        target_arch = "arm",
        target_arch = "riscv64"
    )
))]
mod queue {
    use rustix::ioctl::{Getter, Opcode, ioctl};

    use crate::data::socket::Socket;

    /// SIOCOUTQ (tcp(7)), the same number as TIOCOUTQ; it differs on architectures that are not named above.
    const SIOCOUTQ: Opcode = 0x5411;

    #[expect(unsafe_code, reason = "SIOCOUTQ has no safe wrapper")]
    pub(crate) fn unacknowledged(stream: &Socket) -> Option<u64> {
        // SAFETY: of a TCP socket, SIOCOUTQ reads nothing from its argument and writes one C int to it: a `Getter` of an
        // `i32` gives it just that.
        let queued = unsafe { ioctl(stream, Getter::<SIOCOUTQ, i32>::new()) };
        queued.ok().and_then(|bytes| u64::try_from(bytes).ok())
    }
}

#[cfg(not(all(
    target_os = "linux",
    any(
        target_arch = "x86_64",
        target_arch = "x86",
        target_arch = "aarch64",
        target_arch = "arm",
        target_arch = "riscv64"
    )
)))]
mod queue {
    pub(crate) fn unacknowledged(_: &crate::data::socket::Socket) -> Option<u64> {
        None
    }
}
