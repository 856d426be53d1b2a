//! Calls that are given up, at any moment: the next one finds the session in order.

use std::collections::VecDeque;
use std::time::Duration;

use port21_client::{Client, Error, Representation, Upload};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::{sleep, timeout};

use crate::memory::{Net, Peer};

const FILE: usize = 40_000;

/// How long the server takes for everything.
const PACE: Duration = Duration::from_millis(10);

/// A server that takes its time, and is right in all it does. It has the directories `/` and `/a`, and in them `f`.
struct Server {
    peer: Peer,
    cwd: String,
    data: Option<DuplexStream>,
    waiting: VecDeque<String>,
}

impl Server {
    /// Serves one session after the other, for ever.
    async fn run(mut net: Net) {
        loop {
            let peer = net.accept().await;
            tokio::spawn(async move {
                let mut server = Server { peer, cwd: "/".to_owned(), data: None, waiting: VecDeque::new() };
                server.serve().await
            });
        }
    }

    async fn serve(&mut self) -> Option<()> {
        sleep(PACE).await;
        self.say("220 hi").await?;
        loop {
            let line = match self.waiting.pop_front() {
                Some(line) => line,
                None => self.peer.maybe_line().await?,
            };
            sleep(PACE).await;
            let (verb, argument) = line.split_once(' ').unwrap_or((&line, ""));
            match (verb, argument) {
                ("USER", _) => self.say("331 password").await?,
                ("PASS", _) => self.say("230 in").await?,
                ("PWD", _) => self.say(&format!("257 \"{}\" it is", self.cwd)).await?,
                ("CWD", "a" | "/a") => self.go("/a").await?,
                ("CWD" | "CDUP", "/" | "") => self.go("/").await?,
                ("CWD", _) => self.say("550 none").await?,
                ("EPSV", _) => {
                    let mut port = self.peer.port();
                    self.say(&format!("229 ok (|||{}|)", port.number)).await?;
                    self.data = timeout(Duration::from_secs(5), port.accept()).await.ok();
                }
                ("SIZE", _) => self.say(&format!("213 {FILE}")).await?,
                ("RNFR", _) => self.say("350 go on").await?,
                ("MKD", _) => self.say("550 exists").await?,
                ("FEAT", _) => self.say("211-x\r\n UTF8\r\n EPSV\r\n211 End").await?,
                ("RETR" | "STOR" | "NLST", _) => {
                    let done = self.transfer(verb).await?;
                    self.data = None;
                    self.say(if done { "226 done" } else { "426 stopped" }).await?;
                }
                ("ABOR", _) => self.say("225 nothing to stop").await?,
                _ => self.say("200 ok").await?,
            }
        }
    }

    async fn say(&mut self, line: &str) -> Option<()> {
        self.peer.try_raw(format!("{line}\r\n").as_bytes()).await.ok()
    }

    async fn go(&mut self, to: &str) -> Option<()> {
        to.clone_into(&mut self.cwd);
        self.say("250 ok").await
    }

    /// Whether it has come to its end.
    async fn transfer(&mut self, verb: &str) -> Option<bool> {
        let Some(mut data) = self.data.take() else { return Some(false) };
        self.say("150 go").await?;
        let moving = async {
            match verb {
                "STOR" => while data.read(&mut [0; 4000]).await.unwrap() > 0 {},
                "NLST" => {
                    data.write_all(b"f\r\n").await.ok()?;
                    sleep(PACE).await;
                }
                _ => {
                    for _ in 0..10 {
                        data.write_all(&[b'x'; FILE / 10]).await.ok()?;
                        sleep(PACE).await;
                    }
                }
            }
            data.shutdown().await.ok()?;
            while data.read(&mut [0; 9]).await.is_ok_and(|read| read > 0) {}
            Some(())
        };
        let mut moving = std::pin::pin!(moving);
        loop {
            tokio::select! {
                biased;
                done = &mut moving => return Some(done.is_some()),
                line = self.peer.maybe_line() => {
                    let line = line?;
                    let stop = line == "ABOR";
                    self.waiting.push_back(line);
                    if stop {
                        return Some(false);
                    }
                }
            }
        }
    }
}

