//! Happy Eyeballs (RFC 8305) on a virtual clock: names and addresses that answer when a test says so.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use port21_client::{
    Blame, BoxFuture, Client, Connector, Destination, Dial, Error, Family, Phase, Resolve, Stream, Timeouts,
};
use tokio::io::{AsyncWriteExt, DuplexStream};
use tokio::time::{Instant, sleep};

use crate::common::Log;
use crate::memory::Pipe;

const V4: [&str; 2] = ["192.0.2.1", "192.0.2.2"];
const V6: [&str; 2] = ["2001:db8::1", "2001:db8::2"];

/// What became of it, and after how many milliseconds.
type Answer<T> = (u64, Result<T, &'static str>);

/// A network that does what is written down, and writes down what it was asked.
struct Net {
    names: [Answer<&'static [&'static str]>; 2],
    /// Addresses that are not named here never answer.
    hosts: HashMap<IpAddr, Answer<()>>,
    began: Instant,
    asked: Mutex<Vec<String>>,
    /// The far ends of the connections.
    servers: Mutex<Vec<DuplexStream>>,
}

impl Net {
    fn new(v4: Answer<&'static [&'static str]>, v6: Answer<&'static [&'static str]>) -> Net {
        Net {
            names: [v4, v6],
            hosts: HashMap::new(),
            began: Instant::now(),
            asked: Mutex::default(),
            servers: Mutex::default(),
        }
    }

    fn host(mut self, ip: &str, answer: Answer<()>) -> Net {
        self.hosts.insert(ip.parse().unwrap(), answer);
        self
    }

    fn note(&self, what: &str) {
        self.asked.lock().unwrap().push(format!("{} {what}", self.began.elapsed().as_millis()));
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

struct Shared(Arc<Net>);

impl Resolve for Shared {
    fn resolve<'a>(&'a self, name: &'a str, family: Family) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        assert_eq!(name, "ftp.example");
        Box::pin(async move {
            self.0.note(&format!("{family}?"));
            let (after, answer) = &self.0.names[usize::from(family == Family::V6)];
            sleep(Duration::from_millis(*after)).await;
            let addresses = answer.map_err(io::Error::other)?;
            Ok(addresses.iter().map(|ip| ip.parse().unwrap()).collect())
        })
    }
}

impl Connector for Shared {
    fn connect(&self, dial: Dial) -> BoxFuture<'_, io::Result<Stream>> {
        Box::pin(async move {
            let Destination::Address(to) = dial.to else { panic!("{}", dial.to) };
            assert_eq!(to.port(), 2121);
            self.0.note(&to.ip().to_string());
            let dropped = Dropped(&self.0, to.ip());
            let Some((after, answer)) = self.0.hosts.get(&to.ip()) else { std::future::pending().await };
            sleep(Duration::from_millis(*after)).await;
            std::mem::forget(dropped);
            answer.map_err(io::Error::other)?;
            let (ours, mut theirs) = tokio::io::duplex(1000);
            theirs.write_all(b"220 hi\r\n").await.unwrap();
            self.0.servers.lock().unwrap().push(theirs);
            Ok(Stream::Other(Box::new(Pipe { ours, to })))
        })
    }
}

/// An attempt that is given up.
struct Dropped<'a>(&'a Net, IpAddr);

impl Drop for Dropped<'_> {
    fn drop(&mut self) {
        self.0.note(&format!("{} given up", self.1));
    }
}

/// Connects; what was asked of the network meanwhile, and where that has led.
async fn race(net: Net, log: &Log) -> (Vec<String>, Result<IpAddr, Error>) {
    let net = Arc::new(net);
    let shared = || Arc::new(Shared(net.clone()));
    let builder = Client::builder().host("ftp.example").port(2121).resolver(shared()).connector(shared());
    let timeouts = Timeouts { connect: Duration::from_secs(3), resolve: Duration::from_secs(5), ..Timeouts::default() };
    let client = log.attach(builder).timeouts(timeouts).connect().await;
    (net.asked(), client.map(|client| client.peer_addr().ip()))
}

#[tokio::test(start_paused = true)]
async fn ipv6_comes_first() {
    let net = Net::new((0, Ok(&V4)), (0, Ok(&V6))).host(V6[0], (20, Ok(()))).host(V4[0], (1, Ok(())));
    let (asked, won) = race(net, &Log::default()).await;
    assert_eq!(asked, ["0 IPv6?", "0 IPv4?", "0 2001:db8::1"]);
    assert_eq!(won.unwrap().to_string(), V6[0]);
}

