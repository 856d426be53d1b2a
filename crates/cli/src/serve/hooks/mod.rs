//! Hooks: programs and URLs that are told when somebody logs in or a file was moved or removed.
//!
//! A session puts a message into a bounded queue and goes on. Behind each queue stands a task that delivers, one message
//! after the other or some at a time, with a time limit for each try and a pause that doubles before the next.
//!
//! | module | what it is |
//! |---|---|
//! | [`message`] | what is told, as JSON |
//! | [`program`] | how a program is run, by the helper or here |
//! | [`post`], [`tls`] | an HTTP POST, over TLS too |

mod message;
mod post;
mod program;
mod tls;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use port21_server::Activity;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use self::message::Message;
use self::program::Runner;
use crate::config::Hook;
use crate::config::hooks::Occasion;
use crate::helper::Helper;

/// The first pause before a further try, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// The hooks of a server, through all of its configurations.
pub(super) struct Hooks {
    helper: Helper,
    runner: Arc<dyn Runner>,
    pauses: (Duration, Duration),
    /// Of the configuration that is in force.
    queues: RwLock<Vec<Queue>>,
    /// What delivers for configurations that are not in force any more, to the end of what they have taken.
    leaving: Mutex<Vec<JoinHandle<()>>>,
    counts: Arc<HookCounts>,
}

/// What became of messages.
#[derive(Debug, Default)]
pub(super) struct HookCounts {
    pub(super) delivered: AtomicU64,
    /// Tries that failed, whatever came of the next.
    pub(super) failed_tries: AtomicU64,
    /// Messages that were never delivered: their last try failed, or there was no room for them.
    pub(super) dropped: AtomicU64,
}

struct Queue {
    on: Vec<Occasion>,
    name: String,
    sender: mpsc::Sender<Arc<Message>>,
    worker: JoinHandle<()>,
}

impl Hooks {
    /// Starts their tasks; call it within a tokio runtime.
    pub(super) fn start(hooks: &[Hook], helper: &Helper) -> Hooks {
        Hooks::with(hooks, helper, Arc::new(helper.clone()), PAUSES)
    }

    fn with(hooks: &[Hook], helper: &Helper, runner: Arc<dyn Runner>, pauses: (Duration, Duration)) -> Hooks {
        let (queues, leaving, counts) = (RwLock::default(), Mutex::default(), Arc::default());
        let started = Hooks { helper: helper.clone(), runner, pauses, queues, leaving, counts };
        started.replace(hooks);
        started
    }

    /// Reads what hooks of this configuration need that is out of reach behind the sandbox.
    pub(super) fn prepare(hooks: &[Hook]) {
        if hooks.iter().any(|hook| hook.speaks_tls() && hook.ca.is_none()) {
            // Where that fails it is told when one is to be told something.
            let _ = tls::system();
        }
    }

    /// From now on it is these that are told. Those of before deliver what they have taken.
    pub(super) fn replace(&self, hooks: &[Hook]) {
        let new = hooks.iter().map(|hook| self.queue(hook)).collect();
        let old = std::mem::replace(&mut *self.queues.write().unwrap_or_else(PoisonError::into_inner), new);
        self.leave(old);
    }

    fn queue(&self, hook: &Hook) -> Queue {
        let (sender, messages) = mpsc::channel(hook.queue);
        let deliverer = Arc::new(Deliverer {
            hook: hook.clone(),
            name: name(hook),
            helper: self.helper.clone(),
            runner: self.runner.clone(),
            counts: self.counts.clone(),
            pauses: self.pauses,
        });
        let worker = tokio::spawn(work(messages, deliverer));
        Queue { on: hook.on.clone(), name: name(hook), sender, worker }
    }

    /// They take no more.
    fn leave(&self, queues: Vec<Queue>) {
        let mut leaving = lock(&self.leaving);
        leaving.retain(|worker| !worker.is_finished());
        leaving.extend(queues.into_iter().map(|queue| queue.worker));
    }

