//! Passwords: kept as argon2id hashes, and checked a few at a time.
//!
//! argon2id (RFC 9106) is slow and takes memory on purpose: who steals the file of hashes pays the same for each guess.
//! The server pays it for each login, so it is the one thing that a stranger could make expensive: no more than a few are
//! computed at a time, on the pool of blocking threads, and no more than some wait for that.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use argon2::password_hash::phc;
use argon2::{Algorithm, Argon2, Block, Params, Version};
use port21_proto::Secret;
use tokio::sync::Semaphore;

/// What one hash costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cost {
    /// Memory, in KiB. Default 19,456 (19 MiB): what OWASP recommends at the least, beside `passes`.
    pub memory: u32,
    /// How often the memory is gone over. Default 2.
    pub passes: u32,
}

impl Cost {
    /// The most memory that a hash may ask for, in KiB: 1 GiB.
    pub const MAX_MEMORY: u32 = 1 << 20;
    /// The most passes.
    pub const MAX_PASSES: u32 = 64;

    fn params(self) -> Option<Params> {
        let within = self.memory <= Cost::MAX_MEMORY && self.passes <= Cost::MAX_PASSES;
        Params::new(self.memory, self.passes, 1, Some(OUTPUT)).ok().filter(|_| within)
    }
}

impl Default for Cost {
    fn default() -> Cost {
        Cost { memory: 19_456, passes: 2 }
    }
}

/// How many bytes a hash has, and a salt.
const OUTPUT: usize = 32;
const SALT: usize = 16;

/// The hash of a password, as a PHC string: `$argon2id$v=19$m=19456,t=2,p=1$SALT$HASH`.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash {
    text: String,
    hash: phc::PasswordHash,
    cost: Cost,
}

/// Why a text is no [`PasswordHash`]. It does not quote it: it may be a password in the wrong place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "this is no hash of a password: write it as $argon2id$v=19$m=19456,t=2,p=1$SALT$HASH, with at most 1 GiB of memory \
     (`port21 user passwd` makes one)"
)]
pub struct NoPasswordHash;

/// Why a password could not be hashed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot hash a password: {0}")]
pub struct HashError(String);

impl PasswordHash {
    /// Hashes a password with a salt of its own. It takes some 25 ms and the memory of `cost`.
    ///
    /// # Errors
    /// Where there is no randomness or no memory, or `cost` is beyond its bounds.
    pub fn new(password: &Secret, cost: Cost) -> Result<PasswordHash, HashError> {
        let failed = |error: &dyn fmt::Display| HashError(error.to_string());
        let mut salt = [0; SALT];
        getrandom::fill(&mut salt).map_err(|e| failed(&e))?;
        let params = cost.params().ok_or_else(|| failed(&"its cost is out of bounds"))?;
        let mut output = [0; OUTPUT];
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        argon2.hash_password_into(password.expose(), &salt, &mut output).map_err(|e| failed(&e))?;
        PasswordHash::put_together(cost, &salt, &output).ok_or_else(|| failed(&"it cannot be written down"))
    }

    /// A hash that no password has, and that costs as much to find that out.
    pub fn decoy(cost: Cost) -> PasswordHash {
        let cost = if cost.params().is_some() { cost } else { Cost::default() };
        let mut random = [0; SALT + OUTPUT];
        // Known bytes would serve as well: whatever was hashed, a login by it is refused.
        let _ = getrandom::fill(&mut random);
        let (salt, output) = random.split_at(SALT);
        PasswordHash::put_together(cost, salt, output).unwrap_or_else(|| unreachable!("the cost was checked"))
    }

    /// What it costs to check a password against it.
    pub fn cost(&self) -> Cost {
        self.cost
    }

    /// The PHC string. It is no password, but guesses can be checked against it: keep it from strangers.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn put_together(cost: Cost, salt: &[u8], output: &[u8]) -> Option<PasswordHash> {
        let params = phc::ParamsString::try_from(&cost.params()?).ok()?;
        let hash = phc::PasswordHash {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(Version::V0x13.into()),
            params,
            salt: Some(phc::Salt::new(salt).ok()?),
            hash: Some(phc::Output::new(output).ok()?),
        };
        Some(PasswordHash { text: hash.to_string(), hash, cost })
    }

    /// Whether the password is the one, computed in `memory`, which becomes as large as it has to be.
    fn matches(&self, password: &Secret, memory: &mut Vec<Block>) -> bool {
        self.compute(password, memory).is_some_and(|output| Some(output) == self.hash.hash)
    }

    /// What the password gives with the salt and at the cost of this hash. (Two such are compared in constant time.)
    fn compute(&self, password: &Secret, memory: &mut Vec<Block>) -> Option<phc::Output> {
        let params = Params::try_from(&self.hash).ok()?;
        let (salt, length) = (self.hash.salt?, self.hash.hash?.len());
        let blocks = params.block_count();
        if memory.len() < blocks {
            memory.try_reserve_exact(blocks - memory.len()).ok()?;
            memory.resize(blocks, Block::new());
        }
        let mut output = [0; phc::Output::MAX_LENGTH];
        let output = output.get_mut(..length)?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        argon2.hash_password_into_with_memory(password.expose(), &salt, output, memory).ok()?;
        phc::Output::new(output).ok()
    }
}