#[tokio::test(start_paused = true)]
async fn ipv4_waits_a_moment_for_ipv6() {
    // RFC 8305 section 3: 50 ms, and no longer.
    for (after, first) in [(30, "30 2001:db8::1"), (500, "50 192.0.2.1")] {
        let net = Net::new((0, Ok(&V4[..1])), (after, Ok(&V6[..1]))).host(V6[0], (5, Ok(()))).host(V4[0], (5, Ok(())));
        let (asked, won) = race(net, &Log::default()).await;
        assert_eq!(asked[2..], [first]);
        won.unwrap();
    }
    // Where there is none it goes at once.
    let net = Net::new((0, Ok(&V4[..1])), (10, Err("no such record"))).host(V4[0], (5, Ok(())));
    assert_eq!(race(net, &Log::default()).await.0[2..], ["10 192.0.2.1"]);
}

#[tokio::test(start_paused = true)]
async fn attempts_begin_a_quarter_of_a_second_apart_and_the_families_take_turns() {
    let net = Net::new((0, Ok(&V4)), (0, Ok(&V6))).host(V4[1], (10, Ok(())));
    let log = Log::default();
    let (asked, won) = race(net, &log).await;
    let given_up = |ip: &str| format!("760 {ip} given up");
    assert_eq!(asked[2..6], ["0 2001:db8::1", "250 192.0.2.1", "500 2001:db8::2", "750 192.0.2.2"]);
    let mut rest = asked[6..].to_vec();
    rest.sort();
    assert_eq!(rest, [given_up(V4[0]), given_up(V6[0]), given_up(V6[1])]);
    assert_eq!(won.unwrap().to_string(), V4[1]);
    // Each has a name of its own, and an end.
    let story = log.story();
    let of = |what: &str| story.iter().filter(|line| line.starts_with(what)).count();
    assert_eq!((of("opening"), of("opened"), of("open failed")), (4, 1, 3), "{story:?}");
    assert!(log.has("open failed 0: another address was quicker") && log.has("opened 3 Control"));
}

#[tokio::test(start_paused = true)]
async fn who_fails_makes_room_at_once() {
    let net = Net::new((0, Ok(&V4)), (0, Ok(&V6[..1]))).host(V6[0], (5, Err("no"))).host(V4[0], (100, Ok(())));
    let (asked, won) = race(net, &Log::default()).await;
    assert_eq!(asked[2..], ["0 2001:db8::1", "5 192.0.2.1"]);
    assert_eq!(won.unwrap().to_string(), V4[0]);
}

#[tokio::test(start_paused = true)]
async fn addresses_that_come_late_are_tried_as_well() {
    let net = Net::new((400, Ok(&V4[..1])), (0, Ok(&V6[..1]))).host(V4[0], (1, Ok(())));
    let (asked, won) = race(net, &Log::default()).await;
    assert_eq!(asked[2..], ["0 2001:db8::1", "400 192.0.2.1", "401 2001:db8::1 given up"]);
    assert_eq!(won.unwrap().to_string(), V4[0]);
}

#[tokio::test(start_paused = true)]
async fn all_that_was_tried_is_told() {
    let net = Net::new((0, Ok(&V4[..1])), (0, Ok(&V6[..1]))).host(V6[0], (5, Err("the cable is out")));
    let log = Log::default();
    let error = race(net, &log).await.1.unwrap_err();
    assert_eq!((error.phase(), error.blame()), (Some(Phase::Connect), Blame::Transport));
    assert_eq!(
        error.to_string(),
        "cannot connect to ftp.example: [2001:db8::1]:2121: the cable is out; 192.0.2.1:2121: no answer within 3s"
    );
    assert!(log.has("open failed 0: the cable is out") && log.has("open failed 1: no answer within 3s"));
    let net = Net::new((0, Ok(&V4)), (0, Err("none")));
    assert_eq!(race(net, &log).await.1.unwrap_err().blame(), Blame::Timeout);
}

#[tokio::test(start_paused = true)]
async fn names_that_nobody_knows() {
    let unknown = |v4, v6| async move {
        let error = race(Net::new(v4, v6), &Log::default()).await.1.unwrap_err();
        assert_eq!(error.phase(), Some(Phase::Resolve));
        error.to_string()
    };
    let nobody = "cannot resolve ftp.example: nobody knows";
    assert_eq!(unknown((0, Err("nobody knows")), (9, Err("nobody knows"))).await, nobody);
    let both = "cannot resolve ftp.example: IPv4: nobody knows; IPv6: no answer within 5s";
    assert_eq!(unknown((0, Err("nobody knows")), (9000, Ok(&V6))).await, both);
    let none = "cannot resolve ftp.example: it has no address that can be used here";
    // A resolver that gives addresses of the other family gives none.
    assert_eq!(unknown((0, Ok(&V6)), (0, Ok(&[]))).await, none);
}
