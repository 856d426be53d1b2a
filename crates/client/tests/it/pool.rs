//! Several sessions with one server: used again, never mixed, and no more than it admits.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use port21_client::{
    BoxFuture, Builder, Client, Connector, DataMode, Dial, Error, IpFamily, Phase, Pool, Representation, Stream,
};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream};
use tokio::time::Instant;

use crate::common::{Log, Peer, Server, close};
use crate::memory::Pipe;

#[tokio::test]
async fn a_session_is_used_again() {
    let server = Server::start().await;
    let log = Log::default();
    let serve = async {
        let mut peer = server.login().await;
        for _ in 0..3 {
            peer.answer("NOOP", "200 ok").await;
        }
        peer.quit().await;
    };
    let play = async {
        let pool = Pool::new(log.attach(server.client()), 4);
        for _ in 0..3 {
            pool.get().await.unwrap().noop().await.unwrap();
        }
        pool.close().await;
        assert_eq!(pool.limit(), 4);
    };
    tokio::join!(serve, play);
}

#[tokio::test]
async fn what_was_changed_is_set_back() {
    let server = Server::start().await;
    let serve = async {
        let _peer = server.login().await;
        std::future::pending::<()>().await;
    };
    let play = async {
        let pool = Pool::new(server.client(), 1);
        let mut session = pool.get().await.unwrap();
        session.set_mode(DataMode::Active);
        session.set_representation(Representation::Ascii).await.unwrap();
        drop(session);
        let session = pool.get().await.unwrap();
        assert_eq!((session.mode(), session.representation()), (DataMode::Passive, Representation::Image));
    };
    tokio::select! { () = serve => {}, () = play => {} }
}

/// Does something to a session of a pool, and gives it back; whether another one is opened for the next user.
async fn is_replaced<F>(serve: impl AsyncFnOnce(&mut Peer), change: F) -> bool
where
    F: AsyncFnOnce(&mut Client),
{
    let server = Server::start().await;
    let logins = AtomicUsize::new(0);
    let serve = async {
        let mut peer = server.login().await;
        logins.fetch_add(1, Ordering::Relaxed);
        serve(&mut peer).await;
        let _second = server.login().await;
        logins.fetch_add(1, Ordering::Relaxed);
        std::future::pending::<()>().await;
    };
    let play = async {
        let pool = Pool::new(server.client(), 1);
        change(&mut *pool.get().await.unwrap()).await;
        drop(pool.get().await.unwrap());
    };
    tokio::select! { () = serve => {}, () = play => {} }
    logins.into_inner() == 2
}

#[tokio::test]
async fn nobody_gets_a_session_that_is_anothers() {
    assert!(
        is_replaced(
            async |peer| peer.answer("CWD pub", "250 ok").await,
            async |client| {
                client.cwd("pub").await.unwrap();
            }
        )
        .await
    );
    assert!(
        is_replaced(
            async |peer| peer.answer("USER root", "230 you are").await,
            async |client| {
                client.user("root").await.unwrap();
            }
        )
        .await
    );
    assert!(
        is_replaced(
            async |peer| peer.answer("SITE SU root", "200 you are").await,
            async |client| {
                client.quote("SITE SU root").await.unwrap();
            }
        )
        .await
    );
    // A login that failed leaves nobody logged in.
    assert!(
        is_replaced(
            async |peer| peer.answer("USER root", "530 no").await,
            async |client| {
                client.user("root").await.unwrap_err();
            }
        )
        .await
    );
    assert!(
        !is_replaced(
            async |peer| peer.answer("MKD pub", "257 \"/pub\" made").await,
            async |client| {
                client.mkdir("pub").await.unwrap();
            }
        )
        .await
    );
}

#[tokio::test]
async fn a_session_that_was_left_in_the_midst_is_brought_in_order() {
    let server = Server::start().await;
    let serve = async {
        let mut peer = server.login().await;
        let mut data = peer.passive().await;
        peer.answer("LIST", "150 go").await;
        data.write_all(b"one\r\ntwo").await.unwrap();
        assert_eq!(peer.line().await, b"\xff\xf4\xff\xf2ABOR");
        drop(data);
        peer.say("426 stopped\r\n226 ABOR done").await;
        peer.answer("NOOP", "200 ok").await;
        peer.quit().await;
    };
    let play = async {
        let pool = Pool::new(server.client(), 1);
        let mut session = pool.get().await.unwrap();
        let mut lines = session.list_lines("", Default::default()).await.unwrap();
        assert_eq!(lines.next().await.unwrap().unwrap(), b"one");
        drop(lines);
        drop(session);
        pool.get().await.unwrap().noop().await.unwrap();
        pool.close().await;
    };
    tokio::join!(serve, play);
}