impl FromStr for PasswordHash {
    type Err = NoPasswordHash;

    fn from_str(text: &str) -> Result<PasswordHash, NoPasswordHash> {
        let hash = phc::PasswordHash::new(text).map_err(|_| NoPasswordHash)?;
        let params = Params::try_from(&hash).map_err(|_| NoPasswordHash)?;
        let cost = Cost { memory: params.m_cost(), passes: params.t_cost() };
        let is_argon2id = hash.algorithm == Algorithm::Argon2id.ident() && hash.version == Some(Version::V0x13.into());
        let is_bounded = cost.memory <= Cost::MAX_MEMORY && cost.passes <= Cost::MAX_PASSES && params.p_cost() <= 64;
        if is_argon2id && is_bounded && hash.salt.is_some() && hash.hash.is_some() {
            Ok(PasswordHash { text: text.to_owned(), hash, cost })
        } else {
            Err(NoPasswordHash)
        }
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PasswordHash({:?})", self.cost)
    }
}

/// Checks passwords, a few at a time.
#[derive(Debug)]
pub struct Passwords {
    running: Arc<Semaphore>,
    memories: Arc<Memories>,
    waiting: AtomicUsize,
    most_waiting: usize,
}

/// So many logins wait already that no more are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many logins at a time")]
pub struct TooBusy;

impl Passwords {
    /// At most `at_a_time` are checked at a time (each takes a core for some 25 ms and 19 MiB, at the default cost), and
    /// at most `waiting` wait for their turn.
    pub fn new(at_a_time: usize, waiting: usize) -> Passwords {
        let running = Arc::new(Semaphore::new(at_a_time.clamp(1, Semaphore::MAX_PERMITS)));
        Passwords { running, memories: Arc::default(), waiting: AtomicUsize::new(0), most_waiting: waiting }
    }

    /// Whether the password is that of `hash`. Once begun it is not stopped, and counts as running to its end.
    ///
    /// # Errors
    /// [`TooBusy`]. Nothing is known of the password then.
    pub async fn matches(&self, hash: &PasswordHash, password: &Secret) -> Result<bool, TooBusy> {
        let permit = {
            let _waits = Waiting::begin(self)?;
            // The semaphore is never closed.
            Arc::clone(&self.running).acquire_owned().await.map_err(|_| TooBusy)?
        };
        let (hash, password, memories) = (hash.clone(), password.clone(), self.memories.clone());
        let checked = tokio::task::spawn_blocking(move || {
            let mut memory = memories.take();
            let matches = hash.matches(&password, &mut memory);
            memories.put(memory);
            drop(permit);
            matches
        });
        // A panic is no match.
        Ok(checked.await.unwrap_or(false))
    }
}

impl Default for Passwords {
    /// Half of the cores, and 256 that wait: on two cores a login at the end of that queue waits for some six seconds.
    fn default() -> Passwords {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Passwords::new(cores.div_ceil(2), 256)
    }
}

/// Memory to compute hashes in, for one after the other: there is never more of it than hashes are computed at a time.
///
/// Made anew for each hash it would be kept by the system's allocator all the same, up to twice for each thread that ever
/// computed one: 400 MB after two minutes of guesses.
#[derive(Default)]
struct Memories(Mutex<Vec<Vec<Block>>>);

/// What is larger than this is given back: every allocator of note leaves that to the system.
const MAX_KEPT: usize = 32 << 20;

impl Memories {
    fn take(&self) -> Vec<Block> {
        self.lock().pop().unwrap_or_default()
    }

