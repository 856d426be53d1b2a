//! `rate`: how fast transfers may be, changed on the way by SIGUSR1 and SIGUSR2.

use std::convert::Infallible;

use anyhow::bail;
use port21_client::Rate;
use tokio::signal::unix::{SignalKind, signal};

use super::settings::{bytes, on_off};
use super::words::Words;
use super::{Console, Flow};
use crate::exit::Fault;

/// The limits of both directions.
#[derive(Clone, Default)]
pub(super) struct Rates {
    /// That of what comes.
    pub(super) get: Throttle,
    /// That of what goes.
    pub(super) put: Throttle,
}

/// The limit of one direction.
#[derive(Clone)]
pub(super) struct Throttle {
    /// Shared by all transfers; nothing where there is no limit.
    pub(super) rate: Option<Rate>,
    /// By how much a signal changes it.
    increment: u64,
}

impl Default for Throttle {
    fn default() -> Throttle {
        Throttle { rate: None, increment: 1024 }
    }
}

impl Throttle {
    /// The line that tells of it.
    pub(super) fn line(&self, direction: &str) -> String {
        let maximum = self.rate.as_ref().map_or(0, Rate::bytes_per_second);
        let on = on_off(self.rate.is_some());
        format!("{direction} transfer rate throttle: {on}; maximum: {maximum}; increment {}.", self.increment)
    }

    fn faster(&self) {
        if let Some(rate) = &self.rate {
            rate.set(rate.bytes_per_second().saturating_add(self.increment));
        }
    }

    fn slower(&self) {
        // As ftp has it: a limit never becomes none.
        if let Some(rate) = &self.rate
            && let Some(less) = rate.bytes_per_second().checked_sub(self.increment).filter(|less| *less > 0)
        {
            rate.set(less);
        }
    }
}

impl Rates {
    /// Obeys SIGUSR1 and SIGUSR2 for as long as it is polled, where there is a limit.
    pub(super) async fn obey_signals(self) -> Infallible {
        if !self.any() {
            return std::future::pending().await;
        }
        let signals = (signal(SignalKind::user_defined1()), signal(SignalKind::user_defined2()));
        let (Ok(mut faster), Ok(mut slower)) = signals else { return std::future::pending().await };
        loop {
            tokio::select! {
                _ = faster.recv() => [&self.get, &self.put].iter().for_each(|throttle| throttle.faster()),
                _ = slower.recv() => [&self.get, &self.put].iter().for_each(|throttle| throttle.slower()),
            }
        }
    }

    /// Whether there is any limit.
    fn any(&self) -> bool {
        self.get.rate.is_some() || self.put.rate.is_some()
    }
}

/// `rate DIRECTION [MAXIMUM [INCREMENT]]`.
pub(super) async fn rate(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    let (get, put) = match words.first() {
        "all" => (true, true),
        "get" => (true, false),
        "put" => (false, true),
        other => bail!(Fault::usage(format!("{other} is no direction: all, get or put"))),
    };
    let maximum = words.list.get(1).map(|word| bytes(word)).transpose()?;
    let increment = words.list.get(2).map(|word| bytes(word)).transpose()?;
    let rates = &mut console.settings.rates;
    for (is_meant, name, throttle) in [(get, "Get", &mut rates.get), (put, "Put", &mut rates.put)] {
        if !is_meant {
            continue;
        }
        if let Some(maximum) = maximum {
            *throttle = Throttle {
                rate: (maximum > 0).then(|| Rate::new(maximum)),
                increment: increment.unwrap_or(Throttle::default().increment),
            };
        }
        console.out.line(throttle.line(name));
    }
    Ok(Flow::Continue)
}

#[cfg(test)]
mod tests {
    use super::super::tests::console;

    #[tokio::test]
    async fn rates_are_set_and_told() {
        let (mut console, memory) = console();
        for line in ["rate all", "rate get 1000 10", "throttle put 2k", "rate all 0"] {
            console.run_line(line).await.unwrap();
        }
        let none = |way| format!("{way} transfer rate throttle: off; maximum: 0; increment 1024.\n");
        let want = format!(
            "{}{}Get transfer rate throttle: on; maximum: 1000; increment 10.\n\
             Put transfer rate throttle: on; maximum: 2048; increment 1024.\n{}{}",
            none("Get"),
            none("Put"),
            none("Get"),
            none("Put")
        );
        assert_eq!(memory.text(), want);
        assert!(console.run_line("rate up 5").await.is_err());
    }

    #[tokio::test]
    async fn signals_change_a_limit_but_never_lift_it() {
        let (mut console, _) = console();
        console.run_line("rate get 1000 600").await.unwrap();
        let get = &console.settings.rates.get;
        let now = || get.rate.as_ref().unwrap().bytes_per_second();
        get.faster();
        assert_eq!(now(), 1600);
        get.slower();
        get.slower();
        get.slower();
        assert_eq!(now(), 400);
    }
}
