//! Sessions with one server, side by side, and the work that they share.

use std::collections::VecDeque;
use std::future::Future;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::builder::Builder;
use crate::client::Client;
use crate::error::Error;
use crate::pool::Pool;
use crate::retry::Retry;

/// How many sessions are used side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parallel {
    /// So many, where the server lets as many in, and at least one.
    Sessions(usize),
    /// As many as the way to the server is long: two where an answer comes at once, and up to 16 where it takes 50 ms, or half
    /// as many again where there are hundreds of files. It costs the server as many connections; one that allows fewer is
    /// asked for no more than it allows.
    Auto,
}

impl Default for Parallel {
    fn default() -> Parallel {
        Parallel::Sessions(1)
    }
}

/// The most sessions that [`Parallel::Auto`] uses, for less than [`MANY`] pieces of work each; half as many again for more.
const MOST: usize = 16;

/// So many pieces of work for each session are worth further sessions.
const MANY: usize = 20;

/// Where so many files wait, they are transferred before further directories are listed: a tree may be larger than memory.
const MANY_WAITING: usize = 50_000;

/// The most commands that are worth sending at once.
const DEEPEST: usize = 32;

/// A piece of work in a session. It may be tried several times, each time in a session that stands.
pub(crate) trait Work: Send + 'static {
    type Output: Send + 'static;

    /// Tries it once.
    fn attempt(&mut self, client: &mut Client) -> impl Future<Output = Result<Self::Output, Error>> + Send;

    /// A number that grows as the work gets on.
    fn reached(&self) -> u64;

    /// It will be tried again, in so long.
    fn again(&self, error: &Error, wait: Duration);
}

/// Sessions with one server.
pub(crate) struct Crew {
    pool: Pool,
    parallel: Parallel,
    retry: Retry,
    /// There will be more work than is known at first.
    expects_more: bool,
    /// A session has stood: its settings are right.
    proven: bool,
    /// How long an answer takes.
    round_trip: Option<Duration>,
    /// As many sessions as were wanted at a time: they stand, and are used to the end.
    wanted: usize,
}

struct Job<W> {
    work: W,
    failures: u32,
    reached: u64,
    wait: Duration,
}

enum Ended<O> {
    /// It was tried.
    Tried(Result<O, Error>),
    /// There was no session to try it in.
    NoSession(Error),
}

impl Crew {
    pub(crate) fn new(settings: Builder, parallel: Parallel, retry: Retry) -> Crew {
        let most = if let Parallel::Sessions(most) = parallel { most } else { MOST + MOST / 2 };
        let pool = Pool::for_transfers(settings, most);
        Crew { pool, parallel, retry, expects_more: false, proven: false, round_trip: None, wanted: 0 }
    }

    /// There will be more work than is known at first, as there is for a tree: sessions for it are opened while the first
    /// piece is done.
    pub(crate) fn expecting_more(self) -> Crew {
        Crew { expects_more: true, ..self }
    }

    /// Does all the work, and what follows from it: `done` is told how each piece ended, and gives what is to be done next.
    ///
    /// # Errors
    /// Where no session can be had at all. What was not done is dropped then.
    pub(crate) async fn run<W: Work>(
        &mut self,
        work: Vec<W>,
        mut done: impl FnMut(W, Result<W::Output, Error>) -> Next<W>,
    ) -> Result<(), Error> {
        let mut queue = Queue { urgent: VecDeque::new(), later: work.into_iter().map(Job::new).collect() };
        let mut running = JoinSet::new();
        // What is not open by the end is not needed any more.
        let mut opening = JoinSet::new();
        let (stands, mut standing) = mpsc::unbounded_channel();
        loop {
            while running.len() < self.seats(queue.len() + running.len())
                && let Some(job) = queue.pop()
            {
                running.spawn(attempt(self.pool.clone(), job, stands.clone(), !queue.is_empty()));
            }
            let ended = tokio::select! {
                biased;
                Some(round_trip) = standing.recv() => {
                    self.round_trip = [self.round_trip, round_trip].into_iter().flatten().min();
                    if !std::mem::replace(&mut self.proven, true) && self.expects_more {
                        for _ in 1..self.ahead() {
                            let pool = self.pool.clone();
                            // Where it does not come to stand, work will find out why.
                            opening.spawn(async move { prepare(&mut *pool.get().await?).await });
                        }
                    }
                    continue;
                }
                ended = running.join_next() => ended,
            };
            let Some(ended) = ended else { return Ok(()) };
            let Ok((mut job, ended)) = ended else {
                return Err(Error::Usage("a transfer has ended by a fault of this program"));
            };
            let result = match ended {
                Ended::Tried(result) => result,
                Ended::NoSession(error) => Err(error),
            };
            let error = match result {
                Err(error) if error.is_passing() => error,
                Err(error) if !self.proven => return Err(error),
                result => {
                    queue.follow(done(job.work, result));
                    continue;
                }
            };
            if job.work.reached() > job.reached {
                (job.reached, job.failures) = (job.work.reached(), 0);
            }
            job.failures += 1;
            let attempts = if self.proven { self.retry.attempts } else { self.retry.connect };
            match (Retry { attempts, ..self.retry }).wait_after(&error, job.failures) {
                Some(wait) => {
                    job.work.again(&error, wait);
                    job.wait = wait;
                    queue.urgent.push_front(job);
                }
                None if !self.proven => return Err(error),
                None => queue.follow(done(job.work, Err(error))),
            }
        }
    }