#[tokio::test]
async fn a_session_that_the_server_has_ended_is_replaced() {
    let server = Server::start().await;
    let (gone, wait) = tokio::sync::oneshot::channel();
    let serve = async {
        let mut peer = server.login().await;
        peer.answer("NOOP", "200 ok").await;
        peer.say("421 too long idle").await;
        drop(peer);
        gone.send(()).unwrap();
        let mut peer = server.login().await;
        peer.answer("NOOP", "200 ok").await;
        peer.quit().await;
    };
    let play = async {
        let pool = Pool::new(server.client(), 1);
        pool.get().await.unwrap().noop().await.unwrap();
        wait.await.unwrap();
        pool.get().await.unwrap().noop().await.unwrap();
        pool.close().await;
    };
    tokio::join!(serve, play);
}

#[tokio::test]
async fn what_one_session_has_learned_the_others_know() {
    let server = Server::start().await;
    let serve = async {
        for first in [true, false] {
            let mut peer = server.login().await;
            if first {
                peer.answer("EPSV", "500 what?").await;
            }
            let data = peer.pasv().await;
            peer.answer("NLST", "150 go").await;
            close(data).await;
            peer.say("226 done").await;
            peer.quit().await;
        }
    };
    let play = async {
        let pool = Pool::new(server.client(), 2);
        for _ in 0..2 {
            assert!(pool.get().await.unwrap().nlst("").await.unwrap().next().await.is_none());
            pool.close().await;
        }
    };
    tokio::join!(serve, play);
}

/// A server in memory, on a virtual clock, that admits so many sessions at once.
struct House {
    room: AtomicUsize,
    inside: AtomicUsize,
    most_inside: AtomicUsize,
    /// Those who are logged in.
    users: AtomicUsize,
    most: AtomicUsize,
    /// Connections.
    tried: AtomicUsize,
    /// How it refuses: instead of the greeting, or as the reply to a login.
    refusal: &'static str,
    password: &'static str,
}

impl House {
    fn new(room: usize, refusal: &'static str) -> Arc<House> {
        let zero = || AtomicUsize::new(0);
        Arc::new(House {
            room: AtomicUsize::new(room),
            inside: zero(),
            most_inside: zero(),
            users: zero(),
            most: zero(),
            tried: zero(),
            refusal,
            password: "anonymous@",
        })
    }

    fn client(self: &Arc<Self>) -> Builder {
        let connector = Arc::new(Door(self.clone()));
        Client::builder().host("192.0.2.1").ip_family(IpFamily::V4).connector(connector).probe(false)
    }

    fn count(&self, what: &AtomicUsize) -> usize {
        what.load(Ordering::SeqCst)
    }

    async fn serve(self: Arc<Self>, stream: DuplexStream) -> io::Result<()> {
        self.tried.fetch_add(1, Ordering::SeqCst);
        let full = self.count(&self.inside) >= self.count(&self.room);
        let (_inside, mut logged_in) = (Counted::new(&self.inside, &self.most_inside), Vec::new());
        let mut stream = BufReader::new(stream);
        if full && !self.refusal.starts_with("530") {
            stream.write_all(self.refusal.as_bytes()).await?;
            return Ok(());
        }
        stream.write_all(b"220 hi\r\n").await?;
        let mut line = String::new();
        loop {
            line.clear();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
            let reply = match line.trim_end().split_once(' ') {
                Some(("USER", _)) => "331 password\r\n",
                Some(("PASS", _)) if full => self.refusal,
                Some(("PASS", given)) if given != self.password => "530 wrong\r\n",
                Some(("PASS", _)) => "230 in\r\n",
                _ => "200 ok\r\n",
            };
            if reply.starts_with("230") {
                logged_in.push(Counted::new(&self.users, &self.most));
            }
            stream.write_all(reply.as_bytes()).await?;
            if full && line.starts_with("PASS") {
                return Ok(());
            }
        }
    }
}