    fn put(&self, memory: Vec<Block>) {
        if memory.capacity() <= MAX_KEPT / Block::SIZE {
            self.lock().push(memory);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Vec<Block>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Memories {
    /// Without what is in it: that is as good as the hashes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Memories")
    }
}

/// A place among those that wait; given back when dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl Waiting<'_> {
    fn begin(passwords: &Passwords) -> Result<Waiting<'_>, TooBusy> {
        let place = Waiting(&passwords.waiting);
        if passwords.waiting.fetch_add(1, Ordering::Relaxed) > passwords.most_waiting {
            Err(TooBusy)
        } else {
            Ok(place)
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHEAP: Cost = Cost { memory: 64, passes: 1 };

    #[tokio::test]
    async fn a_hash_knows_its_password() {
        let passwords = Passwords::default();
        let hash = PasswordHash::new(&Secret::new("opensesame"), CHEAP).unwrap();
        let read: PasswordHash = hash.as_str().parse().unwrap();
        assert_eq!((&read, read.cost()), (&hash, CHEAP));
        assert_eq!(passwords.matches(&read, &Secret::new("opensesame")).await, Ok(true));
        assert_eq!(passwords.matches(&read, &Secret::new("opensesamE")).await, Ok(false));
        assert_eq!(passwords.matches(&PasswordHash::decoy(CHEAP), &Secret::new("")).await, Ok(false));
        assert_ne!(PasswordHash::new(&Secret::new("opensesame"), CHEAP).unwrap(), hash);
        assert!(!format!("{hash:?}").contains('$'));
    }

    #[tokio::test]
    async fn hashes_that_others_made() {
        // By the reference implementation: echo -n password | argon2 somesalt1 -id -t 2 -m 16 -p 1 -e
        let hash = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
        let hash: PasswordHash = hash.parse().unwrap();
        assert_eq!(Passwords::default().matches(&hash, &Secret::new("password")).await, Ok(true));
    }

    #[tokio::test]
    async fn memory_is_used_again_unless_it_is_much() {
        let passwords = Passwords::new(1, 1);
        let (right, wrong) = (Secret::new("right"), Secret::new("wrong"));
        // Each finds what the one before has left, which is of another size.
        for memory in [64, 8, 256, 64] {
            let hash = PasswordHash::new(&right, Cost { memory, passes: 2 }).unwrap();
            assert_eq!(passwords.matches(&hash, &wrong).await, Ok(false));
            assert_eq!(passwords.matches(&hash, &right).await, Ok(true));
        }
        let kept = |passwords: &Passwords| passwords.memories.lock().iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(kept(&passwords), [256]);
        let large = PasswordHash::new(&right, Cost { memory: 40 << 10, passes: 1 }).unwrap();
        assert_eq!(passwords.matches(&large, &right).await, Ok(true));
        assert_eq!(kept(&passwords), [0; 0]);
    }

    #[test]
    fn what_is_no_hash_or_costs_too_much() {
        let good = PasswordHash::new(&Secret::new("x"), CHEAP).unwrap().as_str().to_owned();
        for bad in [
            "",
            "hunter2",
            "$2b$12$abcdefghijklmnopqrstuv",
            &good.replace("argon2id", "argon2i"),
            &good.replace("v=19", "v=16"),
            &good.replace("m=64", "m=2000000"),
            &good.replace("t=1", "t=1000"),
            good.rsplit_once('$').unwrap().0,
        ] {
            let error = bad.parse::<PasswordHash>().unwrap_err();
            assert!(!error.to_string().contains("hunter2"), "{bad}");
        }
        assert!(PasswordHash::new(&Secret::new("x"), Cost { memory: 1, passes: 1 }).is_err());
        assert_eq!(PasswordHash::decoy(Cost { memory: u32::MAX, passes: 1 }).cost(), Cost::default());
    }

    #[tokio::test]
    async fn only_so_many_wait() {
        let passwords = Passwords::new(1, 1);
        let held = passwords.running.clone().acquire_owned().await.unwrap();
        let hash = PasswordHash::decoy(CHEAP);
        let password = Secret::new("x");
        let (first, second) = (passwords.matches(&hash, &password), passwords.matches(&hash, &password));
        tokio::pin!(first, second);
        let once = |cx: &mut std::task::Context<'_>| {
            assert!(first.as_mut().poll(cx).is_pending() && second.as_mut().poll(cx).is_pending());
            std::task::Poll::Ready(())
        };
        std::future::poll_fn(once).await;
        assert_eq!(passwords.matches(&hash, &password).await, Err(TooBusy));
        drop(held);
        assert_eq!((first.await, second.await), (Ok(false), Ok(false)));
        assert_eq!(passwords.matches(&hash, &password).await, Ok(false));
    }
}