    /// Ends all sessions. What was asked for has been done: a server that is gone by now changes nothing.
    pub(crate) async fn end(self) {
        self.pool.close().await;
    }

    /// How many pieces of work are to be under way at once, of so many.
    fn seats(&mut self, work: usize) -> usize {
        if !self.proven {
            // The first session tells whether there can be any.
            return 1;
        }
        // One more is not worth its login for a file or two; those that stand are used to the end.
        let most = self.most();
        let wanted = match self.parallel {
            Parallel::Sessions(_) => most,
            Parallel::Auto if work > most * MANY => most + most / 2,
            Parallel::Auto => most.min(work.div_ceil(2)),
        };
        self.wanted = self.wanted.max(wanted).max(1);
        self.wanted.min(self.pool.limit())
    }

    /// How many commands that wait for nothing are worth sending in one session at once, so that the way's length counts once.
    pub(crate) fn depth(&self) -> usize {
        let millis = self.round_trip.map_or(0, |round_trip| round_trip.as_millis());
        usize::try_from(millis).unwrap_or(DEEPEST).clamp(1, DEEPEST)
    }

    /// The most sessions that are of use.
    fn most(&self) -> usize {
        match self.parallel {
            Parallel::Sessions(most) => most,
            Parallel::Auto => {
                let millis = self.round_trip.map_or(0, |round_trip| round_trip.as_millis());
                usize::try_from(millis / 3).unwrap_or(MOST).clamp(2, MOST)
            }
        }
    }

    /// How many sessions are opened before it is known that there is work for them.
    fn ahead(&self) -> usize {
        if self.parallel == Parallel::Auto { self.most() / 2 } else { self.most() }
    }
}

/// What follows from a piece of work.
pub(crate) struct Next<W> {
    /// To be done before what waits already.
    pub(crate) urgent: Vec<W>,
    pub(crate) later: Vec<W>,
}

impl<W> Next<W> {
    pub(crate) fn nothing() -> Next<W> {
        Next { urgent: Vec::new(), later: Vec::new() }
    }
}

/// What is still to be done.
struct Queue<W> {
    urgent: VecDeque<Job<W>>,
    later: VecDeque<Job<W>>,
}

impl<W> Queue<W> {
    fn pop(&mut self) -> Option<Job<W>> {
        // What is urgent mostly leads to more of what is not.
        if self.later.len() >= MANY_WAITING {
            return self.later.pop_front();
        }
        self.urgent.pop_front().or_else(|| self.later.pop_front())
    }

    fn follow(&mut self, next: Next<W>) {
        next.urgent.into_iter().rev().for_each(|work| self.urgent.push_front(Job::new(work)));
        self.later.extend(next.later.into_iter().map(Job::new));
    }

    fn len(&self) -> usize {
        self.urgent.len() + self.later.len()
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<W> Job<W> {
    fn new(work: W) -> Job<W> {
        Job { work, failures: 0, reached: 0, wait: Duration::ZERO }
    }
}

/// What every transfer of the session would begin with otherwise.
async fn prepare(client: &mut Client) -> Result<(), Error> {
    client.set_representation(client.representation()).await.map(drop)
}

async fn attempt<W: Work>(
    pool: Pool,
    mut job: Job<W>,
    stands: mpsc::UnboundedSender<Option<Duration>>,
    more: bool,
) -> (Job<W>, Ended<W::Output>) {
    if !job.wait.is_zero() {
        tokio::time::sleep(std::mem::take(&mut job.wait)).await;
    }
    let mut client = match pool.get().await {
        Ok(client) => client,
        Err(error) => return (job, Ended::NoSession(error)),
    };
    // Where nobody listens any more, nobody needs to know.
    let _ = stands.send(client.round_trip());
    client.more_follows = more;
    let result = job.work.attempt(&mut client).await;
    client.more_follows = false;
    (job, Ended::Tried(result))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_urgent_comes_first_unless_much_waits() {
        let mut queue = Queue { urgent: VecDeque::new(), later: VecDeque::new() };
        queue.follow(Next { urgent: vec![1, 2], later: (10..10 + MANY_WAITING).collect() });
        queue.follow(Next { urgent: vec![3], later: Vec::new() });
        let next: Vec<usize> = std::iter::from_fn(|| queue.pop().map(|job| job.work)).take(6).collect();
        assert_eq!((next, queue.len()), (vec![10, 3, 1, 2, 11, 12], MANY_WAITING - 3));
    }

    #[test]
    fn as_many_sessions_as_the_way_is_long() {
        let mut crew = Crew::new(Client::builder(), Parallel::Auto, Retry::NEVER);
        assert_eq!(crew.seats(100), 1);
        crew.proven = true;
        for (millis, seats) in [(0, 2), (12, 4), (50, 16), (500, 16)] {
            crew.round_trip = Some(Duration::from_millis(millis));
            crew.wanted = 0;
            assert_eq!((crew.seats(2), crew.seats(seats * 2), crew.seats(2)), (1, seats, seats), "{millis}");
            assert_eq!(crew.seats(1000), seats + seats / 2);
            assert_eq!(crew.ahead(), seats / 2);
        }
        for (millis, depth) in [(0, 1), (12, 12), (500, 32)] {
            crew.round_trip = Some(Duration::from_millis(millis));
            assert_eq!(crew.depth(), depth);
        }
        let mut crew = Crew::new(Client::builder(), Parallel::Sessions(3), Retry::NEVER);
        assert_eq!(crew.seats(100), 1);
        crew.proven = true;
        assert_eq!((crew.seats(100), crew.seats(1)), (3, 3));
    }
}