async fn download(client: &mut Client) -> Result<(), Error> {
    let mut stream = client.download("f", 0).await?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.map_err(|error| error.downcast::<Error>().unwrap())?;
    stream.finish().await?;
    assert_eq!(bytes.len(), FILE);
    Ok(())
}

async fn upload(client: &mut Client) -> Result<(), Error> {
    let mut stream = client.upload("f", Upload::Whole).await?;
    for _ in 0..10 {
        stream.write_all(&[b'x'; FILE / 10]).await.map_err(|error| error.downcast::<Error>().unwrap())?;
        sleep(PACE).await;
    }
    stream.finish().await.map(drop)
}

async fn list(client: &mut Client) -> Result<(), Error> {
    let mut lines = client.nlst("").await?;
    assert_eq!(lines.next().await.unwrap()?, b"f");
    assert!(lines.next().await.is_none());
    Ok(())
}

/// How many calls there are.
const CALLS: usize = 15;

/// Each call by a number.
async fn call(number: usize, client: &mut Client) -> Result<(), Error> {
    match number {
        0 => client.noop().await.map(drop),
        1 => client.cwd("a").await.map(drop),
        2 => client.size("f").await.map(drop),
        3 => client.rename("f", "g").await.map(drop),
        4 => client.set_representation(Representation::Ascii).await.map(drop),
        5 => download(client).await,
        6 => upload(client).await,
        7 => list(client).await,
        8 => client.features().await.map(drop),
        9 => client.make_directories("/a").await.map(drop),
        10 => client.quote("CWD a").await.map(drop),
        11 => client.reconnect().await,
        12 => client.download("f", 100).await.map(drop),
        13 => match client.download("f", 0).await {
            Ok(stream) => stream.abort().await,
            Err(error) => Err(error),
        },
        14 => client.mkdir("größe").await.map(drop).or_else(|error| match error {
            Error::Refused { .. } => Ok(()),
            error => Err(error),
        }),
        _ => unreachable!(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_is_dropped_at_any_moment() {
    let net = Net::new();
    let builder = net.client().probe(true);
    let serving = tokio::spawn(Server::run(net));
    let mut number = 0;
    let mut cuts = 0;
    while number < CALLS {
        // Once, and once more in the midst of the repair.
        for (again, step) in [(None, 3), (Some(3), 17), (Some(14), 17), (Some(1020), 41)] {
            let mut after = 0;
            loop {
                let mut client = builder.open().await.unwrap();
                client.cwd("/").await.unwrap();
                let whole = timeout(Duration::from_millis(after), call(number, &mut client)).await;
                if let Some(again) = again {
                    let _ = timeout(Duration::from_millis(again), client.pwd()).await;
                }
                let told = |error: Error| format!("call {number} dropped after {after} ms, {again:?}: {error}");
                let here = client.pwd().await.map_err(told).unwrap();
                let moved = matches!(number, 1 | 10) && here == b"/a";
                assert!(moved || here == b"/", "{number} {after}: {here:?}");
                client.set_representation(Representation::Image).await.map_err(told).unwrap();
                download(&mut client).await.map_err(told).unwrap();
                upload(&mut client).await.map_err(told).unwrap();
                list(&mut client).await.map_err(told).unwrap();
                // Whoever begins the session anew is where they were.
                client.reconnect().await.map_err(told).unwrap();
                assert_eq!(client.pwd().await.unwrap(), here, "{number} {after}");
                client.quit().await.map_err(told).unwrap();
                if let Ok(done) = whole {
                    done.unwrap();
                    break;
                }
                cuts += 1;
                after += step;
            }
        }
        number += 1;
    }
    assert!(cuts > 250, "{cuts}");
    serving.abort();
}