    /// Tells an activity to those hooks that want to know. It never waits.
    pub(super) fn note(&self, activity: &Activity) {
        let Some(occasion) = message::occasion(activity) else { return };
        let mut message = None;
        let queues = self.queues.read().unwrap_or_else(PoisonError::into_inner);
        for queue in queues.iter().filter(|queue| queue.on.contains(&occasion)) {
            let message = message.get_or_insert_with(|| Arc::new(Message::new(activity, occasion)));
            if queue.sender.try_send(message.clone()).is_err() {
                self.counts.drop_one(&queue.name, "there is no room for more");
            }
        }
    }

    /// Of all configurations together.
    pub(super) fn counts(&self) -> &HookCounts {
        &self.counts
    }

    /// Takes no more, and waits for what is under way: so long at most.
    pub(super) async fn finish(&self, patience: Duration) {
        self.replace(&[]);
        let workers = std::mem::take(&mut *lock(&self.leaving));
        let all = async {
            for worker in workers {
                // Where it has panicked, that was told.
                let _ = worker.await;
            }
        };
        if timeout(patience, all).await.is_err() {
            warn!("hooks were still under way when the server ended");
        }
    }
}

impl HookCounts {
    fn drop_one(&self, hook: &str, why: &str) {
        let dropped = self.dropped.fetch_add(1, Ordering::Relaxed) + 1;
        // A flood must not flood the log as well.
        if dropped.is_power_of_two() || dropped.is_multiple_of(1000) {
            warn!(hook, why, dropped, "a hook's message was dropped");
        }
    }
}

/// Delivers what comes out of a queue.
struct Deliverer {
    hook: Hook,
    name: String,
    helper: Helper,
    runner: Arc<dyn Runner>,
    counts: Arc<HookCounts>,
    pauses: (Duration, Duration),
}

async fn work(mut messages: mpsc::Receiver<Arc<Message>>, deliverer: Arc<Deliverer>) {
    let room = Arc::new(Semaphore::new(deliverer.hook.parallel));
    while let Some(message) = messages.recv().await {
        // The semaphore is never closed.
        let Ok(permit) = room.clone().acquire_owned().await else { return };
        let deliverer = deliverer.clone();
        tokio::spawn(async move {
            deliverer.deliver(&message).await;
            drop(permit);
        });
    }
    // Those that are under way.
    let _ = room.acquire_many(u32::try_from(deliverer.hook.parallel).unwrap_or(u32::MAX)).await;
}

impl Deliverer {
    async fn deliver(&self, message: &Message) {
        let (mut pause, longest) = self.pauses;
        let mut last = String::new();
        for attempt in 1..=self.hook.tries {
            match timeout(self.hook.timeout, self.try_once(message)).await {
                Ok(Ok(())) => {
                    self.counts.delivered.fetch_add(1, Ordering::Relaxed);
                    return;
                }
                Ok(Err(error)) => last = error,
                Err(_) => last = format!("not done within {} s", self.hook.timeout.as_secs_f64()),
            }
            self.counts.failed_tries.fetch_add(1, Ordering::Relaxed);
            debug!(hook = self.name, attempt, error = last, "a hook failed");
            if attempt < self.hook.tries {
                sleep(pause).await;
                pause = (pause * 2).min(longest);
            }
        }
        self.counts.drop_one(&self.name, &last);
    }

    async fn try_once(&self, message: &Message) -> Result<(), String> {
        if let Some(url) = &self.hook.url {
            return post::post(url, self.hook.ca.as_deref(), message.json(), &self.helper).await;
        }
        match self.runner.run(&self.hook.program, message.json()).await {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(status.to_string()),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// What the log calls it: arguments and queries may hold secrets.
fn name(hook: &Hook) -> String {
    match &hook.url {
        Some(url) => format!("{}://{}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path()),
        None => hook.program.first().cloned().unwrap_or_default(),
    }
}

fn lock<T>(of: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