/// Someone who counts as long as it is there.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn new(count: &'a AtomicUsize, most: &AtomicUsize) -> Counted<'a> {
        most.fetch_max(count.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        Counted(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

struct Door(Arc<House>);

impl Connector for Door {
    fn connect(&self, _: Dial) -> BoxFuture<'_, io::Result<Stream>> {
        Box::pin(async move {
            let (ours, theirs) = tokio::io::duplex(1000);
            tokio::spawn(self.0.clone().serve(theirs));
            Ok(Stream::Other(Box::new(Pipe { ours, to: SocketAddr::from(([192, 0, 2, 1], 21)) })))
        })
    }
}

/// Has ten users work with a pool at once, each for a second; how long all of it has taken.
async fn ten_users(pool: &Pool) -> Duration {
    let began = Instant::now();
    let users = (0..10).map(|_| {
        let pool = pool.clone();
        tokio::spawn(async move {
            let mut session = pool.get().await.unwrap();
            tokio::time::sleep(Duration::from_secs(1)).await;
            session.noop().await.unwrap();
        })
    });
    for user in users.collect::<Vec<_>>() {
        user.await.unwrap();
    }
    began.elapsed()
}

#[tokio::test(start_paused = true)]
async fn no_more_are_opened_than_the_server_admits() {
    for refusal in ["421 too many users\r\n", "530 too many logins\r\n", "530 no room\r\n", ""] {
        let house = House::new(3, refusal);
        let pool = Pool::new(house.client(), 10);
        let took = ten_users(&pool).await;
        assert_eq!((pool.limit(), house.count(&house.most)), (3, 3), "{refusal:?}");
        // All of them at once were tried, and refused ones not again.
        assert!(house.count(&house.tried) <= 10);
        assert!(took < Duration::from_secs(8), "{took:?}");
        let tried = house.count(&house.tried);
        ten_users(&pool).await;
        assert_eq!(house.count(&house.tried), tried, "{refusal:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn when_the_server_has_more_room_it_is_found_after_a_while() {
    let house = House::new(2, "421 too many users\r\n");
    let pool = Pool::new(house.client(), 4);
    ten_users(&pool).await;
    assert_eq!(pool.limit(), 2);
    house.room.store(100, Ordering::SeqCst);
    ten_users(&pool).await;
    assert_eq!(pool.limit(), 2);
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_secs(3601)).await;
        ten_users(&pool).await;
    }
    assert_eq!((pool.limit(), house.count(&house.most)), (4, 4));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_the_only_session_is_an_error() {
    let house = House::new(0, "421 too many users\r\n");
    let error = Pool::new(house.client(), 4).get().await.unwrap_err();
    assert!(matches!(error, Error::ServiceClosing { phase: Phase::Greeting, .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_wrong_password_is_not_sent_many_times_at_once() {
    let house = House::new(100, "");
    let wrong = port21_client::Credentials::new("joe", "wrong");
    let pool = Pool::new(house.client().credentials(wrong), 8);
    let tries = (0..8).map(|_| {
        let pool = pool.clone();
        tokio::spawn(async move { pool.get().await.map(drop) })
    });
    for tried in tries.collect::<Vec<_>>() {
        let error = tried.await.unwrap().unwrap_err();
        assert_eq!(error.phase(), Some(Phase::Login));
    }
    assert_eq!((house.count(&house.tried), house.count(&house.most_inside)), (8, 1));
}

#[tokio::test(start_paused = true)]
async fn whoever_gives_up_waiting_takes_nothing_along() {
    let house = House::new(100, "421 too many users\r\n");
    let pool = Pool::new(house.client(), 1);
    for millis in 0..400 {
        // In the midst of opening one.
        let _ = tokio::time::timeout(Duration::from_millis(millis), pool.get()).await;
        let held = pool.get().await.unwrap();
        // In the midst of waiting for one, as another is given back to.
        let (mut first, second) = (Box::pin(pool.get()), pool.get());
        assert!(tokio::time::timeout(Duration::from_millis(millis), &mut first).await.is_err());
        let second = tokio::spawn({
            let pool = pool.clone();
            drop(second);
            async move { drop(pool.get().await.unwrap()) }
        });
        tokio::task::yield_now().await;
        drop(held);
        drop(first);
        second.await.unwrap();
        pool.close().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_has_died_in_silence_is_found_out() {
    let house = House::new(9, "");
    let pool = Pool::new(house.client(), 1);
    drop(pool.get().await.unwrap());
    assert_eq!(house.count(&house.tried), 1);
    // It is asked, and answers.
    tokio::time::sleep(Duration::from_secs(60)).await;
    drop(pool.get().await.unwrap());
    assert_eq!(house.count(&house.tried), 1);
    // So long that it was closed: others may have waited for the room.
    tokio::time::sleep(Duration::from_secs(121)).await;
    drop(pool.get().await.unwrap());
    assert_eq!(house.count(&house.tried), 2);
    drop(pool);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(house.count(&house.inside), 0);
}
